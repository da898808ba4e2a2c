"""The health service of gRPC on threads, with bounds.

Of its own: the servicer of grpcio-health-checking for threads has a lock while it sends, and
waits for that lock where a watch ends, in the one thread of the server that would see what is
sent go. A watch that ends while another one begins, or while the status changes, stops a server
with it for good.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import version
from typing import TYPE_CHECKING, cast

import grpc
from grpc_health.v1 import health, health_pb2

from profile_service.serving.calls import Arrivals, calls

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.descriptor import ServiceDescriptor

    from profile_service.serving.calls import Behaviour

SERVICE_NAME = health.SERVICE_NAME

_Status = health_pb2.HealthCheckResponse

_SERVICE = cast("ServiceDescriptor", health_pb2.DESCRIPTOR.services_by_name["Health"])

# Load balancers watch, one stream each, for as long as they like. Each has a thread of its own:
# what is sent to one that does not read waits.
MAX_WATCHES = 200

# What the answer to a check says besides, in its trailing metadata: which release this is, and
# what time it is here, in seconds since 1970. `deidcascade doctor` compares both with its own.
RELEASE = "deidcascade-release"
TIME = "deidcascade-time"


def about() -> tuple[tuple[str, str], ...]:
    """Returns that metadata."""
    return (RELEASE, _release()), (TIME, f"{time.time():.3f}")


@cache
def _release() -> str:
    return version("deid-cascade")


class Health:
    """Whether some services of this process serve; at first, they do not."""

    def __init__(self, *services: str) -> None:
        """Takes the full names of the services; the process as a whole is one as well."""
        self._services = {"", *services}
        self._status: int = _Status.NOT_SERVING
        self._over = False
        # Nobody sends while it is held.
        self._changed = threading.Condition()
        self._room = threading.Semaphore(MAX_WATCHES)

    def handler(self, arrivals: Arrivals) -> grpc.GenericRpcHandler:
        """Returns what answers the calls of the health service.

        Args:
            arrivals: the calls whose requests are on their way.
        """
        behaviours: dict[str, Behaviour] = {
            "Check": self._check,
            "Watch": self._watch,
            "List": self._list,
        }
        return calls(_SERVICE, behaviours, arrivals)

    def set(self, *, serving: bool) -> None:
        """Says whether they serve."""
        with self._changed:
            if not self._over:
                self._status = _Status.SERVING if serving else _Status.NOT_SERVING
                self._changed.notify_all()

    def shut_down(self) -> None:
        """Says that they do not serve, for good."""
        with self._changed:
            self._over = True
            self._status = _Status.NOT_SERVING
            self._changed.notify_all()

    def _check(
        self, request: health_pb2.HealthCheckRequest | None, context: grpc.ServicerContext
    ) -> health_pb2.HealthCheckResponse:
        if request is None:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "The request did not come.")
        if request.service not in self._services:
            context.abort(grpc.StatusCode.NOT_FOUND, "There is no such service.")
        context.set_trailing_metadata(about())
        return health_pb2.HealthCheckResponse(status=self._status)

    def _watch(
        self,
        request: health_pb2.HealthCheckRequest,
        context: grpc.ServicerContext,
        send: Callable[[health_pb2.HealthCheckResponse | None], None],
    ) -> None:
        if not self._room.acquire(blocking=False):
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "Too many watch already.")
        watch = _Watch(request.service in self._services, send)
        try:
            if context.add_callback(partial(self._end, watch)):
                threading.Thread(
                    target=self._tell, args=(watch,), name="watch", daemon=True
                ).start()
                return
        except RuntimeError:
            # No thread can be started.
            context.cancel()
        self._room.release()

    def _end(self, watch: _Watch) -> None:
        with self._changed:
            watch.ended = True
            self._changed.notify_all()

    def _tell(self, watch: _Watch) -> None:
        """Sends what is the case, and whatever becomes of that, until a watch ends."""
        told: int | None = None
        try:
            while True:
                with self._changed:
                    while (now := self._status_of(watch)) == told and not watch.ended:
                        self._changed.wait()
                if watch.ended:
                    return
                watch.send(health_pb2.HealthCheckResponse(status=now))
                told = now
        finally:
            self._room.release()

    def _status_of(self, watch: _Watch) -> int:
        return self._status if watch.known else _Status.SERVICE_UNKNOWN

    def _list(self, _: object, context: grpc.ServicerContext) -> health_pb2.HealthCheckResponse:
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "Ask for each service by its name.")


@dataclass
class _Watch:
    """Somebody who watches a service.

    Attributes:
        known: whether there is such a service.
        send: sends a message, and waits until it has gone.
        ended: whether the call has.
    """

    known: bool
    send: Callable[[health_pb2.HealthCheckResponse], None]
    ended: bool = False
