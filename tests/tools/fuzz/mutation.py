"""Files that are nearly DICOM: real ones, with a few things done to them."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.support.engine.build import el, encode, header, item_header
from tests.support.engine.files import DICOM_FILES
from tests.support.engine.walk import (
    EXPLICIT,
    IMPLICIT,
    UNDEFINED,
    UnreadableError,
    every_element,
    read_file,
)

if TYPE_CHECKING:
    from random import Random

    from tests.support.engine.build import Part
    from tests.support.engine.walk import Syntax

# Larger files say nothing that smaller ones do not, and take longer.
_MAX_SEED = 10_000

_VRS = (
    "AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT", "OB", "OD", "OF", "OL",
    "OV", "OW", "PN", "SH", "SL", "SQ", "SS", "ST", "SV", "TM", "UC", "UI", "UL", "UN", "UR", "US",
    "UT", "UV", "ZZ", "aa",
)  # fmt: skip
_LENGTHS = (0, 1, 2, 3, 7, 8, 9, 12, 255, 4096, 65534, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 2,
            2**32 - 1)  # fmt: skip
_TAGS = (
    0x00000000, 0x00020000, 0x00020003, 0x00020010, 0x00080000, 0x00080005, 0x00080018, 0x00080080,
    0x00090010, 0x00091002, 0x000910FF, 0x00100010, 0x00100020, 0x00101010, 0x00101002, 0x0040A730,
    0x30060020, 0x50003000, 0x7FE00010, 0xFFFCFFFC, 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD, 0xFFFFFFFF,
)  # fmt: skip
_SYNTAXES = (
    b"1.2.840.10008.1.2", b"1.2.840.10008.1.2.1", b"1.2.840.10008.1.2.2",
    b"1.2.840.10008.1.2.1.99", b"1.2.840.10008.1.2.4.50", b"1.2.840.10008.1.2.5", b"1.2.3",
)  # fmt: skip


_CHARACTER_SETS = (
    "", "ISO_IR 6", "ISO_IR 100", "ISO_IR 13", "ISO_IR 192", "GB18030", "ISO 2022 IR 87",
    "\\ISO 2022 IR 149", "ISO 2022 IR 6 \\ISO 2022 IR 58", "NONE",
)  # fmt: skip

# How many of the mutations keep what they move or add well formed.
_RESTRUCTURED = 0.4


@dataclass(frozen=True)
class Seed:
    """A real file, and where things are in it.

    Attributes:
        data: the file; the data set is inflated.
        places: where element headers begin.
        ends: where the elements end, one for each of the places.
        deflated_from: where the data set begins that must be deflated, or 0.
    """

    data: bytes
    places: tuple[int, ...]
    ends: tuple[int, ...]
    deflated_from: int = 0


def seeds() -> list[Seed]:
    """Returns the files to mutate, in a fixed order."""
    found = []
    for path in DICOM_FILES:
        data = path.read_bytes()
        if len(data) > _MAX_SEED:
            continue
        try:
            file = read_file(data)
        except UnreadableError:
            found.append(Seed(data, (), ()))
            continue
        start = 0
        if file.deflated:
            start = file.start
            data = data[:start] + b"".join(each.raw for each in file.elements)
        elements = [*file.meta, *every_element(file.elements)]
        shift = {id(each): 0 for each in file.meta}
        spans = [(each.start + shift.get(id(each), start), len(each.raw)) for each in elements]
        found.append(
            Seed(data, tuple(at for at, _ in spans), tuple(at + n for at, n in spans), start)
        )
    return found


def mutated(rng: Random, among: list[Seed]) -> bytes:
    """Returns a mutated file, or now and then one that is not."""
    seed = rng.choice(among)
    data = bytearray(seed.data)
    # As it is, a file is learned from, and what comes after it is told by that.
    for _ in range(rng.choice((0, 1, 1, 2, 3, 6))):
        if rng.random() < _RESTRUCTURED:
            _restructure(rng, data, seed)
        else:
            _mutate(rng, data, seed, among)
    if seed.deflated_from and rng.random() < 0.9:
        deflater = zlib.compressobj(wbits=-15)
        start = seed.deflated_from
        data[start:] = deflater.compress(data[start:]) + deflater.flush()
        if rng.random() < 0.2:
            _flip(rng, data, start)
    return bytes(data)


def _mutate(rng: Random, data: bytearray, seed: Seed, among: list[Seed]) -> None:
    """Does one thing to a file; places are those of the seed, and may have moved."""
    if not data:
        return
    size = len(data)
    index = rng.randrange(len(seed.places)) if seed.places else -1
    at = min(seed.places[index] if index >= 0 else rng.randrange(size), size - 1)
    end = min(seed.ends[index] if index >= 0 else at + 8, size)
    order = rng.choice("<<<>")
    match rng.randrange(18):
        case 0:
            _flip(rng, data, at)
        case 1:
            _flip(rng, data, 0)
        case 2 | 3:
            _put(data, at + 6, struct.pack(order + "H", rng.choice(_LENGTHS) & 0xFFFF))
        case 4:
            _put(data, at + rng.choice((4, 8)), struct.pack(order + "I", rng.choice(_LENGTHS)))
        case 5:
            near = (end - at - 8 + rng.randrange(-9, 10)) & 0xFFFF
            _put(data, at + 6, struct.pack(order + "H", near))
        case 6 | 7:
            _put(data, at + 4, rng.choice(_VRS).encode())
        case 8:
            tag = rng.choice(_TAGS)
            _put(data, at, struct.pack(order + "HH", tag >> 16, tag & 0xFFFF))
        case 9:
            tag = rng.choice((0xE000, 0xE00D, 0xE0DD))
            length = rng.choice((0, 0, 8, 0xFFFFFFFF))
            data[at:at] = struct.pack(order + "HHI", 0xFFFE, tag, length)
        case 10:
            del data[at : rng.choice((end, at + rng.randrange(1, 20)))]
        case 11:
            data[end:end] = data[at:end]
        case 12:
            del data[rng.randrange(size) :]
        case 13:
            other = rng.choice(among)
            if other.places:
                one = rng.randrange(len(other.places))
                stop = rng.choice((other.ends[one], len(other.data)))
                data[at : rng.choice((at, end, size))] = other.data[other.places[one] : stop]
        case 14:
            old = rng.choice(_SYNTAXES)
            found = data.find(old, 132, 1000)
            if found >= 0:
                _put(data, found, rng.choice(_SYNTAXES).ljust(len(old), b"\0")[: len(old)])
        case 15 | 16:
            _resize(rng, data, at, end, order)
        case _:
            text = rng.choice((b"\x1b$B", b"\xff\xfe", b"\\\\", b"\0\0", b"20040231", b"9" * 20))
            _put(data, min(at + 8 + rng.randrange(8), max(end - 1, 0)), text)


def _restructure(rng: Random, data: bytearray, seed: Seed) -> None:
    """Moves or adds something as a writer would that has its own ideas of the standard."""
    if not seed.places or len(data) < seed.ends[-1]:
        return
    index = rng.randrange(len(seed.places))
    at, end = seed.places[index], seed.ends[index]
    other = rng.choice(seed.places)
    syntax = EXPLICIT if bytes(data[at + 4 : at + 6]).isalpha() else IMPLICIT
    match rng.randrange(8):
        case 0:
            # Out of order, and private creators behind their elements.
            piece = data[at:end]
            del data[at:end]
            position = other if other <= at else max(other - len(piece), 0)
            data[position:position] = piece
        case 1:
            data[at:at] = encode(_private(rng), syntax)
        case 2:
            tag = rng.choice((0x00020000, 0x00020003, 0x00020010, 0x00020016, 0x00021234))
            uid = rng.choice(_SYNTAXES)
            data[at:at] = encode([el(tag, uid + bytes(len(uid) % 2), "UI")], syntax)
        case 3:
            _leave_to_guess(rng, data)
        case 4:
            terms = rng.choice(_CHARACTER_SETS)
            data[at:at] = encode([el("SpecificCharacterSet", terms)], syntax)
        case 5 | 6:
            data[at:at] = _nested(rng, syntax)
        case _:
            data += bytes(rng.choice((1, 2, 4, 7, 8, 12, 100, 512)))


def _private(rng: Random) -> list[Part]:
    """Returns the elements of a few private blocks, in any order."""
    parts: list[Part] = []
    for number in rng.sample(range(0x10, 0x14), rng.choice((1, 2))):
        creator = rng.choice(("GEMS_IDEN_01", "GEMS_PARM_01", "OTHER", ""))
        parts += [
            el(0x00090000 | number, creator, "LO"),
            el(0x00090002 | number << 8, "secret", "LO"),
            el(0x00090004 | number << 8, b"", "UN"),
        ]
    rng.shuffle(parts)
    return parts[: rng.choice((2, 3, len(parts)))]


def _nested(rng: Random, syntax: Syntax) -> bytes:
    """Returns a sequence whose items are encoded as nothing around them is."""
    content = b""
    inner = syntax
    for _ in range(rng.choice((1, 2, 3))):
        inner = rng.choice((EXPLICIT, IMPLICIT))
        uid = el("ReferencedSOPInstanceUID", rng.choice(("1.2", "")))
        content = encode([uid, el("CodeMeaning", "Doe"), *_private(rng), content], inner)
        undefined = rng.random() < 0.5
        item = item_header(0xFFFEE000, UNDEFINED if undefined else len(content)) + content
        if undefined:
            item += item_header(0xFFFEE00D, 0) + item_header(0xFFFEE0DD, 0)
        vr = rng.choice(("SQ", "UN"))
        around = rng.choice((inner, syntax))
        length = UNDEFINED if undefined else len(item)
        content = header(0x00081140, vr, length, around) + item
    return content


def _leave_to_guess(rng: Random, data: bytearray) -> None:
    """Takes the transfer syntax out of the file meta, or its value."""
    found = data.find(b"\x02\0\x10\0UI", 132, 1000)
    if found < 0:
        return
    length = int.from_bytes(data[found + 6 : found + 8], "little")
    del data[found + 8 : found + 8 + length]
    if rng.random() < 0.5:
        del data[found : found + 8]
    else:
        data[found + 6 : found + 8] = b"\0\0"


def _resize(rng: Random, data: bytearray, at: int, end: int, order: str) -> None:
    """Gives an element with a two-byte length a longer or shorter value."""
    length = max(0, end - at - 8 + rng.choice((-4, -2, -1, 2, 2, 4, 8)))
    _put(data, at + 6, struct.pack(order + "H", length & 0xFFFF))
    data[at + 8 : end] = (bytes(data[at + 8 : end]) + b"        ")[:length]


def _flip(rng: Random, data: bytearray, start: int) -> None:
    if start < len(data):
        data[rng.randrange(start, len(data))] = rng.randrange(256)


def _put(data: bytearray, at: int, new: bytes) -> None:
    new = new[: max(0, len(data) - at)]
    data[at : at + len(new)] = new
