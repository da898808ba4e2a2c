"""The levels of a data set as rules see them: for each tag, what is done there.

A `Node` stands for one level of a data set: the top level, or an item of a sequence.
Asked for a tag, it answers None (no rule touches the element: it is passed on as it came)
or a case of `ops.Op`. Answers are remembered, so that the rules of a profile are matched
once for a tag, not once for an element. What they can be about is known to `reach`, what
they do to an element to `cases`, and what they insert to `absent`.

Threads: nodes can be shared; see `remembered`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Final

from deid_service.engine.encoding.dictionary import keyword_of, vr_of
from deid_service.engine.encoding.headers import Encoding
from deid_service.engine.encoding.tags import FILE_META
from deid_service.engine.rules.absent import find_insertions, find_private_insertions
from deid_service.engine.rules.cases import Cases
from deid_service.engine.rules.in_force import InForce
from deid_service.engine.rules.ops import UNSEEN, ByCreator, ByVr, Case, Op
from deid_service.engine.rules.reach import Reach, Spot, items_made
from deid_service.engine.rules.remembered import Glanced, Remembered, Room
from deid_service.engine.rules.selection import Active, empties, last_of

# What a node, or the children of one, count for, in tags.
_NODE: Final = 16


class Node:
    """One level of a data set, and what is done to its elements.

    Attributes:
        reach: what rules reach here.
        deep: whether anything can be done inside of a sequence that no path names.
        acts: whether anything can be done here or below.
        uniform: whether the same is done at every depth below.
        lookup: returns what is done to an element, by its tag.
        glance: the same, but `UNSEEN` where that has to be worked out first, which takes
            long enough to be counted.
        file_meta_ops: what is done to the elements of the file meta: rules name them like
            those of the top level.
        insertions: what becomes of absent elements, by tag.
        insertion_tags: those tags, in their order.
        file_meta_insertions: the same in the file meta, which is no part of the data set
            (PS3.10 7.1).
        private_insertions: what is inserted into private blocks, by group.
        prepared: the insertions in bytes, by encoding: see `insertions.prepared`.
    """

    def __init__(self, nodes: Nodes, reach: Reach, room: Room) -> None:
        """Prepares a level; ops are worked out as tags are asked for.

        Args:
            nodes: makes those of the items below.
            reach: what rules reach here.
            room: for what is remembered.
        """
        self.reach = reach
        self._nodes = nodes
        self._room = room
        rules = reach.rules
        self._creators = rules.profile.creators
        self._cases = Cases(reach, room)
        self.deep = reach.is_deep
        self._by_creators: Remembered[tuple[int, str | None], Case | ByVr | None] = Remembered(
            self._cases.of, room
        )
        self._children: Remembered[tuple[int, str | None], Children | None] = Remembered(
            self._make_children, room
        )
        self._ops = Glanced()
        self.file_meta_ops: Remembered[int, Case | None] = Remembered(
            lambda tag: self._cases.make(tag, None, vr_of(tag)), room
        )
        self.lookup: Callable[[int], Op | None] = self._look_up
        self.glance: Callable[[int], Op | None] = self._ops.__getitem__
        if not reach.is_open:
            # Rules select only what they name; nothing else is remembered.
            self.lookup = self.glance = {
                tag: self._cases.of_tag(tag) for tag in reach.named_tags()
            }.get
        self.prepared: dict[Encoding, list[bytes | None]] = {}
        insertions = find_insertions(reach)
        self.insertions = {tag: insertions[tag] for tag in insertions if tag >> 16 != FILE_META}
        self.file_meta_insertions = {
            tag: insertions[tag] for tag in insertions if tag >> 16 == FILE_META
        }
        self.insertion_tags = sorted(self.insertions)
        self.private_insertions = find_private_insertions(reach)
        self.acts = self.deep or bool(reach.actives) or reach.top
        self.uniform = (
            not reach.top
            and not rules.profile.has_regex
            and not rules.has_tentative
            and all(active.anywhere for active in reach.actives)
        )

    def _look_up(self, tag: int) -> Op | None:
        op = self._ops[tag]
        if op is UNSEEN:
            op = self._ops[tag] = self._cases.of_tag(tag)
            self._room.count(1)
        return op

    def op(self, tag: int, creator: str | None, vr: str) -> Case | None:
        """Returns what is done to an element, a private one in the block of a creator.

        Args:
            tag: of the element.
            creator: the creator of its block; None for a public element, and where
                there is none.
            vr: that it is read with.
        """
        op = self.lookup(tag)
        if isinstance(op, ByCreator):
            op = self._by_creators[tag, self.known(creator)]
            assert not isinstance(op, ByCreator)
        return op.of[vr] if isinstance(op, ByVr) else op

    def acts_on(self, tag: int, vr: str) -> bool:
        """Whether anything is done to a public element that is read with a VR, or unknown yet."""
        op = self.glance(tag)
        return (op.of[vr] if isinstance(op, ByVr) else op) is not None

    def op_of_creator(self, tag: int, known: str | None) -> Case | ByVr | None:
        """Returns what is done to a private element whose case is `ByCreator`.

        Args:
            tag: of the element.
            known: what `known` says of the creator of its block.
        """
        return self._by_creators[tag, known]

    def forget(self) -> None:
        """Forgets what was worked out for tags."""
        self._ops.clear()
        self.file_meta_ops.clear()
        self._by_creators.clear()
        self._children.clear()

    def known(self, creator: str | None) -> str | None:
        """Returns a creator that a rule names; all others are alike, and none is kept."""
        return creator if creator in self._creators else None

    def touches_group(self, group: int) -> bool:
        """Whether an element of a group, or one below it, can change its length."""
        return self._cases.touches_group(group)

    def children(self, tag: int, creator: str | None) -> Children | None:
        """Returns the items of a sequence, or None where no rule reaches into it."""
        return self._children[tag, self.known(creator)]

    def _make_children(self, sequence: tuple[int, str | None]) -> Children | None:
        children = Children(self._nodes, self.reach, sequence)
        self._room.count(_NODE)
        return children if self.deep or children.reached or children.dummied else None

    def children_after(self, tag: int, creator: str | None) -> Children | None:
        """Returns the items made in a sequence that was emptied or dropped, or None."""
        rules, _ = self.reach.selecting(tag, creator, "SQ")
        children = Children(self._nodes, self.reach, (tag, creator), last_of(rules, empties))
        return children if children.wanted else None


class Children:
    """The items of one sequence of a node.

    Attributes:
        reached: whether a rule reaches into the sequence by its path.
        dummied: whether values in it that no rule selects become dummies.
        wanted: how many items it has at least, see `items_made`.
    """

    __slots__ = ("_actives", "_fixed", "_nodes", "_reach", "_tag", "dummied", "reached", "wanted")

    def __init__(
        self, nodes: Nodes, reach: Reach, sequence: tuple[int, str | None], after: int = -1
    ) -> None:
        """Finds the rules that reach into the sequence.

        Args:
            nodes: makes those of the items.
            reach: what rules reach where the sequence stands.
            sequence: its tag and, for a private one, its creator.
            after: only rules that run later than this one count, and only for
                what they insert: the sequence was emptied or removed before.
        """
        self._nodes = nodes
        self._reach = reach
        self._tag, creator = sequence
        self._actives = reach.into(self._tag, creator, after)
        self.reached = bool(self._actives)
        self.dummied = reach.dummies_within(self._tag, creator)
        self.wanted = items_made(self._actives)
        indexed = any(active.parent[1] is not None for active in self._actives)
        is_fixed = not (indexed or reach.rules.profile.has_regex)
        self._fixed = self._make(None) if is_fixed else None

    def item(self, index: int) -> Node:
        """Returns the node of an item, counted from 0."""
        return self._fixed or self._make(index)

    def _make(self, index: int | None) -> Node:
        below = [
            Active(active.order, active.rule, active.depth + 1, anywhere=False)
            for active in self._actives
            if (wanted := active.parent[1]) is None or wanted == index
        ]
        return self._nodes.below(self._reach, below, self._tag, index, dummied=self.dummied)


class Nodes:
    """The nodes of files of one kind; those that are alike are one."""

    def __init__(self, rules: InForce, room: Room) -> None:
        """Starts with none.

        Args:
            rules: that are in force for the files.
            room: for what is remembered.
        """
        self._rules = rules
        self._room = room
        self._below: dict[object, Node] = {}
        room.hold(self)

    @cached_property
    def top(self) -> Node:
        """The top level of a data set.

        Raises:
            DicomError: a regular expression of the profile takes too long.
        """
        return self._make(self._rules.actives, Spot(top=True))

    def below(
        self, above: Reach, reaching: list[Active], tag: int, index: int | None, *, dummied: bool
    ) -> Node:
        """Returns the node of an item.

        Args:
            above: of the level that the sequence stands in.
            reaching: the rules whose paths lead into the item.
            tag: of the sequence.
            index: of the item; may be None where nothing depends on it.
            dummied: values in it that no rule selects become dummies.
        """
        spot = Spot(top=False, dummied=dummied)
        key: object = (dummied, *((active.order, active.depth) for active in reaching))
        if self._rules.profile.has_regex:
            # How a sequence stands in a path of keywords.
            spelled = keyword_of(tag) or f"{tag:08x}"
            spot = spot._replace(
                keyword_path=f"{above.spot.keyword_path}{spelled}.{index}.",
                hex_path=f"{above.spot.hex_path}{tag:08x}.{index}.",
            )
            key = (key, spot.hex_path)
        node = self._below.get(key)
        if node is None:
            actives = [*reaching, *self._rules.everywhere]
            actives.sort(key=lambda active: active.order)
            node = self._below[key] = self._make(tuple(actives), spot)
            self._room.count(_NODE)
        return node

    def forget(self) -> None:
        """Forgets the nodes of items."""
        self._below.clear()

    def _make(self, actives: tuple[Active, ...], spot: Spot) -> Node:
        node = Node(self, Reach(self._rules, actives, spot), self._room)
        self._room.hold(node)
        return node
