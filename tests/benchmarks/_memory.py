"""Streams one large file through the engine and prints its size and the growth of memory.

Usage: python -m tests.benchmarks._memory CASE
"""

from __future__ import annotations

import resource
import struct
import sys
from collections.abc import Callable, Iterator

from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from deid_service.engine import Deidentifier, Plan, compile_plan
from profile_service.language import parse_profile
from tests.benchmarks._files import contour_item, structure_set

CHUNK = 1024 * 1024

_RULES = """
dicom:
  recurse-sequence: true
  fields:
    - {name: PatientName, replace-with: ANON}
    - {name: ReferencedSOPInstanceUID, hashuid: true}
    - {name: SOPInstanceUID, hashuid: true}
"""
_REMOVE_PRIVATE = "\n  remove-private-tags: true"


def main(case: str) -> int:
    """Streams one case."""
    removes = case == "private removed"
    text = _RULES.replace("dicom:", f"dicom:{_REMOVE_PRIVATE}") if removes else _RULES
    plan = compile_plan(parse_profile(text))
    cases: dict[str, Callable[[], Iterator[bytes]]] = {
        "pixel data": lambda: _pixel_data(4 * 1024**3),
        "structure set": lambda: _structure_set(300 * 1024**2),
        "private kept": lambda: _private(1024**3),
        "private removed": lambda: _private(1024**3),
    }
    _stream(plan, iter([structure_set(1, 1, 1)]))
    idle = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    size = _stream(plan, cases[case]())
    growth = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - idle
    print(size, growth * 1024)
    return 0


def _stream(plan: Plan, pieces: Iterator[bytes]) -> int:
    deidentifier = Deidentifier(plan)
    size = 0
    for piece in pieces:
        size += len(piece)
        deidentifier.receive(piece)
    deidentifier.finish()
    return size


def _head() -> bytes:
    whole = structure_set(1, 1, 1)
    # The structure set without its sequences: they begin with group 3006.
    return whole[: whole.index(b"\x06\x30\x20\x00SQ")]


def _pixel_data(length: int) -> Iterator[bytes]:
    yield _head() + struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, length - 2**20)
    zeros = bytes(CHUNK)
    for _ in range((length - 2**20) // CHUNK):
        yield zeros


def _private(length: int) -> Iterator[bytes]:
    creator = struct.pack("<HH2sH", 0x3007, 0x0010, b"LO", 4) + b"TEST"
    header = struct.pack("<HH2sHI", 0x3007, 0x1001, b"OB", 0, length)
    yield _head() + creator + header
    zeros = bytes(CHUNK)
    for _ in range(length // CHUNK):
        yield zeros


def _structure_set(length: int) -> Iterator[bytes]:
    buffer = DicomBytesIO()
    buffer.is_little_endian = True
    buffer.is_implicit_VR = False
    write_dataset(buffer, contour_item(1, 1, 400))
    content = buffer.getvalue()
    item = struct.pack("<HHI", 0xFFFE, 0xE000, len(content)) + content
    count = length // len(item)
    contours = struct.pack("<HH2sHI", 0x3006, 0x0040, b"SQ", 0, len(item) * count)
    structure = struct.pack("<HHI", 0xFFFE, 0xE000, len(contours) + len(item) * count)
    sequence = struct.pack(
        "<HH2sHI", 0x3006, 0x0039, b"SQ", 0, len(structure) + len(contours) + len(item) * count
    )
    yield _head() + sequence + structure + contours
    at_once = max(1, CHUNK // len(item))
    piece = item * at_once
    for _ in range(count // at_once):
        yield piece
    yield item * (count % at_once)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
