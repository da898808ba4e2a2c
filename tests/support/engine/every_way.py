"""The one way in which the tests of the engine de-identify: every way that there is.

A file is de-identified whole, byte by byte, and in random pieces of several
types. All must end alike, in the same output or in the same error. Where it is laid out
as others were, it is also done at once, out of the middle of other bytes.
"""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from deid_service.engine import Deidentifier, DicomError, Plan, deidentify, deidentify_alike
from deid_service.engine.limits import MAX_HELD_BYTES
from profile_service.language import parse_profile
from tests.support.engine.keys import compiled_with_keys
from tests.support.engine.walk import UnreadableError, every_element, read_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

# Larger files are not cut at every byte: nothing but time would come of it.
MAX_BYTE_BY_BYTE = 60_000
_RANDOM_CUTS = 4

# The second and third file of a kind are learned from, the fourth is told by what was
# learned.
_AGAIN = 3

# What else can stand around a file: another, of which the beginning would go on well.
_BEFORE = b"\x02\0\x01\0OB\2\0"
_BEHIND = b"\x10\0\x10\0PN\2\0\xff\xff\xff\xff"

_Piece = bytes | bytearray | memoryview

_KINDS: tuple[Callable[[bytes], _Piece], ...] = (
    bytes,
    bytearray,
    memoryview,
    lambda piece: memoryview(bytearray(piece)),
)


@dataclass(frozen=True)
class Outcome:
    """How a file ended: with output, or with an error.

    Attributes:
        output: of the file; empty for an error.
        actions: how many elements each action changed.
        warnings: of the result.
        filename: the suggested one.
        error: reason, message, tag, VR and offset; None for output.
        applied_bytes: how much went by layouts, which makes no difference.
    """

    output: bytes = field(default=b"", repr=False)
    actions: tuple[tuple[str, int], ...] = ()
    warnings: tuple[str, ...] = ()
    filename: str = ""
    error: tuple[str, str, str | None, str | None, int | None] | None = None
    applied_bytes: int = field(default=0, compare=False)


def plan_of(*fields: str, **settings: object) -> Plan:
    """Compiles a profile from its rules, as `name: action` in YAML flow style, and settings.

    Where it needs keys, it has those of `made_keys("key")`.

    Args:
        fields: each a rule, for example `name: PatientName, hash: true`.
        settings: of the `dicom` section; underscores stand for hyphens.
    """
    lines = ["dicom:"]
    lines += [f"  {name.replace('_', '-')}: {value}" for name, value in settings.items()]
    lines += ["  fields:", *(f"  - {{{rule}}}" for rule in fields)]
    return compiled_with_keys(
        parse_profile("\n".join(lines if fields else [*lines[:-1], "  fields: []"]))
    )


def run(
    plan: Plan, pieces: Iterable[_Piece], *, filename: str = "", max_held: int = MAX_HELD_BYTES
) -> Outcome:
    """De-identifies a file from pieces, and checks what holds however it is cut."""
    deidentifier = Deidentifier(plan, filename=filename, max_held_bytes=max_held)
    released: list[bytes] = []
    try:
        for piece in pieces:
            buffers = deidentifier.receive(piece)
            if not memoryview(piece).readonly and len(piece):
                # The caller reads the next piece into the same memory.
                memoryview(piece)[:] = bytes(len(piece))
            released += map(bytes, buffers)
            while isinstance(piece, bytes) and deidentifier.pending:
                # What is not taken now is taken with the next piece, or at the end.
                released += map(bytes, deidentifier.go_on())
            if released:
                assert deidentifier.suggested_filename is not None
        result = deidentifier.finish()
    except DicomError as error:
        _assert_ended(deidentifier)
        return Outcome(error=(error.reason, error.message, error.tag, error.vr, error.offset))
    _assert_ended(deidentifier)
    assert deidentifier.suggested_filename == result.suggested_filename
    return Outcome(
        b"".join([*released, *result.tail]),
        tuple(sorted(result.actions.items())),
        result.warnings,
        result.suggested_filename,
        applied_bytes=result.applied_bytes,
    )


