"""Texts as people write them: what should stay, and what must go, known from the file or not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from deid_service.engine.texts.cleaner import clean
from deid_service.engine.texts.identity import Identity
from profile_service.language.standard import vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterator

# Of the names of people and places below nothing is in the file that they stand in.
_PEOPLE: Final = (
    "Kowalczyk", "KOWALCZYK", "Hernandez", "Nguyen", "O'Donnell", "Müller-Lüdenscheidt",
    "van der Berg", "Yamamoto Hiroshi", "Smith, John", "SMITH^JOHN", "Johnson", "Mary Ann Jackson",
    "José García", "Giovanni Rossi", "Petrović", "Okonkwo", "Lefèvre", "MacDonald", "McKenzie",
    "Sarah Young", "Grace Hill", "DR. WHITE", "Dr White", "DR KOWALSKI", "Prof. Brown",
    "Mrs. Green", "Herr Schneider", "Frau Dr. Klein", "J. Doe", "J.R. Tolkien", "Иванов",
    "Παπαδόπουλος", "山田太郎", "김철수", "Ben-Ami", "Al-Rashid", "Svensson", "Łukasz Wójcik",
)  # fmt: skip
_PLACES: Final = (
    "Springfield", "Massachusetts General", "St. Mary's", "Charité", "Mayo", "Cleveland",
    "Heidelberg", "Köln", "Mount Sinai", "12 Oak Street", "1428 Elm St.", "221b Baker Street",
    "Hauptstraße 5", "Lindenweg 12", "12 rue de la Paix", "Calle Mayor 5", "Via Roma 12",
    "Springfield, IL 62704", "80331 München", "PO Box 4711",
)  # fmt: skip
_NUMBERS: Final = (
    "1987654", "MRN 00123456", "MRN: 12-34-567", "ID#445566", "A1234567", "SSN 123-45-6789",
    "PAT0012345", "acc 20231104567", "RAD-2023-004567", "555-0142-77", "(617) 555-0142",
    "+1 617 555 0142", "617.555.0142", "+49 89 1234567", "089/1234567", "06 12 34 56 78",
    "+44 20 7946 0958", "020 7946 0958", "+34 912 345 678", "+39 06 1234 5678", "123 456 7890",
    "jane@example.org", "j.doe+ct@clinic.example.com", "https://pacs.example.org/x?id=4",
    "www.example.org/jane", "\\\\srv01\\share\\x",
)  # fmt: skip
_DATES: Final = (
    "2020-03-12", "2020/03/12", "12/03/2020", "3/12/20", "12.03.2020", "12.3.20", "20200312",
    "12 Mar 2020", "12-MAR-2020", "Mar-12-20", "March 12, 2020", "March 12th 2020", "Mar 12 2020",
    "12. März 2020", "12 mars 2020", "12 de marzo de 2020", "12 marzo 2020", "2020/072",
    "12Mar2020", "2020-03-12T10:11:12", "12 March", "March 2020", "12 MAR 20", "10:45",
    "born 1956", "1er mars 2020", "DOB 03121956", "2020年3月12日",
)  # fmt: skip

_CONTEXTS: Final = ("CT CHEST {}", "{} MR knee left", "Head  3.0 ({}) axial")

SECRETS: Final = (*_PEOPLE, *_PLACES, *_NUMBERS, *_DATES)


class Planted(NamedTuple):
    """A text with something in it that must go.

    Attributes:
        text: as it is.
        secret: what must go, each word and number of it that tells anything.
    """

    text: str
    secret: str

    def left(self, cleaned: str) -> list[str]:
        """Returns what of it stands in a text."""
        words = set(_words(cleaned))
        return [word for word in _words(self.secret) if word in words]


def planted() -> Iterator[Planted]:
    """Yields texts with planted names, places, numbers and dates."""
    for secret in SECRETS:
        for context in _CONTEXTS:
            yield Planted(context.format(secret), secret)


def descriptions() -> list[str]:
    """Returns descriptions that should stay as they are."""
    text = Path(__file__).with_name("descriptions.txt").read_text("utf-8")
    return [line for line in text.splitlines() if not line.startswith("#")]


# Words that say of nobody who it is, and numbers that are too short to.
_SAYS_NOTHING: Final = frozenset(
    [
        "acc",
        "and",
        "ann",
        "ben",
        "born",
        "box",
        "com",
        "day",
        "der",
        "dob",
        "example",
        "general",
        "herr",
        "id",
        "mrn",
        "mrs",
        "org",
        "paix",
        "patient",
        "prof",
        "ssn",
        "st",
        "van",
        "via",
        "https",
        "http",
        "www",
        "clinic",
        "share",
        "ct",
        "der",
        "1er",
    ]
)


def _words(text: str) -> list[str]:
    return [
        word
        for word in re.findall(r"[^\W_]+", text.casefold())
        if word not in _SAYS_NOTHING and (len(word) > 2 or not word.isascii())
    ]


def scores() -> dict[str, str]:
    """Returns how many descriptions stay as they are, and how many planted texts leak."""
    words, nobody = vocabulary(), Identity()
    kept = [clean(text, words, nobody) == text for text in descriptions()]
    leaks = [each for each in planted() if each.left(clean(each.text, words, nobody))]
    return {
        "descriptions that stay whole": f"{sum(kept)} of {len(kept)}",
        "texts with something planted left": f"{len(leaks)} of {len(list(planted()))}",
    }
