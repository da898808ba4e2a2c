"""Splicing: runs of the input and new bytes, put into the output in their order.

A run is what no rule has touched since the last cut. It becomes a part of the
output as one slice of the input, when something is changed behind it or when
the piece of input ends.
"""

from __future__ import annotations

from deid_service.engine.encoding.headers import HEADER, Encoding
from deid_service.engine.errors import DicomError, Reason
from deid_service.engine.rules.fits import Fit
from deid_service.engine.rules.memo import Became
from deid_service.engine.rules.ops import Kept, Rewritten
from deid_service.engine.rules.rewriting import Place
from deid_service.engine.walk.levels import HeldSlot, LengthSlot, Level, PrivateBlock
from deid_service.engine.walk.output import Output, Slot


class Found:
    """An element header, as positions in the buffer.

    Attributes:
        tag: of the element.
        vr: as it stands in the header; None in implicit VR.
        position: of the header.
        start: of the value.
        end: of the value, or END for an undefined length.
    """

    __slots__ = ("end", "position", "start", "tag", "vr")

    def __init__(self, tag: int, vr: str | None, position: int, start: int, end: int) -> None:
        self.tag = tag
        self.vr = vr
        self.position = position
        self.start = start
        self.end = end


class Splicer:
    """The piece of input that is read, and what becomes of it.

    Attributes:
        output: where the result goes.
        need: how many bytes from the first unread one on must be there before
            reading on makes sense.
        blocks: what is done to private creators.
    """

    def __init__(self, output: Output, *, base: int, max_held_bytes: int) -> None:
        """Starts with no input.

        Args:
            output: where the result goes.
            base: the absolute offset of the first byte.
            max_held_bytes: of a value that is transformed, and of output that
                waits for something.
        """
        self.output = output
        self.blocks: Blocks = Blocks(self)
        self.need = HEADER
        self.max_held = max_held_bytes
        # How many elements were changed by the same actions, and how many by one
        # (most of all: dropped), by its name.
        self.changes: dict[tuple[str, ...], int] = {}
        self.element_counts: dict[str, int] = {}
        # Length slots of open levels whose fields lie in the run not yet cut.
        self.cuts: list[LengthSlot] = []
        # The sequence that is being left out, if one is.
        self.dropping: Level | None = None
        # The piece of input, its absolute offset, how far it is read, and where
        # the run begins.
        self.buffer = b""
        self.view = memoryview(b"")
        self.base = base
        self.position = 0
        self.run = 0
        # Bytes of a value still to come that are passed on, or left out.
        self.pass_left = 0
        self.drop_left = 0
        # The levels that are open, but for the innermost; and that.
        self.stack: list[Level] = []
        self.level: Level

    def counts(self) -> dict[str, int]:
        """Returns how many elements each action changed, by its name."""
        counts = dict(self.element_counts)
        for names, count in self.changes.items():
            for name in names:
                counts[name] = counts.get(name, 0) + count
        return counts

    def count(self, names: tuple[str, ...]) -> None:
        """Counts a changed element."""
        self.changes[names] = self.changes.get(names, 0) + 1

    def is_overdue(self, slot: Slot) -> bool:
        """Whether more input has passed since a slot was opened than may be held."""
        return self.base + self.position - slot.offset > self.max_held

    def check_overdue(self, slot: Slot) -> None:
        """Refuses a slot that has been open for too long.

        Raises:
            DicomError: it has.
        """
        if self.is_overdue(slot):
            raise DicomError(
                Reason.LIMIT_EXCEEDED,
                f"what the element needs does not come within {self.max_held} bytes",
                tag=slot.tag,
                offset=slot.offset,
            )

    def flush(self, position: int) -> None:
        """Puts the run up to a position into the output."""
        run = self.run
        if self.dropping is not None:
            self.run = position
            return
        parts = self.output.parts
        if self.cuts:
            for slot in self.cuts:
                field = slot.offset - self.base
                if run < field:
                    parts.append(self.view[run:field])
                self.output.open(slot)
                parts = self.output.parts
                run = field + 4
            self.cuts.clear()
        if run < position:
            parts.append(self.view[run:position])
        self.run = position

    def write(self, level: Level, new: bytes, *, in_place_of: int = 0) -> None:
        """Writes bytes at the position, in place of so many that came."""
        self.flush(self.position)
        if new:
            self.output.parts.append(new)
        level.delta += len(new) - in_place_of

    def replace(self, level: Level, found: Found, new: bytes) -> None:
        """Writes bytes in place of an element of defined length."""
        self.write(level, new, in_place_of=found.end - found.position)
        size = len(self.buffer)
        if found.end > size:
            self.drop_left = found.end - size
            self.need = 1
            self.position = self.run = size
        else:
            self.position = self.run = found.end

    def drop(self, level: Level, found: Found, name: str) -> None:
        """Leaves out an element of defined length."""
        self.element_counts[name] = self.element_counts.get(name, 0) + 1
        self.replace(level, found, b"")

    def become(
        self,
        level: Level,
        found: Found,
        op: Kept | Rewritten,  # noqa: ARG002 - for who records
        place: Place,  # noqa: ARG002
        became: Became,
    ) -> None:
        """Writes what became of an element, from itself alone."""
        new, names, _ = became
        if names:
            self.count(names)
        if new is None:
            self.pass_to(found.end)
        else:
            self.replace(level, found, new)

    def insert(
        self,
        level: Level,
        element: bytes,
        tag: int,  # noqa: ARG002 - for who records
        names: tuple[str, ...],
        final: str | None,  # noqa: ARG002
    ) -> None:
        """Writes an element that is the same in every file.

        Args:
            level: the level.
            element: header and value.
            tag: of the element.
            names: what a receipt counts.
            final: its value where that is needed elsewhere, else None.
        """
        self.write(level, element)
        self.count(names)

    def hold(self, slot: Slot, found: Found) -> None:
        """Puts a slot in place of an element that is all there."""
        self.flush(found.position)
        self.output.open(slot)
        self.position = self.run = found.end

    def pass_over(
        self,
        found: Found,
        fit: Fit | None = None,  # noqa: ARG002 - for who records
    ) -> bool:
        """Passes an element of defined length, whose value was seen to fit; returns True."""
        return self.pass_to(found.end)

    def pass_item(self, end: int) -> bool:
        """Passes an item, or a fragment, of defined length; returns True."""
        return self.pass_to(end)

    def enter(self, start: int) -> None:
        """Goes behind the header of a sequence or an item, or behind a delimiter."""
        self.position = start

    def peek(self, found: Found) -> bytes:
        """Returns how a value begins: what may be the header of an item."""
        return self.buffer[found.start : found.start + HEADER]

    def depend(self) -> None:
        """Takes note that what is done to an element depends on more than itself."""

    def declare(self, level: Level) -> None:
        """Takes note that an element says the character sets in force from here on."""

    def pass_to(self, end: int) -> bool:
        """Passes on all up to a position, which may be behind the input."""
        size = len(self.buffer)
        if end > size:
            self.pass_left = end - size
            self.need = 1
            self.position = size
        else:
            self.position = end
        return True

    def lacks(self, wanted: int) -> bool:
        """Whether less input than wanted is there from the position on."""
        if len(self.buffer) - self.position < wanted:
            self.need = wanted
            return True
        return False

    def hold_length(self, level: Level, field: int, length: int, encoding: Encoding) -> None:
        """Has the length field of a level written when its end is known."""
        level.length_slot = LengthSlot(self.base + field, length, big=encoding.big)
        self.cuts.append(level.length_slot)

    def end_length(self, level: Level) -> None:
        """Writes the length field of a level that ends."""
        slot = level.length_slot
        if slot is None:
            return
        if self.cuts and self.cuts[-1] is slot:
            # The run was not cut: nothing has changed inside.
            self.cuts.pop()
            return
        slot.delta += level.delta
        slot.closed = True
        if not slot.waiting:
            self.output.fill(slot, [slot.written()])

    def error(
        self, reason: Reason, message: str, tag: int | None = None, vr: str | None = None
    ) -> DicomError:
        """Returns an error about the place that is read."""
        return DicomError(reason, message, tag=tag, vr=vr, offset=self.base + self.position)

    def is_inside_value(self, size: int) -> bool:
        """Whether a value that is passed on, or left out, goes on for more than so many bytes."""
        return self.pass_left > size or self.drop_left > size


class Blocks:
    """What is done to private creators, and because of them."""

    def __init__(self, splicer: Splicer) -> None:
        """Writes by a splicer."""
        self._splicer = splicer

    def look_at(self, level: Level) -> None:
        """Takes note that a private creator is looked at, which says whose its block is."""

    def rely_on(self, level: Level, block: PrivateBlock) -> None:
        """Takes note that what is done to an element depends on whose its block is."""

    def hold(self, level: Level, slot: HeldSlot, found: Found) -> None:  # noqa: ARG002
        """Puts a slot in place of a private creator that is all there."""
        self._splicer.hold(slot, found)

    def settle(self, slot: HeldSlot, *, stays: bool) -> None:
        """Fills the slot of a private creator: with it, or with nothing."""
        self._splicer.output.fill(slot, [slot.held] if stays else [])
