"""What is looked for of whom a file is about: made of its names, numbers, addresses and dates.

Each is made when it is first needed: files that say the same share it.
"""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from deid_service.engine.texts.abbreviations import ANNOUNCES, AT, Abbreviations
from deid_service.engine.texts.calendar import Dates
from deid_service.engine.texts.forms import (
    FIRST_UNSPACED,
    LONG_NUMBER,
    MAX_WORDS_OF_FORM,
    MIN_NAME,
    TITLES,
    beside_short,
    forms_of_name,
    forms_of_phrase,
    long_vowels,
    misspelled,
    with_prefixes,
    words_of,
)
from deid_service.engine.texts.in_order import NamesInWords
from deid_service.engine.texts.parted import is_of_one_letter, of_family, parted
from deid_service.engine.texts.spelling import plain, spellings

MIN_NUMBER: Final = 4

# PS3.5 6.2: LO, as which most stand; longer ones are looked for as they stand.
_MAX_NUMBER: Final = 64

# The least of a phone number that people write, and the most that there are (E.164).
_MIN_PHONE: Final = 7
_MAX_PHONE: Final = 16

# More people than a file is about; of a directory none is misspelled.
_MAX_MISSPELLED: Final = 50

# Digits of a day.
DAY: Final = 8

# Digits that stand for letters which look like them.
_READ_AS: Final = {"0": "o", "1": "il", "3": "e", "4": "a", "5": "s", "7": "t", "8": "b"}

# The code of a country, before a phone number.
_COUNTRY: Final = (1, 2, 3)


