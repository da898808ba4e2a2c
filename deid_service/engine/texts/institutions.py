"""What institutions are called by the first letters of their words: MGH, SMRMC."""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import Final

from deid_service.engine.texts.forms import FIRST_UNSPACED, PARTICLES, SHARED, words_of
from deid_service.engine.texts.spelling import plain

# How words begin that say what an institution is.
_INSTITUTIONS: Final = (
    "hospi", "hopita", "hopital", "clinic", "clinique", "klini", "krankenhaus", "spital", "center",
    "centre", "centro", "zentrum", "institut", "istituto", "associates", "universi", "health",
    "medic", "imaging", "radiolog", "praxis", "ziekenhuis", "sjukhus", "sykehus", "sygehus",
    "sairaala", "szpital", "nemocnice", "osped", "policlin", "poliklin", "infirmary", "memorial",
    "cancer", "foundation", "oncolog", "cardiolog", "orthop", "surgical", "surgery", "veteran",
    "kliniek", "lasarett", "bolnica", "diagnost", "sanator", "hospice",
)  # fmt: skip

# What stands between their words.
_FOR: Final = frozenset(["for", "fuer", "fur", "at", "pour", "para", "per", "voor", "et"])
_BETWEEN: Final = SHARED | PARTICLES | _FOR

# Words of which the first part has a letter of its own: Universitätsklinikum, UK.
_COMPOUND: Final = re.compile(
    "(universitats|universitaets|kreis|land(?:es)?|stadt)(?=[kms][a-z]{4})"
)

# Words that are called by their first letters: of fewer, they say anything.
_MIN_WORDS: Final = 3
_MAX_WORDS: Final = 10

# Letters of what stands in the name of an institution by itself: NYU Langone Health, VA Hospital.
_MIN_LETTERS: Final = 3
_MAX_LETTERS: Final = 4
_WHOLE: Final = 2
_NOT_WHOLE: Final = _BETWEEN | {"st", "mt", "ft"}

# Parts of a name: a town, a department, what it is called.
_PART: Final = re.compile(r"[,;^()\[\]\\/]| [-\u2013] ")
_IN_PARENTHESES: Final = re.compile(r"\(([a-z]{2,10})\)")
_WORD: Final = re.compile(r"[^\W\d_]+")
_GENITIVE: Final = re.compile(r"['\u2019]s?(?![^\W_])")

# What it is called on its machines: with what these are.
_MACHINES: Final = ("", "ct", "mr", "us", "xr", "cr", "dx", "nm", "pet", "rad", "pacs")


def abbreviations_of(phrase: str, harmless: AbstractSet[str]) -> Iterator[str]:
    """Yields what an institution is called by the first letters of its words: MGH.

    Args:
        phrase: as it stands, in lower case; of an address there is none.
        harmless: words that say nothing by themselves.
    """
    compared = _COMPOUND.sub(r"\1 ", plain(_GENITIVE.sub("", phrase)))
    if compared.isalpha() and _MIN_LETTERS <= len(compared) <= _MAX_LETTERS:
        yield from _on_machines(compared, harmless)
    if not any(word.startswith(_INSTITUTIONS) for word in words_of(compared)):
        return
    yield from _IN_PARENTHESES.findall(compared)
    parts = [part for part in _PART.split(compared) if part.strip()][:_MAX_WORDS]
    # Mayo Clinic, Rochester, is MCR.
    begins = (" ".join(parts[:end]) for end in range(1, len(parts) + 1))
    for part in dict.fromkeys((*begins, *parts)):
        words = words_of(part)
        if any(word.startswith(_INSTITUTIONS) for word in words):
            for letters in _letters_of(part):
                yield from _on_machines(letters, harmless)
            for word in words:
                # The name of a town, or of who founded it, and letters that are its name.
                is_short = _MIN_LETTERS <= len(word) <= _MAX_LETTERS and word.isalpha()
                is_word = word in harmless or word in _BETWEEN
                if is_short and word < FIRST_UNSPACED and not is_word:
                    yield word


def _letters_of(part: str) -> Iterator[str]:
    """Yields the first letters of the words of a name, with what is between them and without."""
    # O'Brien is two words, too.
    for some in dict.fromkeys((words_of(part), tuple(_WORD.findall(part)))):
        if any(word.isdigit() or word >= FIRST_UNSPACED for word in some):
            return
        for words in (some, tuple(word for word in some if word not in _BETWEEN)):
            if _MIN_WORDS <= len(words) <= _MAX_WORDS:
                yield "".join(word[0] for word in words)
                # MD Anderson, a VA hospital.
                yield "".join(
                    word if len(word) == _WHOLE and word not in _NOT_WHOLE else word[0]
                    for word in words
                )


def _on_machines(letters: str, harmless: AbstractSet[str]) -> Iterator[str]:
    yield letters
    for machine in _MACHINES:
        yield from ({letters + machine} - harmless)
