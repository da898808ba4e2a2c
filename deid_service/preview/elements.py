"""Reads the elements of a file with pydicom, apart from the engine, to show them."""

from __future__ import annotations

import logging
import sys
import warnings
import zlib
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import chain, islice
from typing import TYPE_CHECKING

import pydicom
from pydicom import config
from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import RawDataElement
from pydicom.filereader import _read_file_meta_info, read_preamble, read_sequence
from pydicom.multival import MultiValue
from pydicom.tag import Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian

from deid_service.engine.errors import format_tag

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydicom.dataelem import DataElement
    from pydicom.dataset import Dataset
    from pydicom.tag import BaseTag

# More of a value than this says nothing more to a person.
MAX_CHARACTERS = 72

# How often pydicom reads for an element, and besides: a file meta, and pixel data in pieces.
_READS_OF_ELEMENT = 4
_READS_BESIDES = 10_000

# A value that pydicom may read as a sequence begins with an item, in either byte order.
_MAYBE_SEQUENCES = {None, "SQ", "UN"}
_ITEMS = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")
_ENCODING = "iso8859"

# PS3.5 7.8.1: (gggg,0010-00FF) are private creators; blocks of elements come after.
PRIVATE_BLOCKS = 0x1000

# What pydicom complains about may quote values, and stays out of the terminal.
logging.getLogger("pydicom").addHandler(logging.NullHandler())


class TooLargeError(ValueError):
    """There is more in the file than is shown."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step on the way to an element.

    Attributes:
        tag: of the sequence on the way, or of the element itself.
        creator: its private creator, or None.
        index: the item of the sequence that the way goes through, from 0; None
            for the element itself.
    """

    tag: int
    creator: str | None
    index: int | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """An element as it is shown.

    Attributes:
        steps: the way to it from the top level; the last step is itself.
        vr: its VR; empty when its value cannot be read.
        text: its value for people.
        content: its value for comparing.
    """

    steps: tuple[Step, ...]
    vr: str
    text: str
    content: bytes | str

    @property
    def tag(self) -> str:
        """The tag of the element itself, as (gggg,eeee)."""
        return format_tag(self.steps[-1].tag)

    @property
    def path(self) -> str:
        """`PatientID`, `OtherPatientIDsSequence[0].PatientID`; a tag without keyword as it is."""
        return ".".join(
            (keyword_for_tag(step.tag) or format_tag(step.tag))
            + ("" if step.index is None else f"[{step.index}]")
            for step in self.steps
        )


def is_private(shown: Shown) -> bool:
    """Tells whether an element is private (PS3.5 7.8)."""
    return bool(shown.steps[-1].tag >> 16 & 1)


def elements(
    data: bytes, max_inflated: int = sys.maxsize, most: int = sys.maxsize
) -> dict[tuple[Step, ...], Shown]:
    """Returns every element of a file at every depth, by the way to it, in file order.

    Args:
        data: the file.
        max_inflated: how many bytes a deflated data set may have.
        most: how many elements it may have.

    Raises:
        ValueError: pydicom cannot read the file, or it is larger.
    """
    reads = _Reads(most * _READS_OF_ELEMENT + _READS_BESIDES)
    with warnings.catch_warnings(), config.disable_value_validation():
        warnings.simplefilter("ignore")
        try:
            _check_inflated(data, max_inflated)
            dataset = pydicom.dcmread(reads.of(data), force=True)
            walked = chain(walk(dataset.file_meta, (), reads), walk(dataset, (), reads))
            found = _at_most(most, walked)
        except TooLargeError:
            raise
        except Exception as error:  # noqa: BLE001 -- any kind comes out of a file that is broken
            reads.check_left()
            # The text of the error may quote a value.
            raise ValueError(f"pydicom cannot read it ({type(error).__name__})") from None
    return {shown.steps: shown for shown in found}


