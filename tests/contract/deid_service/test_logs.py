"""What the log says: a line per stream and per file, and no values."""

from __future__ import annotations

import logging
import queue
import re
from typing import TYPE_CHECKING

import grpc
from deidcascade.v1.deid_service_pb2_grpc import DeidServiceStub

from tests.support import callers
from tests.support.deid_service import (
    TARGET,
    Caller,
    ct,
    failure_of,
    opened,
    running_deid_service,
    start,
    whole_file,
)

if TYPE_CHECKING:
    import pytest
    from deidcascade.v1 import deid_service_pb2 as pb

STREAMS = 20


def test_a_deadline_of_the_caller_is_no_good_end(
    scripted_address: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A stream that its caller's deadline ends between two files is not logged as OK."""
    with (
        caplog.at_level(logging.INFO, "deid_service"),
        running_deid_service(scripted_address) as running,
        callers.channel(running.address) as channel,
    ):
        messages: queue.Queue[pb.DeidentifyRequest | None] = queue.Queue()
        for message in (opened(), *whole_file(ct())):
            messages.put(message)
        stub = DeidServiceStub(channel)
        call = stub.Deidentify(iter(messages.get, None), timeout=4.0)
        ended = failure_of(lambda: list(call))
        messages.put(None)

    assert ended.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    (line,) = (line for line in caplog.messages if line.startswith("event=stream"))
    assert "code=DEADLINE_EXCEEDED" in line
    assert "files=1" in line


def test_a_caller_who_cancels_between_files_has_seen_no_good_end(
    scripted_address: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A stream that its caller cancels between two files is not logged as OK, as a rule.

    gRPC tells of it by another thread than of the end of the messages: a machine that gives that
    one no core in time makes an exception, so there are several.
    """
    with (
        caplog.at_level(logging.INFO, "deid_service"),
        running_deid_service(scripted_address) as running,
        callers.channel(running.address) as channel,
    ):
        for _ in range(STREAMS):
            caller = Caller(channel, opened(), *whole_file(ct()))
            caller.receive_result()
            caller.cancel()

    lines = [line for line in caplog.messages if line.startswith("event=stream")]
    assert len(lines) == STREAMS
    assert all("files=1" in line for line in lines)
    assert any("code=CANCELLED" in line for line in lines)


def test_a_line_per_file_and_one_per_stream(
    scripted_address: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Lines tie together by the stream's id and hold no name that a caller chose."""
    good, bad = whole_file(ct(), "Jane Doe"), whole_file(b"Jane" * 100, "Jane Doe")
    good[0] = start("Jane Doe", filename="Jane.dcm")
    with (
        caplog.at_level(logging.INFO, "deid_service"),
        running_deid_service(scripted_address) as running,
        callers.channel(running.address) as channel,
    ):
        caller = Caller(channel, opened(), *good, *bad)
        caller.half_close()
        caller.receive_all()

    lines = [line for line in caplog.messages if re.match("event=(file|stream)", line)]
    assert len({re.search(r"stream=(\w+)", line)[1] for line in lines}) == 1  # type: ignore[index]
    assert [line.split()[0] for line in lines] == ["event=file", "event=file", "event=stream"]
    assert "index=1 result=COMPLETE" in lines[0]
    assert "index=2 result=REJECTED reason=NOT_DICOM offset=0" in lines[1]
    assert f"code=OK target={TARGET} outcome=PROFILE" in lines[2]
    assert "files=2 rejected=1" in lines[2]
    assert "Jane" not in caplog.text
    assert "1CT1" not in caplog.text
