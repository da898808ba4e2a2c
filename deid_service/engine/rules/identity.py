"""Who and what a file is about, by its own elements: what no text of it may say.

What identifies is collected from the file as it came: names of people, identifiers,
addresses, phone numbers, dates. It is looked for in the bytes of other elements, in the
forms in which people write it, and in the encodings in which it may stand there.

Words are too short to tell anybody below `_MIN_NAME` letters, and numbers below
`_MIN_NUMBER` digits: looked for, they would be found everywhere.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from functools import cached_property
from itertools import permutations
from typing import Final

_MIN_NAME: Final = 3
_MIN_NUMBER: Final = 4

# Of a name, as many parts are looked for in every order.
_MAX_PARTS: Final = 3

# What stands between two parts of a name.
_JOINERS: Final = ("", " ", "^", ", ", "_", "-", ".")

# More names, numbers, addresses or dates than a file has: a directory of a medium says most.
# Each takes some fifty forms, of a hundred bytes.
MAX_OF_A_KIND: Final = 2000

# CJK radicals, and what comes behind: Chinese, Japanese, Korean.
_FIRST_UNSPACED: Final = "\u2e80"

_WORD: Final = re.compile(r"[^\W_]+")
_MONTHS: Final = (
    "jan january", "feb february", "mar march", "apr april", "may may", "jun june",
    "jul july", "aug august", "sep september", "oct october", "nov november", "dec december",
)  # fmt: skip

# What stands for a character where there is no other, as people write it.
_SPELLED: Final = str.maketrans(
    {
        "ä": "ae",
        "ö": "oe",
        "ü": "ue",
        "ß": "ss",
        "ø": "oe",
        "å": "aa",
        "æ": "ae",
        "œ": "oe",
        "ł": "l",
    }
)


class Identity:
    """What identifies the people, the visit and the institution of a file.

    Attributes:
        names: of people, each in its words.
        numbers: identifiers, phone numbers.
        phrases: names and addresses of institutions and people, as they stand.
        dates: as YYYYMMDD.
    """

    def __init__(self) -> None:
        """Starts with nothing."""
        self.names: set[tuple[str, ...]] = set()
        self.numbers: set[str] = set()
        self.phrases: set[str] = set()
        self.dates: set[str] = set()

    def key(self) -> tuple[frozenset[object], ...]:
        """Returns what two of the same have in common."""
        return (
            frozenset(self.names),
            frozenset(self.numbers),
            frozenset(self.phrases),
            frozenset(self.dates),
        )

    def add_name(self, text: str) -> None:
        """Adds a person name (PS3.5 6.2.1): each of its groups."""
        for group in text.split("="):
            words = tuple(word.lower() for word in _WORD.findall(group))
            if words:
                self.names.add(words)

    def add_number(self, text: str) -> None:
        """Adds an identifier."""
        text = text.strip()
        if len(text) >= _MIN_NUMBER:
            self.numbers.add(text.lower())

    def add_phrase(self, text: str) -> None:
        """Adds a name or an address."""
        text = " ".join(text.split())
        if len(text) >= _MIN_NUMBER:
            self.phrases.add(text.lower())

    def add_date(self, text: str) -> None:
        """Adds a date as it stands in DA or DT."""
        digits = text.replace(".", "")[:8]
        if len(digits) == 8 and digits.isascii() and digits.isdigit():
            self.dates.add(digits)

    @cached_property
    def words(self) -> frozenset[str]:
        """Words that are kept in no cleaned text: parts of names, initials, identifiers.

        Not the words of phrases: those that a vocabulary knows say nothing by themselves.
        """
        found: set[str] = set()
        for name in self.names:
            found.update(name)
            initials = [word[0] for word in name]
            found.update("".join(pair) for pair in permutations(initials[:_MAX_PARTS], 2))
            found.update(("".join(initials), "".join(reversed(initials))))
        for number in self.numbers:
            # A word of letters alone may be any.
            found.update(word for word in _WORD.findall(number) if not word.isalpha())
        return frozenset(
            spelling for word in found if len(word) > 1 for spelling in spellings(word)
        )

    @cached_property
    def _by_first_word(self) -> dict[str, list[str]]:
        """What is looked for, by its first word, the longest first."""
        found: dict[str, list[str]] = {}
        for form in sorted(self._forms, key=len, reverse=True):
            first = _WORD.match(form)
            if first is not None:
                found.setdefault(first[0], []).append(form)
        return found

    @cached_property
    def _unspaced(self) -> tuple[str, ...]:
        """What is looked for within words: scripts that leave no spaces between them."""
        return tuple(form for form in self._forms if form[0] >= _FIRST_UNSPACED)

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Returns where a text says anything of it, as words of their own, in their order.

        Takes time in proportion to the length of the text.
        """
        lower = _lower(text)
        found: list[tuple[int, int]] = []
        by_first_word = self._by_first_word
        reached = 0
        for word in _WORD.finditer(lower):
            start = word.start()
            if start < reached:
                continue
            for form in by_first_word.get(word[0], ()):
                end = start + len(form)
                if lower.startswith(form, start) and not lower[end : end + 1].isalnum():
                    found.append((start, end))
                    reached = end
                    break
        for form in self._unspaced:
            at = lower.find(form)
            while at >= 0:
                found.append((at, at + len(form)))
                at = lower.find(form, at + len(form))
        return sorted(found)

    def without(self, text: str, instead: str = " ") -> str:
        """Returns a text with something else in place of what it says of it."""
        kept: list[str] = []
        reached = 0
        for start, end in self.spans(text):
            if start >= reached:
                kept += [text[reached:start], instead]
            reached = max(reached, end)
        return "".join([*kept, text[reached:]])

    def may_be_in(self, value: bytes) -> bool:
        """Whether anything of it stands in bytes, read as text in any of some encodings."""
        readings = {value.decode("latin-1")}
        if not value.isascii():
            readings.add(value.decode("utf-8", "replace"))
        for shifted in (value, value[1:]):
            # What is no text in two bytes a character has no words in it.
            readings.add(shifted.decode("utf-16-le", "replace"))
            readings.add(shifted.decode("utf-16-be", "replace"))
        return any(self.spans(text) for text in readings)

    @property
    def is_too_large(self) -> bool:
        """Whether it has more than any file says of people."""
        kinds: tuple[AbstractSet[object], ...] = (
            self.names,
            self.numbers,
            self.phrases,
            self.dates,
        )
        return any(len(kind) > MAX_OF_A_KIND for kind in kinds)

    @cached_property
    def _forms(self) -> frozenset[str]:
        forms: set[str] = set(self.numbers) | self.phrases
        for name in self.names:
            forms.update(word for word in name if len(word) >= _MIN_NAME and not word.isdigit())
            # Names of one syllable, as in Chinese, tell somebody when they stand together.
            for first, second in permutations(name[:_MAX_PARTS], 2):
                forms.update(f"{first}{joiner}{second}" for joiner in _JOINERS)
        forms = {form for form in forms if len(form) >= _MIN_NAME}
        forms |= {spelling for form in forms for spelling in spellings(form)}
        for date in self.dates:
            forms.update(_spelled_dates(date))
        return frozenset(forms)


