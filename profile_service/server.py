"""One serving process: ProfileService, health and reflection on one port."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

import grpc
from deidcascade.v1.profile_service_pb2_grpc import add_ProfileServiceServicer_to_server
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from profile_service.calls import observe
from profile_service.config import DRAIN_SECONDS
from profile_service.logs import LOG
from profile_service.monitor import Monitor
from profile_service.service import Profiles
from profile_service.servicer import SERVICE, ProfileServicer
from profile_service.serving.reflection import enable_reflection
from profile_service.store import Store

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from profile_service.config import Config

# Calls that are carried out at once. Most of the time of a call is Python, which one
# core carries out, so more would not be faster; these are enough that calls that wait
# for a stalled database leave some for others.
THREADS = 32

# Calls that are accepted at once; further ones are refused with RESOURCE_EXHAUSTED. A
# call that waits for a thread holds its request, up to MAX_MESSAGE_BYTES.
MAX_CALLS = 1000

# A text of 1 MiB and what is around it. A text that is a little longer gets the answer
# that says so.
MAX_MESSAGE_BYTES = 2 << 20

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING

SERVER_OPTIONS = (
    # Workers share the port.
    ("grpc.so_reuseport", 1),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    # A caller that vanished without a word is noticed after 30 + 10 seconds.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # Callers keep their connection between calls, and may ping every ten seconds.
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
)


def serve(
    config: Config,
    address: str,
    *,
    may_listen: Callable[[], bool] = lambda: True,
    listening: Callable[[int], None],
    stop: threading.Event,
) -> None:
    """Serves until told to stop.

    A database that does not answer does not keep the service from starting: calls then
    fail with UNAVAILABLE and the health service says NOT_SERVING, until it does.

    Args:
        config: see there.
        address: HOST:PORT to listen on; port 0 takes one that is free.
        may_listen: called when all is ready but the port; False ends it there.
        listening: called with the port, once it is served.
        stop: set to end.

    Raises:
        OSError: the address cannot be listened on.
        SchemaTooNewError: a newer build has used the database.
        StoreFaultError: the database cannot be migrated, for want of a privilege for instance.
    """
    with ExitStack() as running:
        store = Store(config.database, config.connections)
        running.callback(store.close)
        store.open()
        healthiness = health.HealthServicer()

        def set_health(serving: bool) -> None:
            for service in ("", SERVICE):
                healthiness.set(service, SERVING if serving else NOT_SERVING)

        monitor = Monitor(store, set_health)
        # Before the first call, so that it finds the schema.
        monitor.look()
        if not may_listen():
            return
        server = grpc.server(
            ThreadPoolExecutor(THREADS, thread_name_prefix="call"),
            options=SERVER_OPTIONS,
            maximum_concurrent_rpcs=MAX_CALLS,
        )
        servicer = ProfileServicer(store, Profiles(store))
        observe(servicer)
        add_ProfileServiceServicer_to_server(servicer, server)
        health_pb2_grpc.add_HealthServicer_to_server(healthiness, server)
        enable_reflection(server, SERVICE, health.SERVICE_NAME)
        try:
            port = server.add_insecure_port(address)
        except RuntimeError:
            raise OSError(f"Cannot listen on {address}.") from None
        server.start()
        running.callback(lambda: server.stop(DRAIN_SECONDS).wait())
        listening(port)
        # First of all, so that load balancers send what is new elsewhere.
        running.callback(healthiness.enter_graceful_shutdown)
        monitor.run(stop)
        LOG.write("drain")
