"""Whether a value is what its VR says: numbers and times, or a text that somebody wrote there.

A value that stays is passed unseen where its VR holds no text. What a VR says is the word of
whoever wrote the file, though, and in implicit VR that of a dictionary. So it is looked at whether
the bytes fit. A look is all that it may take: most of what a file has are numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from deid_service.engine.encoding.numbers import BINARY_FORMATS
from deid_service.engine.encoding.tags import is_private

# Longer values (in bytes) are arrays of numbers, binary and in characters, as contours are; of
# bytes they are images, waves and tables; and to look through 16 KiB takes 70 ms at the worst, in
# which nobody else is served.
MAX_NUMBERS: Final = 1024
MAX_CHARACTERS: Final = 256
MAX_BYTES: Final = 16_384

# Whole numbers below 256 have a zero byte; of negative ones above -257 one is 255.
_TEXT: Final = rb"[\t\n\r\x1b\x20-\x7e\x80-\xfe]"
_PRINTABLE: Final = rb"[\t\n\r\x20-\x7e]"

# The fewest letters (in bytes) that say something: two numbers of two bytes are nobody's name.
_MIN_TEXT: Final = 6

# With what values begin that are numbers, days or times in characters: anything from a blank to
# 9. One byte is looked at of each, as that takes the least: a text that begins with a digit is not
# told.
_BEGINS: Final = b"[ -9]"
CHARACTERS: Final = frozenset({"AS", "DA", "DS", "DT", "IS", "TM"})
FLOATS: Final = frozenset({"FD", "FL"})

# One number after the other, as DS and IS have them (PS3.5 6.2).
_NUMBERS: Final = re.compile(
    rb"(?: *+[+-]?(?:\d++\.?\d*+|\.\d++)?(?:[eE][+-]?\d++)? *+(?:\\|[\0 ]*+\Z))*+"
)


class Fit(NamedTuple):
    """What the values of a VR are made of.

    Attributes:
        fits: gives something for a value, as a range of bytes, that is of the VR.
        expression: for values of a length that is not 0, one that finds those that fit.
        longest: values that are longer (in bytes) are not looked at.
    """

    fits: Callable[[bytes, int, int], object]
    expression: Callable[[int], bytes]
    longest: int


def _but_for(characters: bytes) -> Fit:
    """Returns what fits all values but those of characters alone, and not too short."""

    def expression(length: int) -> bytes:
        if length < _MIN_TEXT:
            return b".{%d}" % length
        text = b"%b{%d}[\\0%b" % (characters, length - 1, characters[1:])
        return b"(?!%b).{%d}" % (text, length)

    pattern = b"(?!%b{%d,}\\0?\\Z).*" % (characters, _MIN_TEXT - 1)
    return Fit(re.compile(pattern, re.DOTALL).fullmatch, expression, MAX_NUMBERS)


_OF_CHARACTERS: Final = Fit(
    re.compile(_BEGINS + rb"|\Z").match,
    lambda length: _BEGINS + b".{%d}" % (length - 1),
    MAX_CHARACTERS,
)

FITS: Final = {
    **dict.fromkeys(CHARACTERS, _OF_CHARACTERS),
    **{vr: _but_for(_PRINTABLE if vr in FLOATS else _TEXT) for vr in (*BINARY_FORMATS, "AT")},
}


def is_vouched_for(tag: int, vr: str | None) -> bool:
    """Whether the file, or the standard, says what a value is made of.

    In implicit VR, and for UN, no more than a dictionary says it of a private element.

    Args:
        tag: of the element.
        vr: as it stands in the file; None in implicit VR.
    """
    return not is_private(tag) or vr not in {None, "UN"}


def is_numbers(value: bytes) -> bool:
    """Whether a value is numbers in characters, and nothing else: no day, no phone number."""
    return _NUMBERS.fullmatch(value) is not None
