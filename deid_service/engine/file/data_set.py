"""The data set of a file: by which rules it is read, and how it begins and goes on.

What conditions and the cleaning of texts depend on is looked for first. Then, where the
data set is laid out as those of earlier files, its beginning is passed at once; a body
reads what is behind that, or all of it.
"""

from __future__ import annotations

from collections.abc import Generator
from time import perf_counter
from typing import Final

from deid_service.engine.encoding.headers import BEGINNING, HEADER, IMPLICIT_LITTLE, Encoding
from deid_service.engine.errors import DicomError, Reason
from deid_service.engine.file.bodies import (
    Body,
    DeflatedBody,
    DirectoryBody,
    Learner,
    PlainBody,
)
from deid_service.engine.file.cleaning import cleaner_for, memo_along
from deid_service.engine.file.deflate import beginning_of
from deid_service.engine.file.directory import MEDIA_DIRECTORY
from deid_service.engine.file.head import Head
from deid_service.engine.file.meta import FileMeta
from deid_service.engine.file.outlook import look
from deid_service.engine.file.people import IDENTIFYING, people_of
from deid_service.engine.file.transfer_syntax import TransferSyntax, guessed_encoding
from deid_service.engine.layouts.layout import Applied
from deid_service.engine.layouts.learning import Layouts
from deid_service.engine.layouts.trails import Trails
from deid_service.engine.rules.budget import Budget
from deid_service.engine.rules.facts import Facts
from deid_service.engine.rules.memo import Memo
from deid_service.engine.rules.rules import Rules
from deid_service.engine.texts.earlier import Earlier
from deid_service.engine.walk.output import Buffer, Output
from deid_service.engine.walk.patient import PatientFinder
from deid_service.engine.walk.walk import Walk

_NOT_ALL_LOOKED_FOR: Final = (
    "earlier files show more of the patient than is remembered: not all of it was looked for"
)

# Of a file that has ended.
_NO_OUTPUT: Final = Output()


