"""Elements with new values, of which pixel data is as the transfer syntax wants it."""

from __future__ import annotations

from deid_service.engine.encoding.headers import (
    ITEM,
    SEQUENCE_DELIMITER,
    UNDEFINED_LENGTH,
    Encoding,
)
from deid_service.engine.encoding.tags import PIXEL_DATA
from deid_service.engine.rules.rewriting import Place, element_of
from deid_service.engine.walk.levels import Level


def empty_fragments(encoding: Encoding, tag: int, vr: str) -> bytes:
    """Returns encapsulated pixel data without any: with an empty offset table (PS3.5 A.4)."""
    return (
        encoding.header(tag, vr, UNDEFINED_LENGTH)
        + encoding.item_header(ITEM, 0)
        + encoding.item_header(SEQUENCE_DELIMITER, 0)
    )


def written(level: Level, place: Place, found_vr: str | None, value: bytes) -> bytes:
    """Returns an element with a new value at a level, as `element_of` does.

    Raises:
        DicomError: the VR cannot hold so long a value.
    """
    if place.tag == PIXEL_DATA and level.encapsulated and not value:
        return empty_fragments(level.encoding, place.tag, "OB")
    return element_of(level.encoding, place, found_vr, value)
