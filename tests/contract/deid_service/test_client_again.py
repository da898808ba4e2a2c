"""When the upload client tries again, and when it ends at once."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import grpc
import pytest
from deidcascade.v1 import deid_service_pb2 as pb
from deidcascade.v1 import profile_service_pb2 as profile_pb
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from deid_service.client import (
    FileResult,
    NoRoomError,
    Outcome,
    Source,
    StreamRefusedError,
    Upload,
)
from deid_service.client import stream as stream_module
from deid_service.client.job import Job
from deid_service.client.outputs import PartialFile
from deid_service.client.stream import MAX_ATTEMPTS
from deid_service.contract import rpc_errors
from deid_service.contract.errors import AuditUnavailableError
from deid_service.serving import events
from tests.support.callers import open_channel
from tests.support.deid_service import (
    TARGET,
    answering_always,
    ct,
    selected,
)
from tests.support.full_disk import writing_until_full

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.deid_service import ScriptedProfileService

OUTPUT = b"output"
ANSWERS = [
    pb.DeidentifyResponse(opened=pb.StreamOpened()),
    pb.DeidentifyResponse(file=pb.FileOutput(file_id="0", suggested_filename="out.dcm")),
    pb.DeidentifyResponse(chunk=OUTPUT),
    pb.DeidentifyResponse(
        result=pb.FileResult(
            file_id="0",
            receipt=pb.Receipt(
                bytes_out=len(OUTPUT),
                sha256=hashlib.sha256(OUTPUT).hexdigest(),
            ),
        )
    ),
]


def refusal(
    reason: str, retry_ms: int | None, code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE
) -> Status:
    """Returns a status with a reason, and with when to try again, if at all."""
    number: int = code.value[0]
    status = Status(code=number, message="Why.")
    status.details.add().Pack(ErrorInfo(reason=reason, domain=rpc_errors.DOMAIN))
    if retry_ms is not None:
        retry = RetryInfo()
        retry.retry_delay.FromMilliseconds(retry_ms)
        status.details.add().Pack(retry)
    return status


def upload(address: str, folder: Path) -> list[FileResult]:
    """Uploads a file, and returns what became of it."""
    with (
        open_channel(address) as channel,
        Upload([channel], TARGET, [Source.of_bytes("x", b"x")], folder) as going_on,
    ):
        return list(going_on)


@pytest.mark.parametrize(
    "first",
    [
        refusal("A_NEWER_REASON", 0),
        refusal("AUDIT_UNAVAILABLE", 0),
        refusal("STREAM_IDLE", None, grpc.StatusCode.RESOURCE_EXHAUSTED),
    ],
    ids=["as the service says", "also of a reason that is known", "as the contract says"],
)
def test_what_passes_is_tried_again(tmp_path: Path, first: Status) -> None:
    """What the service says may be tried again is; where it says nothing, the contract does."""
    with answering_always(ANSWERS, [first, first]) as address:
        (result,) = upload(address, tmp_path)

    assert result.complete


@pytest.mark.parametrize("code", sorted(rpc_errors.BROKEN, key=str), ids=lambda code: code.name)
def test_what_broke_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: grpc.StatusCode
) -> None:
    """No service says why: it was not there, or stopped just when it was called."""
    monkeypatch.setattr(rpc_errors, "BROKEN_RETRY_MS", 0)
    number: int = code.value[0]
    broken = Status(code=number, message=code.name)

    with answering_always(ANSWERS, [broken, broken]) as address:
        (result,) = upload(address, tmp_path)

    assert result.complete


@pytest.mark.parametrize(
    "first",
    [
        refusal("A_NEWER_REASON", None),
        refusal("SHUTTING_DOWN", 3_600_000),
        refusal("NO_VALID_PROFILE", None, grpc.StatusCode.FAILED_PRECONDITION),
    ],
    ids=["of a reason that is not known", "after longer than anybody waits", "not by itself"],
)
def test_what_does_not_pass_in_time_is_told_at_once(tmp_path: Path, first: Status) -> None:
    """An upload is given up at once where another attempt would be vain, or too late."""
    with answering_always(ANSWERS, [first]) as address, pytest.raises(StreamRefusedError):
        upload(address, tmp_path)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("reason", ["TOO_MANY_STREAMS", "PROFILE_SERVICE_UNAVAILABLE"])
def test_the_wait_is_as_long_as_the_service_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    """Between two attempts passes what the service asks for, and something besides.

    Who gives a reason is there, though no stream was open yet: so is what it needs, soon.
    """
    assert stream_module.FIRST_PATIENCE_SECONDS < 7
    waited: list[float] = []
    monkeypatch.setattr(Job, "wait", lambda _, seconds: waited.append(seconds))
    refusals = [refusal(reason, 4_000), refusal(reason, 7_000)]

    with answering_always(ANSWERS, refusals) as address:
        (result,) = upload(address, tmp_path)

    assert result.complete
    assert [4 < waited[0] < 5, 7 < waited[1] < 8] == [True, True]


def test_who_never_answered_is_not_waited_for_as_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address may be a wrong one: nobody gives a reason there."""
    monkeypatch.setattr(rpc_errors, "BROKEN_RETRY_MS", 7_000)
    number: int = grpc.StatusCode.UNAVAILABLE.value[0]
    refused = Status(code=number, message="Connection refused")

    with answering_always(ANSWERS, [refused]) as address, pytest.raises(StreamRefusedError):
        upload(address, tmp_path)


def test_an_audit_that_is_away_fails_no_file(
    scripted: ScriptedProfileService,
    channel: grpc.Channel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where no file goes out untold, files are sent again until the audit can be told of them."""
    answer = selected()
    answer.file_audit = profile_pb.FILE_AUDIT_REQUIRED
    scripted.answer = lambda _request, _context: answer
    scripted.record = lambda context: context.abort(grpc.StatusCode.UNAVAILABLE, "")
    monkeypatch.setattr(events, "REQUIRED_SECONDS", 0.1)
    monkeypatch.setitem(rpc_errors.RETRY_AFTER, AuditUnavailableError, 0)
    monkeypatch.setattr(stream_module, "FIRST_WAIT_SECONDS", 0.0)
    ended: list[float] = []

    def wait(_: object, seconds: float) -> None:
        ended.append(seconds)
        # More often than a file may be tried at which connections break.
        if len(ended) > MAX_ATTEMPTS:
            scripted.record = lambda _context: None

    monkeypatch.setattr(Job, "wait", wait)

    with Upload([channel], TARGET, [Source.of_bytes("x", ct())], tmp_path) as going_on:
        (result,) = going_on

    assert result.complete
    assert len(ended) > MAX_ATTEMPTS


def test_a_full_disk_ends_the_upload(
    channel: grpc.Channel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When there is no room, nothing more is sent, and each file has a result."""
    monkeypatch.setattr(PartialFile, "write", writing_until_full(3 * len(ct())))
    sources = [Source.of_bytes(str(number), ct()) for number in range(500)]
    results: list[FileResult] = []

    with (
        Upload([channel], TARGET, sources, tmp_path) as going_on,
        pytest.raises(NoRoomError, match="It cannot be written: no space"),
    ):
        results.extend(going_on)

    outcomes = [result.outcome for result in results]
    assert len(outcomes) == len(sources)
    assert outcomes.count(Outcome.DONE) == len(list(tmp_path.iterdir()))
    assert outcomes.count(Outcome.DONE) + outcomes.count(Outcome.UNSENT) == len(sources)