@dataclass(eq=False, repr=False)
class Sought(Abbreviations):
    """What is looked for of an identity, each made when it is first needed.

    Attributes: those of `Identity`, whose sets they are.
    """

    names: AbstractSet[tuple[str, ...]]
    numbers: AbstractSet[str]
    phones: AbstractSet[str]
    phrases: AbstractSet[str]
    departments: AbstractSet[str]
    dates: AbstractSet[str]
    harmless: AbstractSet[str]
    shortest: int

    @cached_property
    def of_names(self) -> frozenset[tuple[str, ...]]:
        """The forms of its names, in words; those that are too short, too."""
        return frozenset(form for name in self.names for form in forms_of_name(name))

    @cached_property
    def forms(self) -> frozenset[tuple[str, ...]]:
        """What it is written as, in words; misspelled, too."""
        if len(self.names) > _MAX_MISSPELLED:
            return self.right_forms
        typos = (form for name in self.names for form in misspelled(name, self.harmless))
        return self.right_forms.union(typos)

    @cached_property
    def right_forms(self) -> frozenset[tuple[str, ...]]:
        """What it is written as, in words that are spelled right."""
        forms = set(self.of_names)
        for name in self.names:
            forms.update(long_vowels(name, self.harmless))
            forms.update(with_prefixes(name, self.harmless))
            forms.update(beside_short(name, self.harmless))
            forms.update(parted(name, self.harmless))
        for phrase in self.phrases:
            forms.update(forms_of_phrase(phrase, self.harmless))
        for department in self.departments:
            # Radiology, Chest: said of everybody's images.
            told = forms_of_phrase(department, self.harmless)
            forms.update(form for form in told if len(form) != 1 or form[0] not in self.harmless)
        for number in self.numbers:
            if len("".join(words_of(number))) >= LONG_NUMBER:
                forms.add(words_of(number)[:MAX_WORDS_OF_FORM])
            forms.update((run,) for run in re.findall(r"\d+", number) if len(run) >= LONG_NUMBER)
        return frozenset(
            form
            for form in forms
            if form and (len("".join(form)) >= self.shortest or _are_of_one_letter(form))
        )

    @cached_property
    def heads(self) -> frozenset[str]:
        """With which tokens anything of it begins."""
        return frozenset({*self.follow, *self.number_heads, *self.calendar.digits})

    @cached_property
    def heads_and_initials(self) -> frozenset[str]:
        """The same, and what initials begin with, or what announces them."""
        letters = {each[0] for each in (*self.told_initials, *self.with_points)}
        before_years = self.initials if self.calendar.years else frozenset()
        places = {*self.told_institutions, AT} if self.institutions else frozenset[str]()
        told = self.initials | before_years | letters | places
        short = {each for of_name in self.of_two_letters.values() for each in of_name}
        short.update(self.of_two_letters, self.families)
        return self.heads | told | short | ANNOUNCES

    @cached_property
    def follow(self) -> dict[str, set[str]]:
        """What may follow the first word of a form; "" where it is a form by itself."""
        found: dict[str, set[str]] = {}
        for form in (*self.forms, *self.short):
            found.setdefault(form[0], set()).add(form[1] if len(form) > 1 else "")
        return found

    @cached_property
    def longest(self) -> dict[str, int]:
        """How many words the longest form has that begins with one."""
        found: dict[str, int] = {}
        for form in (*self.forms, *self.short):
            found[form[0]] = max(found.get(form[0], 0), len(form))
        return found

    @cached_property
    def spelled_heads(self) -> frozenset[str]:
        """With which letters a form of one word begins that is told letter by letter."""
        return frozenset(form[0][:MIN_NAME] for form in self.right_forms if len(form) == 1)

    @cached_property
    def short(self) -> dict[tuple[str, ...], set[str]]:
        """Numbers that are told by how they are written alone, by their tokens."""
        found: dict[tuple[str, ...], set[str]] = {}
        for number in self.numbers:
            tokens = words_of(number)
            if tokens and len("".join(tokens)) < LONG_NUMBER:
                literal = plain(number)
                start, end = literal.find(tokens[0]), literal.rfind(tokens[-1]) + len(tokens[-1])
                found.setdefault(tokens, set()).add(literal[start:end])
        return found

    @cached_property
    def long_numbers(self) -> frozenset[str]:
        """Numbers without what stands between their digits and letters, and zeros before."""
        found: set[str] = set()
        for number in self.numbers:
            groups = re.findall(r"[^\W_]+", plain(number))
            digits = re.findall(r"\d+", plain(number))
            if any(char.isdigit() for char in number):
                found.add("".join(groups))
                found.update(each for each in (*digits[-1:], "".join(digits)))
        for phone in self.phones:
            # Without what stands before it for another country, or a longer way.
            ends = range(min(len(phone), _MAX_PHONE) - _MIN_PHONE + 1)
            found.update(phone[-_MAX_PHONE:][at:] for at in ends)
        stripped = {each.lstrip("0") for each in found if LONG_NUMBER <= len(each) <= _MAX_NUMBER}
        return frozenset(each for each in stripped if len(each) >= MIN_NUMBER)

    @cached_property
    def number_heads(self) -> frozenset[str]:
        """With what numbers begin."""
        return frozenset(
            number[:end] for number in self.long_numbers for end in range(1, len(number) + 1)
        )

    @cached_property
    def calendar(self) -> Dates:
        """Its dates."""
        return Dates(self.dates)

    @cached_property
    def unspaced(self) -> tuple[str, ...]:
        """What is looked for within words: scripts that leave no spaces between them."""
        forms = {"".join(form) for form in self.right_forms}
        for family in self.families:
            forms.update(map(plain, of_family(family)))
        for name in self.names:
            words = [plain(word) for word in name]
            forms.update((*words, "".join(words), "".join(reversed(words))))
        return tuple(
            sorted((form for form in forms if len(form) > 1 and form[0] >= FIRST_UNSPACED), key=len)
        )[::-1]

    @cached_property
    def families(self) -> frozenset[str]:
        """Those of one letter, in scripts that leave no spaces."""
        first = (plain(name[0]) for name in self.names)
        return frozenset(each for each in first if is_of_one_letter(each))

    @cached_property
    def in_names(self) -> frozenset[str]:
        """What belongs to a name that stands in a text."""
        return frozenset(word for form in self.of_names for word in form if len(word) > 1)

    @cached_property
    def called(self) -> frozenset[str]:
        """What a date has before it where both are one: initials, or a name."""
        return self.initials | self.in_names

    @cached_property
    def beside(self) -> frozenset[str]:
        """What belongs to a name where one stands beside it."""
        words = {spelling for name in self.names for word in name for spelling in spellings(word)}
        return frozenset(word for word in words if len(word) > 1) | (TITLES - {"med", "md"})

    @cached_property
    def letters(self) -> frozenset[str]:
        """With which letters its names begin."""
        words = {spelling for name in self.names for word in name for spelling in spellings(word)}
        return frozenset(word[:1] for word in words)

    @cached_property
    def joined(self) -> NamesInWords:
        """Names that are found within words; none that is a word."""
        forms = self.right_forms if self.harmless else ()
        alone = [form[0] for form in forms if len(form) == 1 and form[0].isalpha()]
        return NamesInWords(
            [
                name
                for name in alone
                if len(name) >= LONG_NUMBER and name < FIRST_UNSPACED and name not in self.harmless
            ]
        )

    def is_joined(self, text: str, token: re.Match[str]) -> bool:
        """Whether a name or number stands within a longer token, or a name is cut off in it.

        A word has a letter of its case at it, what a user calls herself, or what somebody is
        (`BGSMITH`), or is the begin of a name that is cut off, as many systems do after six
        letters or sixteen; of a name with a digit for its first letter the rest stands there. A
        number has a digit of the word before it (`T1` and a number), or a code.
        """
        word = token[0]
        before = text[max(token.start() - 1, 0) : token.start()]
        if word.isdecimal():
            if len(word) == LONG_NUMBER:
                return False
            most = _COUNTRY if before == "+" else _COUNTRY[:1] if before.isalpha() else ()
            is_date = before.isalpha() and len(word) == DAY + 1 and word[1:] in self.calendar.digits
            return is_date or any(word[at:].lstrip("0") in self.long_numbers for at in most)
        if word >= FIRST_UNSPACED:
            return False
        read_as = (letter + word for letter in _READ_AS.get(before, ""))
        return self.joined.are_in(word) or any(name in self.joined for name in read_as)

    @cached_property
    def whole(self) -> list[str]:
        """Names as a whole in order, with spaces between their words; none without a vocabulary."""
        return sorted(" ".join(map(plain, name)) for name in self.names if self.harmless)


def _are_of_one_letter(form: tuple[str, ...]) -> bool:
    """Whether a family and a given name have one letter each: 李 伟."""
    return len(form) > 1 and all(map(is_of_one_letter, form))
