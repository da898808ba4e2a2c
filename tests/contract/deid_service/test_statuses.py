"""Each status and reason with which a stream as a whole can fail."""

from __future__ import annotations

import hashlib
import threading
from typing import TYPE_CHECKING

import grpc
import pytest
from deidcascade.v1 import deid_service_pb2 as pb
from deidcascade.v1 import profile_service_pb2 as profile_pb

from deid_service.contract.errors import LevelVerdict, ProfileProblem
from deid_service.contract.rpc_errors import BROKEN, Details, read_details
from deid_service.serving import resolver as profiles
from deid_service.serving.limits import Limits
from tests.support.callers import channel as open_a_channel
from tests.support.deid_service import (
    BLANK,
    TARGET,
    Caller,
    ScriptedProfileService,
    chunk,
    ct,
    end,
    failure_of,
    opened,
    running_deid_service,
    selected,
    serving,
    start,
    status_of,
    whole_file,
)

if TYPE_CHECKING:
    from collections.abc import Callable

INVALID_ORDERS = {
    "nothing": [],
    "file first": [start()],
    "chunk first": [chunk(b"x")],
    "end first": [end()],
    "empty message first": [pb.DeidentifyRequest()],
    "opened twice": [opened(), opened()],
    "opened in a file": [opened(), start(), opened()],
    "chunk outside a file": [opened(), chunk(b"x")],
    "chunk after a file": [opened(), *whole_file(b"x"), chunk(b"x")],
    "end outside a file": [opened(), end()],
    "end twice": [opened(), *whole_file(b"x"), end()],
    "file in a file": [opened(), start(), start()],
    "file in a rejected file": [opened(), start(size=1), chunk(b"xx"), start()],
    "unfinished file": [opened(), start(), chunk(b"x")],
    "unfinished rejected file": [opened(), start(size=1), chunk(b"xx")],
    "empty message": [opened(), pb.DeidentifyRequest()],
    "long file_id": [opened(), start("i" * 1025)],
    "long filename": [opened(), start(filename="n" * 1025)],
}


@pytest.mark.parametrize("messages", INVALID_ORDERS.values(), ids=INVALID_ORDERS)
def test_a_message_out_of_order_ends_the_stream(
    channel: grpc.Channel, messages: list[pb.DeidentifyRequest]
) -> None:
    """Whatever comes where it does not belong is INVALID_ARGUMENT PROTOCOL_ERROR."""
    caller = Caller(channel, *messages)
    caller.half_close()

    assert status_of(caller.receive_all) == ("INVALID_ARGUMENT", "PROTOCOL_ERROR")


@pytest.mark.parametrize("opening", [[], [opened().SerializeToString()]], ids=["first", "later"])
def test_garbage_ends_the_stream(channel: grpc.Channel, opening: list[bytes]) -> None:
    """Bytes that are no message are the caller's fault, and named so."""
    method: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(
        "/deidcascade.v1.DeidService/Deidentify"
    )
    call = method(iter([*opening, b"\x1a\xff\xff\xff garbage"]))

    assert status_of(lambda: list(call)) == ("INVALID_ARGUMENT", "PROTOCOL_ERROR")


def refusing(code: grpc.StatusCode) -> Callable[..., profile_pb.ResolveProfileResponse]:
    """Returns an answer of ProfileService that is an error."""

    def answer(
        _request: profile_pb.ResolveProfileRequest, context: grpc.ServicerContext
    ) -> profile_pb.ResolveProfileResponse:
        context.abort(code, "no")

    return answer


