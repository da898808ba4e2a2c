"""Lines of the log."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from profile_service.serving.logs import Log, origin

if TYPE_CHECKING:
    import pytest


def test_a_line_is_an_event_and_its_fields(caplog: pytest.LogCaptureFixture) -> None:
    """Fields come in order, seconds to the microsecond, and the empty text not at all."""
    with caplog.at_level(logging.INFO, "some_service"):
        Log("some_service").write("call", code="OK", reason="", count=3, seconds=0.25)

    assert caplog.record_tuples == [
        ("some_service", logging.INFO, "event=call code=OK count=3 seconds=0.250000")
    ]


def test_a_percent_sign_is_one(caplog: pytest.LogCaptureFixture) -> None:
    """Fields are text, not a format."""
    with caplog.at_level(logging.INFO, "some_service"):
        Log("some_service").write("call", level=logging.ERROR, cause="100%s")

    assert caplog.messages == ["event=call cause=100%s"]


def test_lines_below_the_level_are_not_written(caplog: pytest.LogCaptureFixture) -> None:
    """Where nobody listens nothing is written."""
    with caplog.at_level(logging.ERROR, "some_service"):
        Log("some_service").write("call")

    assert caplog.messages == []


def test_the_origin_of_an_error_is_its_place() -> None:
    """An exception is told by type and place, never by its text, which may hold a value."""
    try:
        int("Jane Doe")
    except ValueError as error:
        told = origin(error)

    assert told.startswith("ValueError@test_serving_logs.py:")
    assert "Jane" not in told
    assert origin(KeyError("Jane")) == "KeyError"
