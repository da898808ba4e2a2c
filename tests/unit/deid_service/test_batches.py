"""Batches: what they are cut into changes nothing about the files."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest
from deidcascade.v1 import deid_service_pb2 as pb
from deidcascade.v1 import profile_service_pb2 as profile_pb
from hypothesis import given, settings
from hypothesis import strategies as st

from deid_service.contract.errors import ProtocolError
from deid_service.engine import compile_plan, deidentify_alike
from deid_service.serving import conversation as conversation_module
from deid_service.serving.conversation import (
    MIN_RESPONSE_BYTES,
    Conversation,
    FileRecord,
    Terms,
)
from deid_service.serving.limits import Limits
from deid_service.serving.resolver import AppliedProfile
from profile_service.language import parse_profile
from tests.support.deid_service import PROFILE, chunk, ct, end, start, whole_file
from tests.support.engine.build import dicom, el, sq

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

APPLIED = AppliedProfile(
    plan=compile_plan(parse_profile(PROFILE)),
    treatment=pb.TREATMENT_DEIDENTIFIED,
    outcome=profile_pb.OUTCOME_PROFILE,
)

# Small and large ones, one that streams in many pieces, and some that are rejected.
FILES = [
    dicom(el("PatientName", "A^B")),
    ct(),
    b"noise" * 100,
    dicom(el("PatientID", "1"), el("PixelData", bytes(300_000), "OW")),
    dicom(el("PatientName", "C"))[:-1],
    dicom(sq("ReferencedImageSequence", *[[el("SOPInstanceUID", "1.2")]] * 50)),
    b"",
    dicom(el("PatientID", "2"), el("PixelData", bytes(300_000), "OW")),
]


@dataclass
class Heard:
    """What was answered about one file."""

    file_id: str
    output: bytes = b""
    name: str = ""
    result: pb.FileResult = field(default_factory=pb.FileResult)


def conversation(terms: Terms | None = None) -> Conversation:
    """Returns a conversation under rules."""
    return Conversation(APPLIED, Limits(), lambda _: None, terms or Terms())


def answers_to(
    talk: Conversation, messages: Iterable[pb.DeidentifyRequest]
) -> list[pb.DeidentifyResponse]:
    """Returns the answers to messages, each taken to its end."""
    answers = []
    for message in messages:
        answers += talk.receive(message.SerializeToString())
        while talk.pending:
            answers += talk.go_on()
    return list(map(pb.DeidentifyResponse.FromString, answers))


def heard(answers: Iterable[pb.DeidentifyResponse]) -> list[Heard]:
    """Returns what answers say, whatever messages they came in."""
    files: list[Heard] = []
    for answer in answers:
        parts = [answer] if answer.WhichOneof("message") != "batch" else answer.batch.parts
        for part in parts:
            if part.HasField("file"):
                files.append(Heard(part.file.file_id, name=part.file.suggested_filename))
            if part.chunk:
                files[-1].output += part.chunk
            if part.HasField("result"):
                if not files or files[-1].file_id != part.result.file_id:
                    files.append(Heard(part.result.file_id))
                files[-1].result = part.result
                if part.result.HasField("rejection"):
                    files[-1].output = b""
    return files


def batch(parts: Sequence[pb.RequestPart]) -> pb.DeidentifyRequest:
    """Returns a message with parts."""
    return pb.DeidentifyRequest(batch=pb.RequestBatch(parts=parts))


def whole(data: bytes, file_id: str) -> pb.RequestPart:
    """Returns a part that is a file."""
    return pb.RequestPart(
        file=pb.FileStart(file_id=file_id, size=len(data)), chunk=data, file_end=pb.FileEnd()
    )


def plain(files: Sequence[bytes]) -> list[Heard]:
    """Returns what is said of files that come as messages."""
    return heard(
        answers_to(
            conversation(),
            [one for n, data in enumerate(files) for one in whole_file(data, str(n))],
        )
    )


def test_small_files_are_answered_by_one_message() -> None:
    """A batch of whole files has one answer, in which each has its output and its receipt."""
    files = [FILES[0], FILES[1], FILES[0]]

    (answer,) = answers_to(
        conversation(), [batch([whole(data, str(n)) for n, data in enumerate(files)])]
    )

    assert [part.HasField("file") and part.HasField("result") for part in answer.batch.parts] == [
        True
    ] * 3
    assert heard([answer]) == plain(files)
    for one in heard([answer]):
        assert one.result.receipt.sha256 == hashlib.sha256(one.output).hexdigest()


def test_large_files_of_a_batch_are_told_of_in_their_order() -> None:
    """Their digests are taken together; each record has that of its receipt all the same."""
    files = [FILES[3], FILES[7], b"noise" * 100, FILES[1], FILES[7]]
    records: list[FileRecord] = []
    talk = Conversation(APPLIED, Limits(), records.append, Terms())

    said = heard(answers_to(talk, [batch([whole(data, str(n)) for n, data in enumerate(files)])]))

    assert [record.sha256 for record in records] == [
        hashlib.sha256(one.output).hexdigest() if one.output else "" for one in said
    ]
    assert [record.sha256 for record in records] == [one.result.receipt.sha256 for one in said]
    assert [bool(record.reason) for record in records] == [False, False, True, False, False]


@pytest.mark.parametrize("place", range(3))
@pytest.mark.parametrize("bad", [b"noise" * 100, FILES[4]], ids=["noise", "cut"])
def test_a_bad_file_in_a_batch_is_one_rejection(place: int, bad: bytes) -> None:
    """Wherever it stands, the others come out."""
    files = [FILES[1]] * 3
    files[place] = bad

    said = heard(
        answers_to(conversation(), [batch([whole(d, str(n)) for n, d in enumerate(files)])])
    )

    assert [one.result.WhichOneof("result") for one in said] == [
        "rejection" if n == place else "receipt" for n in range(3)
    ]
    assert said == plain(files)


def test_a_lying_size_is_a_rejection() -> None:
    """A part whose file is shorter or longer than it says is rejected, and no other."""
    lies = [whole(FILES[1], "short"), whole(FILES[1], "long"), whole(FILES[1], "true")]
    lies[0].file.size += 1
    lies[1].file.size -= 1

    said = heard(answers_to(conversation(), [batch(lies)]))

    assert [one.result.rejection.reason for one in said] == [
        pb.REJECTION_REASON_SIZE_MISMATCH,
        pb.REJECTION_REASON_SIZE_MISMATCH,
        pb.REJECTION_REASON_UNSPECIFIED,
    ]


def slice_of(number: int) -> bytes:
    """Returns a file of a series."""
    return dicom(
        el("SOPInstanceUID", f"1.2.{number:04}"),
        el("PatientName", "A^B"),
        el("InstanceNumber", f"{number:04}"),
        el("PixelData", number.to_bytes(2, "big") * 100, "OW"),
    )


SERIES = [slice_of(number) for number in range(12)]

# Those of the series are known when they come, and are done at once where they are whole.
OF_EVERY_KIND = [*FILES, *SERIES[:3]]


def test_what_is_known_is_done_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files like those before are answered as by messages, and nothing is begun for them."""
    said = plain(SERIES)
    monkeypatch.setattr(conversation_module, "Deidentifier", None)
    parts = [whole(data, str(n)) for n, data in enumerate(SERIES)]

    assert heard(answers_to(conversation(), [batch(parts)])) == said
    assert said[0].output not in (b"", SERIES[0])


