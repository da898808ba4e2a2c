"""The log of a child process: what it prints, in a file that does not grow without end."""

from __future__ import annotations

import logging
from logging.handlers import RotatingFileHandler
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# Two files of this size at most: the log, and the one before it.
MAX_LOG_BYTES = 10 * 1024 * 1024

# The end of a log that an error shows.
LOG_LINES = 12


class LogFile(RotatingFileHandler):
    """A log whose predecessor lies beside it, as `.log.1`."""

    def __init__(self, path: Path) -> None:
        """Begins it, and puts the log of the run before aside."""
        super().__init__(
            path, maxBytes=MAX_LOG_BYTES, backupCount=1, encoding="utf-8", errors="backslashreplace"
        )
        if path.stat().st_size:
            self.doRollover()

    def line(self, text: str) -> None:
        """Appends a line."""
        self.handle(logging.makeLogRecord({"msg": text.rstrip("\n")}))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 -- logging's name
        """Does without a line that cannot be written: on a full disk what is logged goes on."""


def end_of_log(path: Path) -> str:
    """Returns the last lines of a log, for an error message."""
    lines = path.read_text(encoding="utf-8", errors="backslashreplace").splitlines()[-LOG_LINES:]
    return f"The end of {path}:\n" + "\n".join(f"  {line}" for line in lines)
