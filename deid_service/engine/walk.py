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

from bisect import bisect_left
from collections.abc import Callable
from typing import Final

from deid_service.engine.charsets import (
    CHARSET_VRS,
    DEFAULT_CHARACTER_SETS,
    CharacterSetError,
    character_sets,
)
from deid_service.engine.dates import age
from deid_service.engine.dictionary import private_vr_of, vr_of
from deid_service.engine.elements import (
    IMPLICIT_LITTLE,
    ITEM,
    ITEM_DELIMITER,
    SEQUENCE_DELIMITER,
    UNDEFINED_LENGTH,
    Encoding,
)
from deid_service.engine.errors import DicomError, Reason
from deid_service.engine.levels import END, HeldSlot, Kind, LengthSlot, Level
from deid_service.engine.output import Output, Slot
from deid_service.engine.plan import (
    PATIENT_AGE_FROM_BIRTHDATE,
    PATIENT_BIRTH_DATE,
    PIXEL_DATA,
    STUDY_DATE,
    Children,
    Insertion,
    Node,
    OnSequence,
    Op,
    Plan,
    RegexSubStep,
)
from deid_service.engine.rewriting import (
    Place,
    apply_steps,
    bytes_of,
    constant_texts,
    texts_of,
)
from profile_service.language.model import PrivateElement

# Structured reports, the deepest of real data sets, reach some twenty levels;
# each level is state that a file makes us keep.
MAX_SEQUENCE_DEPTH: Final = 100

_HEADER: Final = 8
_LONG_HEADER: Final = 12
_EMPTY: Final = b""

# The group of items and delimiters.
_DELIMITERS: Final = ITEM >> 16


class Deferred(Slot):
    """An element whose new value needs others that come later in the file."""

    __slots__ = ("lengths", "level", "needs", "resolve", "size")

    def __init__(
        self,
        offset: int,
        tag: int,
        *,
        needs: frozenset[int],
        size: int,
        lengths: list[LengthSlot],
        resolve: Callable[[], bytes],
    ) -> None:
        super().__init__(offset, tag)
        self.needs = needs
        self.size = size
        self.lengths = lengths
        self.resolve = resolve


