"""Reports what became of each file, and whether all went well."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from deid_service.cli.console import console, print_json, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class FileReport:
    """What became of one file.

    Attributes:
        source: the file as the caller named it.
        output: where its output is; None when there is none.
        changed: false when the bytes went through as they were.
        reason: why there is no output, a stable word; empty when there is.
        problem: the same in a sentence, without any value of the file.
    """

    source: str
    output: Path | None
    changed: bool = True
    reason: str = ""
    problem: str = ""

    def as_json(self) -> dict[str, object]:
        """Returns it for programs."""
        return {
            "source": self.source,
            "output": None if self.output is None else str(self.output),
            "changed": self.changed if self.output else None,
            "reason": self.reason or None,
            "problem": self.problem or None,
        }


def report(reports: Iterable[FileReport], total: int, out: Path, *, as_json: bool) -> None:
    """Reports files as they are done, and exits with 1 when one has no output.

    Rejections go to standard error at once; on a terminal a bar shows how far it is.
    """
    collected: list[FileReport] = []
    try:
        collected.extend(with_progress(reports, total))
    finally:
        # What was done is done, also when the rest could not be.
        if as_json:
            print_json([one.as_json() for one in collected])
        else:
            click.echo(summary(collected, out))
    if any(one.output is None for one in collected):
        sys.exit(1)


def with_progress(reports: Iterable[FileReport], total: int) -> Iterator[FileReport]:
    """Passes reports on; shows how far they are, and prints rejections at once."""
    errors = console(stderr=True)
    with Progress(
        TextColumn("files"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=errors,
        transient=True,
        disable=not errors.is_terminal,
    ) as progress:
        bar = progress.add_task("files", total=total)
        for one in reports:
            if one.output is None:
                line = printable(f"rejected {one.source}: {one.problem}")
                errors.print(line, markup=False, soft_wrap=True)
            progress.advance(bar)
            yield one


def summary(reports: list[FileReport], out: Path) -> str:
    """Returns how many files went which way, in a sentence."""
    done = [one for one in reports if one.output is not None]
    counts = {
        "de-identified": sum(one.changed for one in done),
        "unchanged": sum(not one.changed for one in done),
        "rejected": len(reports) - len(done),
    }
    parts = [f"{count} {word}" for word, count in counts.items() if count]
    return f"{', '.join(parts) or 'No files'}. Output is in {out}."
