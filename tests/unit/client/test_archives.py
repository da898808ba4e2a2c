"""Archives are read as streams, and what is in them is told apart by content."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest

from deid_service.client import Source, archives, expand
from tests.support.deid_service import ct

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CT = ct()
# A member that no limit on memory holds.
LARGE = CT + bytes(archives.MAX_IN_MEMORY_BYTES)

MEMBERS = {"a/one.dcm": CT, "b/large.dcm": LARGE, "b/two.dcm": CT, "notes.txt": b"hello " * 100}


def make_zip(path: Path, members: dict[str, bytes]) -> None:
    """Makes a zip file."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def tar_of(members: dict[str, bytes]) -> bytes:
    """Returns a tar file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        folder = tarfile.TarInfo("a")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


KINDS: dict[str, Callable[[Path, dict[str, bytes]], object]] = {
    "zip": make_zip,
    "tar": lambda path, members: path.write_bytes(tar_of(members)),
    "tar.gz": lambda path, members: path.write_bytes(gzip.compress(tar_of(members), 1)),
    "tar.bz2": lambda path, members: path.write_bytes(bz2.compress(tar_of(members), 1)),
    "tar.xz": lambda path, members: path.write_bytes(lzma.compress(tar_of(members), preset=0)),
}


def found(path: Path) -> Source:
    """Returns a file as it is found in a folder."""
    return Source.of_path(path, found=True)


def read(source: Source) -> bytes:
    """Returns what is in a source."""
    with source.open() as file:
        return b"".join(iter(lambda: file.read(100_000), b""))


@pytest.mark.parametrize("kind", KINDS)
def test_members_come_out_whole(tmp_path: Path, kind: str) -> None:
    """Each member is there under its path, whole, in any order and as often as it is read."""
    # Its name says nothing: what it is is told by content.
    path = tmp_path / "series"
    KINDS[kind](path, MEMBERS)

    sources = list(expand(found(path)))

    assert [source.name for source in sources] == [f"series/{name}" for name in MEMBERS]
    *dicom, notes = sources
    for source in (*reversed(dicom), *dicom):
        assert read(source) == MEMBERS[source.name.removeprefix("series/")]
        assert source.size == len(read(source))
    assert notes.skipped == archives.NO_DICOM
    assert len({source.origin for source in sources}) == len(sources)


@pytest.mark.parametrize("kind", KINDS)
def test_an_archive_that_is_cut_off_is_said(tmp_path: Path, kind: str) -> None:
    """An archive that ends too early is a problem, whatever came before it is used."""
    path = tmp_path / "series"
    KINDS[kind](path, {"one.dcm": CT, "two.dcm": CT})
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])

    problems = []
    for source in expand(found(path)):
        if source.problem:
            problems.append(source.problem)
            continue
        try:
            whole = read(source) == CT
        except OSError as error:
            problems.append(str(error.strerror))
        else:
            assert whole

    assert problems
    assert all("archive" in problem for problem in problems)


def test_a_damaged_member_is_said(tmp_path: Path) -> None:
    """A member whose checksum is wrong is a problem when it is read."""
    path = tmp_path / "series.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("one.dcm", CT)
    data = bytearray(path.read_bytes())
    data[-1000] ^= 1
    path.write_bytes(data)

    (source,) = expand(found(path))

    with pytest.raises(archives.ArchiveError, match="the archive is broken"):
        read(source)


def test_an_encrypted_member_is_said(tmp_path: Path) -> None:
    """A member that needs a password cannot be read, and that is said."""
    path = tmp_path / "series.zip"
    make_zip(path, {"one.dcm": CT})
    data = bytearray(path.read_bytes())
    # APPNOTE.TXT 4.4.4: bit 0 of the flags, in the local header and in the directory.
    for magic, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.index(magic) + offset] |= 1
    path.write_bytes(data)

    (source,) = expand(found(path))

    assert source.problem == "It cannot be read: it is encrypted."


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive that unpacks to far more than its size is refused before it is unpacked."""
    monkeypatch.setattr(archives, "MIN_BOMB_BYTES", 1024 * 1024)
    zeros = {"zeros.dcm": CT + bytes(20 * 1024 * 1024)}
    for kind in ("zip", "tar.xz"):
        path = tmp_path / kind
        KINDS[kind](path, zeros)

        (source,) = expand(found(path))

        assert source.problem == "It cannot be read: it unpacks to more than 200 times its size."


def test_too_many_members_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive has a number of members at most."""
    monkeypatch.setattr(archives, "MAX_MEMBERS", 2)
    path = tmp_path / "series.zip"
    make_zip(path, {str(number): CT for number in range(3)})

    (source,) = expand(found(path))

    assert source.problem == "It cannot be read: it has more than 2 members."


def test_an_archive_within_an_archive_is_said(tmp_path: Path) -> None:
    """An archive in another one is not opened, and not passed over in silence either."""
    inner = tmp_path / "inner.zip"
    make_zip(inner, {"one.dcm": CT})
    path = tmp_path / "outer.zip"
    make_zip(path, {"inner.zip": inner.read_bytes(), "inner.tar": tar_of({"one.dcm": CT})})

    assert [source.problem for source in expand(found(path))] == [archives.WITHIN_ARCHIVE] * 2


def test_dicom_is_never_taken_for_an_archive(tmp_path: Path) -> None:
    """A DICOM file whose preamble looks like a zip file is a DICOM file."""
    path = tmp_path / "both.dcm"
    path.write_bytes(b"PK\3\4" + CT[4:])

    assert [source.name for source in expand(found(path))] == ["both.dcm"]


def test_a_file_that_the_caller_named_is_left_to_the_service(tmp_path: Path) -> None:
    """What is no DICOM is passed over where it was found, and sent where it was named."""
    path = tmp_path / "notes.txt"
    path.write_text("hello")

    assert [source.skipped for source in expand(Source.of_path(path))] == [""]
    assert [source.skipped for source in expand(found(path))] == [archives.NO_DICOM]


@pytest.mark.parametrize("name", ["Thumbs.db", ".DS_Store", "a/desktop.ini", "._x.dcm"])
def test_what_systems_leave_is_passed_over(tmp_path: Path, name: str) -> None:
    """What an operating system leaves beside files is passed over, whatever is in it."""
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(CT)

    assert [source.skipped for source in expand(found(path))] == [archives.LEFT_BY_SYSTEM]
