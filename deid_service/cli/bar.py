"""How far the work is, as a bar on a terminal."""

from __future__ import annotations

from typing import Self

from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from deid_service.cli.terminal import console


class Bar:
    """A bar on standard error that goes at the end, and lines that stay above it."""

    def __init__(self, bytes_in_all: int) -> None:
        """Shows it.

        Args:
            bytes_in_all: as far as is known.
        """
        self._bytes_in_all = bytes_in_all
        self._errors = console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=self._errors,
            transient=True,
        )
        self._task = self._progress.add_task("0 files", total=bytes_in_all)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def moved(self, size: int) -> None:
        """Shows how many bytes have been sent, in all."""
        # Of archives the packed size is known before: they may be more than expected.
        total = max(size, self._bytes_in_all)
        self._progress.update(self._task, completed=size, total=total)

    def counted(self, files: int, bad: int) -> None:
        """Shows how many files there were, and how many of them are without an output."""
        without = f", {bad} without output" if bad else ""
        self._progress.update(self._task, description=f"{files} files{without}")

    def say(self, line: str) -> None:
        """Prints a line above it."""
        self._errors.print(line, markup=False, soft_wrap=True)
