"""Files that can be told in any output, and what must be true of outputs."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING, BinaryIO, cast

from pydicom import dcmread

from deid_service.client import Source
from tests.support.deid_service import ct

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from deid_service.client import FileResult

# Each identifying element of the files holds one of these; no output ever may.
IDENTIFIERS = (b"IDENTIFIED", b"3680043.10.999")

PROFILE = """\
dicom:
  remove-private-tags: true
  fields:
    - {name: PatientName, replace-with: ANON}
    - {name: PatientID, hash: true}
    - {name: AccessionNumber, remove: true}
    - {name: SOPInstanceUID, hashuid: true}
"""

LARGE_BYTES = 3 * 1024 * 1024
SMALL_BYTES = 32 * 1024


def identified_file(number: int, pixel_bytes: int = SMALL_BYTES) -> bytes:
    """Returns a CT image whose identifying elements come first and last."""
    ds = dcmread(io.BytesIO(ct()))
    ds.PatientName, ds.PatientID = "IDENTIFIED^NAME", "IDENTIFIED-ID"
    ds.AccessionNumber = "IDENTIFIED-ACC"
    ds.SOPInstanceUID = f"1.2.826.0.1.3680043.10.999.{number}"
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.PixelData = bytes(pixel_bytes)
    ds.private_block(0x7FE1, "IDENTIFIED", create=True).add_new(1, "LO", "IDENTIFIED")
    written = io.BytesIO()
    ds.save_as(written)
    data = written.getvalue()
    # What is looked for in outputs can be found.
    assert all(identifier in data for identifier in IDENTIFIERS)
    return data


class _HeldFile(io.RawIOBase):
    """A file that calls something between its first part and the next."""

    def __init__(self, file: BinaryIO, hold: Callable[[], None]) -> None:
        self._file = file
        self._hold = hold
        self._reads = 0

    def read(self, size: int = -1) -> bytes:
        self._reads += 1
        if self._reads == 2:
            self._hold()
        return self._file.read(size)

    def close(self) -> None:
        self._file.close()
        super().close()


def held(source: Source, hold: Callable[[], None]) -> Source:
    """Returns a source that calls something in its middle, each time it is read."""
    opened = source.open
    return Source(source.name, lambda: cast("BinaryIO", _HeldFile(opened(), hold)), source.size)


def assert_nothing_identified(data: bytes) -> None:
    """Checks that no original identifier is in some bytes, without showing them."""
    found = [identifier.decode() for identifier in IDENTIFIERS if identifier in data]
    assert found == []


def assert_all_or_nothing(
    results: Iterable[FileResult], folder: Path, names: Iterable[str]
) -> dict[str, FileResult]:
    """Checks an upload: each file is complete with a receipt, or reported and not there.

    Returns:
        The results by name.
    """
    by_name: dict[str, FileResult] = {}
    for result in results:
        assert result.name not in by_name
        by_name[result.name] = result
        assert result.complete == (result.path is not None)
        assert result.complete or result.rejection is not None or result.problem
    assert sorted(by_name) == sorted(names)
    complete = {result.path: result for result in by_name.values() if result.complete}
    # Nothing partial, nothing beside.
    assert set(folder.rglob("*")) == set(complete)
    for path, result in complete.items():
        assert path is not None
        assert result.receipt is not None
        data = path.read_bytes()
        assert_nothing_identified(data)
        assert hashlib.sha256(data).hexdigest() == result.receipt.sha256
    return by_name
