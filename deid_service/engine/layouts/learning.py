"""What the files of a series have in common is learned from the first of them."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from operator import attrgetter
from typing import Final
from weakref import WeakSet

from deid_service.engine.encoding.charsets import (
    DEFAULT_CHARACTER_SETS,
    MAX_CHARACTER_SET,
    CharacterSetError,
    character_sets,
)
from deid_service.engine.encoding.dictionary import PERHAPS_SEQUENCES, vr_of
from deid_service.engine.encoding.headers import (
    DELIMITER_GROUP,
    HEADER,
    ITEM,
    ITEM_DELIMITER,
    LONG_HEADER,
    SEQUENCE_DELIMITER,
    UNDEFINED_LENGTH,
    Encoding,
)
from deid_service.engine.encoding.skim import skim_sequence
from deid_service.engine.encoding.tags import FILE_META, PIXEL_DATA
from deid_service.engine.errors import DicomError
from deid_service.engine.layouts.draft import Draft, Header, Learned, Part, Role
from deid_service.engine.layouts.layout import Passage, Stretch, find_passage
from deid_service.engine.rules.insertions import prepared
from deid_service.engine.rules.nodes import Children, Node
from deid_service.engine.rules.ops import ByCreator, CharacterSet, Dropped, GroupLength, Kept
from deid_service.engine.rules.rewriting import Memo
from profile_service.language.model import Settings

# Learned is from the headers of a file, not from its pixel data.
_MAX_BYTES: Final = 65_536

# More parts of expressions than a file of ordinary length has: they are compiled in
# some ten milliseconds, in which a worker does nothing else.
_MAX_PARTS_OF_FILE: Final = 1000

# Longer values (in bytes) are those of pixel data and the like.
_LONG_VALUE: Final = 4096

# In shorter stretches (in parts of the expression) there is nothing to gain.
_MIN_PARTS: Final = 4

# Stretches that begin with the same element: the layouts of a few series.
_MAX_ALTERNATIVES: Final = 4

# All that is learned in a process, in parts of expressions, each of which takes
# some 400 bytes: the layouts of about two hundred series.
_MAX_PARTS: Final = 50_000

# Sequences inside of each other; deeper ones are left to the walk.
_MAX_DEPTH: Final = 16

# An expression is compiled in the time in which some fifty files are walked
# through. So that waits for the second file of a kind (one alone may be a fragment),
# then for twice as many as before that are not as learned, up to so many; or to more,
# where what was learned has not come again.
_SHORTEST_WAIT: Final = 2
_LONG_WAIT: Final = 64
_LONGEST_WAIT: Final = 4096

# How many files are learned from meanwhile: each takes as long as some ten files.
_MAX_SAMPLES: Final = 8

_SHORT_WIDTH: Final = 2


class Stretches:
    """The stretches of the data sets that come with one file meta.

    Attributes:
        known: the stretches by the tag that they begin with, as four bytes; the
            ones learned last come first.
        beginnings: those of them that a data set can begin with.
    """

    def __init__(self) -> None:
        """Starts with none."""
        self.known: dict[bytes, list[Stretch]] = {}
        self.beginnings: list[Stretch] = []
        self._drafts: dict[bytes, list[Draft]] = {}
        self._wild: set[int] = set()
        self._wait = _SHORTEST_WAIT
        self._missed = 0
        self._came_again = False
        _everywhere.add(self)

    def passage_at_beginning(
        self, buffer: bytes, position: int, settings: Settings, memo: Memo
    ) -> Passage | None:
        """Returns the passage of a stretch that a data set begins with, or None.

        Args:
            buffer: the input.
            position: where the data set begins.
            settings: of the profile.
            memo: what became of elements before.
        """
        passage = find_passage(
            self.beginnings, buffer, position, DEFAULT_CHARACTER_SETS, settings, memo
        )
        if passage is not None:
            self._came_again = True
        return passage

    def came_again(self) -> None:
        """Takes note that what was learned has helped."""
        self._came_again = True

    def missed(self, node: Node, encoding: Encoding, buffer: bytes, position: int) -> None:
        """Learns from a data set that is not laid out as known, now and then.

        Args:
            node: what is done at its top level.
            encoding: of the data set.
            buffer: the input.
            position: where the data set begins.
        """
        self._missed += 1
        if self._missed <= _MAX_SAMPLES:
            for draft in _Learner(node, encoding, buffer, self._wild).drafts(position):
                self._add(draft)
        if self._missed >= self._wait:
            longest = _LONG_WAIT if self._came_again else _LONGEST_WAIT
            self._wait = min(self._wait * 2, longest)
            self._missed = 0
            self._came_again = False
            self._compile(node, encoding)

    def _add(self, draft: Draft) -> None:
        """Puts what was learned from one file to what others have shown."""
        drafts = self._drafts.setdefault(draft.key, [])
        shape = draft.shape()
        for index, each in enumerate(drafts):
            if each.shape() == shape:
                each.join(draft)
                drafts.insert(0, drafts.pop(index))
                return
        for each in drafts:
            if unlike := each.unlike(draft):
                # The same elements, some of which are never told alike: the lengths
                # inside of a sequence differ, or a VR does. The walk takes them.
                self._wild |= unlike
                drafts.remove(each)
                return
        if len(drafts) >= _MAX_ALTERNATIVES:
            drafts.remove(min(drafts, key=attrgetter("used")))
        drafts.insert(0, draft)

    def _forget(self) -> None:
        self.known = {}
        self.beginnings = []
        self._drafts = {}
        self._wild = set()

    def _size(self) -> int:
        return sum(len(draft.parts) for drafts in self._drafts.values() for draft in drafts)

    def _compile(self, node: Node, encoding: Encoding) -> None:
        """Makes stretches of all drafts."""
        if sum(each._size() for each in _everywhere) > _MAX_PARTS:  # noqa: SLF001
            for each in _everywhere:
                each._forget()  # noqa: SLF001
        self.known = {}
        for key, drafts in self._drafts.items():
            for draft in drafts[:]:
                if (wild := draft.wildest()) is not None:
                    # From now on the walk takes it; the stretch ends before it.
                    self._wild.add(wild)
                    drafts.remove(draft)
            stretches = [draft.stretch(node, encoding) for draft in drafts if draft.files > 1]
            if stretches:
                self.known[key] = stretches
        self.beginnings = [
            stretch for alike in self.known.values() for stretch in alike if stretch.begins
        ]
        # It would hold on to expressions that are forgotten here.
        re.purge()


# All that is learned in this process.
_everywhere: Final[WeakSet[Stretches]] = WeakSet()


class _UnlearnedError(Exception):
    """There is something that is left to the walk."""


class _Learner:
    """Reads a data set to say what the walk does along its stretches.

    What it says must be what the walk does, element for element, so it says
    nothing about what is not plain.
    """

    def __init__(self, node: Node, encoding: Encoding, buffer: bytes, wild: set[int]) -> None:
        """Prepares for one data set.

        Args:
            node: what is done at its top level.
            encoding: a little endian one.
            buffer: the input.
            wild: elements whose lengths differ too much.
        """
        self._node = node
        self._encoding = encoding
        self._buffer = buffer
        self._wild = wild
        self._limit = len(buffer)
        self._insertions = prepared(node, encoding)
        # How many parts may follow.
        self._left = _MAX_PARTS_OF_FILE

    def drafts(self, position: int) -> list[Draft]:
        """Returns what there is to learn from a data set that begins at a position."""
        self._limit = min(self._limit, position + _MAX_BYTES)
        groups = self._node.private_insertions
        # Where a private block is made, more is due than is known here.
        stop = min((group << 16 | 0x100 for group in groups), default=DELIMITER_GROUP << 16)
        drafts: list[Draft] = []
        draft: Draft | None = None
        last = -1
        while (header := self._header(position)) is not None and last < header.tag < stop:
            last = header.tag
            try:
                learned = self._element(header)
            except (_UnlearnedError, DicomError):
                draft = None
                end = self._behind(header)
            else:
                # What is inserted at this place or before.
                passed = bisect_right(self._node.insertion_tags, header.tag)
                if draft is None or not self._reach(draft, header.tag):
                    draft = Draft(self._buffer[position : position + 4], header.tag, passed)
                    drafts.append(draft)
                draft.take(header.tag, learned)
                self._left -= len(learned.parts)
                draft.next_insertion = passed
                end = learned.end
            if not position < end <= self._limit or self._left <= 0:
                break
            position = end
        if self._is_cut(position, header):
            return []
        return [draft for draft in drafts if len(draft.parts) >= _MIN_PARTS]

    def _is_cut(self, position: int, header: Header | None) -> bool:
        """Whether the input ended where learning did, which hangs on how it was cut.

        Args:
            position: where learning ended.
            header: of the element there, if it could be read.
        """
        size = len(self._buffer)
        if header is None:
            return 0 < size - position < LONG_HEADER
        if header.length is None or header.length >= _LONG_VALUE:
            # Pixel data seldom ends with the input that it begins in.
            return False
        return size < header.start + header.length

    def _reach(self, draft: Draft, tag: int) -> bool:
        """Adds what is due between the last element of a draft and the next one.

        Returns:
            Whether that is the same in every file.
        """
        node = self._node
        tags = node.insertion_tags
        first = draft.next_insertion
        stop = bisect_left(tags, tag, first)
        if None in self._insertions[first:stop]:
            return False
        watched = [each for each in node.rules.watched if draft.last_tag < each < tag]
        for absent in (*watched, None):
            end = stop if absent is None else bisect_right(tags, absent, first, stop)
            if first < end:
                self._insert(draft, first, end)
            if absent is not None:
                draft.pass_absent(absent, final=absent in node.rules.finals)
            first = end
        return True

    def _insert(self, draft: Draft, first: int, stop: int) -> None:
        """Adds a range of the node's insertions."""
        node = self._node
        tags = node.insertion_tags[first:stop]
        elements = b"".join(each for each in self._insertions[first:stop] if each is not None)
        draft.insert(
            elements,
            {tag: node.insertions[tag].text or "" for tag in tags if tag in node.rules.finals},
        )
        draft.inserted.append((first, stop))
        for tag in tags:
            draft.count(node.insertions[tag].names)

    def _header(self, position: int) -> Header | None:
        """Reads an element header; None where there is none."""
        encoding = self._encoding
        buffer = self._buffer
        if position + HEADER > self._limit:
            return None
        group, number, code, length = encoding.quad(buffer, position)
        tag = group << 16 | number
        size, width = HEADER, 4
        found_vr = None
        if group == DELIMITER_GROUP or not encoding.explicit:
            length = code | length << 16
        else:
            found_vr = encoding.vr_names.get(code)
            if found_vr is None:
                return None
            if code in encoding.short_codes:
                width = 2
            else:
                size = LONG_HEADER
                if position + size > self._limit:
                    return None
                length = encoding.long(buffer, position + HEADER)[0]
        vr = vr_of(tag) if found_vr is None or found_vr == "UN" else found_vr
        defined = None if width == 4 and length == UNDEFINED_LENGTH else length
        return Header(tag, found_vr, vr, position, position + size, width, defined)

    def _behind(self, header: Header) -> int:
        """Returns the position behind an element, or 0 where it cannot be told."""
        if header.length is not None:
            return header.start + header.length
        if not self._is_delimited_sequence(header):
            return 0
        return skim_sequence(self._buffer, header.start, self._encoding, 2 * _MAX_DEPTH)

    def _is_delimited_sequence(self, header: Header) -> bool:
        """Whether an element of undefined length is a sequence like any other."""
        return header.found_vr in {"SQ", None} and header.tag != PIXEL_DATA

    def _element(self, header: Header) -> Learned:
        """Learns what is done to an element of the top level.

        Raises:
            _UnlearnedError: the walk is to do it.
        """
        if header.tag in self._wild:
            raise _UnlearnedError
        op = self._node.lookup(header.tag)
        if isinstance(op, CharacterSet):
            return self._charset(header, op)
        parts: list[Part] = []
        end = self._part(parts, self._node, header, rigid=False, depth=0)
        return Learned(end, parts)

    def _part(
        self, parts: list[Part], node: Node | None, header: Header, *, rigid: bool, depth: int
    ) -> int:
        """Adds an element at any depth, and returns the position behind it.

        Args:
            parts: takes the parts.
            node: what is done around it; None where nothing is.
            header: of the element.
            rigid: a length around it says how long it is.
            depth: of sequences around it.

        Raises:
            _UnlearnedError: the walk is to do it.
        """
        if node is not None and header.tag >> 16 == FILE_META:
            raise _UnlearnedError
        op = None if node is None else node.lookup(header.tag)
        if op is None:
            return self._untouched(parts, node, header, rigid=rigid, depth=depth)
        if isinstance(op, ByCreator | GroupLength | CharacterSet):
            raise _UnlearnedError
        if isinstance(op, Dropped):
            return self._dropped(parts, header, op, rigid=rigid, depth=depth)
        if (
            not op.repeatable
            or header.length is None
            or header.vr in PERHAPS_SEQUENCES
            or header.found_vr == "UN"
        ):
            raise _UnlearnedError
        end = self._value(parts, header, rigid=rigid, guarded=False)
        if not isinstance(op, Kept) or op.final:
            parts[-1].role, parts[-1].change = Role.CHANGED, (op, header)
        return end

    def _charset(self, header: Header, op: CharacterSet) -> Learned:
        if (
            not isinstance(op.becomes, Kept)
            or op.becomes.original
            or op.becomes.final
            or header.vr != "CS"
            or header.length is None
            or header.length > MAX_CHARACTER_SET
            or header.start + header.length > self._limit
        ):
            raise _UnlearnedError
        end = header.start + header.length
        text = self._buffer[header.start : end].rstrip(b" \0").decode("latin-1")
        try:
            charsets = character_sets(text)
        except CharacterSetError:
            raise _UnlearnedError from None
        part = Part(Role.KEPT, self._buffer[header.position : end])
        return Learned(end, [part], declared=charsets)

    def _dropped(
        self, parts: list[Part], header: Header, op: Dropped, *, rigid: bool, depth: int
    ) -> int:
        dropped: list[Part] = []
        as_a_whole = op.is_whole
        if op.final or op.original:
            raise _UnlearnedError
        if header.length is None:
            if not as_a_whole:
                raise _UnlearnedError
            end = self._untouched(dropped, None, header, rigid=rigid, depth=depth)
        elif header.width == _SHORT_WIDTH or as_a_whole or header.vr not in PERHAPS_SEQUENCES:
            end = self._value(dropped, header, rigid=rigid, guarded=False)
        else:
            raise _UnlearnedError
        for part in dropped:
            part.role = Role.DROPPED
        dropped[0].dropped = op.name
        parts += dropped
        return end

    def _untouched(
        self, parts: list[Part], node: Node | None, header: Header, *, rigid: bool, depth: int
    ) -> int:
        """Adds an element that no rule touches, but perhaps what is in it."""
        if header.length is None:
            if not self._is_delimited_sequence(header):
                raise _UnlearnedError
            children = None if node is None else node.children(header.tag, None)
            parts.append(self._literal(header))
            return self._items(parts, children, header.start, None, rigid=rigid, depth=depth + 1)
        deep = node is not None and node.deep
        if node is None or not deep or header.vr != "SQ":
            guarded = deep and header.vr == "UN"
            return self._value(parts, header, rigid=rigid, guarded=guarded)
        if header.found_vr == "UN":
            raise _UnlearnedError
        children = node.children(header.tag, None)
        end = header.start + header.length
        length = self._begin_sized(parts, header, header.length)
        self._items(parts, children, header.start, end, rigid=True, depth=depth + 1)
        self._end_sized(parts, length)
        return end

    def _begin_sized(self, parts: list[Part], header: Header, length: int) -> Part:
        """Adds the header of a sequence or item that says how long it is."""
        field = header.start - header.width
        parts.append(Part(Role.KEPT, self._buffer[header.position : field]))
        sized = Part(Role.SIZE, self._buffer[field : header.start], content=length)
        parts.append(sized)
        return sized

    def _end_sized(self, parts: list[Part], sized: Part) -> None:
        """Ends what a header says the length of."""
        first = next(i for i, part in enumerate(parts) if part is sized) + 1
        sized.changing = [
            part for part in parts[first:] if part.role in {Role.CHANGED, Role.DROPPED}
        ]
        if not sized.changing:
            sized.role = Role.KEPT

    def _items(
        self,
        parts: list[Part],
        children: Children | None,
        position: int,
        end: int | None,
        *,
        rigid: bool,
        depth: int,
    ) -> int:
        """Adds the items of a sequence."""
        if depth > _MAX_DEPTH or (children is not None and children.wanted):
            raise _UnlearnedError
        index = 0
        while end is None or position < end:
            if len(parts) > self._left:
                raise _UnlearnedError
            header = self._header(position)
            if header is not None and header.tag == SEQUENCE_DELIMITER and end is None:
                parts.append(self._literal(header))
                return header.start
            if header is None or header.tag != ITEM:
                raise _UnlearnedError
            node = None if children is None else children.item(index)
            index += 1
            if node is not None and not node.acts:
                node = None
            if node is not None and (node.insertion_tags or node.private_insertions):
                raise _UnlearnedError
            if header.length is None:
                parts.append(self._literal(header))
                position = self._item(parts, node, header.start, None, rigid=rigid, depth=depth)
            elif node is None:
                position = self._value(parts, header, rigid=rigid, guarded=False)
            else:
                item_end = header.start + header.length
                size = self._begin_sized(parts, header, header.length)
                position = self._item(parts, node, header.start, item_end, rigid=True, depth=depth)
                self._end_sized(parts, size)
        if position != end:
            raise _UnlearnedError
        return position

    def _item(
        self,
        parts: list[Part],
        node: Node | None,
        position: int,
        end: int | None,
        *,
        rigid: bool,
        depth: int,
    ) -> int:
        """Adds the elements of an item."""
        while end is None or position < end:
            if len(parts) > self._left:
                raise _UnlearnedError
            header = self._header(position)
            if header is not None and header.tag == ITEM_DELIMITER and end is None:
                parts.append(self._literal(header))
                return header.start
            if header is None or header.tag >> 16 == DELIMITER_GROUP:
                raise _UnlearnedError
            position = self._part(parts, node, header, rigid=rigid, depth=depth)
        if position != end:
            raise _UnlearnedError
        return position

    def _literal(self, header: Header) -> Part:
        return Part(Role.KEPT, self._buffer[header.position : header.start])

    def _value(self, parts: list[Part], header: Header, *, rigid: bool, guarded: bool) -> int:
        """Adds an element or item of defined length whose value may be anything."""
        assert header.length is not None
        end = header.start + header.length
        if end > self._limit:
            raise _UnlearnedError
        width = 0 if rigid else header.width
        head = self._buffer[header.position : header.start - width]
        parts.append(Part.of_value(header, head, width, guarded=guarded))
        return end
