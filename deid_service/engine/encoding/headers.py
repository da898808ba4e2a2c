"""Element headers: how a tag, a VR and a value length stand in the bytes (PS3.5 7.1).

The three encodings of a data set share one walk: each reads a header as four
16-bit numbers (group, element, and two that mean VR and length in explicit VR,
and the two halves of the length in implicit VR).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from struct import Struct
from typing import Final, Literal

UNDEFINED_LENGTH: Final = 0xFFFFFFFF

# PS3.5 7.5: items and delimiters have a tag and a 32-bit length in every encoding.
ITEM: Final = 0xFFFEE000
ITEM_DELIMITER: Final = 0xFFFEE00D
SEQUENCE_DELIMITER: Final = 0xFFFEE0DD

# The group of items and delimiters.
DELIMITER_GROUP: Final = ITEM >> 16

# How long a header is, in bytes: with a two-byte length, of an item, and in implicit
# VR; and in explicit VR with a four-byte length (PS3.5 7.1.2, 7.1.3, 7.5).
HEADER: Final = 8
LONG_HEADER: Final = 12

# The tag of an item in little endian.
ITEM_BYTES: Final = b"\xfe\xff\x00\xe0"

# PS3.5 7.1.2, table 7.1-2: two-byte VR, two-byte length.
SHORT_VRS: Final = frozenset({
    "AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO",
    "LT", "PN", "SH", "SL", "SS", "ST", "TM", "UI", "UL", "US",
})  # fmt: skip

# The tag of an item delimiter in little endian.
ITEM_DELIMITER_BYTES: Final = b"\xfe\xff\x0d\xe0"

# PS3.5 7.1.2, table 7.1-1: two-byte VR, two reserved bytes, four-byte length.
LONG_VRS: Final = frozenset({
    "OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV",
})  # fmt: skip

VRS: Final = SHORT_VRS | LONG_VRS

# The longest value that a two-byte length can say.
MAX_SHORT_LENGTH: Final = 0xFFFE


@dataclass(frozen=True, eq=False)
class Encoding:
    """One of the ways in which a data set is encoded.

    Attributes:
        explicit: element headers carry the VR.
        big: numbers are big endian.
        quad: reads four 16-bit numbers at an offset.
        long: reads one 32-bit number at an offset.
        item: reads group, element and 32-bit length of an item or delimiter.
        short_codes: the VRs with a two-byte length, as `quad` reads them; empty
            in implicit VR.
        vr_names: the name of each VR by the number that `quad` reads.
    """

    explicit: bool
    big: bool
    quad: Callable[[bytes | bytearray | memoryview, int], tuple[int, ...]] = field(init=False)
    long: Callable[[bytes | bytearray | memoryview, int], tuple[int, ...]] = field(init=False)
    item: Callable[[bytes | bytearray | memoryview, int], tuple[int, ...]] = field(init=False)
    short_codes: frozenset[int] = field(init=False)
    vr_names: dict[int, str] = field(init=False)
    _short: Struct = field(init=False)
    _reserved: Struct = field(init=False)
    _plain: Struct = field(init=False)

    def __post_init__(self) -> None:
        order = ">" if self.big else "<"
        byteorder: Literal["big", "little"] = "big" if self.big else "little"
        names = {int.from_bytes(vr.encode(), byteorder): vr for vr in VRS} if self.explicit else {}
        values: dict[str, object] = {
            "quad": Struct(order + "HHHH").unpack_from,
            "long": Struct(order + "I").unpack_from,
            "item": Struct(order + "HHI").unpack_from,
            "vr_names": names,
            "short_codes": frozenset(code for code, vr in names.items() if vr in SHORT_VRS),
            "_short": Struct(order + "HH2sH"),
            "_reserved": Struct(order + "HH2sHI"),
            "_plain": Struct(order + "HHI"),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def header(self, tag: int, vr: str, length: int) -> bytes:
        """Writes an element header.

        Args:
            tag: the tag as a 32-bit number.
            vr: the VR; not written in implicit VR.
            length: of the value in bytes, or UNDEFINED_LENGTH.

        Raises:
            ValueError: the length does not fit the VR's length field.
        """
        group, element = tag >> 16, tag & 0xFFFF
        if not self.explicit:
            return self._plain.pack(group, element, length)
        if vr in SHORT_VRS:
            if length > MAX_SHORT_LENGTH:
                raise ValueError("the value is too long for its VR")
            return self._short.pack(group, element, vr.encode(), length)
        return self._reserved.pack(group, element, vr.encode(), 0, length)

    def item_header(self, tag: int, length: int) -> bytes:
        """Writes the header of an item or a delimiter (PS3.5 7.5)."""
        return self._plain.pack(tag >> 16, tag & 0xFFFF, length)

    def long_bytes(self, number: int) -> bytes:
        """Writes a 32-bit number."""
        return number.to_bytes(4, "big" if self.big else "little")


EXPLICIT_LITTLE: Final = Encoding(explicit=True, big=False)
EXPLICIT_BIG: Final = Encoding(explicit=True, big=True)
IMPLICIT_LITTLE: Final = Encoding(explicit=False, big=False)

# How many bytes of a data set or an item are looked at to tell how it is encoded.
BEGINNING: Final = 2 * HEADER

_VR_CODES: Final = EXPLICIT_LITTLE.vr_names


def begins_explicit(beginning: bytes, room: int | None) -> bool:
    """Whether an item where implicit VR is due begins with an element in explicit VR.

    PS3.5 6.2.2 and A.1 want implicit VR little endian in UN and in implicit VR data sets;
    some writers put items there as they had them. What looks like a VR could also be a
    length of 16,705 bytes or more.

    Args:
        beginning: the first `BEGINNING` bytes of the item, or all of a shorter one.
        room: how many bytes the item has; None where that is not known.
    """
    if len(beginning) < HEADER:
        return False
    _, _, code, length = EXPLICIT_LITTLE.quad(beginning, 0)
    if code not in _VR_CODES:
        return False
    as_implicit = code | length << 16
    size = HEADER + length
    if code not in EXPLICIT_LITTLE.short_codes:
        if length or len(beginning) < LONG_HEADER:
            return False
        (length,) = EXPLICIT_LITTLE.long(beginning, HEADER)
        size = LONG_HEADER + (0 if length == UNDEFINED_LENGTH else length)
    if room is not None and (size > room or HEADER + as_implicit >= room):
        # One of both does not fit; or the implicit one fits exactly.
        return size <= room and HEADER + as_implicit != room
    if length or size > HEADER:
        return True
    # An empty value: what follows is another header.
    _, _, code, _ = EXPLICIT_LITTLE.quad(beginning.ljust(BEGINNING, b"\0"), HEADER)
    return code in _VR_CODES or beginning[HEADER : HEADER + 4] == ITEM_DELIMITER_BYTES
