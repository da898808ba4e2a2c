"""What one caller, one change or one connection does stops no others."""

from __future__ import annotations

import queue
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

import grpc
import psycopg
import pytest
from deidcascade.v1 import profile_service_pb2 as pb
from deidcascade.v1.profile_service_pb2_grpc import ProfileServiceStub
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from profile_service import server, validity
from profile_service.service import Profiles
from profile_service.store import writers
from tests.support import callers
from tests.support.between import firewall, pooler
from tests.support.refusals import refused
from tests.support.services import running_profile_service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from profile_service.hierarchy import Kind
    from profile_service.model import Decision

PATIENCE_SECONDS = 20
# What an upload waits for one attempt.
SOON_SECONDS = 4

VALID = "dicom:\n  fields:\n  - name: PatientName\n    remove: true\n"
TARGET = "sites/s/groups/g/projects/p"
RESOLUTION = pb.ResolveProfileRequest(target=TARGET)
# More than the threads and the places that there are.
MANY = 2 * server.THREADS

SILENT = [
    "/deidcascade.v1.ProfileService/ResolveProfile",
    "/deidcascade.v1.ProfileService/SetProfile",
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
]


def fill(service: ProfileServiceStub) -> None:
    """Makes two sites, one with a target and its profile."""
    for name in ("sites/other", "sites/s", "sites/s/groups/g", TARGET):
        service.CreateContainer(pb.CreateContainerRequest(container=pb.Container(name=name)))
    service.SetProfile(pb.SetProfileRequest(container=TARGET, source=VALID))


@pytest.fixture
def service(database: str) -> Iterator[ProfileServiceStub]:
    """A client of a service with a target."""
    with (
        running_profile_service(database) as address,
        callers.channel(address) as channel,
    ):
        service = ProfileServiceStub(channel)
        fill(service)
        yield service


def health_of(address: str) -> int:
    """Returns the state of health of a service."""
    with callers.channel(address) as channel:
        answer: HealthCheckResponse = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=HealthCheckRequest.SerializeToString,
            response_deserializer=HealthCheckResponse.FromString,
        )(HealthCheckRequest(), timeout=SOON_SECONDS)
        return answer.status


# --- Callers who say nothing ----------------------------------------------------------------


@pytest.mark.parametrize("method", SILENT)
def test_who_says_nothing_stops_nobody(database: str, method: str) -> None:
    """However many calls never send their request, others are answered at once."""
    with (
        running_profile_service(database) as address,
        callers.channel(address) as channel,
        ExitStack() as silent,
    ):
        fill(ProfileServiceStub(channel))
        begun = []
        for number in range(MANY):
            if number % 100 == 0:
                options = [("grpc.use_local_subchannel_pool", 1)]
                one = silent.enter_context(callers.channel(address, options))
            waiting: queue.Queue[bytes | None] = queue.Queue()
            silent.callback(waiting.put, None)
            mute: grpc.StreamStreamMultiCallable[bytes, bytes] = one.stream_stream(method)
            begun.append(mute(iter(waiting.get, None)))
        for _ in range(3):
            answer = ProfileServiceStub(channel).ResolveProfile(RESOLUTION, timeout=SOON_SECONDS)
            assert answer.outcome == pb.OUTCOME_PROFILE
        assert health_of(address) == HealthCheckResponse.SERVING
        # Those who have waited longest made room.
        assert begun[0].code() in {
            grpc.StatusCode.CANCELLED,
            grpc.StatusCode.RESOURCE_EXHAUSTED,
        }


