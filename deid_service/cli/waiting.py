"""Reading what may keep a reader waiting for ever: pipes, devices, and what else is no file."""

from __future__ import annotations

import threading
from contextlib import suppress
from queue import Empty, Queue
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

# How long it takes until it is noticed that nobody waits any more, in seconds.
NOTICED_AFTER_SECONDS = 0.05


class StoppedError(Exception):
    """The work was told to stop, and nothing has come of the file."""


class Beside:
    """Opens and reads in a thread of its own: whoever takes what is read can be told to stop.

    Both may wait for somebody who never writes, and the system ends neither when a signal comes.
    """

    def __init__(self, opening: Callable[[], BinaryIO], may_go_on: Callable[[], bool]) -> None:
        """Begins with the context.

        Args:
            opening: opens what is read.
            may_go_on: asked while nothing comes.
        """
        self._opening = opening
        self._may_go_on = may_go_on
        self._size = 0
        self._closed = False
        self._read: Queue[bytes | OSError] = Queue(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Takes nothing more; a thread that still waits ends with the program."""
        self._closed = True
        with suppress(Empty):
            self._read.get_nowait()

    def read(self, size: int) -> bytes:
        """Returns the next bytes, and none at the end.

        Args:
            size: how many at most; the same each time.

        Raises:
            OSError: it cannot be opened, or not be read.
            StoppedError: it may not go on.
        """
        if not self._size:
            self._size = size
            threading.Thread(target=self._run, name="beside", daemon=True).start()
        while True:
            with suppress(Empty):
                read = self._read.get(timeout=NOTICED_AFTER_SECONDS)
                if isinstance(read, OSError):
                    raise read
                return read
            if not self._may_go_on():
                raise StoppedError

    def _run(self) -> None:
        try:
            with self._opening() as file:
                data = b"-"
                while data and not self._closed:
                    data = file.read(self._size)
                    self._read.put(data)
        except OSError as error:
            self._read.put(error)
