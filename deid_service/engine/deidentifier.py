"""De-identifies one file as it streams through.

    START --preamble, or none--> FILE_META --first other group--> OUTLOOK
      |                                                              |
      |                                      what conditions need is known
      |                                                              |
      |                                                           DATA_SET
      |                                                              |
      +--- a blank plan ---> UNCHANGED ------------ finish --> FINISHED

Any error leads to FAILED, for good.
"""

from __future__ import annotations

import math
from enum import Enum, auto
from time import perf_counter
from typing import Final, NamedTuple

from deid_service.engine.encoding.headers import BEGINNING, HEADER, IMPLICIT_LITTLE, Encoding
from deid_service.engine.errors import DicomError, Reason
from deid_service.engine.file.bodies import (
    Body,
    DeflatedBody,
    DirectoryBody,
    Learner,
    PlainBody,
)
from deid_service.engine.file.deflate import beginning_of
from deid_service.engine.file.directory import MEDIA_DIRECTORY
from deid_service.engine.file.head import Head
from deid_service.engine.file.meta import (
    MAGIC,
    PREAMBLE_LENGTH,
    FileMeta,
    TransferSyntax,
    guessed_encoding,
)
from deid_service.engine.file.outlook import look
from deid_service.engine.file.people import IDENTIFYING, people_of
from deid_service.engine.layouts.layout import Applied
from deid_service.engine.layouts.learning import Layouts
from deid_service.engine.limits import MAX_HELD_BYTES
from deid_service.engine.plan import Plan
from deid_service.engine.rules.budget import Budget, spend_from
from deid_service.engine.rules.facts import Facts
from deid_service.engine.rules.ops import AGE_NOT_COMPUTED, MISPLACED_FILE_META, STALE_LENGTH
from deid_service.engine.rules.texts import Cleaner
from deid_service.engine.walk.output import Buffer, Output
from deid_service.engine.walk.patient import PatientFinder
from deid_service.engine.walk.walk import Walk

_FILE_HEADER: Final = PREAMBLE_LENGTH + len(MAGIC)

# PS3.10 7.5: the preamble can hold another file format, or a text.
_EMPTY_PREAMBLE: Final = bytes(PREAMBLE_LENGTH) + MAGIC

# How long one call works, in seconds, before its caller, who may have several files,
# has a turn again. What has begun then is done first.
_TURN_SECONDS: Final = 0.01

# Of a file that has ended.
_NO_OUTPUT: Final = Output()


class _State(Enum):
    START = auto()
    FILE_META = auto()
    OUTLOOK = auto()
    DATA_SET = auto()
    UNCHANGED = auto()
    FINISHED = auto()
    FAILED = auto()


class Result(NamedTuple):
    """What was done to a file.

    Attributes:
        tail: the last of the output.
        actions: how many elements each action changed, by its name in the
            profile language, and by the names of the settings that remove or
            compute elements.
        warnings: what the caller should know; never a value.
        suggested_filename: as `Deidentifier.suggested_filename`.
        applied_bytes: how much of the input went by layouts that were learned, in
            bytes, rather than element by element.
    """

    tail: list[Buffer]
    actions: dict[str, int]
    warnings: tuple[str, ...]
    suggested_filename: str
    applied_bytes: int = 0


