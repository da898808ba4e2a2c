"""Layouts: what the walk does along elements that follow each other in many files.

The files of a series are laid out alike: the same elements follow each other, most
of them with the same lengths. A layout is a regular expression for such a stretch of
elements, and what the walk did along it.

The output is what the walk would have written: the expression fixes every byte that the
walk looked at, but for values that are made anew by the walk's own function, and what
else the walk decides by (the rules, the encoding, the character sets, what is due) is
what a layout is kept under or compared with. README.md says it point by point, and how
layouts are made.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from deid_service.engine.encoding.charsets import CharacterSets
from deid_service.engine.encoding.headers import Encoding
from deid_service.engine.errors import DicomError
from deid_service.engine.rules.budget import grown, unspent
from deid_service.engine.rules.memo import Memo
from deid_service.engine.rules.ops import Kept, Rewritten
from deid_service.engine.rules.rewriting import Around, Place, became
from profile_service.language.model import Settings


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """What is done to an element that a rule changes, or whose value is needed elsewhere.

    Attributes:
        op: what is done to it: a repeatable case.
        tag: of the element.
        vr: that its value is read and written with.
        found_vr: as it stands in the header; None in implicit VR.
        encoding: of the element: that of items can be another than that around them.
        charsets: that its value is in; None for those in force before the layout.
    """

    op: Kept | Rewritten
    tag: int
    vr: str
    found_vr: str | None
    encoding: Encoding
    charsets: CharacterSets | None


# A change, with what is looked at first of it: the group of the expression, the op, the
# encoding, and the tag where the resulting value is needed elsewhere. A plain tuple, as
# this is the innermost loop of a series.
Variable = tuple[int, Kept | Rewritten, Encoding, int | None, Change]


# What says who the patient is: tag, group, where the value begins in it, and the character
# sets that it is in; None for those in force before the layout.
Identifier = tuple[int, int, int, CharacterSets | None]


class Size(NamedTuple):
    """The length of a sequence or an item in which something is changed.

    Attributes:
        group: of the expression.
        rest: how many bytes are in it beside what is changed.
        changed: the groups of what is changed.
    """

    group: int
    rest: int
    changed: tuple[int, ...]


class Note(NamedTuple):
    """An element that is needed elsewhere.

    Attributes:
        tag: of the element.
        vr: of the element; None for one that is absent.
        group: number of the group that it is in.
    """

    tag: int
    vr: str | None
    group: int


class PassedBlock(NamedTuple):
    """A block of private elements (PS3.5 7.8.1) as the walk has left it.

    Attributes:
        number: group and block, as group << 8 | block.
        creator: its private creator; None where there is none.
        known: that, where a rule or the base names it.
        seen: a bit for each of its elements that something was done to.
        stays: whether one of its elements stays.
        left_out: whether its creator was left out.
    """

    number: int
    creator: str | None
    known: str | None
    seen: int
    stays: bool
    left_out: bool


@dataclass(slots=True, eq=False)
class Layout:
    """What is done along elements that follow each other.

    Attributes:
        match: the compiled expression, asked at an offset of the input, and with an end. All that
            comes out, but for what rules change or insert, is in its groups, and
            behind the last of them.
        tail: the number of the last group.
        encoding: of the data set.
        constants: what is inserted, by group.
        variables: what is changed, in their order.
        sizes: the lengths around what is changed, inner ones first.
        notes: elements needed elsewhere, in their order.
        watched: the tags of all of them.
        finals: the resulting values of absent and inserted ones that are needed
            elsewhere.
        counts: how many elements are dropped, inserted or, but for those that stay
            as they came, changed, by the names of the actions.
        charsets: in force behind it; None where it declares none.
        first_tag: of the first element.
        last_tag: of the last element.
        first_insertion: the first insertion of the node that is not due before it.
        next_insertion: the first that is not due before its end.
        inserted: ranges of the insertions that are made, as `Level` keeps them.
        begins: nothing is due before it, and it has all that is needed elsewhere.
        ends: nothing is due behind it.
        patient: what says who the patient is, in the order of the tags: tag, group, where the
            value begins in it, and the character sets; None where it is not all in the layout.
        blocks: of the private elements in it.
        used: how often it was found, of late.
    """

    match: Callable[[bytes, int, int], re.Match[bytes] | None]
    tail: int
    encoding: Encoding
    constants: tuple[tuple[int, bytes], ...]
    variables: tuple[Variable, ...]
    sizes: tuple[Size, ...]
    notes: tuple[Note, ...]
    watched: frozenset[int]
    finals: dict[int, str | None]
    counts: dict[str, int]
    charsets: CharacterSets | None
    first_tag: int
    last_tag: int
    first_insertion: int
    next_insertion: int
    inserted: tuple[tuple[int, int], ...]
    begins: bool
    ends: bool
    patient: tuple[Identifier, ...] | None
    blocks: tuple[PassedBlock, ...]
    used: int = 0


class Applied:
    """A layout, applied to a file.

    Attributes:
        layout: that it is.
        match: of its expression.
        changed: the output, up to the tail.
        tail: where in the input that begins which is passed on as it came.
        end: where in the input the layout ends.
        finals: the resulting values that are needed elsewhere, by tag; None for
            an absent element.
        charsets: in force behind it.
        counts: how many elements each action changed, by its name.
        memo: of the patient, where elements change by who that is.
    """

    __slots__ = (
        "changed",
        "charsets",
        "counts",
        "end",
        "finals",
        "layout",
        "match",
        "memo",
        "tail",
    )

    def __init__(
        self,
        layout: Layout,
        match: re.Match[bytes],
        charsets: CharacterSets,
        settings: Settings,
        memo: Memo,
    ) -> None:
        """Does what is to be done along a layout.

        Args:
            layout: the layout.
            match: of its expression.
            charsets: in force before it.
            settings: of the profile.
            memo: what became of elements before.

        Raises:
            DicomError: an element cannot be changed.
        """
        pieces = list(match.groups())
        finals = layout.finals.copy()
        counts = layout.counts.copy()
        recall = memo.get
        for group, constant in layout.constants:
            pieces[group] = constant
        for group, op, encoding, final_tag, change in layout.variables:
            known = recall(pieces[group])
            if known is not None and known[0] is op and known[1] is encoding:
                new, _, text = known[2]
            else:
                around = Around(encoding, change.charsets or charsets, settings, memo)
                place = Place(change.tag, change.vr, 0)
                new, _, text = became(op, place, change.found_vr, pieces[group], around)
            if new is not None:
                pieces[group] = new
            elif isinstance(op, Rewritten):
                for name in op.names:
                    counts[name] -= 1
                    if not counts[name]:
                        del counts[name]
            if final_tag is not None:
                finals[final_tag] = text
        for group, rest, changed in layout.sizes:
            size = rest + sum(len(pieces[each]) for each in changed)
            pieces[group] = size.to_bytes(4, "little")
        self.layout = layout
        self.match = match
        self.memo = memo
        self.changed = b"".join(pieces)
        self.tail = match.end(layout.tail)
        self.end = match.end()
        self.finals = finals
        self.charsets = layout.charsets or charsets
        self.counts = counts

    def count(self, names: Iterable[str]) -> None:
        """Counts another changed element."""
        for name in names:
            self.counts[name] = self.counts.get(name, 0) + 1


def apply_first(
    layouts: Iterable[Layout],
    buffer: bytes,
    position: int,
    charsets: CharacterSets,
    settings: Settings,
    memo: Memo,
    whole_until: int | None = None,
) -> Applied | None:
    """Applies the first layout that is found at a position; None where there is none.

    What goes wrong on the way is left to the walk, which says it as it always does.

    Args:
        layouts: those that begin with the element there.
        buffer: the input.
        position: in it.
        charsets: in force.
        settings: of the profile.
        memo: what became of elements before.
        whole_until: where the input ends, if no layout will do that is not all of the data
            set up to there; None where any will.
    """
    end = len(buffer) if whole_until is None else whole_until
    for layout in layouts:
        match = layout.match(buffer, position, end)
        if match is not None:
            if whole_until is not None and not (layout.ends and match.end() == end):
                return None
            before = grown()
            if memo.awaits_patient:
                of_patient = _of_patient(layout, match, charsets, memo)
                if of_patient is None:
                    return None
                memo = of_patient
            try:
                applied = Applied(layout, match, charsets, settings, memo)
            except DicomError:
                unspent(before)
                return None
            layout.used += 1
            return applied
    return None


def _of_patient(
    layout: Layout, match: re.Match[bytes], charsets: CharacterSets, memo: Memo
) -> Memo | None:
    """Returns the memo of the patient that a file says; None where it does not say one."""
    if layout.patient is None or not layout.begins:
        return None
    values = {}
    for tag, group, start, its in layout.patient:
        values[tag] = match[group + 1][start:]
        charsets = its or charsets
    return memo.of_values(values, charsets)
