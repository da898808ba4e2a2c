"""The state machine of a stream, and how files that fail are told."""

from __future__ import annotations

import hashlib
import struct
from itertools import product

import pytest
from deidcascade.v1 import deid_service_pb2 as pb
from deidcascade.v1 import profile_service_pb2 as profile_pb

from deid_service.contract.errors import ProtocolError
from deid_service.engine import compile_plan
from deid_service.serving.conversation import (
    MAX_CHUNK_BYTES,
    MIN_CHUNK_BYTES,
    Conversation,
    FileRecord,
)
from deid_service.serving.limits import Limits
from deid_service.serving.resolver import AppliedProfile
from profile_service.language import parse_profile
from tests.support.deid_service import BLANK, PROFILE, chunk, ct, end, opened, start

REACHED_BY = {
    "between": [],
    "in file": [start(size=4), chunk(b"ab")],
    "rejected": [start(size=4), chunk(b"abcde")],
}
MESSAGES = {
    "file": start("next"),
    "chunk": chunk(b"cd"),
    "file_end": end(),
    "open": opened(),
    "nothing": pb.DeidentifyRequest(),
}
# What is answered; None stands for a protocol error.
EXPECTED: dict[tuple[str, str], list[str] | None] = {
    ("between", "file"): [],
    ("in file", "chunk"): [],
    ("in file", "file_end"): ["result"],
    ("rejected", "chunk"): [],
    ("rejected", "file_end"): [],
}


def conversation(records: list[FileRecord] | None = None, *, source: str = BLANK) -> Conversation:
    """Returns a conversation, by default one in which any bytes pass."""
    applied = AppliedProfile(
        plan=compile_plan(parse_profile(source)),
        treatment=pb.TREATMENT_UNCHANGED_BLANK_PROFILE,
        outcome=profile_pb.OUTCOME_PROFILE,
    )
    return Conversation(applied, Limits(), (records if records is not None else []).append)


def say(talk: Conversation, *messages: pb.DeidentifyRequest) -> list[pb.DeidentifyResponse]:
    """Returns the answers to some messages."""
    return [
        pb.DeidentifyResponse.FromString(answer)
        for message in messages
        for answer in talk.receive(message.SerializeToString())
    ]


@pytest.mark.parametrize(("state", "message"), list(product(REACHED_BY, MESSAGES)))
def test_each_message_in_each_state(state: str, message: str) -> None:
    """A message is answered as the table says, or is a protocol error."""
    talk = conversation()
    say(talk, *REACHED_BY[state])
    expected = EXPECTED.get((state, message))

    if expected is None:
        with pytest.raises(ProtocolError):
            say(talk, MESSAGES[message])
    else:
        answers = say(talk, MESSAGES[message])
        assert [answer.WhichOneof("message") for answer in answers] == expected


@pytest.mark.parametrize("state", REACHED_BY)
def test_the_end_of_the_stream_in_each_state(state: str) -> None:
    """A stream may end between files only."""
    talk = conversation()
    say(talk, *REACHED_BY[state])

    if state == "between":
        talk.end()
    else:
        with pytest.raises(ProtocolError):
            talk.end()


def test_a_chunk_that_protobuf_wrote_oddly_counts() -> None:
    """A chunk in a message with a field of the future is read all the same."""
    talk = conversation()
    say(talk, start())
    odd = chunk(b"abc").SerializeToString() + b"\x98\x06\x01"

    talk.receive(odd)

    answers = say(talk, end())
    assert [answer.chunk for answer in answers if answer.chunk] == [b"abc"]


def test_a_file_has_one_record() -> None:
    """Each file is recorded once, when its result is answered, without its names."""
    records: list[FileRecord] = []
    talk = conversation(records)
    say(talk, start("Jane", filename="Jane.dcm"), chunk(b"abc"), end())
    say(talk, start("Joe", size=1), chunk(b"abc"), chunk(b"abc"), end())

    told = [(record.bytes_in, record.bytes_out, record.reason) for record in records]
    assert told == [(3, 3, ""), (3, 0, "SIZE_MISMATCH")]
    assert "J" not in str(records)


