"""What ties a call to its lines in the logs, to its events in the audit, and to its caller.

A caller gives an id of its own in `x-request-id`, or is followed by a trace of the W3C, whose id
is taken; otherwise one is made. It comes back in the metadata of the answer.
"""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# In the metadata of requests and of answers.
HEADER = "x-request-id"

# https://www.w3.org/TR/trace-context/#traceparent-header
TRACEPARENT = "traceparent"

# What ids of others look like: UUIDs, numbers in hex or base64, parts with separators. It is kept
# for as long as the audit, so it is short, and holds no spaces, quotes or carets: a sentence or
# a person's name as DICOM writes it is none.
REQUEST_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z._~:/+=;@-]{0,63}", re.ASCII)

# Version 00, or a later one, which begins like it. Ids of zeros alone, and version ff, are invalid.
_TRACEPARENT = re.compile(
    "(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?"
)
_FIRST_VERSION = "00-"
_FIRST_LENGTH = 55


def read_request_id(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    """Returns the id of a call.

    Args:
        metadata: that the call came with. What is malformed in it, or there more than once, is
            as if it were not there.
    """
    given: list[str | bytes] = []
    traces: list[str | bytes] = []
    for name, value in metadata:
        if name == HEADER:
            given.append(value)
        elif name == TRACEPARENT:
            traces.append(value)
    if len(given) == 1 and isinstance(given[0], str) and REQUEST_ID.fullmatch(given[0]):
        return given[0]
    if len(traces) == 1 and isinstance(traces[0], str) and (trace := _trace(traces[0])):
        return trace
    # Tells calls apart, and is no secret.
    return f"{random.getrandbits(64):016x}"


def answered_request_id(metadata: Iterable[tuple[str, str | bytes]] | None) -> str:
    """Returns the id that came with an answer; the empty text where none did."""
    for name, value in metadata or ():
        if name == HEADER and isinstance(value, str) and REQUEST_ID.fullmatch(value):
            return value
    return ""


def _trace(traceparent: str) -> str:
    """Returns the id of a trace; the empty text where it is none."""
    found = _TRACEPARENT.fullmatch(traceparent)
    if found is None:
        return ""
    if traceparent.startswith(_FIRST_VERSION) and len(traceparent) != _FIRST_LENGTH:
        return ""
    return found[1]
