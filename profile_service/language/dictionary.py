"""What the DICOM dictionaries (PS3.6, and the known private ones) say about elements."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from profile_service.language.dictionaries import (
    DICOM,
    PRIVATE,
    REPEATERS,
    UIDS,
    private_vr,
    public,
)
from profile_service.language.model import (
    Element,
    ElementRef,
    PrivateCreatorBlock,
    PrivateElement,
    RepeaterElement,
)

# The dictionary's mark for what has no VR: items and delimiters.
_NO_VR = "NONE"


class Entry(NamedTuple):
    """An element of the public dictionary.

    Attributes:
        keyword: empty where the dictionary has none.
        vrs: the VRs that it may have: `US or SS` gives both.
    """

    keyword: str
    vrs: tuple[str, ...]


def find_tag(tag: int) -> Entry | None:
    """Looks up a tag; a member of a repeating range gives the entry of the range."""
    found = public(tag)
    return None if found is None else _entry(found)


def find_repeater(repeater: RepeaterElement) -> Entry | None:
    """Looks up a repeating range."""
    return _repeaters().get(repeater)


def find_keyword(keyword: str) -> Element | RepeaterElement | None:
    """Looks up a keyword, in any letter case, retired ones and repeaters too."""
    known = keyword.lower()
    tag = _tags_by_keyword().get(known)
    return _repeaters_by_keyword().get(known) if tag is None else Element(tag)


def find_uid(name: str) -> str | None:
    """Looks up a UID of PS3.6 by its name or keyword, in any letter case."""
    return _uids_by_name().get(_plain(name))


@cache
def all_keywords() -> tuple[str, ...]:
    """All keywords of the public dictionary."""
    entries = (*DICOM.values(), *REPEATERS.values())
    return tuple(entry[4] for entry in entries if entry[4])


@cache
def all_sequences() -> tuple[int, ...]:
    """The tags of all sequences of the public dictionary."""
    return tuple(tag for tag, entry in DICOM.items() if entry[0] == "SQ")


@cache
def known_creators() -> frozenset[str]:
    """The private creators that the dictionary knows."""
    return frozenset(PRIVATE)


def vrs_of(element: ElementRef) -> tuple[str, ...]:
    """The VRs that an element may have; empty where no dictionary knows it."""
    if isinstance(element, PrivateElement):
        return _private_vrs(element)
    if isinstance(element, PrivateCreatorBlock):
        return ()
    entry = find_tag(element.tag) if isinstance(element, Element) else find_repeater(element)
    return () if entry is None else entry.vrs


def name_of(element: ElementRef) -> str:
    """The keyword of an element, or its tag in the spelling of the language."""
    match element:
        case PrivateElement(group, creator, offset):
            return f'({group:04X}, "{creator}", {offset:02X})'
        case PrivateCreatorBlock(group, creator):
            return f'({group:04X}, "{creator}", *)'
        case Element(tag):
            entry = DICOM.get(tag)
            return entry[4] if entry is not None and entry[4] else format_tag(tag)
        case RepeaterElement():
            found = find_repeater(element)
            return (
                found.keyword if found is not None and found.keyword else format_repeater(element)
            )


def format_tag(tag: int) -> str:
    """Writes a tag as (gggg,eeee)."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


@cache
def hex_path(path: str) -> str:
    """Writes the dotted path of an element with hex digits in place of keywords."""
    found = ((part, find_keyword(part)) for part in path.split("."))
    return ".".join(
        f"{element.tag:08x}" if isinstance(element, Element) else part for part, element in found
    )


def format_repeater(repeater: RepeaterElement) -> str:
    """Writes a repeating range as (ggxx,eeee)."""
    value, mask = f"{repeater.value:08X}", f"{repeater.mask:08X}"
    digits = "".join(
        "x" if known == "0" else digit for digit, known in zip(value, mask, strict=True)
    )
    return f"({digits[:4]},{digits[4:]})"


def repeater_from(pattern: str) -> RepeaterElement:
    """Reads eight hex digits of which some are `x`."""
    lower = pattern.lower()
    return RepeaterElement(
        value=int(lower.replace("x", "0"), 16),
        mask=int("".join("0" if digit == "x" else "f" for digit in lower), 16),
    )


def _entry(found: tuple[str, str, str, str, str]) -> Entry:
    vrs = () if found[0] in {"", _NO_VR} else tuple(found[0].split(" or "))
    return Entry(found[4], vrs)


@cache
def _uids_by_name() -> dict[str, str]:
    entries = UIDS.items()
    by_name = {_plain(entry[0]): uid for uid, entry in entries if entry[0]}
    return by_name | {_plain(entry[4]): uid for uid, entry in entries if entry[4]}


def _plain(name: str) -> str:
    return name.replace(" ", "").casefold()


@cache
def _repeaters() -> dict[RepeaterElement, Entry]:
    return {repeater_from(key): _entry(found) for key, found in REPEATERS.items()}


@cache
def _tags_by_keyword() -> dict[str, int]:
    # Numbers: a profile names a few of five thousand elements.
    return {entry[4].lower(): tag for tag, entry in DICOM.items() if entry[4]}


@cache
def _repeaters_by_keyword() -> dict[str, RepeaterElement]:
    return {
        entry.keyword.lower(): repeater for repeater, entry in _repeaters().items() if entry.keyword
    }


def _private_vrs(element: PrivateElement) -> tuple[str, ...]:
    # The block number is no part of the dictionary's key; 10 is the first one.
    tag = (element.group << 16) | 0x1000 | element.offset
    found = private_vr(tag, element.creator)
    # The dictionary's two notations for alternatives: `US or SS`, `OB_OW`. UN
    # says there that its authors do not know.
    return () if found in {None, "UN"} else tuple(found.replace("_", " or ").split(" or "))
