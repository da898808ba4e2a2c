"""A stream that goes well, and files that do not."""

from __future__ import annotations

import hashlib
from io import BytesIO
from queue import Queue
from threading import Thread
from typing import TYPE_CHECKING

import pydicom
import pytest
from deidcascade.v1 import deid_service_pb2 as pb
from deidcascade.v1 import profile_service_pb2 as profile_pb

from deid_service.engine import ENGINE_VERSION
from tests.support.deid_service import (
    BLANK,
    PROFILE,
    TARGET,
    Caller,
    ScriptedProfileService,
    chunk,
    ct,
    end,
    opened,
    selected,
    start,
    whole_file,
)
from tests.support.engine.build import dicom, el

if TYPE_CHECKING:
    import grpc


def test_opened_says_what_applies(channel: grpc.Channel) -> None:
    """The first answer names the profile, its version and its digest."""
    caller = Caller(channel, opened())

    answer = caller.receive()

    assert answer.opened == pb.StreamOpened(
        outcome=profile_pb.OUTCOME_PROFILE,
        profile_name=f"{TARGET}/profile",
        profile_version=1,
        profile_sha256=hashlib.sha256(PROFILE.encode()).hexdigest(),
        unchanged=False,
    )
    caller.half_close()
    assert caller.receive_all() == []


def test_a_file_comes_back_deidentified_with_a_receipt(channel: grpc.Channel) -> None:
    """The output is readable and changed by the profile, and the receipt is right."""
    data = ct()
    caller = Caller(channel, opened(), *whole_file(data))

    assert caller.receive().WhichOneof("message") == "opened"
    head = caller.receive()
    output, result = caller.receive_result()

    dataset = pydicom.dcmread(BytesIO(output))
    assert str(dataset.PatientName) == "ANON"
    assert dataset.PatientID == hashlib.sha256(b"1CT1").hexdigest()[:16]
    assert head.file.file_id == "f"
    assert head.file.suggested_filename == f"{dataset.SOPInstanceUID}.CT.dcm"
    assert result.file_id == "f"
    assert result.receipt == pb.Receipt(
        treatment=pb.TREATMENT_DEIDENTIFIED,
        profile_name=f"{TARGET}/profile",
        profile_version=1,
        profile_sha256=hashlib.sha256(PROFILE.encode()).hexdigest(),
        actions={"replace-with": 1, "hash": 1, "hashuid": 1},
        bytes_in=len(data),
        bytes_out=len(output),
        sha256=hashlib.sha256(output).hexdigest(),
        engine_version=ENGINE_VERSION,
    )


@pytest.mark.parametrize(
    ("answer", "treatment"),
    [
        (selected(BLANK), pb.TREATMENT_UNCHANGED_BLANK_PROFILE),
        (
            profile_pb.ResolveProfileResponse(outcome=profile_pb.OUTCOME_DISABLED),
            pb.TREATMENT_UNCHANGED_DISABLED,
        ),
    ],
    ids=["blank", "disabled"],
)
def test_unchanged_bytes_say_so(
    channel: grpc.Channel,
    scripted: ScriptedProfileService,
    answer: profile_pb.ResolveProfileResponse,
    treatment: pb.Treatment.ValueType,
) -> None:
    """Where nothing is to be done any bytes pass, and the receipt says why."""
    scripted.answer = lambda _request, _context: answer
    caller = Caller(channel, opened(), *whole_file(b"not DICOM at all"))

    assert caller.receive().opened.unchanged
    assert caller.receive().file.suggested_filename == ""
    output, result = caller.receive_result()

    assert output == b"not DICOM at all"
    assert result.receipt.treatment == treatment


def test_an_empty_file_passes_unchanged(
    channel: grpc.Channel, scripted: ScriptedProfileService
) -> None:
    """A file without a byte is announced and received where nothing is to be done."""
    scripted.answer = lambda _request, _context: selected(BLANK)
    caller = Caller(channel, opened(), start("empty"), end())

    answers = [caller.receive() for _ in range(3)]

    assert [answer.WhichOneof("message") for answer in answers] == ["opened", "file", "result"]
    assert answers[2].result.receipt.bytes_out == 0