def test_what_is_known_is_not_taken_on_trust() -> None:
    """A file like those before is rejected for its size as any other."""
    plain(SERIES)
    lies = [whole(SERIES[0], "short"), whole(SERIES[1], "long"), whole(SERIES[2], "true")]
    lies[0].file.size += 1
    lies[1].file.size -= 1
    reasons = [
        one.result.rejection.reason for one in heard(answers_to(conversation(), [batch(lies)]))
    ]

    assert reasons == [
        pb.REJECTION_REASON_SIZE_MISMATCH,
        pb.REJECTION_REASON_SIZE_MISMATCH,
        pb.REJECTION_REASON_UNSPECIFIED,
    ]
    limits = replace(Limits(), max_file_bytes=len(SERIES[0]) - 1)
    talk = Conversation(APPLIED, limits, lambda _: None, Terms())
    (said,) = heard(answers_to(talk, [batch([whole(SERIES[0], "f")])]))
    assert said.result.rejection.reason == pb.REJECTION_REASON_LIMIT_EXCEEDED


def test_an_unforeseen_error_in_what_is_known_rejects_one_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing of it goes out, its place in the program is told, and the next one comes out."""
    plain(SERIES)
    real = deidentify_alike
    calls: list[int] = []

    def fails_once(*given: object, **named: object) -> object:
        calls.append(1)
        if len(calls) == 2:
            raise ZeroDivisionError
        return real(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(conversation_module, "deidentify_alike", fails_once)
    records: list[FileRecord] = []
    talk = Conversation(APPLIED, Limits(), records.append, Terms())
    said = heard(answers_to(talk, [batch([whole(SERIES[n], str(n)) for n in range(3)])]))

    assert [bool(one.output) for one in said] == [True, False, True]
    assert said[1].result.rejection.reason == pb.REJECTION_REASON_INTERNAL
    assert [record.origin.split("@")[0] for record in records] == ["", "ZeroDivisionError", ""]


@pytest.mark.parametrize(
    "parts",
    [
        [pb.RequestPart(chunk=b"x")],
        [pb.RequestPart(file_end=pb.FileEnd())],
        [pb.RequestPart(file=pb.FileStart()), pb.RequestPart(file=pb.FileStart())],
        [whole(FILES[1], "f"), pb.RequestPart(chunk=b"garbage")],
    ],
)
def test_parts_out_of_order_are_protocol_errors(parts: list[pb.RequestPart]) -> None:
    """What is out of order as messages is so in a batch."""
    with pytest.raises(ProtocolError):
        answers_to(conversation(), [batch(parts)])


def test_messages_are_answered_by_messages() -> None:
    """Who sends a batch gets batches for it, and for other messages none."""
    talk = conversation()
    first, *rest = whole_file(ct(), "f", cut=100_000)

    answers_to(talk, [first])
    (begun,) = answers_to(talk, [batch([pb.RequestPart(chunk=rest[0].chunk)])])
    ended = answers_to(talk, [end()])

    assert begun.WhichOneof("message") == "batch"
    assert "batch" not in [answer.WhichOneof("message") for answer in ended]


@pytest.mark.parametrize("most", [MIN_RESPONSE_BYTES, 200_000, 1 << 20])
def test_no_answer_is_longer_than_the_caller_takes(most: int) -> None:
    """Output that does not fit into one message comes in several, and is the same."""
    talk = conversation(Terms(max_response_bytes=most))

    answers = answers_to(talk, [batch([whole(d, str(n)) for n, d in enumerate(FILES * 3)])])

    assert max(answer.ByteSize() for answer in answers) <= most
    assert heard(answers) == plain(FILES * 3)


def test_a_batch_of_many_files_is_worked_on_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others have their turn between the files of a batch, as soon as one has taken its time."""
    monkeypatch.setattr(conversation_module, "TURN_SECONDS", -1)
    talk = conversation()
    message = batch([whole(FILES[1], str(n)) for n in range(100)]).SerializeToString()

    answers = talk.receive(message)
    turns = 0
    while talk.pending:
        turns += 1
        answers += talk.go_on()

    assert turns == 100
    assert len(heard(map(pb.DeidentifyResponse.FromString, answers))) == 100


