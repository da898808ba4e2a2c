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

from deid_service.engine.encoding.charsets import (
    DEFAULT_CHARACTER_SETS,
    character_sets,
)
from deid_service.engine.encoding.dictionary import PERHAPS_SEQUENCES, vr_of
from deid_service.engine.encoding.headers import (
    DELIMITER_GROUP,
    HEADER,
    IMPLICIT_LITTLE,
    LONG_HEADER,
    UNDEFINED_LENGTH,
    Encoding,
)
from deid_service.engine.encoding.tags import (
    FILE_META,
    PRIVATE_BLOCKS,
    TRANSFER_SYNTAX,
    is_creator,
)
from deid_service.engine.errors import DicomError, Reason
from deid_service.engine.layouts.layout import Applied
from deid_service.engine.layouts.learning import Layouts
from deid_service.engine.rules.memo import Memo, Recalled
from deid_service.engine.rules.nodes import Node
from deid_service.engine.rules.ops import (
    MISPLACED,
    SUPERSEDED,
    ByCreator,
    ByVr,
    CharacterSet,
    Dropped,
    Fitting,
    GroupLength,
    Kept,
    Op,
    Rewritten,
    becomes_of,
)
from deid_service.engine.rules.rewriting import Place
from deid_service.engine.rules.rules import Rules
from deid_service.engine.walk.creators import Creators
from deid_service.engine.walk.group_lengths import GroupLengths
from deid_service.engine.walk.insertions import Insertions
from deid_service.engine.walk.leaps import Leaps
from deid_service.engine.walk.levels import (
    END,
    Kind,
    Level,
    Watch,
)
from deid_service.engine.walk.notes import Notes
from deid_service.engine.walk.output import Buffer, Output
from deid_service.engine.walk.patient import PatientFinder
from deid_service.engine.walk.sequences import BYTES_AT_ONCE, Sequences
from deid_service.engine.walk.shapes import Shapes
from deid_service.engine.walk.splicer import Found, Splicer
from deid_service.engine.walk.tentatives import Tentatives
from deid_service.engine.walk.values import Values

# PS3.5 7.1, PS3.7 6.3, PS3.10 7.1: groups 0 and 2 are those of commands and of the file
# meta, and no part of a data set.
_FIRST_TAG: Final = 0x00030000

# PS3.5 9.1: how long a UID may be, in bytes.
MAX_UID_LENGTH: Final = 64


