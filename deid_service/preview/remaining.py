"""What a file still says although it looks identifying: what a person should look at.

Nothing here decides what is done to a file. It reads a file and what came of it, and
points at what stayed as it was, by what the standard, the VR, and the file itself say.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING

from deid_service.engine.encoding.tags import FILE_META, PIXEL_DATA
from profile_service.language.dictionaries import UIDS
from profile_service.language.model import Element, PrivateElement, RepeaterElement
from profile_service.language.standard import attributes, safe_private

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from deid_service.preview.elements import Shown, Step

    Elements = Mapping[tuple[Step, ...], Shown]


class Why(Enum):
    """Why something looks identifying, most telling first."""

    COPY = "repeats a value that was changed elsewhere"
    NAME = "a name"
    BURNED_IN = "pixels, which may show text"
    DOCUMENT = "a document"
    DATE = "a date or a time"
    UID = "a UID"
    TEXT = "free text"
    STANDARD = "identifying by PS3.15 E.1-1"
    PRIVATE = "private"


# PS3.5 6.2.
_BY_VR = {
    "PN": Why.NAME,
    "DA": Why.DATE,
    "DT": Why.DATE,
    "TM": Why.DATE,
    "AS": Why.DATE,
    "UI": Why.UID,
    "LT": Why.TEXT,
    "ST": Why.TEXT,
    "UT": Why.TEXT,
    "UC": Why.TEXT,
}
# Of these VRs also what the standard does not name is pointed at.
_ALWAYS = {Why.NAME, Why.DATE, Why.UID, Why.TEXT}

_MEDIA_STORAGE_SOP_INSTANCE_UID = 0x00020003
_ENCAPSULATED_DOCUMENT = 0x00420011
_BURNED_IN_ANNOTATION = 0x00280301
_MODALITY = 0x00080060

# PS3.3 C.7.3.1.1.1: what these make has text in its pixels more often than not.
_PIXELS_WITH_TEXT = {"US", "IVUS", "ES", "XC", "OT", "SC", "DOC", "ECG", "GM", "OP", "SM", "XA"}

# Who the patient is: what of this was changed must not stand anywhere else.
_IDENTITIES = {
    0x00080050,  # AccessionNumber
    0x00080080,  # InstitutionName
    0x00080090,  # ReferringPhysicianName
    0x00100010,  # PatientName
    0x00100020,  # PatientID
    0x00100030,  # PatientBirthDate
    0x00101000,  # OtherPatientIDs
    0x00101001,  # OtherPatientNames
    0x00101005,  # PatientBirthName
    0x00101060,  # PatientMotherBirthName
    0x00102154,  # PatientTelephoneNumbers
}
# Shorter parts of a name are in too many words.
_MIN_PART = 4


@dataclass(frozen=True, slots=True)
class Remaining:
    """An element that stayed as it was and looks identifying.

    Attributes:
        element: as it is in the output.
        why: why it looks so.
    """

    element: Shown
    why: Why

    def as_json(self) -> dict[str, str]:
        """Returns it for programs."""
        return {
            "path": self.element.path,
            "tag": self.element.tag,
            "vr": self.element.vr,
            "value": self.element.text,
            "why": self.why.value,
        }


def remaining(before: Elements, after: Elements) -> list[Remaining]:
    """Returns what looks identifying and is as it was, at every depth, in file order."""
    parts = _changed_identities(before, after)
    found = []
    for steps, shown in after.items():
        old = before.get(steps)
        if old is None or old.content != shown.content or not shown.content or shown.vr == "SQ":
            continue
        why = _why(shown, after, parts)
        if why is not None:
            found.append(Remaining(shown, why))
    return found


def _why(shown: Shown, after: Elements, parts: re.Pattern[str] | None) -> Why | None:
    step = shown.steps[-1]
    tag = step.tag
    if tag >> 16 == FILE_META and tag != _MEDIA_STORAGE_SOP_INSTANCE_UID:
        return None
    if parts is not None and isinstance(shown.content, str) and parts.search(shown.content):
        return Why.COPY
    if tag == PIXEL_DATA:
        return Why.BURNED_IN if _may_show_text(after) else None
    if tag == _ENCAPSULATED_DOCUMENT:
        return Why.DOCUMENT
    if tag >> 16 & 1:
        return None if _is_safe(step) else Why.PRIVATE
    why = _BY_VR.get(shown.vr)
    if why is Why.UID and shown.content in UIDS:
        return None
    if why in _ALWAYS:
        return why
    return (why or Why.STANDARD) if _is_in_standard(tag) else None


def _may_show_text(after: Elements) -> bool:
    said = {steps[0].tag: shown.text for steps, shown in after.items() if len(steps) == 1}
    if (annotation := said.get(_BURNED_IN_ANNOTATION)) in {"YES", "NO"}:
        return annotation == "YES"
    return said.get(_MODALITY, "") in _PIXELS_WITH_TEXT


def _changed_identities(before: Elements, after: Elements) -> re.Pattern[str] | None:
    """Returns what finds the parts of identities that were changed; None when none was."""
    parts = {
        part
        for steps, shown in before.items()
        if shown.steps[-1].tag in _IDENTITIES and isinstance(shown.content, str)
        if (new := after.get(steps)) is None or new.content != shown.content
        for part in _parts(shown.content)
    }
    if not parts:
        return None
    longest_first = sorted(parts, key=lambda part: (-len(part), part))
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)", re.IGNORECASE)


def _parts(text: str) -> Iterator[str]:
    for value in text.split("\\"):
        for part in (value.strip(), *re.split(r"[\^=\s,;]+", value)):
            if len(part) >= _MIN_PART:
                yield part


def _is_safe(step: Step) -> bool:
    # PS3.5 7.8.1: a creator itself says who made the machine.
    if step.creator is None:
        return step.tag & 0xFFFF < 0x1000
    element = PrivateElement(step.tag >> 16, step.creator, step.tag & 0xFF)
    safe = safe_private().get(element)
    return safe is not None and safe.treatment == "keep"


def _is_in_standard(tag: int) -> bool:
    tags, ranges = _table()
    return tag in tags or any(tag & mask == value for value, mask in ranges)


@cache
def _table() -> tuple[frozenset[int], tuple[tuple[int, int], ...]]:
    tags, ranges = set(), []
    for attribute in attributes():
        match attribute.element:
            case Element(tag):
                tags.add(tag)
            case RepeaterElement(value, mask):
                ranges.append((value, mask))
            case None:
                pass
    return frozenset(tags), tuple(ranges)
