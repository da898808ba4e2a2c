"""Private creators (PS3.5 7.8.1): whose an element is, and whether its creator stays."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from deid_service.engine.encoding.dictionary import private_vr_of
from deid_service.engine.errors import Reason
from deid_service.engine.layouts.layout import PassedBlock
from deid_service.engine.limits import MAX_CREATOR_BYTES, MAX_PRIVATE_BLOCKS
from deid_service.engine.rules.nodes import Node
from deid_service.engine.rules.ops import (
    SUPERSEDED,
    ByVr,
    Case,
    Dropped,
    Insertion,
    becomes_of,
)
from deid_service.engine.rules.rewriting import (
    Place,
)
from deid_service.engine.walk.insertions import Insertions
from deid_service.engine.walk.levels import (
    END,
    BlockEnd,
    HeldSlot,
    Level,
    PrivateBlock,
)
from deid_service.engine.walk.splicer import Found, Splicer
from deid_service.engine.walk.tentatives import Tentatives
from deid_service.engine.walk.values import Values
from profile_service.language.model import PrivateElement


class Creators:
    """Keeps account of the private blocks of the levels that are open.

    Attributes:
        open_blocks: how many they are.
    """

    def __init__(
        self, splicer: Splicer, values: Values, insertions: Insertions, tentatives: Tentatives
    ) -> None:
        self.open_blocks = 0
        self._splicer = splicer
        self._values = values
        self._insertions = insertions
        self._tentatives = tentatives

    def _block(self, level: Level, number: int) -> PrivateBlock:
        """Returns a block of private elements."""
        block = level.blocks.get(number)
        if block is None:
            if self.open_blocks >= MAX_PRIVATE_BLOCKS:
                raise self._splicer.error(
                    Reason.LIMIT_EXCEEDED,
                    f"more than {MAX_PRIVATE_BLOCKS} blocks of private elements",
                    number >> 8 << 16 | number & 0xFF,
                )
            self.open_blocks += 1
            block = level.blocks[number] = PrivateBlock()
        return block

    def act(self, level: Level, node: Node, found: Found) -> bool:
        """Takes note of a private creator (PS3.5 7.8.1), and keeps it while it is needed."""
        splicer = self._splicer
        if found.end == END:
            raise splicer.error(
                Reason.MALFORMED, "a private creator is not a short text", found.tag, found.vr
            )
        if found.end - found.start > MAX_CREATOR_BYTES:
            raise splicer.error(
                Reason.LIMIT_EXCEEDED,
                f"a private creator is longer than {MAX_CREATOR_BYTES} bytes",
                found.tag,
                found.vr,
            )
        if splicer.lacks(found.end - found.position):
            return False
        value = splicer.buffer[found.start : found.end].rstrip(b" \0")
        number = (found.tag >> 16 << 8) | (found.tag & 0xFF)
        block = self._block(level, number)
        self._note_creator(level, node, found, block, value.decode("latin-1").strip(" "))
        splicer.blocks.look_at(level)
        op = node.op(found.tag, None, "LO")
        if op is None:
            return splicer.pass_over(found)
        becomes = becomes_of(op)
        if becomes.named or not isinstance(becomes, Dropped):
            splicer.depend()
            if isinstance(becomes, Dropped):
                splicer.drop(level, found, becomes.name)
                return True
            if becomes.named and self._tentatives.open:
                self._tentatives.keep_all()
            place = Place(found.tag, found.vr or "LO", splicer.base + found.position)
            return self._values.act(level, found, becomes, place)
        if block.slot is not None and splicer.is_overdue(block.slot):
            self._keep_creator(block)
        if block.stays:
            return splicer.pass_over(found)
        held = splicer.buffer[found.position : found.end]
        slot = HeldSlot(splicer.base + found.position, found.tag, held)
        slot.give_up = lambda: self._keep_creator(block)
        name = becomes.name
        if block.slot is not None:
            # The same element twice: the last one counts, as other readers have it.
            splicer.depend()
            self._leave_out_creator(level, block, name)
        splicer.blocks.hold(level, slot, found)
        block.slot = slot
        block.left_out = False

        def passed(level: Level, reached: int) -> None:  # noqa: ARG001
            block.scheduled = False
            if block.slot is None:
                return
            if splicer.is_overdue(block.slot):
                self._keep_creator(block)
            else:
                self._leave_out_creator(level, block, name)

        if not block.scheduled:
            block.scheduled = True
            level.schedule((number << 8 | 0xFF) + 1, BlockEnd(passed))
        return True

    def _note_creator(
        self, level: Level, node: Node, found: Found, block: PrivateBlock, creator: str
    ) -> None:
        """Takes note of whose a block is.

        Raises:
            DicomError: something was done in the block, or for want of it, that is not
                right with the creator.
        """
        former, block.creator = block.creator, creator
        block.known = node.known(creator)
        group = found.tag >> 16
        first = group << 16 | (found.tag & 0xFF) << 8
        is_late = creator in level.made_creators.get(group, ()) or block.made
        if not is_late and block.seen and former != creator:
            is_late = former is not None or any(
                node.reach.depends_on_creator(first | offset, creator)
                for offset in range(0x100)
                if block.seen >> offset & 1
            )
        if is_late:
            raise self._splicer.error(
                Reason.MALFORMED,
                "a private creator stands behind elements that it says the meaning of",
                found.tag,
                found.vr,
            )

    def _leave_out_creator(self, level: Level, block: PrivateBlock, name: str) -> None:
        slot, block.slot = block.slot, None
        assert slot is not None
        block.left_out = True
        self._splicer.blocks.settle(slot, stays=False)
        level.delta -= len(slot.held)
        self._splicer.count((name,))

    def _keep_creator(self, block: PrivateBlock) -> None:
        slot, block.slot = block.slot, None
        if slot is not None:
            block.stays = True
            self._splicer.blocks.settle(slot, stays=True)

    def op_of(self, level: Level, node: Node, tag: int) -> tuple[Case | ByVr | None, str | None]:
        """Returns what is done to an element of a private block, and its creator.

        For what depends on the VR, `keep_creator_for` is to be called when that is known.

        Raises:
            DicomError: it stays, and its creator does not, or another's stands for it.
        """
        block = level.blocks.get(tag >> 8) or self._block(level, tag >> 8)
        self._splicer.blocks.rely_on(level, block)
        bit = 1 << (tag & 0xFF)
        if block.inserted & bit and not block.made:
            return SUPERSEDED, block.creator
        block.seen |= bit
        # What stands in a block that was made for a rule is not that creator's.
        op = node.op_of_creator(tag, None if block.made else block.known)
        if not isinstance(op, Dropped | ByVr):
            self.keep_block_of(block, tag)
        return op, None if block.made else block.creator

    def keep_creator_for(self, level: Level, tag: int, op: Case | None) -> None:
        """Has the creator of a private element stay, where what is done to it leaves it."""
        block = level.blocks.get(tag >> 8)
        if block is not None and not isinstance(op, Dropped):
            self.keep_block_of(block, tag)

    def keep_block_of(self, block: PrivateBlock, tag: int) -> None:
        """Has the creator of an element stay that stays."""
        if block.made or block.left_out:
            raise self._splicer.error(
                Reason.MALFORMED, "a private element stands apart from its private creator", tag
            )
        if block.slot is not None:
            self._keep_creator(block)
        block.stays = True

    def has_room(self, passed: Collection[PassedBlock]) -> bool:
        """Whether there may be so many blocks more."""
        return self.open_blocks + len(passed) <= MAX_PRIVATE_BLOCKS

    def go_on_behind(self, level: Level, passed: Iterable[PassedBlock]) -> None:
        """Takes note of the blocks of private elements that a layout has passed."""
        for number, creator, known, seen, stays, left_out in passed:
            block = self._block(level, number)
            block.creator, block.known, block.seen = creator, known, seen
            block.stays, block.left_out = stays, left_out

    def prepare(self, level: Level) -> None:
        """Has private elements inserted where their blocks have been seen."""
        if level.node is None:
            return
        for group, entries in level.node.private_insertions.items():
            level.schedule(group << 16 | 0x100, self._private_inserter(group, entries))

    def _private_inserter(
        self, group: int, entries: list[tuple[PrivateElement, Insertion]]
    ) -> Callable[[Level, int], None]:
        def insert(level: Level, reached: int) -> None:  # noqa: ARG001
            for element, insertion in entries:
                number = self._block_of(level, group, element.creator)
                tag = group << 16 | (number & 0xFF) << 8 | element.offset
                block = level.blocks[number]
                level.schedule(tag, self._one_private_inserter(tag, block, element, insertion))

        return insert

    def _one_private_inserter(
        self, tag: int, block: PrivateBlock, element: PrivateElement, insertion: Insertion
    ) -> Callable[[Level, int], None]:
        def insert(level: Level, reached: int) -> None:
            if reached != tag or block.made:
                self._keep_creator(block)
                block.inserted |= 1 << element.offset
                vr = private_vr_of(element.group, element.creator, element.offset) or "UN"
                self._insertions.insert(level, tag, vr, insertion)

        return insert

    def _block_of(self, level: Level, group: int, creator: str) -> int:
        """Returns the block of a creator in a group; makes one where there is none."""
        numbers = [number for number in level.blocks if number >> 8 == group]
        for number in numbers:
            if level.blocks[number].creator == creator:
                return number
        last = max(0x0F, max((number & 0xFF for number in numbers), default=0)) + 1
        if last > 0xFF:
            raise self._splicer.error(
                Reason.NOT_SUPPORTED, "a group has no room for a private creator"
            )
        number = group << 8 | last
        block = self._block(level, number)
        block.creator = creator
        block.made = block.stays = True
        level.made_creators.setdefault(group, set()).add(creator)
        self._insertions.insert(level, group << 16 | last, "LO", Insertion(creator))
        return number
