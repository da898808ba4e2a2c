"""What the standard asks of a de-identified file, as data.

Tables, made of published ones by `tests/tools/standard.py`; docs/standard.md says
of which, and under which licences.

- Table E.1-1 of PS3.15: what the Basic Application Level Confidentiality Profile
  does to each attribute, and what its options do instead.
- What the IODs of PS3.3 need of these attributes, by the SOP classes of PS3.4.
- Words and phrases that a cleaned text may keep, and words of everyday English that it may
  keep as they stand in a sentence.
- Private elements that are safe to keep: table E.3.10-1 of PS3.15, and the knowledge
  base of The Cancer Imaging Archive.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final, Literal, get_args

from profile_service.language.dictionary import repeater_from
from profile_service.language.model import (
    LINKS,
    Element,
    PrivateElement,
    RepeaterElement,
    Vocabulary,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

EDITION: Final = "2026c"

# PS3.15 E.3: the options, by their names in a profile, in the order of the table.
Option = Literal[
    "retain-safe-private",
    "retain-uids",
    "retain-device-identity",
    "retain-institution-identity",
    "retain-patient-characteristics",
    "retain-longitudinal-full-dates",
    "retain-longitudinal-modified-dates",
    "clean-descriptors",
    "clean-structured-content",
    "clean-graphics",
]
OPTIONS: Final[tuple[Option, ...]] = get_args(Option)

# PS3.15 table E.1-1a. X removes, Z empties or puts a dummy, D puts a dummy, U puts
# another UID, K keeps, C cleans. Several: what the IOD of the file allows decides.
ActionCode = Literal[
    "X", "Z", "D", "U", "K", "C", "X/D", "X/Z", "Z/D", "X/Z/D", "X/Z/U*"
]  # fmt: skip

# Where the tables say which element a row is about: every private one.
PRIVATE: Final = "private"


@dataclass(frozen=True, slots=True)
class Attribute:
    """A row of table E.1-1.

    Attributes:
        element: one tag, or a repeating range; None for every private element.
        name: as the standard has it.
        basic: what the basic profile does.
        options: what the options that are about it do instead.
        since: the first edition, of those that the table was made of, that has it.
    """

    element: Element | RepeaterElement | None
    name: str
    basic: ActionCode
    options: Mapping[Option, ActionCode]
    since: str


@dataclass(frozen=True, slots=True)
class SafePrivate:
    """A private element that is safe to keep, in any block and at every depth.

    Attributes:
        element: the element.
        treatment: how: as it is, or with another UID or date in it.
        by_standard: table E.3.10-1 names it; else the knowledge base does alone.
    """

    element: PrivateElement
    treatment: Literal["keep", "uid", "date"]
    by_standard: bool


@cache
def attributes() -> tuple[Attribute, ...]:
    """The rows of table E.1-1, by tag; the one about private elements stands last."""
    return tuple(
        Attribute(
            element=_element(row["tag"]),
            name=row["name"],
            basic=_action(row["basic"]),
            options={option: _action(row[option]) for option in OPTIONS if row[option]},
            since=row["since"],
        )
        for row in _rows("e1_1.tsv")
    )


@cache
def standard_elements() -> frozenset[Element | RepeaterElement]:
    """The elements of table E.1-1: the dictionary can be of an earlier edition."""
    return frozenset(each.element for each in attributes() if each.element is not None)


@cache
def safe_private() -> Mapping[PrivateElement, SafePrivate]:
    """The private elements that are safe to keep."""
    found = {}
    for row in _rows("safe_private.tsv"):
        element = PrivateElement(int(row["group"], 16), row["creator"], int(row["offset"], 16))
        treatment = next(known for known in _TREATMENTS if known == row["treatment"])
        found[element] = SafePrivate(element, treatment, row["source"] == "ps3.15")
    return found


@cache
def iod_needs() -> Mapping[str, tuple[Mapping[int, int], Mapping[int, int]]]:
    """What IODs need, by SOP class: 1 a value, 2 that an element is there; by its tag.

    First at the top level, then in the items of sequences. Classes of one IOD share theirs.
    """
    found: dict[str, tuple[dict[int, int], dict[int, int]]] = {}
    for row in _rows("iod_needs.tsv"):
        tag, kind = int(row["tag"], 16), int(row["type"])
        for iod in row["iods"].split(","):
            found.setdefault(iod, ({}, {}))[row["place"] == "items"][tag] = kind
    return {row["uid"]: found[row["iod"]] for row in _rows("sop_classes.tsv")}


@cache
def vocabulary() -> Vocabulary:
    """Words and phrases that say nothing about a person."""
    terms, marked = _terms("vocabulary.tsv")
    everyday, as_written = _terms("everyday.tsv")
    return Vocabulary(
        terms=terms,
        names=marked("name") | as_written("name"),
        stems=marked("stem"),
        parts=marked("part") | LINKS,
        everyday=everyday,
        any_case=as_written("any-case"),
        seldom=as_written("seldom"),
    )


def _terms(name: str) -> tuple[frozenset[str], Callable[[str], frozenset[str]]]:
    """Returns the terms of a table, and what tells those that have a mark."""
    terms = []
    marked: dict[str, list[str]] = {}
    # Without a dictionary, or a second string, for each of a hundred thousand rows: workers start.
    for row in _text(name).splitlines()[1:]:
        if "\t" in row:
            term, mark = row.split("\t")
            marked.setdefault(mark, []).append(term)
            terms.append(term)
        else:
            terms.append(row)
    return frozenset(terms), lambda kind: frozenset().union(
        *(found for mark, found in marked.items() if kind in mark)
    )


_TREATMENTS: Final[tuple[Literal["keep", "uid", "date"], ...]] = ("keep", "uid", "date")


def _rows(name: str) -> Iterator[dict[str, str]]:
    return csv.DictReader(_text(name).splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)


def _text(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")


def _element(spelled: str) -> Element | RepeaterElement | None:
    if spelled == PRIVATE:
        return None
    return repeater_from(spelled) if "x" in spelled else Element(int(spelled, 16))


def _action(code: str) -> ActionCode:
    return next(known for known in get_args(ActionCode) if known == code)
