"""How a data set is encoded: by its transfer syntax, and by how it begins."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from deid_service.engine.encoding.headers import (
    BEGINNING,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    SHORT_VRS,
    UNDEFINED_LENGTH,
    VRS,
    Encoding,
)

_ROOT: Final = "1.2.840.10008.1.2"
_IMPLICIT: Final = frozenset({_ROOT, "1.2.840.10008.1.20"})
_BIG_ENDIAN: Final = f"{_ROOT}.2"
# PS3.5 A.5 and the JPIP referenced deflated ones: the data set is deflated.
_DEFLATED: Final = frozenset({f"{_ROOT}.1.99", f"{_ROOT}.4.95", f"{_ROOT}.4.205"})
_NATIVE: Final = frozenset({*_IMPLICIT, f"{_ROOT}.1", _BIG_ENDIAN, *_DEFLATED})
# PS3.5 A.4, PS3.6 A: the kinds of syntaxes in explicit VR little endian with encapsulated
# pixel data. The standard adds to them from year to year: what is new reads the same.
_ENCAPSULATED: Final = re.compile(rf"{re.escape(_ROOT)}\.(1\.98|5|[4-8](\.[0-9]+)+)")


@dataclass(frozen=True, slots=True)
class TransferSyntax:
    """How a data set is encoded.

    Attributes:
        encoding: of its elements.
        deflated: the whole data set is deflated (PS3.5 A.5).
        encapsulated: pixel data is encapsulated (PS3.5 A.4).
    """

    encoding: Encoding
    deflated: bool = False
    encapsulated: bool = False


def transfer_syntax_of(uid: str) -> TransferSyntax | None:
    """Returns the transfer syntax of a UID; None where it is not the standard's."""
    if uid in _IMPLICIT:
        return TransferSyntax(IMPLICIT_LITTLE)
    if uid == _BIG_ENDIAN:
        return TransferSyntax(EXPLICIT_BIG)
    if uid not in _NATIVE and _ENCAPSULATED.fullmatch(uid) is None:
        return None
    return TransferSyntax(EXPLICIT_LITTLE, uid in _DEFLATED, uid not in _NATIVE)


# The first element of a data set is in one of the first groups of the standard.
_MAX_FIRST_GROUP: Final = 0x20

# Longer than any first value (character set, date, UID), shorter than text read
# as a number.
_MAX_FIRST_LENGTH: Final = 0x10000

_VR_BYTES: Final = frozenset(vr.encode() for vr in VRS)
_SHORT_VR_BYTES: Final = frozenset(vr.encode() for vr in SHORT_VRS)


def guessed_encoding(beginning: bytes) -> Encoding | None:
    """Tells the encoding of a data set from how it begins, where it can be told.

    One byte of the first group number is zero and shows the byte order; a VR
    shows explicit VR.

    Args:
        beginning: the first `BEGINNING` bytes, or the first eight of a shorter one.
    """
    low, high = beginning[0], beginning[1]
    if high == 0 and 0 < low <= _MAX_FIRST_GROUP:
        if beginning[4:6] in _VR_BYTES and _shows_vr(beginning):
            return EXPLICIT_LITTLE
        length = int.from_bytes(beginning[4:8], "little")
        return IMPLICIT_LITTLE if length < _MAX_FIRST_LENGTH or length == UNDEFINED_LENGTH else None
    if low == 0 and 0 < high <= _MAX_FIRST_GROUP and beginning[4:6] in _VR_BYTES:
        return EXPLICIT_BIG
    return None


def _shows_vr(beginning: bytes) -> bool:
    """Whether what looks like a VR in a little endian data set is one, and not a length."""
    vr = beginning[4:6]
    if beginning[6:8] != b"\0\0" or len(beginning) < BEGINNING:
        return True
    # As a length it would be one of 16,705 to 23,130 bytes, and text would follow. As a
    # VR it stands before an empty value, and so before another VR, or before a length
    # of four bytes, which is undefined or not as large as text read as a number.
    if vr in _SHORT_VR_BYTES:
        return beginning[12:14] in _VR_BYTES
    return beginning[11] < ord(" ") or beginning[8:12] == b"\xff\xff\xff\xff"
