"""`deidcascade preview`: what a profile changes in a file, before and after."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deid_service.cli.console import Failure, cell, console, json_option, print_json, table
from deid_service.cli.elements import Shown, Step, elements
from deid_service.cli.sources import profile_option, read_bytes, valid_profile
from deid_service.engine import DicomError, compile_plan, deidentify

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.table import Table


@click.command("preview")
@profile_option
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
def preview(profile: str, file: Path, as_json: bool) -> None:
    """Shows what a profile changes in FILE, before and after.

    Writes nothing. The values of the file appear on the screen.
    """
    plan = compile_plan(valid_profile(profile))
    data = read_bytes(file)
    try:
        output = deidentify(data, plan)
    except DicomError as error:
        raise Failure(f"{file} would be rejected: {error}.") from None
    try:
        changed = list(changes(data, output))
    except ValueError as error:
        raise Failure(f"{file} can be de-identified, but not shown: {error}.") from None
    if as_json:
        print_json([change.as_json() for change in changed])
    elif changed:
        console().print(change_table(changed))
    else:
        click.echo(f"{file}: nothing changes.")


@dataclass(frozen=True, slots=True)
class Change:
    """An element that differs between two versions of a file.

    Attributes:
        element: one of the two.
        before: as it was; None where it was absent.
        after: as it is; None where it is absent.
    """

    element: Shown
    before: Shown | None
    after: Shown | None

    def as_json(self) -> dict[str, str | None]:
        """Returns it for programs."""
        return {
            "path": self.element.path,
            "tag": self.element.tag,
            "vr": self.element.vr,
            "before": self.before.text if self.before else None,
            "after": self.after.text if self.after else None,
        }


def changes(before: bytes, after: bytes) -> Iterator[Change]:
    """Gives what differs between two versions of a file, in the order of the file.

    Of a sequence that came or went, what is in it is not listed.

    Raises:
        ValueError: pydicom cannot read one of them.
    """
    old, new = elements(before), elements(after)
    whole: set[tuple[Step, ...]] = set()
    for steps in sorted(old.keys() | new.keys(), key=file_order):
        left, right = old.get(steps), new.get(steps)
        some = right or left
        if some is None or not whole.isdisjoint(sequences_around(steps)):
            continue
        if left is None or right is None:
            whole.add(steps)
        elif (left.vr, left.content) == (right.vr, right.content):
            continue
        yield Change(some, left, right)


def file_order(steps: tuple[Step, ...]) -> list[tuple[int, int]]:
    """Returns a key that sorts elements as they stand in a file, sequences before their items."""
    return [(step.tag, -1 if step.index is None else step.index) for step in steps]


def sequences_around(steps: tuple[Step, ...]) -> Iterator[tuple[Step, ...]]:
    """Gives the ways to the sequences that an element is in."""
    for depth, step in enumerate(steps[:-1]):
        yield (*steps[:depth], replace(step, index=None))


def change_table(changed: list[Change]) -> Table:
    """Returns a table of changes."""
    return table(
        ("ELEMENT", "TAG", "VR", "BEFORE", "AFTER"),
        (
            (
                change.element.path,
                change.element.tag,
                change.element.vr,
                cell(change.before.text, "red") if change.before else cell("absent", "dim"),
                cell(change.after.text, "green") if change.after else cell("removed", "dim"),
            )
            for change in changed
        ),
    )
