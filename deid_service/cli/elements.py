"""Reads the elements of a file with pydicom, apart from the engine, to show them."""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

import pydicom
from pydicom import config
from pydicom.datadict import keyword_for_tag
from pydicom.multival import MultiValue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydicom.dataelem import DataElement
    from pydicom.dataset import Dataset

# More of a value than this says nothing more to a person.
MAX_CHARACTERS = 72

# What pydicom complains about may quote values, and stays out of the terminal.
logging.getLogger("pydicom").addHandler(logging.NullHandler())


@dataclass(frozen=True, slots=True)
class Shown:
    """An element as it is shown.

    Attributes:
        path: `PatientID`, `OtherPatientIDsSequence[0].PatientID`; the tag where
            an element has no keyword.
        tag: of the element itself, as (gggg,eeee).
        vr: its VR.
        text: its value for people.
        content: its value for comparing.
        depth: 0 at the top level.
    """

    path: str
    tag: str
    vr: str
    text: str
    content: bytes | str
    depth: int


def elements(data: bytes) -> dict[str, Shown]:
    """Returns every element of a file at every depth, by its path, in file order.

    Raises:
        ValueError: pydicom cannot read the file.
    """
    with warnings.catch_warnings(), config.disable_value_validation():
        warnings.simplefilter("ignore")
        try:
            dataset = pydicom.dcmread(BytesIO(data), force=True)
            meta = list(walk(dataset.file_meta, "", 0))
            return {shown.path: shown for shown in (*meta, *walk(dataset, "", 0))}
        except Exception as error:  # noqa: BLE001 -- any kind comes out of a file that is broken
            # The text of the error may quote a value.
            raise ValueError(f"pydicom cannot read it ({type(error).__name__})") from None


def walk(dataset: Dataset, prefix: str, depth: int) -> Iterator[Shown]:
    """Gives the elements of a data set and of the items in it, in order."""
    for tag in sorted(dataset.keys()):
        name = f"({tag.group:04X},{tag.element:04X})"
        path = prefix + (keyword_for_tag(tag) or name)
        try:
            element = dataset[tag]
        except Exception:  # noqa: BLE001 -- a value that its VR cannot hold, in many ways
            raw = dataset.get_item(tag)
            content = getattr(raw, "value", None) or b""
            yield Shown(path, name, "", "unreadable", content, depth)
            continue
        text, content = value_of(element)
        yield Shown(path, name, str(element.VR), text, content, depth)
        if element.VR == "SQ":
            for index, item in enumerate(element.value):
                yield from walk(item, f"{path}[{index}].", depth + 1)


def value_of(element: DataElement) -> tuple[str, bytes | str]:
    """Returns the value of an element: as a text to show, and whole, to compare."""
    value = element.value
    if element.VR == "SQ":
        text = f"{len(value)} items"
        return text, text
    if isinstance(value, bytes):
        return f"{len(value)} bytes", value
    if isinstance(value, MultiValue | list):
        text = "\\".join(str(part) for part in value)
    else:
        text = "" if value is None else str(value)
    short = text if len(text) <= MAX_CHARACTERS else text[: MAX_CHARACTERS - 1] + "…"
    return short, text