def at_once(
    plan: Plan, data: bytes, *, filename: str = "", max_held: int = MAX_HELD_BYTES
) -> Outcome | None:
    """De-identifies a file in one step; None where it is not laid out as others were."""
    result = deidentify_alike(
        plan,
        _BEFORE + data + _BEHIND,
        len(_BEFORE),
        len(_BEFORE) + len(data),
        filename=filename,
        max_held_bytes=max_held,
    )
    if result is None:
        return None
    return Outcome(
        b"".join(result.tail),
        tuple(sorted(result.actions.items())),
        result.warnings,
        result.suggested_filename,
        applied_bytes=result.applied_bytes,
    )


def every_way(
    data: bytes,
    plan: Plan,
    *,
    filename: str = "",
    max_held: int = MAX_HELD_BYTES,
    byte_by_byte: bool = True,
) -> Outcome:
    """De-identifies a file in every way, and returns how all of them ended."""
    whole = run(plan, [data], filename=filename, max_held=max_held)
    for _ in range(_AGAIN):
        again = run(plan, [data[:0], data, data[:0]], filename=filename, max_held=max_held)
        assert again == whole, "once more, with what was learned, and empty pieces around it"
    once = at_once(plan, data, filename=filename, max_held=max_held)
    assert once in (None, whole), "at once"
    if filename == "" and max_held == MAX_HELD_BYTES and whole.error is None:
        assert deidentify(data, plan) == whole.output
    if byte_by_byte and len(data) <= MAX_BYTE_BY_BYTE:
        single = (data[i : i + 1] for i in range(len(data)))
        assert run(plan, single, filename=filename, max_held=max_held) == whole, "byte by byte"
    places = _header_places(data)
    for seed in range(_RANDOM_CUTS):
        pieces = cut(data, random.Random(seed), places)  # noqa: S311
        outcome = run(plan, pieces, filename=filename, max_held=max_held)
        assert outcome == whole, f"cut with seed {seed}"
    return whole


def deidentified(
    data: bytes, plan: Plan, *, filename: str = "", max_held: int = MAX_HELD_BYTES
) -> bytes:
    """Returns the output of a file that every way leads to."""
    outcome = every_way(data, plan, filename=filename, max_held=max_held)
    assert outcome.error is None, outcome.error
    return outcome.output


def rejected(
    data: bytes, plan: Plan, *, filename: str = "", max_held: int = MAX_HELD_BYTES
) -> tuple[str, str, str | None, str | None, int | None]:
    """Returns the error of a file that every way leads to."""
    outcome = every_way(data, plan, filename=filename, max_held=max_held)
    assert outcome.error is not None, "the file was not rejected"
    return outcome.error


def cut(data: bytes, rng: random.Random, places: list[int]) -> Iterator[_Piece]:
    """Cuts a file at random, by preference near to given places, into several types."""
    size = len(data)
    cuts = {rng.randrange(size + 1) for _ in range(rng.choice((1, 3, 10, 40)))}
    for place in rng.sample(places, min(len(places), rng.choice((0, 5, 40)))):
        cuts |= {place + rng.randrange(-2, 14) for _ in range(rng.choice((1, 2, 4)))}
    edges = sorted({0, size, *(each for each in cuts if 0 <= each <= size)})
    for start, end in itertools.pairwise(edges):
        piece = data[start:end]
        yield rng.choice(_KINDS)(piece)


def _header_places(data: bytes) -> list[int]:
    """Returns where headers begin in a file, as far as it can be read."""
    try:
        file = read_file(data)
    except UnreadableError:
        return []
    if file.deflated:
        return [file.start]
    return [each.start for each in every_element([*file.meta, *file.elements])]


def _assert_ended(deidentifier: Deidentifier) -> None:
    """After its end, a file takes nothing and says nothing."""
    with pytest.raises(RuntimeError):
        deidentifier.receive(b"more")
    with pytest.raises(RuntimeError):
        deidentifier.finish()


def values_of(output: bytes) -> dict[int, bytes]:
    """Returns the values of the top level of a file by tag; of a sequence, all that is in it."""
    return {each.tag: each.raw[len(each.header) :] for each in read_file(output).elements}
