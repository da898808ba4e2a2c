"""How connections are steered, ports reserved, and restarts delayed."""

from __future__ import annotations

import math
import socket
from typing import TYPE_CHECKING

import pytest

from profile_service.serving.balancer import Balancer
from profile_service.serving.ports import reserve
from profile_service.serving.supervisor import (
    FIRST_WAIT_SECONDS,
    LONGEST_WAIT_SECONDS,
    wait_before_restart,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def group() -> Iterator[list[socket.socket]]:
    """Three sockets that listen on one port."""
    sockets: list[socket.socket] = []
    port = 0
    for _ in range(3):
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        one.bind(("127.0.0.1", port))
        port = one.getsockname()[1]
        one.listen(64)
        one.setblocking(False)
        sockets.append(one)
    yield sockets
    for one in sockets:
        one.close()


def connections(sockets: list[socket.socket], count: int) -> list[int]:
    """Opens connections, and returns how many came to each socket."""
    callers = [socket.create_connection(sockets[-1].getsockname()) for _ in range(count)]
    came = []
    for one in sockets:
        number = 0
        while True:
            try:
                one.accept()[0].close()
            except BlockingIOError:
                break
            number += 1
        came.append(number)
    for caller in callers:
        caller.close()
    return came


def balancer_of(sockets: list[socket.socket], loads: list[float]) -> Balancer:
    """Returns a balancer that has taken in the sockets of as many workers."""
    balancer = Balancer()
    for worker, one in enumerate(sockets):
        balancer.add(worker, [one.dup()])
    balancer.steer(loads)
    return balancer


@pytest.mark.parametrize("least", range(3))
def test_the_least_loaded_worker_is_given_everything(
    group: list[socket.socket], least: int
) -> None:
    """Connections go to the worker with the least load until that changes."""
    loads: list[float] = [2, 2, 2]
    balancer = balancer_of(group, loads)
    loads[least] = 1
    balancer.steer(loads)

    came = connections(group, 10)

    balancer.clear()
    assert came == [10 if worker == least else 0 for worker in range(3)]


def test_equals_share(group: list[socket.socket]) -> None:
    """Among workers with the same load each gets some, and the busier one none."""
    balancer = balancer_of(group, [1, 5, 1])

    came = connections(group, 60)

    balancer.clear()
    assert came[1] == 0
    assert min(came[0], came[2]) > 0


def test_a_silent_worker_is_given_nothing(group: list[socket.socket]) -> None:
    """A worker that does not beat counts as the busiest of all, whatever it has to do."""
    balancer = balancer_of(group, [0, math.inf, 7])

    came = connections(group, 10)

    balancer.clear()
    assert came == [10, 0, 0]


def test_the_places_are_right_when_a_worker_has_gone(group: list[socket.socket]) -> None:
    """The kernel moves sockets within their group when one leaves it, and so does the balancer."""
    loads: list[float] = [9, 5, 1]
    balancer = balancer_of(group, loads)
    group[0].close()
    balancer.remove(0)
    balancer.steer(loads)

    assert connections(group[1:], 10) == [0, 10]
    loads[1] = 0
    balancer.steer(loads)
    assert connections(group[1:], 10) == [10, 0]
    balancer.clear()


def test_a_port_with_workers_is_not_reserved_again() -> None:
    """Workers of this service share the port; a second service is refused it."""
    held, address = reserve("127.0.0.1:0")
    with socket.socket() as worker:
        worker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        worker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        worker.bind(held[0].getsockname())
        worker.listen()

        with pytest.raises(OSError, match=rf"^Cannot listen on {address}: Address already in use"):
            reserve(address)
    for one in held:
        one.close()


def test_every_address_of_a_name_is_reserved() -> None:
    """A name that stands for several addresses has the same port on each."""
    held, address = reserve("localhost:0")

    assert {one.getsockname()[1] for one in held} == {int(address.rpartition(":")[2])}
    for one in held:
        one.close()


@pytest.mark.parametrize(
    "listen", ["", "localhost", "127.0.0.1:", "127.0.0.1:http", "no.invalid:1", ":99999"]
)
def test_an_address_that_is_none_is_told(listen: str) -> None:
    """What cannot be listened on is an OSError with a sentence."""
    with pytest.raises(OSError, match="listen on"):
        reserve(listen)


def test_restarts_wait_longer_and_longer() -> None:
    """The first restart is at once; the waits double from the second on, up to a bound."""
    waits = [wait_before_restart(lives) for lives in (0, 1, 2, 3, 4, 100_000)]

    first = FIRST_WAIT_SECONDS
    assert waits == [0, 0, first, 2 * first, 4 * first, LONGEST_WAIT_SECONDS]
