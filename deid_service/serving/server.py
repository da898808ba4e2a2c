"""One serving process: DeidService, health and reflection on one port."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from deid_service.serving.connection import ProfileConnection
from deid_service.serving.events import FileEvents
from deid_service.serving.gate import StreamGate
from deid_service.serving.logs import LOG
from deid_service.serving.memory import Crowd
from deid_service.serving.previews import Previews
from deid_service.serving.rechecks import Rechecks
from deid_service.serving.resolver import RESOLVE_DEADLINE_SECONDS, ProfileResolver
from deid_service.serving.servicer import SERVICE, DeidServicer
from profile_service.serving.health import about
from profile_service.serving.keyfile import KeyFile
from profile_service.serving.reflection import enable_reflection
from profile_service.serving.tls import ClientFiles, ServerCertificates

if TYPE_CHECKING:
    from collections.abc import Callable

    from deid_service.serving.config import Config

# How often ProfileService is asked whether it answers, and how long it may take.
PROBE_SECONDS = 1.0
PROBE_DEADLINE_SECONDS = 2.0

# When nothing is open any more, for the answers of health and reflection calls.
STOP_GRACE_SECONDS = 0.5

# When nothing is open any more, for what the audit is not yet told.
LAST_EVENTS_SECONDS = 5.0

SERVER_OPTIONS = (
    # Workers share the port.
    ("grpc.so_reuseport", 1),
    # What a stream may be sent ahead of what is read of it. Left to itself, gRPC
    # measures the line and lets each stream run ahead by up to 16 MiB, which
    # hundreds of callers that do not read their output would cost in full. The rest
    # of a message that is being received comes on top of this, so that large
    # messages fill long lines all the same.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", 256 * 1024),
    # A caller that vanished without a word is noticed after 30 + 10 seconds.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # Callers may ping as often as every ten seconds, also between files.
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # All streams of one connection are served by one worker, and a proxy keeps its
    # connections for ever: it is asked to open a new one now and then, which goes to the
    # worker with the fewest streams. Streams that are open stay.
    ("grpc.max_connection_age_ms", 15 * 60 * 1000),
)


async def serve(
    config: Config,
    address: str,
    *,
    listening: Callable[[int], None],
    stop: asyncio.Event,
    on_count: Callable[[int], None] = lambda _: None,
) -> None:
    """Serves until told to stop, then drains.

    Args:
        config: see there.
        address: HOST:PORT to listen on.
        listening: called with the port, once it is served.
        stop: set to begin the drain.
        on_count: called with the number of open streams when it changes.

    Raises:
        OSError: the address cannot be listened on, or a file not be read.
    """
    certificates = None
    if config.transport.certificate:
        certificates = ServerCertificates(config.transport, LOG)
    connection = ProfileConnection(
        config.profile_service,
        ClientFiles(*config.profile_tls),
        patience=RESOLVE_DEADLINE_SECONDS,
    )
    async with AsyncExitStack() as running:
        running.push_async_callback(connection.close)
        crowd = Crowd()

        def counted(streams: int) -> None:
            on_count(streams)
            crowd.counted(streams)

        gate = StreamGate(config.limits.max_streams, config.limits.idle_seconds, counted)
        key = None
        if config.key:
            key = KeyFile(Path(config.key))
            key.text()
        resolver = ProfileResolver(connection, key, learn=config.learning)
        rechecks = Rechecks(resolver, config.recheck_seconds)
        events = FileEvents(connection, key)
        previews = Previews(SERVICE, resolver, gate)
        running.callback(previews.close)
        servicer = DeidServicer(resolver, config.limits, gate, rechecks, events, previews)
        server = grpc.aio.server(options=SERVER_OPTIONS)
        server.add_generic_rpc_handlers((servicer.handler(),))
        healthiness = _Health()
        health_pb2_grpc.add_HealthServicer_to_server(healthiness, server)
        if config.reflection:
            enable_reflection(server, SERVICE, health.SERVICE_NAME)
        try:
            port = (
                server.add_insecure_port(address)
                if certificates is None
                else server.add_secure_port(address, certificates.credentials())
            )
        except RuntimeError:
            raise OSError(f"Cannot listen on {address}.") from None
        for service in ("", SERVICE):
            await healthiness.set(service, health_pb2.HealthCheckResponse.NOT_SERVING)
        tasks = (
            asyncio.create_task(_follow(connection, healthiness)),
            asyncio.create_task(rechecks.run()),
            asyncio.create_task(events.run()),
        )
        await server.start()
        listening(port)
        await stop.wait()
        LOG.write("drain", streams=gate.count)
        # First of all, so that load balancers send what is new elsewhere.
        await healthiness.enter_graceful_shutdown()
        await gate.drain(config.drain_seconds)
        for task in tasks:
            task.cancel()
        await events.close(LAST_EVENTS_SECONDS)
        await server.stop(STOP_GRACE_SECONDS)


class _Health(health.aio.HealthServicer):
    """Says what this is, too."""

    async def Check(  # noqa: N802 -- as in the contract
        self, request: health_pb2.HealthCheckRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> health_pb2.HealthCheckResponse:
        """Answers a check."""
        context.set_trailing_metadata(about())
        return await super().Check(request, context)


async def _follow(connection: ProfileConnection, healthiness: health.aio.HealthServicer) -> None:
    """Keeps the health in step with whether ProfileService answers.

    Without ProfileService every stream is refused, so the service is not healthy.
    """
    known: tuple[int, object] | None = None
    method = f"/{health.SERVICE_NAME}/Check"
    write, read = (
        health_pb2.HealthCheckRequest.SerializeToString,
        health_pb2.HealthCheckResponse.FromString,
    )
    while True:
        status: int = health_pb2.HealthCheckResponse.NOT_SERVING
        cause, code = "", None
        connection.renew()
        channel = connection.channel
        try:
            check = channel.unary_unary(method, write, read)
            answer = await check(health_pb2.HealthCheckRequest(), timeout=PROBE_DEADLINE_SECONDS)
            status = answer.status
            if status != health_pb2.HealthCheckResponse.SERVING:
                cause = f"{connection.address} says that it does not serve"
        except grpc.aio.AioRpcError as error:
            cause, code = connection.cause_of(error), error.code()
            if code == grpc.StatusCode.DEADLINE_EXCEEDED:
                connection.give_up(channel)
        if (status, code) != known:
            known = status, code
            name = health_pb2.HealthCheckResponse.ServingStatus.Name(status)
            LOG.write("health", status=name, cause=cause)
            for service in ("", SERVICE):
                await healthiness.set(service, status)
        await asyncio.sleep(PROBE_SECONDS)
