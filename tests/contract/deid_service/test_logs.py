"""What the log says: a line per stream and per file, and no values."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

from tests.support import callers
from tests.support.deid_service import (
    TARGET,
    Caller,
    ct,
    opened,
    running_deid_service,
    start,
    whole_file,
)

if TYPE_CHECKING:
    import pytest


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
