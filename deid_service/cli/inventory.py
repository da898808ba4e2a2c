"""`deidcascade profile test`: what a profile makes of a whole folder, as one inventory."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click
from pydicom._uid_dict import UID_dictionary
from pydicom.datadict import keyword_for_tag

from deid_service.cli.console import (
    cell,
    console,
    json_option,
    print_json,
    readable,
    table,
)
from deid_service.cli.pages import Cell, Section, html_option, write_page
from deid_service.cli.sources import PROFILE_FILE, find_files, valid_profile
from deid_service.client import expand
from deid_service.engine import DicomError, compile_plan, deidentify
from deid_service.engine.errors import format_tag
from deid_service.engine.rules.rules import Rules
from deid_service.preview.elements import Shown, elements, is_private
from deid_service.preview.hits import treatments
from deid_service.preview.remaining import Why, remaining

if TYPE_CHECKING:
    from collections.abc import Iterable

    from deid_service.client import Source
    from deid_service.preview.elements import Step
    from profile_service.language.model import Profile

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
        kinds: how many files there are of each SOP class and device.
        rejected: the files that would be rejected, and why.
        skipped: how many are no DICOM.
        lines: the elements, by path.
    """

    profile: Profile
    kinds: Counter[Kind] = field(default_factory=Counter)
    rejected: list[tuple[str, str]] = field(default_factory=list)
    skipped: int = 0
    lines: dict[str, Line] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._plan = compile_plan(self.profile)
        self._rules = Rules.of(self.profile)

    def add(self, source: Source) -> None:
        """Takes a file in."""
        if source.skipped:
            self.skipped += 1
            return
        try:
            if source.problem:
                self.rejected.append((source.name, source.problem))
                return
            with source.open() as file:
                data = b"".join(iter(lambda: file.read(1024 * 1024), b""))
            output = deidentify(data, self._plan)
            before, after = elements(data), elements(output)
        except OSError as error:
            self.rejected.append((source.name, f"It cannot be read: {error.strerror}."))
        except (DicomError, ValueError) as error:
            self.rejected.append((source.name, str(error)))
        else:
            kind = kind_of(before.values())
            self.kinds[kind] += 1
            self._add(before, after, kind)

    def _add(
        self,
        before: dict[tuple[Step, ...], Shown],
        after: dict[tuple[Step, ...], Shown],
        kind: Kind,
    ) -> None:
        left = {each.element.steps: each.why for each in remaining(before, after)}
        by = treatments(self._rules, before.values())
        seen = set()
        for steps in before | after:
            old, new = before.get(steps), after.get(steps)
            shown = old or new
            assert shown is not None  # noqa: S101 -- it is in one of them
            path = general_path(shown)
            line = self.lines.setdefault(path, Line(path, shown.tag, is_private(shown)))
            line.fates[fate(old, new)] += 1
            line.files += path not in seen
            if treatment := by(shown):
                line.by.add(treatment)
            line.why = most_telling(line.why, left.get(steps))
            line.kinds[kind] += path not in seen
            seen.add(path)
            if fate(old, new) == "stays" and len(line.values) < MAX_VALUES and shown.text:
                line.values[shown.text] = None

    def as_json(self) -> dict[str, object]:
        """Returns it for programs."""
        kinds = [kind for kind, _ in self.kinds.most_common()]
        return {
            "files": sum(self.kinds.values()),
            "skipped": self.skipped,
            "rejected": [
                {"source": readable(source), "problem": readable(why)}
                for source, why in self.rejected
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
    name, *_ = UID_dictionary.get(sop_class, (sop_class or "unknown",))
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
@html_option
@json_option
def test(profile: str, sources: tuple[Path, ...], page: Path | None, as_json: bool) -> None:
    """Shows what PROFILE makes of files, folders and archives, as one inventory.

    Which kinds of files there are, which would be rejected, what stays although it
    looks identifying, with some of its values, and for each element how often it
    is there, and what becomes of it. Writes nothing; the values of the files appear on
    the screen.

    Exit code 1: a file would be rejected, or there is none.
    """
    inventory = Inventory(valid_profile(profile))
    for file in find_files(sources):
        for source in expand(file):
            inventory.add(source)
    if page is not None:
        write_page(page, f"What {Path(profile).name} makes of the files", sections_of(inventory))
    if as_json:
        print_json(inventory.as_json())
    else:
        show(inventory)
    sys.exit(bool(inventory.rejected) or not inventory.kinds)


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
            "Would be rejected",
            ("File", "Why"),
            [(source, Cell(why, "bad")) for source, why in inventory.rejected],
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
    screen.print(
        table(
            ("KIND OF FILE", "MANUFACTURER", "MODEL", "FILES"),
            ((*kind, str(count)) for kind, count in inventory.kinds.most_common()),
        )
    )
    if inventory.skipped:
        click.echo(f"\n{inventory.skipped} files are no DICOM.")
    if inventory.rejected:
        click.echo("\nWould be rejected:\n")
        rows = [(source, cell(why, "red")) for source, why in inventory.rejected]
        screen.print(table(("FILE", "WHY"), rows))
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
