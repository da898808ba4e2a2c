"""Group lengths (PS3.5 7.2), which stay where their groups are as long as before."""

from __future__ import annotations

from functools import partial
from typing import Final

from deid_service.engine.walk.levels import (
    HeldSlot,
    Level,
)
from deid_service.engine.walk.splicer import Found, Splicer

# PS3.5 7.2: a group length is one UL.
_LENGTH: Final = 4


class GroupLengths:
    """Holds group lengths until their groups have passed."""

    def __init__(self, splicer: Splicer) -> None:
        self._splicer = splicer

    def act(self, level: Level, found: Found) -> bool:
        """Holds a group length until the group has passed (PS3.5 7.2).

        It stays where the group is as long as before, and goes where it is not:
        group lengths are retired.
        """
        splicer = self._splicer
        if found.end - found.start != _LENGTH:
            # No length of anything.
            splicer.replace(level, found, b"")
            return True
        if splicer.lacks(found.end - found.position):
            return False
        due = (found.tag >> 16) + 1 << 16
        if level.group_slot is not None:
            self._end_group(level)
        held = splicer.buffer[found.position : found.end]
        slot = HeldSlot(splicer.base + found.position, found.tag, held)
        slot.give_up = lambda: self._leave_out_group_length(level, slot)
        splicer.hold(slot, found)
        level.group_slot = slot
        level.group_delta = level.delta
        level.group_unsure = False
        if due not in level.group_ends:
            # Where lengths stand out of order, an earlier one may end there, too.
            level.group_ends.add(due)
            level.schedule(due, partial(self._pass_end, due))
        return True

    def _pass_end(self, due: int, level: Level, reached: int) -> None:  # noqa: ARG002
        """Ends a group whose end has been passed."""
        level.group_ends.discard(due)
        slot = level.group_slot
        if slot is not None and slot.tag is not None and slot.tag < due:
            self._end_group(level)

    def _end_group(self, level: Level) -> None:
        slot = level.group_slot
        assert slot is not None
        level.group_slot = None
        if slot.parts is not None:
            return
        changed = level.group_unsure or level.delta != level.group_delta
        if changed or self._splicer.is_overdue(slot):
            self._leave_out_group_length(level, slot)
        else:
            self._splicer.output.fill(slot, [slot.held])

    def _leave_out_group_length(self, level: Level, slot: HeldSlot) -> None:
        self._splicer.output.fill(slot, [])
        level.delta -= len(slot.held)
