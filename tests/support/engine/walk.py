"""An independent reader of DICOM files, for tests: simple, recursive, in memory.

It shares no code with the engine, keeps every byte of the file in its tree, and
asks pydicom's dictionary only where the file does not say a VR.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydicom.datadict import dictionary_VR, private_dictionary_VR

if TYPE_CHECKING:
    from collections.abc import Iterator

UNDEFINED = 0xFFFFFFFF

_LONG = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"))
_SHORT = frozenset(
    ("AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT", "PN", "SH", "SL",
     "SS", "ST", "TM", "UI", "UL", "US")
)  # fmt: skip
_DEFLATED = frozenset(
    {b"1.2.840.10008.1.2.1.99", b"1.2.840.10008.1.2.4.95", b"1.2.840.10008.1.2.4.205"}
)


class UnreadableError(Exception):
    """The bytes are not a DICOM file that this reader understands."""


@dataclass(frozen=True)
class Syntax:
    """How element headers and numbers are encoded (PS3.5 7.1)."""

    explicit: bool
    big: bool = False

    @property
    def order(self) -> str:
        """The byte order as `struct` says it."""
        return ">" if self.big else "<"


EXPLICIT = Syntax(explicit=True)
BIG = Syntax(explicit=True, big=True)
IMPLICIT = Syntax(explicit=False)

# Tags from the top level down, and the index of the item between two of them.
Place = tuple[int, ...]


@dataclass
class Item:
    """An item of a sequence: its header, its elements, its delimiter, and where it begins."""

    header: bytes
    elements: list[Element]
    delimiter: bytes = b""
    start: int = -1

    @property
    def raw(self) -> bytes:
        """The item as it stands in the file."""
        return self.header + b"".join(each.raw for each in self.elements) + self.delimiter


@dataclass
class Element:
    """An element: its place, its header and its value as they stand in the file.

    Attributes:
        path: tags and item indices, from the top level down to its own tag.
        vr: as written or, in implicit VR and for UN, as the dictionary has it.
        header: tag, VR and length.
        value: everything after the header, with delimiters; empty for a sequence.
        items: of a sequence, else None.
        tail: the delimiter of a sequence of undefined length.
        syntax: of its header.
        start: where its header begins in the data set's bytes.
    """

    path: Place
    vr: str
    header: bytes
    value: bytes
    syntax: Syntax
    start: int = -1
    items: list[Item] | None = None
    tail: bytes = b""

    @property
    def tag(self) -> int:
        """The tag as a 32-bit number."""
        return self.path[-1]

    @property
    def raw(self) -> bytes:
        """The element as it stands in the file."""
        items = b"".join(item.raw for item in self.items or ())
        return self.header + self.value + items + self.tail

    @property
    def undefined(self) -> bool:
        """Whether its length is undefined."""
        return self.header[-4:] == b"\xff\xff\xff\xff" and len(self.header) in {8, 12}


@dataclass
class File:
    """A whole file."""

    preamble: bytes = b""
    meta: list[Element] = field(default_factory=list)
    elements: list[Element] = field(default_factory=list)
    syntax: Syntax = EXPLICIT
    deflated: bool = False
    # Where the data set begins in the file.
    start: int = 0


def read_file(data: bytes) -> File:
    """Reads a file.

    Raises:
        UnreadableError: it is none, or ends too early.
    """
    file = File()
    position = 0
    for length in (132, 4):
        if data[length - 4 : length] == b"DICM":
            file.preamble = data[:length]
            position = length
            break
    meta_syntax = EXPLICIT if data[position + 4 : position + 6].isalpha() else IMPLICIT
    while data[position : position + 2] == b"\x02\0":
        element, position = _element(data, position, len(data), meta_syntax, (), {})
        file.meta.append(element)
    uid = next((each.value.strip(b" \0") for each in file.meta if each.tag == 0x00020010), b"")
    file.start = position
    if uid in _DEFLATED:
        file.deflated = True
        try:
            data, position = zlib.decompressobj(-15).decompress(data[position:]), 0
        except zlib.error:
            raise UnreadableError("the data set cannot be inflated") from None
    else:
        file.syntax = _seen(data[position : position + 8], uid)
    file.elements, _, _ = _elements(data, position, len(data), file.syntax, (), is_item=False)
    return file


def every_element(elements: list[Element]) -> Iterator[Element]:
    """Yields elements in their order, each sequence before what it holds."""
    for element in elements:
        yield element
        for item in element.items or ():
            yield from every_element(item.elements)


def vr_by_dictionary(tag: int, creators: dict[int, str]) -> str:
    """Returns the VR that a dictionary gives, `UN` where none does."""
    group, number = tag >> 16, tag & 0xFFFF
    if number == 0:
        return "UL"
    try:
        if not group & 1:
            return dictionary_VR(tag)
        if 0x10 <= number <= 0xFF:
            return "LO"
        return private_dictionary_VR(tag, creators[tag >> 8])
    except KeyError:
        return "UN"


def _seen(header: bytes, uid: bytes) -> Syntax:
    if len(header) < 8 and header:
        raise UnreadableError("too short for an element")
    if header[4:6].decode("latin-1") not in _LONG | _SHORT:
        return IMPLICIT
    # The first group is small: its high byte shows the byte order.
    if header[0] and header[1]:
        return BIG if uid == b"1.2.840.10008.1.2.2" else EXPLICIT
    return BIG if header[0] == 0 else EXPLICIT


def _elements(
    data: bytes, position: int, end: int, syntax: Syntax, path: Place, *, is_item: bool
) -> tuple[list[Element], int, bytes]:
    """Returns elements, where they end, and the delimiter that ends them, if one does."""
    elements: list[Element] = []
    creators: dict[int, str] = {}
    first = data[position : position + 6]
    is_delimiter = first[:2] in {b"\xfe\xff", b"\xff\xfe"}
    if is_item and syntax.explicit and not first[4:].isalpha() and not is_delimiter:
        # Implicit VR items in an explicit VR data set are seen.
        syntax = IMPLICIT
    while position < end:
        if end - position < 8:
            raise UnreadableError("the data ends in a header")
        group, number = struct.unpack_from(syntax.order + "HH", data, position)
        if (group, number) == (0xFFFE, 0xE00D):
            if not is_item:
                raise UnreadableError("a delimiter at the top level")
            return elements, position + 8, data[position : position + 8]
        element, position = _element(data, position, end, syntax, path, creators)
        elements.append(element)
    return elements, position, b""


def _element(
    data: bytes, position: int, end: int, syntax: Syntax, path: Place, creators: dict[int, str]
) -> tuple[Element, int]:
    start = position
    try:
        group, number = struct.unpack_from(syntax.order + "HH", data, start)
        vr = ""
        if syntax.explicit:
            vr = data[start + 4 : start + 6].decode("latin-1")
            if vr in _SHORT:
                (length,) = struct.unpack_from(syntax.order + "H", data, start + 6)
                position = start + 8
            elif vr.isascii() and vr.isalpha() and vr.isupper():
                (length,) = struct.unpack_from(syntax.order + "I", data, start + 8)
                position = start + 12
            else:
                raise UnreadableError("no VR")
        else:
            (length,) = struct.unpack_from(syntax.order + "I", data, start + 4)
            position = start + 8
    except struct.error:
        raise UnreadableError("the data ends in a header") from None
    tag = group << 16 | number
    if group == 0xFFFE:
        raise UnreadableError("an item out of place")
    known = vr if vr not in {"", "UN"} else vr_by_dictionary(tag, creators)
    element = Element((*path, tag), known, data[start:position], b"", syntax, start)
    inner = IMPLICIT if vr == "UN" else syntax
    if length == UNDEFINED and known != "SQ" and (vr in {"OB", "OW"} or tag == 0x7FE00010):
        element.value, position = _fragments(data, position, end, syntax)
        return element, position
    stop = end if length == UNDEFINED else position + length
    if stop > end:
        raise UnreadableError("an element longer than what it is in")
    if length == UNDEFINED or known == "SQ":
        element.vr = "SQ"
        position = _items(data, position, stop, inner, element, undefined=length == UNDEFINED)
        return element, position
    if known == "UN" and data[position : position + 4] == b"\xfe\xff\x00\xe0":
        try:
            _items(data, position, stop, inner, element, undefined=False)
        except UnreadableError:
            element.items = None
        else:
            element.vr = "SQ"
            return element, stop
    element.value = data[position:stop]
    if group & 1 and 0x10 <= number <= 0xFF:
        creators[group << 8 | number] = element.value.decode("latin-1").strip(" \0")
    return element, stop


def _items(
    data: bytes, position: int, end: int, syntax: Syntax, element: Element, *, undefined: bool
) -> int:
    element.items = []
    while position < end:
        if end - position < 8:
            raise UnreadableError("a sequence ends in an item header")
        group, number, length = struct.unpack_from(syntax.order + "HHI", data, position)
        header = data[position : position + 8]
        start, position = position, position + 8
        if (group, number) == (0xFFFE, 0xE0DD):
            element.tail = header
            return position
        if (group, number) != (0xFFFE, 0xE000):
            raise UnreadableError("no item in a sequence")
        stop = end if length == UNDEFINED else position + length
        if stop > end:
            raise UnreadableError("an item longer than its sequence")
        path = (*element.path, len(element.items))
        elements, position, delimiter = _elements(data, position, stop, syntax, path, is_item=True)
        if length == UNDEFINED and not delimiter:
            raise UnreadableError("an item without an end")
        element.items.append(Item(header, elements, delimiter, start))
    if undefined:
        raise UnreadableError("a sequence without an end")
    return position


def _fragments(data: bytes, position: int, end: int, syntax: Syntax) -> tuple[bytes, int]:
    start = position
    while end - position >= 8:
        group, number, length = struct.unpack_from(syntax.order + "HHI", data, position)
        position += 8
        if (group, number) == (0xFFFE, 0xE0DD):
            return data[start:position], position
        if (group, number) != (0xFFFE, 0xE000) or length > end - position:
            break
        position += length
    raise UnreadableError("encapsulated pixel data without an end")
