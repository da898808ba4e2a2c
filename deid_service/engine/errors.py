"""The one way in which the engine can fail."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why a file was rejected. Stable: other systems decide by it."""

    NOT_DICOM = "NOT_DICOM"
    TRUNCATED = "TRUNCATED"
    MALFORMED = "MALFORMED"
    UNKNOWN_TRANSFER_SYNTAX = "UNKNOWN_TRANSFER_SYNTAX"
    NOT_SUPPORTED = "NOT_SUPPORTED"
    VALUE_NOT_TRANSFORMABLE = "VALUE_NOT_TRANSFORMABLE"
    VALUE_NOT_ENCODABLE = "VALUE_NOT_ENCODABLE"
    LIMIT_EXCEEDED = "LIMIT_EXCEEDED"
    REJECTED_BY_PROFILE = "REJECTED_BY_PROFILE"
    NOT_IN_TABLE = "NOT_IN_TABLE"


class DicomError(Exception):
    """The file cannot be de-identified.

    The message never holds a value from the file: a tag, a VR, an offset and a
    reason are enough to find the place.

    Attributes:
        reason: stable.
        message: the reason in a sentence, without the place.
        tag: the element as (gggg,eeee), or None where it is about none.
        vr: its VR, or None.
        offset: of the element or of the place where reading stopped, in bytes
            from the start of the input (in a deflated file: of the inflated
            data set), or None.
    """

    def __init__(
        self,
        reason: Reason,
        message: str,
        *,
        tag: int | None = None,
        vr: str | None = None,
        offset: int | None = None,
    ) -> None:
        self.reason = reason
        self.message = message
        self.tag = None if tag is None else format_tag(tag)
        self.vr = vr
        self.offset = offset
        place = [self.tag or "", vr or "", "" if offset is None else f"at byte {offset}"]
        where = " ".join(part for part in place if part)
        super().__init__(f"{reason}: {message}" + (f" [{where}]" if where else ""))


def format_tag(tag: int) -> str:
    """Writes a tag as (gggg,eeee)."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