@pytest.mark.parametrize(
    ("refusal", "expected"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, ("INVALID_ARGUMENT", "INVALID_NAME")),
        (grpc.StatusCode.NOT_FOUND, ("NOT_FOUND", "TARGET_NOT_FOUND")),
        (grpc.StatusCode.INTERNAL, ("UNAVAILABLE", "PROFILE_SERVICE_UNAVAILABLE")),
        (grpc.StatusCode.PERMISSION_DENIED, ("UNAVAILABLE", "PROFILE_SERVICE_UNAVAILABLE")),
        (grpc.StatusCode.UNIMPLEMENTED, ("UNAVAILABLE", "PROFILE_SERVICE_UNAVAILABLE")),
        (grpc.StatusCode.UNAVAILABLE, ("UNAVAILABLE", "PROFILE_SERVICE_UNAVAILABLE")),
    ],
    ids=lambda value: value.name if isinstance(value, grpc.StatusCode) else "",
)
def test_a_refusal_of_profile_service_refuses_the_stream(
    channel: grpc.Channel,
    scripted: ScriptedProfileService,
    refusal: grpc.StatusCode,
    expected: tuple[str, str],
) -> None:
    """What is wrong with the target is told; anything else is no answer."""
    scripted.answer = refusing(refusal)
    caller = Caller(channel, opened(), *whole_file(ct()))

    assert status_of(caller.receive_all) == expected


@pytest.mark.parametrize("code", sorted(BROKEN, key=str), ids=lambda code: code.name)
def test_only_what_passes_is_asked_again(
    channel: grpc.Channel, scripted: ScriptedProfileService, code: grpc.StatusCode
) -> None:
    """A ProfileService that is away for a moment is not noticed; an error is not repeated."""
    answers = iter([refusing(code)] * 2)
    scripted.answer = lambda request, context: next(answers, lambda *_: selected())(
        request, context
    )
    caller = Caller(channel, opened())
    assert caller.receive().opened.profile_version == 1
    assert len(scripted.requests) == 3
    caller.half_close()

    scripted.answer = refusing(grpc.StatusCode.INTERNAL)
    status_of(Caller(channel, opened()).receive)
    assert len(scripted.requests) == 4


def tampered(change: Callable[[profile_pb.Profile], None]) -> profile_pb.ResolveProfileResponse:
    """Returns an answer with something wrong in its profile."""
    answer = selected()
    change(answer.profile)
    return answer


def set_source(source: str, *, digest: bool = True) -> Callable[[profile_pb.Profile], None]:
    """Returns a change of the profile's text."""

    def change(profile: profile_pb.Profile) -> None:
        profile.source = source
        if digest:
            profile.sha256 = hashlib.sha256(source.encode()).hexdigest()

    return change


NOT_SUPPORTED = {
    "no outcome": profile_pb.ResolveProfileResponse(),
    "an outcome of the future": profile_pb.ResolveProfileResponse(
        outcome=99,  # type: ignore[arg-type]
        profile=selected().profile,
    ),
    "no profile": profile_pb.ResolveProfileResponse(outcome=profile_pb.OUTCOME_PROFILE),
    "no validity": tampered(lambda profile: profile.ClearField("validity")),
    "no text": tampered(lambda profile: profile.ClearField("source")),
    "another text": tampered(set_source(BLANK, digest=False)),
    "an invalid text": tampered(set_source("dicom: {fields: [{name: PatientNme, remove: true}]}")),
    "not YAML": tampered(set_source("dicom: {")),
    "a blank one that is not called so": tampered(set_source(BLANK)),
}


@pytest.mark.parametrize("answer", NOT_SUPPORTED.values(), ids=NOT_SUPPORTED)
def test_what_is_not_understood_refuses_the_stream(
    channel: grpc.Channel,
    scripted: ScriptedProfileService,
    answer: profile_pb.ResolveProfileResponse,
) -> None:
    """An answer that this build cannot follow to the letter lets no byte through."""
    scripted.answer = lambda _request, _context: answer
    caller = Caller(channel, opened(), *whole_file(ct()))
    caller.half_close()

    assert status_of(caller.receive) == ("FAILED_PRECONDITION", "PROFILE_NOT_SUPPORTED")


