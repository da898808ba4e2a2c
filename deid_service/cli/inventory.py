"""`deidcascade profile test`: what a profile makes of a whole folder, as one inventory."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import click
from pydicom.datadict import keyword_for_tag

from deid_service.cli.console import json_option, print_json, readable
from deid_service.cli.given import (
    TableFile,
    key_file_option,
    keys_for,
    table_file_option,
    tables_for,
)
from deid_service.cli.pages import Cell, Section, html_option, write_page
from deid_service.cli.results import FileReport, Word
from deid_service.cli.sources import PROFILE_FILE, find_files, valid_profile
from deid_service.cli.terminal import cell, console, table
from deid_service.cli.treating import CHUNK_BYTES, passed_over, treat, without_output
from deid_service.client import expand
from deid_service.engine import DicomError
from deid_service.engine.errors import format_tag
from deid_service.engine.rules.rules import Rules
from deid_service.preview.changes import sequences_around
from deid_service.preview.elements import Shown, elements, is_private
from deid_service.preview.hits import treatments
from deid_service.preview.keys import throwaway_keys
from deid_service.preview.previewing import plan_of
from deid_service.preview.remaining import Why, remaining
from profile_service.language.dictionaries import UIDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from deid_service.client import Source
    from deid_service.engine import Plan
    from deid_service.preview.elements import Step
    from profile_service.language.model import Profile

SLOW = "a pattern of the profile takes too long"

# Values of one element that are shown: enough to see what kind they are.
MAX_VALUES = 5

# What tells one kind of file, and one device, from another.
_SOP_CLASS, _MANUFACTURER, _MODEL = 0x00080016, 0x00080070, 0x00081090


# SOP class, manufacturer and model.
Kind = tuple[str, str, str]


@dataclass
class Line:
    """An element of the inventory: one path, whatever the items are that it goes through.

    Attributes:
        path: `PatientID`, `OtherPatientIDsSequence[].PatientID`.
        tag: its tag.
        private: whether it is private.
        files: how many files have it.
        fates: how often it stays, changes, goes or is new.
        by: what treats it, as receipts count it.
        values: some that stay as they are.
        why: why it looks identifying where it stays; None where it does not.
        kinds: how many files of each kind have it.
    """

    path: str
    tag: str
    private: bool
    files: int = 0
    fates: Counter[str] = field(default_factory=Counter)
    by: set[str] = field(default_factory=set)
    values: dict[str, None] = field(default_factory=dict)
    why: Why | None = None
    kinds: Counter[Kind] = field(default_factory=Counter)

    @property
    def row(self) -> tuple[str, str, str, str, str]:
        """What becomes of it, for people."""
        by = ", ".join(sorted(self.by))
        return self.path, self.tag, str(self.files), in_words(self.fates), by

    def as_json(self, kinds: list[Kind]) -> dict[str, object]:
        """Returns it for programs; a kind of file is its place among all kinds."""
        return {
            "path": self.path,
            "tag": self.tag,
            "files": self.files,
            "fates": dict(self.fates),
            "by": sorted(self.by),
            "remainingValues": list(self.values),
            "looksIdentifying": self.why and self.why.value,
            "kinds": {str(kinds.index(kind)): count for kind, count in self.kinds.items()},
        }


@dataclass
class Inventory:
    """What a profile makes of some files.

    Attributes:
        profile: the profile.
        plan: the same for the engine, with what it needs of keys and tables.
        files: how many would be de-identified.
        kinds: how many of those there are of each SOP class and device.
        rejected: what would be rejected, or cannot be read, and why.
        not_shown: what would be de-identified and is not in the inventory, and why.
        skipped: how many are no DICOM.
        lines: the elements, by path.
    """

    profile: Profile
    plan: Plan
    files: int = 0
    kinds: Counter[Kind] = field(default_factory=Counter)
    rejected: list[FileReport] = field(default_factory=list)
    not_shown: list[tuple[str, str]] = field(default_factory=list)
    skipped: int = 0
    lines: dict[str, Line] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._rules = Rules.of(self.profile)

    def add(self, source: Source) -> None:
        """Takes a file in."""
        over = passed_over(source)
        if over is not None:
            if over.word is Word.SKIPPED:
                self.skipped += 1
            else:
                self.rejected.append(over)
            return
        try:
            with source.open() as file:
                data = b"".join(iter(lambda: file.read(CHUNK_BYTES), b""))
            output = bytearray()
            treat(replace(source, open=partial(BytesIO, data)), self.plan, output.extend)
        except (DicomError, OSError) as error:
            self.rejected.append(without_output(source, error))
            return
        self.files += 1
        try:
            before, after = elements(data), elements(bytes(output))
            kind = kind_of(before.values())
            self._add(before, after, kind)
            self.kinds[kind] += 1
        except ValueError as error:
            self.not_shown.append((source.name, str(error)))
        except DicomError:
            self.not_shown.append((source.name, SLOW))

    def _add(
        self,
        before: dict[tuple[Step, ...], Shown],
        after: dict[tuple[Step, ...], Shown],
        kind: Kind,
    ) -> None:
        left = {each.element.steps: each.why for each in remaining(before, after)}
        by = treatments(self._rules, before.values())
        # All that can go wrong comes first: a file is in the inventory whole, or not at all.
        treated = {steps: by(shown) for steps, shown in (after | before).items()}
        for steps in treated:
            # What is in a sequence that goes, goes with it.
            whole = next((way for way in sequences_around(steps) if way not in after), steps)
            treated[steps] = treated[whole]
        seen = set()
        for steps, shown in (after | before).items():
            old, new = before.get(steps), after.get(steps)
            path = general_path(shown)
            line = self.lines.setdefault(path, Line(path, shown.tag, is_private(shown)))
            became = fate(old, new)
            line.fates[became] += 1
            line.files += path not in seen
            if treated[steps] and became != "stays":
                line.by.add(treated[steps])
            line.why = most_telling(line.why, left.get(steps))
            line.kinds[kind] += path not in seen
            seen.add(path)
            if became == "stays" and len(line.values) < MAX_VALUES and shown.text:
                line.values[shown.text] = None

    def as_json(self) -> dict[str, object]:
        """Returns it for programs."""
        kinds = [kind for kind, _ in self.kinds.most_common()]
        return {
            "files": self.files,
            "skipped": self.skipped,
            "rejected": [
                {
                    "source": readable(each.source),
                    "outcome": each.word.value,
                    "reason": each.reason,
                    "problem": readable(each.problem),
                }
                for each in self.rejected
            ],
            "notShown": [
                {"source": readable(source), "problem": why} for source, why in self.not_shown
            ],
            "kinds": [
                {"sopClass": sop_class, "manufacturer": maker, "model": model, "files": count}
                for (sop_class, maker, model), count in self.kinds.most_common()
            ],
            "elements": [line.as_json(kinds) for line in self.lines.values()],
        }


def most_telling(one: Why | None, other: Why | None) -> Why | None:
    """Returns the more telling of two reasons, or the one that is there."""
    order = list(Why)
    return min(filter(None, (one, other)), key=order.index, default=None)


def fate(old: Shown | None, new: Shown | None) -> str:
    """Returns what became of an element, in a word."""
    if old is None:
        return "is new"
    if new is None:
        return "goes"
    return "stays" if old.content == new.content else "changes"


def general_path(shown: Shown) -> str:
    """Returns the path of an element, whatever the items are that it goes through."""
    return ".".join(
        (keyword_for_tag(step.tag) or format_tag(step.tag)) + ("" if step.index is None else "[]")
        for step in shown.steps
    )


def kind_of(found: Iterable[Shown]) -> Kind:
    """Returns the SOP class and the device of a file."""
    said = {shown.steps[0].tag: shown.text for shown in found if len(shown.steps) == 1}
    sop_class = said.get(_SOP_CLASS, "")
    name, *_ = UIDS.get(sop_class, (sop_class or "unknown",))
    return name, said.get(_MANUFACTURER, ""), said.get(_MODEL, "")


@click.command("test")
@click.argument("profile", metavar="PROFILE", type=PROFILE_FILE)
@click.argument(
    "sources",
    metavar="SRC...",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, path_type=Path),
)
@key_file_option
@table_file_option
@html_option
@json_option
def test(
    profile: str,
    sources: tuple[Path, ...],
    key_file: Path | None,
    table_files: tuple[TableFile, ...],
    page: Path | None,
    as_json: bool,
) -> None:
    """Shows what PROFILE makes of files, folders and archives, as one inventory.

    Which kinds of files there are, which would be rejected, what stays although it
    looks identifying, with some of its values, and for each element how often it
    is there, and what becomes of it. Writes nothing; the values of the files appear on
    the screen. What `apply` then does is the same.

    Without --key-file, pseudonyms are made as another key would make them.

    Exit code 1: a file would be rejected, or there is none.
    """
    parsed = valid_profile(profile)
    keys = throwaway_keys(parsed) if key_file is None else keys_for(parsed, key_file)
    tables = tables_for(parsed, table_files)
    plan = plan_of(parsed, keys, tables.given, tables.listed_for)
    inventory = Inventory(parsed, plan)
    for file in find_files(sources):
        for source in expand(file):
            inventory.add(source)
    if page is not None:
        write_page(page, f"What {Path(profile).name} makes of the files", sections_of(inventory))
    if as_json:
        print_json(inventory.as_json())
    else:
        show(inventory)
    sys.exit(bool(inventory.rejected) or not inventory.files)


def sections_of(inventory: Inventory) -> list[Section]:
    """Returns the sections of the page."""
    lines = sorted(inventory.lines.values(), key=lambda line: line.tag)
    return [
        Section(
            "Kinds of files",
            ("SOP class", "Manufacturer", "Model", "Files"),
            [(*kind, str(count)) for kind, count in inventory.kinds.most_common()],
        ),
        Section(
            "Would have no output",
            ("File", "Why"),
            [(each.source, Cell(each.problem, "bad")) for each in inventory.rejected],
        ),
        Section(
            "Would be de-identified, but cannot be shown here",
            ("File", "Why"),
            [(source, Cell(why, "bad")) for source, why in inventory.not_shown],
        ),
        Section(
            "Stays although it looks identifying",
            ("Element", "Tag", "Files", "Some of its values", "Why"),
            [
                (
                    line.path,
                    line.tag,
                    str(line.files),
                    Cell(", ".join(line.values), "bad"),
                    line.why.value,
                )
                for line in lines
                if line.why is not None
            ],
        ),
        Section(
            "What becomes of each element",
            ("Element", "Tag", "Files", "What becomes of it", "By"),
            [line.row for line in lines],
        ),
    ]


def show(inventory: Inventory) -> None:
    """Prints an inventory for people."""
    screen = console()
    if inventory.kinds:
        screen.print(
            table(
                ("KIND OF FILE", "MANUFACTURER", "MODEL", "FILES"),
                ((*kind, str(count)) for kind, count in inventory.kinds.most_common()),
            )
        )
    else:
        click.echo("There is no file that this could be shown of.")
    if inventory.skipped:
        click.echo(f"\n{inventory.skipped} files are no DICOM.")
    if inventory.rejected:
        click.echo("\nWould have no output:\n")
        rows = [(each.source, cell(each.problem, "red")) for each in inventory.rejected]
        screen.print(table(("FILE", "WHY"), rows))
    if inventory.not_shown:
        click.echo("\nWould be de-identified, but cannot be shown here:\n")
        screen.print(table(("FILE", "WHY"), inventory.not_shown))
    lines = sorted(inventory.lines.values(), key=lambda line: line.tag)
    identifying = [line for line in lines if line.why is not None]
    if identifying:
        click.echo("\nStays although it looks identifying:\n")
        screen.print(
            table(
                ("ELEMENT", "TAG", "FILES", "VALUES", "WHY"),
                (
                    (line.path, line.tag, str(line.files), ", ".join(line.values), line.why.value)
                    for line in sorted(
                        identifying, key=lambda line: list(Why).index(line.why or Why.PRIVATE)
                    )
                    if line.why is not None
                ),
            )
        )
    if not lines:
        return
    click.echo("\nWhat becomes of each element:\n")
    public = [line for line in lines if not line.private]
    screen.print(
        table(
            ("ELEMENT", "TAG", "FILES", "WHAT BECOMES OF IT", "BY"),
            (line.row for line in public),
        )
    )
    private = sum((line.fates for line in lines if line.private), Counter[str]())
    if private:
        click.echo(f"\nPrivate elements, in all files together: {in_words(private)}.")


def in_words(fates: Counter[str]) -> str:
    """Returns what became of an element: one word where it is always the same."""
    if len(fates) == 1:
        return next(iter(fates))
    return ", ".join(f"{word} {count} x" for word, count in fates.most_common())
