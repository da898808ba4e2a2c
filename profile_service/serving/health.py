"""The health service of gRPC on threads, with bounds."""

from __future__ import annotations

import threading
import time
from functools import cache
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

_SERVICE = cast("ServiceDescriptor", health_pb2.DESCRIPTOR.services_by_name["Health"])

# Load balancers watch, one stream each, for as long as they like, and keep no thread.
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
        self._services = ("", *services)
        self._health = health.HealthServicer()
        self._room = threading.Semaphore(MAX_WATCHES)
        self.set(serving=False)

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
        status = health_pb2.HealthCheckResponse
        for service in self._services:
            self._health.set(service, status.SERVING if serving else status.NOT_SERVING)

    def shut_down(self) -> None:
        """Says that they do not serve, for good."""
        self._health.enter_graceful_shutdown()

    def _check(
        self, request: health_pb2.HealthCheckRequest | None, context: grpc.ServicerContext
    ) -> health_pb2.HealthCheckResponse:
        if request is None:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "The request did not come.")
        context.set_trailing_metadata(about())
        return self._health.Check(request, context)

    def _watch(
        self,
        request: health_pb2.HealthCheckRequest,
        context: grpc.ServicerContext,
        send: Callable[[health_pb2.HealthCheckResponse | None], None],
    ) -> None:
        if not self._room.acquire(blocking=False):
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "Too many watch already.")
        if not context.add_callback(self._room.release):
            self._room.release()
            return
        self._health.Watch(request, context, send)

    def _list(self, _: object, context: grpc.ServicerContext) -> health_pb2.HealthCheckResponse:
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "Ask for each service by its name.")