def test_an_unforeseen_error_rejects_the_file_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of the engine is INTERNAL for its file; its text is not told."""
    records: list[FileRecord] = []
    talk = conversation(records)
    say(talk, start("bad"))

    def fail(*_: object) -> None:
        raise ValueError("Doe^Jane")

    with monkeypatch.context() as broken:
        broken.setattr("deid_service.engine.Deidentifier.receive", fail)
        (answer,) = say(talk, chunk(b"abc"))
    good = say(talk, end(), start("good"), chunk(b"abc"), end())

    assert answer.result.rejection.reason == pb.REJECTION_REASON_INTERNAL
    assert good[-1].result.HasField("receipt")
    assert "Jane" not in f"{answer} {records}"
    assert records[0].origin.startswith("ValueError@test_conversation.py:")


def test_output_that_is_gathered_does_not_hold_input() -> None:
    """A little output does not keep alive the large message that it was cut from."""
    talk = conversation()
    say(talk, start())
    message = bytearray(chunk(b"a" * 1000).SerializeToString())

    talk.receive(message)  # type: ignore[arg-type]

    message.clear()  # Fails with BufferError while anything refers to its bytes.


LARGE = bytes(range(256)) * (MIN_CHUNK_BYTES // 256)


def pixels(chunks: list[bytes]) -> bytes:
    """Returns a file up to its pixel data, which some chunks are to be."""
    header = ct()
    header = header[: header.index(b"\xe0\x7f\x10\x00OW")]
    return header + struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, sum(map(len, chunks)))


@pytest.mark.parametrize("source", [BLANK, PROFILE])
def test_a_chunk_that_nothing_changes_goes_as_it_came(source: str) -> None:
    """Where output is all of a chunk, the response is the request, neither joined nor copied."""
    chunks = [LARGE, LARGE[::-1], LARGE, LARGE[::-1]]
    talk = conversation(source=source)
    said = say(talk, start(), chunk(pixels(chunks)), chunk(LARGE[:-1]), chunk(LARGE[-1:]))

    # The first ones find output that was gathered before them, and with the last one
    # the pixel data end.
    said += say(talk, chunk(chunks[1]))
    message = chunk(chunks[2]).SerializeToString()
    answers = talk.receive(message)
    said += map(pb.DeidentifyResponse.FromString, answers)
    said += say(talk, chunk(chunks[3]), end())

    assert answers[-1] is message
    output = b"".join(answer.chunk for answer in said)
    receipt = said[-1].result.receipt
    assert output.endswith(b"".join(chunks))
    assert receipt.bytes_out == len(output)
    assert receipt.sha256 == hashlib.sha256(output).hexdigest()


def test_a_message_that_is_more_than_its_chunk_does_not_go_as_it_came() -> None:
    """What else a request holds is not sent back, nor is more at once than callers take."""
    talk = conversation()
    say(talk, start(), chunk(LARGE))
    odd = chunk(LARGE).SerializeToString() + b"\x98\x06\x01"
    huge = chunk(LARGE * (MAX_CHUNK_BYTES // len(LARGE)) + b"x").SerializeToString()

    answers = [*talk.receive(odd), *talk.receive(huge)]

    assert [pb.DeidentifyResponse.FromString(answer).ByteSize() for answer in answers] == [
        len(chunk(LARGE).SerializeToString()),
        len(chunk(bytes(MAX_CHUNK_BYTES)).SerializeToString()),
        len(chunk(b"x").SerializeToString()),
    ]


@pytest.mark.parametrize("catches_up", [False, True])
def test_the_digest_does_not_depend_on_when_it_is_taken(catches_up: bool) -> None:
    """A caller may let the conversation catch up after each message, or never."""
    talk = conversation()
    said = []
    for message in (start(), chunk(LARGE), chunk(LARGE), chunk(b"abc"), end()):
        said += say(talk, message)
        if catches_up:
            talk.catch_up()

    assert said[-1].result.receipt.sha256 == hashlib.sha256(LARGE * 2 + b"abc").hexdigest()