def spellings(word: str) -> Iterator[str]:
    """Yields a word as it is, without accents, and with two letters for one."""
    yield word
    yield folded(word)
    yield folded(word.translate(_SPELLED))


def folded(word: str) -> str:
    """Returns a word without accents, where that leaves anything of it."""
    decomposed = unicodedata.normalize("NFKD", word)
    return "".join(char for char in decomposed if not unicodedata.combining(char)) or word


def _spelled_dates(date: str) -> Iterator[str]:
    year, month, day = date[:4], date[4:6], date[6:]
    short_month, short_day = month.lstrip("0"), day.lstrip("0")
    yield date
    for joiner in "-./ ":
        for first, second, third in (
            (year, month, day), (day, month, year), (month, day, year),
            (year, short_month, short_day), (short_day, short_month, year),
            (short_month, short_day, year), (day, month, year[2:]), (month, day, year[2:]),
        ):  # fmt: skip
            yield joiner.join((first, second, third))
    if 1 <= int(month) <= 12:
        for name in _MONTHS[int(month) - 1].split():
            for number in {day, short_day}:
                for joiner in (" ", "-", ". "):
                    yield f"{number}{joiner}{name}{' ' if joiner == '. ' else joiner}{year}"
                yield f"{name} {number}, {year}"
                yield f"{name} {number} {year}"


def _lower(text: str) -> str:
    """Returns a text in lower case, character by character."""
    lower = text.lower()
    if len(lower) == len(text):
        return lower
    return "".join(low if len(low := char.lower()) == 1 else char for char in text)
