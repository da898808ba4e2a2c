"""A stretch while it is learned: the parts of its regular expression, and its steps."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import groupby
from operator import attrgetter
from typing import Final, NamedTuple

from deid_service.engine.encoding.charsets import CharacterSets
from deid_service.engine.encoding.dictionary import vr_of
from deid_service.engine.encoding.headers import HEADER, ITEM_BYTES, Encoding
from deid_service.engine.encoding.tags import SPECIFIC_CHARACTER_SET
from deid_service.engine.layouts.layout import Changed, Size, Step, Stretch
from deid_service.engine.rules.nodes import Node
from deid_service.engine.rules.ops import Kept, Rewritten

# A value that differs in length between files may be as long as any that was seen,
# and by so many bytes longer or shorter.
_MARGIN: Final = 8

# Where nothing else was seen, numbers are taken to differ in length, as those of the
# slices of a series do.
_NUMBERS: Final = frozenset({"DS", "DT", "IS", "TM", "UI"})

# An element whose length differs more is left to the walk.
_MAX_SPREAD: Final = 128

# What the lengths of one stretch may add up to: an expression is compiled in
# about a tenth of a millisecond for ten of them.
_MAX_LENGTHS: Final = 1024


class Role(Enum):
    """What becomes of a part of a stretch."""

    KEPT = auto()
    CHANGED = auto()
    DROPPED = auto()
    INSERTED = auto()
    # The length of a sequence or an item in which something is changed.
    SIZE = auto()


# What has a group for itself.
_ALONE: Final = frozenset({Role.CHANGED, Role.INSERTED, Role.SIZE})

_NO_ITEM: Final = b"(?!%b)" % re.escape(ITEM_BYTES)


class Header(NamedTuple):
    """An element header.

    Attributes:
        tag: of the element.
        found_vr: as it stands in the header; None in implicit VR.
        vr: the VR that the element has.
        position: where it begins in the input.
        start: where its value begins.
        width: of the length field, the last of the header, in bytes.
        length: of the value in bytes; None for an undefined one.
    """

    tag: int
    found_vr: str | None
    vr: str
    position: int
    start: int
    width: int
    length: int | None


@dataclass(slots=True)
class Part:
    """Something that the expression tells.

    Attributes:
        role: what becomes of it.
        head: bytes that must stand there.
        shortest: how many bytes have followed, at the least.
        longest: how many bytes have followed, at the most.
        margin: by how many bytes more or less may follow.
        width: of the length field that stands between, in bytes; 0 where the
            head says the length.
        guarded: what follows must not begin like an item.
        tag: of the element of the top level.
        change: what is done to a changed element, and its header.
        dropped: what a receipt counts for an element that is dropped, at its first
            part.
        content: for a size, the length that it says.
        changing: for a size, what does not keep its length inside.
        group: of the expression; -1 for what is in none.
    """

    role: Role
    head: bytes
    shortest: int = 0
    longest: int = 0
    margin: int = 0
    width: int = 0
    guarded: bool = False
    tag: int = 0
    change: tuple[Kept | Rewritten, Header] | None = None
    dropped: str | None = None
    content: int = 0
    changing: list[Part] = field(default_factory=list)
    group: int = -1

    @classmethod
    def of_value(cls, header: Header, head: bytes, width: int, *, guarded: bool) -> Part:
        """Returns an element, or an item, whose value may be anything."""
        assert header.length is not None
        margin = _MARGIN if width and header.vr in _NUMBERS else 0
        return cls(Role.KEPT, head, header.length, header.length, margin, width, guarded)

    def expression(self) -> bytes:
        """Returns the part as a regular expression."""
        if not self.width:
            return re.escape(self.head) + self._following(self.longest)
        # The lengths exclude each other: nothing is tried twice.
        cases = (
            re.escape(length.to_bytes(self.width, "little")) + self._following(length)
            for length in self.possible()
        )
        return re.escape(self.head) + b"(?>%b)" % b"|".join(cases)

    @property
    def size(self) -> int:
        """How many bytes it is, where a length around it says so."""
        return len(self.head) + self.longest

    @property
    def spread(self) -> int:
        """By how many bytes the lengths have differed."""
        return self.longest - self.shortest

    def possible(self) -> list[int]:
        """Returns the lengths that the expression lets through."""
        # PS3.5 7.1.1: values have even lengths; those seen may be otherwise.
        start = (max(self.shortest - self.margin, 0) + 1) & ~1
        even = range(start, self.longest + self.margin + 1, 2)
        return sorted({self.shortest, self.longest, *even})

    def _following(self, length: int) -> bytes:
        guard = _NO_ITEM if self.guarded and length >= HEADER else b""
        return guard + (b".{%d}" % length if length else b"")


@dataclass(frozen=True, slots=True)
class Learned:
    """What is done to one element of the top level.

    Attributes:
        end: the position behind it.
        parts: of the expression.
        declared: the character sets that are in force from here on.
    """

    end: int
    parts: list[Part]
    declared: CharacterSets | None = None


class Draft:
    """A stretch as it is learned, open for more lengths.

    Attributes:
        key: its first tag, as four bytes.
        parts: of the expression.
        files: in how many it was seen.
    """

    def __init__(self, key: bytes, first_tag: int, first_insertion: int) -> None:
        self.key = key
        self.parts: list[Part] = []
        self.steps: list[Step] = []
        self.files = 1
        self.first_tag = self.last_tag = first_tag
        self.first_insertion = self.next_insertion = first_insertion
        self.inserted: list[tuple[int, int]] = []
        self.notes: list[tuple[int, str | None, int]] = []
        self.finals: dict[int, str | None] = {}
        self.counts: dict[str, int] = {}
        self._groups = 0
        self._compiled: Stretch | None = None
        # Whether more lengths are known than when it was compiled.
        self._is_new = True

    def add(self, part: Part) -> int:
        """Adds a part, and returns the index of the group that it is in."""
        before = self.parts[-1].role if self.parts else None
        if part.role in _ALONE or part.role is not before:
            self._groups += part.role is not Role.DROPPED
        self.parts.append(part)
        part.group = -1 if part.role is Role.DROPPED else self._groups - 1
        return part.group

    def insert(self, elements: bytes, finals: dict[int, str]) -> None:
        """Adds inserted elements, and the values of those that are needed elsewhere."""
        group = self.add(Part(Role.INSERTED, b""))
        self.steps.append(Step(group, elements))
        self.notes += [(tag, vr_of(tag), group + 1) for tag in finals]
        self.finals |= finals

    def pass_absent(self, tag: int, *, final: bool) -> None:
        """Adds the place of an absent element that is needed elsewhere."""
        self.notes.append((tag, None, 0))
        if final:
            self.finals.setdefault(tag, None)

    def count(self, names: Iterable[str]) -> None:
        """Counts a changed element."""
        for name in names:
            self.counts[name] = self.counts.get(name, 0) + 1

    def take(self, tag: int, learned: Learned) -> None:
        """Adds the next element."""
        for part in learned.parts:
            part.tag = tag
            group = self.add(part)
            if part.dropped is not None:
                self.count((part.dropped,))
            if part.change is not None:
                op, header = part.change
                change = Changed(op, header.tag, header.vr, header.found_vr)
                self.steps.append(Step(group, change))
                if isinstance(op, Rewritten):
                    self.count(op.names)
                if op.final:
                    self.notes.append((tag, header.vr, group + 1))
        for part in learned.parts:
            if part.role is Role.SIZE:
                groups = tuple(each.group for each in part.changing if each.group >= 0)
                rest = part.content - sum(each.size for each in part.changing)
                self.steps.append(Step(part.group, Size(rest, groups)))
        if learned.declared is not None:
            self.steps.append(Step(0, learned.declared))
        self.last_tag = tag

    def shape(self) -> list[tuple[Role, bytes]]:
        """Returns what two drafts that differ in nothing but lengths share."""
        return [(part.role, part.head) for part in self.parts]

    def join(self, other: Draft) -> None:
        """Takes over what a file has shown that has the same shape."""
        self.files += 1
        for part, its in zip(self.parts, other.parts, strict=True):
            if its.shortest < part.shortest or part.longest < its.longest:
                part.shortest = min(part.shortest, its.shortest)
                part.longest = max(part.longest, its.longest)
                part.margin = _MARGIN
                self._is_new = True

    def unlike(self, other: Draft) -> set[int]:
        """Returns the tags of what differs in a draft with the same elements; else nothing."""
        ours, its = self._by_tag(), other._by_tag()
        # Text is read in the character sets that a stretch was learned with.
        ours.pop(SPECIFIC_CHARACTER_SET, None)
        its.pop(SPECIFIC_CHARACTER_SET, None)
        if list(ours) != list(its):
            return set()
        return {tag for tag in ours if ours[tag] != its[tag]}

    def _by_tag(self) -> dict[int, list[tuple[Role, bytes]]]:
        shapes: dict[int, list[tuple[Role, bytes]]] = {}
        for part in self.parts:
            if part.role is not Role.INSERTED:
                shapes.setdefault(part.tag, []).append((part.role, part.head))
        return shapes

    def wildest(self) -> int | None:
        """Returns the tag of the element whose length differs too much, if one does."""
        widest = max(self.parts, key=attrgetter("spread"))
        if self._lengths() > _MAX_LENGTHS:
            for part in self.parts:
                if not part.spread:
                    part.margin = 0
        is_wild = widest.spread > _MAX_SPREAD or self._lengths() > _MAX_LENGTHS
        return widest.tag if is_wild else None

    def _lengths(self) -> int:
        return sum(len(part.possible()) - 1 for part in self.parts)

    def stretch(self, node: Node, encoding: Encoding) -> Stretch:
        """Returns the stretch, at the top level and in an encoding."""
        if self._is_new or self._compiled is None:
            used = self.used
            self._compiled = self._stretch(node, encoding)
            self._compiled.used = used
            self._is_new = False
        self._compiled.used //= 2
        return self._compiled

    @property
    def used(self) -> int:
        """How often the stretch was found, of late."""
        return 0 if self._compiled is None else self._compiled.used

    def _stretch(self, node: Node, encoding: Encoding) -> Stretch:
        watched = node.rules.watched
        told = {tag for tag, _, _ in self.notes}
        compiled = re.compile(b"".join(self._expressions()), re.DOTALL)
        return Stretch(
            match=compiled.match,
            tail=compiled.groups,
            encoding=encoding,
            steps=tuple(self.steps),
            notes=tuple(self.notes),
            finals=self.finals,
            counts=self.counts,
            first_tag=self.first_tag,
            last_tag=self.last_tag,
            first_insertion=self.first_insertion,
            next_insertion=self.next_insertion,
            inserted=tuple(self.inserted),
            begins=(
                not self.first_insertion
                and self.first_tag <= watched[0]
                and node.rules.finals <= told
            ),
            ends=(
                self.next_insertion == len(node.insertion_tags)
                and watched[-1] <= self.last_tag
                and not node.private_insertions
            ),
        )

    def _expressions(self) -> Iterator[bytes]:
        """Yields the groups: runs of what stays, and each changed element.

        The last group is empty, and stands before what stays at the end: that is
        the longest run of all, and need not be copied.
        """
        runs = [
            (role, [part.expression() for part in run])
            for role, run in groupby(self.parts, attrgetter("role"))
        ]
        tail = runs.pop()[1] if runs[-1][0] is Role.KEPT else []
        for role, expressions in runs:
            if role in _ALONE:
                yield from (b"(%b)" % each for each in expressions)
            else:
                whole = b"".join(expressions)
                yield whole if role is Role.DROPPED else b"(%b)" % whole
        yield b"()"
        yield from tail
