"""`deidcascade preview`: what a profile changes in a file, before and after."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deid_service.cli.console import Failure, json_option, print_json
from deid_service.cli.given import (
    TableFile,
    key_file_option,
    keys_for,
    table_file_option,
    tables_for,
)
from deid_service.cli.pages import Cell, Section, html_option, write_page
from deid_service.cli.pictures import picture
from deid_service.cli.sources import profile_option, read_bytes, valid_profile
from deid_service.cli.terminal import cell, console, table
from deid_service.engine import DicomError
from deid_service.preview.elements import is_private
from deid_service.preview.keys import throwaway_keys
from deid_service.preview.previewing import NotShownError
from deid_service.preview.previewing import preview as preview_of
from deid_service.preview.remaining import Remaining, Why

if TYPE_CHECKING:
    from rich.table import Table

    from deid_service.preview.changes import Change
    from deid_service.preview.elements import Shown

# As many private elements as are listed one by one.
FEW = 8


@click.command("preview")
@profile_option
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--remaining",
    "only_remaining",
    is_flag=True,
    help="Only what stays as it was although it looks identifying.",
)
@key_file_option
@table_file_option
@html_option
@json_option
def preview(
    profile: str,
    file: Path,
    only_remaining: bool,
    key_file: Path | None,
    table_files: tuple[TableFile, ...],
    page: Path | None,
    as_json: bool,
) -> None:
    """Shows what a profile changes in FILE, before and after, and what remains.

    What remains is what stays as it was although it looks identifying: names, dates,
    UIDs, free text, what the standard names, private elements, documents, pixels that
    may show text, and whatever repeats a value that is changed elsewhere.

    Without --key-file, pseudonyms are shown as another key would make them. Writes nothing.
    The values of the file appear on the screen.
    """
    parsed = valid_profile(profile)
    data = read_bytes(file)
    keys = throwaway_keys(parsed) if key_file is None else keys_for(parsed, key_file)
    try:
        tables = tables_for(parsed, table_files)
        found = preview_of(data, parsed, keys, tables.given, listed_for=tables.listed_for)
    except DicomError as error:
        raise Failure(f"{file} would be rejected: {error}.") from None
    except NotShownError as error:
        raise Failure(f"{file} can be de-identified, but not shown: {error}.") from None
    changed, left = found.changes, found.remaining
    if page is not None:
        shown = [(picture(data), "before"), (picture(found.output), "after")]
        write_page(page, f"Preview of {file.name}", sections_of(changed, left, shown))
    if as_json:
        print_json([each.as_json() for each in (left if only_remaining else changed)])
        return
    if keys.id:
        again = "that of the file" if key_file else "made for this preview, and thrown away"
        click.echo(f"Pseudonyms are made with key {keys.id}, {again}.")
    if not only_remaining:
        if changed:
            console().print(change_table(grouped(changed)))
        else:
            click.echo(f"{file}: nothing changes.")
    show_remaining(file, left)


def sections_of(
    changed: list[Change], left: list[Remaining], pictures: list[tuple[str, str]]
) -> list[Section]:
    """Returns the sections of the page: what changes, and what remains."""
    return [
        Section(
            "What changes",
            ("Element", "Tag", "VR", "Before", "After", "By"),
            [
                (
                    each.element.path,
                    each.element.tag,
                    each.element.vr,
                    Cell(*shown(each.before, "old", "absent")),
                    Cell(*shown(each.after, "new", "removed")),
                    responsible(each),
                )
                for each in changed
            ],
            [shown for shown in pictures if shown[0]],
        ),
        Section(
            "What stays as it was although it looks identifying",
            ("Element", "Tag", "VR", "Value", "Why"),
            [
                (
                    each.element.path,
                    each.element.tag,
                    each.element.vr,
                    Cell(each.element.text, "bad"),
                    each.why.value,
                )
                for each in left
            ],
        ),
    ]


def show_remaining(file: Path, left: list[Remaining]) -> None:
    """Prints what stays as it was although it looks identifying."""
    if not left:
        click.echo(f"\n{file}: nothing remains that looks identifying.")
        return
    click.echo("\nWhat stays as it was although it looks identifying:\n")
    private = [each for each in left if each.why is Why.PRIVATE]
    shown = [each for each in left if each.why is not Why.PRIVATE or len(private) <= FEW]
    rows = [
        (each.element.path, each.element.tag, each.element.vr, each.element.text, each.why.value)
        for each in sorted(shown, key=lambda each: list(Why).index(each.why))
    ]
    if len(private) > FEW:
        rows.append((f"{len(private)} elements", "", "", "", Why.PRIVATE.value))
    console().print(table(("ELEMENT", "TAG", "VR", "VALUE", "WHY"), rows))


def grouped(changed: list[Change]) -> list[Change]:
    """Puts private elements that go into one line, where they are many."""
    private = [each for each in changed if is_private(each.element) and each.after is None]
    if len(private) <= FEW:
        return changed
    one = replace(
        private[0],
        title=f"{len(private)} private elements",
        before=replace(private[0].element, text="", vr=""),
    )
    return [*(each for each in changed if each not in private), one]


def change_table(changed: list[Change]) -> Table:
    """Returns a table of changes."""
    by = any(change.by for change in changed)
    return table(
        ("ELEMENT", "TAG", "VR", "BEFORE", "AFTER", *(["BY"] if by else [])),
        (
            (
                change.title or change.element.path,
                "" if change.title else change.element.tag,
                "" if change.title else change.element.vr,
                "" if change.title else cell(*shown(change.before, "red", "absent")),
                cell(*shown(change.after, "green", "removed")),
                *([responsible(change)] if by else []),
            )
            for change in changed
        ),
    )


def shown(element: Shown | None, looks: str, missing: str) -> tuple[str, str]:
    """Returns what stands for a value, and how it looks; where there is none, in a word, dimmed."""
    if element is None:
        return missing, "dim"
    return (element.text, looks) if element.text else ("empty", "dim")


def responsible(change: Change) -> str:
    """Returns what changed an element, with the lines of the rules."""
    lines = f" (line {', '.join(map(str, change.lines))})" if change.lines else ""
    return change.by + lines
