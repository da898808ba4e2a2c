"""Sequences that stay only for what a rule names inside of them (remove-undefined)."""

from __future__ import annotations

from deid_service.engine.walk.levels import (
    Level,
)
from deid_service.engine.walk.output import Slot
from deid_service.engine.walk.splicer import Splicer


class Tentatives:
    """Holds sequences until something inside of them is known to stay.

    Attributes:
        open: how many are held.
    """

    def __init__(self, splicer: Splicer) -> None:
        self.open = 0
        self._splicer = splicer

    def keep_all(self) -> None:
        """Keeps all sequences that are held: something inside of them stays."""
        for level in [*self._splicer.stack, self._splicer.level]:
            if level.tentative is not None and level.tentative.parts is None:
                self.fill(level.tentative)

    def fill(self, slot: Slot) -> None:
        """Keeps a sequence that is held."""
        self._splicer.output.fill(slot, [])
        self.open -= 1

    def end(self, level: Level, above: Level, tentative: Slot) -> None:
        """Leaves out a sequence in which no rule named anything."""
        splicer = self._splicer
        if splicer.is_overdue(tentative):
            self.fill(tentative)
            above.delta += level.delta
            splicer.end_length(level)
            return
        if level.length_slot is not None and level.length_slot in splicer.cuts:
            splicer.cuts.remove(level.length_slot)
        splicer.flush(splicer.position)
        splicer.output.cut(tentative)
        self.open -= 1
        above.delta -= splicer.base + splicer.position - tentative.offset
        splicer.count(("remove-undefined",))
