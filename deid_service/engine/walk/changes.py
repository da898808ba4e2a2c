"""Changes to elements: values rewritten, elements inserted, and what waits for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from deid_service.engine.encoding.charsets import (
    CharacterSetError,
    UndefinedCharacterSets,
    character_sets,
)
from deid_service.engine.encoding.dictionary import private_vr_of, vr_of
from deid_service.engine.encoding.headers import ITEM, Encoding
from deid_service.engine.encoding.tags import PATIENT_BIRTH_DATE, STUDY_DATE
from deid_service.engine.errors import Reason
from deid_service.engine.rules.dates import age
from deid_service.engine.rules.insertions import prepared
from deid_service.engine.rules.nodes import Children, Node, Rules
from deid_service.engine.rules.ops import (
    CharacterSet,
    Dropped,
    Effect,
    Insertion,
    Kept,
    OnSequence,
    Op,
    Rewritten,
    becomes_of,
    effect_on_value,
    needed_by,
)
from deid_service.engine.rules.rewriting import (
    Around,
    Memo,
    Place,
    apply_steps,
    became,
    bytes_of,
    constant_texts,
    element_of,
    texts_of,
)
from deid_service.engine.walk.levels import (
    END,
    HeldSlot,
    Kind,
    LengthSlot,
    Level,
    PrivateBlock,
)
from deid_service.engine.walk.output import Output, Slot
from deid_service.engine.walk.splicer import Found, Splicer
from profile_service.language.model import PrivateElement

PATIENT_AGE_FROM_BIRTHDATE: Final = "patient-age-from-birthdate"

# Private creators name programs, in at most 64 characters (PS3.5 6.2, LO).
MAX_CREATOR: Final = 1024

# Of private elements, in the levels of a file that are open at once: the files of
# vendors have some tens. Each block is held in some 300 bytes, and with its creator.
MAX_PRIVATE_BLOCKS: Final = 4096

# What is done to an element whose place an inserted one has taken.
SUPERSEDED: Final = Dropped(
    name="replace-with", sequence=OnSequence.DROP, sequence_name="replace-with"
)


class Deferred(Slot):
    """An element whose new value needs others that come later in the file."""

    __slots__ = ("lengths", "needs", "resolve", "size")

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


class Changes(Splicer):
    """What is done to elements other than to pass them on.

    Attributes:
        originals: the original values that other elements need, by tag; None
            for an absent element.
        finals: the resulting values that the file meta and the file name need.
    """

    def __init__(
        self,
        rules: Rules,
        memo: Memo,
        output: Output,
        *,
        base: int,
        max_held_bytes: int,
        on_final: Callable[[], None],
    ) -> None:
        """Starts with nothing changed.

        Args:
            rules: what is done.
            memo: what became of elements before.
            output: where the result goes.
            base: the absolute offset of the first byte of the data set.
            max_held_bytes: see `Splicer`.
            on_final: called when another of `Rules.finals` is known.
        """
        super().__init__(output, base=base, max_held_bytes=max_held_bytes)
        self.originals: dict[int, str | None] = {}
        self.finals: dict[int, str | None] = {}
        self._rules = rules
        self._memo = memo
        self._on_final = on_final
        self._deferred: list[Deferred] = []
        # The levels that are open, but for the innermost.
        self._stack: list[Level] = []
        self._level: Level
        # Blocks of private elements in the levels that are open.
        self._blocks = 0
        # Sequences that stay only if a rule names something inside of them.
        self._tentative = 0

    # --- values ---

    def _act_on_value(
        self, level: Level, found: Found, op: Kept | Dropped | Rewritten, place: Place
    ) -> bool:
        """Changes the value of an element, or takes note of it; False: input is missing."""
        reads = op.reads_value if isinstance(op, Rewritten) else op.original or op.final
        if reads and self._lacks_value(found, place):
            return False
        if op.repeatable and not isinstance(op, Dropped) and found.end <= len(self._buffer):
            self._become(level, found, op, place)
            return True
        texts: list[str] = []
        if reads:
            texts = self._texts(level, found, place)
            if op.original:
                self._note(self.originals, place, "\\".join(texts))
                self._resolve_deferred()
        if isinstance(op, Dropped):
            self._drop(level, found, op.name)
            return True
        new_texts = None if isinstance(op, Kept) else self._before_steps(op, place, texts)
        if new_texts is None or isinstance(op, Kept):
            if op.final:
                self._note_final(place, "\\".join(texts))
            self._pass_to(found.end)
            return True
        if op.needs - self.originals.keys():
            self._defer(level, found, op, place, new_texts)
            return True
        self._rewrite(level, found, op, place, new_texts)
        return True

    def _texts(self, level: Level, found: Found, place: Place) -> list[str]:
        """Returns the values of an element that is all there."""
        big = level.encoding.big and found.vr != "UN"
        return texts_of(place, self._buffer[found.start : found.end], level.charsets, big=big)

    def _before_steps(self, op: Rewritten, place: Place, texts: list[str]) -> list[str] | None:
        """Returns the values that steps are done to; None where nothing is done."""
        if op.age and (computed := self._age(place)) is not None:
            self.count((PATIENT_AGE_FROM_BIRTHDATE,))
            return [computed]
        if op.constant is not None:
            return constant_texts(place, op.constant)
        return texts if texts and op.steps else None

    def _rewrite(
        self, level: Level, found: Found, op: Rewritten, place: Place, texts: list[str]
    ) -> bytes:
        """Does the steps, writes the element, and returns its new value."""
        texts = apply_steps(place, texts, op.steps, self._rules.settings, self.originals)
        big = level.encoding.big and found.vr != "UN"
        value = bytes_of(place, texts, level.charsets, big=big)
        new = element_of(level.encoding, place, found.vr, value)
        self.count(op.names)
        if op.final:
            self._note_final(place, "\\".join(texts))
        self._replace(level, found, new)
        return value

    def _become(self, level: Level, found: Found, op: Kept | Rewritten, place: Place) -> None:
        """Does to an element what depends on nothing but itself."""
        element = self._buffer[found.position : found.end]
        around = Around(level.encoding, level.charsets, self._rules.settings, self._memo)
        new, names, text = became(op, place, found.vr, element, around)
        if names:
            self.count(names)
        if op.final:
            # Before the element is passed: how far that is depends on the cut.
            self._note_final(place, text)
        if new is None:
            self._pass_to(found.end)
        else:
            self._replace(level, found, new)

    def _lacks_value(self, found: Found, place: Place) -> bool:
        """Whether a value that is needed is not all there.

        Raises:
            DicomError: it is longer than what may be held.
        """
        if found.end - found.start > self._max_held:
            raise self._error(
                Reason.LIMIT_EXCEEDED,
                f"a value that a rule needs is longer than {self._max_held} bytes",
                place.tag,
                place.vr,
            )
        return self._lacks(found.end - found.position)

    def _act_on_charset(self, level: Level, found: Found, op: CharacterSet, place: Place) -> bool:
        """Takes note of the character sets, and does what is done to the element."""
        becomes = op.becomes
        if isinstance(becomes, Dropped) and not becomes.original:
            self._drop(level, found, becomes.name)
            return True
        if self._lacks_value(found, place):
            return False
        element = self._buffer[found.position : found.end]
        self._note_charset(level, place, self._buffer[found.start : found.end])
        if isinstance(becomes, Rewritten) and not becomes.needs - self.originals.keys():
            texts = self._texts(level, found, place)
            if becomes.original:
                self._note(self.originals, place, "\\".join(texts))
                self._resolve_deferred()
            new_texts = self._before_steps(becomes, place, texts)
            if new_texts is not None:
                value = self._rewrite(level, found, becomes, place, new_texts)
                self._note_charset(level, place, value)
                return True
        is_defined = not isinstance(level.charsets, UndefinedCharacterSets)
        if isinstance(becomes, Kept) and becomes.repeatable and is_defined:
            text = element[found.start - found.position :].rstrip(b" \0").decode("latin-1")
            self._memo.remember(op, level.encoding, element, (None, (), text))
        return self._act_on_value(level, found, becomes, place)

    def _defer(
        self, level: Level, found: Found, op: Rewritten, place: Place, texts: list[str]
    ) -> None:
        """Leaves a slot for an element whose new value needs later elements."""
        charsets = level.charsets
        big = level.encoding.big and found.vr != "UN"

        def resolve() -> bytes:
            changed = apply_steps(place, texts, op.steps, self._rules.settings, self.originals)
            self.count(op.names)
            if op.final:
                self._note_final(place, "\\".join(changed))
            new = bytes_of(place, changed, charsets, big=big)
            return element_of(level.encoding, place, found.vr, new)

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
            needs=op.needs,
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
            # Whether that matters is for the values to say that are read and written.
            level.charsets = UndefinedCharacterSets(place.offset)

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

    def _passed(self, tag: int) -> None:
        """Takes note of an element needed elsewhere that was not there."""
        if tag in self._rules.originals and tag not in self.originals:
            self.originals[tag] = None
            self._resolve_deferred()
        if tag in self._rules.finals and tag not in self.finals:
            if any(deferred.tag == tag for deferred in self._deferred):
                return
            self.finals[tag] = None
            self._on_final()

    def _age(self, place: Place) -> str | None:
        """Returns PatientAge as computed, or None where a date is missing."""
        settings = self._rules.settings
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

    # --- sequences that stay for what is inside of them ---

    def _keep_tentative(self) -> None:
        for level in [*self._stack, self._level]:
            if level.tentative is not None and level.tentative.parts is None:
                self._fill_tentative(level.tentative)

    def _fill_tentative(self, slot: Slot) -> None:
        self.output.fill(slot, [])
        self._tentative -= 1

    # --- group lengths ---

    def _act_on_group_length(self, level: Level, found: Found) -> bool:
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

    # --- private creators ---

    def _block(self, level: Level, number: int) -> PrivateBlock:
        """Returns a block of private elements."""
        block = level.blocks.get(number)
        if block is None:
            if self._blocks >= MAX_PRIVATE_BLOCKS:
                raise self._error(
                    Reason.LIMIT_EXCEEDED,
                    f"more than {MAX_PRIVATE_BLOCKS} blocks of private elements",
                    number >> 8 << 16 | number & 0xFF,
                )
            self._blocks += 1
            block = level.blocks[number] = PrivateBlock()
        return block

    def _act_on_creator(self, level: Level, node: Node, found: Found) -> bool:
        """Takes note of a private creator (PS3.5 7.8.1), and keeps it while it is needed."""
        if found.end == END:
            raise self._error(
                Reason.MALFORMED, "a private creator is not a short text", found.tag, found.vr
            )
        if found.end - found.start > MAX_CREATOR:
            raise self._error(
                Reason.LIMIT_EXCEEDED,
                f"a private creator is longer than {MAX_CREATOR} bytes",
                found.tag,
                found.vr,
            )
        if self._lacks(found.end - found.position):
            return False
        value = self._buffer[found.start : found.end].rstrip(b" \0")
        number = (found.tag >> 16 << 8) | (found.tag & 0xFF)
        block = self._block(level, number)
        self._note_creator(level, node, found, block, value.decode("latin-1").strip(" "))
        op = node.op(found.tag, None)
        if op is None:
            return self._pass_to(found.end)
        becomes = becomes_of(op)
        if becomes.named or not isinstance(becomes, Dropped):
            if isinstance(becomes, Dropped):
                self._drop(level, found, becomes.name)
                return True
            if becomes.named and self._tentative:
                self._keep_tentative()
            place = Place(found.tag, found.vr or "LO", self._base + found.position)
            return self._act_on_value(level, found, becomes, place)
        if block.stays:
            return self._pass_to(found.end)
        self._flush(found.position)
        held = self._buffer[found.position : found.end]
        slot = HeldSlot(self._base + found.position, found.tag, held)
        slot.give_up = lambda: self._keep_creator(block)
        name = becomes.name
        if block.slot is not None:
            # The same element twice: the last one counts, as other readers have it.
            self._leave_out_creator(level, block, name)
        self.output.open(slot)
        block.slot = slot
        block.left_out = False

        def passed(level: Level, reached: int) -> None:  # noqa: ARG001
            block.scheduled = False
            if block.slot is None:
                return
            if self.is_overdue(block.slot):
                self._keep_creator(block)
            else:
                self._leave_out_creator(level, block, name)

        if not block.scheduled:
            block.scheduled = True
            level.schedule((number << 8 | 0xFF) + 1, passed)
        self._position = self._run = found.end
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
        group = found.tag >> 16
        first = group << 16 | (found.tag & 0xFF) << 8
        is_late = creator in level.made_creators.get(group, ()) or block.made
        if not is_late and block.seen and former != creator:
            is_late = former is not None or any(
                node.depends_on_creator(first | offset, creator)
                for offset in range(0x100)
                if block.seen >> offset & 1
            )
        if is_late:
            raise self._error(
                Reason.MALFORMED,
                "a private creator stands behind elements that it says the meaning of",
                found.tag,
                found.vr,
            )

    def _leave_out_creator(self, level: Level, block: PrivateBlock, name: str) -> None:
        slot, block.slot = block.slot, None
        assert slot is not None
        block.left_out = True
        self.output.fill(slot, [])
        level.delta -= len(slot.held)
        self.count((name,))

    def _keep_creator(self, block: PrivateBlock) -> None:
        slot, block.slot = block.slot, None
        if slot is not None:
            block.stays = True
            self.output.fill(slot, [slot.held])

    def _op_in_block(self, level: Level, node: Node, tag: int) -> tuple[Op | None, str | None]:
        """Returns what is done to an element of a private block, and its creator.

        Raises:
            DicomError: it stays, and its creator does not, or another's stands for it.
        """
        block = self._block(level, tag >> 8)
        bit = 1 << (tag & 0xFF)
        if block.inserted & bit and not block.made:
            return SUPERSEDED, block.creator
        # What stands in a block that was made for a rule is not that creator's.
        creator = None if block.made else block.creator
        op = node.op(tag, creator)
        block.seen |= bit
        if effect_on_value(op) is not Effect.GOES:
            self._stay_in_block(block, tag)
        return op, creator

    def _stay_in_block(self, block: PrivateBlock, tag: int) -> None:
        """Has the creator of an element stay that stays."""
        if block.made or block.left_out:
            raise self._error(
                Reason.MALFORMED, "a private element stands apart from its private creator", tag
            )
        self._keep_creator(block)
        block.stays = True

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
                self._insert(level, tag, vr, insertion)

        return insert

    def _block_of(self, level: Level, group: int, creator: str) -> int:
        """Returns the block of a creator in a group; makes one where there is none."""
        numbers = [number for number in level.blocks if number >> 8 == group]
        for number in numbers:
            if level.blocks[number].creator == creator:
                return number
        last = max(0x0F, max((number & 0xFF for number in numbers), default=0)) + 1
        if last > 0xFF:
            raise self._error(Reason.NOT_SUPPORTED, "a group has no room for a private creator")
        number = group << 8 | last
        block = self._block(level, number)
        block.creator = creator
        block.made = block.stays = True
        level.made_creators.setdefault(group, set()).add(creator)
        self._insert(level, group << 16 | last, "LO", Insertion(creator))
        return number

    # --- what is inserted ---

    def _reach(self, level: Level, tag: int) -> None:
        """Does what is due before an element of a tag, or at the end of a level."""
        while (due := level.next_due(tag)) is not None:
            if isinstance(due, tuple):
                self._insert_range(level, *due)
            else:
                due(level, tag)

    def _insert_range(self, level: Level, first: int, stop: int) -> None:
        """Inserts the elements of a range of a node's insertions."""
        node = level.node
        if node is None:
            return
        blobs = prepared(node, level.encoding)
        tags = node.insertion_tags
        for index in range(first, stop):
            tag = tags[index]
            insertion = node.insertions[tag]
            blob = blobs[index]
            if blob is None:
                self._insert(level, tag, vr_of(tag), insertion)
            else:
                self._emit(level, blob)
                self.count(insertion.names)
                if level.tag is None and tag in self._rules.finals:
                    place = Place(tag, vr_of(tag), self._base + self._position)
                    self._note_final(place, insertion.text or "")

    def _insert(self, level: Level, tag: int, vr: str, insertion: Insertion) -> None:
        """Inserts an element."""
        place = Place(tag, vr, self._base + self._position)
        made = self._made(level, place, insertion)
        if made is None:
            return
        new, texts = made
        self._emit(level, new)
        self.count(insertion.names)
        if level.tag is None and tag in self._rules.finals:
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
            items = self._items(level, made, 0, encoding)
            return encoding.header(place.tag, "SQ", len(items)) + items, []
        computed = self._age(place) if insertion.with_age else None
        if insertion.with_age and computed is None:
            return None
        if insertion.text is not None:
            texts = constant_texts(place, insertion.text)
        else:
            assert computed is not None
            self.count((PATIENT_AGE_FROM_BIRTHDATE,))
            texts = [computed]
        if needed_by(insertion.steps) - self.originals.keys():
            raise place.error(
                Reason.NOT_SUPPORTED, "a regex-sub on a computed element needs later elements"
            )
        texts = apply_steps(place, texts, insertion.steps, self._rules.settings, self.originals)
        value = bytes_of(place, texts, level.charsets, big=encoding.big)
        return element_of(encoding, place, None, value), texts

    def _items(self, level: Level, children: Children, first: int, encoding: Encoding) -> bytes:
        """Returns the items that rules make in a sequence, from one on."""
        items = []
        for index in range(first, children.wanted):
            node = children.item(index)
            inside = Level(
                Kind.ELEMENTS,
                encoding,
                tag=level.tag or 0,
                offset=0,
                end=END,
                undefined=False,
                charsets=level.charsets,
                node=node,
            )
            content = b""
            for tag in node.insertion_tags:
                place = Place(tag, vr_of(tag), self._base + self._position)
                made = self._made(inside, place, node.insertions[tag])
                if made is not None:
                    content += made[0]
            items.append(encoding.item_header(ITEM, len(content)) + content)
        return b"".join(items)

    # --- limits ---

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
