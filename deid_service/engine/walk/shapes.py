"""What an element is: by its VR, by a dictionary, or by how its value begins."""

from __future__ import annotations

from deid_service.engine.encoding.dictionary import private_vr_of, vr_of
from deid_service.engine.encoding.headers import (
    BEGINNING,
    EXPLICIT_LITTLE,
    HEADER,
    IMPLICIT_LITTLE,
    ITEM,
    UNDEFINED_LENGTH,
    begins_explicit,
)
from deid_service.engine.encoding.tags import PIXEL_DATA
from deid_service.engine.errors import Reason
from deid_service.engine.walk.levels import END, Level
from deid_service.engine.walk.splicer import Found, Splicer


class Shapes:
    """Tells what elements are, at the position of a splicer."""

    def __init__(self, splicer: Splicer) -> None:
        """Looks at the input of a splicer."""
        self._splicer = splicer

    def lacks_encoding(self, level: Level) -> bool:
        """Tells how an item is encoded, which its first element shows.

        Returns:
            Whether input is missing for that.
        """
        if level.tag is None or level.encoding is not IMPLICIT_LITTLE:
            return False
        splicer = self._splicer
        room = level.end - splicer.base - splicer.position
        if splicer.lacks(min(BEGINNING, room)):
            # The last item of a file may be shorter than that; its delimiters are not.
            return True
        beginning = splicer.buffer[splicer.position : splicer.position + min(BEGINNING, room)]
        if beginning[5:6] > b"\x20":
            # A length this long may look like a VR.
            splicer.depend()
        if begins_explicit(beginning, room if level.end < END else None):
            level.encoding = EXPLICIT_LITTLE
        return False

    @staticmethod
    def known_vr(found: Found, creator: str | None) -> str:
        """Returns the VR that a value is read with: that of its header, or of a dictionary."""
        vr = found.vr
        if vr is not None and vr != "UN":
            return vr
        tag = found.tag
        known = private_vr_of(tag >> 16, creator, tag & 0xFF) if creator else None
        return known or vr_of(tag)

    def lacks_beginning(self, found: Found) -> bool:
        """Whether that is missing of a value which would show it to be a sequence."""
        return self._splicer.lacks(min(found.start + HEADER, found.end) - found.position)

    def holds_items(self, level: Level, found: Found, known: str) -> bool:
        """Whether the value of an element is a sequence of items.

        Raises:
            DicomError: it has an undefined length, and neither items nor fragments.
        """
        splicer = self._splicer
        vr = found.vr
        if found.end == END:
            if found.tag == PIXEL_DATA and vr != "SQ":
                return False
            # PS3.5 6.2.2: UN of undefined length is a sequence; so is anything
            # of undefined length in implicit VR (PS3.5 7.5).
            if vr in {"SQ", "UN", None}:
                return True
            if vr in {"OB", "OW"}:
                return False
            raise splicer.error(
                Reason.MALFORMED,
                "only sequences and pixel data have undefined lengths",
                found.tag,
                vr,
            )
        if known == "SQ":
            return True
        if known != "UN" or level.node is None:
            return False
        # Shorter ones are looked at, too: what is learned from them holds for longer ones.
        beginning = splicer.peek(found)
        if len(beginning) < HEADER or found.end - found.start < HEADER:
            return False
        encoding = IMPLICIT_LITTLE if vr == "UN" else level.encoding
        group, element, length = encoding.item(beginning, 0)
        return group << 16 | element == ITEM and (
            length == UNDEFINED_LENGTH or length <= found.end - found.start - HEADER
        )
