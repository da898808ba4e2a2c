"""What is passed along layouts, instead of element by element."""

from __future__ import annotations

from deid_service.engine.layouts.layout import Applied, Layout, apply_first
from deid_service.engine.rules.rewriting import Place
from deid_service.engine.walk.creators import Creators
from deid_service.engine.walk.insertions import Insertions
from deid_service.engine.walk.levels import Level
from deid_service.engine.walk.notes import Notes
from deid_service.engine.walk.splicer import Splicer
from profile_service.language.model import Settings


class Leaps:
    """Passes what layouts say at the top level.

    Attributes:
        is_unlike: an element was met that a layout begins with, and none of them.
        applied_bytes: how much of the input went by layouts.
    """

    def __init__(
        self,
        splicer: Splicer,
        notes: Notes,
        insertions: Insertions,
        creators: Creators,
        settings: Settings,
    ) -> None:
        """Starts with nothing passed.

        Args:
            splicer: puts the output together.
            notes: what others need.
            insertions: does what is due before a layout.
            creators: keep account of private blocks.
            settings: of the profile.
        """
        self.is_unlike = False
        self.applied_bytes = 0
        self._splicer = splicer
        self._notes = notes
        self._insertions = insertions
        self._creators = creators
        self._settings = settings

    def leap(self, level: Level, alike: list[Layout]) -> None:
        """Passes what a layout at the position says, if there is one of those given."""
        splicer = self._splicer
        settings, memo = self._settings, self._notes.memo
        applied = apply_first(
            alike, splicer.buffer, splicer.position, level.charsets, settings, memo
        )
        if applied is None:
            self.is_unlike = True
            return
        layout = applied.layout
        if splicer.base + applied.end > splicer.max_held:
            # Something may have waited for too long.
            return
        if layout.first_tag >= level.boundary:
            self._insertions.reach(level, layout.first_tag)
        if level.can_leap(layout) and self._creators.has_room(layout.blocks):
            splicer.flush(splicer.position)
            self.take(level, applied)
            splicer.output.parts.append(applied.changed)

    def take(self, level: Level, applied: Applied) -> None:
        """Takes note of what was done along a layout, and goes on behind it."""
        splicer = self._splicer
        layout = applied.layout
        for tag, vr, group in layout.notes:
            if vr is None:
                self._notes.passed(tag)
            else:
                place = Place(tag, vr, splicer.base + applied.match.start(group))
                self._notes.note_final(place, applied.finals[tag] or "")
        level.charsets = applied.charsets
        counts = splicer.element_counts
        for name, count in applied.counts.items():
            counts[name] = counts.get(name, 0) + count
        start = applied.match.start()
        level.delta += len(applied.changed) - (applied.tail - start)
        level.leap(layout)
        self._creators.go_on_behind(level, layout.blocks)
        splicer.run = applied.tail
        splicer.position = applied.end
        self.applied_bytes += applied.end - start
