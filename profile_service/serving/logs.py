"""The log of a service: canonical lines of fields, and no values.

A line is `event=... key=value ...`. What callers name freely, and what files and
profiles hold, never gets here: not in fields, and not in the text of exceptions, of
which only the type and the place are told.

Nobody may read standard error: a log driver stalls, a terminal is stopped. So one
thread writes, and may wait there for ever; whoever has a line leaves it in a queue of
bounded length. What finds that full is left out and counted.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import re
import sys
import threading
import time
import traceback
from collections import deque
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

Field = str | int | float

# How long lines are gathered before they are written, all in one go: between two calls
# that takes several times as long. A process that is killed takes its last ones along.
GATHER_SECONDS = 0.05

# When so many wait, they are written without waiting for more.
GATHERED_LINES = 1000

# The lines that wait for a standard error that takes nothing; of some 300 bytes each.
MAX_WAITING_LINES = 10_000

# How long a line of which a process may be about to die is waited for.
WAIT_SECONDS = 0.25

# What stands in a line as it is. All else is quoted, with escapes: nothing that comes
# from outside makes a line, or a field, of its own.
_PLAIN = re.compile(r"[!#-<>-~]+", re.ASCII)

_Line = tuple[float, int, str, dict[str, Field]]


class Log:
    """Writes the lines of one service."""

    def __init__(self, service: str) -> None:
        """Takes the name that every line begins with."""
        self._logger = logging.getLogger(service)
        self._writer: _Writer | None = None
        self._process = os.getpid()
        self._observe: Callable[[str, dict[str, Field]], None] | None = None
        self._as_json = False
        # The last second, how it is written, and how the local time differs from UTC.
        self._second = 0, "", ""

    def set_up(self, *, as_json: bool = False) -> None:
        """Writes the lines to standard error, with the time and the process.

        Args:
            as_json: whether each is an object of JSON, for what collects logs.
        """
        self._as_json = as_json
        self._logger.setLevel(logging.INFO)
        self._logger.propagate = False
        self._writer = _Writer(self._text, sys.stderr.fileno(), self._noted)
        atexit.register(self.flush)

    def observe(self, observe: Callable[[str, dict[str, Field]], None]) -> None:
        """Has each event and its fields given to somebody else, too, whoever reads the lines."""
        self._observe = observe

    def tell(self, event: str, **fields: Field) -> None:
        """Gives an event to whom `observe` named; it is no line of its own."""
        self._noted(event, fields)

    def _noted(self, event: str, fields: dict[str, Field]) -> None:
        if self._observe is not None:
            self._observe(event, fields)

    def write(self, event: str, *, level: int = logging.INFO, **fields: Field) -> None:
        """Writes one line, and all before it; a field that is the empty text is left out.

        Waits until it is written, but no more than a moment.
        """
        self._noted(event, fields)
        self._write(event, level, fields)

    def _write(self, event: str, level: int, fields: dict[str, Field]) -> None:
        if self._logger.isEnabledFor(level):
            if self._writer is None:
                # Not as a format: a percent sign is one.
                self._logger.log(level, "%s", _message(event, fields))
            else:
                self._writer.put((time.time(), level, event, fields))
                self._writer.wait()

    def write_soon(self, event: str, *, level: int = logging.INFO, **fields: Field) -> None:
        """Writes one line of very many some moments later; an error at once.

        As `write` does in what is not a service, and never set up.
        """
        self._noted(event, fields)
        if self._writer is None or level >= logging.ERROR or self._writer.waiting >= GATHERED_LINES:
            self._write(event, level, fields)
        elif self._logger.isEnabledFor(level):
            self._writer.put((time.time(), level, event, fields))

    def flush(self) -> None:
        """Writes what was gathered, if somebody takes it."""
        if self._writer is not None:
            self._writer.wait()

    def _text(self, line: _Line) -> str:
        """Returns a line as it is written, with the time and the process."""
        created, level, event, fields = line
        # The standard library takes several times as long for the same.
        second = int(created)
        if second != self._second[0]:
            local = time.localtime(second)
            zone = time.strftime("%z", local)
            written = time.strftime("%Y-%m-%dT%H:%M:%S", local)
            self._second = second, written, f"{zone[:3]}:{zone[3:]}"
        _, written, zone = self._second
        moment = f"{written}.{int(created % 1 * 1000):03d}{zone}"
        name = logging.getLevelName(level)
        if not self._as_json:
            text = _message(event, fields)
            return f"{moment} {name} {self._logger.name}[{self._process}] {text}"
        where = {"service": self._logger.name, "process": self._process}
        said = {key: value for key, value in fields.items() if value != ""}
        return json.dumps({"time": moment, "level": name, **where, "event": event, **said})


class _Writer:
    """The queue of lines, and the thread that writes them."""

    def __init__(
        self,
        text: Callable[[_Line], str],
        descriptor: int,
        noted: Callable[[str, dict[str, Field]], None],
    ) -> None:
        self._text = text
        self._noted = noted
        self._descriptor = descriptor
        self._lines: deque[_Line] = deque()
        self._dropped = 0
        self._put = self._done = 0
        # Whether somebody has waited in vain, and nothing was written since.
        self._stalled = False
        self._begun = threading.Event()
        self._hurry = threading.Event()
        self._written = threading.Condition()
        threading.Thread(target=self._run, name="log", daemon=True).start()

    @property
    def waiting(self) -> int:
        """How many lines are not written yet."""
        return len(self._lines)

    def put(self, line: _Line) -> None:
        """Takes a line, or counts it where too many wait."""
        if len(self._lines) >= MAX_WAITING_LINES:
            self._dropped += 1
            return
        self._lines.append(line)
        self._put += 1
        if not self._begun.is_set():
            self._begun.set()

    def wait(self) -> None:
        """Waits until what was put is written, unless nobody takes it."""
        end = self._put
        self._hurry.set()
        with self._written:
            if not self._stalled and not self._written.wait_for(
                lambda: self._done >= end, WAIT_SECONDS
            ):
                self._stalled = True

    def _run(self) -> None:
        while self._begun.wait():
            self._hurry.wait(GATHER_SECONDS)
            self._begun.clear()
            self._hurry.clear()
            while self._lines:
                self._write_some()

    def _write_some(self) -> None:
        count = min(len(self._lines), GATHERED_LINES)
        lines = [self._lines.popleft() for _ in range(count)]
        texts = [self._text(line) for line in lines]
        dropped, self._dropped = self._dropped, 0
        if dropped:
            fields: dict[str, Field] = {"lines": dropped}
            self._noted("log_dropped", fields)
            texts.append(self._text((time.time(), logging.ERROR, "log_dropped", fields)))
        data = memoryview(("\n".join(texts) + "\n").encode(errors="backslashreplace"))
        # A standard error that is closed or on a full device takes nothing: go on.
        with suppress(OSError):
            while data:
                data = data[os.write(self._descriptor, data) :]
        with self._written:
            self._done += count
            self._stalled = False
            self._written.notify_all()


def _message(event: str, fields: dict[str, Field]) -> str:
    parts = [f"event={event}"]
    for key, value in fields.items():
        if isinstance(value, str):
            if value:
                parts.append(f"{key}={_escaped(value)}")
        elif isinstance(value, float):
            parts.append(f"{key}={value:.6f}")
        else:
            parts.append(f"{key}={value}")
    return " ".join(parts)


# The lines of a stream and of its files have most of their texts in common.
@lru_cache(maxsize=256)
def _escaped(text: str) -> str:
    """Returns a text as it stands in a line: as it is, or quoted."""
    return text if _PLAIN.fullmatch(text) else json.dumps(text)


def origin(error: BaseException) -> str:
    """Returns the type of an exception and where it was raised, never its text."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return type(error).__name__
    last = frames[-1]
    return f"{type(error).__name__}@{last.filename.rsplit('/', 1)[-1]}:{last.lineno}"
