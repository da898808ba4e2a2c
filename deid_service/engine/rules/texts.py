"""Texts cleaned: what is known to be harmless stays, and the rest goes.

Kept are words of a vocabulary, numbers, numbers with units, short codes, and what stands
between them. Never kept is a word that identifies somebody in the same file, a date, a
phone number, an e-mail address, a URL, a long number.
"""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final

from deid_service.engine.rules.dummies import dummy_text
from deid_service.engine.rules.identity import Identity, folded

_MONTH: Final = (
    "(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|j[aä]nner|m[aä]rz|mai|okt|dez)[a-z]*"
)

# Longer texts are none that a person reads before it is sent on; of them nothing stays.
MAX_CHARACTERS: Final = 16_384

# Tried in this order, before words are looked at. Each looks no further from where it
# begins than a bound, or goes on behind what it has found.
_NEVER: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"[^\s@]{0,64}@\S{0,255}",
        r"\b(?:https?|ftp|file)://\S*|\bwww\.\S*|\\\\\S*",
        # Dates: with a year of four digits or of two, with month names, and as in DICOM.
        r"(?<!\d)\d{1,4}([-./])\d{1,2}\1\d{1,4}(?!\d)",
        rf"(?<!\d)\d{{1,2}}\.?[ -]?{_MONTH}\.?,?[ -]?\d{{2,4}}(?!\d)",
        rf"\b{_MONTH}\.?[ -]?\d{{1,2}}(?:st|nd|rd|th)?,?[ -]{{1,3}}\d{{4}}(?!\d)",
        r"(?<!\d)(?:19|20)\d{2}(?!\d)",
        r"(?<!\d)\d{1,2}:\d{2}(?::\d{2})?(?!\d)",
        # Phone numbers: seven digits and more, in groups.
        r"\+?\d[\d()/ -]{5,40}\d",
        # An address, and who follows a title.
        r"\b\d{1,5}[a-z]? {1,3}[^\W\d_]{1,40} {1,3}"
        r"(?:street|st|road|rd|avenue|ave|drive|lane|way|blvd)\b\.?",
        r"\b[^\W\d_]{1,40}(?:stra(?:ss|ß)e|str\.|weg|platz|gasse) {0,3}\d{0,5}",
        r"\b(?:dr|prof|mr|mrs|ms|hr|fr|herr|frau|mme|sr|sra)\b\.? {0,3}[^\W\d_]{1,40}"
        r"(?:[ -](?-i:[A-Z])[^\W\d_]{1,40})?",
    )
)

# A word with its digits, or what stands between words.
_TOKEN: Final = re.compile(r"[^\W_]+|[\W_]+")

# Short codes: b1000, T1, L5, B30f, 3D, 2d4, C7T1, fl3d.
_CODE: Final = re.compile(
    r"b\d{2,4}|[a-z]{1,3}\d{1,2}[a-z]?|\d{1,2}[a-z]{1,2}\d?|[a-z]{1,2}\d[a-z]{1,2}\d?",
    re.IGNORECASE,
)
_UNITS: Final = "mm|cm|m|ml|l|mg|g|kg|kv|kvp|ma|mas|s|sec|ms|min|h|hz|mhz|t|deg|x|bq|mbq|gy|mgy"
_QUANTITY: Final = re.compile(rf"\d{{1,4}}(?:{_UNITS})?", re.IGNORECASE)

# Sides and directions, and the letters of `w/o`.
_SINGLE: Final = frozenset("acfhilnoprstw")


def clean(text: str, vocabulary: AbstractSet[str], identity: Identity) -> str:
    """Returns what of a text is known to be harmless.

    Args:
        text: one value.
        vocabulary: words in lower case.
        identity: what identifies somebody in the same file.
    """
    if len(text) > MAX_CHARACTERS:
        return ""
    text = identity.without(text)
    for pattern in _NEVER:
        text = pattern.sub(" ", text)
    never = identity.words
    kept: list[str] = []
    removed = False
    for token in _TOKEN.findall(text):
        if not token[0].isalnum():
            # What stands between two words that went is of no use.
            kept.append(" " if removed else token)
            removed = False
        elif _is_harmless(token, vocabulary, never):
            kept.append(token)
        else:
            removed = True
    result = "".join(kept)
    result = re.sub(r"[(\[{]\W*[)\]}]", " ", result)
    result = re.sub(r" {2,}", " ", result).strip(" ^,;:-_/.=")
    return result if any(char.isalnum() for char in result) else ""


def sweep(text: str, identity: Identity) -> str:
    """Returns a text without what identifies somebody in the same file."""
    if not identity.spans(text):
        return text
    return re.sub(r" {2,}", " ", identity.without(text)).strip(" ^,;:-_/=")


@dataclass(frozen=True, slots=True, eq=False)
class Cleaner:
    """Cleans the texts of a file.

    Attributes:
        vocabulary: words in lower case that a cleaned text may keep.
        identity: what identifies somebody in the file.
    """

    vocabulary: AbstractSet[str] = frozenset()
    identity: Identity = field(default_factory=Identity)

    def texts(self, step: TextStep, texts: list[str], vr: str) -> list[str]:
        """Returns the values of an element, cleaned or swept; a dummy where it is needed."""
        identity = self.identity
        if step.keeps_known:
            new = [text and clean(text, self.vocabulary, identity) for text in texts]
        elif vr in _WHOLE:
            new = ["" if text and self._says(text) else text for text in texts]
        else:
            new = [text and sweep(text, identity) for text in texts]
        if step.needs_value and any(texts) and not any(new):
            return [dummy_text(vr)]
        return new

    def _says(self, text: str) -> bool:
        """Whether a word that is no text says who somebody is: HEAD is what it always is."""
        return any(
            text[start:end].lower() not in self.vocabulary
            for start, end in self.identity.spans(text)
        )


@dataclass(frozen=True, slots=True)
class TextStep:
    """A text is cleaned, by what identifies somebody in the same file.

    Attributes:
        name: as receipts count it.
        keeps_known: only what is known to be harmless stays; else all that does not
            identify.
        needs_value: a dummy stands where nothing is left.
    """

    name: str
    keeps_known: bool
    needs_value: bool

    @property
    def weight(self) -> int:
        """As how many actions it counts."""
        return 1


# Of these a part has no meaning, or may not be legal.
_WHOLE: Final = frozenset({"AE", "CS", "UR"})


def _is_harmless(token: str, vocabulary: AbstractSet[str], never: AbstractSet[str]) -> bool:
    word = token.lower()
    if word in never or folded(word) in never:
        return False
    if len(word) == 1:
        return word.isdigit() or word in _SINGLE
    return (
        word in vocabulary
        or _QUANTITY.fullmatch(word) is not None
        or _CODE.fullmatch(word) is not None
    )
