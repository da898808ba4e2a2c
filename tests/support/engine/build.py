"""Builds small DICOM files for tests, in every encoding."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydicom.datadict import dictionary_VR, tag_for_keyword

from tests.support.engine.walk import BIG, EXPLICIT, IMPLICIT, UNDEFINED, Syntax

if TYPE_CHECKING:
    from collections.abc import Sequence as Many

_LONG = frozenset(["OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"])
_NUMBERS = {
    "AT": "HH", "FD": "d", "FL": "f", "SL": "i", "SS": "h", "SV": "q", "UL": "I", "US": "H",
    "UV": "Q",
}  # fmt: skip

DEFLATED_UID = "1.2.840.10008.1.2.1.99"
_UIDS = {
    EXPLICIT: "1.2.840.10008.1.2.1",
    IMPLICIT: "1.2.840.10008.1.2",
    BIG: "1.2.840.10008.1.2.2",
}
# By the names that tests show.
SYNTAXES = {"explicit": EXPLICIT, "implicit": IMPLICIT, "big endian": BIG}

Value = bytes | str | tuple[float, ...]


@dataclass(frozen=True)
class El:
    """An element with a value: bytes as they are, text padded, or binary numbers."""

    tag: int
    vr: str
    value: Value


@dataclass(frozen=True)
class Sq:
    """A sequence of items.

    Attributes:
        tag: of the sequence.
        items: the elements of each.
        undefined: it and its items have undefined lengths.
        vr: as written in explicit VR; the items of UN are in implicit VR (PS3.5 6.2.2).
    """

    tag: int
    items: tuple[tuple[Part, ...], ...]
    undefined: bool = False
    vr: str = "SQ"


Part = El | Sq | bytes


def el(name: str | int, value: Value = b"", vr: str = "") -> El:
    """Returns an element by keyword or tag; its VR comes from the dictionary."""
    tag = tag_of(name)
    return El(tag, vr or dictionary_VR(tag), value)


def sq(name: str | int, *items: Many[Part], undefined: bool = False, vr: str = "SQ") -> Sq:
    """Returns a sequence by keyword or tag."""
    return Sq(tag_of(name), tuple(tuple(item) for item in items), undefined, vr)


def tag_of(name: str | int) -> int:
    """Returns the tag of a keyword."""
    if isinstance(name, int):
        return name
    tag = tag_for_keyword(name)
    assert tag is not None, name
    return int(tag)


def encode(parts: Many[Part], syntax: Syntax = EXPLICIT) -> bytes:
    """Encodes elements as they stand in a data set or an item."""
    return b"".join(_encode(part, syntax) for part in parts)


def header(tag: int, vr: str, length: int, syntax: Syntax = EXPLICIT) -> bytes:
    """Encodes an element header."""
    group, number = tag >> 16, tag & 0xFFFF
    if not syntax.explicit:
        return struct.pack(syntax.order + "HHI", group, number, length)
    if vr in _LONG:
        return struct.pack(syntax.order + "HH2sHI", group, number, vr.encode(), 0, length)
    return struct.pack(syntax.order + "HH2sH", group, number, vr.encode(), length)


def item_header(tag: int, length: int, syntax: Syntax = EXPLICIT) -> bytes:
    """Encodes the header of an item or of a delimiter."""
    return struct.pack(syntax.order + "HHI", tag >> 16, tag & 0xFFFF, length)


def dicom(
    *parts: Part,
    syntax: Syntax = EXPLICIT,
    deflated: bool = False,
    transfer_syntax: str = "",
    meta: Many[Part] | None = None,
    preamble: bytes = bytes(128),
) -> bytes:
    """Returns a file.

    Args:
        parts: of the data set.
        syntax: of the data set.
        deflated: the data set is deflated.
        transfer_syntax: the UID that the file meta names, if not that of the syntax.
        meta: the elements of the file meta, without its length and its transfer
            syntax; None for the usual ones.
        preamble: before the prefix.
    """
    uid = transfer_syntax or (DEFLATED_UID if deflated else _UIDS[syntax])
    if meta is None:
        meta = [
            el(0x00020002, "1.2.840.10008.5.1.4.1.1.7"),
            el(0x00020003, next((_text(part) for part in parts if _is_sop(part)), "1.2.3")),
        ]
    elements = [*meta, el(0x00020010, uid)]
    elements.sort(key=lambda part: part.tag if isinstance(part, El) else 0)
    body = encode(elements)
    data = encode(parts, syntax)
    if deflated:
        deflater = zlib.compressobj(wbits=-15)
        data = deflater.compress(data) + deflater.flush()
        data += bytes(len(data) % 2)
    return preamble + b"DICM" + encode([el(0x00020000, (len(body),))]) + body + data


def padded(text: str, vr: str = "LO") -> bytes:
    """Encodes a text as a value: UTF-8, and padded to an even length."""
    value = text.encode()
    return value + (b"\0" if vr == "UI" else b" ") * (len(value) % 2)


def _is_sop(part: Part) -> bool:
    return isinstance(part, El) and part.tag == 0x00080018


def _text(part: Part) -> str:
    assert isinstance(part, El)
    return part.value if isinstance(part.value, str) else "1.2.3"


def _encode(part: Part, syntax: Syntax) -> bytes:
    if isinstance(part, bytes):
        return part
    if isinstance(part, El):
        value = _value(part, syntax)
        return header(part.tag, part.vr, len(value), syntax) + value
    inner = IMPLICIT if part.vr == "UN" else syntax
    content = b""
    for item in part.items:
        data = encode(item, inner)
        length = UNDEFINED if part.undefined else len(data)
        content += item_header(0xFFFEE000, length, inner) + data
        if part.undefined:
            content += item_header(0xFFFEE00D, 0, inner)
    if part.undefined:
        content += item_header(0xFFFEE0DD, 0, inner)
    length = UNDEFINED if part.undefined else len(content)
    return header(part.tag, part.vr, length, syntax) + content


def _value(part: El, syntax: Syntax) -> bytes:
    if isinstance(part.value, bytes):
        return part.value
    if isinstance(part.value, str):
        return padded(part.value, part.vr)
    code = _NUMBERS[part.vr]
    return b"".join(struct.pack(syntax.order + code, *_halves(part.vr, n)) for n in part.value)


def _halves(vr: str, number: float) -> tuple[float, ...]:
    return (
        (int(number) >> 16, int(number) & 0xFFFF)
        if vr == "AT"
        else (number if vr in {"FD", "FL"} else int(number),)
    )
