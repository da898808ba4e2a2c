"""`--report FILE`: a row for each file, with its receipt, for whoever answers for the data."""

from __future__ import annotations

import csv
import io
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deid_service.cli.console import Failure
from deid_service.cli.results import BAD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deid_service.cli.interruption import Interruption
    from deid_service.cli.results import FileReport, Reports
    from deid_service.client import NoRoomError

COLUMNS = (
    *("source", "outcome", "reason", "problem", "tag", "offset", "output"),
    *("treatment", "profile", "profile_version", "profile_sha256", "actions"),
    *("bytes_in", "bytes_out", "sha256", "engine_version", "warnings"),
    *("key_id", "request_id", "tables"),
)

# Spreadsheets run cells that begin like this.
FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def suffix_of(path: Path) -> str:
    """Returns the suffix that says which kind of report it is."""
    return path.suffix.lower()


def checked(ctx: click.Context, param: click.Parameter, value: Path | None) -> Path | None:
    """Checks that the kind of a report is known, and, before the work, that it can be written."""
    if value is None:
        return None
    if suffix_of(value) not in WRITERS:
        raise click.BadParameter(f"the name must end with one of {', '.join(WRITERS)}", ctx, param)
    if not os.access(value.parent, os.W_OK):
        raise click.BadParameter(f"no file can be made in {value.parent}.", ctx, param)
    return value


report_option = click.option(
    "--report",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=checked,
    help="Write a row for each file, with its receipt, into FILE (.csv, .jsonl or .html).",
)


def row(one: FileReport) -> dict[str, object]:
    """Returns what there is to say of a file, flat."""
    values = one.as_json()
    receipt = values.pop("receipt") or {}
    assert isinstance(receipt, dict)  # noqa: S101 -- of the fields of a receipt
    return {name: (values | receipt).get(name) for name in COLUMNS}


def as_csv(reports: Sequence[FileReport]) -> str:
    """Returns the rows as comma separated values."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for one in reports:
        writer.writerow(map(cell_of, row(one).values()))
    return text.getvalue()


def cell_of(value: object) -> str:
    """Returns a value as a cell, in which nothing is run."""
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False) if value else ""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULAS) else text


def as_json_lines(reports: Sequence[FileReport]) -> str:
    """Returns the rows as lines of JSON."""
    return "".join(f"{json.dumps(row(one), ensure_ascii=False)}\n" for one in reports)


def as_page(reports: Sequence[FileReport]) -> str:
    """Returns a page for a browser, with what went wrong first."""
    # Not above: few reports are pages.
    from deid_service.cli.pages import Cell, Section, page_of

    shown = ("source", "outcome", "problem", "output", "profile", "profile_version", "sha256")
    rows = [
        [
            # Without a service a profile has no version: it is 0, which says nothing.
            Cell(cell_of(value or ""), "bad" if one.word in BAD and name == "outcome" else "")
            for name, value in row(one).items()
            if name in shown
        ]
        for one in sorted(reports, key=lambda one: one.word not in BAD)
    ]
    columns = [name.replace("_", " ") for name in COLUMNS if name in shown]
    return page_of("Files, and what became of them", [Section("Files", columns, rows)])


WRITERS = {".csv": as_csv, ".jsonl": as_json_lines, ".html": as_page}


def write_report(path: Path, reports: Sequence[FileReport]) -> None:
    """Writes a report; it replaces what is there, and is there whole or not at all.

    Raises:
        Failure: it cannot be written.
    """
    unfinished = path.with_name(f".{path.name}.new")
    try:
        unfinished.write_text(WRITERS[suffix_of(path)](reports), encoding="utf-8", newline="")
        unfinished.replace(path)
    except OSError as error:
        with suppress(OSError):
            unfinished.unlink()
        raise Failure(f"the report {path} cannot be written: {error.strerror}.") from error


def no_room(error: NoRoomError) -> Failure:
    """Returns why nothing more is done, and what to do."""
    return Failure(f"{error} With more room, the same command goes on.")


def conclude(
    reports: Reports,
    out: Path,
    interruption: Interruption,
    failure: Failure | None,
    *,
    report: Path | None,
    as_json: bool,
) -> int:
    """Tells what has come of all, and returns the exit code.

    Args:
        reports: of the files.
        out: the folder for the output.
        interruption: a signal, if one came.
        failure: why the rest was not done, if there was a reason.
        report: the file for the report; None for none.
        as_json: whether programs read what is printed.
    """
    if failure is not None:
        failure.show()
    if report is not None:
        # First: what is printed may find nobody who reads it.
        try:
            write_report(report, reports.all)
        except Failure as error:
            failure = error
            failure.show()
    if as_json or reports.all or not interruption.number:
        reports.finish(out, as_json=as_json)
    if interruption.number:
        click.echo("Interrupted. The same command goes on where it stopped.", err=True)
        return interruption.exit_code
    return 1 if failure is not None else reports.exit_code()
