"""Data sets as pydicom reads them, flattened: each element by its path."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pydicom
from pydicom.charset import convert_encodings, decode_bytes
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element
from pydicom.valuerep import TEXT_VR_DELIMS

if TYPE_CHECKING:
    from pydicom.dataset import Dataset
    from pydicom.tag import BaseTag

# Tags from the top level down, and the index of the item between two of them.
Place = tuple[int, ...]

# PS3.5 6.2: spaces around a value mean nothing, but in texts, where those in front do.
_TEXT: Final = frozenset({"LT", "ST", "UC", "UT"})
_STRINGS: Final = frozenset(
    {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "PN", "SH", "TM", "UI", "UR"}
)
# PS3.5 6.4: in these a backslash is a character like any other.
_SINGLE_VALUED: Final = frozenset({"LT", "ST", "UR", "UT"})
_CHARSET: Final = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
_PADDING: Final = b" \0"
_IMPLICIT_HEADER: Final = 8


@dataclass(frozen=True)
class Value:
    """An element.

    Attributes:
        vr: as it is read; UN is read as the VR that a dictionary gives.
        written: as it stands in the file; empty in implicit VR.
        raw: the value as it stands in the file; of a sequence nothing.
        texts: the values without padding, of a VR that holds text.
        items: how many items a sequence has.
    """

    vr: str
    written: str
    raw: bytes
    texts: tuple[str, ...] | None
    items: int | None

    def equals(self, other: Value) -> bool:
        """Whether both say the same: VRs and values, but for padding."""
        if self.written != other.written and self.written and other.written:
            return False
        if self.items is not None or other.items is not None:
            return self.items == other.items
        if self.texts is not None and other.texts is not None:
            return self._compared() == other._compared()
        return self.raw == other.raw or self.raw.rstrip(b"\0") == other.raw.rstrip(b"\0")

    def _compared(self) -> list[str]:
        # PS3.5 6.2.1.1: delimiters at the end of a name may be left out.
        texts = self.texts or ()
        return [each.rstrip("^= ") if self.vr == "PN" else each for each in texts]

    def described(self) -> str:
        """Says what it is; the files are public samples, so that values may be shown."""
        vr = self.written or f"({self.vr})"
        if self.items is not None:
            return f"{vr} of {self.items} items"
        shown = self.raw if len(self.raw) <= _SHOWN else self.raw[:_SHOWN] + b"..."
        return f"{vr} {shown!r} ({len(self.raw)} bytes)"


_SHOWN: Final = 70


def read_elements(data: bytes) -> dict[Place, Value]:
    """Reads a file: its file meta and its data set, at every depth.

    Raises:
        Exception: of pydicom, where it cannot read the file.
    """
    ds = pydicom.dcmread(io.BytesIO(data), force=True)
    found: dict[Place, Value] = {}
    _flatten(ds.file_meta, (), found)
    _flatten(ds, (), found)
    return found


def _flatten(ds: Dataset, path: Place, found: dict[Place, Value]) -> None:
    # All at once: to read the VR of one element, pydicom converts others.
    elements = {tag: ds.get_item(tag) for tag in ds.keys()}  # noqa: SIM118 (no dictionary)
    for tag, element in elements.items():
        assert element is not None
        written = element.VR or ""
        raw = _raw(ds, element)
        here = (*path, int(tag))
        vr = written if written not in {"", "UN", "SQ"} else _read_vr(ds, tag, written)
        if vr == "SQ":
            items = ds[tag].value
            found[here] = Value(vr, written, b"", None, len(items))
            for index, item in enumerate(items):
                _flatten(item, (*here, index), found)
        else:
            found[here] = Value(vr, written, raw, _texts(ds, vr, raw), None)


def _raw(ds: Dataset, element: DataElement | RawDataElement) -> bytes:
    """Returns the value in bytes, of what pydicom has converted already, too."""
    if isinstance(element, RawDataElement):
        return element.value or b""
    if element.VR == "SQ":
        return b""
    buffer = DicomBytesIO()
    buffer.is_little_endian = ds.original_encoding[1] is not False
    # In implicit VR every header is as long as the next.
    buffer.is_implicit_VR = True
    write_data_element(buffer, element, convert_encodings(ds.get("SpecificCharacterSet")))
    return buffer.getvalue()[_IMPLICIT_HEADER:]


def _read_vr(ds: Dataset, tag: BaseTag, written: str) -> str:
    try:
        return str(ds[tag].VR)
    except Exception:  # noqa: BLE001
        # The dictionary says what the value does not bear out.
        return written or "UN"


def _texts(ds: Dataset, vr: str, raw: bytes) -> tuple[str, ...] | None:
    if vr not in _TEXT and vr not in _STRINGS:
        return None
    raw = raw.rstrip(_PADDING)
    if vr in _CHARSET and (b"\x1b" in raw or not raw.isascii()):
        text = decode_bytes(raw, ds._character_set, TEXT_VR_DELIMS)
    else:
        text = raw.decode("latin-1")
    texts = [text] if vr in _SINGLE_VALUED else text.split("\\")
    padding = _PADDING.decode()
    return tuple(each.rstrip(padding) if vr in _TEXT else each.strip(padding) for each in texts)