@pytest.mark.parametrize("method", SILENT)
def test_a_request_that_does_not_come_is_not_waited_for(
    database: str, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """A single call that says nothing is ended as well, after a while."""
    monkeypatch.setattr(server, "REQUEST_SECONDS", 0.1)
    monkeypatch.setattr(server, "QUESTION_SECONDS", 0.1)
    waiting: queue.Queue[bytes | None] = queue.Queue()
    with (
        running_profile_service(database) as address,
        callers.channel(address) as channel,
    ):
        silent: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(method)
        call = silent(iter(waiting.get, None))
        assert call.code() is grpc.StatusCode.CANCELLED
        waiting.put(None)


def test_checks_that_nobody_waits_for_are_not_made(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of callers who have gone while another check was made, no text is checked any more."""
    wanted: list[Callable[[], bool]] = []
    made: list[str] = []
    go = threading.Event()
    check, decide = Profiles.check, validity.decide

    def note(
        profiles: Profiles, source: str, kind: Kind | None, is_wanted: Callable[[], bool]
    ) -> Decision:
        wanted.append(is_wanted)
        return check(profiles, source, kind, is_wanted)

    def wait(source: str, kind: Kind | None) -> Decision:
        made.append(source)
        go.wait()
        return decide(source, kind)

    monkeypatch.setattr(Profiles, "check", note)
    monkeypatch.setattr("profile_service.service.decide", wait)
    with running_profile_service(database) as address, callers.channel(address) as channel:
        request = pb.ValidateProfileRequest(source=VALID)
        calls = [ProfileServiceStub(channel).ValidateProfile.future(request) for _ in range(24)]
        while not (made and len(wanted) == len(calls)):
            pass
        for call in calls:
            call.cancel()
        while any(one() for one in wanted):
            pass
        go.set()
    assert made == [VALID]


# --- Changes that wait ----------------------------------------------------------------------


def test_a_locked_container_stops_no_other(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Changes of it wait and are refused; reads, other sites and health go on meanwhile."""
    monkeypatch.setattr(writers, "LOCK_SECONDS", 1.0)
    monkeypatch.setattr(writers, "TURN_SECONDS", 1.5)
    change = pb.SetProfileRequest(container=TARGET, source=VALID + "# 2\n")
    other = pb.SetProfileRequest(container="sites/other", source=VALID)
    with (
        running_profile_service(database) as address,
        callers.channel(address) as channel,
        psycopg.connect(database) as locking,
    ):
        service = ProfileServiceStub(channel)
        fill(service)
        locking.execute("SELECT FROM container WHERE name = %s FOR UPDATE", (TARGET,))
        changes = [service.SetProfile.future(change) for _ in range(16)]
        for _ in range(20):
            service.ResolveProfile(RESOLUTION, timeout=SOON_SECONDS)
        service.SetProfile(other, timeout=SOON_SECONDS)
        assert health_of(address) == HealthCheckResponse.SERVING
        with refused("UNAVAILABLE", "STORE_BUSY"):
            changes[0].result(PATIENCE_SECONDS)
        assert {one.code() for one in changes} == {grpc.StatusCode.UNAVAILABLE}
        locking.rollback()
        assert service.SetProfile(change).profile.version == 2


# --- Connections that are not what they seem ------------------------------------------------


def test_connections_that_were_forgotten_refuse_nobody(database: str) -> None:
    """After a firewall swallows what is sent on all of them, calls are answered as before."""
    with (
        firewall(database) as between,
        running_profile_service(between.conninfo) as address,
        callers.channel(address) as channel,
    ):
        service = ProfileServiceStub(channel)
        fill(service)
        between.forget()
        answers = [
            service.ResolveProfile.future(RESOLUTION, timeout=SOON_SECONDS) for _ in range(8)
        ]
        assert {one.code() for one in answers} == {grpc.StatusCode.OK}
        service.SetProfile(pb.SetProfileRequest(container=TARGET, source=VALID + "# 2\n"))


def test_a_pooler_in_transaction_mode(database: str) -> None:
    """Each transaction may get another connection: nothing is kept on one."""
    with (
        pooler(database) as pooled,
        running_profile_service(pooled) as address,
        callers.channel(address) as channel,
    ):
        service = ProfileServiceStub(channel)
        fill(service)
        for number in range(3):
            service.SetProfile(
                pb.SetProfileRequest(container=TARGET, source=f"{VALID}# {number}\n")
            )
            for _ in range(3):
                found = service.ResolveProfile(RESOLUTION).profile
                assert found.source == f"{VALID}# {number}\n"
        assert health_of(address) == HealthCheckResponse.SERVING


# --- The end ----------------------------------------------------------------------------------


def test_a_call_without_a_caller_ends_before_the_service(database: str) -> None:
    """What a call uses is there until its end, also where nobody waits for it any more."""
    with psycopg.connect(database) as other:
        with running_profile_service(database) as address, callers.channel(address) as channel:
            other.execute("LOCK TABLE container")
            request = pb.GetContainerRequest(name=TARGET)
            call = ProfileServiceStub(channel).GetContainer.future(request)
            waiting = "SELECT FROM pg_locks WHERE relation = 'container'::regclass AND NOT granted"
            while other.execute(waiting).fetchone() is None:
                pass
            call.cancel()
        running = [one.name for one in threading.enumerate() if one.name.startswith("call")]
    assert running == []
