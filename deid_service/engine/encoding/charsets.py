"""Text in the character sets of Specific Character Set (PS3.3 C.12.1.1.2, PS3.5 6.1)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

# PS3.5 6.2: the VRs that Specific Character Set applies to.
CHARSET_VRS: Final = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})

# A value of (0008,0005) is a few defined terms of at most 16 characters; more is not one.
_MAX_TERMS: Final = 32
MAX_CHARACTER_SET: Final = _MAX_TERMS * 17

# PS3.5 6.1.2.5.3: these characters end what an escape sequence began, and so
# does the delimiter of values; in a person name those of its parts do, too.
_RESETS: Final = re.compile(r"([\t\n\f\r\\])")
_PERSON_NAME_RESETS: Final = re.compile(r"([\t\n\f\r\\^=])")
_RESET_BYTES: Final = re.compile(rb"[\t\n\f\r\\]")
_PERSON_NAME_RESET_BYTES: Final = re.compile(rb"[\t\n\f\r\\^=]")

_FRAGMENT: Final = re.compile(rb"^[^\x1b]+|\x1b[^\x1b]*")
_SEPARATORS: Final = re.compile(r"[ _-]+")

_ESCAPE: Final = b"\x1b"
# ISO-IR 6 and ISO-IR 14: sets of single bytes in G0.
_TO_ASCII: Final = b"\x1b(B"
_TO_ROMAJI: Final = b"\x1b(J"

_DEFAULT: Final = "ascii"
_KATAKANA: Final = "shift_jis"
_KANJI: Final = "iso2022_jp"
_MORE_KANJI: Final = "iso2022_jp_2"

# PS3.3 tables C.12-2 and C.12-3: the registration number of each set of single bytes,
# the codec that knows it, and the escape sequence that puts it into G1 (or G0).
_SINGLE_BYTE: Final = {
    6: (_DEFAULT, _TO_ASCII),
    13: (_KATAKANA, b"\x1b)I"),
    100: ("latin_1", b"\x1b-A"),
    101: ("iso8859_2", b"\x1b-B"),
    109: ("iso8859_3", b"\x1b-C"),
    110: ("iso8859_4", b"\x1b-D"),
    126: ("iso8859_7", b"\x1b-F"),
    127: ("iso8859_6", b"\x1b-G"),
    138: ("iso8859_8", b"\x1b-H"),
    144: ("iso8859_5", b"\x1b-L"),
    148: ("iso8859_9", b"\x1b-M"),
    166: ("tis_620", b"\x1b-T"),
    203: ("iso8859_15", b"\x1b-b"),
}

# PS3.3 table C.12-4: the same of the sets of two bytes, in G0 (87, 159) or G1 (149, 58).
_MULTI_BYTE: Final = {
    58: ("gb2312", b"\x1b$)A"),
    87: (_KANJI, b"\x1b$B"),
    149: ("euc_kr", b"\x1b$)C"),
    159: (_MORE_KANJI, b"\x1b$(D"),
}

_ESCAPES: Final = dict((*_SINGLE_BYTE.values(), *_MULTI_BYTE.values()))
_CODECS_BY_ESCAPE: Final = {escape: codec for codec, escape in _ESCAPES.items()} | {
    _TO_ROMAJI: _KATAKANA
}

# The sets of two bytes that take the place of ASCII; their codecs read and write escape
# sequences themselves.
_IN_G0: Final = frozenset({_KANJI, _MORE_KANJI})

# PS3.3 table C.12-5: without code extensions, and alone.
_STAND_ALONE: Final = frozenset({"utf_8", "gb18030", "gbk"})

# The codec of each term, by its letters and digits: writers separate those with spaces,
# underscores and hyphens as they like, write single-byte and multi-byte sets with and
# without `2022`, or name an encoding as programs do. Other readers take these, too.
_CODECS: Final = {
    **{
        f"{prefix}{number}": codec
        for number, (codec, _) in (_SINGLE_BYTE | _MULTI_BYTE).items()
        for prefix in ("ISOIR", "ISO2022IR")
    },
    "": _DEFAULT,
    "ASCII": _DEFAULT,
    "USASCII": _DEFAULT,
    "ISOIR192": "utf_8",
    "ISO2022IR192": "utf_8",
    "UTF8": "utf_8",
    "GB18030": "gb18030",
    "GBK": "gbk",
    "ISO2022GBK": "gbk",
    "GB2312": "gb2312",
    "ISO202258": "gb2312",
    "EUCKR": "euc_kr",
    "SHIFTJIS": _KATAKANA,
    "LATIN1": "latin_1",
    **{f"ISO8859{part}": f"iso8859_{part}" for part in (*range(1, 10), 15)},
}


class CharacterSetError(Exception):
    """The character sets in force are unknown, or do not fit the text."""


class UndefinedTermError(CharacterSetError):
    """A text needs the character sets in force, which no defined term names.

    Attributes:
        offset: of the element that names them, in bytes.
    """

    def __init__(self, offset: int) -> None:
        self.offset = offset
        super().__init__()


class CharacterSets:
    """The character sets in force at one level of a data set."""

    def __init__(self, codecs: Sequence[str]) -> None:
        """Prepares for reading and writing.

        Args:
            codecs: of the terms, in their order.
        """
        first = codecs[0]
        self._codecs = frozenset(codecs)
        self._default = self._codecs == {_DEFAULT}
        # Undeclared text beyond ASCII is read as Latin 1, as other readers do.
        self._first = "latin_1" if first == _DEFAULT else first
        self._alone = first in _STAND_ALONE
        # What brings ASCII back into G0, and the sets that can be invoked.
        self._back = _Set(_TO_ROMAJI, _KATAKANA) if first == _KATAKANA else _ASCII
        others = [_Set(_ESCAPES[codec], codec) for codec in codecs if codec in _ESCAPES]
        self._sets = tuple(dict.fromkeys([self._back, *others]))
        self._sets_at_first = (_Set(b"", first), *self._sets)

    @property
    def codec(self) -> str:
        """Which codec reads what stands before any escape sequence."""
        return self._first

    def decode(self, value: bytes, vr: str) -> str:
        """Decodes a text value.

        Raises:
            CharacterSetError: the bytes are not in the character sets.
        """
        if _ESCAPE not in value:
            if value.isascii():
                return value.decode("ascii")
            fragments = [value]
        else:
            fragments = _FRAGMENT.findall(value)
        resets = _PERSON_NAME_RESET_BYTES if vr == "PN" else _RESET_BYTES
        try:
            return "".join([self._decode_fragment(fragment, resets) for fragment in fragments])
        except UnicodeError:
            raise CharacterSetError from None

    def _decode_fragment(self, fragment: bytes, resets: re.Pattern[bytes]) -> str:
        if not fragment.startswith(_ESCAPE):
            return fragment.decode(self._first)
        length = 4 if fragment.startswith((b"\x1b$(", b"\x1b$)")) else 3
        codec = _CODECS_BY_ESCAPE.get(fragment[:length])
        if codec is None or (codec not in self._codecs and codec != _DEFAULT):
            raise CharacterSetError
        if codec in _IN_G0:
            return fragment.decode(codec)
        if codec == _DEFAULT:
            codec = "latin_1"
        reset = resets.search(fragment, length)
        end = len(fragment) if reset is None else reset.start()
        return fragment[length:end].decode(codec) + fragment[end:].decode(self._first)

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
        if self._alone:
            try:
                return text.encode(self._first)
            except UnicodeError:
                raise CharacterSetError from None
        # PS3.5 6.1.2.5.3: at each delimiter, and at the end, the sets of the first
        # term are in force again.
        resets = _PERSON_NAME_RESETS if vr == "PN" else _RESETS
        encoded = b"".join([self._encode_piece(piece) for piece in resets.split(text)])
        # A codec may take one character for another.
        if self.decode(encoded, vr) != text:
            raise CharacterSetError
        return encoded

    def _encode_piece(self, piece: str) -> bytes:
        """Encodes a text without delimiters, changing the set as seldom as can be."""
        if piece.isascii():
            return piece.encode("ascii")
        encoded = []
        sets = self._sets_at_first
        has_ascii = True
        position = 0
        while position < len(piece):
            chosen, end = _longest(piece, position, sets)
            fills_g0 = chosen.codec in _IN_G0 and bool(chosen.escape)
            if not has_ascii and not fills_g0 and chosen != self._back:
                encoded.append(self._back.escape)
            encoded.append(chosen.escape)
            codes = (_encode_character(chosen, character) for character in piece[position:end])
            encoded += [code for code in codes if code is not None]
            has_ascii = not fills_g0
            sets = self._sets
            position = end
        if not has_ascii:
            encoded.append(self._back.escape)
        return b"".join(encoded)


class UndefinedCharacterSets(CharacterSets):
    """Character sets that no defined term names: good for ASCII, which is in all of them."""

    def __init__(self, offset: int) -> None:
        """Remembers what is not defined.

        Args:
            offset: of the element that names them, in bytes.
        """
        super().__init__([_DEFAULT])
        self._offset = offset

    def decode(self, value: bytes, vr: str) -> str:
        """Decodes ASCII.

        Raises:
            UndefinedTermError: the value is something else.
        """
        if not value.isascii() or _ESCAPE in value:
            raise UndefinedTermError(self._offset)
        return super().decode(value, vr)

    def encode(self, text: str, vr: str) -> bytes:
        """Encodes ASCII.

        Raises:
            UndefinedTermError: the text is something else.
        """
        if not text.isascii():
            raise UndefinedTermError(self._offset)
        return super().encode(text, vr)


def character_sets(value: str) -> CharacterSets:
    r"""Returns the character sets of a value of (0008,0005).

    Other spellings of the defined terms (`ISO-IR 100`, `UTF-8`) are understood.

    Args:
        value: the defined terms, with backslashes between them; empty for the
            default repertoire.

    Raises:
        CharacterSetError: a term that the standard does not define.
    """
    value = value.strip(" \0")
    if len(value) > MAX_CHARACTER_SET:
        raise CharacterSetError
    return _character_sets(value)


# Holds no more than what is defined, in some spellings: errors are not remembered.
@lru_cache(maxsize=256)
def _character_sets(value: str) -> CharacterSets:
    terms = [_SEPARATORS.sub("", term).upper() for term in value.split("\\")]
    try:
        first, *others = (_CODECS[term] for term in terms)
    except KeyError:
        raise CharacterSetError from None
    if first in _STAND_ALONE:
        return CharacterSets([first])
    # PS3.3 C.12.1.1.2: the sets of table C.12-5 are no code extensions.
    return CharacterSets([first, *(codec for codec in others if codec not in _STAND_ALONE)])


class _Set(NamedTuple):
    """A set of characters.

    Attributes:
        escape: the sequence that invokes it; empty where it is in force already.
        codec: that knows it.
    """

    escape: bytes
    codec: str


_ASCII: Final = _Set(_TO_ASCII, _DEFAULT)


def _longest(piece: str, start: int, sets: Sequence[_Set]) -> tuple[_Set, int]:
    """Returns the set that holds the most of what follows, and where that ends.

    Raises:
        CharacterSetError: none holds the first character.
    """
    chosen = None
    end = start
    while end < len(piece):
        sets = [each for each in sets if _encode_character(each, piece[end]) is not None]
        if not sets:
            break
        chosen = sets[0]
        end += 1
    if chosen is None:
        raise CharacterSetError
    return chosen, end


# A text of a language has a few thousand characters.
@lru_cache(maxsize=16_384)
def _encode_character(wanted: _Set, character: str) -> bytes | None:
    """Returns one character without escape sequences; None where the set lacks it."""
    escape, codec = wanted
    try:
        code = character.encode(codec)
    except UnicodeError:
        return None
    if codec in _IN_G0:
        if not escape:
            return code if character.isascii() else None
        return code[len(escape) : len(escape) + 2] if code.startswith(escape) else None
    if codec == _KATAKANA:
        # The codec has characters of two bytes as well, and takes a yen sign for a
        # backslash; ISO-IR 13 is the upper half of the single bytes, ISO-IR 14 the lower.
        if len(code) != 1 or code.decode(codec) != character:
            return None
        half = {_TO_ROMAJI: True, _ESCAPES[_KATAKANA]: False}.get(escape, code < b"\x80")
        return code if (code < b"\x80") is half else None
    return code


DEFAULT_CHARACTER_SETS: Final = character_sets("")
