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

from deid_service.engine.encoding.headers import BEGINNING, HEADER
from deid_service.engine.errors import DicomError, Reason
from deid_service.engine.file.data_set import DataSet
from deid_service.engine.file.head import Head
from deid_service.engine.file.meta import (
    MAGIC,
    PREAMBLE_LENGTH,
    FileMeta,
)
from deid_service.engine.file.transfer_syntax import guessed_encoding
from deid_service.engine.limits import MAX_HELD_BYTES
from deid_service.engine.plan import Plan
from deid_service.engine.rules.budget import Budget, spend_from
from deid_service.engine.rules.ops import AGE_NOT_COMPUTED, MISPLACED_FILE_META, STALE_LENGTH
from deid_service.engine.walk.output import Buffer, Output

FILE_HEADER: Final = PREAMBLE_LENGTH + len(MAGIC)

# PS3.10 7.5: the preamble can hold another file format, or a text.
EMPTY_PREAMBLE: Final = bytes(PREAMBLE_LENGTH) + MAGIC

# How long one call works, in seconds, before its caller, who may have several files,
# has a turn again. What has begun then is done first.
_TURN_SECONDS: Final = 0.01


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
            ValueError: the profile needs keys or lists, and the plan has none.
        """
        plan.check_complete()
        blank = plan.blank
        self._state = _State.UNCHANGED if blank else _State.START
        # What was not read of the input, as more must come first: so many bytes in all.
        self._tail = bytearray()
        self._need = FILE_HEADER
        # Input that there was no time for, and how far it is read. It is not copied: what
        # is passed on of it are slices of it.
        self._rest = b""
        self._rest_read = 0
        self._has_ended = False
        # When the caller has a turn, by `perf_counter`.
        self._until = math.inf
        # How much of the input has been read, in bytes.
        self._offset = 0
        self._budget = Budget()
        output = Output()
        self._meta = FileMeta(plan.rules, plan.metas, plan.memo.pseudonyms, max_held_bytes)
        self._head = Head(plan.rules, filename, self._meta, output)
        if blank:
            self._head.name = ""
        self._data_set = DataSet(
            plan.rules,
            plan.memo,
            self._meta,
            self._head,
            output,
            max_held_bytes=max_held_bytes,
            budget=self._budget,
            earlier=plan.earlier,
        )

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
        body = self._data_set.body
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
            self._end(perf_counter() + _TURN_SECONDS)
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
            self._end(math.inf)
            self._settle()
            tail = self._data_set.release()
        except DicomError:
            self._end_as(_State.FAILED)
            raise
        name = self._head.name
        assert name is not None
        counts, applied_bytes = self._data_set.tally()
        warnings = self._data_set.warnings
        warnings += warnings_of(counts, misplaced=self._meta.misplaced)
        self._data_set.show()
        self._end_as(_State.FINISHED)
        return Result(tail, counts, tuple(warnings), name, applied_bytes)

    def _end_as(self, state: _State) -> None:
        """Ends for good, and lets go of all that is held of the file at once.

        The walk and the head hold each other: without this they would lie in
        memory, with what they hold, until the garbage collector comes by.
        """
        self._state = state
        self._head.let_go()
        self._data_set.let_go()
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
            if data and (self._rest or self._data_set.body is not None):
                self._settle()
            self._until = perf_counter() + _TURN_SECONDS
            if not data:
                self._go_on()
            elif not self._skip(data):
                self._take(data if isinstance(data, bytes) else bytes(data))
            return self._data_set.release()
        except DicomError:
            self._end_as(_State.FAILED)
            raise

    def _skip(self, data: bytes | bytearray | memoryview) -> bool:
        """Passes on, or leaves out, data that lie in one long value; False where they do not."""
        body = self._data_set.body
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
        body = self._data_set.body
        if body is not None and body.pending:
            body.go_on(self._until)
        else:
            data, self._rest = self._rest, b""
            (self._read_last if self._has_ended else self._read_on)(data, self._rest_read)

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
            if len(data) < FILE_HEADER and not ended:
                self._need = FILE_HEADER
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
            offset = self._offset + position
            need = self._data_set.look_ahead(data, position, offset, ended=ended, until=self._until)
            self._need = need or 0
            if need != 0:
                self._offset = offset
                return position
            self._state = _State.DATA_SET
            position = self._data_set.begin(data, position, offset)
        if position < len(data):
            body = self._data_set.go_on()
            position = body.read(data, position, self._until)
            self._need = body.need
        self._offset += position
        return position

    def _begin(self, data: bytes) -> int:
        """Reads the preamble, if there is one, and returns where the elements begin."""
        if data[PREAMBLE_LENGTH:FILE_HEADER] == MAGIC:
            self._head.preamble = EMPTY_PREAMBLE
            self._state = _State.FILE_META
            return FILE_HEADER
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

    def _end(self, until: float) -> None:
        """Takes the end of the input; what there is no time for waits."""
        if self._has_ended:
            return
        self._settle()
        self._has_ended = True
        data = bytes(self._tail)
        self._tail.clear()
        self._until = until
        body = self._data_set.body
        if self._state is not _State.DATA_SET:
            self._read_last(data, 0)
        elif body is not None and body.walk.is_waiting:
            body.walk.wait_no_more()
            self._read_last(data, 0)
        else:
            self._close(data)

    def _read_last(self, data: bytes, start: int) -> None:
        """Reads the last of the input from a position on; what there is no time for waits."""
        read = self._read(data, start, ended=True)
        has_paused = not self._need and (read > start or self._state is _State.OUTLOOK)
        if has_paused and read < len(data):
            self._rest, self._rest_read = data, read
        else:
            self._close(data[read:])

    def _close(self, data: bytes) -> None:
        """Ends the data set with what was not read."""
        data_set = self._data_set
        if data_set.is_whole and not data:
            return
        data_set.go_on()
        self._settle()
        data_set.finish(data)


def warnings_of(counts: dict[str, int], *, misplaced: bool) -> list[str]:
    """Takes out of counts what is no action, and returns what the caller should know of that.

    Args:
        counts: how many elements each action changed, and what else was counted with them.
        misplaced: whether elements of the file meta stood behind its end.
    """
    counts.pop(STALE_LENGTH, None)
    warnings = []
    if counts.pop(MISPLACED_FILE_META, 0) or misplaced:
        warnings.append("elements of the file meta in the data set were left out")
    if counts.pop(AGE_NOT_COMPUTED, 0):
        warnings.append("PatientAge was not computed: a date that it needs is none")
    return warnings


def _lasting(data: bytes | bytearray | memoryview) -> Buffer:
    """Returns data that nobody can change any more: themselves, or a copy."""
    if isinstance(data, memoryview) and isinstance(data.obj, bytes) and data.format == "B":
        return data if data.c_contiguous else bytes(data)
    return data if isinstance(data, bytes) else bytes(data)
