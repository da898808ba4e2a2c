"""What reading a file for people may cost."""

from __future__ import annotations

import struct
import tracemalloc
from pathlib import Path

import pytest
from pydicom import data

from deid_service.preview.elements import TooLargeError, elements
from tests.support.deid_service import ct

FOLDER = Path(data.__file__).parent / "test_files"

MOST = 1000
# Far more than may be, in a file of 1 MiB.
MANY = 125_000
# What any bytes of that size may take; unbounded reading takes 25 MiB and more.
PEAK_BYTES = 12 * 1024 * 1024

UNDEFINED = 0xFFFFFFFF


def element(tag: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    """Returns an element with a length of four bytes (PS3.5 7.1.2)."""
    head = struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, 0)
    return head + struct.pack("<I", len(value) if length is None else length) + value


def item(content: bytes = b"", tag: int = 0xE000, length: int | None = None) -> bytes:
    """Returns an item (PS3.5 7.5), or a delimiter."""
    return struct.pack("<HHI", 0xFFFE, tag, len(content) if length is None else length) + content


def small(count: int) -> bytes:
    """Returns the smallest elements: private, without a value."""
    return b"".join(
        struct.pack("<HH2sH", 0x0009 + number // 60_000 * 2, 0x1000 + number % 60_000, b"LO", 0)
        for number in range(count)
    )


END = item(tag=0xE0DD)
SEQUENCE = 0x0040A730
MADE = {
    "elements": small(MANY),
    "items": element(SEQUENCE, b"SQ", item() * MANY + END, UNDEFINED),
    "items of a known length": element(SEQUENCE, b"SQ", item() * MANY),
    "items in UN": element(SEQUENCE, b"UN", item() * MANY),
    "elements of an item": element(SEQUENCE, b"SQ", item(small(MANY))),
    "items in an item": element(
        SEQUENCE, b"SQ", item(element(SEQUENCE, b"SQ", item() * MANY)) + END, UNDEFINED
    ),
}


@pytest.mark.parametrize("body", MADE.values(), ids=MADE)
def test_much_that_is_small_is_not_read(body: bytes) -> None:
    """A file with more elements or items than may be is refused before they fill the memory."""
    file = ct()
    # PS3.10 7.1: the length of the file meta behind (0002,0000), which is the first element.
    head = file[: 144 + int.from_bytes(file[140:144], "little")]
    tracemalloc.start()
    try:
        with pytest.raises(TooLargeError):
            elements(head + body, most=MOST)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < PEAK_BYTES


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.dcm")), ids=lambda path: path.name)
def test_what_may_be_is_read_all_the_same(path: Path) -> None:
    """A file with as many elements as there may be is read as one that is not bounded."""
    try:
        expected = elements(path.read_bytes())
    except ValueError:
        return

    assert elements(path.read_bytes(), most=len(expected)) == expected
