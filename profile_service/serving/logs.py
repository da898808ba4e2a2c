"""The log of a service: canonical lines of fields, and no values.

A line is `event=... key=value ...`. What callers name freely, and what files and
profiles hold, never gets here: not in fields, and not in the text of exceptions, of
which only the type and the place are told.
"""

from __future__ import annotations

import atexit
import logging
import sys
import threading
import time
import traceback
from collections import deque
from contextlib import suppress

Field = str | int | float

# How long lines are gathered before they are written, all in one go: between two calls
# that takes several times as long. A process that is killed takes its last ones along.
GATHER_SECONDS = 0.05

# When so many wait, nobody takes them: then each line waits for its turn.
GATHERED_LINES = 1000

_Line = tuple[float, int, str, dict[str, Field]]


class Log:
    """Writes the lines of one service."""

    def __init__(self, service: str) -> None:
        """Takes the name that every line begins with."""
        self._logger = logging.getLogger(service)
        self._gathers = False
        # Threads put in and take out, each line for itself.
        self._gathered: deque[_Line] = deque()
        self._begun = threading.Event()

    def set_up(self) -> None:
        """Writes the lines to standard error, with the time and the process."""
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(
            logging.Formatter("%(asctime)s %(levelname)s %(name)s[%(process)d] %(message)s")
        )
        self._logger.addHandler(handler)
        self._logger.setLevel(logging.INFO)
        self._logger.propagate = False
        self._gathers = True
        threading.Thread(target=self._follow, name="log", daemon=True).start()
        atexit.register(self.flush)

    def write(self, event: str, *, level: int = logging.INFO, **fields: Field) -> None:
        """Writes one line, and all before it; a field that is the empty text is left out."""
        if self._logger.isEnabledFor(level):
            self._gathered.append((time.time(), level, event, fields))
            self.flush()

    def write_soon(self, event: str, *, level: int = logging.INFO, **fields: Field) -> None:
        """Writes one line of very many some moments later; an error at once.

        As `write` does in what is not a service, and never set up.
        """
        if not self._gathers or level >= logging.ERROR or len(self._gathered) >= GATHERED_LINES:
            self.write(event, level=level, **fields)
        elif self._logger.isEnabledFor(level):
            self._gathered.append((time.time(), level, event, fields))
            if not self._begun.is_set():
                self._begun.set()

    def flush(self) -> None:
        """Writes what was gathered."""
        with suppress(IndexError):
            while True:
                self._logger.handle(self._record(*self._gathered.popleft()))

    def _follow(self) -> None:
        while self._begun.wait():
            time.sleep(GATHER_SECONDS)
            self._begun.clear()
            self.flush()

    def _record(
        self, created: float, level: int, event: str, fields: dict[str, Field]
    ) -> logging.LogRecord:
        parts = [f"event={event}"]
        for key, value in fields.items():
            if isinstance(value, float):
                parts.append(f"{key}={value:.6f}")
            elif value != "":
                parts.append(f"{key}={value}")
        # Made here: the logger would look up the calling line, which no line tells.
        record = logging.LogRecord(
            self._logger.name, level, "", 0, " ".join(parts), args=None, exc_info=None
        )
        record.created = created
        record.msecs = created % 1 * 1000
        return record


def origin(error: BaseException) -> str:
    """Returns the type of an exception and where it was raised, never its text."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return type(error).__name__
    last = frames[-1]
    return f"{type(error).__name__}@{last.filename.rsplit('/', 1)[-1]}:{last.lineno}"
