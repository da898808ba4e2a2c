"""Which words of a text stay, by what they are and by what stands beside them.

A word that many are called by stays beside known words alone; so does a letter. Where a name
is announced, or has an initial, it goes, and with it its other half.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Final

from deid_service.engine.texts.abbreviations import UNITS
from deid_service.engine.texts.forms import FIRST_UNSPACED
from deid_service.engine.texts.spelling import plain
from deid_service.engine.texts.words import MAX_DIGITS, UNIT_WORDS, Words

# Stand for what is gone while the rest is looked at; no text has them. The latter for days, ages
# and numbers: a word beside them is no more somebody's name than elsewhere.
GONE: Final = "\0"
NUMBER_GONE: Final = "\1"

# Digits of an extension, and of a postal code; longer numbers stay nowhere, and values of a
# diffusion are in steps.
_EXTENSION: Final = 4

# Sides and directions, and the letters of `w/o`: they stay beside what goes.
_SINGLE: Final = frozenset("acfhilnoprstw")

# Before names of people, and behind them; and what stands in them.
_DOES: Final = frozenset(
    [
        "attending", "by", "fellow", "operator", "pcp", "physician", "pt", "radiologist",
        "referring", "resident", "sonographer", "surgeon", "tech", "technologist", "under",
    ]
)  # fmt: skip
_ANNOUNCING: Final = (_DOES - {"under"}) | frozenset(
    [
        "adjuster", "anesthesiologist", "attn", "attorney", "call", "called", "cardiologist",
        "caregiver", "cc", "contact", "dermatologist", "dosimetrist", "dr", "employee",
        "endocrinologist", "gastroenterologist", "gynecologist", "hematologist", "hepatologist",
        "interpreter", "miss", "mr", "mrs", "ms", "name", "nephrologist", "neurologist",
        "neurosurgeon", "np", "nurse", "obstetrician", "oncologist", "ordering", "patient",
        "pediatrician", "per", "physicist", "podiatrist", "psychiatrist", "pulmonologist", "reader",
        "rheumatologist", "rn", "technician", "to", "urologist",
    ]
)  # fmt: skip
_IS_TOLD: Final = [
    [verb, told] for verb in ("was", "is") for told in ("told", "informed", "notified", "paged")
]
_DEGREES: Final = frozenset(("do", "md", "np", "phd", "rn"))
_IN_NAMES: Final = frozenset((" ", ", "))
_BESIDE: Final = 2

# Modalities and the like; before a name they are titles.
_TITLES: Final = frozenset(("dr", "fr", "hr", "mr", "ms", "sr"))

# Words of a phrase at the most, and what may stand between them.
_MAX_WORDS: Final = 4
_GENITIVE: Final = frozenset("'\u2019")
_JOINED: Final = re.compile(r"(?:['\u2019]s?)?[ _/-]|['\u2019]")


_BETWEEN_SENTENCES: Final = frozenset((". ", "? ", "! ", "; ", ".", " - "))

# Words of a text that is written in capitals, at the least.
_TEXT: Final = 3

# What stands before the name of an employer.
_WORKS: Final = frozenset(["employed", "employee", "work", "worked", "working", "works"])
_OF_WORK: Final = frozenset(["at", "by", "for", "of"])

# What is called by words of a sentence; in small letters and in capitals nothing else tells.
_CALLED_BY_WORDS: Final = frozenset(
    [
        "hospital", "hospice", "clinic", "clinics", "imaging", "radiology", "surgery",
        "practice", "center", "centre", "medical", "medicine", "health", "healthcare",
        "care", "infirmary", "orthopaedics", "orthopedics", "paediatrics", "pediatrics",
        "diagnostics", "regional", "community", "memorial", "nursing", "home", "manor",
        "associates", "group", "network", "street", "road", "lane", "drive", "avenue",
        "close", "court", "hill", "square", "boulevard", "terrace", "school", "bakery",
        "diner", "restaurant", "daycare", "nursery", "family", "urgent", "assisted",
        "specialty", "house", "valley", "park", "creek",
    ]
)  # fmt: skip
_IN_ADDRESSES: Final = frozenset(" -")


class Sieve:
    """Which tokens of a text stay; words and what stands between them, in turns."""

    def __init__(self, tokens: list[str], words: Words) -> None:
        """Takes a text in tokens; each word is one, and what stands between two."""
        self._tokens = tokens
        self._words = words

    def stays(self) -> list[bool]:
        """Tells of each token whether it stays; takes time by their number alone."""
        tokens = self._tokens
        stays = [not token[0].isalnum() or self._words.is_harmless(token) for token in tokens]
        everyday = self._everyday([at for at, is_known in enumerate(stays) if not is_known])
        for at in everyday:
            stays[at] = True
        for run in self._dotted():
            if not self._words.is_harmless("".join(tokens[at] for at in run)):
                for at in run:
                    stays[at] = False
        words = [at for at, token in enumerate(tokens) if token[0].isalnum()]
        for at in words:
            if not stays[at] and (self._is_unit(at, stays) or self._begins(at)):
                stays[at] = True
        for at in reversed(everyday):
            if self._is_of_an_address(at, stays) or self._is_where_somebody_works(at):
                stays[at] = False
        gone = {at for at in words if not stays[at]}
        known = self._in_phrases(words, gone) if gone else set()
        for at in known:
            stays[at] = True
        for at in list(self._other_halves(words, gone - known)) if gone else ():
            stays[at] = False
        weak = [at for at in words if stays[at] and at not in known and self._is_weak(at)]
        for at in (*weak, *reversed(weak)):
            if (
                self._is_beside_what_went(at, stays)
                or self._has_an_initial(at)
                or self._is_announced(at)
            ):
                stays[at] = False
        # A phrase stays as a whole: X-ray, key images.
        gone = {at for at in weak if not stays[at]}
        for at in self._in_phrases(words, gone) if gone else ():
            stays[at] = True
        if not all(stays):
            self._drop_numbers(words, stays)
        return stays

    def _other_halves(self, words: list[int], gone: set[int]) -> Iterator[int]:
        """Yields words that are half of a name of which nobody knows the other: Stacey Main.

        Both are written as names, and announced, before what somebody is, or parted by a comma
        at the begin. A third may stand before them of which nobody knows either.
        """
        for place, (first, second) in enumerate(itertools.pairwise(words)):
            if (first in gone) != (second in gone) and second - first == _BESIDE:
                between, halves = self._tokens[first + 1], self._tokens[first : second + 1 : 2]
                if between in _IN_NAMES and (
                    all(map(str.istitle, halves)) or all(map(str.isupper, halves))
                ):
                    begin = place
                    if place and words[place - 1] in gone and self._tokens[first - 1] == " ":
                        begin -= 1
                    before = self._tokens[words[begin - 1]].lower() if begin else ""
                    gap = self._tokens[words[begin] - 1] if begin else ""
                    behind = self._tokens[second + 2 : second + 3]
                    if (
                        (before in _ANNOUNCING and len(gap) <= _BESIDE)
                        or (not before and between != " ")
                        or (behind and behind[0].lower() in _DEGREES)
                        or [word.lower() for word in self._tokens[second + 2 : second + 5 : 2]]
                        in _IS_TOLD
                    ):
                        yield first if second in gone else second

    def _drop_numbers(self, words: list[int], stays: list[bool]) -> None:
        """Drops long numbers beside words that went: of a phone, or a postal code."""
        tokens = self._tokens
        for before, at, behind in zip([-1, *words], words, [*words[1:], -1], strict=False):
            token = tokens[at]
            if len(token) != _EXTENSION or not token.isdecimal() or int(token) % 50 == 0:
                continue
            has_unit = behind >= 0 and tokens[behind].lower() in UNIT_WORDS
            if not has_unit and not all(stays[each] for each in (before, behind) if each >= 0):
                stays[at] = False

    def _dotted(self) -> Iterator[list[int]]:
        """Yields where single letters stand with points between them: initials, and `p.a.`."""
        run: list[int] = []
        for at, token in enumerate(self._tokens):
            if len(token) == 1 and token.isalpha():
                run.append(at)
            elif token not in {".", ". "}:
                if len(run) > 1:
                    yield run
                run = []
        if len(run) > 1:
            yield run

    def _begins(self, at: int) -> bool:
        """Whether it begins a sentence, of which the next word shows that it is one: Fell from."""
        behind = self._tokens[at + 1 : at + 3]
        return (
            len(behind) == _BESIDE
            and behind[0] == " "
            and behind[1].islower()
            and (at == 0 or self._tokens[at - 1] in _BETWEEN_SENTENCES)
            and self._words.begins(self._tokens[at])
        )

    def _everyday(self, unknown: list[int]) -> list[int]:
        """Returns which of these are everyday words, as this text writes words."""
        if not unknown:
            return []
        written = [token for token in self._tokens if token.isalpha()]
        in_capitals = len(written) >= _TEXT and all(map(str.isupper, written))
        return [
            at
            for at in unknown
            if self._words.is_everyday(self._tokens[at], in_capitals=in_capitals)
        ]

    def _is_of_an_address(self, at: int, stays: list[bool]) -> bool:
        """Whether an everyday word is a name of what stands behind it: rolling meadows clinic."""
        behind = self._tokens[at + 1 : at + 3]
        return (
            len(behind) == _BESIDE
            and behind[0] in _IN_ADDRESSES
            and (
                behind[1].lower() in _CALLED_BY_WORDS
                or (not stays[at + 2] and self._words.is_noun(self._tokens[at]))
            )
        )

    def _is_where_somebody_works(self, at: int) -> bool:
        """Whether an everyday word is the name of an employer: works at oracle."""
        before = self._tokens[max(at - 4, 0) : at]
        return (
            len(before) == 2 * _BESIDE
            and before[1] == before[3] == " "
            and before[2].lower() in _OF_WORK
            and before[0].lower() in _WORKS
        )

    def _in_phrases(self, words: list[int], gone: set[int]) -> set[int]:
        """Returns which words are those of a phrase that has one of those that would go."""
        tokens = self._tokens
        # The s of a genitive is no word.
        words = [
            at for at in words if tokens[at] != "s" or at == 0 or tokens[at - 1] not in _GENITIVE
        ]
        lower = [tokens[at].lower() for at in words]
        found: set[int] = set()
        for unknown, at in enumerate(words):
            if at not in gone:
                continue
            for first in range(max(0, unknown - _MAX_WORDS + 1), unknown + 1):
                for end in range(
                    max(first + 2, unknown + 1), min(first + _MAX_WORDS, len(lower)) + 1
                ):
                    phrase = lower[first:end]
                    if (
                        " ".join(phrase) in self._words.terms
                        and not any(self._words.identifies(word) for word in phrase)
                        and self._are_joined(words[first:end])
                    ):
                        last = words[min(end, len(words)) - 1]
                        found.update(range(words[first], last + 1))
        return found

    def _are_joined(self, words: list[int]) -> bool:
        between = (
            "".join(self._tokens[first + 1 : second]) for first, second in itertools.pairwise(words)
        )
        return all(_JOINED.fullmatch(each) for each in between)

    def _is_weak(self, at: int) -> bool:
        """Whether a word stays only where what is beside it is known."""
        word = self._tokens[at].lower()
        return (
            (word in self._words.names and not self._is_counted(at))
            or (
                len(word) == 1
                and "a" <= word < FIRST_UNSPACED
                and word not in _SINGLE
                and not self._is_joined(at)
            )
            or (not word.isascii() and plain(word) in self._words.names)
        )

    def _is_joined(self, at: int) -> bool:
        """Whether a letter is joined to a word that nobody is called by: X-knie, J-pouch."""
        behind = [token.lower() for token in self._tokens[at + 1 : at + 3]]
        return (
            behind[:1] == ["-"]
            and behind[-1] in self._words.terms
            and behind[-1] not in self._words.names
        )

    def _is_counted(self, at: int) -> bool:
        """Whether a word says what a number before it counts: 3 weeks."""
        if at < 2 or not self._tokens[at].islower():
            return False
        number, between = self._tokens[at - 2 : at]
        return between in {" ", "-"} and number.isdecimal() and len(number) <= MAX_DIGITS

    def _is_unit(self, at: int, stays: list[bool]) -> bool:
        """Whether it is the unit of a number before it, and so nobody's initials: 10 kg, mg/dL."""
        token = self._tokens[at]
        word = token.lower()
        if word not in UNIT_WORDS:
            return False
        if word in UNITS and not token.isupper():
            return True
        if at < 2:
            return False
        before, between = self._tokens[at - 2 : at]
        if between == "/":
            return before.lower() in UNIT_WORDS and stays[at - 2]
        return between in {" ", "-"} and before.isdecimal() and len(before) <= _EXTENSION

    def _has_an_initial(self, at: int) -> bool:
        """Whether a capitalised word stands behind a word and a letter with a point: by B. Young.

        Not where the letter begins a text or a sentence: of a list.
        """
        if at < 4 or not self._tokens[at][0].isupper():
            return False
        before, letter, point = self._tokens[at - 3 : at]
        return point in {".", ". "} and len(letter) == 1 and letter.isupper() and before == " "

    def _is_announced(self, at: int) -> bool:
        """Whether a word that many are called by is written as a name behind who did something."""
        word, before = self._tokens[at], self._tokens[max(at - 2, 0) : at]
        return (
            len(before) == _BESIDE
            and len(before[1]) <= _BESIDE
            and len(word) > 1
            and (word.istitle() or (word.isupper() and before[0].lower() == "by"))
            and before[0].lower() in _DOES
        )

    def _is_beside_what_went(self, at: int, stays: list[bool]) -> bool:
        tokens = self._tokens
        before, behind = tokens[max(at - 2, 0) : at], tokens[at + 1 : at + 3]
        between = "".join((*before[-1:], *behind[:1]))
        if GONE in between or (NUMBER_GONE in between and tokens[at][0].isupper()):
            return True
        # A number that is gone stands between it and the next word.
        if len(before) == 2 and NUMBER_GONE in before[1]:
            before = []
        if len(before) == 2 and (not stays[at - 2] or before[0].lower() in _TITLES):
            return True
        return len(behind) == 2 and not stays[at + 2] and NUMBER_GONE not in behind[0]
