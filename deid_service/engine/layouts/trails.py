"""Trails: where a file has what identifies people, as files before it had it.

Reading the headers of a file for that takes as long as all the rest of a small one. A trail
is a regular expression that fixes every byte that the reader looked at in files before:
each header, at every depth, the character sets, and the group behind the last. An element
of the top level may have another length, where one of those files had it so: where it ends
is what its header says. So along a file that it matches, the reader would have found the
same elements, in the same character sets. Their values are in its groups; none is part of it.
"""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from threading import Lock
from typing import Final, NamedTuple

from deid_service.engine.encoding.charsets import CharacterSets
from deid_service.engine.encoding.headers import HEADER, LONG_HEADER, Encoding
from deid_service.engine.layouts.turns import Turns

# Of the group number, which a header begins with, and of the length that it ends with.
_GROUP_BYTES: Final = 2
_SHORT: Final = 2
_LONG: Final = 4

# Parts of a trail: each header, and each length that an element can have. As many are
# compiled in some twenty milliseconds.
_MAX_PARTS: Final = 500

# Kinds of files with one file meta, by the elements that they have.
_MAX_DRAFTS: Final = 4

# Of files of one kind it is learned when there are so many, and whenever these have doubled.
_FIRST_DUE: Final = 2


class Taken(NamedTuple):
    """An element whose value identifies.

    Attributes:
        tag: of the element.
        vr: that its value is read with.
        charsets: that its value is in.
        encoding: of the element.
        identifies: what it says is looked for in texts.
        tells_patient: files in which it is the same are of the same patient.
    """

    tag: int
    vr: str
    charsets: CharacterSets
    encoding: Encoding
    identifies: bool = True
    tells_patient: bool = False


class Step(NamedTuple):
    """Something that a reader looked at.

    Attributes:
        same: what every file of the kind has of it.
        header: all that was looked at.
        size: of the value behind that, which was passed or taken.
        taken: what is taken; None where nothing is.
    """

    same: bytes
    header: bytes
    size: int
    taken: Taken | None


class Footsteps:
    """What a reader looks at in one file, without a gap.

    Attributes:
        steps: from the beginning of the data set on.
        is_whole: whether the reader came to the end of what it looks for.
    """

    def __init__(self, data: bytes) -> None:
        """Begins at the beginning of a data set."""
        self.steps: list[Step] = []
        self.is_whole = False
        self._data = data

    def fixed(self, start: int, end: int) -> None:
        """Takes bytes that are the same in every file of the kind."""
        data = self._data[start:end]
        self.steps.append(Step(data, data, 0, None))

    def passed(
        self, position: int, start: int, end: int, is_free: bool, taken: Taken | None = None
    ) -> None:
        """Takes an element whose value decides nothing.

        Args:
            position: where it begins.
            start: where its value does.
            end: where that ends.
            is_free: nothing else depends on how long it is.
            taken: what is taken of it.
        """
        header = self._data[position:start]
        length = _LONG if start - position == LONG_HEADER or not header[4:6].isalpha() else _SHORT
        same = header[:-length] if is_free else header
        self.steps.append(Step(same, header, end - start, taken))

    def end(self, position: int) -> None:
        """Takes the header behind all that is looked for, of which the group alone matters."""
        start = position + _GROUP_BYTES
        same = self._data[position:start]
        self.steps.append(Step(same, same, HEADER - _GROUP_BYTES, None))
        self.is_whole = True


class Trail:
    """Where files of a kind have what identifies people.

    Attributes:
        match: the compiled expression, asked at an offset of the input, and with an end. Its
            groups are whole elements.
        taken: what they are, each with where the value begins in it.
    """

    __slots__ = ("match", "taken")

    def __init__(self, expression: bytes, taken: tuple[tuple[Taken, int], ...]) -> None:
        """Compiles an expression."""
        self.match = re.compile(expression, re.DOTALL).match
        self.taken = taken