class DataSet:
    """The data set of a file.

    Attributes:
        body: what reads it; None before it begins, and as long as the layout that it began
            with is all of it.
        warnings: what the caller should know of it.
    """

    def __init__(
        self,
        rules: Rules,
        memo: Memo,
        meta: FileMeta,
        head: Head,
        output: Output,
        *,
        max_held_bytes: int,
        budget: Budget,
        earlier: Earlier | None,
    ) -> None:
        """Starts before it begins.

        Args:
            rules: of the profile.
            memo: what became of elements before.
            meta: the file meta.
            head: what stands before it in the output.
            output: of the file.
            max_held_bytes: how much of the file may be held.
            budget: of the file.
            earlier: what earlier files of the stream have shown; None where that is not asked.
        """
        self.body: Body | None = None
        self.warnings: list[str] = []
        # As they are for all files, and for this one.
        self._general = self._rules = rules
        # What looks ahead, where there was no time for all of it.
        self._looking: Generator[None, None, int] | None = None
        self._memo = memo
        self._meta = meta
        self._head = head
        self._output = output
        self._max_held = max_held_bytes
        self._budget = budget
        self._earlier = earlier
        # How it began; as long as that is all of it, it has no body.
        self._applied: Applied | None = None
        # Where it begins, in the input.
        self._base = 0

    @property
    def is_whole(self) -> bool:
        """Whether all that is due was done along the layout that it began with."""
        return self._applied is not None and self._applied.layout.ends

    def look_ahead(
        self, data: bytes, position: int, offset: int, *, ended: bool, until: float
    ) -> int | None:
        """Settles which rules are for the file, by what it says of itself.

        Args:
            data: the input.
            position: where the data set begins in it.
            offset: of that in the file.
            ended: no more input comes.
            until: when to pause, by `perf_counter`.

        Returns:
            How many bytes must be there to know it; 0 where it is known, and None where
            there was no time for more: it is to be called again, with the same.

        Raises:
            DicomError: what conditions depend on stands too far behind, or the profile
                rejects the file.
        """
        if self._rules.profile.is_for_all:
            return 0
        if self._looking is None:
            self._looking = self._look(data, position, offset, ended=ended)
        looking, self._looking = self._looking, None
        try:
            while True:
                next(looking)
                if perf_counter() > until:
                    self._looking = looking
                    return None
        except StopIteration as stop:
            need: int = stop.value
            return need

    def _look(
        self, data: bytes, position: int, offset: int, *, ended: bool
    ) -> Generator[None, None, int]:
        """Does what `look_ahead` does, in steps."""
        meta, profile = self._meta, self._rules.profile
        facts = Facts()
        layouts: Layouts | None = None
        if profile.cleans and not profile.wanted:
            self._use(facts)
            layouts = meta.layouts_of(data[position : position + BEGINNING])
            if layouts is not None and self._follow(layouts.trails, data, position):
                return 0
        if profile.wanted or profile.cleans:
            held = data[position : position + self._max_held]
            is_all = len(data) - position >= self._max_held
            syntax = meta.transfer_syntax()
            if syntax is not None and syntax.deflated:
                held = beginning_of(held, self._max_held)
                is_all = is_all or len(held) >= self._max_held
            seen = guessed_encoding(held[:BEGINNING]) if len(held) >= HEADER else None
            encoding = seen or (IMPLICIT_LITTLE if syntax is None else syntax.encoding)
            found = yield from look(held, encoding, profile.wanted, ended=ended and not is_all)
            if found is None and is_all:
                raise DicomError(
                    Reason.LIMIT_EXCEEDED,
                    f"what a condition depends on does not come within {self._max_held} bytes",
                    offset=offset,
                )
            is_known = found is not None
            if is_known and profile.cleans:
                is_known = yield from self._look_for_people(
                    held, encoding, layouts, ended=ended or is_all
                )
            if found is None or not is_known:
                return min(max(2 * (len(data) - position), BEGINNING), self._max_held)
            facts = found
        self._use(facts)
        return 0

    def _look_for_people(
        self, held: bytes, encoding: Encoding, layouts: Layouts | None, *, ended: bool
    ) -> Generator[None, None, bool]:
        """Learns whom the file is about; False where more of it must be there for that."""
        footsteps = None if layouts is None else layouts.trails.footsteps(held)
        identity = yield from people_of(
            held,
            encoding,
            self._general.changed_of(IDENTIFYING),
            with_dates=self._rules.profile.hides_dates,
            with_patient=self._earlier is not None,
            ended=ended,
            footsteps=footsteps,
        )
        if layouts is not None and footsteps is not None and footsteps.is_whole:
            layouts.trails.learn(footsteps.steps)
            self._meta.note_learned(layouts)
        if identity is None:
            return False
        profile = self._rules.profile
        self._take_memo(self._memo.of(cleaner_for(identity, profile, self._memo, self._earlier)))
        return True

    def _use(self, facts: Facts) -> None:
        """Settles which rules are for the file."""
        self._rules = self._rules.for_file(facts.of_class(self._meta.sop_class()))
        self._head.use(self._rules)

    def _follow(self, trails: Trails, data: bytes, position: int) -> bool:
        """Learns along a trail who the file is about; False where it has none."""
        end = position + self._max_held
        profile = self._rules.profile
        memo = memo_along(trails, data, position, end, profile, self._memo, self._earlier)
        if memo is None:
            return False
        self._take_memo(memo)
        return True

    def _take_memo(self, memo: Memo) -> None:
        """Takes the memo of files that are about the same people."""
        self._memo = memo
        earlier = self._earlier
        if earlier is not None and not earlier.is_whole(memo.cleaner.identity):
            self.warnings.append(_NOT_ALL_LOOKED_FOR)

    def begin(self, data: bytes, position: int, offset: int) -> int:
        """Prepares for the data set, of which the first elements are seen.

        Args:
            data: the input.
            position: where the data set begins in it.
            offset: of that in the file.

        Returns:
            Where in the data to read on.
        """
        meta = self._meta
        base = self._base = offset
        beginning = data[position : position + BEGINNING]
        layouts = meta.layouts_of(beginning)
        syntax = meta.transfer_syntax()
        finder: PatientFinder | None = None
        if layouts is not None and syntax is not None:
            if passed := self._apply_at_beginning(layouts, data, position):
                return passed
            finder = self._find_patient(syntax.encoding, data, position)
        is_directory = meta.sop_class() == MEDIA_DIRECTORY
        if syntax is not None and syntax.deflated:
            walked = Output()
            walk = self._walk(syntax.encoding, walked, 0, finder=self._finder(syntax.encoding, 0))
            self.body = DeflatedBody(walk, walked, self._output)
            self._head.open(walk, 0, is_directory=is_directory)
            return position
        encoding = self._encoding(syntax, beginning)
        if is_directory:
            walk = self._walk(encoding, self._output, base)
            if self._rules.profile.needs_patient:
                raise DicomError(
                    Reason.NOT_SUPPORTED,
                    "a media directory may be about several patients",
                    offset=base,
                )
            self.body = DirectoryBody(
                walk, self._output, self._head, base=base, max_held_bytes=self._max_held
            )
            self._head.open(walk, base, is_directory=True)
            return position
        if layouts is None:
            finder = self._find_patient(encoding, data, position)
        walk = self._walk(encoding, self._output, base, layouts, finder)
        learner = (
            None if layouts is None else Learner(self._rules, meta, layouts, base, self._budget)
        )
        self.body = PlainBody(walk, self._output, learner)
        self._head.open(walk, base, is_directory=False)
        return position

    def go_on(self, layouts: Layouts | None = None) -> Body:
        """Returns the body, behind what has been passed at the beginning."""
        if self.body is None:
            applied, self._applied = self._applied, None
            assert applied is not None
            walk = self._walk(applied.layout.encoding, self._output, self._base, layouts)
            walk.resume(applied)
            self.body = PlainBody(walk, self._output)
        return self.body

    def finish(self, rest: bytes) -> None:
        """Ends its body, with what was not read.

        Raises:
            DicomError: it ends too early.
        """
        body = self.body
        assert body is not None
        body.finish(rest)
        if body.walk.padding is not None:
            self.warnings.append("zero bytes behind the data set were left out")

    def show(self) -> None:
        """Shows later files of the stream whom it is about; it has come through."""
        if self._earlier is not None:
            self._earlier.remember(self._memo.cleaner.identity)

    def let_go(self) -> None:
        """Lets go of all that it holds of the file."""
        self._applied = None
        self._looking = None
        self.body = None
        self._output = _NO_OUTPUT

    def release(self) -> list[Buffer]:
        """Returns what can be passed on."""
        return self._output.release() if self.body is None else self.body.release()

    def tally(self) -> tuple[dict[str, int], int]:
        """Returns how many elements each action changed, and how many bytes went by layouts."""
        applied = self._applied
        if applied is not None:
            return applied.counts, applied.end - applied.match.start()
        assert self.body is not None
        walk = self.body.walk
        return walk.splicer.counts(), walk.leaps.applied_bytes

    def _finder(self, encoding: Encoding, base: int) -> PatientFinder | None:
        """Returns what looks for the patient; None where nothing depends on who it is."""
        if not self._rules.profile.says_patient:
            return None
        return PatientFinder(self._rules, encoding, base=base, max_held_bytes=self._max_held)

    def _find_patient(self, encoding: Encoding, data: bytes, position: int) -> PatientFinder | None:
        """Looks for the patient in the first input; returns what goes on where that is not all."""
        finder = self._finder(encoding, self._base)
        if finder is None or (patient := finder.find(data, position)) is None:
            return finder
        self._memo = self._memo.of_patient(patient)
        return None

    def _apply_at_beginning(self, layouts: Layouts, data: bytes, position: int) -> int:
        """Passes the beginning of a data set that is laid out as others were.

        Returns:
            Where it ends in the data, or 0.
        """
        applied = layouts.apply_at_beginning(data, position, self._rules, self._memo)
        if applied is None or self._base + applied.end - position > self._max_held:
            return 0
        self._memo = applied.memo
        self._head.write(applied)
        if applied.tail < applied.end:
            self._output.parts.append(memoryview(data)[applied.tail : applied.end])
        self._applied = applied
        if applied.end < len(data):
            self.go_on(layouts)
        return applied.end

    def _walk(
        self,
        encoding: Encoding,
        output: Output,
        base: int,
        layouts: Layouts | None = None,
        finder: PatientFinder | None = None,
    ) -> Walk:
        return Walk(
            self._rules,
            self._memo,
            output,
            encoding,
            base=base,
            max_held_bytes=self._max_held,
            on_final=self._head.on_final,
            transfer_syntax=self._meta.transfer_syntax_uid(),
            encapsulated=self._meta.is_encapsulated(),
            layouts=layouts,
            finder=finder,
        )

    def _encoding(self, syntax: TransferSyntax | None, beginning: bytes) -> Encoding:
        """Returns the encoding of the data set.

        Where the transfer syntax and the first elements disagree, the elements are
        right: some writers change the one without the other.
        """
        seen = guessed_encoding(beginning) if len(beginning) >= HEADER else None
        if syntax is None:
            if seen is None:
                raise DicomError(
                    Reason.UNKNOWN_TRANSFER_SYNTAX,
                    "no transfer syntax, and the first element does not show one",
                    offset=self._base,
                )
            return seen
        if seen is not None and seen is not syntax.encoding:
            self.warnings.append("the data set is not encoded as its transfer syntax says")
            return seen
        return syntax.encoding
