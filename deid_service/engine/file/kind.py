"""Tells DICOM files from others by how they begin."""

from __future__ import annotations

from typing import Final

from deid_service.engine.encoding.headers import BEGINNING, HEADER
from deid_service.engine.file.meta import MAGIC, PREAMBLE_LENGTH
from deid_service.engine.file.transfer_syntax import guessed_encoding

# As many bytes of a file as are looked at.
HEAD_BYTES: Final = PREAMBLE_LENGTH + len(MAGIC)


def is_dicom(head: bytes) -> bool:
    """Tells whether the engine would take a file for DICOM.

    Args:
        head: the first bytes of the file; `HEAD_BYTES` are enough.
    """
    # PS3.10 7.1: the preamble and its prefix; some writers leave out the preamble, or both.
    if MAGIC in (head[PREAMBLE_LENGTH : PREAMBLE_LENGTH + len(MAGIC)], head[: len(MAGIC)]):
        return True
    if len(head) < HEADER:
        return False
    if head[:2] == b"\x02\0" and head[2:4] <= b"\x16\0":
        return True
    return guessed_encoding(head[:BEGINNING]) is not None
