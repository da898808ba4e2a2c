"""Stretches of elements, told at once by one regular expression.

The files of a series are laid out alike: the same elements follow each other,
most of them with the same lengths. What the walk does along such a stretch is
learned once (`learning.py`). The expression says which element headers there are,
and how long the values may be; it looks at no value but the few that say how to
read others. Its groups are the pieces of the output: runs that are passed on, and
elements that a rule changes. Where a file differs, the expression does not match,
and the walk goes on element by element, as it does at whatever is not learned.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from deid_service.engine.encoding.charsets import CharacterSets
from deid_service.engine.encoding.headers import Encoding
from deid_service.engine.errors import DicomError
from deid_service.engine.rules.ops import Kept, Rewritten
from deid_service.engine.rules.rewriting import Around, Memo, Place, became
from profile_service.language.model import Settings


class Changed(NamedTuple):
    """A rule changes an element, or what it becomes is needed elsewhere.

    Attributes:
        op: what is done to it: a repeatable case.
        tag: of the element.
        vr: that its value is read and written with.
        found_vr: as it stands in the header; None in implicit VR.
    """

    op: Kept | Rewritten
    tag: int
    vr: str
    found_vr: str | None


class Size(NamedTuple):
    """The length of a sequence or an item in which something is changed.

    Attributes:
        rest: how many bytes are in it beside what is changed.
        changed: the groups of what is changed.
    """

    rest: int
    changed: tuple[int, ...]


class Step(NamedTuple):
    """Something to be done along a stretch.

    Attributes:
        group: of the expression, for what is changed or inserted.
        what: an element that is changed, elements that are inserted, a length around
            what is changed, or character sets that are in force from here on.
    """

    group: int
    what: Changed | bytes | Size | CharacterSets


class Passage:
    """A stretch of one file.

    Attributes:
        stretch: that it is.
        match: of its expression.
        changed: the output, up to the tail.
        tail: where in the input that begins which is passed on as it came.
        end: where in the input the stretch ends.
        finals: the resulting values that are needed elsewhere, by tag; None for
            an absent element.
        charsets: in force behind it.
        counts: how many elements each action changed, by its name.
    """

    __slots__ = ("changed", "charsets", "counts", "end", "finals", "match", "stretch", "tail")

    def __init__(
        self,
        stretch: Stretch,
        match: re.Match[bytes],
        charsets: CharacterSets,
        settings: Settings,
        memo: Memo,
    ) -> None:
        """Does what is to be done along a stretch.

        Args:
            stretch: the stretch.
            match: of its expression.
            charsets: in force before it.
            settings: of the profile.
            memo: what became of elements before.

        Raises:
            DicomError: an element cannot be changed.
        """
        pieces = list(match.groups())
        finals = stretch.finals.copy()
        counts = stretch.counts.copy()
        recall = memo.get
        encoding = stretch.encoding
        for group, what in stretch.steps:
            if isinstance(what, Changed):
                op, tag, vr, found_vr = what
                known = recall(pieces[group])
                if known is not None and known[0] is op and known[1] is encoding:
                    result = known[2]
                else:
                    around = Around(encoding, charsets, settings, memo)
                    result = became(op, Place(tag, vr, 0), found_vr, pieces[group], around)
                if result[0] is not None:
                    pieces[group] = result[0]
                elif isinstance(op, Rewritten):
                    for name in op.names:
                        counts[name] -= 1
                        if not counts[name]:
                            del counts[name]
                if op.final:
                    finals[tag] = result[2]
            elif isinstance(what, bytes):
                pieces[group] = what
            elif isinstance(what, Size):
                size = what.rest + sum(len(pieces[each]) for each in what.changed)
                pieces[group] = size.to_bytes(4, "little")
            else:
                charsets = what
        self.stretch = stretch
        self.match = match
        self.changed = b"".join(pieces)
        self.tail = match.end(stretch.tail)
        self.end = match.end()
        self.finals = finals
        self.charsets = charsets
        self.counts = counts

    def count(self, names: Iterable[str]) -> None:
        """Counts another changed element."""
        for name in names:
            self.counts[name] = self.counts.get(name, 0) + 1


@dataclass(slots=True, eq=False)
class Stretch:
    """What is done along a stretch.

    Attributes:
        match: the compiled expression, asked at an offset of the input. All that
            comes out, but for what rules change or insert, is in its groups, and
            behind the last of them.
        tail: the number of the last group.
        encoding: of the elements.
        steps: in their order.
        notes: elements needed elsewhere, in their order: the tag, the VR, and the
            number of the group; None in place of the VR for absent ones.
        finals: the resulting values of absent and inserted ones that are needed
            elsewhere.
        counts: how many elements are dropped, inserted or, but for those that stay
            as they came, changed, by the names of the actions.
        first_tag: of the first element.
        last_tag: of the last element.
        first_insertion: the first insertion of the node that is not due before
            the stretch.
        next_insertion: the first that is not due before its end.
        inserted: ranges of the insertions that are made, as `Level` keeps them.
        begins: nothing is due before it, and it tells all that is needed elsewhere.
        ends: nothing is due behind it.
        used: how often it was found, of late.
    """

    match: Callable[[bytes, int], re.Match[bytes] | None]
    tail: int
    encoding: Encoding
    steps: tuple[Step, ...]
    notes: tuple[tuple[int, str | None, int], ...]
    finals: dict[int, str | None]
    counts: dict[str, int]
    first_tag: int
    last_tag: int
    first_insertion: int
    next_insertion: int
    inserted: tuple[tuple[int, int], ...]
    begins: bool
    ends: bool
    used: int = 0


def find_passage(
    alike: Iterable[Stretch],
    buffer: bytes,
    position: int,
    charsets: CharacterSets,
    settings: Settings,
    memo: Memo,
) -> Passage | None:
    """Returns the passage of the first stretch that is found at a position, or None.

    What goes wrong on the way is left to the walk, which says it as it always does.

    Args:
        alike: the stretches that begin with the element there.
        buffer: the input.
        position: in it.
        charsets: in force.
        settings: of the profile.
        memo: what became of elements before.
    """
    for stretch in alike:
        match = stretch.match(buffer, position)
        if match is not None:
            try:
                passage = Passage(stretch, match, charsets, settings, memo)
            except DicomError:
                return None
            stretch.used += 1
            return passage
    return None
