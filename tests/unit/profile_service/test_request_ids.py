"""Which id ties a call to its lines in the log."""

from __future__ import annotations

import re

import pytest

from profile_service.serving.request_ids import answered_request_id, read_request_id

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ([("x-request-id", "a1")], "a1"),
        (
            [("x-request-id", "Root=1-67891233/ab+c;d@e:f~g_h.i")],
            "Root=1-67891233/ab+c;d@e:f~g_h.i",
        ),
        ([("x-request-id", "x" * 64)], "x" * 64),
        ([("traceparent", PARENT), ("x-request-id", "a1")], "a1"),
        ([("traceparent", PARENT)], TRACE),
        # Of a later version, what follows is not known.
        ([("traceparent", PARENT.replace("00-", "cc-", 1) + "-what-will-be")], TRACE),
        ([("x-request-id", "two words"), ("traceparent", PARENT)], TRACE),
    ],
)
def test_what_a_caller_gives_is_taken(metadata: list[tuple[str, str]], expected: str) -> None:
    """An id of the caller goes before that of a trace, and both before one that is made."""
    assert read_request_id(metadata) == expected


@pytest.mark.parametrize(
    "metadata",
    [
        [],
        [("x-request-id", "")],
        [("x-request-id", "x" * 65)],
        [("x-request-id", "Doe^Jane")],
        [("x-request-id", "a b")],
        [("x-request-id", 'a"b')],
        [("x-request-id", "-a")],
        [("x-request-id", "a\nevent=stream")],
        [("x-request-id", "a\n")],
        [("x-request-id", "\u0661")],
        [("x-request-id", b"a1")],
        [("x-request-id", "a1"), ("x-request-id", "a2")],
        [("traceparent", PARENT), ("traceparent", PARENT)],
        [("traceparent", PARENT.upper())],
        [("traceparent", PARENT + "-more")],
        [("traceparent", PARENT.replace("00-", "ff-", 1))],
        [("traceparent", PARENT.replace(TRACE, "0" * 32))],
        [("traceparent", PARENT.replace("00f067aa0ba902b7", "0" * 16))],
        [("traceparent", TRACE)],
        [("x-request-id-bin", b"a1")],
    ],
)
def test_what_is_malformed_is_not_taken(metadata: list[tuple[str, str | bytes]]) -> None:
    """What is malformed, or there twice, is as nothing: an id is made, another each time."""
    made = read_request_id(metadata)
    assert re.fullmatch("[0-9a-f]{16}", made)
    assert made != read_request_id(metadata)


def test_a_client_believes_what_is_an_id() -> None:
    """What comes back with an answer is shown where it has the form of an id."""
    assert answered_request_id([("a", "b"), ("x-request-id", "a1")]) == "a1"
    assert answered_request_id([("x-request-id", "\x1b[2J")]) == ""
    assert answered_request_id(None) == ""
