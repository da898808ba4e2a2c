"""Server reflection that also finds methods, for tools such as grpcurl."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import grpc
from google.protobuf import descriptor_pool
from grpc_reflection.v1alpha import reflection
from grpc_reflection.v1alpha.reflection_pb2 import (
    ServerReflectionRequest,
    ServerReflectionResponse,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.descriptor import FileDescriptor

    from profile_service.serving.calls import Arrivals


class _PoolThatFindsMethods:
    """The descriptors of this process.

    The reflection protocol asks for the file of a message, a service or a method;
    protobuf's own pool knows the files of the first two only.
    """

    def __init__(self) -> None:
        self._pool = descriptor_pool.Default()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    def FindFileContainingSymbol(self, symbol: str) -> FileDescriptor:  # noqa: N802 -- protobuf's
        """Returns the file that defines a symbol; raises KeyError when none does."""
        try:
            return self._pool.FindFileContainingSymbol(symbol)
        except KeyError:
            return self._pool.FindMethodByName(symbol).containing_service.file


def enable_reflection(server: grpc.aio.Server, *services: str) -> None:
    """Lets a server on an event loop describe its services, and reflection itself.

    Args:
        server: one that has not been started.
        services: their full names.
    """
    reflection.enable_server_reflection(
        (*services, reflection.SERVICE_NAME),
        server,
        cast("descriptor_pool.DescriptorPool", _PoolThatFindsMethods()),
    )


def reflection_handler(arrivals: Arrivals, *services: str) -> grpc.GenericRpcHandler:
    """Returns what describes services, and reflection itself, on threads.

    Args:
        arrivals: the streams on which a question is waited for. Each holds a thread.
        services: their full names.
    """
    described = reflection.ReflectionServicer(
        (*services, reflection.SERVICE_NAME),
        cast("descriptor_pool.DescriptorPool", _PoolThatFindsMethods()),
    )

    def questions(
        requests: Iterator[ServerReflectionRequest], context: grpc.ServicerContext
    ) -> Iterator[ServerReflectionRequest]:
        # An answer that nobody reads counts as well: the time is that to the next question.
        arrivals.expect(context)
        try:
            for request in requests:
                arrivals.expect(context)
                yield request
        finally:
            arrivals.came(context)

    def answer(
        requests: Iterator[ServerReflectionRequest], context: grpc.ServicerContext
    ) -> Iterator[ServerReflectionResponse]:
        return cast(
            "Iterator[ServerReflectionResponse]",
            described.ServerReflectionInfo(questions(requests, context), context),
        )

    method = grpc.stream_stream_rpc_method_handler(
        answer, ServerReflectionRequest.FromString, ServerReflectionResponse.SerializeToString
    )
    return grpc.method_handlers_generic_handler(
        reflection.SERVICE_NAME, {"ServerReflectionInfo": method}
    )
