"""Messages are read ahead, all where patients are asked for: that changes nothing but when."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import cast

import pytest
from deidcascade.v1 import deid_service_pb2 as pb
from deidcascade.v1 import profile_service_pb2 as profile_pb

from deid_service.contract.errors import ProfileServiceUnavailableError, ProtocolError
from deid_service.engine import Given, compile_plan
from deid_service.serving import lookout as lookout_module
from deid_service.serving.conversation import Conversation
from deid_service.serving.incoming import (
    AHEAD_BYTES,
    LARGE_BYTES,
    MAX_AHEAD,
    Ahead,
    Incoming,
)
from deid_service.serving.limits import Limits
from deid_service.serving.lookout import Lookout
from deid_service.serving.patients import MAX_PATIENTS, Patients, Refusal
from deid_service.serving.resolver import AppliedProfile
from profile_service.language import parse_profile
from tests.support.deid_service import chunk, end, start
from tests.support.engine.build import dicom, el
from tests.support.engine.every_way import values_of
from tests.support.engine.keys import made_keys

APPLIED = AppliedProfile(
    plan=compile_plan(parse_profile("dicom:\n  fields:\n    - {name: PatientID, assign: '{0}'}\n")),
    treatment=pb.TREATMENT_DEIDENTIFIED,
    outcome=profile_pb.OUTCOME_PROFILE,
    keys=made_keys("key"),
)
NONE_LEFT = Refusal(pb.REJECTION_REASON_LIMIT_EXCEEDED, "All codes were given.")

# How each file of a patient comes: cut into messages.
Cut = Callable[[bytes], list[pb.DeidentifyRequest]]


def file_of(patient: str, size: int = 2) -> bytes:
    """Returns a file of a patient."""
    return dicom(el("PatientID", patient), el("PixelData", bytes(size), "OW"))


def batch(*files: bytes) -> pb.DeidentifyRequest:
    """Returns files in one message."""
    parts = [
        pb.RequestPart(file=pb.FileStart(), chunk=data, file_end=pb.FileEnd()) for data in files
    ]
    return pb.DeidentifyRequest(batch=pb.RequestBatch(parts=parts))


class Asked:
    """Gives codes to patients: what they are called, until there are none, or no answers, left."""

    def __init__(
        self, left: int = 10**6, answers: int = 10**6, waits_for: asyncio.Event | None = None
    ) -> None:
        self.requests: list[list[str]] = []
        self._left = left
        self._answers = answers
        self._waits_for = waits_for

    async def given(self, plan: object, patients: list[str]) -> list[Given] | Refusal:
        """As `Patients.given`."""
        del plan
        self.requests.append(patients)
        if self._waits_for is not None:
            await self._waits_for.wait()
        if len(self.requests) > self._answers:
            raise ProfileServiceUnavailableError("gone")
        if len(patients) > self._left:
            return NONE_LEFT
        self._left -= len(patients)
        return [Given(f"CODE {patient}") for patient in patients]


def converse(
    messages: Sequence[pb.DeidentifyRequest],
    asked: Asked,
    *,
    all_read: asyncio.Event | None = None,
    limits: Limits | None = None,
) -> list[str]:
    """Says messages on a stream; returns what each file had for the patient, or the reason."""
    return asyncio.run(_converse(messages, asked, all_read, limits or Limits()))


async def _converse(
    messages: Sequence[pb.DeidentifyRequest],
    asked: Asked,
    all_read: asyncio.Event | None,
    limits: Limits,
) -> list[str]:
    left = [message.SerializeToString() for message in messages]
    held = 0

    async def read() -> object:
        nonlocal held
        assert held < AHEAD_BYTES
        await asyncio.sleep(0)
        if not left:
            if all_read is not None:
                all_read.set()
            return None
        held += len(left[0])
        return left.pop(0)

    conversation = Conversation(APPLIED, limits, lambda _: None)
    answers: list[bytes] = []
    patients = cast("Patients", asked)
    read_next = cast("Callable[[], Awaitable[object]]", read)
    async with Incoming(read_next, conversation, patients, Ahead()) as i:
        while isinstance(message := await i.next(), bytes):
            held -= len(message)
            await i.read_on(LARGE_BYTES)
            answers += conversation.receive(message)
            while conversation.pending:
                if (patient := conversation.awaited) is not None:
                    try:
                        await i.settle(patient)
                    except ProfileServiceUnavailableError:
                        return [*told(answers), "UNAVAILABLE"]
                answers += conversation.go_on()
        conversation.end()
    return told(answers)


def told(answers: Sequence[bytes]) -> list[str]:
    """Returns what each file had for the patient, or the reason."""
    found, output = [], b""
    for answer in map(pb.DeidentifyResponse.FromString, answers):
        for part in answer.batch.parts or [answer]:
            output += part.chunk
            if part.HasField("result"):
                rejection = part.result.rejection
                reason = pb.RejectionReason.Name(rejection.reason)
                receipt = part.result.HasField("receipt")
                found.append(values_of(output)[0x00100020].decode() if receipt else reason)
                output = b""
    return [each.removeprefix("REJECTION_REASON_").strip() for each in found]


class Line:
    """Gives messages that a caller has sent, or waits for them."""

    def __init__(self) -> None:
        self.asked = 0
        self.ended = 0
        self.sent: asyncio.Queue[bytes] = asyncio.Queue()

    async def read(self) -> object:
        """Reads the next message."""
        self.asked += 1
        try:
            return await self.sent.get()
        finally:
            self.ended += 1


def incoming(line: Line, ahead: Ahead) -> Incoming:
    """Returns the messages of a stream whose profile gives nothing to patients."""
    profile = parse_profile("dicom:\n  fields:\n    - {name: PatientID, remove: true}\n")
    applied = replace(APPLIED, plan=compile_plan(profile))
    conversation = Conversation(applied, Limits(), lambda _: None)
    return Incoming(line.read, conversation, cast("Patients", Asked()), ahead)


@pytest.mark.parametrize(("size", "asked"), [(LARGE_BYTES - 1, 0), (LARGE_BYTES, 1)])
def test_the_next_message_comes_while_a_large_one_is_worked_on(size: int, asked: int) -> None:
    """For a small one that is not worth it."""

    async def run() -> None:
        line = Line()
        async with incoming(line, Ahead()) as messages:
            await messages.read_on(size)
            assert line.asked == asked
            line.sent.put_nowait(b"next")
            assert await messages.next() == b"next"
            line.sent.put_nowait(b"last")
            assert await messages.next() == b"last"
            assert line.asked == 2

    asyncio.run(run())


def test_few_streams_of_a_worker_read_on_at_a_time() -> None:
    """A place is free again when the message is taken, or its stream has ended."""

    async def run() -> None:
        ahead = Ahead()
        lines = [Line() for _ in range(MAX_AHEAD + 2)]
        async with AsyncExitStack() as open_:
            streams = [await open_.enter_async_context(incoming(line, ahead)) for line in lines]
            for stream in streams[:-1]:
                await stream.read_on(LARGE_BYTES)
            assert [line.asked for line in lines] == [1] * MAX_AHEAD + [0, 0]
            lines[0].sent.put_nowait(b"next")
            await streams[0].next()
            await streams[-2].read_on(LARGE_BYTES)
            assert lines[-2].asked == 1
            await streams[1].__aexit__(None, None, None)
            assert lines[1].ended == 1
            await streams[-1].read_on(LARGE_BYTES)
            assert lines[-1].asked == 1

    asyncio.run(run())


def test_asked_for_together() -> None:
    """While one request is under way the patients of all further messages gather for the next."""
    all_read = asyncio.Event()
    asked = Asked(waits_for=all_read)
    patients = ["a", "b", "a", "c", "d", "b", "e"]

    codes = converse([batch(file_of(p)) for p in patients], asked, all_read=all_read)

    assert codes == [f"CODE {patient}" for patient in patients]
    assert asked.requests[0][0] == "a"
    assert [patient for each in asked.requests for patient in each] == list("abcde")
    assert len(asked.requests) == 2


CUTS: dict[str, Cut] = {
    "batch": lambda data: [batch(data)],
    "three messages": lambda data: [start(), chunk(data), end()],
    "pieces": lambda data: [
        start(),
        *(chunk(data[at : at + 50]) for at in range(0, 400, 50)),
        end(),
    ],
}


@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
def test_however_files_come(cut: Cut) -> None:
    """Files have their own patient's code however they are cut; what says nobody is rejected."""
    files = [file_of("a"), dicom(el("Rows", (2,))), file_of("b"), b"noise" * 60, file_of("a")]

    codes = converse([message for data in files for message in cut(data)], Asked())

    reasons = ["VALUE_NOT_TRANSFORMABLE", "NOT_DICOM"]
    assert codes == ["CODE a", reasons[0], "CODE b", reasons[1], "CODE a"]


