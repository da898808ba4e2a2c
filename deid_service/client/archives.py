"""What is in a file: itself, the members of an archive, or nothing to upload.

Archives are read as streams: nothing of them is unpacked to disk. The members of zip
files and of plain tar files are read from where they lie, in any order and by several
streams at a time. A compressed tar file has an order: its members up to
`MAX_IN_MEMORY_BYTES` are taken along as they come by, and for a larger one it is read
again from its beginning.
"""

from __future__ import annotations

import bz2
import errno
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, cast

from deid_service.client.sources import Source
from deid_service.engine import HEAD_BYTES, is_dicom

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from _typeshed import WriteableBuffer

# A bomb is a small archive that unpacks to more than anybody has. Deflate packs zeros by
# 1 to 1,000; pixels of real series pack by 1 to 10, masks by 1 to 100.
MAX_RATIO = 200
# Below this no archive is a bomb.
MIN_BOMB_BYTES = 1024 * 1024 * 1024
# As many as a large study has, a hundred times over.
MAX_MEMBERS = 1_000_000

# Of a compressed tar file, what is held until it is sent.
MAX_IN_MEMORY_BYTES = 16 * 1024 * 1024

# The Info-ZIP and PKWARE application notes: a local file header, or the end of an empty
# archive.
_ZIP = (b"PK\3\4", b"PK\5\6")
# Documents of office programs are zip files, too; this is the name of their first member.
_DOCUMENTS, _ZIP_NAME_OFFSET = (b"[Content_Types].xml", b"mimetype", b"_rels/", b"docProps/"), 30
# POSIX.1-1988 (ustar): the magic of a header, and its offset.
_TAR, _TAR_OFFSET = b"ustar", 257
# RFC 1952, bzip2, and the .xz file format.
_COMPRESSED: dict[bytes, Callable[[Path], object]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\0": lzma.open,
}

_SNIFFED_BYTES = max(HEAD_BYTES, _TAR_OFFSET + len(_TAR))

# What operating systems leave beside people's files.
_JUNK_NAMES = {"thumbs.db", "desktop.ini", ".ds_store"}
_JUNK_FOLDER = "__MACOSX"

NO_DICOM = "it is no DICOM file"
LEFT_BY_SYSTEM = "the operating system keeps it for itself"
WITHIN_ARCHIVE = "It is an archive within an archive, which is not opened."

_BROKEN = (
    EOFError,
    ValueError,
    RuntimeError,
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
)


class ArchiveError(OSError):
    """An archive, or a member of it, cannot be read; `strerror` says why."""

    def __init__(self, why: str) -> None:
        super().__init__(errno.EINVAL, why)


def expand(source: Source) -> Iterator[Source]:
    """Gives what there is to upload in a source: itself, or the members of an archive.

    What was found and is no DICOM comes back as passed over; what the caller named
    is left as it is, unless it is an archive.
    """
    if source.problem or source.skipped or (source.path is None and not source.found):
        yield source
        return
    if source.found and is_junk(source.name):
        yield replace(source, skipped=LEFT_BY_SYSTEM)
        return
    try:
        with source.open() as file:
            head = read_head(file)
        yield from _members(source, head)
    except OSError as error:
        yield replace(source, problem=f"It cannot be read: {error.strerror}.")


def is_junk(name: str) -> bool:
    """Tells whether a file is one that an operating system leaves beside those of people."""
    # The parts that PurePosixPath has, without making one: it is asked of every file.
    *folders, last = [part for part in name.split("/") if part not in {"", "."}] or [""]
    # AppleDouble files (RFC 1740) have the name of another one behind "._".
    return last.lower() in _JUNK_NAMES or last.startswith("._") or _JUNK_FOLDER in folders


def read_head(file: BinaryIO) -> bytes:
    """Returns the first bytes of a file."""
    with _sentences():
        return file.read(_SNIFFED_BYTES)


def is_archive(head: bytes) -> bool:
    """Tells whether a file begins like an archive that could hold DICOM files."""
    is_zip = head.startswith(_ZIP) and not head[_ZIP_NAME_OFFSET:].startswith(_DOCUMENTS)
    return is_zip or head[_TAR_OFFSET:].startswith(_TAR)


def _members(source: Source, head: bytes) -> Iterator[Source]:
    # A DICOM file may begin like anything: its preamble is anybody's.
    if is_dicom(head):
        yield source
    elif source.path is not None and is_archive(head):
        members = _zip_members if head.startswith(_ZIP) else _tar_members
        yield from members(source, source.path)
    elif source.path is not None and (unpacked := _unpacked(source.path, head)) is not None:
        yield from _compressed_tar_members(source, unpacked)
    elif source.found:
        yield replace(source, skipped=NO_DICOM)
    else:
        yield source


