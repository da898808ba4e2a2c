"""The service's log: one canonical line per call, no texts of profiles.

A line is `event=... key=value ...`. A resource name is told only when it is one:
what a caller sends in place of a name could be anything.
"""

from __future__ import annotations

import logging
import sys
import traceback

LOGGER = logging.getLogger("profile_service")

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
    # That the database does not answer is told once, by the monitor.
    logging.getLogger("psycopg").setLevel(logging.ERROR)


def write(event: str, *, level: int = logging.INFO, **fields: Field) -> None:
    """Writes one line; a field that is the empty text is left out."""
    if not LOGGER.isEnabledFor(level):
        return
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