def test_bound() -> None:
    """No more is read ahead than the bound, and no more patients are asked for at once."""
    many = [batch(*(file_of(f"{start} {n}") for n in range(130))) for start in range(3)]
    large = [batch(file_of(f"large {n}", AHEAD_BYTES // 3)) for n in range(8)]
    asked = Asked()

    codes = converse([*many, *large, *many], asked)

    assert len(codes) == 3 * 130 + 8 + 3 * 130
    assert codes[:390] == codes[398:]
    assert all(code.startswith("CODE ") for code in codes)
    assert max(map(len, asked.requests)) == MAX_PATIENTS


def test_few_left() -> None:
    """What is refused to several together is given to the first of them, and not to the rest."""
    messages = [batch(*map(file_of, "abc")), batch(*map(file_of, "bad"))]

    codes = converse(messages, Asked(left=2))

    none = "LIMIT_EXCEEDED"
    assert codes == ["CODE a", "CODE b", none, "CODE b", "CODE a", none]


def test_nobody_answers() -> None:
    """Who cannot be asked for ends the stream, behind the answers to the files before."""
    asked = Asked(answers=1)

    codes = converse([batch(file_of("a")), batch(file_of("a"), file_of("b"))], asked)

    assert codes == ["CODE a", "UNAVAILABLE"]
    assert asked.requests == [["a"], ["b"]]


def test_what_is_forgotten_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more patients than are remembered, those who come again are asked for again."""
    monkeypatch.setattr(lookout_module, "MAX_KNOWN_PATIENTS", 2)
    asked = Asked()

    codes = converse([batch(*map(file_of, "abcde")), batch(*map(file_of, "edcba"))], asked)

    assert codes == [f"CODE {patient}" for patient in "abcdeedcba"]


def test_too_large() -> None:
    """Nothing is given to the patient of a file that is larger than files may be."""
    asked = Asked()
    large, limits = file_of("b", 9000), Limits(max_file_bytes=5000)
    announced = [start(size=9000), chunk(large), end()]
    in_two = [start(), chunk(large[:132]), chunk(large[132:]), end()]

    messages = [batch(file_of("a")), *announced, *in_two, batch(large)]
    codes = converse(messages, asked, limits=limits)

    assert codes == ["CODE a", *["LIMIT_EXCEEDED"] * 3]
    assert asked.requests == [["a"]]


@pytest.mark.parametrize(
    "wrong",
    [
        [end()],
        [chunk(b"x")],
        [start(), start()],
        [start(), batch(file_of("b"))],
        [pb.DeidentifyRequest()],
        [batch(file_of("b")), start()],
    ],
)
def test_out_of_order(wrong: list[pb.DeidentifyRequest]) -> None:
    """What is out of order ends the stream as it does where nothing is read ahead."""
    with pytest.raises(ProtocolError):
        converse([batch(file_of("a")), *wrong], Asked())


def test_unseen() -> None:
    """A message that nobody has looked at before leaves nothing through."""
    conversation = Conversation(APPLIED, Limits(), lambda _: None)

    answers = conversation.receive(batch(file_of("a")).SerializeToString())

    assert told(answers) == ["INTERNAL"]


def test_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message of very many files is looked at in turns."""
    monkeypatch.setattr(lookout_module, "TURN_SECONDS", -1.0)
    plan = APPLIED.plan.for_stream(APPLIED.keys)
    lookout = Lookout(plan, Limits())

    turns = list(lookout.look(batch(*map(file_of, "abc")).SerializeToString()))

    assert len(turns) == 3
    assert lookout.ask(2) == ["a", "b"]
    assert lookout.ask(2) == ["c"]