def _member(
    archive: Source,
    number: int,
    name: str,
    size: int,
    opening: Callable[[], BinaryIO],
    head: bytes | None = None,
) -> Source:
    """Returns a member as a source.

    Args:
        archive: that it is in.
        number: in the archive, which may have several of one name.
        name: of the member.
        size: of the member.
        opening: opens it.
        head: its first bytes, where they are at hand.
    """
    member = Source(
        f"{archive.name}/{name}",
        opening,
        size,
        origin=f"{archive.origin}/{number}/{name}",
        found=True,
        modified=archive.modified,
    )
    if is_junk(name):
        return replace(member, skipped=LEFT_BY_SYSTEM)
    try:
        if head is None:
            with opening() as file:
                head = read_head(file)
    except OSError as error:
        return replace(member, problem=f"It cannot be read: {error.strerror}.")
    if is_dicom(head):
        return member
    if is_archive(head):
        return replace(member, problem=WITHIN_ARCHIVE)
    return replace(member, skipped=NO_DICOM)


def _zip_members(source: Source, path: Path) -> Iterator[Source]:
    with _sentences():
        # Stays open for as long as a member of it is at hand; its members may be read
        # by several threads.
        archive = zipfile.ZipFile(path)
        infos = [info for info in archive.infolist() if not info.is_dir()]
    _check_bomb(len(infos), sum(info.file_size for info in infos), path.stat().st_size)
    for number, info in enumerate(infos, start=1):
        opening = partial(_open_zip_member, archive, info)
        yield _member(source, number, info.filename, info.file_size, opening)


def _open_zip_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> BinaryIO:
    with _sentences():
        return _part(cast("BinaryIO", archive.open(info)), 0, info.file_size)


def _tar_members(source: Source, path: Path) -> Iterator[Source]:
    with _sentences(), tarfile.open(path, "r:") as archive:
        for count, info in enumerate(archive, start=1):
            _check_bomb(count, 0, 0)
            if info.isfile():
                opening = partial(_open_part, partial(_open_plain, path), info)
                yield _member(source, count, info.name, info.size, opening)


def _compressed_tar_members(source: Source, unpacked: Callable[[], BinaryIO]) -> Iterator[Source]:
    assert source.path is not None  # noqa: S101 -- what is compressed is a file
    packed = source.path.stat().st_size
    with _sentences(), unpacked() as file, tarfile.open(fileobj=file, mode="r|") as archive:
        for count, info in enumerate(archive, start=1):
            _check_bomb(count, info.offset_data + info.size, packed)
            stream = archive.extractfile(info) if info.isfile() else None
            if stream is None:
                continue
            small = info.size <= MAX_IN_MEMORY_BYTES
            data = stream.read(-1 if small else _SNIFFED_BYTES)
            opening = partial(io.BytesIO, data) if small else partial(_open_part, unpacked, info)
            yield _member(source, count, info.name, info.size, opening, data[:_SNIFFED_BYTES])


def _open_part(opening: Callable[[], BinaryIO], info: tarfile.TarInfo) -> BinaryIO:
    return _part(opening(), info.offset_data, info.size)


def _unpacked(path: Path, head: bytes) -> Callable[[], BinaryIO] | None:
    """Returns what opens the tar file in a compressed one; None when it holds none."""
    for magic, unpack in _COMPRESSED.items():
        if head.startswith(magic):
            with _open(unpack, path) as file:
                holds_tar = read_head(file)[_TAR_OFFSET:].startswith(_TAR)
            return partial(_open, unpack, path) if holds_tar else None
    return None


def _open(opening: Callable[[Path], object], path: Path) -> BinaryIO:
    # Read, unless something else is said, and then bytes.
    return cast("BinaryIO", opening(path))


def _open_plain(path: Path) -> BinaryIO:
    return path.open("rb")


def _check_bomb(members: int, unpacked: int, packed: int) -> None:
    if members > MAX_MEMBERS:
        raise ArchiveError(f"it has more than {MAX_MEMBERS:,} members")
    if unpacked > max(MIN_BOMB_BYTES, MAX_RATIO * packed):
        raise ArchiveError(f"it unpacks to more than {MAX_RATIO} times its size")


@contextmanager
def _sentences() -> Iterator[None]:
    """Turns what libraries raise about broken archives into OSErrors with a sentence."""
    try:
        yield
    except NotImplementedError:
        raise ArchiveError("it is packed in a way that is not known") from None
    except RuntimeError as error:
        encrypted = "password" in str(error)
        raise ArchiveError("it is encrypted" if encrypted else "it is broken") from None
    except _BROKEN:
        raise ArchiveError("the archive is broken") from None


class _Part(io.RawIOBase):
    """So many bytes of a stream, which says in words when it is broken."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._left = size

    def readable(self) -> bool:
        """Says that it can be read."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Reads into a buffer, as much as fits and is there."""
        view = memoryview(buffer)
        with _sentences():
            data = self._file.read(min(len(view), self._left))
        if not data and self._left and len(view):
            raise ArchiveError("the archive ends within it")
        view[: len(data)] = data
        self._left -= len(data)
        return len(data)

    def close(self) -> None:
        """Closes the stream, too."""
        self._file.close()
        super().close()


def _part(file: BinaryIO, start: int, size: int) -> BinaryIO:
    """Returns a part of a stream that stands at its beginning."""
    with _sentences():
        file.seek(start)
    return cast("BinaryIO", _Part(file, size))
