"""Initials, and names of two letters, that are told by what stands beside them.

They mean something else in most texts: MR, LA, Li. What tells them is who is announced, a point, a
comma, a genitive or an age: `pt. M.R.`, `Li, W`, `LA's`, `MR, 45 y/o`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from deid_service.engine.texts.abbreviations import (
    ANNOUNCES,
    DID,
    FUNCTION_WORDS,
    OF_IMAGES,
    PATIENT,
    REVIEWED,
    UBIQUITOUS,
)
from deid_service.engine.texts.forms import PARTICLES

if TYPE_CHECKING:
    from deid_service.engine.texts.sought import Sought

# Behind these stands a name of two letters with a capital.
_BEFORE_NAMES: Final = DID | PATIENT | {
    "attn", "contact", "dr", "miss", "mr", "mrs", "ms", "name", "named", "per", "prof",
}  # fmt: skip

_GENITIVE: Final = frozenset("'\u2019")
_WORDS: Final = PARTICLES | FUNCTION_WORDS
_PRONOUNS: Final = frozenset(["he", "it", "we"])

# Letters that stand with points, as many as names have.
_MAX_LETTERS: Final = 4

# Between somebody and her age; and what says that it is one, the latter whatever stands before.
_BEFORE_AGE: Final = frozenset([" ", ", ", ",", " (", "("])
_YEARS: Final = frozenset(["y", "yr", "yrs", "year", "years", "jahre", "ans", "anni"])
_OLD: Final = frozenset(["yo", "o", "old"])
_MAX_AGE: Final = 3
_OF_SEX: Final = 2

# Behind initials that somebody is asked for: for N.M., a teacher.
_ASKED: Final = frozenset(["for", "re"])
_WHO: Final = frozenset(["a", "an", "the", "who"])


class Beside:
    """A text in which initials and names of two letters are looked for.

    Attributes:
        compared: as it is compared.
        written: as it is written, character by character.
        found: its words and numbers.
    """

    __slots__ = ("_sought", "compared", "found", "written")

    def __init__(
        self, sought: Sought, compared: str, written: str, found: list[re.Match[str]]
    ) -> None:
        """Takes what is looked for, and the text."""
        self._sought = sought
        self.compared = compared
        self.written = written
        self.found = found

    def length(self, at: int) -> int:
        """Returns how many words from one on are told by what stands beside them."""
        if self._word(at) in self._sought.families:
            is_word = self._word(at) in self._sought.harmless
            return int(not is_word and self._stands_alone(at))
        return self._announced(at) or self._initials(at) or self._two_letters(at)

    def _word(self, at: int) -> str:
        return self.found[at][0] if 0 <= at < len(self.found) else ""

    def _written(self, at: int) -> str:
        start, end = self.found[at].span() if 0 <= at < len(self.found) else (0, 0)
        return self.written[start:end]

    def _before(self, at: int) -> str:
        """Returns what stands between a word and the one before."""
        if not 0 < at < len(self.found):
            return ""
        return self.compared[self.found[at - 1].end() : self.found[at].start()]

    def _stands_alone(self, at: int) -> bool:
        if not 0 <= at < len(self.found):
            return False
        start, end = self.found[at].span()
        around = self.compared[max(start - 1, 0) : start] + self.compared[end : end + 1]
        return not any(map(str.isalnum, around))

    def _announced(self, at: int) -> int:
        """Initials behind who they are of, or what somebody did."""
        word, behind = self._word(at), self._word(at + 1)
        if word not in ANNOUNCES or not behind:
            return 0
        sought = self._sought
        told = sought.of_patient if word in REVIEWED else sought.initials
        if self._stands_alone(at + 1):
            if behind in told:
                return 2
            # In capitals behind small letters they are no word: pt LA.
            stands_out = self._written(at + 1).isupper() and not self._written(at).isupper()
            if stands_out and behind in sought.initials - OF_IMAGES:
                return 2
        letters, length = "", 0
        for each in range(at + 1, min(at + 1 + _MAX_LETTERS, len(self.found))):
            if len(self._word(each)) > 1 or (letters and self._before(each) not in {".", ". "}):
                break
            letters += self._word(each)
            if len(letters) > 1 and letters in sought.initials:
                length = 1 + len(letters)
        return length

    def _initials(self, at: int) -> int:
        """Initials in capitals before a genitive or an age, and of who is asked for."""
        word = self._word(at)
        if word not in self._sought.initials or not self._stands_alone(at):
            return 0
        if not self._written(at).isupper():
            return 0
        behind, between = self._word(at + 1), self._before(at + 1)
        if behind == "s" and between in _GENITIVE:
            return 2 * (word not in OF_IMAGES - {"mr"})
        if between in _BEFORE_AGE and behind.isdecimal() and len(behind) <= _MAX_AGE:
            return int(self._is_age(at + 1, is_certain=word in UBIQUITOUS))
        is_asked = between == ", " and behind in _WHO and self._word(at - 1) in _ASKED
        return int(is_asked)

    def _is_age(self, at: int, *, is_certain: bool) -> bool:
        years, old = self._word(at + 1), self._word(at + 2)
        if years in {"m", "f"}:
            is_at = not self._before(at + 1) and len(self._word(at)) == _OF_SEX
            return is_at and old not in _YEARS and self._ends(at + 1)
        return years == "yo" or (years in _YEARS and (not is_certain or old in _OLD))

    def _ends(self, at: int) -> bool:
        end = self.found[at].end()
        return not self.compared[end : end + 1].isalnum()

    def _two_letters(self, at: int) -> int:
        """A name of two letters, with a capital, beside an initial or behind who is announced."""
        word, behind, between = self._word(at), self._word(at + 1), self._before(at + 1)
        of_two = self._sought.of_two_letters
        if len(word) == 1 and word in of_two.get(behind, ()) and self._written(at).isupper():
            is_named = between in {".", ". "} and self._written(at + 1)[:1].isupper()
            is_named = is_named or (between == " " and self._written(at + 1).istitle())
            return 2 * (is_named and self._ends(at + 1))
        letters = of_two.get(word)
        written = self._written(at)
        if letters is None or not written[:1].isupper() or not self._stands_alone(at):
            return 0
        # A unit: 100 mA.
        if self._word(at - 1).isdecimal() and self._before(at) == " ":
            return 0
        if behind in letters and self._ends_a_name(at + 1):
            is_title = between == " " and written.istitle() and self._written(at + 1).isupper()
            if between in {", ", ",", "^"} or is_title:
                return 2
        if behind == "s" and between in _GENITIVE and word not in _PRONOUNS:
            return 2
        if self._word(at - 1) in _BEFORE_NAMES and self._before(at) in {" ", ". ", ": ", ":"}:
            return int(written.istitle() or not self._written(at - 1).isupper())
        is_word = word in self._sought.harmless or word in _WORDS
        return int(not is_word)

    def _ends_a_name(self, at: int) -> bool:
        """Whether a letter stands by itself, and no other is joined to it: not W of W/O."""
        end = self.found[at].end()
        return self._stands_alone(at) and self.compared[end : end + 1] not in {"/", "-", "&"}
