"""Files with an API key: what only their owner may read, and who reads them finds anew."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def read_or_make(path: Path, make: Callable[[], str]) -> str:
    """Returns what stands in a file; one that is not there is made, for its owner alone.

    However many processes come at once, all return the same.

    Args:
        path: the file.
        make: returns what a new one is to hold.

    Raises:
        OSError: it cannot be read, nor made.
    """
    with suppress(FileNotFoundError):
        return path.read_text("ascii").strip()
    # With mode 0600, and whole before it has its name.
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{make()}\n")
        with suppress(FileExistsError):
            os.link(name, path)
    finally:
        Path(name).unlink()
    return path.read_text("ascii").strip()


class KeyFile:
    """A key that is read again when its file has changed. Safe to use from many threads."""

    def __init__(self, path: Path) -> None:
        """Reads nothing yet.

        Args:
            path: the file.
        """
        self._path = path
        self._read: tuple[tuple[int, int], str] | None = None

    def text(self) -> str:
        """Returns the key; that of the last time where the file cannot be read any more.

        Raises:
            OSError: the file could never be read.
        """
        read = self._read
        try:
            status = self._path.stat()
            stamp = status.st_mtime_ns, status.st_ino
            if read is None or read[0] != stamp:
                read = self._read = stamp, self._path.read_text("ascii").strip()
        except OSError:
            if read is None:
                raise
        return read[1]
