"""Lists are read once for each version, whole, within a bound, and kept for as long as in use."""

from __future__ import annotations

import asyncio
from collections import defaultdict

import pytest

from deid_service.contract.errors import ProfileNotSupportedError, TableMissingError
from deid_service.engine import Listed, compile_plan
from deid_service.serving import lists as lists_module
from deid_service.serving.lists import MAX_KEPT, ListInUse, Lists
from deid_service.serving.refusals import CallRefusedError
from profile_service.language import parse_profile
from profile_service.language.model import Column

PLAN = compile_plan(
    parse_profile(
        "dicom:\n  base: ps3.15-2026c-basic\n"
        "  words: {remove-from: [towns], remove-names-from: [staff]}\n"
    )
)
TOWNS, STAFF = Column("towns", "word"), Column("staff", "name")
PAGES = {TOWNS: [["Ulm", "Aue"], ["Bonn", "Kiel"], ["Jena"]], STAFF: [["Doe^Jane"]]}


def in_use(version: int = 1) -> list[ListInUse]:
    """Returns both lists."""
    return [ListInUse("sites/a", 7, version, column) for column in (TOWNS, STAFF)]


class Service:
    """Gives pages of lists, and counts them; lists have as many refusals as it is told."""

    def __init__(self, **refused: str) -> None:
        self.pages: dict[tuple[str, int], int] = defaultdict(int)
        self.lists = Lists()
        self._refused = refused

    async def read(self, each: ListInUse, after: bytes) -> tuple[list[str], bytes]:
        """Returns a page; the row that it is behind is its number."""
        if each.column.table in self._refused:
            raise CallRefusedError(self._refused[each.column.table])
        self.pages[each.column.table, each.version] += 1
        pages, number = PAGES[each.column], len(after)
        return pages[number][:], b"x" * (number + 1) if number + 1 < len(pages) else b""

    def listed(self, version: int = 1, sha256: str = "p") -> Listed:
        """Returns what is looked for."""
        return asyncio.run(self.lists.listed(PLAN, sha256, in_use(version), self.read))


def test_all_pages_of_all_lists() -> None:
    """What stands on any page of any list is looked for."""
    forms = Service().listed().forms

    assert {("ulm",), ("aue",), ("bonn",), ("kiel",), ("jena",), ("doe",), ("jane",)} <= forms


def test_once() -> None:
    """The same version is read once; another one, and for another profile, anew."""
    service = Service()

    same = [service.listed(), service.listed()]
    others = [service.listed(version=2), service.listed(sha256="q")]

    assert same[0] is same[1]
    assert len({id(each) for each in (same[0], *others)}) == 3
    assert service.pages == {("towns", 1): 6, ("staff", 1): 2, ("towns", 2): 3, ("staff", 2): 1}


def test_what_is_kept() -> None:
    """The last few are kept; what was used least lately goes."""
    service = Service()
    first = service.listed(1)
    for version in range(2, MAX_KEPT + 1):
        service.listed(version)
    assert service.listed(1) is first
    service.listed(MAX_KEPT + 1)

    assert service.listed(1) is first
    service.listed(2)
    assert service.pages["staff", 2] == 2


@pytest.mark.parametrize(("most", "fits"), [(6, True), (5, False), (3, False)])
def test_bound(most: int, fits: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """They have a bound together, beyond which nothing more is read."""
    monkeypatch.setattr(lists_module, "MAX_LISTED", most)
    service = Service()

    if fits:
        service.listed()
    else:
        with pytest.raises(ProfileNotSupportedError, match=f"more than {most} words"):
            service.listed()
    assert service.pages["towns", 1] == (2 if most == 3 else 3)


@pytest.mark.parametrize("table", ["towns", "staff"])
def test_refused(table: str) -> None:
    """A list that is not there any more is named; nothing is where there is no master key."""
    with pytest.raises(TableMissingError, match=table):
        Service(**{table: "TABLE_NOT_FOUND"}).listed()
    with pytest.raises(ProfileNotSupportedError, match="no master key"):
        Service(**{table: "NO_MASTER_KEY"}).listed()
