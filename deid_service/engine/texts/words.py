"""Words that are known to be harmless, by a vocabulary or by their form.

What has its form are numbers with units, short codes, isotopes, words of medicine by their
endings; and what is put together of words that are known (`recon2`, `AbdRoutine`, `t2map`).
"""

from __future__ import annotations

import re
from typing import Final

from deid_service.engine.texts.endings import ends_as_medicine
from deid_service.engine.texts.identity import Identity
from deid_service.engine.texts.spelling import plain
from deid_service.engine.texts.unspaced import is_made_of, runs_of, words_in
from profile_service.language.model import LINKS, Vocabulary

# Short codes: b1000, T1, L5, B30f, 3D, 2d4, C7T1, fl3d; sequences as their makers name them:
# tfl3d1, 16ns, b1000t, 2i21s; times and angles with their numbers, matrices, stages, weeks and
# days of a pregnancy: TR2000, Sn100kV, 256x192, pT2N0M0, 37w2d.
_CODE: Final = re.compile(
    r"b\d{2,4}t?|\d{1,2}[05]0b|[ct]id\d{2,5}|(?:ct|mr)\d{3}w?|[a-z]{1,3}\d{1,2}[a-z]?|\d{1,2}[a-z]{1,2}\d?|[a-z]{1,2}\d[a-z]{1,2}\d?"
    r"|[a-z]{2,5}[23]d\d{0,2}|[23]d[a-z]{2,4}|\d{1,3}(?:ns|b\d{1,4}|i\d{1,2}s?|it(?:\d{1,3}s(?:ub)?)?|s\d{1,2}i)"
    r"|(?:te|tr|ti|td|fa|sn)\d{1,4}(?:kv)?|\d{1,4}(?:mm)?x\d{1,4}(?:x\d{1,4})?(?:mm|cm|avg|mip|mpr)?"
    r"|[cpry]{0,2}t(?:[0-4][a-d]?|is|x)(?:n[0-3x][a-c]?)?(?:m[01x][a-d]?)?|[1-4]?\d(?:w\d?)?d",
    re.IGNORECASE,
)

# Isotopes that people are examined or treated with: Tc99m, 18F, Lu-177.
_NUCLIDE: Final = "(?:Ac|At|Br|C|Cu|F|Ga|Ho|I|In|Kr|Lu|N|O|P|Pb|Ra|Rb|Re|Sc|Sm|Sr|Tb|Tc|Tl|Xe|Y|Zr)"
_ISOTOPE: Final = re.compile(rf"\d{{1,3}}m?{_NUCLIDE}|{_NUCLIDE}\d{{1,3}}m?", re.IGNORECASE)
_UNITS: Final = (
    "mm|cm|m|ml|l|mg|g|kg|kv|kvp|ma|mas|s|sec|ms|min|h|hz|mhz|t|deg|x|bq|mbq|gy|mgy|kev|mev|mci|gbq"
    "|mgi|mmol|msec|secs|mins|hr|hrs|wk|wks|fps|bpm|hu|px|dir|ch|fr|cc|lb|lbs|um|nm|sl|dl"
)
UNIT_WORDS: Final = frozenset(_UNITS.split("|"))
_QUANTITY: Final = re.compile(rf"\d{{1,4}}(?:{_UNITS})?", re.IGNORECASE)

# What a token is put together of: digits, and words as their capitals show them (AbdRoutine, or
# PTVboost), or all letters.
_PART: Final = re.compile(r"\d+|[A-Z]+(?![^\W\d_A-Z])|[A-Z]?[^\W\d_A-Z]+")
_BY_CASE: Final = re.compile(r"\d+|[A-Z]+|[a-z]+")
_LETTERS: Final = re.compile(r"\d+|[^\W\d_]+")
_MAX_PARTS: Final = 4
MAX_DIGITS: Final = 3
_DIGITS: Final = re.compile(r"\d+")
_MIN_PART: Final = 3

# Letters of a word that is put together. Of stems these may be anything where two stand beside
# each other.
_MIN_COMPOUND: Final = 5
_MAX_COMPOUND: Final = 40
_SHORT_STEMS: Final = frozenset(
    "ac ax bh bx ct dw fb fs hd hr lr lt mr nd nm pd pt sd wb xr".split()  # noqa: SIM905
)

# Calculated, enhanced, modified, in single shots; sides, as structures of plans have them.
_KINDS: Final = frozenset("cdems")
_SIDES: Final = frozenset(("l", "r", "lt", "rt"))
_WEIGHTED: Final = frozenset(("T1", "T2"))

# In capitals, shorter words are anybody's initials.
NO_INITIALS: Final = 4

# With these begin names of people that are written as one.
_PARTICLES: Final = frozenset(
    ["mac", "van", "von", "fitz", "del", "della", "des", "dos", "san", "der", "den", "las", "saint"]
)