class Walk:
    """Walks over one data set, in pieces.

    Attributes:
        splicer: puts the output together.
        notes: what others need.
        leaps: what went by layouts.
        padding: the absolute offset of zero bytes behind the last element, which are
            left out; None where there are none.
    """

    _splicer_class = Splicer
    _skims = True

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
        encapsulated: bool = False,
        layouts: Layouts | None = None,
        finder: PatientFinder | None = None,
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
            encapsulated: its pixel data is encapsulated.
            layouts: of data sets that came with the same file meta; None where none
                are to be used.
            finder: of the patient, where that is to be found first.
        """
        profile = rules.profile
        splicer = self._splicer_class(output, base=base, max_held_bytes=max_held_bytes)
        self.splicer = splicer
        notes = self.notes = Notes(splicer, profile, memo, on_final)
        self._values = Values(splicer, notes, profile)
        self._insertions = Insertions(splicer, notes, profile)
        self._group_lengths = GroupLengths(splicer)
        self._tentatives = Tentatives(splicer)
        self._creators = Creators(splicer, self._values, self._insertions, self._tentatives)
        self._sequences = Sequences(
            splicer, self._insertions, self._creators, self._tentatives, skims=self._skims
        )
        self.padding: int | None = None
        self._transfer_syntax = transfer_syntax
        self._layouts = layouts
        self._finder = finder
        self._is_all = False
        self.leaps = Leaps(splicer, notes, self._insertions, self._creators, profile.settings)
        self._shapes = Shapes(splicer)
        # When the caller is to have a turn, by `perf_counter`.
        self._until = math.inf
        level = splicer.level = Level(
            Kind.ELEMENTS,
            encoding,
            tag=None,
            offset=base,
            end=END,
            undefined=False,
            charsets=DEFAULT_CHARACTER_SETS,
            node=rules.top,
        )
        level.encapsulated = encapsulated
        for tag in profile.watched:
            level.schedule(tag + 1, Watch(tag, self._passed))
        self._creators.prepare(level)

    @property
    def encoding(self) -> Encoding:
        """How the data set is encoded."""
        splicer = self.splicer
        return (splicer.stack[0] if splicer.stack else splicer.level).encoding

    def feed(self, buffer: bytes, start: int = 0, *, until: float = math.inf) -> int:
        """Reads as far as it can, or until it is time to pause.

        Args:
            buffer: the input.
            start: of the first byte in it that was not read.
            until: when to pause, by `perf_counter`; what has begun is done first.

        Returns:
            The position up to which it was read. What is behind it is to come again,
            with `need` bytes at least; 0 after a pause.

        Raises:
            DicomError: the data set cannot be read, or not be de-identified.
        """
        splicer = self.splicer
        if self._finder is not None and not self._find_patient(buffer, start):
            return start
        splicer.buffer = buffer
        splicer.view = memoryview(buffer)
        splicer.base -= start
        splicer.position = splicer.run = start
        self._until = until
        size = len(buffer)
        if splicer.pass_left:
            splicer.position = min(start + splicer.pass_left, size)
            splicer.pass_left -= splicer.position - start
        elif splicer.drop_left:
            splicer.position = splicer.run = min(start + splicer.drop_left, size)
            splicer.drop_left -= splicer.position - start
        if not splicer.pass_left and not splicer.drop_left:
            try:
                self._read()
            except DicomError:
                # What has waited for too long is the first error, however the
                # input is cut.
                self.notes.give_up_overdue()
                raise
        # What is known of data sets holds for what the first piece of input has of one.
        self._layouts = None
        read = splicer.position
        splicer.flush(read)
        splicer.base += read
        splicer.position = splicer.run = 0
        splicer.buffer = b""
        splicer.view = memoryview(b"")
        self.notes.give_up_overdue()
        return read

    @property
    def is_waiting(self) -> bool:
        """Whether it has not begun, as it is not known yet who the patient is."""
        return self._finder is not None

    def wait_no_more(self) -> None:
        """Takes note that no more input comes: who the patient is, is said by what there is."""
        self._is_all = True

    def _find_patient(self, buffer: bytes, start: int) -> bool:
        """Looks for the patient; False where input is missing, or others have their turn."""
        finder = self._finder
        assert finder is not None
        patient = finder.find(buffer, start, ended=self._is_all)
        if patient is None:
            self.splicer.need = finder.need
            return False
        self._finder = None
        self.notes.memo = self.notes.memo.of_patient(patient)
        return True

    def skip(self, data: Buffer) -> None:
        """Takes data that lie in a value, without a look at them."""
        splicer = self.splicer
        size = len(data)
        if splicer.pass_left:
            splicer.pass_left -= size
            if splicer.dropping is None:
                splicer.output.parts.append(data)
        else:
            splicer.drop_left -= size
        splicer.base += size
        self.notes.give_up_overdue()

    def _passed(self, tag: int) -> None:
        """Takes note that the place of an element that is needed elsewhere has passed."""
        self.notes.passed(tag)

    def resume(self, applied: Applied) -> None:
        """Goes on behind a layout that the data set began with, and that is in the output."""
        splicer = self.splicer
        splicer.base -= applied.match.start()
        self.leaps.take(splicer.level, applied)
        splicer.base += applied.end
        splicer.position = splicer.run = 0

    def finish(self, rest: bytes) -> None:
        """Ends the data set.

        Args:
            rest: of the input, too short for an element, or for who the patient is.

        Raises:
            DicomError: it ends too early.
        """
        splicer = self.splicer
        if self._finder is not None:
            self.wait_no_more()
            rest = rest[self.feed(rest) :]
        level = splicer.level
        # One zero byte in big endian can be half of a group number.
        is_padding = not (rest.strip(b"\0") or splicer.stack) and len(rest) > level.encoding.big
        if is_padding and self.padding is None:
            self.padding = splicer.base
        elif rest and not is_padding:
            raise DicomError(
                Reason.TRUNCATED,
                "the file ends in the middle of an element",
                offset=splicer.base,
            )
        if splicer.pass_left or splicer.drop_left or splicer.stack:
            raise splicer.error(
                Reason.TRUNCATED, "the file ends before the data set does", level.tag
            )
        self._insertions.reach(level, END)
        splicer.flush(0)
        self.notes.give_up_overdue()

    def _read(self) -> None:
        """Reads elements and items until the input does not hold a whole one."""
        splicer = self.splicer
        more = self.padding is None or self._read_padding()
        size = len(splicer.buffer)
        while more and not splicer.pass_left and not splicer.drop_left:
            level = splicer.level
            if level.kind is Kind.ELEMENTS:
                begins = splicer.base + splicer.position == level.offset
                more = not (begins and self._shapes.lacks_encoding(level)) and self._read_elements(
                    level
                )
            else:
                more = self._sequences.read_item(level)
            # What ends with the input is ended at once: no more of it would come.
            if more and splicer.position < size and perf_counter() > self._until:
                splicer.need = 0
                return

    # Long, because a call for each element costs: one more in the inner loop makes the walk
    # over a CT slice some tenth longer.
    def _read_elements(self, level: Level) -> bool:
        """Reads elements until something else is due; False where input is missing."""
        splicer = self.splicer
        buffer = splicer.buffer
        view = splicer.view
        parts = splicer.output.parts
        encoding = level.encoding
        quad = encoding.quad
        short = encoding.short_codes
        explicit = encoding.explicit
        names = encoding.vr_names
        glance = level.glance
        # Whether an element that no rule touches can hold one that a rule does.
        deep = not explicit and level.node is not None and level.node.deep
        position = splicer.position
        run = splicer.run
        until = self._until
        limit = min(level.end - splicer.base, len(buffer), position + BYTES_AT_ONCE)
        last = limit - HEADER
        boundary = level.boundary
        recall = self.notes.memo.get
        known = None if self._layouts is None or level.tag is not None else self._layouts.known
        while position <= last:
            if known is not None and (alike := known.get(buffer[position : position + 4])):
                splicer.position = position
                splicer.run = run
                self.leaps.leap(level, alike)
                position = splicer.position
                run = splicer.run
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
                    op = None
                    break
                op = glance(tag)
                if op is None:
                    if deep and vr_of(tag) in PERHAPS_SEQUENCES:
                        break
                    position = end
                    continue
                if type(op) is ByCreator:
                    # PS3.5 7.8.1: below are creators, and what belongs to none.
                    is_plain = explicit and element >= PRIVATE_BLOCKS
                    block = level.blocks.get(tag >> 8) if is_plain else None
                    if block is None or block.inserted or block.made:
                        break
                    op = level.of_creator(tag, block.known)
                    if type(op) is ByVr:
                        op = op.of[names[code]]
                    if type(op) is not Dropped and not block.stays:
                        op = None
                        break
                    block.seen |= 1 << (tag & 0xFF)
                elif type(op) is ByVr:
                    vr = names[code] if explicit else vr_of(tag)
                    if vr in PERHAPS_SEQUENCES:
                        break
                    op = op.of[vr]
                if op is None:
                    position = end
                    continue
                if type(op) is Fitting:
                    start, fit = position + HEADER, op.fit
                    if end - start <= fit.longest and not fit.fits(buffer, start, end):
                        break
                    position = end
                    continue
                if type(op) is Dropped and (op.unseen or (explicit and not op.original)):
                    if run < position:
                        if splicer.cuts:
                            splicer.run = run
                            splicer.flush(position)
                        else:
                            parts.append(view[run:position])
                    splicer.element_counts[op.name] = splicer.element_counts.get(op.name, 0) + 1
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
                    if (
                        op is not None
                        and (known_as := recall(buffer[position:end])) is not None
                        and known_as[0] is op
                        and known_as[1] is encoding
                        and tag >= level.crossed
                    ):
                        splicer.position, splicer.run = position, run
                        self._recall(level, tag, encoding.vr_names.get(code), end, known_as)
                        position, run = end, splicer.run
                        continue
                elif group < DELIMITER_GROUP:
                    splicer.position = position
                    splicer.run = run
                    self._insertions.reach(level, tag)
                    run = splicer.run
                    boundary = level.boundary
                    continue
            splicer.position = position
            splicer.run = run
            if not self._read_element(level, tag, code, length):
                return False
            if (
                splicer.pass_left
                or splicer.drop_left
                or splicer.level is not level
                or level.encoding is not encoding
                or perf_counter() > until
            ):
                return True
            position = splicer.position
            run = splicer.run
            boundary = level.boundary
        splicer.position = position
        splicer.run = run
        if position + HEADER <= min(level.end - splicer.base, len(buffer)):
            return True
        if self._has_ended(level):
            return True
        splicer.need = HEADER
        return False

    def _has_ended(self, level: Level) -> bool:
        """Closes a level of elements that is at its end; whether it was."""
        splicer = self.splicer
        left = level.end - splicer.base - splicer.position
        if left == 0:
            self._sequences.close(level)
            return True
        if left < HEADER:
            raise splicer.error(Reason.MALFORMED, "an item ends in the middle of an element")
        return False

    def _recall(self, level: Level, tag: int, vr: str | None, end: int, known_as: Recalled) -> None:
        """Writes what became of the same element before."""
        splicer = self.splicer
        position = splicer.position
        same, _, (new, names, text) = known_as
        if isinstance(same, CharacterSet):
            level.charsets = character_sets(text)
        if same.final and level.tag is None:
            self.notes.note_final(Place(tag, vr or vr_of(tag), splicer.base + position), text)
        if new is not None:
            splicer.flush(position)
            splicer.output.parts.append(new)
            splicer.changes[names] = splicer.changes.get(names, 0) + 1
            level.delta += len(new) + position - end
            splicer.run = end

    def _read_element(self, level: Level, tag: int, code: int, length: int) -> bool:
        """Reads the element at the position; False where input is missing."""
        splicer = self.splicer
        position = splicer.position
        if tag >> 16 == DELIMITER_GROUP:
            return self._sequences.read_delimiter(level, tag)
        if not (tag or code or length) and level.tag is None:
            return self._read_padding()
        encoding = level.encoding
        header = HEADER
        vr: str | None = None
        if encoding.explicit:
            vr = encoding.vr_names.get(code)
            if vr is None:
                if level.tag is not None and position + splicer.base == level.offset:
                    # Some writers put implicit VR into the items of explicit
                    # VR data sets; the first element shows it.
                    splicer.depend()
                    level.encoding = IMPLICIT_LITTLE
                    return True
                if not _is_vr(code):
                    raise splicer.error(Reason.MALFORMED, "the element has no legal VR", tag)
                # PS3.5 6.2: VRs that the standard may add are like UN.
                vr = "UN"
            if code not in encoding.short_codes:
                header = LONG_HEADER
                if min(level.end - splicer.base, len(splicer.buffer)) - position < header:
                    if level.end - splicer.base - position < header:
                        raise splicer.error(Reason.MALFORMED, "the element is longer than its item")
                    splicer.need = header
                    return False
                length = encoding.long(splicer.buffer, position + HEADER)[0]
        else:
            length = code | length << 16
        start = position + header
        end = END if length == UNDEFINED_LENGTH else start + length
        if end != END and end > level.end - splicer.base:
            raise splicer.error(Reason.MALFORMED, "the element is longer than its item", tag, vr)
        found = Found(tag, vr, position, start, end)
        node = level.node
        if node is None:
            if end != END:
                return splicer.pass_over(found)
            if self._shapes.holds_items(level, found, vr or vr_of(tag)):
                return self._sequences.open_sequence(level, found, None)
            return self._sequences.open_fragments(level, found)
        if tag >= level.boundary:
            self._insertions.reach(level, tag)
        return self._act(level, node, found)

    def _read_padding(self) -> bool:
        """Leaves out zero bytes behind the last element, as some media are padded with."""
        splicer = self.splicer
        splicer.flush(splicer.position)
        if self.padding is None:
            self.padding = splicer.base + splicer.position
        if splicer.buffer[splicer.position :].strip(b"\0"):
            raise DicomError(Reason.MALFORMED, "something follows zero bytes", offset=self.padding)
        splicer.position = splicer.run = len(splicer.buffer)
        splicer.need = 1
        return False

    def _act(self, level: Level, node: Node, found: Found) -> bool:
        """Does what the plan says to an element; False where input is missing."""
        splicer = self.splicer
        tag = found.tag
        if tag >> 16 == FILE_META:
            if tag == TRANSFER_SYNTAX and level.tag is None:
                if splicer.lacks(min(found.end, found.start + MAX_UID_LENGTH + 1) - found.position):
                    return False
                self._check_transfer_syntax(found)
            op: Op | None = MISPLACED
        else:
            op = level.lookup(tag)
        creator: str | None = None
        if isinstance(op, ByCreator):
            if is_creator(tag):
                return self._creators.act(level, node, found)
            op, creator = self._creators.op_of(level, node, tag)
        if level.insertion_made(tag):
            # The element stands out of order, behind the place where a rule
            # has put a new one: that one stands for it. In order it would not be dropped.
            splicer.depend()
            op = SUPERSEDED
        if isinstance(op, ByVr):
            known = self._shapes.known_vr(found, creator)
            if known == "UN" and found.end != END and self._shapes.lacks_beginning(found):
                return False
            op = op.of["SQ" if self._shapes.holds_items(level, found, known) else known]
            if creator is not None or tag >> 16 & 1:
                self._creators.keep_creator_for(level, tag, op)
        if isinstance(op, Dropped) and op.is_whole and found.end != END:
            splicer.drop(level, found, op.name)
            return True
        becomes = becomes_of(op)
        if self._tentatives.open and becomes.named and not isinstance(becomes, Dropped):
            self._tentatives.keep_all()
        if type(becomes) is Dropped and becomes.unseen and found.end != END:
            splicer.drop(level, found, becomes.name)
            return True
        known = self._shapes.known_vr(found, creator)
        is_unknown = known == "UN" and found.end != END and (node.deep or op is not None)
        # No dictionary knows the element: a sequence shows itself.
        if is_unknown and self._shapes.lacks_beginning(found):
            return False
        if self._shapes.holds_items(level, found, known):
            return self._sequences.act(level, node, found, op, creator)
        if found.end == END:
            return self._sequences.act_on_fragments(level, found, op)
        place = Place(tag, known, splicer.base + found.position)
        match op:
            case None | ByCreator() | ByVr():
                return splicer.pass_over(found)
            case GroupLength():
                return self._group_lengths.act(level, found)
            case CharacterSet():
                return self._values.act_on_charset(level, found, op, place)
            case Dropped() if not op.original:
                splicer.drop(level, found, op.name)
                return True
            case Kept() | Dropped() | Rewritten():
                return self._values.act(level, found, op, place)
            case _:
                assert_never(op)

    def _check_transfer_syntax(self, found: Found) -> None:
        """Refuses a transfer syntax in the data set that is not that of the file meta."""
        self.splicer.depend()
        value = self.splicer.buffer[found.start : min(found.end, found.start + MAX_UID_LENGTH + 1)]
        if value.rstrip(b" \0").decode("latin-1") != self._transfer_syntax:
            raise self.splicer.error(
                Reason.MALFORMED, "a second file meta contradicts the first", found.tag, found.vr
            )


def _is_vr(code: int) -> bool:
    """Whether a number is two capital letters, in either byte order."""
    return all(ord("A") <= byte <= ord("Z") for byte in code.to_bytes(2, "big"))
