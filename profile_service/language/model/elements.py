"""Which elements a rule or a base is about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from profile_service.language.model.patterns import Pattern

# PS3.10 table 7.1-1, type 1. The group length is no target of rules at all.
MANDATORY_IN_FILE_META: Final = frozenset((0x00020001, 0x00020002, 0x00020003, 0x00020010))


@dataclass(frozen=True, slots=True)
class Element:
    """One tag, as a 32-bit number: (0010,0020) is 0x00100020."""

    tag: int


@dataclass(frozen=True, slots=True)
class PrivateElement:
    """An element of a private creator's block, wherever the block is (PS3.5 7.8.1).

    Attributes:
        group: the group number, odd.
        creator: the private creator, as it stands in (gggg,0010-00FF), without
            trailing spaces.
        offset: the low byte of the element number.
    """

    group: int
    creator: str
    offset: int


@dataclass(frozen=True, slots=True)
class PrivateCreatorBlock:
    """All elements of a private creator's block, wherever the block is (PS3.5 7.8.1).

    Attributes:
        group: the group number, odd.
        creator: the private creator, as in a PrivateElement.
    """

    group: int
    creator: str


@dataclass(frozen=True, slots=True)
class RepeaterElement:
    """An element of every group of a repeating range (PS3.5 7.6), or all of even groups.

    A tag belongs to it when `tag & mask == value` and its group is even.
    """

    value: int
    mask: int

    @property
    def is_whole(self) -> bool:
        """Whether all elements of its groups belong to it."""
        return not self.mask & 0xFFFF


ElementRef = Element | PrivateElement | PrivateCreatorBlock | RepeaterElement


@dataclass(frozen=True, slots=True)
class PathSelector:
    """Elements by their place.

    Attributes:
        parents: the sequences on the way from the top level, each with the index
            of the item (from 0), or None for every item. Empty: the top level
            (and every depth where `Settings.recurse_sequence` says so). The
            sequence of a parent is an Element or a PrivateElement.
        element: the element itself.
    """

    parents: tuple[tuple[ElementRef, int | None], ...]
    element: ElementRef


@dataclass(frozen=True, slots=True)
class EveryDepthSelector(PathSelector):
    """An element at every depth (`**`), the top level too; `parents` is empty."""


@dataclass(frozen=True, slots=True)
class RegexSelector:
    """Elements at every depth whose dotted path matches from the start.

    The path is tried in its keyword spelling (in which a sequence without a keyword
    stands in hex) and in its hex spelling: `OtherPatientIDsSequence.0.PatientID`,
    `20011000.0.PatientID`, `00101002.0.00100020` (lower case). File meta elements are
    reached by name only.
    """

    pattern: Pattern


@dataclass(frozen=True, slots=True)
class VrSelector:
    """Elements at every depth whose values are read with one of some VRs.

    That is the VR of the element's header; in implicit VR, and for UN, the dictionary's,
    of private elements by their creators. An unknown element is UN, unless it shows
    itself to be a sequence. Private creators, group lengths, (0008,0005) and the file
    meta are not selected so.
    """

    vrs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OthersSelector:
    """Every element, at every depth, that no rule selects which runs before.

    What a VrSelector does not select is not selected so either.
    """


Selector = PathSelector | RegexSelector | VrSelector | OthersSelector
