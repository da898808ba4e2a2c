"""Values as text: what an action reads and writes (PS3.5 6.2, 6.4)."""

from __future__ import annotations

from typing import Final

from deid_service.engine.encoding.charsets import CHARSET_VRS, CharacterSets
from deid_service.engine.encoding.numbers import (
    BINARY_FORMATS,
    NUMBER_SIZES,
    read_numbers,
    write_numbers,
)

# PS3.5 6.4: in these a backslash is a character like any other.
SINGLE_VALUED: Final = frozenset({"LT", "ST", "UR", "UT"})

NUMBER_VRS: Final = frozenset(BINARY_FORMATS) | {"AT"}

# Values of these are not transformed: they have no text and no numbers to move.
OPAQUE_VRS: Final = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})


def count_values(vr: str, value: bytes) -> int:
    """Returns how many values an element has, or more where a character has a backslash in it."""
    if vr in NUMBER_VRS:
        return len(value) // NUMBER_SIZES[vr]
    return 1 if vr in SINGLE_VALUED else value.count(b"\\") + 1


def read_value(vr: str, value: bytes, charsets: CharacterSets, *, big: bool) -> list[str]:
    """Returns the values of an element as texts, without padding.

    An empty value has no texts.

    Args:
        vr: a VR that is not opaque and not SQ.
        value: the value as it stands in the data set.
        charsets: in force at its level.
        big: whether numbers are big endian.

    Raises:
        CharacterSetError: the value is not in the character sets.
        ValueError: the length is wrong for binary numbers.
    """
    if vr in NUMBER_VRS:
        return read_numbers(vr, value, big=big)
    # Both paddings are seen on every VR.
    value = value.rstrip(b" \0")
    if not value:
        return []
    # PS3.5 6.1.2.2: the other VRs are in the default repertoire; what else is
    # found there is read as Latin 1, as other readers do.
    text = charsets.decode(value, vr) if vr in CHARSET_VRS else value.decode("latin-1")
    if vr in SINGLE_VALUED:
        return [text]
    # PS3.5 6.2: trailing spaces pad a value, each one of several, too.
    return [value.rstrip(" ") for value in text.split("\\")]


def write_value(vr: str, texts: list[str], charsets: CharacterSets, *, big: bool) -> bytes:
    """Writes texts as the value of an element, padded to an even length.

    Raises:
        CharacterSetError: the character sets cannot hold a text.
        ValueError: the VR cannot hold a number.
    """
    if vr in NUMBER_VRS:
        return write_numbers(vr, texts, big=big)
    joined = "\\".join(texts)
    if vr in CHARSET_VRS:
        value = charsets.encode(joined, vr)
    else:
        try:
            value = joined.encode("ascii")
        except UnicodeEncodeError:
            raise ValueError("the VR holds no characters beyond ASCII") from None
    if len(value) % 2:
        # PS3.5 6.2: UI is padded with NUL, other texts with a space.
        value += b"\0" if vr == "UI" else b" "
    return value
