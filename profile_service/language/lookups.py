"""Reads what is looked up of patients in tables: which table, which column, and who is not there.

An extension of the language. The tables stand in no profile: they are attached to the
containers that files go to, and a profile is valid whether or not they are there.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple, get_args

from profile_service.language.codes import Code
from profile_service.language.dictionary import vrs_of
from profile_service.language.document import MapNode
from profile_service.language.model import (
    Column,
    Lookup,
    OnUnlisted,
    PathSelector,
    ShiftColumn,
    Spelling,
    VrSelector,
)
from profile_service.language.spelling import ALPHABET, LENGTH, read_spelling
from profile_service.language.values import Table
from profile_service.language.vr import problem

if TYPE_CHECKING:
    from profile_service.language.model import Profile

ON_MISSING: Final = "on-missing"
SHIFT_FROM: Final = "shift-from"

# How tables are named: as containers are.
TABLE_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?", re.ASCII)
COLUMN_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,63}", re.ASCII)

# The columns that say who a patient is, in the order of the elements that say it in files.
ORIGINALS: Final = ("original", "original-2", "original-3", "original-4")
# What most profiles have for the second: IssuerOfPatientID.
ISSUER: Final = "issuer"

_KEYS: Final = ("table", "column")
_EXAMPLE: Final = "{table: trial, column: code}"


def read_lookup(table: Table) -> Lookup | None:
    """Reads `lookup` of a rule with its options; what is wrong is noted."""
    column = _read_column(table, "lookup")
    outcomes: tuple[OnUnlisted, ...] = get_args(OnUnlisted)
    written = table.choice(ON_MISSING, outcomes)
    unlisted: OnUnlisted = next((each for each in outcomes if each == written), "reject")
    spelling: Spelling | None = Spelling(ALPHABET, LENGTH)
    if unlisted == "hash":
        spelling = read_spelling(table)
    else:
        for option in ("alphabet", "length"):
            if option in table:
                table.report_key(
                    Code.OPTION_WITHOUT_ACTION,
                    option,
                    f"'{option}' is about the pseudonym of 'on-missing: hash'.",
                )
    if column is None or spelling is None:
        return None
    return Lookup(column, unlisted, spelling, insert=True)


def read_shift_from(table: Table) -> ShiftColumn | None:
    """Reads `shift-from` of `pseudonyms`; what is wrong is noted."""
    if SHIFT_FROM not in table:
        return None
    column = _read_column(table, SHIFT_FROM)
    return None if column is None else ShiftColumn(column, table.switch("shift-zero") or False)


def _read_column(table: Table, key: str) -> Column | None:
    """Reads which column of which table."""
    node = table.value(key)
    if not isinstance(node, MapNode):
        table.report(
            Code.TABLE_COLUMN,
            key,
            f"'{key}' takes a mapping that names a table and one of its columns.",
            f"{key}: {_EXAMPLE}",
        )
        return None
    inner = Table(node, table.at(key), table.problems)
    for name in inner:
        if name not in _KEYS:
            inner.report_unknown(Code.TABLE_COLUMN, name, "'table' or 'column'", _KEYS)
            return None
    missing = [name for name in _KEYS if name not in inner]
    if missing:
        table.report(Code.TABLE_COLUMN, key, f"'{missing[0]}' is missing.", f"{key}: {_EXAMPLE}")
        return None
    found = inner.text("table"), inner.text("column")
    if found[0] is not None and TABLE_NAME.fullmatch(found[0]) is None:
        inner.report(
            Code.TABLE_COLUMN,
            "table",
            "A table is named like a container: small letters, digits, and . _ - between them.",
        )
    elif found[1] is not None and COLUMN_NAME.fullmatch(found[1]) is None:
        inner.report(
            Code.TABLE_COLUMN,
            "column",
            "A column is named by letters, digits, and . _ - behind the first letter.",
        )
    elif found[1] in {*ORIGINALS, ISSUER}:
        inner.report(
            Code.TABLE_COLUMN,
            "column",
            "That column says who the patient is: looked up, it would stand in the output.",
        )
    elif found[0] is not None and found[1] is not None:
        return Column(found[0], found[1])
    return None


class Use(NamedTuple):
    """What a profile does with a column.

    Attributes:
        column: its name.
        vrs: of the element that the value is written into; any of them.
        days: the dates of a patient move by the value; None where they do not.
    """

    column: str
    vrs: tuple[str, ...] = ()
    days: ShiftColumn | None = None

    def problem(self, text: str) -> str | None:
        """Says why a value cannot be used so, without the value; None where it can."""
        if self.days is not None:
            return self.days.problem(text)
        reasons = [problem(vr, text) for vr in self.vrs]
        return reasons[0] if reasons and all(reason is not None for reason in reasons) else None


def uses_of(profile: Profile, table: str) -> frozenset[Use]:
    """Returns what a profile does with the columns of a table, as far as it says into what."""
    found = set()
    for rule in profile.rules:
        action = rule.action
        if isinstance(action, Lookup) and action.column.table == table:
            if isinstance(rule.selector, PathSelector):
                found.add(Use(action.column.name, vrs_of(rule.selector.element)))
            elif isinstance(rule.selector, VrSelector):
                found |= {Use(action.column.name, (vr,)) for vr in rule.selector.vrs}
    source = profile.settings.pseudonyms.shift_from
    if source is not None and source.column in profile.columns and source.column.table == table:
        found.add(Use(source.column.name, days=source))
    return frozenset(found)
