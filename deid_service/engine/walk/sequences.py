"""Sequences, items and fragments: opened, closed, left out or emptied."""

from __future__ import annotations

from typing import Final

from deid_service.engine.encoding.headers import (
    HEADER,
    IMPLICIT_LITTLE,
    ITEM,
    ITEM_DELIMITER,
    SEQUENCE_DELIMITER,
    UNDEFINED_LENGTH,
    Encoding,
)
from deid_service.engine.encoding.skim import skim_item, skim_sequence
from deid_service.engine.errors import Reason
from deid_service.engine.rules.nodes import Children, Node
from deid_service.engine.rules.ops import (
    CharacterSet,
    Dropped,
    Effect,
    OnSequence,
    Op,
    Rewritten,
    becomes_of,
    effect_on_fragments,
)
from deid_service.engine.walk.creators import Creators
from deid_service.engine.walk.insertions import Insertions
from deid_service.engine.walk.levels import (
    END,
    Kind,
    Level,
)
from deid_service.engine.walk.output import Slot
from deid_service.engine.walk.pixel_data import empty_fragments
from deid_service.engine.walk.splicer import Found, Splicer
from deid_service.engine.walk.tentatives import Tentatives

# Structured reports, the deepest of real data sets, reach some twenty levels;
# each level is state that a file makes us keep.
MAX_SEQUENCE_DEPTH: Final = 100

# An item that is skimmed for something to do is read once more where there is;
# that must not add up over the levels.
_MAX_SKIM_DEPTH: Final = 8

# How many bytes of elements are passed, or skimmed, between two looks at the clock: at
# eight bytes an element some ten milliseconds.
BYTES_AT_ONCE: Final = 256 * 1024