def test_no_valid_profile_says_why_at_every_level(
    channel: grpc.Channel, scripted: ScriptedProfileService
) -> None:
    """The status carries each level's verdict, in words and as data."""
    violation = profile_pb.Violation(
        code="UNKNOWN_KEYWORD", path="dicom.fields[0].name", line=3, column=13, message="No."
    )
    levels = [
        profile_pb.LevelVerdict(
            container=TARGET,
            verdict=profile_pb.VERDICT_INVALID,
            version=4,
            violations=[violation],
        ),
        profile_pb.LevelVerdict(container="sites/s", verdict=profile_pb.VERDICT_ABSENT),
    ]
    scripted.answer = lambda _request, _context: profile_pb.ResolveProfileResponse(
        outcome=profile_pb.OUTCOME_NO_VALID_PROFILE, levels=levels
    )
    caller = Caller(channel, opened(), *whole_file(ct()))

    error = failure_of(caller.receive)

    assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert error.details() == (
        f"No level has a valid profile: {TARGET}: INVALID (version 4, 1 violation, the first "
        "in line 3, column 13: UNKNOWN_KEYWORD); sites/s: ABSENT."
    )
    problem = ProfileProblem("UNKNOWN_KEYWORD", "dicom.fields[0].name", 3, 13, "No.", "")
    assert read_details(error) == Details(
        "NO_VALID_PROFILE",
        (
            LevelVerdict(TARGET, "INVALID", 4, (problem,)),
            LevelVerdict("sites/s", "ABSENT", 0, ()),
        ),
    )


def test_a_thousand_violations_still_make_a_status(
    channel: grpc.Channel, scripted: ScriptedProfileService
) -> None:
    """The details are cut to what gRPC carries, the levels never."""
    violation = profile_pb.Violation(code="UNKNOWN_KEYWORD", message="ä" * 200, line=1, column=1)
    levels = [
        profile_pb.LevelVerdict(
            container=f"sites/{'s' * 60}/groups/{'g' * 60}/projects/{'p' * 60}{number}",
            verdict=profile_pb.VERDICT_INVALID,
            violations=[violation] * 1000,
        )
        for number in range(3)
    ]
    scripted.answer = lambda _request, _context: profile_pb.ResolveProfileResponse(
        outcome=profile_pb.OUTCOME_NO_VALID_PROFILE, levels=levels
    )

    reason, verdicts, _ = read_details(failure_of(Caller(channel, opened()).receive))

    assert reason == "NO_VALID_PROFILE"
    assert [verdict.container for verdict in verdicts] == [level.container for level in levels]
    assert all(verdict.problems for verdict in verdicts)


def test_too_many_streams_are_refused_and_the_others_go_on(scripted_address: str) -> None:
    """The stream past the limit is refused, and there is a place when one ends."""
    with (
        running_deid_service(scripted_address, Limits(max_streams=2)) as running,
        open_a_channel(running.address) as channel,
    ):
        callers = [Caller(channel, opened()) for _ in range(2)]
        for caller in callers:
            assert caller.receive().HasField("opened")

        third = Caller(channel, opened())
        assert status_of(third.receive) == ("RESOURCE_EXHAUSTED", "TOO_MANY_STREAMS")

        callers[0].half_close()
        assert callers[0].receive_all() == []
        callers[1].send(*whole_file(ct()))
        assert callers[1].receive_result()[1].HasField("receipt")
        callers[1].half_close()
        fourth = Caller(channel, opened())
        assert fourth.receive().HasField("opened")
        fourth.half_close()
        assert fourth.receive_all() == []


@pytest.mark.parametrize(
    "messages",
    [[], [opened()], [opened(), start()], [opened(), start(), chunk(b"x")]],
    ids=["nothing", "open", "file", "chunk"],
)
def test_a_caller_that_sends_nothing_is_ended(
    scripted_address: str, messages: list[pb.DeidentifyRequest]
) -> None:
    """Wherever a caller stops sending, the stream ends after the idle time."""
    with (
        running_deid_service(scripted_address, Limits(idle_seconds=0.2)) as running,
        open_a_channel(running.address) as channel,
    ):
        caller = Caller(channel, *messages)

        assert status_of(caller.receive_all) == ("RESOURCE_EXHAUSTED", "STREAM_IDLE")
        running.wait_for_count(0)


