"""De-identifies one file as it streams through.

    START --preamble, or none--> FILE_META --first other group--> DATA_SET
      |                                                              |
      +--- a blank plan ---> UNCHANGED ------------ finish --> FINISHED

Any error leads to FAILED, for good.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from enum import Enum, auto
from time import perf_counter
from typing import Final, NamedTuple

from deid_service.engine.encoding.headers import BEGINNING, HEADER, Encoding
from deid_service.engine.encoding.tags import SOP_INSTANCE_UID
from deid_service.engine.errors import DicomError, Reason
from deid_service.engine.file.deflate import Deflater, Inflater
from deid_service.engine.file.directory import (
    DIRECTORY_NAME,
    MEDIA_DIRECTORY,
    check_records,
    repoint,
)
from deid_service.engine.file.meta import (
    MAGIC,
    PREAMBLE_LENGTH,
    FileMeta,
    TransferSyntax,
    guessed_encoding,
)
from deid_service.engine.file.names import output_name
from deid_service.engine.layouts.layout import Applied
from deid_service.engine.layouts.learning import Layouts
from deid_service.engine.limits import MAX_HELD_BYTES
from deid_service.engine.plan import Plan
from deid_service.engine.rules.budget import Budget, spend_from
from deid_service.engine.rules.ops import AGE_NOT_COMPUTED, MISPLACED_FILE_META, STALE_LENGTH
from deid_service.engine.walk.output import Buffer, Output, Slot
from deid_service.engine.walk.recorder import Rehearsal
from deid_service.engine.walk.walk import Walk

_FILE_HEADER: Final = PREAMBLE_LENGTH + len(MAGIC)

# PS3.10 7.5: the preamble can hold another file format, or a text.
_EMPTY_PREAMBLE: Final = bytes(PREAMBLE_LENGTH) + MAGIC

# How long one call works, in seconds, before its caller, who may have several files,
# has a turn again. What has begun then is done first.
_TURN_SECONDS: Final = 0.01

# How much is inflated in one call, in bytes: some twenty milliseconds of work.
_INFLATED_AT_ONCE: Final = 1 << 20

# Of a file that has ended.
_NO_OUTPUT: Final = Output()


class _State(Enum):
    START = auto()
    FILE_META = auto()
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
        """
        self._plan = plan
        self._rules = plan.rules
        self._filename = filename
        self._max_held = max_held_bytes
        self._state = _State.UNCHANGED if plan.blank else _State.START
        self._name: str | None = "" if plan.blank else None
        self._tail = bytearray()
        # How much of it must be there to go on; 0 where all that is due is a turn.
        self._need = _FILE_HEADER
        # When the caller has a turn, by `perf_counter`.
        self._until = math.inf
        # How much of the input has been read, in bytes.
        self._offset = 0
        self._output = Output()
        # The preamble of the output, if it has one.
        self._preamble = b""
        self._name_slot: Slot | None = None
        self._meta_slot: Slot | None = None
        self._meta = FileMeta(plan.rules, plan.metas, max_held_bytes)
        # How the data set began; as long as that is all of it, there is no walk.
        self._applied: Applied | None = None
        self._walk: Walk | None = None
        # Where to learn from how the data set begins; None where not, or no more.
        self._layouts: Layouts | None = None
        self._walk_output = self._output
        self._inflater: Inflater | None = None
        self._deflater: Deflater | None = None
        self._inflated = bytearray()
        # Deflated input that waits, as what it inflates to.
        self._waiting: Iterator[bytes] | None = None
        # Where the data set begins, in the input and in the output.
        self._base = 0
        self._start = 0
        # The data set as it came, of a media directory.
        self._directory: bytearray | None = None
        self._directory_error: DicomError | None = None
        self._warnings: list[str] = []
        self._budget = Budget()

    @property
    def suggested_filename(self) -> str | None:
        """The name for the output: None until it is known, which is before any output.

        It is empty with a blank plan. It holds no identity but what the profile
        lets through, and is safe for a file system.
        """
        return self._name

    @property
    def pending(self) -> bool:
        """Whether input waits that the next call takes, which may be with no bytes.

        A few bytes can hold thousands of elements that rules are about, and a few
        deflated ones can inflate to a thousand times as many. So that a caller with
        several files need not attend to one for long, a call works for some ten
        milliseconds.
        """
        return self._waiting is not None or (not self._need and bool(self._tail))

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
        if not data and not self.pending:
            return []
        spend_from(self._budget)
        try:
            if data:
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
            tail = self._end()
        except DicomError:
            self._end_as(_State.FAILED)
            raise
        assert self._name is not None
        counts = self._counts()
        applied_bytes = self._applied_bytes()
        counts.pop(STALE_LENGTH, None)
        if counts.pop(MISPLACED_FILE_META, 0) or self._meta.misplaced:
            self._warnings.append("elements of the file meta in the data set were left out")
        if counts.pop(AGE_NOT_COMPUTED, 0):
            self._warnings.append("PatientAge was not computed: a date that it needs is none")
        self._end_as(_State.FINISHED)
        return Result(tail, counts, tuple(self._warnings), self._name, applied_bytes)

    def _end_as(self, state: _State) -> None:
        """Ends for good, and lets go of all that is held of the file at once.

        The walk and this object hold each other: without this they would lie in
        memory, with what they hold, until the garbage collector comes by.
        """
        self._state = state
        self._walk = None
        self._applied = None
        self._meta_slot = None
        if self._name_slot is not None:
            self._name_slot.give_up = None
        self._output = self._walk_output = _NO_OUTPUT
        self._tail = self._inflated = bytearray()
        self._waiting = None
        self._directory = None

    def _check_open(self) -> None:
        if self._state is _State.FINISHED or self._state is _State.FAILED:
            raise RuntimeError("the file has ended")

    # --- input ---

    def _skip(self, data: bytes | bytearray | memoryview) -> bool:
        """Passes on, or leaves out, data that lie in one long value; False where they do not."""
        walk = self._walk
        if walk is None or self._inflater is not None or self._directory is not None:
            return False
        size = memoryview(data).nbytes
        if not walk.splicer.is_inside_value(size):
            return False
        walk.skip(_lasting(data))
        self._offset += size
        return True

    def _take(self, data: bytes) -> None:
        if self._tail:
            self._tail += data
            if len(self._tail) < self._need:
                return
            data = bytes(self._tail)
            self._tail.clear()
        read = self._read(data, ended=False)
        if read < len(data):
            self._tail += memoryview(data)[read:]

    def _go_on(self) -> None:
        """Takes some of what waits."""
        if self._waiting is not None:
            self._inflate()
        else:
            self._take(b"")

    def _settle(self) -> None:
        """Takes all that waits."""
        self._until = math.inf
        while self.pending:
            self._go_on()

    def _read(self, data: bytes, *, ended: bool) -> int:
        """Reads as far as it can or has time, and returns how far that is."""
        position = 0
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
            position = self._begin_data_set(data, position)
        read = self._read_data_set(data, position) if position < len(data) else position
        self._offset += read
        return read

    def _begin(self, data: bytes) -> int:
        """Reads the preamble, if there is one, and returns where the elements begin."""
        if data[PREAMBLE_LENGTH:_FILE_HEADER] == MAGIC:
            self._preamble = _EMPTY_PREAMBLE
            self._state = _State.FILE_META
            return _FILE_HEADER
        if data[: len(MAGIC)] == MAGIC:
            self._preamble = MAGIC
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
        return self._begin_data_set(data, 0)

    def _apply_at_beginning(self, layouts: Layouts, data: bytes, position: int) -> int:
        """Passes the beginning of a data set that is laid out as others were.

        Returns:
            Where it ends in the data, or 0.
        """
        applied = layouts.apply_at_beginning(data, position, self._rules, self._plan.memo)
        if applied is None or self._offset + applied.end > self._max_held:
            return 0
        parts = self._output.parts
        parts.append(self._preamble)
        parts += self._meta.write(applied.finals.get(SOP_INSTANCE_UID), applied.count)
        self._name = self._output_name(applied.finals)
        parts.append(applied.changed)
        if applied.tail < applied.end:
            parts.append(memoryview(data)[applied.tail : applied.end])
        self._applied = applied
        self._state = _State.DATA_SET
        if applied.end < len(data):
            self._walk_on(layouts)
        return applied.end

    def _walk_on(self, layouts: Layouts | None = None) -> Walk:
        """Returns the walk, behind what has been passed at the beginning."""
        if self._walk is None:
            applied = self._applied
            assert applied is not None
            self._walk = self._new_walk(applied.layout.encoding, self._base, layouts)
            self._walk.resume(applied)
            self._applied = None
        return self._walk

    def _new_walk(self, encoding: Encoding, base: int, layouts: Layouts | None) -> Walk:
        return Walk(
            self._rules,
            self._plan.memo,
            self._walk_output,
            encoding,
            base=base,
            max_held_bytes=self._max_held,
            on_final=self._on_final,
            transfer_syntax=self._meta.transfer_syntax_uid(),
            encapsulated=self._meta.is_encapsulated(),
            layouts=layouts,
        )

    def _learn(self, layouts: Layouts, walk: Walk, data: bytes, start: int) -> None:
        """Learns from the beginning of the data set, where it is not laid out as others are."""
        if not walk.is_unlike and data[start : start + 4] in layouts.known:
            layouts.came_again()
        elif layouts.wants_sample():
            rehearsal = Rehearsal(
                self._rules,
                walk.encoding,
                base=self._base,
                max_held_bytes=self._max_held,
                transfer_syntax=self._meta.transfer_syntax_uid(),
                encapsulated=self._meta.is_encapsulated(),
            )
            beginning = data[start:] if start else data
            # What is done once more to learn from it is no part of what the file costs.
            spend_from(Budget())
            samples = rehearsal.samples(beginning, layouts.left_out())
            layouts.learn(samples, beginning, self._rules, walk.encoding)
            self._plan.metas.note_learned(layouts)
            spend_from(self._budget)

    def _begin_data_set(self, data: bytes, position: int) -> int:
        """Prepares for the data set, of which the first elements are seen.

        Returns:
            Where in the data to read on.
        """
        syntax = self._meta.transfer_syntax()
        base = self._base = self._offset + position
        if self._meta.sop_class() == MEDIA_DIRECTORY:
            self._directory = bytearray()
        if syntax is not None and syntax.deflated:
            self._inflater = Inflater()
            self._deflater = Deflater()
            self._walk_output = Output()
            base = 0
            encoding = syntax.encoding
        else:
            encoding = self._encoding(syntax, data[position : position + BEGINNING], base)
        layouts = None
        if syntax is not None and encoding is syntax.encoding and not encoding.big:
            # What was learned holds for data sets that are encoded as the file meta says
            # that it was learned under; and not for guessed ones.
            is_plain = self._directory is None and self._inflater is None
            layouts = self._meta.layouts(encoding) if is_plain else None
        if layouts is not None and (passed := self._apply_at_beginning(layouts, data, position)):
            return passed
        self._walk = self._new_walk(encoding, base, layouts)
        self._layouts = layouts
        self._name_slot = Slot(0, give_up=self._give_up_name)
        self._output.open(self._name_slot)
        if self._preamble:
            self._output.parts.append(self._preamble)
        if self._meta.elements:
            self._meta_slot = Slot(base, SOP_INSTANCE_UID)
            self._output.open(self._meta_slot)
            if not self._rules.changes_instance_uid:
                self._settle_meta(None)
        self._state = _State.DATA_SET
        return position

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

    def _read_data_set(self, data: bytes, start: int) -> int:
        """Reads from a position on as far as it can or has time, and returns how far that is."""
        if self._inflater is not None:
            self._waiting = self._inflater.pieces(data[start:])
            self._inflate()
            return len(data)
        walk = self._walk_on()
        if self._directory is not None:
            return start + self._read_directory(walk, self._directory, data[start:])
        layouts, self._layouts = self._layouts, None
        read = walk.feed(data, start, until=self._until)
        self._need = walk.splicer.need
        if layouts is not None:
            self._learn(layouts, walk, data, start)
        return read

    def _inflate(self) -> None:
        """Takes some of the deflated input that waits."""
        assert self._deflater is not None
        assert self._waiting is not None
        walk = self._walk_on()
        held = self._inflated
        taken = 0
        while True:
            # Behind a pause, what is there goes first.
            if walk.splicer.need:
                piece = next(self._waiting, None)
                if piece is None:
                    self._waiting = None
                    break
                held += piece
                taken += len(piece)
            if len(held) >= walk.splicer.need:
                del held[: walk.feed(bytes(held), until=self._until)]
            if taken >= _INFLATED_AT_ONCE or perf_counter() > self._until:
                break
        self._output.parts.extend(self._deflater.add(self._walk_output.release()))

    def _read_directory(self, walk: Walk, held: bytearray, data: bytes) -> int:
        room = self._max_held - len(held)
        read = min(len(data), room)
        self._need = 1
        if self._directory_error is None:
            try:
                read = walk.feed(data[:room], until=self._until)
                self._need = walk.splicer.need
            except DicomError as error:
                # Whether the records fit together comes first: that is the same with
                # every profile.
                self._directory_error = error
        held += data[:read]
        if len(data) > room and self._need:
            raise DicomError(
                Reason.LIMIT_EXCEEDED,
                f"the media directory is longer than {self._max_held} bytes",
                offset=self._base,
            )
        return read

    # --- the end ---

    def _end(self) -> list[Buffer]:
        self._settle()
        data = bytes(self._tail)
        self._tail.clear()
        if self._state is not _State.DATA_SET:
            data = data[self._read(data, ended=True) :]
        if self._applied is not None and self._applied.layout.ends and not data:
            return self._released()
        walk = self._walk_on()
        self._settle()
        if self._inflater is not None:
            self._inflater.finish()
            data = bytes(self._inflated)
        if self._directory is not None and self._directory_error is not None:
            check_records(bytes(self._directory), walk.encoding)
            raise self._directory_error
        walk.finish(data)
        if walk.padding is not None:
            self._warnings.append("zero bytes behind the data set were left out")
        if self._deflater is not None:
            self._output.parts.extend(self._deflater.add(self._walk_output.release()))
            self._output.parts.extend(self._deflater.finish())
        if self._directory is not None:
            if walk.padding is not None:
                del self._directory[walk.padding - self._base :]
            after = b"".join(self._output.release())
            encoding = walk.encoding
            return [repoint(bytes(self._directory), self._base, after, self._start, encoding)]
        return self._released()

    # --- what waits for the data set ---

    def _on_final(self) -> None:
        """Writes the file meta and the name once what they need is known."""
        walk = self._walk
        if walk is None:
            # It goes on behind a beginning that has told all of them.
            return
        finals = walk.notes.finals
        if SOP_INSTANCE_UID in finals and self._meta_slot is not None:
            walk.splicer.check_overdue(self._meta_slot)
            self._settle_meta(finals[SOP_INSTANCE_UID])
        if self._name is None and self._rules.finals <= finals.keys():
            assert self._name_slot is not None
            overdue = walk.splicer.is_overdue(self._name_slot)
            self._settle_name({} if overdue else finals)

    def _settle_meta(self, instance_uid: str | None) -> None:
        slot = self._meta_slot
        assert slot is not None
        assert self._walk is not None
        self._meta_slot = None
        written = self._meta.write(instance_uid, self._walk.splicer.count)
        self._start = len(self._preamble) + sum(map(len, written))
        self._output.fill(slot, written)

    def _give_up_name(self) -> None:
        """Names the output although its values are too far away: by none of them."""
        self._settle_name({})

    def _settle_name(self, finals: Mapping[int, str | None]) -> None:
        slot = self._name_slot
        assert slot is not None
        self._name = self._output_name(finals)
        self._output.fill(slot, [])

    def _output_name(self, finals: Mapping[int, str | None]) -> str:
        if self._directory is not None:
            return DIRECTORY_NAME
        return output_name(self._rules.filenames, self._filename, finals, self._rules.settings)

    def _counts(self) -> dict[str, int]:
        return self._walk_on().splicer.counts() if self._applied is None else self._applied.counts

    def _applied_bytes(self) -> int:
        applied = self._applied
        if applied is None:
            return self._walk_on().applied_bytes
        return applied.end - applied.match.start()

    def _released(self) -> list[Buffer]:
        return [] if self._directory is not None else self._output.release()


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
