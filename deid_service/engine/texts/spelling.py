"""Texts as they are compared: in one case, without accents, width, and ways of spelling.

People write a name in the script and the letters that they have. What is compared is
therefore neither case nor accent nor the width of a character; kana are of one kind, and a
form in Latin letters stands beside what is in Greek or Cyrillic ones.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

# Letters that decompose into no other, as they are written without them.
_PLAIN: Final = str.maketrans(
    {
        "ł": "l",
        "ø": "o",
        "đ": "d",
        "ð": "d",
        "þ": "th",
        "æ": "ae",
        "œ": "oe",
        "\u0131": "i",
        "ħ": "h",
        # Digits of Arabic, of Persian and Urdu, of Hindi, Bengali and Thai.
        **{
            chr(zero + digit): str(digit)
            for zero in (0x660, 0x6F0, 0x966, 0x9E6, 0xE50)
            for digit in range(10)
        },
    }
)

# What stands within words and nobody sees: soft hyphens, joiners, marks of direction, and of
# the order of bytes.
UNSEEN: Final = dict.fromkeys(
    [
        0xAD,
        0x34F,
        0x61C,
        *range(0x200B, 0x2010),
        *range(0x202A, 0x202F),
        *range(0x2060, 0x2065),
        0xFEFF,
    ]
)

# Two letters that stand for one with an accent, and back.
_SPELLED: Final = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "ø": "oe", "å": "aa", "æ": "ae", "œ": "oe"}
)
_UNSPELLED: Final = (("ae", "a"), ("oe", "o"), ("ue", "u"))

# Katakana stand as far behind hiragana.
_KANA: Final = {code: code - 0x60 for code in range(0x30A1, 0x30F7)}

_LATIN: Final = (
    # Cyrillic, as passports have it and as it is read.
    ("абвгґдеёєжзиіїйклмнопрстуфхцчшщъыьэюя",
     "a b v g g d e e ie zh z i i i i k l m n o p r s t u f kh ts ch sh shch  y  e iu ia",
     "a b v g g d e yo ye zh z i i yi y k l m n o p r s t u f kh ts ch sh shch  y  e yu ya",
     "a b v h g d e yo ye zh z i i i i k l m n o p r s t u f kh ts ch sh shch  y  e yu ya"),
    # Greek (ISO 843).
    ("αβγδεζηθικλμνξοπρσςτυφχψω",
     "a v g d e z i th i k l m n x o p r s s t y f ch ps o",
     "a v g d e z i th i k l m n x o p r s s t u ph kh ps o",
     "a v g d e z i th i k l m n x o p r s s t i f h ps o"),
)  # fmt: skip
_TO_LATIN: Final = tuple(
    str.maketrans(
        {letter: ways[way][at] for letters, *spaced in _LATIN
         for ways in [[each.split(" ") for each in spaced]]
         for at, letter in enumerate(letters)}
    )
    for way in (0, 1, 2)
)  # fmt: skip

# Two letters of Greek that are read as one sound (ISO 843), and how names in Cyrillic end
# where they are written as they are read.
_TOGETHER: Final = (
    ("\u03bf\u03c5", "ou"), ("\u03b1\u03c5", "av"), ("\u03b5\u03c5", "ev"), ("\u03b3\u03b3", "ng"),
)  # fmt: skip
_READ_WITH_Y: Final = re.compile("(?:^|(?<=[аеёиоуыэюяіїє]))\u0435")
_ENDS_AS_READ: Final = (("iy", "y"), ("ii", "y"), ("iy", "i"), ("ii", "i"), ("yy", "y"))


def plain(text: str) -> str:
    """Returns a text as it is compared; of letters that are no more than ASCII at once."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.casefold().translate(UNSEEN).translate(_PLAIN))
    kept = "".join([char for char in decomposed if not unicodedata.combining(char)])
    return unicodedata.normalize("NFC", kept.casefold()).translate(_KANA)


def located(text: str) -> tuple[str, list[int] | None]:
    """Returns a text as it is compared, and from which character each of it comes.

    None of the latter where each comes from the one at its own place.
    """
    if text.isascii():
        return text.lower(), None
    pieces = [_plain_character(char) for char in text]
    origins = [at for at, piece in enumerate(pieces) for _ in piece]
    return "".join(pieces), origins


@lru_cache(maxsize=4096)
def _plain_character(char: str) -> str:
    return plain(char)


def without_accents(word: str) -> tuple[str, str]:
    """Returns a word as it is compared, and with two letters for one with an accent."""
    return plain(word), plain(word.lower().translate(_SPELLED))


def _in_latin(word: str) -> Iterator[str]:
    """Yields a word, in lower case, in Latin letters."""
    for letters, latin in _TOGETHER:
        word = word.replace(letters, latin) if letters in word else word
    words = [word]
    if any(letters in (bare := plain(word)) for letters, _ in _TOGETHER):
        for letters, latin in _TOGETHER:
            bare = bare.replace(letters, latin)
        words.append(bare)
    # Where it begins a word, or stands behind a vowel, it is read with another before it: Yelena,
    # Andreyev; in German with a j.
    words += {_READ_WITH_Y.sub(read, word) for read in ("ye", "je")} - {word}
    for each in words:
        for table in _TO_LATIN:
            # Accented letters that stand in the table, and the others.
            latin = plain(each.translate(table)).translate(table)
            yield latin
            for end, as_read in _ENDS_AS_READ:
                if latin.endswith(end):
                    yield latin[: -len(end)] + as_read


def spellings(word: str) -> Iterator[str]:
    """Yields a word as it is compared, in the ways in which people may write it."""
    folded, spelled = without_accents(word)
    yield folded
    yield spelled
    if not folded.isascii():
        yield from _in_latin(word.lower())
    if folded.isascii():
        for pair, one in _UNSPELLED:
            if pair in folded:
                yield folded.replace(pair, one)
