"""Profiles that change, callers that leave or lag, health, and the drain."""

from __future__ import annotations

import resource
import threading
from typing import TYPE_CHECKING

import grpc
from deidcascade.v1 import deid_service_pb2 as pb
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from tests.support import callers
from tests.support.deid_service import (
    BLANK,
    PROFILE,
    Caller,
    Running,
    ScriptedProfileService,
    chunk,
    ct,
    end,
    opened,
    running_deid_service,
    selected,
    serving,
    start,
    status_of,
    whole_file,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest
    from deidcascade.v1 import profile_service_pb2 as profile_pb

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
REMOVES = "dicom: {fields: [{name: PatientName, remove: true}]}"


def test_a_new_version_applies_to_the_next_stream(
    channel: grpc.Channel, scripted: ScriptedProfileService
) -> None:
    """A stream keeps the version it was opened with; one opened later has the new one."""
    old = Caller(channel, opened())
    assert old.receive().opened.profile_version == 1
    scripted.answer = lambda _request, _context: selected(REMOVES, version=2)
    new = Caller(channel, opened())
    assert new.receive().opened.profile_version == 2

    for caller in (old, new):
        caller.send(*whole_file(ct()))
        caller.half_close()
    (old_output, old_result), (new_output, new_result) = (
        old.receive_result(),
        new.receive_result(),
    )

    assert (old_result.receipt.profile_version, new_result.receipt.profile_version) == (1, 2)
    assert (b"ANON" in old_output, b"ANON" in new_output) == (True, False)


def test_a_text_that_is_known_is_not_asked_for_again(
    channel: grpc.Channel, scripted: ScriptedProfileService
) -> None:
    """Each stream asks, and names the digests of the texts that it need not be sent."""

    def answer(
        request: profile_pb.ResolveProfileRequest, _context: grpc.ServicerContext
    ) -> profile_pb.ResolveProfileResponse:
        response = selected()
        if response.profile.sha256 in request.known_sha256:
            response.profile.ClearField("source")
        return response

    scripted.answer = answer
    for _ in range(2):
        caller = Caller(channel, opened(), *whole_file(ct()))
        assert caller.receive_result()[1].HasField("receipt")
        caller.half_close()

    known = [list(request.known_sha256) for request in scripted.requests]
    assert known == [[], [selected().profile.sha256]]


def test_a_profile_is_compiled_once_for_many_streams(
    channel: grpc.Channel, scripted: ScriptedProfileService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Streams that open at the same moment share the work of compiling, however it ends."""
    from deid_service.serving import resolver as profiles

    calls: list[str] = []
    compile_once = profiles._compile
    all_there = threading.Event()

    def counted(source: str, *, learn: bool) -> object:
        calls.append(source)
        assert all_there.wait(10)
        return compile_once(source, learn=learn)

    def answer(
        _request: profile_pb.ResolveProfileRequest, _context: grpc.ServicerContext
    ) -> profile_pb.ResolveProfileResponse:
        # Some answers are on their way when it has been compiled.
        if len(scripted.requests) == 20:
            all_there.set()
        return selected()

    scripted.answer = answer
    monkeypatch.setattr(profiles, "_compile", counted)
    callers = [Caller(channel, opened()) for _ in range(20)]
    versions = [caller.receive().opened.profile_version for caller in callers]
    for caller in callers:
        caller.half_close()
        assert caller.receive_all() == []

    assert versions == [1] * 20
    assert calls == [PROFILE]


def test_a_caller_that_cancels_leaves_nothing(channel: grpc.Channel, service: Running) -> None:
    """A stream that is cancelled in the middle of a file is gone, and the next works."""
    caller = Caller(channel, opened(), start(), chunk(ct()[:20000]))
    assert caller.receive().HasField("opened")

    caller.call.cancel()

    service.wait_for_count(0)
    again = Caller(channel, opened(), *whole_file(ct()))
    assert again.receive_result()[1].HasField("receipt")
    again.half_close()


def test_a_caller_that_vanishes_leaves_nothing(service: Running) -> None:
    """A stream whose connection is closed in the middle of a file is gone."""
    with callers.channel(service.address) as channel:
        caller = Caller(channel, opened(), start(), chunk(ct()[:20000]))
        assert caller.receive().HasField("opened")

    service.wait_for_count(0)


def test_a_slow_reader_slows_its_own_sender(
    channel: grpc.Channel, scripted: ScriptedProfileService, service: Running
) -> None:
    """A caller that reads nothing can send a few MiB and no more; others are not held up."""
    scripted.answer = lambda _request, _context: selected(BLANK)
    size, sent = 256 << 10, 0

    def requests() -> Iterator[pb.DeidentifyRequest]:
        nonlocal sent
        yield opened()
        yield start()
        for _ in range(2000):
            sent += size
            yield chunk(bytes(size))
        yield end()

    method: grpc.StreamStreamMultiCallable[pb.DeidentifyRequest, bytes] = channel.stream_stream(
        "/deidcascade.v1.DeidService/Deidentify",
        request_serializer=pb.DeidentifyRequest.SerializeToString,
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    slow = method(requests())
    next(iter(slow))

    with callers.channel(service.address, options=[("grpc.use_local_subchannel_pool", 1)]) as other:
        for _ in range(5):
            caller = Caller(other, opened(), *whole_file(ct()))
            assert caller.receive_result()[1].HasField("receipt")
            caller.half_close()
            assert caller.receive_all() == []
    # Time enough to send what there is, were it not held up.
    threading.Event().wait(0.3)
    sent_unread = sent

    received = sum(len(message) for message in slow)

    assert sent_unread < 64 << 20
    assert received > 2000 * size
    assert sent == 2000 * size
    # Kilobytes; half a gigabyte went through.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 128 << 10


def watch(channel: grpc.Channel) -> Iterator[health_pb2.HealthCheckResponse]:
    """Returns the health of the service as it changes."""
    watching: grpc.UnaryStreamMultiCallable[
        health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse
    ] = channel.unary_stream(
        "/grpc.health.v1.Health/Watch",
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )
    return watching(health_pb2.HealthCheckRequest(service="deidcascade.v1.DeidService"))


def test_health_follows_profile_service(scripted: ScriptedProfileService) -> None:
    """The service is healthy exactly while ProfileService answers."""
    with serving(scripted) as address:
        pass
    with (
        running_deid_service(address) as running,
        callers.channel(running.address) as channel,
    ):
        changes = watch(channel)
        assert next(changes).status == NOT_SERVING
        with serving(scripted, address):
            assert next(changes).status == SERVING
        assert next(changes).status == NOT_SERVING


def test_reflection_lists_the_services(channel: grpc.Channel) -> None:
    """A caller without the contract's files can ask for it."""
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    request = reflection_pb2.ServerReflectionRequest(list_services="")

    answer = next(stub.ServerReflectionInfo(iter([request])))  # type: ignore[operator]

    names = {service.name for service in answer.list_services_response.service}
    assert "deidcascade.v1.DeidService" in names


def begun_file(channel: grpc.Channel) -> Caller:
    """Returns a stream in the middle of a file, of which output has come already."""
    caller = Caller(channel, opened(), start(), chunk(bytes(100_000)))
    answers = [caller.receive().WhichOneof("message") for _ in range(3)]
    assert answers == ["opened", "file", "chunk"]
    return caller


def test_the_drain_finishes_open_files_and_takes_no_more(
    scripted: ScriptedProfileService, scripted_address: str
) -> None:
    """An open file gets its receipt; idle and new streams are refused, health first."""
    scripted.answer = lambda _request, _context: selected(BLANK)
    with (
        running_deid_service(scripted_address, drain_seconds=20) as running,
        callers.channel(running.address) as channel,
    ):
        changes = watch(channel)
        assert any(change.status == SERVING for change in changes)
        idle = Caller(channel, opened())
        assert idle.receive().HasField("opened")
        busy = begun_file(channel)

        running.stop()

        assert next(changes).status == NOT_SERVING
        assert status_of(idle.receive) == ("UNAVAILABLE", "SHUTTING_DOWN")
        new = Caller(channel, opened())
        assert status_of(new.receive) == ("UNAVAILABLE", "SHUTTING_DOWN")
        busy.send(chunk(bytes(50_000)), end())
        assert busy.receive_result()[1].receipt.bytes_in == 150_000
        assert status_of(busy.receive) == ("UNAVAILABLE", "SHUTTING_DOWN")


def test_the_drain_refuses_a_file_that_follows(
    scripted: ScriptedProfileService, scripted_address: str
) -> None:
    """A file that is sent behind the open one is not begun."""
    scripted.answer = lambda _request, _context: selected(BLANK)
    with (
        running_deid_service(scripted_address, drain_seconds=20) as running,
        callers.channel(running.address) as channel,
    ):
        changes = watch(channel)
        assert any(change.status == SERVING for change in changes)
        caller = begun_file(channel)
        running.stop()
        assert next(changes).status == NOT_SERVING
        caller.send(end(), *whole_file(ct(), "second"))

        assert caller.receive_result()[1].file_id == "f"
        assert status_of(caller.receive) == ("UNAVAILABLE", "SHUTTING_DOWN")


def test_the_drain_ends_in_time(scripted: ScriptedProfileService, scripted_address: str) -> None:
    """A file that is not finished within the drain time is ended, with a reason."""
    scripted.answer = lambda _request, _context: selected(BLANK)
    with (
        running_deid_service(scripted_address, drain_seconds=0.3) as running,
        callers.channel(running.address) as channel,
    ):
        caller = begun_file(channel)

        running.stop()

        assert status_of(caller.receive_all) == ("UNAVAILABLE", "SHUTTING_DOWN")
