"""Output files: complete under their name, or not there at all.

What arrives is written to a partial file in the destination, which gets its name
when the receipt has been checked. A partial file is locked while it is written,
so that one without a lock is known to be left by a process that was killed.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import threading
from contextlib import ExitStack, suppress
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from deid_service.client.locks import LOCKS_ARE_KNOWN, lock

if TYPE_CHECKING:
    from collections.abc import Callable

    from deid_service.contract.wire import Buffer

PARTIAL_SUFFIX = ".deidcascade-part"

# File systems that have no hard links say so with one of these.
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EACCES}

# On Windows these have a meaning in a path (Naming Files, Paths, and Namespaces).
_NOT_IN_NAMES = frozenset('\\:*?"<>|' if os.name == "nt" else "")
# What makes a name more than one, or none.
_NOT_IN_ONE_NAME = _NOT_IN_NAMES | set("/\0")


# How a file that is new is opened; on Windows bytes would be changed without O_BINARY.
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)

# There is no room for anything more: not for the next file either.
_FULL = {errno.ENOSPC, errno.EDQUOT}


class OutputError(Exception):
    """The output of a file cannot be written, in words for the person who waits for it.

    Attributes:
        is_full: whether there is no room, for other files neither.
    """

    def __init__(self, problem: str, *, is_full: bool = False) -> None:
        self.is_full = is_full
        super().__init__(problem)

    @classmethod
    def of(cls, problem: str, error: OSError) -> OutputError:
        """Returns a problem and what the system says of it."""
        why = error.strerror or type(error).__name__
        return cls(f"{problem}: {why}.", is_full=error.errno in _FULL)


class Destination:
    """The folder that output goes to.

    Attributes:
        folder: its path.
    """

    def __init__(self, folder: Path, *, tidy: bool = True) -> None:
        """Makes the folder if need be, and removes what killed processes left in it.

        Args:
            folder: its path.
            tidy: whether to remove that, and to try whether files can be made.

        Raises:
            OSError: the folder cannot be made, read or written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        # Of every file a path is made, and texts take less time: the folder, and what names are
        # put behind.
        self._folder = str(folder)
        self._prefix = str(folder / "x")[:-1]
        self._lock = threading.Lock()
        self._taken: dict[str, int] = {}
        if tidy:
            for partial in folder.glob(f".*{PARTIAL_SUFFIX}"):
                _remove_if_left(partial)
            # Whether one can be made here, each file would have to find out by itself.
            made, file = _begin(folder)
            os.close(file)
            made.unlink(missing_ok=True)

    def begin(self, *, in_one_go: bool = False) -> PartialFile:
        """Begins an output file.

        Args:
            in_one_go: it is complete in a moment, and takes the place of no other: nobody
                need see it before.

        Raises:
            OutputError: it cannot be made.
        """
        try:
            if in_one_go and self._makes_unnamed:
                return PartialFile(None, _unnamed(self._folder))
            return PartialFile(*_begin(self.folder))
        except OSError as error:
            raise OutputError.of(f"No file can be made in {self.folder}", error) from None

    @cached_property
    def _makes_unnamed(self) -> bool:
        """Whether there are files without a name here, to which one can be given."""
        try:
            file = _unnamed(self._folder)
            try:
                return Path(_by_number(file)).exists()
            finally:
                os.close(file)
        except (OSError, AttributeError):
            return False

    def keep(
        self,
        partial: PartialFile,
        name: str,
        *,
        earlier: Path | None = None,
        note: Callable[[str], None] = lambda _: None,
    ) -> str:
        """Gives a complete file the path it had as an original.

        Args:
            partial: the file.
            name: the path, with "/" between folders.
            earlier: what the same original came to before; it may be replaced.
            note: told the path before it is given.

        Raises:
            OutputError: the path is not below the folder, or is taken.
        """
        path = self.path_of(name)
        target = str(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            note(target)
            if not partial.name_as(target, replace=path == earlier):
                raise OutputError(f"{target} exists already.")
        except OSError as error:
            raise OutputError.of(f"{target} cannot be written", error) from None
        return target

    def keep_suggested(
        self,
        partial: PartialFile,
        name: str,
        *,
        earlier: Path | None = None,
        note: Callable[[str], None] = lambda _: None,
    ) -> str:
        """Gives a complete file a suggested name, with a number where it is taken.

        Args:
            partial: the file.
            name: the name.
            earlier: what the same original came to before; it may be replaced.
            note: told each path before it is tried.

        Raises:
            OutputError: the name is more than a name, or cannot be given.
        """
        if name in {"", ".", ".."} or not _NOT_IN_ONE_NAME.isdisjoint(name):
            raise OutputError("The service suggested a file name that is none.")
        stem, dot, extension = name.rpartition(".")
        if not stem:
            stem, dot, extension = name, "", ""
        with self._lock:
            number = 1 if earlier else self._taken.get(name, 1)
            while True:
                numbered = name if number == 1 else f"{stem}-{number}{dot}{extension}"
                target = self._prefix + numbered
                replace = earlier is not None and target == str(earlier)
                number += 1
                try:
                    note(target)
                    done = partial.name_as(target, replace=replace)
                except OSError as error:
                    raise OutputError.of(f"{target} cannot be written", error) from None
                if done:
                    self._taken[name] = max(number, self._taken.get(name, 1))
                    return target

    def path_of(self, name: str) -> Path:
        """Returns where an original path goes.

        Raises:
            OutputError: it is not below the folder.
        """
        path = PurePosixPath(name)
        if path.is_absolute() or not path.parts or ".." in path.parts or "\0" in name:
            raise OutputError("The name is not a relative path.")
        if not _NOT_IN_NAMES.isdisjoint(name):
            raise OutputError("The name has a character that file names cannot have here.")
        return self.folder / path


class PartialFile:
    """An output file that is being received."""

    def __init__(self, path: Path | None, file: int) -> None:
        """Begins with an empty file, which is closed with it.

        Args:
            path: where it is until it has its name; None for one that has none.
            file: its descriptor; locked where it has a path.
        """
        self._digest = hashlib.sha256()
        self.size = 0
        self._path = path
        # Until it is closed.
        self._file: int | None = file

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
                view = view[os.write(self._open, view) :]
        except OSError as error:
            raise OutputError.of("The output cannot be written", error) from None

    @property
    def _open(self) -> int:
        if self._file is None:
            raise ValueError("the file is closed")
        return self._file

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def name_as(self, target: str, *, replace: bool = False) -> bool:
        """Gives the file its name; False, and nothing changed, when that is taken.

        Args:
            target: the name.
            replace: whether to take the place of what is there.

        Raises:
            OSError: the file system does not let it.
        """
        path = self._path
        if os.name == "nt" and path is not None:
            return self._name_on_windows(path, target, replace=replace)
        if replace and path is not None:
            path.replace(target)
            self._close()
            return True
        try:
            if path is None:
                # A link that is followed; without a folder's descriptor it would not be.
                os.link(_by_number(self._open), target, src_dir_fd=self._open)
            else:
                os.link(path, target)
        except FileExistsError:
            return False
        except OSError as error:
            if path is None or error.errno not in _NO_LINKS:
                raise
            return self._rename_as(path, target)
        self.discard()
        return True

    def _name_on_windows(self, path: Path, target: str, *, replace: bool) -> bool:
        # A file that is open cannot be renamed there, and renaming replaces nothing.
        self._close()
        try:
            (path.replace if replace else path.rename)(target)
        except FileExistsError:
            return False
        return True

    def _rename_as(self, path: Path, target: str) -> bool:
        # Renaming alone would replace what is there: take the name first.
        try:
            Path(target).open("xb").close()
        except FileExistsError:
            return False
        try:
            path.replace(target)
        except OSError:
            Path(target).unlink()
            raise
        self._close()
        return True

    def discard(self) -> None:
        """Removes the file if it is still there under its partial name."""
        if os.name == "nt":
            self._close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)
        self._close()


def _unnamed(folder: str) -> int:
    """Makes a file without a name (Linux, `open(2)`: O_TMPFILE), which goes when it is closed."""
    return os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o666)


def _by_number(file: int) -> str:
    """Returns a path that leads to an open file, whether it has a name or not."""
    return f"/proc/self/fd/{file}"


def _begin(folder: Path) -> tuple[Path, int]:
    """Makes a partial file, and locks it before anybody takes it for one that was left."""
    while True:
        path = folder / f".{secrets.token_hex(8)}{PARTIAL_SUFFIX}"
        file = os.open(path, _NEW, 0o666)
        try:
            lock(file)
        except BlockingIOError:
            # Another command found it before it was locked, and is removing it.
            os.close(file)
            continue
        except OSError:
            # Where there are no locks, nobody removes anything.
            return path, file
        if path.exists():
            return path, file
        os.close(file)


def _remove_if_left(partial: Path) -> None:
    # An error means that somebody writes it now, or has just removed it.
    with suppress(OSError), ExitStack() as locked:
        if LOCKS_ARE_KNOWN:
            lock(locked.enter_context(partial.open("rb")).fileno())
        partial.unlink()
