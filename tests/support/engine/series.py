"""Series made of one file: the same elements, with other values of other lengths."""

from __future__ import annotations

import random
import struct
from typing import TYPE_CHECKING

from tests.support.engine.walk import read_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.engine.walk import Element

# What a value of these VRs is made of, and how long it is at the most. The others
# have a form that rules ask for, or a fixed length.
_MADE_OF = {
    "UI": ("123456789", 60),
    "DS": ("123456789", 16),
    "IS": ("123456789", 12),
    "LO": ("ABC ", 64),
    "SH": ("ABC ", 16),
    "PN": ("ABC^", 64),
    "ST": ("ABC ", 200),
}

# How many of the elements differ between the files of a series.
_SHARE = 0.2

_LAST_UID_OF_META = 0x00020003


def series(data: bytes, count: int, seed: int) -> Iterator[bytes]:
    """Yields files that differ from one in the values of some elements of the top level.

    Which elements these are is the same for the whole of the series.

    Args:
        data: a readable file with a file meta, not deflated.
        count: how many files.
        seed: what the choice and the values are drawn from.
    """
    file = read_file(data)
    rng = random.Random(seed)  # noqa: S311
    varied = {
        id(each)
        for each in file.elements
        if each.items is None and not each.undefined and each.vr in _MADE_OF
        if rng.random() < _SHARE
    }
    instance = next((each for each in file.meta if each.tag == _LAST_UID_OF_META), None)
    for number in range(count):
        meta = data[: file.start]
        if instance is not None:
            # The same length, so that the group length stays right.
            digits = f"{number:0{len(instance.value.rstrip(bytes(1)))}d}"[::-1].encode()
            uid = b"1" + digits[1:].replace(b"0", b"3")
            meta = meta.replace(instance.value, uid.ljust(len(instance.value), b"\0"))
        yield meta + b"".join(
            _another(each, rng) if id(each) in varied else each.raw for each in file.elements
        )


def _another(element: Element, rng: random.Random) -> bytes:
    """Returns an element with another value."""
    alphabet, longest = _MADE_OF[element.vr]
    length = rng.randrange(0, longest + 1, 2) if rng.random() < 0.1 else len(element.value)
    length = max(0, min(length + rng.choice((-2, 0, 0, 2, 4)), longest)) & ~1
    value = "".join(rng.choice(alphabet) for _ in range(length)).encode()
    width = "I" if not element.syntax.explicit or len(element.header) > 8 else "H"
    packed = struct.pack(element.syntax.order + width, length)
    return element.header[: -len(packed)] + packed + value