class Sequences:
    """Does what is done to sequences and fragments as a whole."""

    def __init__(
        self,
        splicer: Splicer,
        insertions: Insertions,
        creators: Creators,
        tentatives: Tentatives,
        *,
        skims: bool,
    ) -> None:
        """Starts with none.

        Args:
            splicer: of the data set.
            insertions: make items.
            creators: keep account of private blocks.
            tentatives: hold sequences.
            skims: takes the short way through what nothing is done in.
        """
        self._skims = skims
        self._splicer = splicer
        self._insertions = insertions
        self._creators = creators
        self._tentatives = tentatives

    def act(
        self, level: Level, node: Node, found: Found, op: Op | None, creator: str | None
    ) -> bool:
        """Does what is done to a sequence as a whole; False where input is missing."""
        splicer = self._splicer
        becomes = becomes_of(op)
        action, name = becomes.sequence, becomes.sequence_name
        if isinstance(op, CharacterSet):
            raise splicer.error(Reason.MALFORMED, "a character set is no sequence", found.tag)
        if action is OnSequence.REJECT:
            raise splicer.error(
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
                splicer.count((name,))
                splicer.enter(found.start)
                return True
            new = b""
            if made is not None or action is OnSequence.EMPTY:
                # PS3.5 6.2.2: what is in UN is in implicit VR little endian.
                inside = IMPLICIT_LITTLE if found.vr == "UN" else level.encoding
                items = b"" if made is None else self._insertions.items(level, made, 0, inside)
                vr = found.vr or "SQ"
                new = level.encoding.header(found.tag, vr, len(items)) + items
            self._put_in_place_of(level, found, new, name, Kind.ITEMS)
            return True
        block = level.blocks.get(found.tag >> 8) if isinstance(op, Dropped) else None
        if block is not None and action is OnSequence.DESCEND:
            self._creators.keep_block_of(block, found.tag)
        children = node.children(found.tag, creator)
        if children is None:
            if found.end != END:
                return splicer.pass_over(found)
            if found.vr != "UN" and self._skims:
                room = MAX_SEQUENCE_DEPTH * 2 - len(splicer.stack)
                end = skim_sequence(
                    splicer.buffer, found.start, level.encoding, room, BYTES_AT_ONCE
                )
                if 0 < end <= level.end - splicer.base:
                    return splicer.pass_to(end)
        elif empty and not children.wanted:
            splicer.enter(found.start)
            return True
        if action is OnSequence.TENTATIVE:
            splicer.depend()
            splicer.flush(found.position)
            tentative = Slot(splicer.base + found.position, found.tag)
            tentative.give_up = lambda: self._tentatives.fill(tentative)
            splicer.output.open(tentative)
            self._tentatives.open += 1
            return self.open_sequence(level, found, children, tentative)
        return self.open_sequence(level, found, children)

    def read_item(self, level: Level) -> bool:
        """Reads an item header, or the end of a sequence; False where input is missing."""
        splicer = self._splicer
        position = splicer.position
        left = level.end - splicer.base - position
        if left == 0:
            self.close(level)
            return True
        if left < HEADER:
            raise splicer.error(Reason.MALFORMED, "a sequence ends in the middle of an item")
        if splicer.lacks(HEADER):
            return False
        group, element, length = level.encoding.item(splicer.buffer, position)
        tag = group << 16 | element
        if tag == SEQUENCE_DELIMITER:
            if level.undefined:
                self.close(level, HEADER)
            else:
                # Not called for in a sequence of defined length, but seen there.
                splicer.enter(splicer.position + HEADER)
            return True
        if tag != ITEM:
            raise splicer.error(Reason.MALFORMED, "something else than an item in a sequence", tag)
        start = position + HEADER
        end = END if length == UNDEFINED_LENGTH else start + length
        if end != END and end > level.end - splicer.base:
            raise splicer.error(Reason.MALFORMED, "an item is longer than its sequence", level.tag)
        if level.kind is Kind.FRAGMENTS:
            if end == END:
                # PS3.5 A.4: fragments have defined lengths.
                raise splicer.error(Reason.MALFORMED, "a fragment of undefined length", level.tag)
            return splicer.pass_item(end)
        return self.open_item(level, start, end)

    def read_delimiter(self, level: Level, tag: int) -> bool:
        """Reads an item delimiter among elements; False where input is missing."""
        if tag != ITEM_DELIMITER or level.tag is None:
            raise self._splicer.error(Reason.MALFORMED, "an item or a delimiter out of place", tag)
        if level.undefined:
            self.close(level, HEADER)
        else:
            # Not called for in an item of defined length, but seen there.
            self._splicer.enter(self._splicer.position + HEADER)
        return True

    def open_sequence(
        self,
        level: Level,
        found: Found,
        children: Children | None,
        tentative: Slot | None = None,
        *,
        dropped: bool = False,
    ) -> bool:
        """Opens a sequence: its items come next."""
        # PS3.5 6.2.2: the items of a UN sequence are in implicit VR little endian.
        splicer = self._splicer
        encoding = IMPLICIT_LITTLE if found.vr == "UN" else level.encoding
        opened = self._open(
            Kind.ITEMS, level, encoding, found.tag, found.start, found.end, children=children
        )
        opened.tentative = tentative
        if dropped:
            self._begin_dropping(opened, found.position)
        elif children is not None and found.end != END:
            length = found.end - found.start
            if length > splicer.max_held:
                splicer.flush(found.position)
                splicer.write(
                    level,
                    level.encoding.header(found.tag, found.vr or "SQ", UNDEFINED_LENGTH),
                    in_place_of=found.start - found.position,
                )
                splicer.run = found.start
                opened.converted = True
            else:
                splicer.hold_length(opened, found.start - 4, length, level.encoding)
        splicer.enter(found.start)
        return True

    def open_item(self, level: Level, start: int, end: int) -> bool:
        """Opens an item, or passes one in which nothing is done."""
        splicer = self._splicer
        children = level.children
        if children is None:
            if end != END:
                return splicer.pass_item(end)
            node = None
        else:
            node = children.item(level.index)
            if not node.acts:
                if end != END:
                    level.index += 1
                    return splicer.pass_item(end)
                node = None
            elif self._skims and node.uniform and len(splicer.stack) <= _MAX_SKIM_DEPTH:
                skimmed = skim_item(
                    splicer.buffer,
                    start,
                    None if end == END else end,
                    level.encoding,
                    node.glance,
                    node.acts_on,
                    MAX_SEQUENCE_DEPTH * 2 - len(splicer.stack),
                    splicer.max_held,
                    BYTES_AT_ONCE,
                )
                if 0 < skimmed <= level.end - splicer.base and (
                    end == END or end - start <= splicer.max_held
                ):
                    level.index += 1
                    return splicer.pass_to(skimmed)
        level.index += 1
        opened = self._open(Kind.ELEMENTS, level, level.encoding, level.tag, start, end, node=node)
        if node is not None:
            self._creators.prepare(opened)
            if end != END:
                length = end - start
                if length > splicer.max_held:
                    splicer.flush(start - HEADER)
                    splicer.write(
                        level,
                        level.encoding.item_header(ITEM, UNDEFINED_LENGTH),
                        in_place_of=HEADER,
                    )
                    splicer.run = start
                    opened.converted = True
                else:
                    splicer.hold_length(opened, start - 4, length, level.encoding)
        splicer.enter(start)
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
        splicer = self._splicer
        if len(splicer.stack) >= MAX_SEQUENCE_DEPTH * 2:
            raise splicer.error(
                Reason.LIMIT_EXCEEDED,
                f"sequences are nested more than {MAX_SEQUENCE_DEPTH} deep",
                tag,
            )
        splicer.stack.append(above)
        splicer.level = Level(
            kind,
            encoding,
            tag=tag,
            offset=splicer.base + start,
            end=END if end == END else splicer.base + end,
            undefined=end == END,
            charsets=above.charsets,
            node=node,
            children=children,
        )
        if end == END and above.end != END:
            # What has no end of its own ends with what it is in.
            splicer.level.end = above.end
        return splicer.level

    def close(self, level: Level, delimiter: int = 0) -> None:
        """Ends a level at the position.

        Args:
            level: the level.
            delimiter: the length of the delimiter that stands there, or 0.
        """
        splicer = self._splicer
        if level.undefined and not delimiter:
            raise splicer.error(Reason.MALFORMED, "a sequence or an item does not end", level.tag)
        if level.kind is Kind.ELEMENTS:
            self._insertions.reach(level, END)
        elif level.children is not None and level.index < level.children.wanted:
            splicer.write(
                level, self._insertions.items(level, level.children, level.index, level.encoding)
            )
            splicer.count(("replace-with",))
        if level.converted:
            ends = SEQUENCE_DELIMITER if level.kind is Kind.ITEMS else ITEM_DELIMITER
            splicer.write(level, level.encoding.item_header(ends, 0))
        splicer.enter(splicer.position + delimiter)
        if level.node is not None:
            self._creators.open_blocks -= len(level.blocks)
        above = splicer.stack.pop()
        splicer.level = above
        if level.dropped:
            splicer.run = splicer.position
            splicer.dropping = None
            above.delta -= splicer.base + splicer.position - level.offset
            return
        tentative = level.tentative
        if tentative is not None and tentative.parts is None:
            self._tentatives.end(level, above, tentative)
            return
        above.delta += level.delta
        splicer.end_length(level)

    def _begin_dropping(self, level: Level, position: int) -> None:
        splicer = self._splicer
        splicer.flush(position)
        level.dropped = True
        level.offset = splicer.base + position
        splicer.dropping = level

    def act_on_fragments(self, level: Level, found: Found, op: Op | None) -> bool:
        """Does what is done to encapsulated pixel data."""
        becomes = becomes_of(op)
        match effect_on_fragments(op):
            case Effect.STAYS:
                return self.open_fragments(level, found)
            case Effect.GOES:
                assert isinstance(becomes, Dropped)
                self._put_in_place_of(level, found, b"", becomes.name, Kind.FRAGMENTS)
            case Effect.CHANGES:
                assert isinstance(becomes, Rewritten)
                new = empty_fragments(level.encoding, found.tag, found.vr or "OB")
                self._put_in_place_of(level, found, new, becomes.names[0], Kind.FRAGMENTS)
            case Effect.IS_REJECTED:
                raise self._splicer.error(
                    Reason.VALUE_NOT_TRANSFORMABLE,
                    "encapsulated pixel data has no value to transform",
                    found.tag,
                    found.vr,
                )
        return True

    def open_fragments(self, level: Level, found: Found) -> bool:
        """Opens encapsulated pixel data: its fragments come next."""
        self._open(Kind.FRAGMENTS, level, level.encoding, found.tag, found.start, END)
        self._splicer.depend()
        self._splicer.enter(found.start)
        return True

    def _put_in_place_of(
        self, level: Level, found: Found, new: bytes, name: str, kind: Kind
    ) -> None:
        """Writes something in place of a sequence or fragments, however long."""
        splicer = self._splicer
        if found.end != END and not new:
            splicer.drop(level, found, name)
            return
        splicer.count((name,))
        if found.end != END:
            splicer.replace(level, found, new)
            return
        splicer.flush(found.position)
        if new:
            splicer.write(level, new)
        if kind is Kind.ITEMS:
            self.open_sequence(level, found, None, dropped=True)
        else:
            self.open_fragments(level, found)
            self._begin_dropping(splicer.level, found.position)