class _Draft:
    """A kind of files: the same elements, the same of them taken; some may have several lengths.

    Attributes:
        trail: of them, as far as it is learned.
        parts: of an expression for all of them.
    """

    def __init__(self, steps: list[Step]) -> None:
        """Begins without a file."""
        self.trail: Trail | None = None
        self.parts = 0
        self._taken = tuple((each.taken, len(each.header)) for each in steps if each.taken)
        self._is_taken = [each.taken is not None for each in steps]
        # The headers that each step had, with the size of what is behind them.
        self._ways: list[dict[bytes, int]] = [{} for _ in steps]
        self._files = 0
        self._due = _FIRST_DUE
        self._has_grown = False

    def add(self, steps: list[Step]) -> None:
        """Takes another file of the kind."""
        self._files += 1
        for ways, step in zip(self._ways, steps, strict=True):
            if step.header not in ways:
                if self.parts >= _MAX_PARTS:
                    # Files that differ so much are read.
                    return
                ways[step.header] = step.size
                self.parts += 1
                self._has_grown = True
        if self._files >= self._due and self._has_grown:
            self._due = 2 * self._files
            self._has_grown = False
            self.trail = Trail(self._expression(), self._taken)

    def _expression(self) -> bytes:
        parts = []
        for ways, is_taken in zip(self._ways, self._is_taken, strict=True):
            either = b"|".join(
                re.escape(header) + (b".{%d}" % size if size else b"")
                for header, size in ways.items()
            )
            if is_taken or len(ways) > 1:
                either = (b"(%b)" if is_taken else b"(?:%b)") % either
            parts.append(either)
        return b"".join(parts)


class Trails:
    """The trails of data sets that come with one file meta, and are read in one way.

    Threads: who follows them reads `_known`, which is replaced as a whole. One thread at a
    time learns; another that comes meanwhile does without.
    """

    def __init__(self) -> None:
        """Starts with none."""
        self._known: tuple[Trail, ...] = ()
        self._drafts: OrderedDict[bytes, _Draft] = OrderedDict()
        self._turns = Turns()
        self._lock = Lock()

    def follow(
        self, data: bytes, position: int, end: int
    ) -> tuple[Trail, tuple[bytes, ...]] | None:
        """Returns the trail of a file, and its groups; None where it has none.

        Args:
            data: the input.
            position: where the data set begins in it.
            end: how far it may be looked at.
        """
        for trail in self._known:
            match = trail.match(data, position, end)
            if match is not None:
                self._turns.came_again = True
                return trail, match.groups()
        return None

    def footsteps(self, data: bytes) -> Footsteps | None:
        """Takes note of a file without a trail; returns what to learn from it with."""
        with self._lock:
            return Footsteps(data) if self._turns.wants_sample() else None

    def learn(self, steps: list[Step]) -> None:
        """Learns from a file in which the reader came to its end."""
        if len(steps) > _MAX_PARTS or not self._lock.acquire(blocking=False):
            return
        try:
            digest = hashlib.blake2b(digest_size=16)
            for step in steps:
                # A file in which an element is empty, and not taken, is of another kind.
                digest.update(b"%d:%d:%b" % (step.taken is not None, len(step.same), step.same))
            kind = digest.digest()
            draft = self._drafts.get(kind)
            if draft is None:
                draft = self._drafts[kind] = _Draft(steps)
            self._drafts.move_to_end(kind)
            if len(self._drafts) > _MAX_DRAFTS:
                self._drafts.popitem(last=False)
            draft.add(steps)
            trails = (each.trail for each in reversed(self._drafts.values()))
            self._known = tuple(trail for trail in trails if trail is not None)
        finally:
            self._lock.release()

    def forget(self) -> None:
        """Forgets what was learned."""
        with self._lock:
            self._known = ()
            self._drafts.clear()

    def size(self) -> int:
        """Returns how much was learned, in parts of expressions."""
        return sum(draft.parts for draft in list(self._drafts.values()))
