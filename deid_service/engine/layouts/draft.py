"""A layout while it is learned: the parts of its regular expression, and what is done."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import groupby
from operator import attrgetter
from typing import Final

from deid_service.engine.encoding.charsets import CharacterSets
from deid_service.engine.encoding.dictionary import vr_of
from deid_service.engine.encoding.headers import (
    HEADER,
    ITEM_BYTES,
    LONG_HEADER,
    SHORT_VRS,
    Encoding,
)
from deid_service.engine.encoding.tags import SPECIFIC_CHARACTER_SET
from deid_service.engine.layouts.layout import (
    Change,
    Identifier,
    Layout,
    Note,
    PassedBlock,
    Size,
    Variable,
)
from deid_service.engine.rules.fits import Fit
from deid_service.engine.rules.ops import Rewritten
from deid_service.engine.rules.rules import Rules

# A value that differs in length between files may be as long as any that was seen,
# and by so many bytes longer or shorter.
_MARGIN: Final = 8

# Where nothing else was seen, numbers are taken to differ in length, as those of the
# slices of a series do.
_NUMBERS: Final = frozenset({"DS", "DT", "IS", "TM", "UI"})

# An element whose length differs more is left to the walk.
_MAX_SPREAD: Final = 128

# What the lengths of one layout may add up to: an expression is compiled in
# about a tenth of a millisecond for ten of them.
_MAX_LENGTHS: Final = 1024


def _compiled(expression: bytes) -> re.Pattern[bytes]:
    """Compiles an expression that the process is not to keep when it is forgotten here.

    `re.compile` keeps the last 512 of a process: of layouts some 200 KB each, of files made
    for it four times as much. What it does beside that is one call. A Python without it
    keeps them; a test says so.
    """
    compiler = getattr(re, "_compiler", None)
    if compiler is None:
        return re.compile(expression, re.DOTALL)
    compiled: re.Pattern[bytes] = compiler.compile(expression, int(re.DOTALL))
    return compiled


def _behind(group: int) -> bytes:
    """Returns the expression for an element of a higher group, in little endian; 0: anything."""
    if not group:
        return b""
    low, high = group & 0xFF, group >> 8
    above = b"[%b-\\xff]" % re.escape(bytes([low + 1])) + re.escape(bytes([high]))
    if high < 0xFF:
        above += b"|.[%b-\\xff]" % re.escape(bytes([high + 1]))
    return b"(?=%b)" % above


class Role(Enum):
    """What becomes of a part of a layout."""

    KEPT = auto()
    CHANGED = auto()
    DROPPED = auto()
    INSERTED = auto()
    # The length of a sequence or an item in which something is changed.
    SIZE = auto()


# What has a group for itself.
_ALONE: Final = frozenset({Role.CHANGED, Role.INSERTED, Role.SIZE})

_NO_ITEM: Final = b"(?!%b)" % re.escape(ITEM_BYTES)


@dataclass(slots=True)
class Part:
    """Something that the expression says.

    Attributes:
        role: what becomes of it.
        head: bytes that must stand there.
        shortest: how many bytes have followed, at the least.
        longest: how many bytes have followed, at the most.
        margin: by how many bytes more or less may follow.
        odd: an odd number of bytes has followed.
        width: of the length field that stands between, in bytes; 0 where the
            head has the length.
        guarded: what follows must not begin like an item.
        tag: of the element of the top level.
        change: what is done to a changed element.
        content: for a size, the length that it says; for an insertion, its bytes.
        changing: for a size, what does not keep its length inside.
        group: of the expression; -1 for what is in none.
        fit: what the value is made of; None where it may be anything.
    """

    role: Role
    head: bytes
    shortest: int = 0
    longest: int = 0
    margin: int = 0
    odd: bool = False
    width: int = 0
    guarded: bool = False
    tag: int = 0
    change: Change | None = None
    content: int = 0
    changing: list[Part] = field(default_factory=list)
    group: int = -1
    fit: Fit | None = None

    @classmethod
    def of_value(cls, role: Role, head: bytes, length: int, width: int, vr: str | None) -> Part:
        """Returns an element, or an item, whose value may be anything.

        Args:
            role: what becomes of it.
            head: its header, but for a length field that may differ.
            length: of its value, in bytes.
            width: of that field; 0 where its length is in the head.
            vr: of the element; None for an item.
        """
        margin = _MARGIN if width and vr in _NUMBERS else 0
        return cls(role, head, length, length, margin, bool(length % 2), width)

    def expression(self) -> bytes:
        """Returns the part as a regular expression."""
        if not self.width:
            return re.escape(self.head) + self._following(self.longest)
        # The lengths exclude each other: nothing is tried twice. Those that were seen come first.
        cases = [
            re.escape(length.to_bytes(self.width, "little")) + self._following(length)
            for length in sorted(self.possible(), key=self._unseen)
        ]
        # To enter a group takes as long as all the rest of such an element.
        following = cases[0] if len(cases) == 1 else b"(?>%b)" % b"|".join(cases)
        return re.escape(self.head) + following

    @property
    def size(self) -> int:
        """How many bytes it is, where a length around it says so."""
        return len(self.head) + self.longest

    @property
    def spread(self) -> int:
        """By how many bytes the lengths have differed."""
        return self.longest - self.shortest

    def possible(self) -> range:
        """Returns the lengths that the expression lets through."""
        shortest = max(self.shortest - self.margin, 0)
        longest = self.longest + self.margin
        # PS3.5 7.1.1: values have even lengths; those seen may be otherwise.
        return range(shortest, longest + 1) if self.odd else range(shortest, longest + 1, 2)

    def _unseen(self, length: int) -> int:
        """Returns how far a length is from those that were seen."""
        return max(self.shortest - length, length - self.longest, 0)

    def _following(self, length: int) -> bytes:
        guard = _NO_ITEM if self.guarded and length >= HEADER else b""
        if self.fit is not None and length:
            return guard + self.fit.expression(length)
        return guard + (b".{%d}" % length if length else b"")


class Draft:
    """A layout as it is learned, open for more lengths.

    Attributes:
        key: its first tag, as four bytes.
        parts: of the expression.
        first_tag: of its first element.
        last_tag: of its last element.
        first_insertion: see `Layout`.
        next_insertion: see `Layout`.
        inserted: see `Layout`.
        charsets: in force behind it; None where it declares none.
        notes: see `Layout`.
        blocks: see `Layout`.
        behind: the private group that it ends with; 0 where it ends with none.
        files: in how many it was seen.
        due: in how many it is seen when it is compiled next.
    """

    def __init__(self, key: bytes, first_tag: int, first_insertion: int) -> None:
        self.key = key
        self.parts: list[Part] = []
        self.first_tag = self.last_tag = first_tag
        self.first_insertion = self.next_insertion = first_insertion
        self.inserted: tuple[tuple[int, int], ...] = ()
        self.charsets: CharacterSets | None = None
        self.notes: list[Note] = []
        self.blocks: tuple[PassedBlock, ...] = ()
        self.behind = 0
        self.files = 1
        self.due = 2
        self._constants: dict[int, bytes] = {}
        self._finals: dict[int, str | None] = {}
        self._counts: dict[str, int] = {}
        self._groups = 0
        # Whether more lengths are known than when it was compiled.
        self._is_new = True
        self._compiled: Layout | None = None

    # --- as the walk goes along it ---

    def insert(self, element: bytes, tag: int, final: str | None) -> None:
        """Adds an inserted element, with its value where that is needed elsewhere."""
        if not self.parts or self.parts[-1].role is not Role.INSERTED:
            self.add(Part(Role.INSERTED, b""))
        group = self.parts[-1].group
        self._constants[group] = self._constants.get(group, b"") + element
        if final is not None:
            self.notes.append(Note(tag, vr_of(tag), group + 1))
            self._finals[tag] = final

    def pass_absent(self, tag: int, *, final: bool) -> None:
        """Adds the place of an element that is needed elsewhere, and has not been in the draft."""
        if any(note.tag == tag for note in self.notes):
            return
        self.notes.append(Note(tag, None, 0))
        if final:
            self._finals.setdefault(tag, None)

    def count(self, names: Iterable[str]) -> None:
        """Counts a changed element."""
        for name in names:
            self._counts[name] = self._counts.get(name, 0) + 1

    def add(self, part: Part) -> None:
        """Adds a part."""
        before = self.parts[-1].role if self.parts else None
        if part.role in _ALONE or part.role is not before:
            self._groups += part.role is not Role.DROPPED
        self.parts.append(part)
        part.group = -1 if part.role is Role.DROPPED else self._groups - 1
        change = part.change
        if change is not None:
            if isinstance(change.op, Rewritten):
                self.count(change.op.names)
            if change.op.final:
                self.notes.append(Note(change.tag, change.vr, part.group + 1))

    # --- as it is seen again ---

    def shape(self) -> tuple[object, ...]:
        """Returns what two drafts that differ in nothing but lengths share."""
        return (
            [(part.role, part.head, part.fit) for part in self.parts],
            self._constants,
            self.notes,
            self.first_insertion,
            self.inserted,
            self._counts,
            self.blocks,
            self.behind,
        )

    def join(self, other: Draft) -> None:
        """Takes over what a file has shown that has the same shape."""
        self.files += 1
        for part, its in zip(self.parts, other.parts, strict=True):
            if its.shortest < part.shortest or part.longest < its.longest:
                part.shortest = min(part.shortest, its.shortest)
                part.longest = max(part.longest, its.longest)
                part.margin = _MARGIN
                self._is_new = True
            if its.guarded and not part.guarded:
                part.guarded = True
                self._is_new = True
            if its.odd and not part.odd:
                part.odd = True
                self._is_new = True

    def unlike(self, other: Draft) -> set[int]:
        """Returns the tags of what differs in a draft with the same elements; else nothing."""
        ours, its = self._by_tag(), other._by_tag()
        # Text is read in the character sets that a layout was learned with.
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

    def widest(self) -> int | None:
        """Returns the tag of the element whose length differs too much, if one does."""
        widest = max(self.parts, key=attrgetter("spread"))
        if self._lengths() > _MAX_LENGTHS:
            for part in self.parts:
                if not part.spread:
                    part.margin = 0
        is_wide = widest.spread > _MAX_SPREAD or self._lengths() > _MAX_LENGTHS
        return widest.tag if is_wide else None

    def _lengths(self) -> int:
        return sum(len(part.possible()) - 1 for part in self.parts)

    @property
    def used(self) -> int:
        """How often the layout was found, of late."""
        return 0 if self._compiled is None else self._compiled.used

    # --- as a layout ---

    @property
    def compiled(self) -> Layout | None:
        """The layout, once there is one."""
        return self._compiled

    def compile(self, rules: Rules, encoding: Encoding) -> Layout:
        """Returns the layout, at the top level and in an encoding."""
        self.due = self.files * 2
        if self._is_new or self._compiled is None:
            used = self.used
            self._compiled = self._layout(rules, encoding)
            self._compiled.used = used
            self._is_new = False
        self._compiled.used //= 2
        return self._compiled

    def _layout(self, rules: Rules, encoding: Encoding) -> Layout:
        profile, node = rules.profile, rules.top
        watched = profile.watched
        noted = frozenset(note.tag for note in self.notes)
        compiled = _compiled(b"".join(self._expressions()) + _behind(self.behind))
        return Layout(
            match=compiled.match,
            tail=compiled.groups,
            encoding=encoding,
            constants=tuple(self._constants.items()),
            variables=tuple(self._variables()),
            sizes=tuple(self._sizes()),
            notes=tuple(self.notes),
            watched=noted,
            finals=self._finals,
            counts=self._counts,
            charsets=self.charsets,
            first_tag=self.first_tag,
            last_tag=self.last_tag,
            first_insertion=self.first_insertion,
            next_insertion=self.next_insertion,
            inserted=self.inserted,
            begins=(
                not self.first_insertion
                and self.first_tag <= watched[0]
                and profile.finals <= noted
            ),
            ends=(
                self.next_insertion == len(node.insertion_tags)
                and watched[-1] <= self.last_tag
                and not node.private_insertions
            ),
            patient=self._patient(profile.says_patient),
            blocks=self.blocks,
        )

    def _patient(self, tags: frozenset[int]) -> tuple[Identifier, ...] | None:
        """Returns where the values are of elements that say who the patient is."""
        if not tags or self.last_tag < max(tags):
            return None
        found = []
        for part in self.parts:
            change = part.change
            if part.tag in tags and part.role is not Role.INSERTED:
                if change is None or not change.op.patient:
                    return None
                start = HEADER if change.found_vr in {None, *SHORT_VRS} else LONG_HEADER
                found.append((change.tag, part.group, start, change.charsets))
        return tuple(found)

    def _variables(self) -> Iterator[Variable]:
        for part in self.parts:
            if (change := part.change) is not None:
                final_tag = change.tag if change.op.final else None
                yield part.group, change.op, change.encoding, final_tag, change

    def _sizes(self) -> Iterator[Size]:
        for part in self.parts:
            if part.role is Role.SIZE:
                groups = tuple(each.group for each in part.changing if each.group >= 0)
                rest = part.content - sum(each.size for each in part.changing)
                yield Size(part.group, rest, groups)

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
