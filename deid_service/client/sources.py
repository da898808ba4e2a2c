"""What is uploaded: files, bytes and streams, each with a name."""

from __future__ import annotations

import errno
import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


@dataclass(frozen=True, slots=True)
class Source:
    """Something to upload.

    Attributes:
        name: the relative path that it is known by, with "/" between folders.
            Only its last part is sent, for the profile's `filenames` rules.
        open: opens it at its first byte. Called again for a retry; an OSError
            then fails the file.
        size: in bytes; 0 when not known.
    """

    name: str
    open: Callable[[], BinaryIO]
    size: int = 0

    @classmethod
    def of_path(cls, path: Path, name: str | None = None) -> Source:
        """Returns a file, named after itself if not otherwise.

        Raises:
            OSError: there is no such file.
        """
        return cls(name or path.name, lambda: path.open("rb"), path.stat().st_size)

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

        return cls(name, take)


def find_sources(paths: Iterable[str | os.PathLike[str]]) -> Iterator[Source]:
    """Finds the files in some paths, folders with everything below them, sorted.

    A file is named after itself, one in a folder by its path from that folder on.
    Links to folders are not followed.

    Raises:
        OSError: a path does not exist, or a folder cannot be read.
    """
    for path in map(Path, paths):
        if not path.is_dir():
            yield Source.of_path(path)
            continue
        for folder, folders, files in os.walk(path, onerror=_raise):
            folders.sort()
            for file in sorted(files):
                found = Path(folder, file)
                if found.is_file():
                    yield Source.of_path(found, found.relative_to(path).as_posix())


def _raise(error: OSError) -> None:
    raise error