class Deidentifier:
    """De-identifies one file.

    The output is the same however the input is cut. Output that was released
    before an error must be thrown away.
    """

    def __init__(
        self, plan: Plan, *, filename: str = "", max_held_bytes: int = MAX_HELD_BYTES
    ) -> None:
        """Prepares for one file.

        Args:
            plan: what is done; can serve any number of files at once.
            filename: the name that the file came with, for the `filenames` of
                the profile.
            max_held_bytes: how much of the file may be held, see `MAX_HELD_BYTES`.

        Raises:
            ValueError: the profile needs keys, and the plan has none.
        """
        if plan.rules.key_purposes and plan.memo.pseudonyms is None:
            raise ValueError("the profile needs keys: see Plan.for_stream")
        self._rules = plan.rules
        self._memo = plan.memo
        self._max_held = max_held_bytes
        blank = plan.blank
        self._state = _State.UNCHANGED if blank else _State.START
        # What was not read of the input, as more must come first: so many bytes in all.
        self._tail = bytearray()
        self._need = _FILE_HEADER
        # Input that there was no time for, and how far it is read. It is not copied: what
        # is passed on of it are slices of it.
        self._rest = b""
        self._rest_read = 0
        self._has_ended = False
        # When the caller has a turn, by `perf_counter`.
        self._until = math.inf
        # How much of the input has been read, in bytes.
        self._offset = 0
        self._output = Output()
        self._meta = FileMeta(plan.rules, plan.metas, plan.memo.pseudonyms, max_held_bytes)
        self._head = Head(plan.rules, filename, self._meta, self._output)
        if blank:
            self._head.name = ""
        # How the data set began; as long as that is all of it, it has no body.
        self._applied: Applied | None = None
        self._body: Body | None = None
        # Where the data set begins, in the input.
        self._base = 0
        self._warnings: list[str] = []
        self._budget = Budget()

    @property
    def suggested_filename(self) -> str | None:
        """The name for the output: None until it is known, which is before any output.

        It is empty with a blank plan. It holds no identity but what the profile
        lets through, and is safe for a file system.
        """
        return self._head.name

    @property
    def pending(self) -> bool:
        """Whether there is work that `go_on` does some of, and the next call of another kind all.

        A few bytes can hold thousands of elements that rules are about, and a few
        deflated ones can inflate to a thousand times as many. So that a caller with
        several files need not attend to one for long, a call works for some ten
        milliseconds.
        """
        body = self._body
        return bool(self._rest) or (body is not None and body.pending)

    def receive(self, data: bytes | bytearray | memoryview) -> list[Buffer]:
        """Takes the next bytes of the file, cut anywhere, behind all that waits.

        Returns:
            The next of the output, as buffers that may be slices of the input.

        Raises:
            DicomError: the file is rejected. Final.
        """
        if self._state is _State.UNCHANGED:
            return [_lasting(data)] if data else []
        self._check_open()
        return self._take_turn(data) if data else []

    def go_on(self) -> list[Buffer]:
        """Takes some of the input that waits; see `pending`.

        Returns:
            The next of the output.

        Raises:
            DicomError: the file is rejected. Final.
        """
        self._check_open()
        return self._take_turn(b"") if self.pending else []

    def end(self) -> None:
        """Takes the end of the file, for a caller that takes turns until nothing is `pending`.

        What is left to do then, `finish` would do in one call.

        Raises:
            DicomError: the file is rejected. Final.
        """
        if self._state is _State.UNCHANGED:
            return
        self._check_open()
        spend_from(self._budget)
        try:
            self._end()
        except DicomError:
            self._end_as(_State.FAILED)
            raise

    def finish(self) -> Result:
        """Ends the file.

        Raises:
            DicomError: the file is rejected. Final.
        """
        if self._state is _State.UNCHANGED:
            self._state = _State.FINISHED
            return Result([], {}, (), "")
        self._check_open()
        spend_from(self._budget)
        try:
            self._end()
            self._settle()
            tail = self._released()
        except DicomError:
            self._end_as(_State.FAILED)
            raise
        name = self._head.name
        assert name is not None
        applied, body = self._applied, self._body
        if applied is not None:
            counts, applied_bytes = applied.counts, applied.end - applied.match.start()
        else:
            assert body is not None
            counts, applied_bytes = body.walk.splicer.counts(), body.walk.applied_bytes
        counts.pop(STALE_LENGTH, None)
        if counts.pop(MISPLACED_FILE_META, 0) or self._meta.misplaced:
            self._warnings.append("elements of the file meta in the data set were left out")
        if counts.pop(AGE_NOT_COMPUTED, 0):
            self._warnings.append("PatientAge was not computed: a date that it needs is none")
        self._end_as(_State.FINISHED)
        return Result(tail, counts, tuple(self._warnings), name, applied_bytes)

    def _end_as(self, state: _State) -> None:
        """Ends for good, and lets go of all that is held of the file at once.

        The walk and the head hold each other: without this they would lie in
        memory, with what they hold, until the garbage collector comes by.
        """
        self._state = state
        self._head.let_go()
        self._applied = None
        self._body = None
        self._output = _NO_OUTPUT
        self._tail = bytearray()
        self._rest = b""

    def _check_open(self) -> None:
        if self._state is _State.FINISHED or self._state is _State.FAILED:
            raise RuntimeError("the file has ended")

    # --- input ---

    def _take_turn(self, data: bytes | bytearray | memoryview) -> list[Buffer]:
        """Takes the next bytes, or without any some of what waits."""
        if data and self._has_ended:
            raise RuntimeError("the file has ended")
        spend_from(self._budget)
        try:
            if data and (self._rest or self._body is not None):
                self._settle()
            self._until = perf_counter() + _TURN_SECONDS
            if not data:
                self._go_on()
            elif not self._skip(data):
                self._take(data if isinstance(data, bytes) else bytes(data))
            return self._released()
        except DicomError:
            self._end_as(_State.FAILED)
            raise

    def _skip(self, data: bytes | bytearray | memoryview) -> bool:
        """Passes on, or leaves out, data that lie in one long value; False where they do not."""
        body = self._body
        if body is None:
            return False
        size = memoryview(data).nbytes
        if not body.walk.splicer.is_inside_value(size) or not body.skip(size, _lasting(data)):
            return False
        self._offset += size
        return True

    def _take(self, data: bytes) -> None:
        if self._tail:
            self._tail += data
            if len(self._tail) < self._need:
                return
            data = bytes(self._tail)
            self._tail.clear()
        self._read_on(data, 0)

    def _read_on(self, data: bytes, start: int) -> None:
        """Reads from a position on, and keeps what is not read."""
        read = self._read(data, start, ended=False)
        if read < len(data):
            if self._need:
                self._tail += memoryview(data)[read:]
            else:
                self._rest, self._rest_read = data, read

    def _go_on(self) -> None:
        """Takes some of what waits."""
        if self._body is not None and self._body.pending:
            self._body.go_on(self._until)
        else:
            data, self._rest = self._rest, b""
            self._read_on(data, self._rest_read)

    def _settle(self) -> None:
        """Takes all that waits."""
        while self.pending:
            self._until = math.inf
            self._go_on()

    def _read(self, data: bytes, start: int, *, ended: bool) -> int:
        """Reads from a position on, as far as it can or has time; returns how far that is."""
        # Of the first byte of the data, until reading has ended.
        self._offset -= start
        position = start
        if self._state is _State.START:
            if len(data) < _FILE_HEADER and not ended:
                self._need = _FILE_HEADER
                return 0
            position = self._begin(data)
        if self._state is _State.FILE_META:
            position, complete = self._meta.read(data, position, self._offset)
            # The first elements of the data set show how it is encoded.
            if complete:
                self._need = BEGINNING if len(data) - position < BEGINNING else 0
            else:
                self._need = self._meta.need
            if not ended and (self._need or not complete):
                self._offset += position
                return position
            if not complete and position < len(data):
                raise DicomError(
                    Reason.TRUNCATED,
                    "the file ends in its file meta",
                    offset=self._offset + position,
                )
            self._state = _State.OUTLOOK
        if self._state is _State.OUTLOOK:
            if not self._knows_file(data, position, ended=ended):
                self._offset += position
                return position
            position = self._begin_data_set(data, position)
        if position < len(data):
            body = self._body_on()
            position = body.read(data, position, self._until)
            self._need = body.need
        self._offset += position
        return position

    def _begin(self, data: bytes) -> int:
        """Reads the preamble, if there is one, and returns where the elements begin."""
        if data[PREAMBLE_LENGTH:_FILE_HEADER] == MAGIC:
            self._head.preamble = _EMPTY_PREAMBLE
            self._state = _State.FILE_META
            return _FILE_HEADER
        if data[: len(MAGIC)] == MAGIC:
            self._head.preamble = MAGIC
            self._state = _State.FILE_META
            return len(MAGIC)
        if len(data) < HEADER:
            raise DicomError(Reason.NOT_DICOM, "too short for a DICOM file", offset=0)
        if data[:2] == b"\x02\0" and data[2:4] <= b"\x16\0":
            self._state = _State.FILE_META
            return 0
        if guessed_encoding(data[:BEGINNING]) is None:
            raise DicomError(
                Reason.NOT_DICOM,
                "neither the prefix of a DICOM file nor the first element of a data set",
                offset=0,
            )
        self._state = _State.OUTLOOK
        return 0

    def _knows_file(self, data: bytes, position: int, *, ended: bool) -> bool:
        """Settles which rules are for the file, by what it says of itself.

        Args:
            data: the input.
            position: where the data set begins in it.
            ended: no more input comes.

        Returns:
            False where more of the input must be there for that.

        Raises:
            DicomError: what conditions depend on stands too far behind, or the profile
                rejects the file.
        """
        meta, rules = self._meta, self._rules
        self._need = 0
        if rules.are_for_all:
            return True
        facts = Facts()
        if rules.wanted or rules.cleans:
            held = data[position : position + self._max_held]
            is_all = len(data) - position >= self._max_held
            syntax = meta.transfer_syntax()
            if syntax is not None and syntax.deflated:
                held = beginning_of(held, self._max_held)
                is_all = is_all or len(held) >= self._max_held
            seen = guessed_encoding(held[:BEGINNING]) if len(held) >= HEADER else None
            encoding = seen or (IMPLICIT_LITTLE if syntax is None else syntax.encoding)
            found = look(held, encoding, rules.wanted, ended=ended and not is_all)
            if found is None and is_all:
                raise DicomError(
                    Reason.LIMIT_EXCEEDED,
                    f"what a condition depends on does not come within {self._max_held} bytes",
                    offset=self._offset + position,
                )
            identity = None
            if found is not None and rules.cleans:
                identity = people_of(
                    held,
                    encoding,
                    rules.changed_of(IDENTIFYING),
                    with_dates=rules.hides_dates,
                    ended=ended or is_all,
                )
            if found is None or (rules.cleans and identity is None):
                self._need = min(max(2 * (len(data) - position), BEGINNING), self._max_held)
                return False
            facts = found
            if identity is not None:
                self._memo = self._memo.of(Cleaner(rules.vocabulary, identity))
        self._rules = self._rules.for_file(facts.of_class(meta.sop_class()))
        self._head.use(self._rules)
        return True

    def _begin_data_set(self, data: bytes, position: int) -> int:
        """Prepares for the data set, of which the first elements are seen.

        Returns:
            Where in the data to read on.
        """
        self._state = _State.DATA_SET
        meta = self._meta
        base = self._base = self._offset + position
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
            self._body = DeflatedBody(walk, walked, self._output)
            self._head.open(walk, 0, is_directory=is_directory)
            return position
        encoding = self._encoding(syntax, beginning, base)
        if is_directory:
            walk = self._walk(encoding, self._output, base)
            limit = self._max_held
            if self._rules.needs_patient:
                raise DicomError(
                    Reason.NOT_SUPPORTED,
                    "a media directory may be about several patients",
                    offset=base,
                )
            self._body = DirectoryBody(
                walk, self._output, self._head, base=base, max_held_bytes=limit
            )
            self._head.open(walk, base, is_directory=True)
            return position
        if layouts is None:
            finder = self._find_patient(encoding, data, position)
        walk = self._walk(encoding, self._output, base, layouts, finder)
        learner = (
            None if layouts is None else Learner(self._rules, meta, layouts, base, self._budget)
        )
        self._body = PlainBody(walk, self._output, learner)
        self._head.open(walk, base, is_directory=False)
        return position

    def _finder(self, encoding: Encoding, base: int) -> PatientFinder | None:
        """Returns what looks for the patient; None where nothing depends on who it is."""
        if not self._rules.says_patient:
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
        if applied is None or self._offset + applied.end > self._max_held:
            return 0
        self._memo = applied.memo
        self._head.write(applied)
        parts = self._output.parts
        parts.append(applied.changed)
        if applied.tail < applied.end:
            parts.append(memoryview(data)[applied.tail : applied.end])
        self._applied = applied
        if applied.end < len(data):
            self._body_on(layouts)
        return applied.end

    def _body_on(self, layouts: Layouts | None = None) -> Body:
        """Returns the body, behind what has been passed at the beginning."""
        if self._body is None:
            applied, self._applied = self._applied, None
            assert applied is not None
            walk = self._walk(applied.layout.encoding, self._output, self._base, layouts)
            walk.resume(applied)
            self._body = PlainBody(walk, self._output)
        return self._body

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

    def _encoding(self, syntax: TransferSyntax | None, beginning: bytes, offset: int) -> Encoding:
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
                    offset=offset,
                )
            return seen
        if seen is not None and seen is not syntax.encoding:
            self._warnings.append("the data set is not encoded as its transfer syntax says")
            return seen
        return syntax.encoding

    def _end(self) -> None:
        if self._has_ended:
            return
        self._has_ended = True
        if self._applied is not None and self._applied.layout.ends and not self._tail:
            return
        self._settle()
        data = bytes(self._tail)
        self._tail.clear()
        if self._state is not _State.DATA_SET:
            # There is no other turn.
            self._until = math.inf
            data = data[self._read(data, 0, ended=True) :]
        if self._applied is not None and self._applied.layout.ends and not data:
            return
        body = self._body_on()
        self._settle()
        body.finish(data)
        if body.walk.padding is not None:
            self._warnings.append("zero bytes behind the data set were left out")

    def _released(self) -> list[Buffer]:
        return self._output.release() if self._body is None else self._body.release()


def _lasting(data: bytes | bytearray | memoryview) -> Buffer:
    """Returns data that nobody can change any more: themselves, or a copy."""
    if isinstance(data, memoryview) and isinstance(data.obj, bytes) and data.format == "B":
        return data if data.c_contiguous else bytes(data)
    return data if isinstance(data, bytes) else bytes(data)


def deidentify(data: bytes, plan: Plan, *, filename: str = "") -> bytes:
    """De-identifies a file that is in memory.

    Raises:
        DicomError: the file is rejected.
    """
    deidentifier = Deidentifier(plan, filename=filename)
    buffers = deidentifier.receive(data)
    return b"".join([*buffers, *deidentifier.finish().tail])
