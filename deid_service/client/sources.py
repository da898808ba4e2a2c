"""What is uploaded: files, bytes and streams, each with a name."""

from __future__ import annotations

import errno
import io
import os
import stat
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

# What is neither a file nor a folder, by what stat says of it.
_NO_FILES = {
    stat.S_IFSOCK: "it is a socket",
    stat.S_IFIFO: "it is a pipe",
    stat.S_IFCHR: "it is a device",
    stat.S_IFBLK: "it is a device",
}


@dataclass(frozen=True, slots=True)
class Source:
    """Something to upload.

    Attributes:
        name: the relative path that it is known by, with "/" between folders.
            Only its last part is sent, for the profile's `filenames` rules. A name
            that is not UTF-8 has surrogates in it, as the system's functions have it.
        open: opens it at its first byte. Called again for a retry; an OSError
            then fails the file.
        size: in bytes; 0 when not known.
        file: the path of the file that it is; empty for what is none.
        origin: tells it from all others on this machine, from one run to the next;
            empty for what cannot be told.
        found: it was found in a folder or an archive, and not named by the caller:
            where it is no DICOM file it is passed over.
        modified: when it was last changed, in nanoseconds; 0 when not known.
        waits: it is a pipe, a device or a stream: it may keep whoever reads it waiting, and
            can be read only once.
        skipped: why it is passed over; nothing is opened then.
        problem: why it cannot be read; nothing is opened then.
    """

    name: str
    open: Callable[[], BinaryIO]
    size: int = 0
    file: str = ""
    origin: str = ""
    found: bool = False
    modified: int = 0
    waits: bool = False
    skipped: str = ""
    problem: str = ""

    def __reduce__(self) -> tuple[object, ...]:
        """Gives what makes it again in another process: shorter than a dataclass does by itself."""
        return Source, tuple([getattr(self, name) for name in _FIELDS])

    @property
    def path(self) -> Path | None:
        """The file that it is; None for what is none."""
        return Path(self.file) if self.file else None

    @classmethod
    def of_path(cls, path: Path, name: str | None = None, *, found: bool = False) -> Source:
        """Returns a file, named after itself if not otherwise.

        Args:
            path: of the file.
            name: see there.
            found: see there.

        Raises:
            OSError: there is no such file.
        """
        text = str(path)
        origin = os.path.abspath(text)  # noqa: PTH100 -- links stay
        return _of_file(text, name or path.name, origin, path.stat(), found=found)

    @classmethod
    def of_bytes(cls, name: str, data: bytes) -> Source:
        """Returns bytes under a name."""
        return cls(name, lambda: io.BytesIO(data), len(data))

    @classmethod
    def of_stream(cls, name: str, stream: BinaryIO) -> Source:
        """Returns what a stream holds from where it stands.

        It is read once: a connection that breaks after that fails the file.
        """
        unread = [stream]

        def take() -> BinaryIO:
            if not unread:
                raise OSError(errno.ESPIPE, "a stream is read only once")
            return unread.pop()

        return cls(name, take, waits=True)

    @classmethod
    def passed_over(cls, name: str, why: str) -> Source:
        """Returns something that is no file to upload, and why."""
        return cls(name, io.BytesIO, skipped=why)

    @classmethod
    def unreadable(cls, name: str, why: str) -> Source:
        """Returns something that should be uploaded and cannot be read, and why."""
        return cls(name, io.BytesIO, problem=why)


_FIELDS = Source.__match_args__


def find_sources(paths: Iterable[str | os.PathLike[str]]) -> Iterator[Source]:
    """Finds the files in some paths, folders with everything below them, sorted.

    A file is named after itself, one in a folder by its path from that folder on.
    Links to folders are not followed. What cannot be read, or is no file, comes
    along as such: nothing is left out without a word.

    Raises:
        OSError: a path does not exist.
    """
    for path in map(Path, paths):
        if not path.is_dir():
            yield Source.of_path(path)
            continue
        errors: list[OSError] = []
        for folder, folders, files in os.walk(path, onerror=errors.append):
            folders.sort()
            yield from _unreadable(errors, path)
            inside = Path(folder)
            above = "" if inside == path else f"{inside.relative_to(path).as_posix()}/"
            # Texts: to make a `Path` of each file takes three times as long as to ask the system.
            beside = os.path.join(folder, "")  # noqa: PTH118
            origin = os.path.join(os.path.abspath(folder), "")  # noqa: PTH100, PTH118 -- links stay
            for file in sorted(files):
                yield _found(beside + file, above + file, origin + file)
        yield from _unreadable(errors, path)


def _found(path: str, name: str, origin: str) -> Source:
    try:
        status = os.stat(path)  # noqa: PTH116
        kind = stat.S_IFMT(status.st_mode)
        if kind in _NO_FILES:
            return Source.passed_over(name, _NO_FILES[kind])
        return _of_file(path, name, origin, status, found=True)
    except FileNotFoundError:
        if Path(path).is_symlink():
            return Source.unreadable(name, "It is a link to nothing.")
        return Source.unreadable(name, "It is not there any more.")
    except OSError as error:
        return Source.unreadable(name, f"It cannot be read: {error.strerror}.")


def _of_file(path: str, name: str, origin: str, status: os.stat_result, *, found: bool) -> Source:
    is_file = stat.S_ISREG(status.st_mode)
    return Source(
        name,
        # What can be given to another process.
        cast("Callable[[], BinaryIO]", partial(open, path, "rb")),
        # What a pipe holds is not known before it is read.
        status.st_size if is_file else 0,
        file=path if is_file else "",
        origin=origin if is_file else "",
        found=found,
        modified=status.st_mtime_ns,
        waits=not is_file,
    )


def _unreadable(errors: list[OSError], root: Path) -> Iterator[Source]:
    for error in errors:
        name = Path(os.fsdecode(error.filename)).relative_to(root).as_posix()
        yield Source.unreadable(name, f"The folder cannot be read: {error.strerror}.")
    errors.clear()
