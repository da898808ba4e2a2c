"""What the audit is told of files: all of them, without a stream waiting, or none goes out."""

from __future__ import annotations

import hashlib
import queue
import threading
from typing import TYPE_CHECKING

import grpc
from deidcascade.v1 import deid_service_pb2 as pb
from deidcascade.v1 import profile_service_pb2 as profile_pb

from deid_service.serving import events
from deid_service.serving.logs import LOG
from deid_service.serving.metrics import families
from profile_service.serving.metrics import Meter
from tests.support.deid_service import (
    TARGET,
    Caller,
    ct,
    opened,
    selected,
    status_of,
    whole_file,
)

if TYPE_CHECKING:
    import pytest

    from profile_service.serving.logs import Field
    from tests.support.deid_service import ScriptedProfileService

PATIENCE_SECONDS = 20


def wanting(value: profile_pb.FileAudit.ValueType) -> profile_pb.ResolveProfileResponse:
    """Returns the answer of a site that wants the audit told, or not."""
    answer = selected()
    answer.file_audit = value
    answer.caller = "key:k1"
    return answer


def no_digest() -> pb.DeidentifyRequest:
    """Returns the opening of a caller who wants no digest."""
    return pb.DeidentifyRequest(open=pb.OpenStream(target=TARGET, digest=pb.DIGEST_NONE))


def unavailable(context: grpc.ServicerContext) -> None:
    """Refuses as a service that is not there."""
    context.abort(grpc.StatusCode.UNAVAILABLE, "")


def test_files_are_told(scripted: ScriptedProfileService, channel: grpc.Channel) -> None:
    """A batch says who uploaded, what applied, and of each file its digest or why it went not."""
    scripted.answer = lambda _request, _context: wanting(profile_pb.FILE_AUDIT_RECORDED)
    bad = whole_file(b"no DICOM at all" * 20, "Jane Doe.dcm")
    caller = Caller(channel, opened(TARGET), *whole_file(ct(), "Jane Doe"), *bad)
    output, result = caller.receive_result()
    caller.receive_result()
    caller.half_close()

    told = scripted.told.get(timeout=PATIENCE_SECONDS)
    good, rejected = (
        [*told.files, *scripted.told.get().files] if len(told.files) < 2 else told.files
    )
    assert told.caller == "key:k1"
    assert told.profile_sha256 == result.receipt.profile_sha256
    assert dict(told.actions) == dict(result.receipt.actions)
    assert good.sha256 == hashlib.sha256(output).hexdigest()
    assert (good.bytes_in, good.bytes_out) == (len(ct()), len(output))
    assert (rejected.reason, rejected.sha256) == ("NOT_DICOM", "")
    assert "Jane" not in str(told)


class Counted:
    """What Prometheus would be told of the service in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._meter = Meter(families())
        self._changed = threading.Condition()
        monkeypatch.setattr(LOG, "_observe", self._note)

    def _note(self, event: str, fields: dict[str, Field]) -> None:
        with self._changed:
            self._meter.note(event, fields)
            self._changed.notify_all()

    def wait_for(self, name: str, value: int) -> None:
        """Waits until a number that has no labels is so."""
        (family,) = [each for each in self._meter.families if each.name == name]
        ((_, place),) = self._meter.places(family)
        with self._changed:
            is_so = self._changed.wait_for(
                lambda: self._meter.shared[place] == value, PATIENCE_SECONDS
            )
        assert is_so, (name, self._meter.shared[place])


def test_a_service_that_is_away_is_told_later(
    scripted: ScriptedProfileService, channel: grpc.Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Streams go on while it does not answer, and it is told all when it does."""
    monkeypatch.setattr(events, "AGAIN_SECONDS", 0.01)
    counted = Counted(monkeypatch)
    scripted.record = unavailable
    for _ in range(3):
        caller = Caller(channel, opened(TARGET), *whole_file(ct()))
        assert caller.receive_result()[1].HasField("receipt")
        caller.half_close()
    counted.wait_for("deidcascade_audit_waiting_files", 3)
    scripted.record = lambda _context: None
    count = 0
    while count < 3:
        count += len(scripted.told.get(timeout=PATIENCE_SECONDS).files)
    assert count == 3
    counted.wait_for("deidcascade_audit_waiting_files", 0)


def test_what_cannot_be_kept_is_counted(
    scripted: ScriptedProfileService, channel: grpc.Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of more files than are kept the number is told, when the service answers again."""
    monkeypatch.setattr(events, "AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(events, "MAX_WAITING", 2)
    counted = Counted(monkeypatch)
    monkeypatch.setattr(events, "MAX_FILES", 1)
    refused: queue.SimpleQueue[None] = queue.SimpleQueue()

    def refuse(context: grpc.ServicerContext) -> None:
        refused.put(None)
        unavailable(context)

    scripted.record = refuse
    caller = Caller(channel, opened(TARGET), *(5 * [*whole_file(ct())]))
    for _ in range(5):
        caller.receive_result()
    caller.half_close()
    counted.wait_for("deidcascade_audit_dropped_files", 3)
    # What is on its way may be told although it was dropped: one that was made before, and
    # then one that was made behind.
    for _ in range(refused.qsize() + 2):
        refused.get(timeout=PATIENCE_SECONDS)
    scripted.record = lambda _context: None
    files = unrecorded = 0
    while files + unrecorded < 5:
        batch = scripted.told.get(timeout=PATIENCE_SECONDS)
        files, unrecorded = files + len(batch.files), unrecorded + batch.unrecorded
    assert (files, unrecorded) == (2, 3)


def test_a_site_can_want_nothing_told(
    scripted: ScriptedProfileService, channel: grpc.Channel
) -> None:
    """Files of such a site are not told; those of the next stream are."""
    scripted.answer = lambda _request, _context: wanting(profile_pb.FILE_AUDIT_OFF)
    caller = Caller(channel, opened(TARGET), *whole_file(ct()))
    caller.receive_result()
    caller.half_close()
    scripted.answer = lambda _request, _context: wanting(profile_pb.FILE_AUDIT_RECORDED)
    caller = Caller(channel, opened(TARGET), *whole_file(b"x" * 300))
    caller.receive_result()
    caller.half_close()
    assert [file.reason for file in scripted.told.get(timeout=PATIENCE_SECONDS).files] == [
        "NOT_DICOM"
    ]


def test_no_file_goes_out_that_is_not_told_of(
    scripted: ScriptedProfileService, channel: grpc.Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the site asks for it, a result comes after the audit was told; else the stream ends."""
    scripted.answer = lambda _request, _context: wanting(profile_pb.FILE_AUDIT_REQUIRED)
    caller = Caller(channel, no_digest(), *whole_file(ct()))
    output, result = caller.receive_result()
    told = scripted.told.get_nowait()
    # The digest is taken although the caller wanted none.
    assert told.files[0].sha256 == result.receipt.sha256 == hashlib.sha256(output).hexdigest()
    caller.half_close()

    monkeypatch.setattr(events, "REQUIRED_SECONDS", 0.1)
    scripted.record = unavailable
    caller = Caller(channel, opened(TARGET), *whole_file(ct()))
    assert status_of(caller.receive_all) == ("UNAVAILABLE", "AUDIT_UNAVAILABLE")
    assert scripted.told.empty()
