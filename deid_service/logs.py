"""The service's log: one canonical line per stream and one per file, no values.

A line is `event=... key=value ...`. What callers name freely (file ids, file
names) and what files hold never gets here: not in fields, and not in the text of
exceptions, of which only the type and the place are told.
"""

from __future__ import annotations

import logging
import sys
import traceback

LOGGER = logging.getLogger("deid_service")

Field = str | int | float


def set_up() -> None:
    """Writes the log to standard error, with the time and the process."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        logging.Formatter("%(asctime)s %(levelname)s %(name)s[%(process)d] %(message)s")
    )
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    LOGGER.propagate = False


def write(event: str, *, level: int = logging.INFO, **fields: Field) -> None:
    """Writes one line; a field that is the empty text is left out."""
    parts = [f"event={event}"]
    for key, value in fields.items():
        if isinstance(value, float):
            parts.append(f"{key}={value:.6f}")
        elif value != "":
            parts.append(f"{key}={value}")
    LOGGER.log(level, " ".join(parts))


def origin(error: BaseException) -> str:
    """Returns the type of an exception and where it was raised, never its text."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return type(error).__name__
    last = frames[-1]
    return f"{type(error).__name__}@{last.filename.rsplit('/', 1)[-1]}:{last.lineno}"