class Walk:
    """Walks over one data set, in pieces.

    Attributes:
        output: where the result goes.
        counts: of elements changed, by the name of the action.
        originals: the original values that other elements need, by tag.
        finals: the resulting values that the file meta and the file name need.
        warnings: what the caller should know, without values.
        need: how many bytes from the first unread one on must be there before
            reading on makes sense.
    """

    def __init__(
        self,
        plan: Plan,
        output: Output,
        encoding: Encoding,
        *,
        base: int,
        max_held_bytes: int,
        on_final: Callable[[], None],
    ) -> None:
        """Starts before the first element of a data set.

        Args:
            plan: what is done.
            output: where the result goes.
            encoding: of the data set.
            base: the absolute offset of its first byte.
            max_held_bytes: of a value that is transformed, and of output that
                waits for something.
            on_final: called when another of `plan.finals` is known.
        """
        self.output = output
        self.counts: dict[str, int] = {}
        self.originals: dict[int, str | None] = {}
        self.finals: dict[int, str | None] = {}
        self.need = _HEADER
        self._plan = plan
        self._max_held = max_held_bytes
        self._on_final = on_final
        self._deferred: list[Deferred] = []
        # Sequences that stay only if a rule names something inside of them.
        self._tentative = 0
        # The sequence that is being left out, if one is.
        self._dropping: Level | None = None
        # Length slots of open levels whose fields lie in the run not yet cut.
        self._cuts: list[LengthSlot] = []
        self._stack: list[Level] = []
        self._level = Level(
            Kind.ELEMENTS,
            encoding,
            tag=None,
            offset=base,
            end=END,
            undefined=False,
            charsets=DEFAULT_CHARACTER_SETS,
            node=plan.top,
        )
        for tag in sorted(plan.originals | plan.finals):
            self._level.schedule(tag + 1, self._absent(tag))
        self._prepare(self._level)
        # The piece of input that is read, its absolute offset, how far it is
        # read, and where the run begins that is not yet in the output.
        self._buffer: bytes = b""
        self._view = memoryview(b"")
        self._base = base
        self._position = 0
        self._run = 0
        # Bytes of a value still to come that are passed on, or left out.
        self._pass_left = 0
        self._drop_left = 0

    @property
    def offset(self) -> int:
        """The absolute offset of the first byte that is not read."""
        return self._base

    # --- input ---

    def feed(self, buffer: bytes) -> int:
        """Reads as far as it can.

        Args:
            buffer: the input from the first byte on that was not read.

        Returns:
            How many bytes were read.

        Raises:
            DicomError: the data set cannot be read, or not be de-identified.
        """
        self._buffer = buffer
        self._view = memoryview(buffer)
        self._position = self._run = 0
        size = len(buffer)
        if self._pass_left:
            self._position = min(self._pass_left, size)
            self._pass_left -= self._position
        elif self._drop_left:
            self._position = self._run = min(self._drop_left, size)
            self._drop_left -= self._position
        if not self._pass_left and not self._drop_left:
            self._read()
        read = self._position
        self._flush(read)
        self._base += read
        self._position = self._run = 0
        self._buffer = b""
        self._view = memoryview(b"")
        self._give_up_overdue()
        return read

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
        while more and not self._pass_left and not self._drop_left:
            level = self._level
            if level.kind is Kind.ELEMENTS:
                more = self._read_elements(level)
            else:
                more = self._read_item(level)

    def _read_elements(self, level: Level) -> bool:
        """Reads elements until something else is due; False where input is missing."""
        buffer = self._buffer
        view = self._view
        encoding = level.encoding
        quad = encoding.quad
        short = encoding.short_codes
        explicit = encoding.explicit
        lookup = level.lookup
        deep = level.node is not None and level.node.deep
        limit = min(level.end - self._base, len(buffer))
        last = limit - _HEADER
        position = self._position
        run = self._run
        cuts = self._cuts
        counts = self.counts
        boundary = level.boundary
        while position <= last:
            group, element, code, length = quad(buffer, position)
            tag = group << 16 | element
            if code in short:
                end = position + _HEADER + length
                if end <= limit and tag < boundary:
                    op = lookup(tag)
                    if op is None:
                        position = end
                        continue
                    if (drop := op.drop) is not None and not cuts:
                        # PS3.5 7.1.2: a VR with a two-byte length is no sequence.
                        if run < position:
                            self.output.parts.append(view[run:position])
                        run = end
                        level.delta += position - end
                        position = end
                        counts[drop] = counts.get(drop, 0) + 1
                        continue
            elif not explicit:
                # PS3.5 7.1.3: the two halves of a four-byte length.
                end = position + _HEADER + (code | length << 16)
                if (
                    end <= limit
                    and group != _DELIMITERS
                    and tag < boundary
                    and lookup(tag) is None
                    and not (deep and vr_of(tag) in _PERHAPS_SEQUENCES)
                ):
                    position = end
                    continue
            self._position = position
            self._run = run
            if not self._read_element(level, tag, code, length):
                return False
            if self._pass_left or self._drop_left or self._level is not level:
                return True
            if level.encoding is not encoding:
                return True
            position = self._position
            run = self._run
            boundary = level.boundary
        self._position = position
        self._run = run
        left = level.end - self._base - position
        if left == 0:
            self._close(level)
            return True
        if left < _HEADER:
            raise self._error(Reason.MALFORMED, "an item ends in the middle of an element")
        self.need = _HEADER
        return False

    def _read_element(self, level: Level, tag: int, code: int, length: int) -> bool:
        """Reads the element at the position; False where input is missing."""
        position = self._position
        if tag >> 16 == _DELIMITERS:
            return self._read_delimiter(level, tag)
        encoding = level.encoding
        header = _HEADER
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
                header = _LONG_HEADER
                if min(level.end - self._base, len(self._buffer)) - position < header:
                    if level.end - self._base - position < header:
                        raise self._error(Reason.MALFORMED, "the element is longer than its item")
                    self.need = header
                    return False
                length = encoding.long(self._buffer, position + _HEADER)[0]
        else:
            length = code | length << 16
        start = position + header
        end = END if length == UNDEFINED_LENGTH else start + length
        if end != END and end > level.end - self._base:
            raise self._error(Reason.MALFORMED, "the element is longer than its item", tag, vr)
        found = _Found(tag, vr, position, start, end)
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
            self._close(level, _HEADER)
        else:
            # Not called for in an item of defined length, but seen there.
            self._position += _HEADER
        return True

    def _read_item(self, level: Level) -> bool:
        """Reads an item header, or the end of a sequence; False where input is missing."""
        position = self._position
        left = level.end - self._base - position
        if left == 0:
            self._close(level)
            return True
        if len(self._buffer) - position < _HEADER:
            self.need = _HEADER
            if left < _HEADER:
                raise self._error(Reason.MALFORMED, "a sequence ends in the middle of an item")
            return False
        group, element, length = level.encoding.item(self._buffer, position)
        tag = group << 16 | element
        if tag == SEQUENCE_DELIMITER:
            if level.undefined:
                self._close(level, _HEADER)
            else:
                # Not called for in a sequence of defined length, but seen there.
                self._position += _HEADER
            return True
        if tag != ITEM:
            raise self._error(Reason.MALFORMED, "something else than an item in a sequence", tag)
        start = position + _HEADER
        end = END if length == UNDEFINED_LENGTH else start + length
        if end != END and end > level.end - self._base:
            raise self._error(Reason.MALFORMED, "an item is longer than its sequence", level.tag)
        if level.kind is Kind.FRAGMENTS:
            if end == END:
                # PS3.5 A.4: fragments have defined lengths.
                raise self._error(Reason.MALFORMED, "a fragment of undefined length", level.tag)
            return self._pass_to(end)
        return self._open_item(level, start, end)

    # --- what is done to an element ---

    def _act(self, level: Level, node: Node, found: _Found) -> bool:
        """Does what the plan says to an element; False where input is missing."""
        tag = found.tag
        op = level.lookup(tag)
        creator: str | None = None
        if op is not None and op.private:
            if 0x10 <= tag & 0xFFFF <= 0xFF:
                return self._act_on_creator(level, node, found)
            creator = level.creators.get(tag >> 8)
            op = node.private_op(tag, creator)
            if op is None or op.drop is None:
                self._keep_creator(level, tag >> 8)
        if level.insertion_made(tag):
            # The element stands out of order, behind the place where a rule
            # has put a new one: that one stands for it.
            op = _SUPERSEDED
        if op is not None and op.named and self._tentative:
            self._keep_tentative()
        vr = found.vr
        if vr is None or vr == "UN":
            known = private_vr_of(tag >> 16, creator, tag & 0xFF) if creator else None
            known = known or vr_of(tag)
        else:
            known = vr
        if known == "UN" and found.end != END and (node.deep or (op is not None and op.on_path)):
            # No dictionary knows the element: a sequence shows itself.
            wanted = min(found.start + _HEADER, found.end) - found.position
            if self._lacks(wanted):
                return False
        if self._holds_items(level, found, known):
            return self._act_on_sequence(level, node, found, op, creator)
        if found.end == END:
            return self._act_on_fragments(level, found, op)
        if tag & 0xFFFF == 0 and op is None and node.touches_group(tag >> 16):
            return self._act_on_group_length(level, found)
        if op is None:
            return self._pass_to(found.end)
        if op.drop is not None:
            self._drop(level, found, op.drop)
            return True
        return self._act_on_value(level, found, op, Place(tag, known, self._base + found.position))

    def _holds_items(self, level: Level, found: _Found, known: str) -> bool:
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
        if known != "UN" or found.end - found.start < _HEADER or level.node is None:
            return False
        encoding = IMPLICIT_LITTLE if vr == "UN" else level.encoding
        if len(self._buffer) - found.start < _HEADER:
            return False
        group, element, length = encoding.item(self._buffer, found.start)
        return group << 16 | element == ITEM and (
            length == UNDEFINED_LENGTH or length <= found.end - found.start - _HEADER
        )

    def _act_on_value(self, level: Level, found: _Found, op: Op, place: Place) -> bool:
        """Changes the value of an element, or takes note of it."""
        length = found.end - found.start
        if op.needs_value:
            if length > self._max_held:
                raise self._error(
                    Reason.LIMIT_EXCEEDED,
                    f"a value that a rule needs is longer than {self._max_held} bytes",
                    place.tag,
                    place.vr,
                )
            if self._lacks(found.end - found.position):
                return False
        big = level.encoding.big and found.vr != "UN"
        texts: list[str] | None = None
        if op.needs_value:
            value = self._buffer[found.start : found.end]
            if op.charset:
                self._note_charset(level, place, value)
            if op.original or op.final or (op.constant is None and op.changes):
                texts = texts_of(place, value, level.charsets, big=big)
            if op.original and texts is not None:
                self._note_original(place, texts)
        if op.drop_noted is not None:
            self._drop(level, found, op.drop_noted)
            return True
        if not op.changes:
            self._pass_to(found.end)
        else:
            if op.age:
                computed = self._age(place)
                if computed is not None:
                    texts = [computed]
                    self._count((PATIENT_AGE_FROM_BIRTHDATE,))
                if computed is None and not op.steps:
                    self._pass_to(found.end)
                    return True
            if op.constant is not None:
                texts = constant_texts(place, op.constant)
            assert texts is not None
            needs = _needs(op)
            if needs - self.originals.keys():
                self._defer(level, found, op, place, texts, needs, big=big)
                return True
            changed = apply_steps(place, texts, op.steps, self._plan.settings, self.originals)
            if op.constant is None and not op.age and not texts:
                self._pass_to(found.end)
            else:
                self._count(op.names)
                new = bytes_of(place, changed, level.charsets, big=big)
                self._replace(level, found, self._element_bytes(level, found, place, new))
            texts = changed
            if op.charset:
                self._note_charset(level, place, "\\".join(texts).encode())
        if op.final:
            self._note_final(place, "\\".join(texts or []))
        return True

    def _element_bytes(self, level: Level, found: _Found, place: Place, value: bytes) -> bytes:
        """Returns an element with the VR it came with, and a new value."""
        try:
            header = level.encoding.header(found.tag, found.vr or place.vr, len(value))
        except ValueError:
            raise place.error(
                Reason.VALUE_NOT_ENCODABLE, "the new value is too long for the VR"
            ) from None
        return header + value

    def _defer(
        self,
        level: Level,
        found: _Found,
        op: Op,
        place: Place,
        texts: list[str],
        needs: frozenset[int],
        *,
        big: bool,
    ) -> None:
        """Leaves a slot for an element whose new value needs later elements."""
        charsets = level.charsets

        def resolve() -> bytes:
            changed = apply_steps(place, texts, op.steps, self._plan.settings, self.originals)
            self._count(op.names)
            if op.final:
                self._note_final(place, "\\".join(changed))
            new = bytes_of(place, changed, charsets, big=big)
            return self._element_bytes(level, found, place, new)

        self._flush(found.position)
        levels = [*self._stack, level]
        lengths = [slot for above in levels if (slot := above.length_slot) is not None]
        for slot in lengths:
            slot.waiting += 1
        for above in levels:
            above.group_unsure = True
        deferred = Deferred(
            place.offset,
            found.tag,
            needs=needs,
            size=found.end - found.position,
            lengths=lengths,
            resolve=resolve,
        )
        self.output.open(deferred)
        self._deferred.append(deferred)
        self._position = self._run = found.end

    def _resolve_deferred(self) -> None:
        known = self.originals.keys()
        for deferred in [each for each in self._deferred if each.needs <= known]:
            self._deferred.remove(deferred)
            self.check_overdue(deferred)
            new = deferred.resolve()
            self.output.fill(deferred, [new])
            for slot in deferred.lengths:
                slot.delta += len(new) - deferred.size
                slot.waiting -= 1
                if slot.closed and not slot.waiting:
                    self.output.fill(slot, [slot.written()])

    def _note_charset(self, level: Level, place: Place, value: bytes) -> None:
        text = value.rstrip(b" \0").decode("latin-1")
        try:
            level.charsets = character_sets(text)
        except CharacterSetError:
            raise place.error(
                Reason.NOT_SUPPORTED, "the specific character set is not a defined term"
            ) from None

    def _note_original(self, place: Place, texts: list[str]) -> None:
        self._note(self.originals, place, "\\".join(texts))
        self._resolve_deferred()

    def _note_final(self, place: Place, text: str) -> None:
        self._note(self.finals, place, text)
        self._on_final()

    def _note(self, known: dict[int, str | None], place: Place, text: str) -> None:
        """Takes note of a value that is needed elsewhere.

        An element can stand twice, with the same value. Where it does not, what
        was made with the first value, or with none, may be out already.
        """
        if known.setdefault(place.tag, text) != text:
            raise place.error(
                Reason.MALFORMED, "an element that is needed elsewhere stands out of order"
            )

    def _absent(self, tag: int) -> Callable[[Level, int], None]:
        """Returns what is done when a needed element has been passed."""

        def note(level: Level, reached: int) -> None:  # noqa: ARG001
            if tag in self._plan.originals and tag not in self.originals:
                self.originals[tag] = None
                self._resolve_deferred()
            if tag in self._plan.finals and tag not in self.finals:
                waiting = any(deferred.tag == tag for deferred in self._deferred)
                if not waiting:
                    self.finals[tag] = None
                    self._on_final()

        return note

    def _age(self, place: Place) -> str | None:
        """Returns PatientAge as computed, or None where a date is missing."""
        settings = self._plan.settings
        born = self.originals.get(PATIENT_BIRTH_DATE)
        studied = self.originals.get(STUDY_DATE)
        if not born or not studied or settings.age_from_birthdate is None:
            return None
        try:
            return age(born, studied, settings.date_format, settings.age_from_birthdate)
        except ValueError as error:
            raise place.error(
                Reason.VALUE_NOT_TRANSFORMABLE, f"the age cannot be computed: {error}"
            ) from None

    # --- sequences ---

    def _act_on_sequence(
        self, level: Level, node: Node, found: _Found, op: Op | None, creator: str | None
    ) -> bool:
        action = OnSequence.DESCEND if op is None else op.on_sequence
        name = None if op is None else op.sequence_name
        if op is not None and op.charset:
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
        if action in {OnSequence.DROP, OnSequence.EMPTY}:
            assert name is not None
            made = node.children_after(found.tag, creator)
            if action is OnSequence.EMPTY and made is None and empty:
                self._count((name,))
                return self._pass_to(found.end)
            new = _EMPTY
            if made is not None or action is OnSequence.EMPTY:
                items = _EMPTY if made is None else self._items(level, made, 0)
                vr = found.vr or "SQ"
                new = level.encoding.header(found.tag, vr, len(items)) + items
            self._put_in_place_of(level, found, new, name, Kind.ITEMS)
            return True
        children = node.children(found.tag, creator)
        if children is None:
            if found.end != END:
                return self._pass_to(found.end)
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
        found: _Found,
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
        level.index += 1
        opened = self._open(Kind.ELEMENTS, level, level.encoding, level.tag, start, end, node=node)
        if node is not None:
            self._prepare(opened)
            if end != END:
                length = end - start
                if length > self._max_held:
                    self._flush(start - _HEADER)
                    self._emit(
                        level,
                        level.encoding.item_header(ITEM, UNDEFINED_LENGTH),
                        in_place_of=_HEADER,
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

    def _hold_length(self, level: Level, field: int, length: int, encoding: Encoding) -> None:
        level.length_slot = LengthSlot(self._base + field, length, big=encoding.big)
        self._cuts.append(level.length_slot)

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
            self._emit(level, self._items(level, level.children, level.index))
            self._count(("replace-with",))
        if level.converted:
            ends = SEQUENCE_DELIMITER if level.kind is Kind.ITEMS else ITEM_DELIMITER
            self._emit(level, level.encoding.item_header(ends, 0))
        self._position += delimiter
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

    def _end_length(self, level: Level) -> None:
        slot = level.length_slot
        if slot is None:
            return
        if self._cuts and self._cuts[-1] is slot:
            # The run was not cut: nothing has changed inside.
            self._cuts.pop()
            return
        slot.delta += level.delta
        slot.closed = True
        if not slot.waiting:
            self.output.fill(slot, [slot.written()])

    def _begin_dropping(self, level: Level, position: int) -> None:
        self._flush(position)
        level.dropped = True
        level.offset = self._base + position
        self._dropping = level

    def _keep_tentative(self) -> None:
        for level in [*self._stack, self._level]:
            if level.tentative is not None and level.tentative.parts is None:
                self._fill_tentative(level.tentative)

    def _fill_tentative(self, slot: Slot) -> None:
        self.output.fill(slot, [])
        self._tentative -= 1

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
        self._count(("remove-undefined",))

    # --- fragments and other values ---

    def _act_on_fragments(self, level: Level, found: _Found, op: Op | None) -> bool:
        if op is None or not (op.drop or op.changes):
            return self._open_fragments(level, found)
        if op.drop is not None:
            self._put_in_place_of(level, found, _EMPTY, op.drop, Kind.FRAGMENTS)
            return True
        if op.constant != "" or op.steps:
            raise self._error(
                Reason.VALUE_NOT_TRANSFORMABLE,
                "encapsulated pixel data has no value to transform",
                found.tag,
                found.vr,
            )
        new = level.encoding.header(found.tag, found.vr or "OW", 0)
        self._put_in_place_of(level, found, new, op.names[0], Kind.FRAGMENTS)
        return True

    def _open_fragments(self, level: Level, found: _Found) -> bool:
        self._open(Kind.FRAGMENTS, level, level.encoding, found.tag, found.start, END)
        self._position = found.start
        return True

    def _put_in_place_of(
        self, level: Level, found: _Found, new: bytes, name: str, kind: Kind
    ) -> None:
        """Writes something in place of a sequence or fragments, however long."""
        self._count((name,))
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

    def _act_on_group_length(self, level: Level, found: _Found) -> bool:
        """Holds a group length until the group has passed (PS3.5 7.2).

        It stays where the group is as long as before, and goes where it is not:
        group lengths are retired.
        """
        if self._lacks(found.end - found.position):
            return False
        group = found.tag >> 16
        if level.group_slot is not None:
            self._end_group(level)
        self._flush(found.position)
        held = self._buffer[found.position : found.end]
        slot = HeldSlot(self._base + found.position, found.tag, held)
        slot.give_up = lambda: self._leave_out_group_length(level, slot)
        self.output.open(slot)
        level.group_slot = slot
        level.group_delta = level.delta
        level.group_unsure = False

        def passed(level: Level, reached: int) -> None:  # noqa: ARG001
            if level.group_slot is slot:
                self._end_group(level)

        level.schedule(group + 1 << 16, passed)
        self._position = self._run = found.end
        return True

    def _end_group(self, level: Level) -> None:
        slot = level.group_slot
        assert slot is not None
        level.group_slot = None
        if slot.parts is not None:
            return
        changed = level.group_unsure or level.delta != level.group_delta
        if changed or self.is_overdue(slot):
            self._leave_out_group_length(level, slot)
        else:
            self.output.fill(slot, [slot.held])

    def _leave_out_group_length(self, level: Level, slot: HeldSlot) -> None:
        self.output.fill(slot, [])
        level.delta -= len(slot.held)

    # --- private elements ---

    def _act_on_creator(self, level: Level, node: Node, found: _Found) -> bool:
        """Takes note of a private creator (PS3.5 7.8.1), and keeps it while it is needed."""
        length = found.end - found.start
        if found.end == END or length > self._max_held:
            raise self._error(
                Reason.MALFORMED, "a private creator is not a short text", found.tag, found.vr
            )
        if self._lacks(found.end - found.position):
            return False
        value = self._buffer[found.start : found.end].rstrip(b" \0")
        creator = value.decode("latin-1").strip(" ")
        block = (found.tag >> 16 << 8) | (found.tag & 0xFF)
        op = node.private_op(found.tag, None)
        level.creators[block] = creator
        if op is None or op.drop is None or op.named:
            if op is not None and op.named and self._tentative:
                self._keep_tentative()
            if op is None:
                return self._pass_to(found.end)
            if op.drop is not None:
                self._drop(level, found, op.drop)
                return True
            place = Place(found.tag, found.vr or "LO", self._base + found.position)
            return self._act_on_value(level, found, op, place)
        self._flush(found.position)
        held = self._buffer[found.position : found.end]
        slot = HeldSlot(self._base + found.position, found.tag, held)
        slot.give_up = lambda: self._keep_creator(level, block)
        self.output.open(slot)
        level.creator_slots[block] = slot
        name = op.drop

        def passed(level: Level, reached: int) -> None:  # noqa: ARG001
            if slot.parts is not None:
                return
            if self.is_overdue(slot):
                self._keep_creator(level, block)
            else:
                del level.creator_slots[block]
                self._leave_out_creator(level, slot, name)

        level.schedule((block << 8 | 0xFF) + 1, passed)
        self._position = self._run = found.end
        return True

    def _leave_out_creator(self, level: Level, slot: HeldSlot, name: str) -> None:
        self.output.fill(slot, [])
        level.delta -= len(slot.held)
        self._count((name,))

    def _keep_creator(self, level: Level, block: int) -> None:
        slot = level.creator_slots.pop(block, None)
        if slot is not None and slot.parts is None:
            self.output.fill(slot, [slot.held])

    def _prepare(self, level: Level) -> None:
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
                block = self._block_of(level, group, element.creator)
                tag = group << 16 | (block & 0xFF) << 8 | element.offset
                level.schedule(tag, self._one_private_inserter(tag, block, element, insertion))

        return insert

    def _one_private_inserter(
        self, tag: int, block: int, element: PrivateElement, insertion: Insertion
    ) -> Callable[[Level, int], None]:
        def insert(level: Level, reached: int) -> None:
            if reached != tag:
                self._keep_creator(level, block)
                vr = private_vr_of(element.group, element.creator, element.offset) or "UN"
                self._insert(level, tag, vr, insertion)

        return insert

    def _block_of(self, level: Level, group: int, creator: str) -> int:
        """Returns the block of a creator in a group; makes one where there is none."""
        blocks = [block for block in level.creators if block >> 8 == group]
        for block in blocks:
            if level.creators[block] == creator:
                return block
        number = max((block & 0xFF for block in blocks), default=0x0F) + 1
        if number > 0xFF:
            raise self._error(Reason.NOT_SUPPORTED, "a group has no room for a private creator")
        block = group << 8 | number
        level.creators[block] = creator
        self._insert(level, group << 16 | number, "LO", Insertion(creator))
        return block

    # --- what is inserted ---

    def _reach(self, level: Level, tag: int) -> None:
        """Does what is due before an element of a tag, or at the end of a level."""
        while level.boundary <= tag and level.boundary != END:
            agenda = level.agenda
            tags = [] if level.node is None else level.node.insertion_tags
            first = level.next_insertion
            if agenda and (first >= len(tags) or agenda[0][0] <= tags[first]):
                action = agenda.pop(0)[2]
                level.set_boundary()
                action(level, tag)
                continue
            stop = bisect_left(tags, min(tag, agenda[0][0]) if agenda else tag, first)
            self._insert_range(level, first, stop)
            level.next_insertion = stop
            if stop < len(tags) and tags[stop] == tag:
                level.next_insertion += 1
            level.set_boundary()
        level.crossed = tag

    def _insert_range(self, level: Level, first: int, stop: int) -> None:
        """Inserts the elements of a range of a node's insertions."""
        node = level.node
        if first == stop or node is None:
            return
        level.inserted.append((first, stop))
        prepared = _prepared(node, level.encoding)
        tags = node.insertion_tags
        for index in range(first, stop):
            tag = tags[index]
            insertion = node.insertions[tag]
            blob = prepared[index]
            if blob is None:
                self._insert(level, tag, vr_of(tag), insertion)
            else:
                self._emit(level, blob)
                self._count(insertion.names)
                if level.tag is None and tag in self._plan.finals:
                    self._note_final(Place(tag, vr_of(tag), self._base), insertion.text or "")

    def _insert(self, level: Level, tag: int, vr: str, insertion: Insertion) -> None:
        """Inserts an element."""
        place = Place(tag, vr, self._base + self._position)
        made = self._made(level, place, insertion)
        if made is None:
            return
        new, texts = made
        self._emit(level, new)
        self._count(insertion.names)
        if level.tag is None and tag in self._plan.finals:
            self._note_final(place, "\\".join(texts))

    def _made(
        self, level: Level, place: Place, insertion: Insertion
    ) -> tuple[bytes, list[str]] | None:
        """Returns an inserted element and its values, or None where there is nothing to insert."""
        encoding = level.encoding
        if insertion.items:
            assert level.node is not None
            made = level.node.children_after(place.tag, None)
            assert made is not None
            items = self._items(level, made, 0)
            return encoding.header(place.tag, "SQ", len(items)) + items, []
        if insertion.text is None:
            computed = self._age(place)
            if computed is None:
                return None
            self._count((PATIENT_AGE_FROM_BIRTHDATE,))
            texts = [computed]
        else:
            texts = constant_texts(place, insertion.text)
        if _missing_originals(insertion.steps, self.originals):
            raise place.error(
                Reason.NOT_SUPPORTED, "a regex-sub on a computed element needs later elements"
            )
        texts = apply_steps(place, texts, insertion.steps, self._plan.settings, self.originals)
        value = bytes_of(place, texts, level.charsets, big=encoding.big)
        return encoding.header(place.tag, place.vr, len(value)) + value, texts

    def _items(self, level: Level, children: Children, first: int) -> bytes:
        """Returns the items that rules make in a sequence, from one on."""
        items = []
        for index in range(first, children.wanted):
            node = children.item(index)
            inside = Level(
                Kind.ELEMENTS,
                level.encoding,
                tag=level.tag or 0,
                offset=0,
                end=END,
                undefined=False,
                charsets=level.charsets,
                node=node,
            )
            content = _EMPTY
            for tag in node.insertion_tags:
                place = Place(tag, vr_of(tag), self._base + self._position)
                made = self._made(inside, place, node.insertions[tag])
                if made is not None:
                    content += made[0]
            items.append(level.encoding.item_header(ITEM, len(content)) + content)
        return b"".join(items)

    # --- output ---

    def _flush(self, position: int) -> None:
        """Puts the run up to a position into the output."""
        run = self._run
        if self._dropping is not None:
            self._run = position
            return
        parts = self.output.parts
        if self._cuts:
            for slot in self._cuts:
                field = slot.offset - self._base
                if run < field:
                    parts.append(self._view[run:field])
                self.output.open(slot)
                parts = self.output.parts
                run = field + 4
            self._cuts.clear()
        if run < position:
            parts.append(self._view[run:position])
        self._run = position

    def _emit(self, level: Level, new: bytes, *, in_place_of: int = 0) -> None:
        """Writes bytes at the position, in place of so many that came."""
        self._flush(self._position)
        if new:
            self.output.parts.append(new)
        level.delta += len(new) - in_place_of

    def _replace(self, level: Level, found: _Found, new: bytes) -> None:
        """Writes bytes in place of an element of defined length."""
        self._emit(level, new, in_place_of=found.end - found.position)
        size = len(self._buffer)
        if found.end > size:
            self._drop_left = found.end - size
            self._position = self._run = size
        else:
            self._position = self._run = found.end

    def _drop(self, level: Level, found: _Found, name: str) -> None:
        self._count((name,))
        self._replace(level, found, _EMPTY)

    def _pass_to(self, end: int) -> bool:
        size = len(self._buffer)
        if end > size:
            self._pass_left = end - size
            self._position = size
        else:
            self._position = end
        return True

    def _lacks(self, wanted: int) -> bool:
        """Whether less input than wanted is there from the position on."""
        if len(self._buffer) - self._position < wanted:
            self.need = wanted
            return True
        return False

    def _count(self, names: tuple[str, ...]) -> None:
        for name in names:
            self.counts[name] = self.counts.get(name, 0) + 1

    # --- limits ---

    def is_overdue(self, slot: Slot) -> bool:
        """Whether more input has passed since a slot was opened than may be held."""
        return self._base + self._position - slot.offset > self._max_held

    def check_overdue(self, slot: Slot) -> None:
        """Refuses a slot that has been open for too long.

        Raises:
            DicomError: it has.
        """
        if self.is_overdue(slot):
            raise DicomError(
                Reason.LIMIT_EXCEEDED,
                f"what the element needs does not come within {self._max_held} bytes",
                tag=slot.tag,
                offset=slot.offset,
            )

    def _give_up_overdue(self) -> None:
        """Decides about slots that have been open for too long.

        The same is decided where a slot is filled too late, so that it does not
        hang on how the input is cut.
        """
        while (slot := self.output.first_open()) is not None and self.is_overdue(slot):
            if slot.give_up is not None:
                slot.give_up()
            elif isinstance(slot, LengthSlot):
                # It waits for a value inside of it.
                self.check_overdue(next(each for each in self._deferred if slot in each.lengths))
                return
            else:
                self.check_overdue(slot)

    def _error(
        self, reason: Reason, message: str, tag: int | None = None, vr: str | None = None
    ) -> DicomError:
        return DicomError(reason, message, tag=tag, vr=vr, offset=self._base + self._position)


class _Found:
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


# What is done to an element whose place an inserted one has taken.
_SUPERSEDED: Final = Op(
    drop="replace-with", on_sequence=OnSequence.DROP, sequence_name="replace-with"
)

_PERHAPS_SEQUENCES: Final = frozenset({"SQ", "UN"})


def _is_vr(code: int) -> bool:
    """Whether a number is two capital letters, in either byte order."""
    return all(ord("A") <= byte <= ord("Z") for byte in code.to_bytes(2, "big"))


def _needs(op: Op) -> frozenset[int]:
    steps = op.steps
    return frozenset[int]().union(*(step.needs for step in steps if isinstance(step, RegexSubStep)))


def _missing_originals(steps: tuple[object, ...], known: dict[int, str | None]) -> bool:
    return any(step.needs - known.keys() for step in steps if isinstance(step, RegexSubStep))


def _prepared(node: Node, encoding: Encoding) -> list[bytes | None]:
    """Returns the insertions of a node in bytes; None for those that hang on the file."""
    prepared = node.prepared.get(encoding)
    if prepared is None:
        prepared = [_prepare(tag, node.insertions[tag], encoding) for tag in node.insertion_tags]
        node.prepared[encoding] = prepared
    return prepared


def _prepare(tag: int, insertion: Insertion, encoding: Encoding) -> bytes | None:
    if insertion.text is None or insertion.steps or insertion.items:
        return None
    vr = vr_of(tag)
    if not insertion.text:
        return encoding.header(tag, vr, 0)
    if not insertion.text.isascii() and vr in CHARSET_VRS:
        return None
    place = Place(tag, vr, 0)
    value = bytes_of(
        place, constant_texts(place, insertion.text), DEFAULT_CHARACTER_SETS, big=encoding.big
    )
    return encoding.header(tag, vr, len(value)) + value
