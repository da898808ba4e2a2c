"""Initials of people and abbreviations of institutions, and where they are told."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from functools import cached_property
from itertools import permutations, product
from typing import Final

from deid_service.engine.texts.forms import (
    FIRST_UNSPACED,
    PARTICLES,
    TITLES,
    initials_of,
    telling,
)
from deid_service.engine.texts.institutions import abbreviations_of
from deid_service.engine.texts.spelling import plain

# Whose initials they are cannot be told: they stand in every other description.
UBIQUITOUS: Final = frozenset(
    ["ap", "ax", "cm", "cr", "ct", "dx", "iv", "lt", "ma", "mg", "ml", "mm", "mr", "nm", "pa",
     "pt", "re", "rf", "rt", "sc", "sr", "us", "wo", "xa", "xr"]
)  # fmt: skip

# Of these, units, which a cleaned text tells from initials: in capitals, behind no number.
UNITS: Final = frozenset(["cm", "ml", "mm"])

# The same in Spanish, Italian, Portuguese and German, where no point stands between its letters.
_UBIQUITOUS_ELSEWHERE: Final = frozenset(["km", "rm", "rx", "tc"])

# Words that stand in every sentence, and turn its meaning: no initials unless with points.
FUNCTION_WORDS: Final = frozenset(
    ["am", "an", "as", "at", "au", "be", "by", "da", "de", "di", "do", "du", "el", "en", "et", "if",
     "im", "in", "is", "it", "la", "le", "ma", "ne", "no", "of", "on", "or", "os", "se", "so",
     "to", "um", "un", "up", "we", "zu"]
)  # fmt: skip

# Whose initials they are cannot be told even behind `patient`.
OF_IMAGES: Final = frozenset(
    ["ap", "cm", "ct", "iv", "lt", "mg", "ml", "mm", "mr", "rt", "us", "xr"]
)

# Behind these, initials are those of somebody, whatever else they mean.
PATIENT: Final = frozenset(["pt", "pat", "patient", "patientin", "paciente"])
INITIALS: Final = frozenset(["init", "initials", "initialen", "initiales", "iniziali"])

# Behind these, unless they are what images and sides are called.
REVIEWED: Final = PATIENT | {"checked", "reviewed"}

# Behind these they are those of who did something: of all, but for words that often stand there.
DID: Final = frozenset(
    ["by", "dict", "dictated", "mtra", "op", "oper", "operador", "operateur", "operator", "tech",
     "technician", "technologist", "trans", "transcribed", "typed"]
)  # fmt: skip

# Behind these stand initials, whatever else they mean.
ANNOUNCES: Final = REVIEWED | INITIALS | DID

# Behind this the abbreviation of an institution is one, whatever else it means.
AT: Final = "at"

# What institutions are called, too, and stands in every other description.
_OF_STUDIES: Final = frozenset(
    ["abd", "adc", "cta", "ctp", "ctv", "cxr", "dwi", "kub", "mip", "mpr", "mra", "mri", "mrv",
     "pet"]
)  # fmt: skip

_TWO: Final = 2

# Words of sentences, which seldom stand where a text stays.
_PRONOUNS: Final = frozenset(["he", "me", "my"])

# Letters of what a department is called.
_MIN_OF_DEPARTMENT: Final = 4

# What is written with points between its letters.
_WITH_POINTS: Final = frozenset(
    ["ca", "dv", "eg", "ie", "im", "od", "oe", "os", "po", "ua", "va", "vs", "zb", "zn"]
)  # fmt: skip


class Abbreviations:
    """What people and institutions are abbreviated to, each made when it is first needed.

    Attributes: those of `Identity`, whose sets they are.
    """

    names: AbstractSet[tuple[str, ...]]
    phrases: AbstractSet[str]
    departments: AbstractSet[str]
    harmless: AbstractSet[str]

    @cached_property
    def initials(self) -> frozenset[str]:
        """The initials of people: two, or all, in the order of the name and the other."""
        found: set[str] = set()
        for name in self.names:
            words = [word for word in name if word not in TITLES]
            # With a particle as the first letter, too: van der Berg is B., and V.
            for one, other in permutations(
                dict.fromkeys((*words[:1], *telling(words), *words[-1:])), 2
            ):
                found.update(map("".join, product(initials_of(one), initials_of(other))))
            for some in (words, telling(words)):
                letters = [plain(word)[:1] for word in some]
                found.update(("".join(letters), "".join(letters[1:] + letters[:1])))
                # A given name behind two others: unless that is a word, as few write it so.
                found.update({"".join(letters[-1:] + letters[:-1])} - self.harmless)
        return frozenset(each for each in found if len(each) > 1 and each[0] < FIRST_UNSPACED)

    @cached_property
    def told_initials(self) -> frozenset[str]:
        """Initials that are no word; none where it is not known what words are."""
        if not self.harmless:
            return frozenset()
        return (self.alone - self.harmless) | (self.alone & _PRONOUNS)

    @cached_property
    def alone(self) -> frozenset[str]:
        """Initials that may be told without points."""
        others = (UBIQUITOUS - UNITS) | _UBIQUITOUS_ELSEWHERE | FUNCTION_WORDS
        return self.initials - others

    @cached_property
    def of_patient(self) -> frozenset[str]:
        """Initials that may be told behind `patient`, where images and sides are said, too.

        In small letters they are no words that stand in every sentence.
        """
        return self.initials - OF_IMAGES - FUNCTION_WORDS

    @cached_property
    def with_points(self) -> frozenset[str]:
        """Initials that are no abbreviation with points between its letters, as `p.a.` is."""
        initials = self.initials - UBIQUITOUS - _WITH_POINTS if self.harmless else frozenset[str]()
        return initials | self.institutions

    @cached_property
    def of_two_letters(self) -> dict[str, frozenset[str]]:
        """Words of names of two letters, and with what the others of a name begin."""
        found: dict[str, set[str]] = {}
        for name in self.names if self.harmless else ():
            words = [plain(word) for word in name if word not in TITLES]
            for at, word in enumerate(words):
                if len(words) > _TWO and word in PARTICLES:
                    continue
                if len(word) == _TWO and word < FIRST_UNSPACED:
                    others = [other[0] for other in words[:at] + words[at + 1 :] if other]
                    found.setdefault(word, set()).update(others)
        return {word: frozenset(letters) for word, letters in found.items()}

    @cached_property
    def institutions(self) -> frozenset[str]:
        """The abbreviations of institutions; none where it is not known what words are."""
        if not self.harmless:
            return frozenset()
        of_phrases = (
            each for phrase in self.phrases for each in abbreviations_of(phrase, self.harmless)
        )
        # Of a department two or three letters are those of what is done there.
        of_departments = (
            each
            for department in self.departments
            for each in abbreviations_of(department, self.harmless)
            if len(each) >= _MIN_OF_DEPARTMENT
        )
        return frozenset((*of_phrases, *(set(of_departments) - self.harmless)))

    @cached_property
    def alone_institutions(self) -> frozenset[str]:
        """Those of them that stay in no cleaned text."""
        return self.institutions - _OF_STUDIES

    @cached_property
    def told_institutions(self) -> frozenset[str]:
        """Those of them that are no word."""
        return self.institutions - self.harmless