class _Reads:
    """How often pydicom may still read: it reads all that a sequence or a file has at once.

    An element, and an item, take from two to four reads, and some kilobytes of memory whatever
    they are long.
    """

    def __init__(self, left: int) -> None:
        """Begins with as many as there may be; with more than can be there, nothing is checked."""
        self.left = left
        self._bounded = left < sys.maxsize

    def of(self, data: bytes) -> BytesIO:
        """Returns bytes as a file whose reads are counted."""
        return _Counted(data, self)

    def check(self, raw: object) -> None:
        """Reads a sequence that has not been read yet, to see how much is in it.

        Raises:
            TooLargeError: more than may be.
        """
        if (
            not self._bounded
            or not isinstance(raw, RawDataElement)
            or raw.VR not in _MAYBE_SEQUENCES
        ):
            return
        data = raw.value
        if not isinstance(data, bytes) or not data.startswith(_ITEMS):
            return
        # What pydicom makes of it then is its own matter: UN is in implicit VR little endian, and
        # some of it is known to be a sequence (PS3.5 6.2.2).
        kinds = {(raw.is_implicit_VR, raw.is_little_endian)}
        for implicit, little in kinds | {(True, True)} if raw.VR == "UN" else kinds:
            try:
                read_sequence(self.of(data), implicit, little, len(data), _ENCODING)
            except Exception:  # noqa: BLE001 -- whoever reads it again meets it, too
                self.check_left()

    def check_left(self) -> None:
        """Raises TooLargeError where it has been read too often, whatever pydicom made of that."""
        if self.left < 0:
            raise TooLargeError("it has too many elements and items")


class _Counted(BytesIO):
    """Bytes as a file whose reads are counted."""

    def __init__(self, data: bytes, reads: _Reads) -> None:
        super().__init__(data)
        self._reads = reads

    def read(self, size: int | None = -1, /) -> bytes:
        """Reads, unless that has been done too often."""
        self._reads.left -= 1
        self._reads.check_left()
        return super().read(size)


def _at_most(most: int, walked: Iterator[Shown]) -> list[Shown]:
    """Returns elements; raises TooLargeError when there are more."""
    found = list(islice(walked, most))
    if next(walked, None) is not None:
        raise TooLargeError(f"it has more than {most} elements")
    return found


def _check_inflated(data: bytes, most: int) -> None:
    """Raises TooLargeError where pydicom would inflate a data set to more than so many bytes."""
    if most == sys.maxsize:
        return
    file = BytesIO(data)
    read_preamble(file, force=True)
    # The same function that finds the data set for pydicom, so that nothing is taken for it here
    # that is not.
    meta = _read_file_meta_info(file)
    if meta.get("TransferSyntaxUID", "") != DeflatedExplicitVRLittleEndian:
        return
    # PS3.5 A.5: RFC 1951, without a header.
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    if len(inflater.decompress(data[file.tell() :], most + 1)) > most:
        raise TooLargeError(f"it is inflated to more than {most} bytes")


def walk(dataset: Dataset, way: tuple[Step, ...], reads: _Reads) -> Iterator[Shown]:
    """Gives the elements of a data set and of the items in it, in order."""
    for tag in sorted(dataset.keys()):
        step = Step(int(tag), creator_of(dataset, tag))
        reads.check(dataset.get_item(tag))
        try:
            element = dataset[tag]
        except Exception:  # noqa: BLE001 -- a value that its VR cannot hold, in many ways
            content = getattr(dataset.get_item(tag), "value", None) or b""
            yield Shown((*way, step), "", "unreadable", content)
            continue
        text, content = value_of(element)
        yield Shown((*way, step), str(element.VR), text, content)
        if element.VR == "SQ":
            for index, item in enumerate(element.value):
                yield from walk(item, (*way, replace(step, index=index)), reads)


def creator_of(dataset: Dataset, tag: BaseTag) -> str | None:
    """Returns the private creator of an element (PS3.5 7.8.1), or None when it has none."""
    if not tag.is_private or tag.element < PRIVATE_BLOCKS:
        return None
    creator = dataset.get_item(Tag(tag.group, tag.element >> 8))
    value = getattr(creator, "value", None)
    if isinstance(value, bytes):
        value = value.decode("ascii", errors="replace")
    return str(value).rstrip(" \0") if value else None


def value_of(element: DataElement) -> tuple[str, bytes | str]:
    """Returns the value of an element: as a text to show, and whole, to compare."""
    value = element.value
    if element.VR == "SQ":
        text = f"{len(value)} item{'' if len(value) == 1 else 's'}"
        return text, text
    if isinstance(value, bytes):
        return f"{len(value)} bytes", value
    if isinstance(value, MultiValue | list):
        text = "\\".join(str(part) for part in value)
    else:
        text = "" if value is None else str(value)
    short = text if len(text) <= MAX_CHARACTERS else text[: MAX_CHARACTERS - 1] + "…"
    return short, text