def test_a_digest_that_nobody_wants_is_not_taken() -> None:
    """A receipt has no SHA-256 where the caller wanted none."""
    talk = conversation(Terms(digest=False))

    (said,) = heard(answers_to(talk, [batch([whole(ct(), "f")])]))

    assert (said.result.receipt.sha256, said.result.receipt.bytes_out) == ("", len(said.output))


@st.composite
def cuttings(draw: st.DrawFn) -> list[pb.DeidentifyRequest]:
    """Returns the files as messages, cut and put into batches anyhow."""
    messages: list[pb.DeidentifyRequest] = []
    parts: list[pb.RequestPart] = []
    for number, data in enumerate(OF_EVERY_KIND):
        cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=4)))
        pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
        begin, finish = start(str(number), size=len(data)), end()
        if draw(st.booleans()):
            messages += [batch(parts)] if parts else []
            parts = []
            messages += [begin, *map(chunk, pieces), finish]
            continue
        for index, piece in enumerate(pieces):
            part = pb.RequestPart(chunk=piece)
            if index == 0:
                part.file.CopyFrom(begin.file)
            if index == len(pieces) - 1:
                part.file_end.SetInParent()
            parts.append(part)
            if draw(st.booleans()):
                messages.append(batch(parts))
                parts = []
    return [*messages, batch(parts)]


@settings(max_examples=60)
@given(cuttings(), st.sampled_from([MIN_RESPONSE_BYTES, 4 << 20]))
def test_any_cutting_gives_the_same(messages: list[pb.DeidentifyRequest], most: int) -> None:
    """Outputs and receipts are those of the files alone, however they travel."""
    said = heard(answers_to(conversation(Terms(max_response_bytes=most)), messages))

    assert said == plain(OF_EVERY_KIND)


def test_earlier_files_are_those_of_the_stream() -> None:
    """A file shows those behind it on a stream, in its batch and in others, whom it is about."""
    source = "dicom:\n  base: ps3.15-2026c-basic\n  earlier-files: true\n"
    applied = replace(APPLIED, plan=compile_plan(parse_profile(source)))
    named, same, large = (
        dicom(
            el("Manufacturer", "for Gruber"),
            el("PatientName", name),
            el("PatientID", "P1"),
            el("PixelData", bytes(size), "OW"),
        )
        for name, size in (("Gruber^Anna", 2), ("", 2), ("", 300_000))
    )
    files = [same, named[:-1], same, named, large, same]

    def outputs(messages: Iterable[pb.DeidentifyRequest]) -> list[bytes]:
        talk = Conversation(applied, Limits(), lambda _: None)
        return [one.output for one in heard(answers_to(talk, messages))]

    parts = [whole(data, str(number)) for number, data in enumerate(files)]
    alone = outputs(
        one for number, data in enumerate(files) for one in whole_file(data, str(number))
    )
    assert [b"Gruber" in output for output in alone] == [True, False, True, False, False, False]
    assert alone[1] == b""
    assert outputs([batch(parts)]) == alone
    assert outputs(batch(parts[at : at + 2]) for at in range(0, 6, 2)) == alone
