"""Where rejected files go when they are to be looked at."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from deid_service.cli.console import Failure, printable
from deid_service.client.outputs import Destination, OutputError

if TYPE_CHECKING:
    from deid_service.cli.results import FileReport
    from deid_service.client import Source

CHUNK_BYTES = 1024 * 1024
REASON_SUFFIX = ".reason.txt"


class Quarantine:
    """A folder with rejected files as they are, identified, each with the reason beside it."""

    def __init__(self, folder: Path) -> None:
        """Makes the folder, closed to others.

        Raises:
            Failure: it cannot be made.
        """
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._destination = Destination(folder)
        except OSError as error:
            raise Failure(f"cannot write to {folder}: {error.strerror}.") from error
        self._folder = folder

    def take(self, source: Source, report: FileReport) -> FileReport:
        """Copies a rejected file; one of an earlier run makes room.

        Args:
            source: the file.
            report: says why.

        Returns:
            The report; it says so when the file could not be copied, which ends nothing else.
        """
        try:
            path = self._copy(source)
            path.with_name(path.name + REASON_SUFFIX).write_text(
                f"{printable(report.problem)}\n", encoding="utf-8"
            )
        except OutputError as error:
            why = str(error)
        except OSError as error:
            why = f"{error.strerror}."
        else:
            return report
        return report._replace(problem=f"{report.problem} It is not in the quarantine: {why}")

    def _copy(self, source: Source) -> Path:
        if source.waits:
            raise OutputError("It can be read only once.")
        partial = self._destination.begin()
        try:
            with source.open() as file:
                while data := file.read(CHUNK_BYTES):
                    partial.write(data)
            there = self._destination.path_of(source.name)
            return Path(self._destination.keep(partial, source.name, earlier=there))
        finally:
            partial.discard()
