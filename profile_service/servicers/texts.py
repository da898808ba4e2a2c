"""Texts that people write, and others read."""

from __future__ import annotations

import re

from profile_service.errors import InvalidNoteError

MAX_NOTE = 1000

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def checked_note(note: str) -> str:
    """Raises InvalidNoteError for a text that people could not read."""
    if len(note) > MAX_NOTE or CONTROL.search(note.replace("\n", "")):
        raise InvalidNoteError(
            "note", f"must be at most {MAX_NOTE} characters, without control characters."
        )
    return note
