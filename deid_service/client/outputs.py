"""Output files: complete under their name, or not there at all.

What arrives is written to a partial file in the destination, which gets its name
when the receipt has been checked. A partial file is locked while it is written,
so that one without a lock is known to be left by a process that was killed.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import secrets
import threading
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deid_service.contract.wire import Buffer

PARTIAL_SUFFIX = ".deidcascade-part"

# File systems that have no hard links say so with one of these.
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


class OutputError(Exception):
    """The output of a file cannot be written, in words for the person who waits for it."""


class Destination:
    """The folder that output goes to."""

    def __init__(self, folder: Path) -> None:
        """Makes the folder if need be, and removes what killed processes left in it.

        Raises:
            OSError: the folder cannot be made or read.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._lock = threading.Lock()
        self._numbers: dict[str, int] = {}
        for partial in folder.glob(f"*{PARTIAL_SUFFIX}"):
            _remove_if_left(partial)

    def begin(self) -> PartialFile:
        """Begins an output file.

        Raises:
            OutputError: it cannot be made.
        """
        return PartialFile(self._folder / f".{secrets.token_hex(8)}{PARTIAL_SUFFIX}")

    def keep(self, partial: PartialFile, name: str) -> Path:
        """Gives a complete file the path it had as an original.

        Raises:
            OutputError: the path is not below the folder, or is taken.
        """
        target = self.path_of(name)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            if not partial.name_as(target):
                raise OutputError(f"{target} exists already.")
        except OSError as error:
            raise OutputError(f"{target} cannot be written: {_text(error)}.") from None
        return target

    def keep_suggested(self, partial: PartialFile, name: str) -> Path:
        """Gives a complete file a suggested name, with a number where it is taken.

        Raises:
            OutputError: the name is more than a name, or cannot be given.
        """
        if name in {"", ".", ".."} or "/" in name or "\0" in name:
            raise OutputError("The service suggested a file name that is none.")
        stem, dot, extension = name.rpartition(".")
        if not stem:
            stem, dot, extension = name, "", ""
        with self._lock:
            number = self._numbers.get(name, 1)
            while True:
                numbered = name if number == 1 else f"{stem}-{number}{dot}{extension}"
                target = self._folder / numbered
                number += 1
                try:
                    done = partial.name_as(target)
                except OSError as error:
                    raise OutputError(f"{target} cannot be written: {_text(error)}.") from None
                if done:
                    self._numbers[name] = number
                    return target

    def path_of(self, name: str) -> Path:
        """Returns where an original path goes.

        Raises:
            OutputError: it is not below the folder.
        """
        path = PurePosixPath(name)
        if path.is_absolute() or not path.parts or ".." in path.parts or "\0" in name:
            raise OutputError("The name is not a relative path.")
        return self._folder / path


class PartialFile:
    """An output file that is being received."""

    def __init__(self, path: Path) -> None:
        """Makes the file and locks it.

        Raises:
            OutputError: that is not possible.
        """
        self._path = path
        self._digest = hashlib.sha256()
        self.size = 0
        try:
            self._file = path.open("xb", buffering=0)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise OutputError(f"No file can be made in {path.parent}: {_text(error)}.") from None

    @property
    def sha256(self) -> str:
        """The digest of what was written so far, in hex."""
        return self._digest.hexdigest()

    def write(self, data: Buffer) -> None:
        """Appends bytes.

        Raises:
            OutputError: they cannot be written, as on a disk that is full.
        """
        view = memoryview(data)
        self._digest.update(view)
        self.size += len(view)
        try:
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            raise OutputError(f"The output cannot be written: {_text(error)}.") from None

    def name_as(self, target: Path) -> bool:
        """Gives the file its name; False, and nothing changed, when that is taken.

        Raises:
            OSError: the file system does not let it.
        """
        try:
            os.link(self._path, target)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            return self._rename_as(target)
        self.discard()
        return True

    def _rename_as(self, target: Path) -> bool:
        # Renaming alone would replace what is there: take the name first.
        try:
            target.open("xb").close()
        except FileExistsError:
            return False
        self._path.replace(target)
        self._file.close()
        return True

    def discard(self) -> None:
        """Removes the file if it is still there under its partial name."""
        self._path.unlink(missing_ok=True)
        self._file.close()


def _remove_if_left(partial: Path) -> None:
    try:
        with partial.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            partial.unlink()
    except OSError:
        # Somebody writes it now, or has just removed it.
        return


def _text(error: OSError) -> str:
    return error.strerror or type(error).__name__