def test_a_slow_caller_is_not_idle(scripted_address: str) -> None:
    """A message now and then keeps a stream open beyond the idle time."""
    with (
        running_deid_service(scripted_address, Limits(idle_seconds=2.0)) as running,
        open_a_channel(running.address) as channel,
    ):
        caller = Caller(channel, opened())
        pause = threading.Event()
        for message in whole_file(ct(), cut=8000):
            # A busy machine may take a second longer.
            pause.wait(0.4)
            caller.send(message)

        assert caller.receive_result()[1].HasField("receipt")
        caller.half_close()


def test_limits_of_a_file_reject_it_alone(scripted_address: str) -> None:
    """A file past a limit is rejected, announced or not, and the next one is not."""
    data = ct()
    limits = Limits(max_file_bytes=len(data))
    large = data + b"\x00"
    with (
        running_deid_service(scripted_address, limits) as running,
        open_a_channel(running.address) as channel,
    ):
        announced = whole_file(large)
        unannounced = [start(), chunk(large), end()]
        caller = Caller(channel, opened(), *announced, *unannounced, *whole_file(data))

        reasons = [caller.receive_result()[1].rejection.reason for _ in range(3)]

        assert reasons == [
            pb.REJECTION_REASON_LIMIT_EXCEEDED,
            pb.REJECTION_REASON_LIMIT_EXCEEDED,
            pb.REJECTION_REASON_UNSPECIFIED,
        ]
        caller.half_close()


def test_nobody_there_to_ask(
    monkeypatch: pytest.MonkeyPatch, scripted: ScriptedProfileService
) -> None:
    """Without ProfileService streams are refused, and work again by themselves with it."""
    monkeypatch.setattr(profiles, "RETRIES", 1)
    with serving(scripted) as address:
        pass  # The port is free again now, and nobody else is given it for a while.
    with (
        running_deid_service(address) as running,
        open_a_channel(running.address) as channel,
    ):
        refused = Caller(channel, opened(), *whole_file(ct()))
        expected = ("UNAVAILABLE", "PROFILE_SERVICE_UNAVAILABLE")
        assert status_of(refused.receive) == expected

        with serving(scripted, address):
            statuses = {"", "PROFILE_SERVICE_UNAVAILABLE"}
            for _ in range(100):
                caller = Caller(channel, opened(), *whole_file(ct()))
                caller.half_close()
                statuses = {status_of(caller.receive_all)[1]}
                if statuses == {""}:
                    break
            assert statuses == {""}


def test_a_profile_service_that_hangs(
    monkeypatch: pytest.MonkeyPatch, scripted: ScriptedProfileService, scripted_address: str
) -> None:
    """An answer that does not come within the deadline refuses the stream."""
    monkeypatch.setattr(profiles, "ATTEMPT_DEADLINE_SECONDS", 0.2)
    release = threading.Event()

    def hang(*_: object) -> profile_pb.ResolveProfileResponse:
        release.wait(10)
        return selected()

    scripted.answer = hang
    with (
        running_deid_service(scripted_address) as running,
        open_a_channel(running.address) as channel,
    ):
        caller = Caller(channel, opened(), *whole_file(ct()))
        status = status_of(caller.receive)
        release.set()

    assert status == ("UNAVAILABLE", "PROFILE_SERVICE_UNAVAILABLE")


def test_what_is_not_foreseen_is_internal_and_silent(
    scripted_address: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A fault of the service ends the stream, and its text reaches nobody."""

    def fail(*_: object) -> None:
        raise KeyError("Doe^Jane")

    monkeypatch.setattr("deid_service.serving.servicer.Conversation", fail)
    with (
        running_deid_service(scripted_address) as running,
        open_a_channel(running.address) as channel,
    ):
        caller = Caller(channel, opened())
        assert caller.receive().HasField("opened")
        error = failure_of(caller.receive)

    assert (error.code(), read_details(error).reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert "Jane" not in f"{error.details()} {caplog.text}"
    assert "origin=KeyError@test_statuses.py" in caplog.text
