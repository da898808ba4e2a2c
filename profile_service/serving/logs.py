"""The log of a service: canonical lines of fields, and no values.

A line is `event=... key=value ...`. What callers name freely, and what files and
profiles hold, never gets here: not in fields, and not in the text of exceptions, of
which only the type and the place are told.
"""

from __future__ import annotations

import logging
import sys
import traceback

Field = str | int | float


class Log:
    """Writes the lines of one service."""

    def __init__(self, service: str) -> None:
        """Takes the name that every line begins with."""
        self._logger = logging.getLogger(service)

    def set_up(self) -> None:
        """Writes the lines to standard error, with the time and the process."""
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(
            logging.Formatter("%(asctime)s %(levelname)s %(name)s[%(process)d] %(message)s")
        )
        self._logger.addHandler(handler)
        self._logger.setLevel(logging.INFO)
        self._logger.propagate = False

    def write(self, event: str, *, level: int = logging.INFO, **fields: Field) -> None:
        """Writes one line; a field that is the empty text is left out."""
        if not self._logger.isEnabledFor(level):
            return
        parts = [f"event={event}"]
        for key, value in fields.items():
            if isinstance(value, float):
                parts.append(f"{key}={value:.6f}")
            elif value != "":
                parts.append(f"{key}={value}")
        # Made here: the logger would look up the calling line, which no line tells.
        text = " ".join(parts)
        self._logger.handle(
            logging.LogRecord(self._logger.name, level, "", 0, text, args=None, exc_info=None)
        )


def origin(error: BaseException) -> str:
    """Returns the type of an exception and where it was raised, never its text."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return type(error).__name__
    last = frames[-1]
    return f"{type(error).__name__}@{last.filename.rsplit('/', 1)[-1]}:{last.lineno}"
