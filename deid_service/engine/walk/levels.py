"""The levels that are open during the walk over a data set."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable
from enum import Enum, auto
from operator import itemgetter
from typing import Final

from deid_service.engine.encoding.charsets import CharacterSets
from deid_service.engine.encoding.headers import ITEM, Encoding
from deid_service.engine.layouts.layout import Layout
from deid_service.engine.rules.nodes import Children, Node
from deid_service.engine.rules.ops import Op
from deid_service.engine.walk.output import Buffer, Slot

# Beyond every tag and every offset: the end of a level that says its own.
END: Final = 1 << 62

# No level is passed over an item or a delimiter without a look at it.
_FIRST_DELIMITER: Final = ITEM & 0xFFFF0000


class Kind(Enum):
    """What follows at a level."""

    ELEMENTS = auto()
    ITEMS = auto()
    FRAGMENTS = auto()


class LengthSlot(Slot):
    """The length field of a sequence or item whose contents may change in size.

    Attributes:
        length: as read.
        delta: what has been added to the contents since, in bytes.
        waiting: values inside whose size is still open.
        closed: the end of the contents has been passed.
        big: numbers are big endian.
    """

    __slots__ = ("big", "closed", "delta", "length", "waiting")

    def __init__(self, offset: int, length: int, *, big: bool) -> None:
        super().__init__(offset)
        self.length = length
        self.delta = 0
        self.waiting = 0
        self.closed = False
        self.big = big

    def written(self) -> bytes:
        """Returns the length as it is now."""
        return (self.length + self.delta).to_bytes(4, "big" if self.big else "little")


class HeldSlot(Slot):
    """An element that stays or goes by what comes after it.

    Attributes:
        held: the element as it came.
    """

    __slots__ = ("held",)

    def __init__(self, offset: int, tag: int, held: Buffer) -> None:
        super().__init__(offset, tag)
        self.held = held


class PrivateBlock:
    """A block of private elements (PS3.5 7.8.1), as far as it has been seen.

    Attributes:
        creator: its private creator; None as long as there is none.
        known: that, where a rule names it; else None.
        slot: the creator, where it stays only for what is in the block.
        seen: a bit for each of its elements that something was done to.
        inserted: a bit for each of its elements that a rule has inserted.
        stays: whether one of its elements stays.
        scheduled: something is due behind the block.
        left_out: the creator was left out.
        made: the creator was inserted.
    """

    __slots__ = (
        "creator", "inserted", "known", "left_out", "made", "scheduled", "seen", "slot", "stays",
    )  # fmt: skip

    def __init__(self) -> None:
        self.creator: str | None = None
        self.known: str | None = None
        self.slot: HeldSlot | None = None
        self.seen = 0
        self.inserted = 0
        self.stays = False
        self.scheduled = False
        self.left_out = False
        self.made = False


# What is done to the elements of a level without rules.
_NOTHING: Final[dict[int, Op]] = {}

# What is due at a tag: called with the level and the tag that was reached.
Due = Callable[["Level", int], None]


class Watch:
    """Something due that only takes note of an element that was not there."""

    __slots__ = ("_passed", "tag")

    def __init__(self, tag: int, passed: Callable[[int], None]) -> None:
        """Watches for an element.

        Args:
            tag: of the element.
            passed: called with the tag when its place has been passed.
        """
        self.tag = tag
        self._passed = passed

    def __call__(self, level: Level, reached: int) -> None:  # noqa: ARG002
        """Says that the place has been passed."""
        self._passed(self.tag)


class BlockEnd:
    """Something due behind a block of private elements, which depends on them alone."""

    __slots__ = ("_passed",)

    def __init__(self, passed: Due) -> None:
        self._passed = passed

    def __call__(self, level: Level, reached: int) -> None:
        """Says that the block has been passed."""
        self._passed(level, reached)


class Level:
    """A data set, a sequence, or the fragments of encapsulated pixel data.

    There can be tens of thousands of levels in a file, so what only some of
    them need is made when it is needed.

    Attributes:
        kind: what follows at this level.
        encoding: of what follows.
        tag: of the sequence or the pixel data; None for the top level.
        offset: the absolute offset of its first byte.
        end: the absolute offset of its end, or of the end of what it is in.
        undefined: a delimiter ends it.
        charsets: in force for its elements.
        node: what is done to its elements; None where nothing is.
        children: what is done to its items; None where nothing is.
        lookup: `Node.lookup`.
        glance: `Node.glance`.
        of_creator: `Node.op_of_creator`, where anything is done.
        index: of the next item.
        delta: what was added to its contents, in bytes.
        encapsulated: pixel data at this level is encapsulated (PS3.5 A.4).
        dropped: it is not written at all.
        converted: it had a defined length, and is written with an undefined one.
        length_slot: its length field, where that can change.
        tentative: open while nothing inside is known to stay.
        group_slot: the group length of the group that is being read.
        group_ends: the tags at which groups end whose lengths were read.
        group_delta: `delta` when it was read.
        group_unsure: a value of the group is still open.
        blocks: of private elements, by group and block, as group << 8 | block.
        made_creators: the creators of blocks that were made, by group.
        boundary: the first tag at which something is due: an insertion, or an
            entry of the agenda.
        crossed: the last tag that was reached so, in the order of tags.
        next_insertion: the first of the node's insertions that is not due yet.
        inserted: ranges of them that were made.
    """

    index = 0
    delta = 0
    encapsulated = False
    dropped = False
    converted = False
    length_slot: LengthSlot | None = None
    tentative: Slot | None = None
    group_slot: HeldSlot | None = None
    group_delta = 0
    group_unsure = False
    boundary = _FIRST_DELIMITER
    crossed = -1
    next_insertion = 0
    inserted: tuple[tuple[int, int], ...] = ()

    def __init__(
        self,
        kind: Kind,
        encoding: Encoding,
        *,
        tag: int | None,
        offset: int,
        end: int,
        undefined: bool,
        charsets: CharacterSets,
        node: Node | None = None,
        children: Children | None = None,
    ) -> None:
        self.kind = kind
        self.encoding = encoding
        self.tag = tag
        self.offset = offset
        self.end = end
        self.undefined = undefined
        self.charsets = charsets
        self.node = node
        self.children = children
        if node is None:
            self.lookup: Callable[[int], Op | None] = _NOTHING.get
            self.glance: Callable[[int], Op | None] = _NOTHING.get
            return
        self.lookup = node.lookup
        self.glance = node.glance
        self.of_creator = node.op_of_creator
        self.blocks: dict[int, PrivateBlock] = {}
        self.group_ends: set[int] = set()
        self.made_creators: dict[int, set[str]] = {}
        self._agenda: list[tuple[int, Due]] = []
        if node.insertion_tags:
            self.boundary = node.insertion_tags[0]

    def schedule(self, tag: int, action: Due) -> None:
        """Has something done when an element of this tag or a later one is reached.

        Args:
            tag: the tag.
            action: called with the level and the tag that was reached, before
                the element is looked at; END at the end of the level.
        """
        if self._agenda and tag < self._agenda[-1][0]:
            insort(self._agenda, (tag, action), key=itemgetter(0))
        else:
            self._agenda.append((tag, action))
        self.boundary = min(self.boundary, tag)

    def next_due(self, tag: int) -> Due | tuple[int, int] | None:
        """Takes the next thing that is due before an element of a tag is looked at.

        Returns:
            An entry of the agenda, or a range of the node's insertions, or None
            when nothing is due any more.
        """
        if self.node is None:
            return None
        agenda = self._agenda
        tags = self.node.insertion_tags
        first = self.next_insertion
        if self.boundary == tag and not (agenda and agenda[0][0] <= tag):
            # The element is there: nothing is to be inserted.
            self.next_insertion = first + 1
            self._set_boundary()
        while self.boundary <= tag and self.boundary != _FIRST_DELIMITER:
            if agenda and (first >= len(tags) or agenda[0][0] <= tags[first]):
                due = agenda.pop(0)[1]
                self._set_boundary()
                return due
            stop = bisect_left(tags, min(tag, agenda[0][0]) if agenda else tag, first)
            self.next_insertion = stop
            if stop < len(tags) and tags[stop] == tag:
                # The element is there: nothing is to be inserted.
                self.next_insertion += 1
            self._set_boundary()
            if first < stop:
                self.inserted += ((first, stop),)
                return first, stop
            first = self.next_insertion
        self.crossed = max(self.crossed, tag)
        return None

    def can_leap(self, layout: Layout) -> bool:
        """Whether nothing else is due along a layout than what it says itself."""
        if layout.first_tag < self.crossed or layout.first_insertion != self.next_insertion:
            return False
        # Nothing is known of the private groups in it, nor of any behind them.
        if layout.blocks and self.blocks and max(self.blocks) >> 8 >= layout.blocks[0].number >> 8:
            return False
        return all(
            tag > layout.last_tag or (isinstance(due, Watch) and due.tag in layout.watched)
            for tag, due in self._agenda
        )

    def leap(self, layout: Layout) -> None:
        """Passes a layout that `can_leap` lets through, along which all was done."""
        self._agenda = [due for due in self._agenda if due[0] > layout.last_tag]
        self.next_insertion = layout.next_insertion
        self.inserted += layout.inserted
        self.crossed = layout.last_tag
        self._set_boundary()

    def insertion_made(self, tag: int) -> bool:
        """Whether an element was inserted here before the walk found it out of order."""
        if self.node is None or tag >= self.crossed:
            return False
        tags = self.node.insertion_tags
        return any(tag in tags[start:stop] for start, stop in self.inserted)

    def _set_boundary(self) -> None:
        boundary = _FIRST_DELIMITER
        if self.node is not None:
            tags = self.node.insertion_tags
            if self.next_insertion < len(tags):
                boundary = tags[self.next_insertion]
        if self._agenda:
            boundary = min(boundary, self._agenda[0][0])
        self.boundary = boundary
