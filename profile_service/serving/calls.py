"""Calls of one request on threads, with an end to the wait for their requests."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import grpc
from google.protobuf import message_factory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from google.protobuf.descriptor import ServiceDescriptor
    from google.protobuf.message import Message

    # Gets None where no request came.
    Behaviour = Callable[..., Message | None]

# How often it is looked whose time is over.
TICK_SECONDS = 1.0


class Arrivals:
    """The calls whose messages are on their way; each holds a thread meanwhile.

    A call whose message does not come in time is ended. So is the one that has waited
    longest when too many wait: who says nothing makes room for who comes.
    """

    def __init__(self, *, seconds: float, waiting: int) -> None:
        """Takes its bounds.

        Args:
            seconds: how long a message may be on its way.
            waiting: how many calls may wait at once.
        """
        self._seconds = seconds
        self._max_waiting = waiting
        # In the order of their ends. Each change of it is one step of the interpreter: a
        # lock would be waited for by all threads when the one that has it is interrupted.
        self._ends: dict[grpc.ServicerContext, float] = {}
        self._closed = threading.Event()
        threading.Thread(target=self._follow, name="arrivals", daemon=True).start()

    def close(self) -> None:
        """Ends no more calls."""
        self._closed.set()

    def expect(self, context: grpc.ServicerContext) -> None:
        """Notes that a message of a call is waited for, until it has come."""
        self._ends.pop(context, None)
        self._ends[context] = time.monotonic() + self._seconds
        if len(self._ends) > self._max_waiting:
            self._end(list(self._ends)[: -self._max_waiting])

    def came(self, context: grpc.ServicerContext) -> None:
        """Notes that no message of a call is waited for any more."""
        self._ends.pop(context, None)

    def first(self, requests: Iterator[Any], context: grpc.ServicerContext) -> Any:
        """Returns the first message of a call; None where it does not come."""
        self.expect(context)
        try:
            with suppress(grpc.RpcError):
                return next(requests, None)
        finally:
            self.came(context)
        return None

    def rest(self, requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        """Yields the messages of a call behind the first; ends where one does not come.

        Whether that was the end that the caller meant, the context says: it is active then.
        """
        while True:
            message = self.first(requests, context)
            if message is None:
                return
            yield message

    def _end(self, contexts: list[grpc.ServicerContext]) -> None:
        for context in contexts:
            # Unless its message has just come.
            if self._ends.pop(context, None) is not None:
                context.cancel()

    def _follow(self) -> None:
        while not self._closed.wait(TICK_SECONDS):
            now = time.monotonic()
            self._end([context for context, end in list(self._ends.items()) if end < now])


def calls(
    service: ServiceDescriptor, behaviours: Mapping[str, Behaviour], arrivals: Arrivals
) -> grpc.GenericRpcHandler:
    """Returns what answers the methods of a service.

    The library gives such a call to who answers it once its request has come, and waits
    for that on a thread without an end. So each is taken as a stream of requests, of
    which the first one is read; on the wire both are the same.

    Args:
        service: its description.
        behaviours: what answers each method, by its name. That of a method that answers
            with a stream gets what takes its answers as well, and keeps no thread; that of one
            that takes a stream gets the requests behind the first as well.
        arrivals: the calls whose requests are on their way.
    """
    handlers: dict[str, grpc.RpcMethodHandler[Message, Message]] = {}
    for method in service.methods:
        behaviour = behaviours[method.name]
        make: object = grpc.stream_unary_rpc_method_handler
        call: Callable[..., Message | None]
        if method.server_streaming:
            make, call = grpc.stream_stream_rpc_method_handler, _watching(behaviour, arrivals)
        elif method.client_streaming:
            call = _taking(behaviour, arrivals)
        else:
            call = _answering(behaviour, arrivals)
        handlers[method.name] = cast("Any", make)(
            call,
            message_factory.GetMessageClass(method.input_type).FromString,
            _written,
        )
    return grpc.method_handlers_generic_handler(service.full_name, handlers)


def _written(answer: Message | bytes) -> bytes:
    return answer if isinstance(answer, bytes) else answer.SerializeToString()


def _answering(behaviour: Behaviour, arrivals: Arrivals) -> Behaviour:
    def call(requests: Iterator[Message], context: grpc.ServicerContext) -> Message | None:
        return behaviour(arrivals.first(requests, context), context)

    return call


def _taking(behaviour: Behaviour, arrivals: Arrivals) -> Behaviour:
    def call(requests: Iterator[Message], context: grpc.ServicerContext) -> Message | None:
        first = arrivals.first(requests, context)
        return behaviour(first, context, arrivals.rest(requests, context))

    return call


def _watching(behaviour: Behaviour, arrivals: Arrivals) -> Behaviour:
    def call(
        requests: Iterator[Message],
        context: grpc.ServicerContext,
        send_response_callback: Callable[[Message | None], None],
    ) -> None:
        request = arrivals.first(requests, context)
        if request is not None:
            behaviour(request, context, send_response_callback)

    # How the library is told that the thread is not needed until the end of the call.
    call.experimental_non_blocking = True  # type: ignore[attr-defined]
    return call
