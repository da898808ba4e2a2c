"""Who and what a file is about, by its own elements: what no text of it may say.

What identifies is collected from the file as it came: names of people, identifiers,
addresses, phone numbers, dates. `search` looks for it in the bytes of other elements, in the
forms in which people write it, and in the encodings in which it may stand there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from functools import cached_property
from typing import Final

from deid_service.engine.texts.forms import MIN_NAME, PARTICLES
from deid_service.engine.texts.kana import in_latin
from deid_service.engine.texts.listed import NOTHING_LISTED, WORD, Listed
from deid_service.engine.texts.parted import in_capitals
from deid_service.engine.texts.search import Search
from deid_service.engine.texts.sought import MIN_NUMBER, Sought
from deid_service.engine.texts.spelling import spellings

# Words of a name of which none is a particle.
_MIN_PARTICLE: Final = 2

# More names, numbers, addresses or dates than a file has: a directory of a medium says most.
# Each takes some fifty forms, of a hundred bytes.
MAX_OF_A_KIND: Final = 2000


class Identity:
    """What identifies the people, the visit and the institution of a file.

    Attributes:
        names: of people, each in its words.
        numbers: identifiers.
        phones: phone numbers.
        phrases: names and addresses of institutions and people, as they stand.
        departments: of institutions, as they stand.
        dates: as YYYYMMDD.
        patient: what files of the same patient have in common; empty where nobody asks.
        harmless: words that say nothing by themselves, in lower case.
        listed: what no text says, whoever the file is about.
        hides_uids: UIDs become others, and so none stays in a text.
    """

    def __init__(self) -> None:
        """Starts with nothing."""
        self.patient: set[str] = set()
        self.names: set[tuple[str, ...]] = set()
        self.numbers: set[str] = set()
        self.phones: set[str] = set()
        self.phrases: set[str] = set()
        self.departments: set[str] = set()
        self.dates: set[str] = set()
        self.harmless: AbstractSet[str] = frozenset()
        self.listed: Listed = NOTHING_LISTED
        self.hides_uids = False

    def key(self) -> tuple[frozenset[object], ...]:
        """Returns what two of the same have in common."""
        return (
            frozenset(self.names),
            frozenset(self.numbers),
            frozenset(self.phones),
            frozenset(self.phrases),
            frozenset(self.departments),
            frozenset(self.dates),
            frozenset(self.patient),
        )

    def add_patient(self, text: str) -> None:
        """Adds something by which the patient is known."""
        if text := text.strip().lower():
            self.patient.add(text)

    def add_name(self, text: str) -> None:
        """Adds a person name (PS3.5 6.2.1): each of its groups; kana in Latin letters, too."""
        for group in text.split("="):
            written = WORD.findall(group)
            words = tuple(word.lower() for word in written)
            if words:
                self.names.add(words)
                self.names.add(tuple(word.lower() for word in in_capitals(written)))
            latin = () if group.isascii() else tuple(map(in_latin, words))
            if latin and all(latin):
                self.names.add(latin)

    def add_number(self, text: str) -> None:
        """Adds an identifier."""
        text = text.strip()
        if len(text) >= MIN_NUMBER:
            self.numbers.add(text.lower())

    def add_phone(self, text: str) -> None:
        """Adds a phone number."""
        self.add_number(text)
        self.phones.add("".join(re.findall(r"\d", text)))

    def add_phrase(self, text: str, *, is_department: bool = False) -> None:
        """Adds a name or an address."""
        text = " ".join(text.split())
        if len(text) >= MIN_NAME:
            (self.departments if is_department else self.phrases).add(text.lower())

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
        # Of two words neither is a particle: Van is somebody's surname, too.
        found = {
            word
            for name in self.names
            for word in name
            if len(name) <= _MIN_PARTICLE or word not in PARTICLES
        }
        for number in self.numbers:
            # A word of letters alone may be any, and so may a few digits.
            found.update(
                word
                for word in WORD.findall(number)
                if not word.isalpha() and len(word) >= MIN_NUMBER
            )
        spelled = {each for word in found for each in (word, *spellings(word)) if len(each) > 1}
        return frozenset(spelled | self._sought.alone | self._sought.alone_institutions)

    @cached_property
    def _sought(self) -> Sought:
        return Sought(
            self.names,
            self.numbers,
            self.phones,
            self.phrases,
            self.departments,
            self.dates,
            self.harmless,
            self.listed.shortest,
        )

    @cached_property
    def _search(self) -> Search:
        return Search(self._sought, self.listed, self.harmless)

    def spans(self, text: str, *, with_initials: bool = True) -> list[tuple[int, int]]:
        """Returns where a text says anything of it; see `Search.spans`."""
        return self._search.spans(text, with_initials=with_initials)

    def may_be_in(self, value: bytes) -> bool:
        """Whether anything of it stands in bytes, read as text in any of some encodings."""
        readings = {value.decode("latin-1")}
        if not value.isascii():
            readings.add(value.decode("utf-8", "replace"))
        for shifted in (value, value[1:]):
            # What is no text in two bytes a character has no words in it.
            readings.add(shifted.decode("utf-16-le", "replace"))
            readings.add(shifted.decode("utf-16-be", "replace"))
        return any(map(self._search.is_in, readings))

    @property
    def is_too_large(self) -> bool:
        """Whether it has more than any file says of people."""
        kinds: tuple[AbstractSet[object], ...] = (
            self.names,
            self.numbers,
            self.phrases,
            self.departments,
            self.dates,
        )
        return any(len(kind) > MAX_OF_A_KIND for kind in kinds)


def without(text: str, spans: Iterable[tuple[int, int]], instead: Callable[[str], str]) -> str:
    """Returns a text with something else in place of some of its parts, which come in order."""
    kept: list[str] = []
    reached = 0
    for start, end in spans:
        if start >= reached:
            kept += [text[reached:start], instead(text[start:end])]
        reached = max(reached, end)
    return "".join([*kept, text[reached:]])
