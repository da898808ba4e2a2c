"""What is learned of files that come with one file meta: when, how much, and for how long.

Threads: all of this can be shared between threads. Who applies layouts reads `known` and
`beginnings`, which are replaced as a whole, never changed. Learning is done by one
thread at a time; another that comes meanwhile does without.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from operator import attrgetter
from threading import Lock
from typing import Final, NamedTuple
from weakref import ref

from deid_service.engine.encoding.charsets import DEFAULT_CHARACTER_SETS, CharacterSets
from deid_service.engine.encoding.headers import Encoding
from deid_service.engine.layouts.draft import Draft
from deid_service.engine.layouts.layout import Applied, Layout, apply_first
from deid_service.engine.layouts.trails import Trails
from deid_service.engine.layouts.turns import Turns
from deid_service.engine.rules.memo import Memo
from deid_service.engine.rules.rules import Rules

# Learned is from the headers of a file, in bytes, not from its pixel data.
MAX_BYTES: Final = 65_536

# More parts of expressions than a file of ordinary length has: they are compiled in
# some ten milliseconds, in which a worker does nothing else.
MAX_PARTS_OF_FILE: Final = 1000

# Elements that are looked at to learn, at all depths: each takes some twenty microseconds.
# What rules drop is no part of an expression, so that there can be more of them.
MAX_ELEMENTS_OF_FILE: Final = 2000

# In shorter layouts (in parts of the expression) there is nothing to gain.
_MIN_PARTS: Final = 4

# Layouts that begin with the same element: those of a few series.
_MAX_ALTERNATIVES: Final = 4

# All that is learned in a process, in parts of expressions, each of which takes some
# 800 bytes, 40 MB in all: the layouts of about two hundred series; and in a plan, so that
# one profile's files do not make those of all others forgotten. What was learned from
# least lately is forgotten first.
MAX_PARTS: Final = 50_000
MAX_PARTS_OF_PLAN: Final = 12_500

# Elements that are left to the walk, and for how many samples: what made them so may
# have been one file of another kind.
_MAX_LEFT_OUT: Final = 256
_LEFT_OUT_FOR: Final = 256


class Sample(NamedTuple):
    """A layout as the walk went along it in one file.

    Attributes:
        draft: what it did.
        start: where in the input it began.
        end: where it ended.
        charsets: that were in force before.
        output: what came out.
        finals: the resulting values that are needed elsewhere, as known at its end.
        counts: how many elements each action changed along it.
    """

    draft: Draft
    start: int
    end: int
    charsets: CharacterSets
    output: bytes
    finals: dict[int, str | None]
    counts: dict[str, int]

    def is_as(self, applied: Applied | None, buffer: bytes) -> bool:
        """Whether a layout has done what the walk did."""
        # What is absent from a layout may have stood before it, out of order.
        is_all = applied is not None and applied.layout.begins and not self.start
        return (
            applied is not None
            and applied.end == self.end
            and applied.changed + buffer[applied.tail : applied.end] == self.output
            and applied.counts == self.counts
            and all(
                applied.finals[note.tag] == self.finals[note.tag]
                for note in applied.layout.notes
                if note.tag in applied.finals and (note.vr is not None or is_all)
            )
        )


class Layouts:
    """The layouts of data sets that come with one file meta, and are read in one way.

    Attributes:
        known: the layouts by the tag that they begin with, as four bytes; the
            ones learned last come first.
        beginnings: those of them that a data set can begin with.
        trails: of the same data sets.
        refused: how many were not as the walk. Where there is one, nothing is
            learned any more.
    """

    def __init__(self) -> None:
        """Starts with none."""
        self.known: dict[bytes, list[Layout]] = {}
        self.beginnings: list[Layout] = []
        self.trails = Trails()
        self.refused = 0
        self._lock = Lock()
        self._drafts: dict[bytes, list[Draft]] = {}
        # How many samples more an element is left out of.
        self._left_out: OrderedDict[int, int] = OrderedDict()
        self._turns = Turns()

    def apply_at_beginning(
        self,
        buffer: bytes,
        position: int,
        rules: Rules,
        memo: Memo,
        whole_until: int | None = None,
    ) -> Applied | None:
        """Applies a layout that a data set begins with; None where it has none of them.

        Args:
            buffer: the input.
            position: where the data set begins.
            rules: of the profile.
            memo: what became of elements before.
            whole_until: as for `apply_first`.
        """
        applied = apply_first(
            self.beginnings,
            buffer,
            position,
            DEFAULT_CHARACTER_SETS,
            rules.profile.settings,
            memo,
            whole_until,
        )
        if applied is not None:
            self._turns.came_again = True
        return applied

    def came_again(self) -> None:
        """Takes note that what was learned has helped."""
        self._turns.came_again = True

    def wants_sample(self) -> bool:
        """Takes note of a file that is not laid out as known; whether to learn from it."""
        with self._lock:
            return self._turns.wants_sample() and not self.refused

    def left_out(self) -> frozenset[int]:
        """Returns the elements of the top level that are left to the walk."""
        return frozenset(self._left_out)

    def learn(
        self,
        samples: Iterable[Sample],
        buffer: bytes,
        rules: Rules,
        memo: Memo,
        encoding: Encoding,
    ) -> None:
        """Learns from a file.

        Args:
            samples: what the walk did.
            buffer: the input that it did it with.
            rules: of the profile.
            memo: that the walk used; of it, what makes pseudonyms.
            encoding: of the data set.
        """
        if not self._lock.acquire(blocking=False):
            return
        try:
            self._age()
            for sample in samples:
                if len(sample.draft.parts) < _MIN_PARTS:
                    continue
                draft = self._add(sample.draft)
                if draft is not None and draft.files >= draft.due and self._is_narrow(draft):
                    self._compile(draft, sample, buffer, rules, memo, encoding)
            self._publish()
        finally:
            self._lock.release()

    def forget(self) -> None:
        """Forgets what was learned."""
        self.trails.forget()
        with self._lock:
            self._drafts = {}
            self._left_out.clear()
            self._publish()

    def size(self) -> int:
        """Returns how much was learned, in parts of expressions."""
        drafts = (draft for drafts in list(self._drafts.values()) for draft in drafts)
        return sum(len(draft.parts) for draft in drafts) + self.trails.size()

    def _age(self) -> None:
        for tag in list(self._left_out):
            self._left_out[tag] -= 1
            if not self._left_out[tag]:
                del self._left_out[tag]

    def _leave_out(self, tags: Iterable[int]) -> None:
        for tag in tags:
            self._left_out[tag] = _LEFT_OUT_FOR
            if len(self._left_out) > _MAX_LEFT_OUT:
                self._left_out.popitem(last=False)

    def _add(self, draft: Draft) -> Draft | None:
        """Puts what one file has shown to what others have; returns what it is part of."""
        drafts = self._drafts.setdefault(draft.key, [])
        shape = draft.shape()
        for index, each in enumerate(drafts):
            if each.shape() == shape:
                each.join(draft)
                drafts.insert(0, drafts.pop(index))
                return each
        for each in drafts:
            if unlike := each.unlike(draft):
                # The same elements, some of which never look alike: the lengths
                # inside of a sequence differ, or a VR does. The walk takes them.
                self._leave_out(unlike)
                drafts.remove(each)
                return None
        if len(drafts) >= _MAX_ALTERNATIVES:
            drafts.remove(min(drafts, key=attrgetter("used")))
        drafts.insert(0, draft)
        return draft

    def _is_narrow(self, draft: Draft) -> bool:
        """Whether no length differs too much; else the walk takes it from now on."""
        wide = draft.widest()
        if wide is None:
            return True
        self._leave_out([wide])
        self._drafts[draft.key].remove(draft)
        return False

    def _compile(
        self,
        draft: Draft,
        sample: Sample,
        buffer: bytes,
        rules: Rules,
        memo: Memo,
        encoding: Encoding,
    ) -> None:
        """Makes a layout of a draft, and tries it on the file at hand before it is used."""
        layout = draft.compile(rules, encoding)
        if layout.match(buffer, sample.start, len(buffer)) is None:
            # It looks closer than the walk did, which is of no use here, and no harm.
            self._drafts[draft.key].remove(draft)
            return
        applied = apply_first(
            [layout],
            buffer,
            sample.start,
            sample.charsets,
            rules.profile.settings,
            memo.another(memo.pseudonyms),
        )
        if not sample.is_as(applied, buffer):
            # The last defence: it is not to happen, and tests hold that it does not.
            self.refused += 1
            self._drafts = {}

    def _publish(self) -> None:
        known = {
            key: layouts
            for key, drafts in self._drafts.items()
            if (layouts := [draft.compiled for draft in drafts if draft.compiled is not None])
        }
        self.beginnings = [each for layouts in known.values() for each in layouts if each.begins]
        self.known = known


class Shelf:
    """All layouts of a process, in the order in which they were learned from."""

    def __init__(self, room: int) -> None:
        """Starts empty.

        Args:
            room: for so many parts of expressions.
        """
        self._room = room
        self._lock = Lock()
        self._layouts: OrderedDict[int, ref[Layouts]] = OrderedDict()

    def put(self, layouts: Layouts) -> None:
        """Puts layouts that have grown on top; those lowest down go when there is no room."""
        with self._lock:
            self._layouts[id(layouts)] = ref(layouts)
            self._layouts.move_to_end(id(layouts))
            there = [(key, each()) for key, each in self._layouts.items()]
            size = sum(each.size() for _, each in there if each is not None)
            for key, each in there:
                if each is not None and (size <= self._room or each is layouts):
                    continue
                if each is not None:
                    size -= each.size()
                    each.forget()
                del self._layouts[key]


# All that is learned in this process.
PROCESS: Final = Shelf(MAX_PARTS)
