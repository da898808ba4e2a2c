"""DeidService, where the name of ProfileService stands for several replicas."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest
from deidcascade.v1 import profile_service_pb2 as profile_pb

from deid_service.client import open_channel as upload_channel
from profile_service.serving.health import Health
from tests.support.callers import open_channel
from tests.support.deid_service import (
    Caller,
    ScriptedProfileService,
    ct,
    opened,
    running_deid_service,
    serving,
    whole_file,
)
from tests.support.environment import ADMIN_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SERVICE = profile_pb.DESCRIPTOR.services_by_name["ProfileService"].full_name

# Connections are made when they are made: after so many streams it is not that any more.
MANY = 500


class Replica:
    """One ProfileService of several.

    Attributes:
        service: what it was asked.
    """

    def __init__(self, *, serves: bool) -> None:
        self.service = ScriptedProfileService()
        self._health = Health(SERVICE)
        self.set(serves=serves)
        self._running = ExitStack()
        self.address = self._running.enter_context(serving(self.service, healthiness=self._health))

    def set(self, *, serves: bool) -> None:
        """Says by its health whether it serves."""
        self._health.set(serving=serves)

    def stop(self) -> None:
        """Ends it."""
        self._running.close()

    @property
    def asked(self) -> int:
        """How often it was asked what applies."""
        return len(self.service.requests)


@contextmanager
def replicas(*serve: bool) -> Iterator[tuple[Callable[[], None], list[Replica]]]:
    """Gives what uploads a file, through a DeidService that knows replicas by one name."""
    with ExitStack() as running:
        made = [Replica(serves=each) for each in serve]
        for each in made:
            running.callback(each.stop)
        # As a name that has an address for each.
        name = "ipv4:" + ",".join(each.address for each in made)
        service = running.enter_context(running_deid_service(name))
        channel = running.enter_context(open_channel(service.address))

        def upload() -> None:
            caller = Caller(channel, opened(), *whole_file(ct()))
            caller.half_close()
            assert caller.receive_all()[-1].result.HasField("receipt")

        yield upload, made


def until(held: Callable[[], bool], act: Callable[[], None]) -> None:
    """Acts until something holds."""
    for _ in range(MANY):
        act()
        if held():
            return
    pytest.fail(f"It did not hold after {MANY} times.")


def test_every_replica_is_asked() -> None:
    """Streams are resolved by all replicas in turn."""
    with replicas(True, True) as (upload, (first, second)):
        until(lambda: first.asked > 0 and second.asked > 0, upload)
        before = first.asked, second.asked
        for _ in range(10):
            upload()

        # What DeidService asks for besides, each second, takes turns too.
        assert first.asked - before[0] >= 3
        assert second.asked - before[1] >= 3


def test_a_replica_that_does_not_serve_is_not_asked_until_it_does() -> None:
    """A replica without its database has no part in it, and has again when that is back."""
    with replicas(True, False) as (upload, (_, second)):
        for _ in range(10):
            upload()
        assert second.asked == 0

        second.set(serves=True)

        until(lambda: second.asked > 0, upload)


def test_a_replica_that_ends_is_missed_by_nobody() -> None:
    """Streams go on with the replicas that are left."""
    with replicas(True, True) as (upload, (first, second)):
        until(lambda: first.asked > 0 and second.asked > 0, upload)

        first.stop()
        before = second.asked
        for _ in range(10):
            upload()

        assert second.asked - before == 10


def test_channels_of_an_upload_are_shared_by_replicas() -> None:
    """Each channel goes to one of the replicas of DeidService, by chance: none is left out."""
    with ExitStack() as running:
        service = running.enter_context(serving(ScriptedProfileService()))
        made = [running.enter_context(running_deid_service(service)) for _ in range(2)]
        name = "ipv4:" + ",".join(each.address for each in made)

        def upload() -> None:
            with upload_channel(name, key=ADMIN_KEY) as channel:
                caller = Caller(channel, opened(), *whole_file(ct()))
                caller.half_close()
                assert caller.receive_all()[-1].result.HasField("receipt")

        until(lambda: not any(each.counts.empty() for each in made), upload)
