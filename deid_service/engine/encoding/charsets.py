"""Text in the character sets of Specific Character Set (PS3.3 C.12.1.1.2, PS3.5 6.1)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from pydicom.charset import (
    CODES_TO_ENCODINGS,
    encode_string,
    handled_encodings,
    python_encoding,
)

# PS3.5 6.2: the VRs that Specific Character Set applies to.
CHARSET_VRS: Final = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})

# A value of (0008,0005) is a few defined terms; more is not one.
_MAX_TERMS: Final = 32

# PS3.5 6.1.2.5.3: these characters end what an escape sequence began, and so
# does the delimiter of values; in a person name those of its parts do, too.
_RESETS: Final = frozenset(b"\t\n\f\r\\")
_PERSON_NAME_RESETS: Final = _RESETS | frozenset(b"^=")

_FRAGMENT: Final = re.compile(rb"^[^\x1b]+|\x1b[^\x1b]*")
_MISSPELT_SINGLE: Final = re.compile(r"ISO[ _-]?IR[ _-]?(\d+)", re.IGNORECASE)
_MISSPELT_EXTENDED: Final = re.compile(r"ISO[ _-]?2022[ _-]?IR[ _-]?(\d+)", re.IGNORECASE)


class CharacterSetError(Exception):
    """The character sets in force are unknown, or do not fit the text."""


class CharacterSets:
    """The character sets in force at one level of a data set."""

    def __init__(self, encodings: Sequence[str], *, default: bool) -> None:
        self._encodings = list(encodings)
        self._default = default

    def decode(self, value: bytes, vr: str) -> str:
        """Decodes a text value.

        Raises:
            CharacterSetError: the bytes are not in the character sets.
        """
        if b"\x1b" not in value:
            if value.isascii():
                return value.decode("ascii")
            fragments = [value]
        else:
            fragments = _FRAGMENT.findall(value)
        resets = _PERSON_NAME_RESETS if vr == "PN" else _RESETS
        try:
            return "".join(self._decode_fragment(fragment, resets) for fragment in fragments)
        except UnicodeError:
            raise CharacterSetError from None

    def _decode_fragment(self, fragment: bytes, resets: frozenset[int]) -> str:
        first = self._encodings[0]
        if not fragment.startswith(b"\x1b"):
            return fragment.decode(first)
        length = 4 if fragment.startswith((b"\x1b$(", b"\x1b$)")) else 3
        encoding = CODES_TO_ENCODINGS.get(fragment[:length])
        if encoding is None or (encoding not in self._encodings and encoding != "iso8859"):
            raise CharacterSetError
        if encoding in handled_encodings:
            return fragment.decode(encoding)
        rest = fragment[length:]
        end = next((i for i, byte in enumerate(rest) if byte in resets), len(rest))
        return rest[:end].decode(encoding) + rest[end:].decode(first)

    def encode(self, text: str, vr: str) -> bytes:
        """Encodes a text value.

        Raises:
            CharacterSetError: the character sets cannot hold it.
        """
        if text.isascii():
            return text.encode("ascii")
        if self._default:
            # PS3.5 6.1.1: without Specific Character Set there is only ISO-IR 6.
            raise CharacterSetError
        try:
            encoded = encode_string(text, self._encodings)
        except (UserWarning, ValueError):
            raise CharacterSetError from None
        # pydicom puts replacement characters where a character has no code.
        if self.decode(encoded, vr) != text:
            raise CharacterSetError
        return encoded


@lru_cache(maxsize=256)
def character_sets(value: str) -> CharacterSets:
    r"""Returns the character sets of a value of (0008,0005).

    Common misspellings of the defined terms (`ISO-IR 100`) are understood.

    Args:
        value: the defined terms, with backslashes between them; empty for the
            default repertoire.

    Raises:
        CharacterSetError: a term that the standard does not define.
    """
    terms = [_correct(term.strip(" \0")) for term in value.split("\\")]
    if len(terms) > _MAX_TERMS:
        raise CharacterSetError
    try:
        encodings = [python_encoding[term] for term in terms]
    except KeyError:
        raise CharacterSetError from None
    # Undeclared text beyond ASCII is read as Latin 1, as other readers do.
    return CharacterSets(encodings, default=set(encodings) == {"iso8859"})


def _correct(term: str) -> str:
    if term in python_encoding:
        return term
    if match := _MISSPELT_EXTENDED.fullmatch(term):
        return f"ISO 2022 IR {match[1]}"
    if match := _MISSPELT_SINGLE.fullmatch(term):
        return f"ISO_IR {match[1]}"
    return term


DEFAULT_CHARACTER_SETS: Final = character_sets("")