class Words:
    """What a vocabulary and a file say of single words.

    Attributes:
        terms: words and phrases that stay.
        names: those of them that many are called by.
    """

    def __init__(self, vocabulary: Vocabulary, identity: Identity) -> None:
        """Looks words up in a vocabulary, but for those that identify somebody."""
        self.terms = vocabulary.terms
        self.names = vocabulary.names
        self._stems = vocabulary.stems
        self._parts = vocabulary.parts
        self._everyday = vocabulary.everyday
        self._any_case = vocabulary.any_case
        self._seldom = vocabulary.seldom
        self._never = identity.words
        self._listed = identity.listed.words

    def is_harmless(self, token: str) -> bool:
        """Whether a word, with its digits, stays where nothing is beside it."""
        word = token.lower()
        if self.identifies(word):
            return False
        if word in self.terms or (len(word) == 1 and plain(word).isascii()):
            return True
        if self._has_its_form(token, word) or self._is_put_together(word):
            return True
        if word.isascii():
            return False
        # In Latin letters an accent tells words apart: `Åse` is no `ase`.
        compared = plain(word)
        return not compared.isascii() and (
            compared in self.terms or ends_as_medicine(compared) or self._is_unspaced(compared)
        )

    def is_everyday(self, token: str, *, in_capitals: bool) -> bool:
        """Whether a word is of everyday English, written as one, and none of the file's.

        Args:
            token: a word as it is written.
            in_capitals: so is the whole text, and capitals tell no name from a word.
        """
        word = token.lower()
        if word == token:
            is_one = token in self._everyday
        elif token.isupper():
            is_one = word in self._any_case or (
                in_capitals
                and len(token) >= NO_INITIALS
                and word in self._everyday
                and (word not in self.names or word in self._seldom)
            )
        else:
            return False
        return is_one and not self.identifies(word)

    def is_noun(self, token: str) -> bool:
        """Whether an everyday word may be what somebody or something is called."""
        return token.lower() not in self._any_case

    def begins(self, token: str) -> bool:
        """Whether a word may begin a sentence of everyday English, and is none of the file's."""
        word = token.lower()
        return token.istitle() and word in self._any_case and not self.identifies(word)

    def _has_its_form(self, token: str, word: str) -> bool:
        return (
            _QUANTITY.fullmatch(word) is not None
            or _CODE.fullmatch(word) is not None
            or _ISOTOPE.fullmatch(word) is not None
            or ends_as_medicine(word)
            or self._is_composed(token)
        )

    def _is_put_together(self, word: str) -> bool:
        """Whether it is the name of a sequence, or a word of German and the like."""
        if not _MIN_COMPOUND <= len(word) <= _MAX_COMPOUND:
            return False
        # In stems a digit stands for any number: of T1, of 3D, of a series.
        sequence = word
        if not word.isalpha():
            digits = _DIGITS.findall(word)
            if sum(map(len, digits)) > MAX_DIGITS:
                return False
            sequence = _DIGITS.sub("0", word)
        return (
            is_made_of(sequence, self._stems, _SHORT_STEMS)
            and self._says_nothing(sequence, self._stems)
        ) or (
            is_made_of(word, self._parts, LINKS, at_ends=False)
            and self._says_nothing(word, self._parts)
        )

    def _is_unspaced(self, word: str) -> bool:
        """Whether it is made of words of languages that are written without spaces."""
        runs, others = runs_of(word)
        return (
            bool(runs)
            and all(map(self.is_harmless, others))
            and all(
                is_made_of(run, self.terms, self.names) and self._says_nothing(run, self.terms)
                for run in runs
            )
        )

    def _says_nothing(self, run: str, words: frozenset[str]) -> bool:
        """Whether no word of those in a run is one of the file's names."""
        return not any(map(self.identifies, words_in(run, words)))

    def identifies(self, word: str) -> bool:
        """Whether a word, in small letters, is one of the file's, or one that the site lists."""
        if word in self._never:
            return True
        compared = plain(word)
        return compared in self._never or compared in self._listed

    def _is_composed(self, token: str) -> bool:
        parts = _PART.findall(token)
        if self._are_words(parts):
            return True
        if token.isascii() and self._are_words(_BY_CASE.findall(token)):
            return True
        letters = [] if token.isalpha() else _LETTERS.findall(token)
        return len(letters) < len(parts) and self._are_words(letters)

    def _are_words(self, parts: list[str]) -> bool:
        digits = sum(len(part) for part in parts if part.isdigit())
        words = _words_of(parts)
        return (
            1 < len(parts) <= _MAX_PARTS
            and digits <= MAX_DIGITS
            and len(words) > 0
            and all(
                len(word) >= _MIN_PART and word in self.terms and word not in self.names
                for word in words
            )
            and _PARTICLES.isdisjoint(words)
            and not any(self.identifies(part.lower()) for part in parts)
        )


def _words_of(parts: list[str]) -> list[str]:
    """Returns the words of what is put together.

    Without a letter for a kind (dADC, sCor), one side (ParotidR, LtLung), units behind a number
    (PTV54Gy), and the weighting of an image (ProstateT2).
    """
    words = [
        part.lower()
        for at, part in enumerate(parts)
        if not part.isdigit()
        and not (at > 0 and parts[at - 1].isdigit() and part.lower() in UNIT_WORDS)
        and "".join(parts[at : at + 2]) not in _WEIGHTED
    ]
    if len(words) <= 1:
        return words
    if words[-1] in _SIDES and parts[-1][0].isupper():
        return words[:-1]
    # Before a word with a capital: Romero has none within.
    is_letter = parts[0] in _KINDS or (words[0] in _SIDES and parts[0][0].isupper())
    return words[1:] if is_letter and parts[1][0].isupper() else words
