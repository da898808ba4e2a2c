"""What identifies somebody in values that are no texts: numbers, times, and bytes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from deid_service.engine.encoding.charsets import CharacterSetError
from deid_service.engine.rules.fits import CHARACTERS, FITS, FLOATS, is_numbers
from deid_service.engine.texts.cleaner import ANY_TEXT

if TYPE_CHECKING:
    from deid_service.engine.encoding.charsets import CharacterSets
    from deid_service.engine.texts.cleaner import Cleaner
    from deid_service.engine.texts.identity import Identity

_LATIN: Final = frozenset({"latin_1", "utf_8"})

# Texts among bytes, as profiles of colours have them: ASCII, with letters of Latin 1 or UTF-8
# between; or two bytes a character, the higher one first or last.
_RUN: Final = re.compile(
    rb"(?:[\t\n\r\x20-\x7e]|[\xc2-\xf4][\x80-\xbf]{1,3}|[\xa0-\xff]{1,2}(?=[\0\x20-\x7e]|\Z)){4,}"
)
# In other sets of characters a letter stands beside others of its kind.
_RUN_OF_OTHERS: Final = re.compile(rb"[\t\n\r\x20-\x7e\x80-\xff]{4,}")
_WIDE_RUN: Final = re.compile(rb"(?:\0[\x20-\x7e\xa0-\xff]|[\x01-\x05].){4,}", re.DOTALL)
_WIDE_RUN_BACK: Final = re.compile(rb"(?:[\x20-\x7e\xa0-\xff]\0|.[\x01-\x05]){4,}", re.DOTALL)


def may_stay(
    value: bytes, vr: str, charsets: CharacterSets, cleaner: Cleaner, *, is_said: bool
) -> bool:
    """Whether a value of numbers or times is what its VR says, or a text that says nothing.

    Args:
        value: as it stands in the file.
        vr: that it is read with; one of text where numbers are expected.
        charsets: in force for it.
        cleaner: of the texts of the file.
        is_said: the file says the VR, and so vouches for it.
    """
    fit = FITS.get(vr)
    if fit is not None and (is_said or vr not in CHARACTERS):
        if len(value) > fit.longest:
            return True
        if fit.fits(value, 0, len(value)):
            return is_said or blanked(value, cleaner.identity, charsets.codec) == value
    value = value.rstrip(b" \0")
    if vr in FLOATS:
        return not cleaner.finds([value.decode("latin-1")], "LO", ANY_TEXT)
    try:
        text = charsets.decode(value, "LT")
    except CharacterSetError:
        text = value.decode("latin-1")
    if is_numbers(value):
        return not cleaner.identity.spans(text, with_initials=False)
    return cleaner.is_harmless(text)


def blanked(value: bytes, identity: Identity, codec: str) -> bytes:
    """Returns bytes with blanks in place of what identifies somebody in texts among them.

    Their length stays, and so does where anything stands in them.

    Args:
        value: as it stands in the file.
        identity: what identifies somebody in it.
        codec: of its texts.
    """
    new = bytearray(value)
    for pattern, codecs, blank in (
        (_RUN, ("utf_8", "latin_1"), b" ")
        if codec in _LATIN
        else (_RUN_OF_OTHERS, ("utf_8", codec, "latin_1"), b" "),
        (_WIDE_RUN, ("utf_16_be",), b"\0 "),
        (_WIDE_RUN_BACK, ("utf_16_le",), b" \0"),
    ):
        for run in pattern.finditer(value):
            text, used = _decoded(run[0], codecs)
            for start, end in identity.spans(text, with_initials=False):
                begin = run.start() + len(text[:start].encode(used, "replace"))
                stop = begin + len(text[start:end].encode(used, "replace"))
                new[begin:stop] = blank * ((stop - begin) // len(blank))
    return bytes(new)


def _decoded(run: bytes, codecs: tuple[str, ...]) -> tuple[str, str]:
    """Returns a text among bytes, and the first codec that can read it."""
    for codec in codecs:
        try:
            return run.decode(codec), codec
        except UnicodeError:
            # Of single bytes that are no letters each stands in for one.
            text = run.decode(codec, "replace")
            if codec != "utf_8" and len(text) == len(run):
                return text, codec
    return "", codecs[0]
