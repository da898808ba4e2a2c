"""The health service of ProfileService: for who asks, and for who watches."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from profile_service.serving import health
from profile_service.serving.calls import Arrivals
from profile_service.serving.health import Health

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVICE = "a.Service"
THREADS = 8
PATIENCE_SECONDS = 20
# Of each of several callers.
WATCHES = 100

SERVING = HealthCheckResponse.SERVING
NOT_SERVING = HealthCheckResponse.NOT_SERVING


class Served(NamedTuple):
    """The health service on a server of its own."""

    health: Health
    address: str


@pytest.fixture
def served() -> Iterator[Served]:
    """One that serves."""
    arrivals = Arrivals(seconds=PATIENCE_SECONDS, waiting=THREADS)
    one = Health(SERVICE)
    one.set(serving=True)
    with ThreadPoolExecutor(THREADS) as threads:
        server = grpc.server(threads)
        server.add_generic_rpc_handlers((one.handler(arrivals),))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        yield Served(one, f"127.0.0.1:{port}")
        assert server.stop(0).wait(PATIENCE_SECONDS)
    arrivals.close()


@contextmanager
def client(served: Served) -> Iterator[grpc.Channel]:
    """A connection of its own."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(served.address, options) as channel:
        yield channel


def status_of(channel: grpc.Channel, service: str = SERVICE) -> int:
    """Asks."""
    method = channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=HealthCheckRequest.SerializeToString,
        response_deserializer=HealthCheckResponse.FromString,
    )
    answer: HealthCheckResponse = method(
        HealthCheckRequest(service=service), timeout=PATIENCE_SECONDS
    )
    return answer.status


def watch(channel: grpc.Channel, service: str = SERVICE) -> Any:
    """Begins to watch."""
    method = channel.unary_stream(
        "/grpc.health.v1.Health/Watch",
        request_serializer=HealthCheckRequest.SerializeToString,
        response_deserializer=HealthCheckResponse.FromString,
    )
    return method(HealthCheckRequest(service=service), timeout=PATIENCE_SECONDS)


def test_who_watches_is_told_each_change_once(served: Served) -> None:
    """What is the case at first, and then what has become of it; nothing where nothing has."""
    with client(served) as channel:
        known = watch(channel)
        told = [next(known).status]
        served.health.set(serving=True)
        served.health.set(serving=False)
        told.append(next(known).status)
        served.health.set(serving=True)
        told.append(next(known).status)
        served.health.shut_down()
        told.append(next(known).status)
        served.health.set(serving=True)
        unknown = watch(channel, "b.Other")
        told.append(next(unknown).status)

        assert told == [
            *(SERVING, NOT_SERVING, SERVING, NOT_SERVING),
            HealthCheckResponse.SERVICE_UNKNOWN,
        ]
        assert status_of(channel) == NOT_SERVING
        with pytest.raises(grpc.RpcError) as unasked:
            status_of(channel, "b.Other")
        assert unasked.value.code() == grpc.StatusCode.NOT_FOUND
        known.cancel()
        unknown.cancel()


def test_watches_that_come_and_go_stop_nobody(served: Served) -> None:
    """However they meet each other, and changes, who asks is answered."""
    over = threading.Event()

    def come_and_go() -> None:
        with client(served) as channel:
            for number in range(WATCHES):
                one = watch(channel)
                if number % 2:
                    next(one)
                one.cancel()

    def change() -> None:
        while not over.is_set():
            served.health.set(serving=False)
            served.health.set(serving=True)

    callers = [threading.Thread(target=come_and_go, daemon=True) for _ in range(4)]
    changing = threading.Thread(target=change, daemon=True)
    for each in (*callers, changing):
        each.start()
    for each in callers:
        each.join(PATIENCE_SECONDS)
    over.set()
    changing.join(PATIENCE_SECONDS)

    assert not [each for each in (*callers, changing) if each.is_alive()]
    with client(served) as channel:
        assert status_of(channel) == SERVING


def test_so_many_watch_and_no_more(served: Served) -> None:
    """One too many is refused; one that goes makes room."""
    with ExitStack() as open_clients:
        channels = [open_clients.enter_context(client(served)) for _ in range(4)]
        watches = [watch(channels[number % 4]) for number in range(health.MAX_WATCHES)]
        assert {next(one).status for one in watches} == {SERVING}

        refused = watch(channels[0])
        assert refused.code() == grpc.StatusCode.RESOURCE_EXHAUSTED

        assert status_of(channels[0]) == SERVING
        watches[0].cancel()
        # As soon as the service has seen that.
        while True:
            one = watch(channels[0])
            with suppress(grpc.RpcError):
                assert next(one).status == SERVING
                break
            assert one.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
