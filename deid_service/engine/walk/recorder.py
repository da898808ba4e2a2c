"""Writes down what the walk does to a file, for a layout.

The recorder is a splicer. Whatever the walk does to an element passes through a few of
its primitives, and each is written down as a part of an expression: bytes that were
looked at as they are, values that were not as so many bytes of anything. What passes
through other primitives, or depends on more than the element (`depend`), is not for a
layout: the layout ends before the element. So is an element of which not every byte
was accounted for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Final

from deid_service.engine.encoding.charsets import CharacterSets
from deid_service.engine.encoding.dictionary import is_private_creator, vr_of
from deid_service.engine.encoding.headers import (
    HEADER,
    ITEM_BYTES,
    LONG_HEADER,
    SHORT_VRS,
    Encoding,
)
from deid_service.engine.encoding.tags import is_private
from deid_service.engine.errors import DicomError
from deid_service.engine.layouts.draft import Draft, Part, Role
from deid_service.engine.layouts.layout import Change, PassedBlock
from deid_service.engine.layouts.learning import (
    MAX_BYTES,
    MAX_ELEMENTS_OF_FILE,
    MAX_PARTS_OF_FILE,
    Sample,
)
from deid_service.engine.rules.fits import Fit
from deid_service.engine.rules.memo import Became, Memo
from deid_service.engine.rules.nodes import Node
from deid_service.engine.rules.ops import Kept, Rewritten
from deid_service.engine.rules.rewriting import Place
from deid_service.engine.rules.rules import Rules
from deid_service.engine.walk.levels import END, HeldSlot, Level, PrivateBlock
from deid_service.engine.walk.output import Buffer, Output, Slot
from deid_service.engine.walk.splicer import Blocks, Found, Splicer
from deid_service.engine.walk.walk import Walk

# Longer values (in bytes) are those of pixel data and the like: they seldom end with
# the piece of input that they begin in.
_LONG_VALUE: Final = 4096

# Parts that are not joined, so that places in the output stay what they are.
_ALL_PARTS: Final = 1 << 62


class _EnoughError(Exception):
    """More would not be learned."""


class _Stretch:
    """What is recorded of elements that follow each other."""

    def __init__(self, draft: Draft, level: Level, recorder: Recorder, start: int) -> None:
        self.draft = draft
        self.start = self.end = start
        self.charsets = level.charsets
        self.made = len(level.inserted)
        self.first_part = len(recorder.output.parts)
        self.last_part = self.first_part
        self.before = recorder.counts()
        self.counts: dict[str, int] = {}
        self.finals: dict[int, str | None] = {}


class Recorder(Splicer):
    """A splicer that writes down what passes through it.

    Attributes:
        stretches: that were recorded.
        unit: the private group that is recorded as one element.
        is_literal: the element at hand must be as it is.
    """

    def __init__(self, output: Output, *, base: int, max_held_bytes: int) -> None:
        """Starts with nothing recorded; see `Splicer`."""
        super().__init__(output, base=base, max_held_bytes=max_held_bytes)
        self.stretches: list[_Stretch] = []
        self.unit = self.blocks = Unit(self)
        self._open: _Stretch | None = None
        # What is recorded of the element at hand: what was due before it, and it.
        self._due: list[tuple[bytes, int, str | None, tuple[str, ...]] | tuple[int, bool]] = []
        self._parts: list[Part] = []
        self._names: list[str] = []
        self._declared: CharacterSets | None = None
        self._found: Found | None = None
        # The tag of the element, or of the first of a unit.
        self._tag = 0
        self._in_element = False
        self._is_spoilt = False
        self.is_literal = False
        self._is_guarded = False
        # Whether a primitive is at work that was written down already.
        self._is_written = False
        # How far the element is accounted for.
        self._reached = 0
        # The lengths around what is read.
        self._sizes: list[Part] = []
        self._field = -1
        self._size = 0
        self._left = MAX_PARTS_OF_FILE

    # --- elements of the top level ---

    def begin_due(self) -> None:
        """Begins what is due before the next element of the top level."""
        self._due = []
        self._names = []
        self._is_spoilt = False
        self._in_element = False

    def begin_element(self, level: Level, found: Found, *, left_out: bool) -> None:
        """Begins an element of the top level, behind what was due; or goes on with a unit."""
        self.is_literal = self._is_guarded = False
        self._found = found
        if self.unit.takes(found.tag):
            if left_out:
                self.depend()
            return
        self.unit.begin(level, found.tag)
        stretch = self._open
        if stretch is not None and (self._is_spoilt or found.tag <= stretch.draft.last_tag):
            self._open = stretch = None
        if stretch is None:
            self._due = []
            self.flush(found.position)
            head = self.buffer[found.position : found.position + 4]
            draft = Draft(head, found.tag, level.next_insertion)
            self._open = _Stretch(draft, level, self, found.position)
        self._parts = []
        self._names = []
        self._declared = None
        self._in_element = True
        self._is_spoilt = left_out or self.unit.is_refused(level)
        self._tag = found.tag
        self._reached = found.position
        self._sizes = []

    def end_element(self, level: Level, finals: dict[int, str | None]) -> None:
        """Ends an element of the top level at the position."""
        stretch = self._open
        if stretch is None or not self._in_element:
            return
        self._in_element = False
        blocks = self.unit.end(level)
        if self._is_spoilt or not self._parts or self._reached != self.position:
            self._open = None
            return
        self._left -= len(self._parts)
        if self._left < 0:
            raise _EnoughError
        draft = stretch.draft
        for due in self._due:
            if len(due) == 2:
                draft.pass_absent(due[0], final=due[1])
            else:
                element, tag, final, names = due
                draft.insert(element, tag, final)
                draft.count(names)
        for part in self._parts:
            part.tag = self._tag
            draft.add(part)
        draft.count(self._names)
        draft.last_tag = self.unit.last_tag
        draft.blocks += blocks
        draft.behind = self.unit.group
        draft.next_insertion = level.next_insertion
        draft.inserted = tuple(level.inserted[stretch.made :])
        if self._declared is not None:
            draft.charsets = self._declared
        if stretch.end == stretch.start:
            self.stretches.append(stretch)
        self.flush(self.position)
        stretch.end = self.position
        stretch.last_part = len(self.output.parts)
        after = self.counts()
        stretch.counts = {
            name: count for name in after if (count := after[name] - stretch.before.get(name, 0))
        }
        stretch.finals = finals.copy()

    def absent(self, tag: int, *, final: bool) -> None:
        """Takes note that the place of an element that is needed elsewhere has passed."""
        self._due.append((tag, final))

    def is_cut(self) -> bool:
        """Whether the input ended where recording did, which depends on how it was cut."""
        size = len(self.buffer)
        found = self._found
        if found is not None and found.end != END and found.end > size:
            return found.end - found.start < _LONG_VALUE
        is_at_top = not self.stack and not self.pass_left and not self.drop_left
        return is_at_top and 0 < size - self.position < LONG_HEADER

    # --- the primitives ---

    def pass_over(self, found: Found, fit: Fit | None = None) -> bool:
        """Passes an element of defined length, whose value was seen to fit."""
        if self.is_literal and found.end <= len(self.buffer):
            self._literal(found.position, found.end)
        else:
            self._value(Role.KEPT, found, found.vr or vr_of(found.tag))
            self._parts[-1].fit = fit
        return super().pass_over(found, fit)

    def pass_item(self, end: int) -> bool:
        """Passes an item, or a fragment, of defined length."""
        position = self.position
        self._value(Role.KEPT, Found(0, None, position, position + HEADER, end), None)
        return super().pass_item(end)

    def enter(self, start: int) -> None:
        """Goes behind the header of a sequence or an item, or behind a delimiter."""
        position = self.position
        if self._field < 0:
            if position < start:
                self._literal(position, start)
        else:
            field, self._field = self._field, -1
            self._literal(position, field)
            sized = Part(Role.SIZE, self.buffer[field:start], content=self._size)
            self._add(sized, field, start)
            self._sizes.append(sized)
        self._is_guarded = False
        super().enter(start)

    def hold_length(self, level: Level, field: int, length: int, encoding: Encoding) -> None:
        """Has the length field of a level written when its end is known."""
        self._field, self._size = field, length
        super().hold_length(level, field, length, encoding)

    def end_length(self, level: Level) -> None:
        """Writes the length field of a level that ends."""
        if level.length_slot is not None and self._sizes:
            sized = self._sizes.pop()
            first = next(i for i, part in enumerate(self._parts) if part is sized) + 1
            sized.changing = [
                part for part in self._parts[first:] if part.role in {Role.CHANGED, Role.DROPPED}
            ]
            if not sized.changing:
                sized.role = Role.KEPT
        super().end_length(level)

    def become(
        self, level: Level, found: Found, op: Kept | Rewritten, place: Place, became: Became
    ) -> None:
        """Writes what became of an element, from itself alone."""
        if isinstance(op, Kept) and not (op.final or op.patient):
            self._value(Role.KEPT, found, place.vr)
        else:
            self._value(Role.CHANGED, found, place.vr)
            charsets = self._charsets_in_force(level)
            self._parts[-1].change = Change(
                op, found.tag, place.vr, found.vr, level.encoding, charsets
            )
        self._is_written = True
        super().become(level, found, op, place, became)
        self._is_written = False

    def drop(self, level: Level, found: Found, name: str) -> None:
        """Leaves out an element of defined length."""
        self._value(Role.DROPPED, found, found.vr or vr_of(found.tag))
        self._names.append(name)
        self._is_written = True
        super().drop(level, found, name)
        self._is_written = False

    def insert(
        self, level: Level, element: bytes, tag: int, names: tuple[str, ...], final: str | None
    ) -> None:
        """Writes an element that is the same in every file."""
        if level.tag is not None or self._in_element:
            self.depend()
        self._due.append((element, tag, final, names))
        self._is_written = True
        super().insert(level, element, tag, names, final)
        self._is_written = False

    def write(self, level: Level, new: bytes, *, in_place_of: int = 0) -> None:
        """Writes bytes at the position."""
        if not self._is_written:
            self.depend()
        super().write(level, new, in_place_of=in_place_of)

    def count(self, names: tuple[str, ...]) -> None:
        """Counts a changed element."""
        if not self._is_written:
            self._names += names
        super().count(names)

    def hold(self, slot: Slot, found: Found) -> None:
        """Puts a slot in place of an element."""
        if slot is self.unit.creator:
            self._literal(found.position, found.end)
            self.unit.waiting[id(slot)] = self._parts[-1]
        else:
            self.depend()
        super().hold(slot, found)

    def depend(self) -> None:
        """Takes note that what is done depends on more than the element."""
        self._is_spoilt = True

    def declare(self, level: Level) -> None:
        """Takes note that an element says the character sets in force from here on."""
        if level.tag is not None:
            self.depend()
        self._declared = level.charsets
        self.is_literal = True

    def peek(self, found: Found) -> bytes:
        """Returns how a value begins, which may show that it is a sequence."""
        beginning = super().peek(found)
        if beginning[:4] == ITEM_BYTES:
            self.depend()
        self._is_guarded = True
        return beginning

    # --- parts ---

    def _charsets_in_force(self, level: Level) -> CharacterSets | None:
        """Returns the character sets that the layout itself says; None for those before it."""
        assert self._open is not None
        return self._open.draft.charsets and level.charsets

    def _value(self, role: Role, found: Found, vr: str | None) -> None:
        """Adds an element, or an item, whose value is not looked at."""
        width = 2 if found.vr in SHORT_VRS else 4
        if self._sizes:
            # A length around it says how long it is.
            width = 0
        head = self.buffer[found.position : found.start - width]
        part = Part.of_value(role, head, found.end - found.start, width, vr)
        part.guarded = self._is_guarded
        self._is_guarded = False
        self._add(part, found.position, found.end)

    def _literal(self, start: int, end: int) -> None:
        """Adds bytes that must be as they are."""
        self._add(Part(Role.KEPT, self.buffer[start:end]), start, end)

    def _add(self, part: Part, start: int, end: int) -> None:
        if self.dropping is not None:
            part.role = Role.DROPPED
        if start != self._reached:
            self.depend()
        self._reached = end
        self._parts.append(part)
        if len(self._parts) > self._left:
            raise _EnoughError


class Unit(Blocks):
    """A private group of the top level, which is recorded as one element.

    What is done to its elements depends on the creators before them, and whether those stay
    on what is behind them. So a layout has all of a group, with its creators byte by byte,
    or nothing of it.

    Attributes:
        group: that is recorded so; 0 for none.
        last_tag: of the last element of the top level.
        creator: the slot of the creator at hand.
        waiting: creators that may stay or go, by their slots.
        needed: the tags of elements that others need, or that say who the patient is.
    """

    def __init__(self, recorder: Recorder) -> None:
        """Starts with none."""
        super().__init__(recorder)
        self._recorder = recorder
        self.group = 0
        self.last_tag = 0
        self.creator: HeldSlot | None = None
        self.waiting: dict[int, Part] = {}
        self.needed: frozenset[int] = frozenset()

    def begin(self, level: Level, tag: int) -> None:
        """Begins an element of the top level, which may be the first of a group."""
        node = level.node
        is_unit = is_private(tag) and node is not None and node.reach.is_by_creator
        self.group = tag >> 16 if is_unit else 0
        self.last_tag = tag
        self.creator = None
        self.waiting.clear()

    def takes(self, tag: int) -> bool:
        """Whether an element is recorded with those before it."""
        if not self.group or tag >> 16 != self.group:
            return False
        if tag <= self.last_tag or tag in self.needed:
            self._recorder.depend()
        self.last_tag = tag
        return True

    def is_refused(self, level: Level) -> bool:
        """Whether the group that has begun is left to the walk."""
        # Something of it, or of a higher one, stood further ahead.
        is_late = bool(self.group and level.blocks) and max(level.blocks) >> 8 >= self.group
        return is_late or (self.group > 0 and self.last_tag in self.needed)

    def end(self, level: Level) -> tuple[PassedBlock, ...]:
        """Returns the blocks of the group, as they are behind all that is due in it."""
        passed = []
        for number in self._numbers():
            block = level.blocks.get(number)
            if block is None:
                continue
            creator, known = block.creator, block.known
            # A layout has no value of a patient, which another creator could be.
            is_name = creator is None or known is not None or is_private_creator(creator)
            if not is_name or block.slot is not None or block.made or block.inserted:
                self._recorder.depend()
            passed.append(
                PassedBlock(number, creator, known, block.seen, block.stays, block.left_out)
            )
        return tuple(passed)

    def _numbers(self) -> range:
        """Returns the numbers that the blocks of the group can have."""
        return range(self.group << 8, self.group + 1 << 8) if self.group else range(0)

    def look_at(self, level: Level) -> None:
        """See `Blocks`."""
        if level.tag is not None or not self.group:
            self._recorder.depend()
        self._recorder.is_literal = True

    def rely_on(self, level: Level, block: PrivateBlock) -> None:
        """See `Blocks`."""
        if level.tag is not None or not self.group or block.made or block.inserted:
            self._recorder.depend()

    def hold(self, level: Level, slot: HeldSlot, found: Found) -> None:
        """See `Blocks`."""
        if level.tag is not None or not self.group:
            self._recorder.depend()
        else:
            self.creator = slot
        super().hold(level, slot, found)

    def settle(self, slot: HeldSlot, *, stays: bool) -> None:
        """See `Blocks`."""
        part = self.waiting.pop(id(slot), None)
        if part is None:
            self._recorder.depend()
        elif not stays:
            part.role = Role.DROPPED
        super().settle(slot, stays=stays)


class Rehearsal(Walk):
    """A walk over the beginning of a data set, every element of it the long way."""

    splicer: Recorder
    _splicer_class = Recorder
    _skims = False

    def __init__(
        self,
        rules: Rules,
        memo: Memo,
        encoding: Encoding,
        *,
        base: int,
        max_held_bytes: int,
        transfer_syntax: str,
        encapsulated: bool,
    ) -> None:
        """Starts before the first element of a data set; see `Walk`."""
        super().__init__(
            rules,
            memo,
            Output(_ALL_PARTS),
            encoding,
            base=base,
            max_held_bytes=max_held_bytes,
            on_final=lambda: None,
            transfer_syntax=transfer_syntax,
            encapsulated=encapsulated,
        )
        profile = rules.profile
        self._finals = profile.finals
        self.splicer.unit.needed = profile.finals | profile.originals | profile.says_patient
        self._left_out: frozenset[int] = frozenset()
        self._elements = 0

    def samples(self, buffer: bytes, left_out: frozenset[int]) -> Iterator[Sample]:
        """Yields what the walk does along the layouts of a data set.

        Args:
            buffer: the input, from the first element on.
            left_out: elements of the top level that are left to the walk.
        """
        self._left_out = left_out
        splicer = self.splicer
        splicer.buffer = buffer[:MAX_BYTES]
        splicer.view = memoryview(splicer.buffer)
        with suppress(DicomError, _EnoughError):
            self._read()
            if not splicer.stack and not splicer.unit.group:
                splicer.end_element(splicer.level, self.notes.finals)
        if len(buffer) <= MAX_BYTES and splicer.is_cut():
            return
        parts = splicer.output.parts
        for each in splicer.stretches:
            output = b"".join(_written(parts[each.first_part : each.last_part]))
            yield Sample(
                each.draft, each.start, each.end, each.charsets, output, each.finals, each.counts
            )

    def _read_elements(self, level: Level) -> bool:
        """Reads one element; False where input is missing."""
        splicer = self.splicer
        self._elements += 1
        if level.tag is None and not self._goes_on(level):
            splicer.end_element(level, self.notes.finals)
            splicer.begin_due()
        if self._elements > MAX_ELEMENTS_OF_FILE:
            raise _EnoughError
        if self._has_ended(level):
            return True
        if splicer.lacks(HEADER):
            return False
        group, element, code, length = level.encoding.quad(splicer.buffer, splicer.position)
        return self._read_element(level, group << 16 | element, code, length)

    def _goes_on(self, level: Level) -> bool:
        """Whether the next element of the top level is recorded with those before it."""
        splicer = self.splicer
        unit = splicer.unit
        if not unit.group:
            return False
        if len(splicer.buffer) - splicer.position < HEADER:
            # More of the group may follow.
            splicer.depend()
            return False
        group = level.encoding.quad(splicer.buffer, splicer.position)[0]
        if group == unit.group:
            return True
        if group < unit.group or splicer.base + splicer.position > splicer.max_held:
            splicer.depend()
        else:
            # What is due behind its last block, and before whatever comes.
            self._insertions.reach(level, unit.group + 1 << 16)
        return False

    def _act(self, level: Level, node: Node, found: Found) -> bool:
        if level.tag is None:
            left_out = found.tag in self._left_out
            self.splicer.begin_element(level, found, left_out=left_out)
        return super()._act(level, node, found)

    def _passed(self, tag: int) -> None:
        # Also where it stood before: that is no part of the layout.
        self.splicer.absent(tag, final=tag in self._finals)
        super()._passed(tag)


def _written(parts: Iterable[Buffer | Slot]) -> Iterator[Buffer]:
    for part in parts:
        if isinstance(part, Slot):
            yield from part.parts or ()
        else:
            yield part
