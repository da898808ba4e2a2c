"""The levels that are open during the walk over a data set."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable
from enum import Enum, auto
from typing import Final

from deid_service.engine.charsets import CharacterSets
from deid_service.engine.elements import Encoding
from deid_service.engine.output import Buffer, Slot
from deid_service.engine.plan import Children, Node, Op

# Beyond every tag and every offset: the end of a level that says its own.
END: Final = 1 << 62


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


def _no_op(tag: int) -> Op | None:  # noqa: ARG001
    return None


class Level:
    """A data set, a sequence, or the fragments of encapsulated pixel data.

    Attributes:
        kind: what follows at this level.
        encoding: of what follows.
        end: the absolute offset of its end, or END where a delimiter says it.
        undefined: a delimiter ends it.
        node: what is done to its elements; None where nothing is.
        lookup: `Node.lookup`.
        boundary: the first tag at which something is due: an insertion, or an
            entry of the agenda.
        delta: what was added to its contents, in bytes.
    """

    __slots__ = (
        "agenda", "boundary", "charsets", "children", "converted", "creator_slots", "creators",
        "crossed", "delta", "dropped", "encoding", "end", "group_delta", "group_slot",
        "group_unsure", "index", "inserted", "kind", "length_slot", "lookup", "next_insertion",
        "node", "offset", "tag", "tentative", "undefined",
    )  # fmt: skip

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
        self.lookup: Callable[[int], Op | None] = _no_op if node is None else node.lookup
        self.index = 0
        self.delta = 0
        # The sequence is not written at all.
        self.dropped = False
        # It had a defined length, and is written with an undefined one.
        self.converted = False
        self.length_slot: LengthSlot | None = None
        self.tentative: Slot | None = None
        self.group_slot: HeldSlot | None = None
        self.group_delta = 0
        self.group_unsure = False
        self.creators: dict[int, str] = {}
        self.creator_slots: dict[int, HeldSlot] = {}
        # What is due, by tag: (tag, number, what to do when that tag is passed).
        self.agenda: list[tuple[int, int, Callable[[Level, int], None]]] = []
        self.next_insertion = 0
        # The tag that was last crossed to, and which insertions were made then.
        self.crossed = -1
        self.inserted: list[tuple[int, int]] = []
        self.boundary = END
        self.set_boundary()

    def set_boundary(self) -> None:
        """Finds the first tag at which something is due."""
        boundary = END
        if self.node is not None:
            tags = self.node.insertion_tags
            if self.next_insertion < len(tags):
                boundary = tags[self.next_insertion]
        if self.agenda and self.agenda[0][0] < boundary:
            boundary = self.agenda[0][0]
        self.boundary = boundary

    def schedule(self, tag: int, action: Callable[[Level, int], None]) -> None:
        """Has something done when an element of this tag or a later one is reached.

        Args:
            tag: the tag.
            action: called with the level and the tag that was reached, before
                the element is looked at; END at the end of the level.
        """
        insort(self.agenda, (tag, len(self.agenda), action), key=lambda entry: entry[:2])
        self.boundary = min(self.boundary, tag)

    def insertion_made(self, tag: int) -> bool:
        """Whether an element was inserted here before the walk found it out of order."""
        if self.node is None or tag >= self.crossed:
            return False
        tags = self.node.insertion_tags
        return any(tag in tags[start:stop] for start, stop in self.inserted)
