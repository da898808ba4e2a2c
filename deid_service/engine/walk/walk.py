"""The walk over a data set: what no rule touches is passed on as it came.

The walk reads element headers only. A run of elements that no rule touches is
one slice of the input; it is cut where an element is changed, removed or
inserted. Levels (sequences, items) lie on a stack, so the input can be cut
anywhere, and depth costs no recursion:

    ELEMENTS --sequence--> ITEMS --item--> ELEMENTS --> ...
    ELEMENTS --pixel data--> FRAGMENTS

A sequence or item of defined length in which something can change keeps its
length field in a slot until its end is reached, if it is not longer than what
may be held; a longer one is written with an undefined length, so that it can
stream.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from time import perf_counter
from typing import Final, assert_never

from deid_service.engine.encoding.charsets import DEFAULT_CHARACTER_SETS, character_sets
from deid_service.engine.encoding.dictionary import PERHAPS_SEQUENCES, private_vr_of, vr_of
from deid_service.engine.encoding.headers import (
    DELIMITER_GROUP,
    HEADER,
    IMPLICIT_LITTLE,
    ITEM,
    ITEM_DELIMITER,
    LONG_HEADER,
    SEQUENCE_DELIMITER,
    UNDEFINED_LENGTH,
    Encoding,
)
from deid_service.engine.encoding.skim import skim_item, skim_sequence
from deid_service.engine.encoding.tags import FILE_META, PIXEL_DATA, TRANSFER_SYNTAX, is_creator
from deid_service.engine.errors import DicomError, Reason
from deid_service.engine.layouts.layout import Passage, Stretch, find_passage
from deid_service.engine.layouts.learning import Stretches
from deid_service.engine.rules.nodes import Children, Node, Rules
from deid_service.engine.rules.ops import (
    MISPLACED,
    ByCreator,
    CharacterSet,
    Dropped,
    Effect,
    GroupLength,
    Kept,
    OnSequence,
    Op,
    Rewritten,
    becomes_of,
    effect_on_fragments,
)
from deid_service.engine.rules.rewriting import Memo, Place
from deid_service.engine.walk.changes import SUPERSEDED, Changes
from deid_service.engine.walk.levels import END, Kind, Level, Watch
from deid_service.engine.walk.output import Buffer, Output, Slot
from deid_service.engine.walk.splicer import Found

# Structured reports, the deepest of real data sets, reach some twenty levels;
# each level is state that a file makes us keep.
MAX_SEQUENCE_DEPTH: Final = 100

# PS3.5 7.1, PS3.7 6.3, PS3.10 7.1: groups 0 and 2 are those of commands and of the file
# meta, and no part of a data set.
_FIRST_TAG: Final = 0x00030000

# PS3.5 9.1: how long a UID may be, in bytes.
MAX_UID_LENGTH: Final = 64

# An item that is skimmed for something to do is read once more where there is;
# that must not add up over the levels.
_MAX_SKIM_DEPTH: Final = 8

# How many bytes of elements are passed, or skimmed, between two looks at the clock: at
# eight bytes an element some ten milliseconds.
_BYTES_AT_ONCE: Final = 256 * 1024


class Walk(Changes):
    """Walks over one data set, in pieces."""

    def __init__(
        self,
        rules: Rules,
        memo: Memo,
        output: Output,
        encoding: Encoding,
        *,
        base: int,
        max_held_bytes: int,
        on_final: Callable[[], None],
        transfer_syntax: str = "",
        stretches: Stretches | None = None,
    ) -> None:
        """Starts before the first element of a data set.

        Args:
            rules: what is done.
            memo: what became of elements before.
            output: where the result goes.
            encoding: of the data set.
            base: the absolute offset of its first byte.
            max_held_bytes: of a value that is transformed, and of output that
                waits for something.
            on_final: called when another of `Rules.finals` is known.
            transfer_syntax: its UID as the file meta has it; empty without one.
            stretches: of data sets that came with the same file meta; None where
                nothing is to be learned.
        """
        super().__init__(
            rules, memo, output, base=base, max_held_bytes=max_held_bytes, on_final=on_final
        )
        self._transfer_syntax = transfer_syntax
        self._stretches = stretches
        # When the caller is to have a turn, by `perf_counter`.
        self._until = math.inf
        self._first = base
        # Whether the data set has shown to be laid out in another way.
        self._missed = False
        self._level = Level(
            Kind.ELEMENTS,
            encoding,
            tag=None,
            offset=base,
            end=END,
            undefined=False,
            charsets=DEFAULT_CHARACTER_SETS,
            node=rules.top,
        )
        for tag in rules.watched:
            self._level.schedule(tag + 1, Watch(tag, self._passed))
        self._prepare(self._level)

    @property
    def encoding(self) -> Encoding:
        """How the data set is encoded."""
        return (self._stack[0] if self._stack else self._level).encoding

    # --- input ---

    def feed(self, buffer: bytes, start: int = 0, *, until: float = math.inf) -> int:
        """Reads as far as it can, or until it is time to pause.

        Args:
            buffer: the input.
            start: of the first byte in it that was not read; not 0 only at the
                beginning of the data set.
            until: when to pause, by `perf_counter`; what has begun is done first.

        Returns:
            The position up to which it was read. What is behind it is to come again,
            with `need` bytes at least; 0 after a pause.

        Raises:
            DicomError: the data set cannot be read, or not be de-identified.
        """
        self._buffer = buffer
        self._view = memoryview(buffer)
        self._base -= start
        self._position = self._run = start
        self._until = until
        size = len(buffer)
        if self._pass_left:
            self._position = min(self._pass_left, size)
            self._pass_left -= self._position
        elif self._drop_left:
            self._position = self._run = min(self._drop_left, size)
            self._drop_left -= self._position
        if not self._pass_left and not self._drop_left:
            try:
                self._read()
            except DicomError:
                # What has waited for too long is the first error, however the
                # input is cut.
                self._give_up_overdue()
                raise
        if self._stretches is not None:
            self._compare(self._stretches)
        read = self._position
        self._flush(read)
        self._base += read
        self._position = self._run = 0
        self._buffer = b""
        self._view = memoryview(b"")
        self._give_up_overdue()
        return read

    def is_inside_value(self, size: int) -> bool:
        """Whether a value that is passed on, or left out, goes on for more than so many bytes."""
        return self._pass_left > size or self._drop_left > size

    def skip(self, data: Buffer) -> None:
        """Takes data that lie in a value, without a look at them."""
        size = len(data)
        if self._pass_left:
            self._pass_left -= size
            if self._dropping is None:
                self.output.parts.append(data)
        else:
            self._drop_left -= size
        self._base += size
        self._give_up_overdue()

    def _compare(self, stretches: Stretches) -> None:
        """Learns from the beginning of the data set, where it is not laid out as others are."""
        self._stretches = None
        first = self._first - self._base
        if self._missed or self._buffer[first : first + 4] not in stretches.known:
            stretches.missed(self._rules.top, self.encoding, self._buffer, first)
        else:
            stretches.came_again()

    def resume(self, passage: Passage) -> None:
        """Goes on behind a stretch that the data set began with, and that is in the output."""
        self._base -= passage.match.start()
        self._take(self._level, passage)
        self._base += passage.end
        self._position = self._run = 0

    def finish(self) -> None:
        """Ends the data set.

        Raises:
            DicomError: it ends too early.
        """
        level = self._level
        if self._pass_left or self._drop_left or self._stack:
            raise self._error(Reason.TRUNCATED, "the file ends before the data set does", level.tag)
        self._reach(level, END)
        self._flush(0)
        self._give_up_overdue()

    def _read(self) -> None:
        """Reads elements and items until the input does not hold a whole one."""
        more = True
        size = len(self._buffer)
        while more and not self._pass_left and not self._drop_left:
            level = self._level
            if level.kind is Kind.ELEMENTS:
                more = self._read_elements(level)
            else:
                more = self._read_item(level)
            # What ends with the input is ended at once: no more of it would come.
            if more and self._position < size and perf_counter() > self._until:
                self.need = 0
                return

    def _read_elements(self, level: Level) -> bool:
        """Reads elements until something else is due; False where input is missing."""
        buffer = self._buffer
        view = self._view
        parts = self.output.parts
        encoding = level.encoding
        quad = encoding.quad
        short = encoding.short_codes
        explicit = encoding.explicit
        lookup = level.lookup
        # Whether an element that no rule touches can hold one that a rule does.
        deep = not explicit and level.node is not None and level.node.deep
        position = self._position
        run = self._run
        until = self._until
        limit = min(level.end - self._base, len(buffer), position + _BYTES_AT_ONCE)
        last = limit - HEADER
        boundary = level.boundary
        recall = self._memo.get
        known = None if self._stretches is None or level.tag is not None else self._stretches.known
        while position <= last:
            if known is not None and (alike := known.get(buffer[position : position + 4])):
                self._position = position
                self._run = run
                self._leap(level, alike)
                position = self._position
                run = self._run
                boundary = level.boundary
            while position <= last:
                group, element, code, length = quad(buffer, position)
                if code in short:
                    # PS3.5 7.1.2: a VR with a two-byte length is no sequence.
                    end = position + HEADER + length
                elif explicit or group == DELIMITER_GROUP:
                    end = END
                    break
                else:
                    # PS3.5 7.1.3: the two halves of a four-byte length.
                    end = position + HEADER + (code | length << 16)
                tag = group << 16 | element
                if end > limit or not _FIRST_TAG <= tag < boundary:
                    break
                op = lookup(tag)
                if op is None:
                    if deep and vr_of(tag) in PERHAPS_SEQUENCES:
                        break
                    position = end
                elif type(op) is Dropped and (op.unseen or (explicit and not op.original)):
                    if run < position:
                        if self._cuts:
                            self._run = run
                            self._flush(position)
                        else:
                            parts.append(view[run:position])
                    self._counts[op.name] = self._counts.get(op.name, 0) + 1
                    level.delta += position - end
                    position = run = end
                else:
                    break
            else:
                break
            # An element that is not just passed on.
            tag = group << 16 | element
            if end <= limit:
                if tag < boundary:
                    op = lookup(tag)
                    if (
                        op is not None
                        and (known_as := recall(buffer[position:end])) is not None
                        and known_as[0] is op
                        and known_as[1] is encoding
                        and tag >= level.crossed
                    ):
                        same, _, (new, names, text) = known_as
                        if isinstance(same, CharacterSet):
                            level.charsets = character_sets(text)
                        if same.final and level.tag is None:
                            self._position = position
                            vr = encoding.vr_names.get(code) or vr_of(tag)
                            self._note_final(Place(tag, vr, self._base + position), text)
                        if new is not None:
                            if run < position:
                                self._run = run
                                self._flush(position)
                            parts.append(new)
                            self._changes[names] = self._changes.get(names, 0) + 1
                            level.delta += len(new) + position - end
                            run = end
                        position = end
                        continue
                elif group < DELIMITER_GROUP:
                    self._position = position
                    self._run = run
                    self._reach(level, tag)
                    run = self._run
                    boundary = level.boundary
                    continue
            self._position = position
            self._run = run
            if not self._read_element(level, tag, code, length):
                return False
            if (
                self._pass_left
                or self._drop_left
                or self._level is not level
                or level.encoding is not encoding
                or perf_counter() > until
            ):
                return True
            position = self._position
            run = self._run
            boundary = level.boundary
        self._position = position
        self._run = run
        if position + HEADER <= min(level.end - self._base, len(buffer)):
            return True
        left = level.end - self._base - position
        if left == 0:
            self._close(level)
            return True
        if left < HEADER:
            raise self._error(Reason.MALFORMED, "an item ends in the middle of an element")
        self.need = HEADER
        return False

    def _leap(self, level: Level, alike: list[Stretch]) -> None:
        """Passes a stretch at the position, if it is one of those given."""
        passage = find_passage(
            alike, self._buffer, self._position, level.charsets, self._rules.settings, self._memo
        )
        if passage is None:
            self._missed = True
            return
        stretch = passage.stretch
        if self._base + passage.end > self._max_held:
            # Something may have waited for too long.
            return
        if stretch.first_tag >= level.boundary:
            self._reach(level, stretch.first_tag)
        if level.can_leap(stretch):
            self._flush(self._position)
            self._take(level, passage)
            self.output.parts.append(passage.changed)

    def _take(self, level: Level, passage: Passage) -> None:
        """Takes note of what was done along a stretch, and goes on behind it."""
        stretch = passage.stretch
        for tag, vr, group in stretch.notes:
            if vr is None:
                self._passed(tag)
            else:
                place = Place(tag, vr, self._base + passage.match.start(group))
                self._note_final(place, passage.finals[tag] or "")
        level.charsets = passage.charsets
        counts = self._counts
        for name, count in passage.counts.items():
            counts[name] = counts.get(name, 0) + count
        level.delta += len(passage.changed) - (passage.tail - passage.match.start())
        level.leap(stretch)
        self._run = passage.tail
        self._position = passage.end

    def _read_element(self, level: Level, tag: int, code: int, length: int) -> bool:
        """Reads the element at the position; False where input is missing."""
        position = self._position
        if tag >> 16 == DELIMITER_GROUP:
            return self._read_delimiter(level, tag)
        encoding = level.encoding
        header = HEADER
        vr: str | None = None
        if encoding.explicit:
            vr = encoding.vr_names.get(code)
            if vr is None:
                if level.tag is not None and position + self._base == level.offset:
                    # Some writers put implicit VR into the items of explicit
                    # VR data sets; the first element shows it.
                    level.encoding = IMPLICIT_LITTLE
                    return True
                if not _is_vr(code):
                    raise self._error(Reason.MALFORMED, "the element has no legal VR", tag)
                # PS3.5 6.2: VRs that the standard may add are like UN.
                vr = "UN"
            if code not in encoding.short_codes:
                header = LONG_HEADER
                if min(level.end - self._base, len(self._buffer)) - position < header:
                    if level.end - self._base - position < header:
                        raise self._error(Reason.MALFORMED, "the element is longer than its item")
                    self.need = header
                    return False
                length = encoding.long(self._buffer, position + HEADER)[0]
        else:
            length = code | length << 16
        start = position + header
        end = END if length == UNDEFINED_LENGTH else start + length
        if end != END and end > level.end - self._base:
            raise self._error(Reason.MALFORMED, "the element is longer than its item", tag, vr)
        found = Found(tag, vr, position, start, end)
        node = level.node
        if node is None:
            if end != END:
                return self._pass_to(end)
            if self._holds_items(level, found, vr or vr_of(tag)):
                return self._open_sequence(level, found, None)
            return self._open_fragments(level, found)
        if tag >= level.boundary:
            self._reach(level, tag)
        return self._act(level, node, found)

    def _read_delimiter(self, level: Level, tag: int) -> bool:
        """Reads an item delimiter among elements; False where input is missing."""
        if tag != ITEM_DELIMITER or level.tag is None:
            raise self._error(Reason.MALFORMED, "an item or a delimiter out of place", tag)
        if level.undefined:
            self._close(level, HEADER)
        else:
            # Not called for in an item of defined length, but seen there.
            self._position += HEADER
        return True

    def _read_item(self, level: Level) -> bool:
        """Reads an item header, or the end of a sequence; False where input is missing."""
        position = self._position
        left = level.end - self._base - position
        if left == 0:
            self._close(level)
            return True
        if left < HEADER:
            raise self._error(Reason.MALFORMED, "a sequence ends in the middle of an item")
        if self._lacks(HEADER):
            return False
        group, element, length = level.encoding.item(self._buffer, position)
        tag = group << 16 | element
        if tag == SEQUENCE_DELIMITER:
            if level.undefined:
                self._close(level, HEADER)
            else:
                # Not called for in a sequence of defined length, but seen there.
                self._position += HEADER
            return True
        if tag != ITEM:
            raise self._error(Reason.MALFORMED, "something else than an item in a sequence", tag)
        start = position + HEADER
        end = END if length == UNDEFINED_LENGTH else start + length
        if end != END and end > level.end - self._base:
            raise self._error(Reason.MALFORMED, "an item is longer than its sequence", level.tag)
        if level.kind is Kind.FRAGMENTS:
            if end == END:
                # PS3.5 A.4: fragments have defined lengths.
                raise self._error(Reason.MALFORMED, "a fragment of undefined length", level.tag)
            return self._pass_to(end)
        return self._open_item(level, start, end)

    def _act(self, level: Level, node: Node, found: Found) -> bool:
        """Does what the plan says to an element; False where input is missing."""
        tag = found.tag
        if tag >> 16 == FILE_META:
            if tag == TRANSFER_SYNTAX and level.tag is None:
                if self._lacks(min(found.end, found.start + MAX_UID_LENGTH + 1) - found.position):
                    return False
                self._check_transfer_syntax(found)
            op: Op | None = MISPLACED
        else:
            op = level.lookup(tag)
        creator: str | None = None
        if isinstance(op, ByCreator):
            if is_creator(tag):
                return self._act_on_creator(level, node, found)
            op, creator = self._op_in_block(level, node, tag)
        if level.insertion_made(tag):
            # The element stands out of order, behind the place where a rule
            # has put a new one: that one stands for it.
            op = SUPERSEDED
        becomes = becomes_of(op)
        if self._tentative and becomes.named and not isinstance(becomes, Dropped):
            self._keep_tentative()
        vr = found.vr
        if vr is None or vr == "UN":
            known = private_vr_of(tag >> 16, creator, tag & 0xFF) if creator else None
            known = known or vr_of(tag)
        else:
            known = vr
        if known == "UN" and found.end != END and (node.deep or becomes.on_path):
            # No dictionary knows the element: a sequence shows itself.
            wanted = min(found.start + HEADER, found.end) - found.position
            if self._lacks(wanted):
                return False
        if self._holds_items(level, found, known):
            return self._act_on_sequence(level, node, found, op, creator)
        if found.end == END:
            return self._act_on_fragments(level, found, op)
        place = Place(tag, known, self._base + found.position)
        match op:
            case None | ByCreator():
                return self._pass_to(found.end)
            case GroupLength():
                return self._act_on_group_length(level, found)
            case CharacterSet():
                return self._act_on_charset(level, found, op, place)
            case Dropped() if not op.original:
                self._drop(level, found, op.name)
                return True
            case Kept() | Dropped() | Rewritten():
                return self._act_on_value(level, found, op, place)
            case _:
                assert_never(op)

    def _check_transfer_syntax(self, found: Found) -> None:
        """Refuses a transfer syntax in the data set that is not that of the file meta."""
        value = self._buffer[found.start : min(found.end, found.start + MAX_UID_LENGTH + 1)]
        if value.rstrip(b" \0").decode("latin-1") != self._transfer_syntax:
            raise self._error(
                Reason.MALFORMED, "a second file meta contradicts the first", found.tag, found.vr
            )

    def _holds_items(self, level: Level, found: Found, known: str) -> bool:
        """Whether the value of an element is a sequence of items.

        Raises:
            DicomError: it has an undefined length, and neither items nor fragments.
        """
        vr = found.vr
        if found.end == END:
            if found.tag == PIXEL_DATA and vr != "SQ":
                return False
            # PS3.5 6.2.2: UN of undefined length is a sequence; so is anything
            # of undefined length in implicit VR (PS3.5 7.5).
            if vr in {"SQ", "UN", None}:
                return True
            if vr in {"OB", "OW"}:
                return False
            raise self._error(
                Reason.MALFORMED,
                "only sequences and pixel data have undefined lengths",
                found.tag,
                vr,
            )
        if known == "SQ":
            return True
        if known != "UN" or found.end - found.start < HEADER or level.node is None:
            return False
        encoding = IMPLICIT_LITTLE if vr == "UN" else level.encoding
        if len(self._buffer) - found.start < HEADER:
            return False
        group, element, length = encoding.item(self._buffer, found.start)
        return group << 16 | element == ITEM and (
            length == UNDEFINED_LENGTH or length <= found.end - found.start - HEADER
        )

    # --- sequences ---

    def _act_on_sequence(
        self, level: Level, node: Node, found: Found, op: Op | None, creator: str | None
    ) -> bool:
        becomes = becomes_of(op)
        action, name = becomes.sequence, becomes.sequence_name
        if isinstance(op, CharacterSet):
            raise self._error(Reason.MALFORMED, "a character set is no sequence", found.tag)
        if action is OnSequence.REJECT:
            raise self._error(
                Reason.VALUE_NOT_TRANSFORMABLE,
                f"{name}: the element is a sequence, which has no value",
                found.tag,
                "SQ",
            )
        empty = found.end == found.start
        if action is OnSequence.TENTATIVE and empty:
            action = OnSequence.DROP
        if action is OnSequence.DROP or action is OnSequence.EMPTY:
            made = node.children_after(found.tag, creator)
            if action is OnSequence.EMPTY and made is None and empty:
                self.count((name,))
                return self._pass_to(found.end)
            new = b""
            if made is not None or action is OnSequence.EMPTY:
                # PS3.5 6.2.2: what is in UN is in implicit VR little endian.
                inside = IMPLICIT_LITTLE if found.vr == "UN" else level.encoding
                items = b"" if made is None else self._items(level, made, 0, inside)
                vr = found.vr or "SQ"
                new = level.encoding.header(found.tag, vr, len(items)) + items
            self._put_in_place_of(level, found, new, name, Kind.ITEMS)
            return True
        block = level.blocks.get(found.tag >> 8) if isinstance(op, Dropped) else None
        if block is not None and action is OnSequence.DESCEND:
            self._stay_in_block(block, found.tag)
        children = node.children(found.tag, creator)
        if children is None:
            if found.end != END:
                return self._pass_to(found.end)
            if found.vr != "UN":
                room = MAX_SEQUENCE_DEPTH * 2 - len(self._stack)
                end = skim_sequence(self._buffer, found.start, level.encoding, room, _BYTES_AT_ONCE)
                if 0 < end <= level.end - self._base:
                    return self._pass_to(end)
        elif empty and not children.wanted:
            return self._pass_to(found.end)
        if action is OnSequence.TENTATIVE:
            self._flush(found.position)
            tentative = Slot(self._base + found.position, found.tag)
            tentative.give_up = lambda: self._fill_tentative(tentative)
            self.output.open(tentative)
            self._tentative += 1
            return self._open_sequence(level, found, children, tentative)
        return self._open_sequence(level, found, children)

    def _open_sequence(
        self,
        level: Level,
        found: Found,
        children: Children | None,
        tentative: Slot | None = None,
        *,
        dropped: bool = False,
    ) -> bool:
        # PS3.5 6.2.2: the items of a UN sequence are in implicit VR little endian.
        encoding = IMPLICIT_LITTLE if found.vr == "UN" else level.encoding
        opened = self._open(
            Kind.ITEMS, level, encoding, found.tag, found.start, found.end, children=children
        )
        opened.tentative = tentative
        if dropped:
            self._begin_dropping(opened, found.position)
        elif children is not None and found.end != END:
            length = found.end - found.start
            if length > self._max_held:
                self._flush(found.position)
                self._emit(
                    level,
                    level.encoding.header(found.tag, found.vr or "SQ", UNDEFINED_LENGTH),
                    in_place_of=found.start - found.position,
                )
                self._run = found.start
                opened.converted = True
            else:
                self._hold_length(opened, found.start - 4, length, level.encoding)
        self._position = found.start
        return True

    def _open_item(self, level: Level, start: int, end: int) -> bool:
        children = level.children
        if children is None:
            if end != END:
                return self._pass_to(end)
            node = None
        else:
            node = children.item(level.index)
            if not node.acts:
                if end != END:
                    level.index += 1
                    return self._pass_to(end)
                node = None
            elif node.uniform and len(self._stack) <= _MAX_SKIM_DEPTH:
                skimmed = skim_item(
                    self._buffer,
                    start,
                    None if end == END else end,
                    level.encoding,
                    node.lookup,
                    MAX_SEQUENCE_DEPTH * 2 - len(self._stack),
                    self._max_held,
                    _BYTES_AT_ONCE,
                )
                if 0 < skimmed <= level.end - self._base and (
                    end == END or end - start <= self._max_held
                ):
                    level.index += 1
                    return self._pass_to(skimmed)
        level.index += 1
        opened = self._open(Kind.ELEMENTS, level, level.encoding, level.tag, start, end, node=node)
        if node is not None:
            self._prepare(opened)
            if end != END:
                length = end - start
                if length > self._max_held:
                    self._flush(start - HEADER)
                    self._emit(
                        level,
                        level.encoding.item_header(ITEM, UNDEFINED_LENGTH),
                        in_place_of=HEADER,
                    )
                    self._run = start
                    opened.converted = True
                else:
                    self._hold_length(opened, start - 4, length, level.encoding)
        self._position = start
        return True

    def _open(
        self,
        kind: Kind,
        above: Level,
        encoding: Encoding,
        tag: int | None,
        start: int,
        end: int,
        *,
        node: Node | None = None,
        children: Children | None = None,
    ) -> Level:
        if len(self._stack) >= MAX_SEQUENCE_DEPTH * 2:
            raise self._error(
                Reason.LIMIT_EXCEEDED,
                f"sequences are nested more than {MAX_SEQUENCE_DEPTH} deep",
                tag,
            )
        self._stack.append(above)
        self._level = Level(
            kind,
            encoding,
            tag=tag,
            offset=self._base + start,
            end=END if end == END else self._base + end,
            undefined=end == END,
            charsets=above.charsets,
            node=node,
            children=children,
        )
        if end == END and above.end != END:
            # What has no end of its own ends with what it is in.
            self._level.end = above.end
        return self._level

    def _close(self, level: Level, delimiter: int = 0) -> None:
        """Ends a level at the position.

        Args:
            level: the level.
            delimiter: the length of the delimiter that stands there, or 0.
        """
        if level.undefined and not delimiter:
            raise self._error(Reason.MALFORMED, "a sequence or an item does not end", level.tag)
        if level.kind is Kind.ELEMENTS:
            self._reach(level, END)
        elif level.children is not None and level.index < level.children.wanted:
            self._emit(level, self._items(level, level.children, level.index, level.encoding))
            self.count(("replace-with",))
        if level.converted:
            ends = SEQUENCE_DELIMITER if level.kind is Kind.ITEMS else ITEM_DELIMITER
            self._emit(level, level.encoding.item_header(ends, 0))
        self._position += delimiter
        if level.node is not None:
            self._blocks -= len(level.blocks)
        above = self._stack.pop()
        self._level = above
        if level.dropped:
            self._run = self._position
            self._dropping = None
            above.delta -= self._base + self._position - level.offset
            return
        tentative = level.tentative
        if tentative is not None and tentative.parts is None:
            self._end_tentative(level, above, tentative)
            return
        above.delta += level.delta
        self._end_length(level)

    def _begin_dropping(self, level: Level, position: int) -> None:
        self._flush(position)
        level.dropped = True
        level.offset = self._base + position
        self._dropping = level

    def _end_tentative(self, level: Level, above: Level, tentative: Slot) -> None:
        """Leaves out a sequence in which no rule named anything."""
        if self.is_overdue(tentative):
            self._fill_tentative(tentative)
            above.delta += level.delta
            self._end_length(level)
            return
        if level.length_slot is not None and level.length_slot in self._cuts:
            self._cuts.remove(level.length_slot)
        self._flush(self._position)
        self.output.cut(tentative)
        self._tentative -= 1
        above.delta -= self._base + self._position - tentative.offset
        self.count(("remove-undefined",))

    # --- fragments ---

    def _act_on_fragments(self, level: Level, found: Found, op: Op | None) -> bool:
        becomes = becomes_of(op)
        match effect_on_fragments(op):
            case Effect.STAYS:
                return self._open_fragments(level, found)
            case Effect.GOES:
                assert isinstance(becomes, Dropped)
                self._put_in_place_of(level, found, b"", becomes.name, Kind.FRAGMENTS)
            case Effect.CHANGES:
                assert isinstance(becomes, Rewritten)
                new = level.encoding.header(found.tag, found.vr or "OW", 0)
                self._put_in_place_of(level, found, new, becomes.names[0], Kind.FRAGMENTS)
            case Effect.IS_REJECTED:
                raise self._error(
                    Reason.VALUE_NOT_TRANSFORMABLE,
                    "encapsulated pixel data has no value to transform",
                    found.tag,
                    found.vr,
                )
        return True

    def _open_fragments(self, level: Level, found: Found) -> bool:
        self._open(Kind.FRAGMENTS, level, level.encoding, found.tag, found.start, END)
        self._position = found.start
        return True

    def _put_in_place_of(
        self, level: Level, found: Found, new: bytes, name: str, kind: Kind
    ) -> None:
        """Writes something in place of a sequence or fragments, however long."""
        self.count((name,))
        if found.end != END:
            self._replace(level, found, new)
            return
        self._flush(found.position)
        if new:
            self._emit(level, new)
        if kind is Kind.ITEMS:
            self._open_sequence(level, found, None, dropped=True)
        else:
            self._open_fragments(level, found)
            self._begin_dropping(self._level, found.position)


def _is_vr(code: int) -> bool:
    """Whether a number is two capital letters, in either byte order."""
    return all(ord("A") <= byte <= ord("Z") for byte in code.to_bytes(2, "big"))