def test_many_files_one_bad_in_the_middle(channel: grpc.Channel) -> None:
    """A bad file costs its own result and nothing else, with all of it sent ahead."""
    good = whole_file(ct(), "good")
    bad = whole_file(b"\x00" * 300, "bad", cut=100)
    caller = Caller(channel, opened(), *good, *bad, *good)
    caller.half_close()

    kinds = [
        answer.result.WhichOneof("result")
        for answer in caller.receive_all()
        if answer.WhichOneof("message") == "result"
    ]

    assert kinds == ["receipt", "rejection", "receipt"]


def test_a_rejection_names_the_place_and_no_value(
    channel: grpc.Channel, scripted: ScriptedProfileService
) -> None:
    """A value that a rule cannot transform is reported by reason, tag and offset."""
    scripted.answer = lambda _request, _context: selected(
        "dicom: {date-increment: 3, fields: [{name: StudyDate, increment-date: true}]}"
    )
    data = ct().replace(b"20040119", b"Maria!!!")
    caller = Caller(channel, opened(), *whole_file(data))

    _, result = caller.receive_result()

    assert result.rejection.reason == pb.REJECTION_REASON_VALUE_NOT_TRANSFORMABLE
    assert result.rejection.tag == "(0008,0020)"
    assert data[result.rejection.byte_offset :].startswith(b"\x08\x00\x20\x00DA")
    assert "Maria" not in str(result)


@pytest.mark.parametrize("sent", [b"", b"1234", b"123456"], ids=["none", "fewer", "more"])
def test_another_size_than_announced_is_rejected(
    channel: grpc.Channel, scripted: ScriptedProfileService, sent: bytes
) -> None:
    """A file that is not as long as it was said to be is rejected, also one with no rules."""
    scripted.answer = lambda _request, _context: selected(BLANK)
    caller = Caller(channel, opened(), start(size=5), chunk(sent), end())

    _, result = caller.receive_result()

    assert result.rejection.reason == pb.REJECTION_REASON_SIZE_MISMATCH


@pytest.mark.parametrize("cut", [97, 4096, 1 << 20])
def test_the_output_does_not_depend_on_the_cut(channel: grpc.Channel, cut: int) -> None:
    """However the file is cut into messages, output and receipt are the same."""
    data = ct()

    expected = Caller(channel, opened(), *whole_file(data, cut=len(data))).receive_result()
    actual = Caller(channel, opened(), *whole_file(data, cut=cut)).receive_result()

    assert actual == expected
    assert expected[1].HasField("receipt")


def test_a_file_that_inflates_hugely_holds_up_no_other(channel: grpc.Channel) -> None:
    """While a message inflates to a thousand times its size, other streams go on."""
    bomb = dicom(
        el("SOPInstanceUID", "1.2.3"), el("PixelData", bytes(400 << 20), vr="OW"), deflated=True
    )
    slow, other = Caller(channel, opened()), Caller(channel, opened())
    assert slow.receive().HasField("opened")
    assert other.receive().HasField("opened")

    slow.send(*whole_file(bomb))
    other.send(*whole_file(ct()))

    answered = Queue[Caller]()

    def wait_for(caller: Caller) -> None:
        caller.receive_result()
        answered.put(caller)

    for caller in (slow, other):
        Thread(target=wait_for, args=(caller,)).start()
    assert answered.get() is other
    assert answered.get() is slow


def test_large_output_comes_in_messages_that_callers_take(
    channel: grpc.Channel, scripted: ScriptedProfileService
) -> None:
    """A message as large as gRPC takes comes back in several smaller ones."""
    scripted.answer = lambda _request, _context: selected(BLANK)
    data = bytes(range(256)) * (15 << 10)
    caller = Caller(channel, opened(), start(), chunk(data), end())
    caller.half_close()

    chunks = [answer.chunk for answer in caller.receive_all() if answer.chunk]

    assert b"".join(chunks) == data
    assert max(map(len, chunks)) <= 2 << 20


def test_small_output_is_gathered(channel: grpc.Channel, scripted: ScriptedProfileService) -> None:
    """A thousand small messages are answered with few."""
    scripted.answer = lambda _request, _context: selected(BLANK)
    caller = Caller(channel, opened(), *whole_file(bytes(100_000), cut=100))
    caller.half_close()

    chunks = [answer.chunk for answer in caller.receive_all() if answer.chunk]

    assert [len(one) for one in chunks] == [65_600, 34_400]
