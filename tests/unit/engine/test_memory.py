"""Memory stays bounded, whatever goes through."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import pytest

from deid_service.engine import MAX_HELD_BYTES, Deidentifier, Plan
from tests.support.engine.build import dicom, el, encode, header, item_header, sq
from tests.support.engine.every_way import plan_of

if TYPE_CHECKING:
    from collections.abc import Iterator

MEBIBYTE = 2**20
MAX_PEAK = 12 * MEBIBYTE
CHUNK = 256 * 1024


def peak(
    plan: Plan, pieces: Iterator[bytes], max_held_bytes: int = MAX_HELD_BYTES
) -> tuple[int, int]:
    """Returns the peak of traced memory, and how many bytes came out."""
    deidentifier = Deidentifier(plan, max_held_bytes=max_held_bytes)
    written = 0
    tracemalloc.start()
    try:
        for piece in pieces:
            written += sum(len(buffer) for buffer in deidentifier.receive(piece))
            while deidentifier.pending:
                written += sum(len(buffer) for buffer in deidentifier.go_on())
        written += sum(len(buffer) for buffer in deidentifier.finish().tail)
        return tracemalloc.get_traced_memory()[1], written
    finally:
        tracemalloc.stop()


def long_element(tag: int, vr: str, mebibytes: int) -> Iterator[bytes]:
    """Yields a file with one long element."""
    yield dicom(el("PatientName", "A"))
    yield header(tag, vr, mebibytes * MEBIBYTE)
    chunk = bytes(CHUNK)
    for _ in range(mebibytes * MEBIBYTE // CHUNK):
        yield chunk


@pytest.mark.parametrize("action", ["keep", "remove"])
@pytest.mark.parametrize(
    ("tag", "vr"), [(0x7FE00010, "OW"), (0x00291010, "OB"), (0x00291010, "UN")]
)
def test_a_long_value_streams(tag: int, vr: str, action: str) -> None:
    """256 MiB of pixel data or of a private element, kept or removed, are never held."""
    plan = plan_of(f"name: '{tag:08X}', {action}: true", "name: PatientName, replace-with: X")

    used, written = peak(plan, long_element(tag, vr, 256))

    assert used < MAX_PEAK
    assert (written > 256 * MEBIBYTE) == (action == "keep")


@pytest.mark.parametrize("undefined", [False, True])
def test_many_items_stream(undefined: bool) -> None:
    """Items in each of which something changes are never held together."""
    count = 20_000
    item = encode([sq("OtherPatientIDsSequence", [el("PatientID", "a"), el("Rows", (1,))])])[12:]
    plan = plan_of("name: PatientID, replace-with: LONGER", recurse_sequence="true")

    def pieces() -> Iterator[bytes]:
        yield dicom()
        yield header(0x00101002, "SQ", 0xFFFFFFFF if undefined else count * len(item))
        for _ in range(count // 500):
            yield item * 500
        if undefined:
            yield item_header(0xFFFEE0DD, 0)

    used, written = peak(plan, pieces(), max_held_bytes=MEBIBYTE // 4)

    assert used < MAX_PEAK
    assert written > count * (len(item) + 4)


def test_many_fragments_stream() -> None:
    """Encapsulated pixel data of many fragments is never held together."""
    fragment = item_header(0xFFFEE000, 2048) + bytes(2048)

    def pieces() -> Iterator[bytes]:
        yield dicom(transfer_syntax="1.2.840.10008.1.2.4.50")
        yield header(0x7FE00010, "OB", 0xFFFFFFFF)
        for _ in range(300):
            yield fragment * 100
        yield item_header(0xFFFEE0DD, 0)

    used, written = peak(plan_of("name: PatientName, remove: true"), pieces())

    assert used < MAX_PEAK
    assert written > 300 * 100 * len(fragment)


@pytest.mark.parametrize("action", ["keep", "remove"])
def test_a_deflated_bomb_streams(action: str) -> None:
    """A little that inflates to a lot is never held, whether it stays or goes."""
    bomb = dicom(el(0x7FE00010, bytes(48 * MEBIBYTE), "OW"), deflated=True)
    plan = plan_of(f"name: PixelData, {action}: true", "name: PatientName, replace-with: X")

    used, written = peak(plan, iter([bomb]))

    assert len(bomb) < MEBIBYTE
    assert used < MAX_PEAK
    assert written > (len(bomb) // 2 if action == "keep" else 0)
