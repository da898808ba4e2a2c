"""The files of one open stream: request messages in, response messages out.

Knows the order of messages and no transport. The states, and what each message
does in them:

                file            chunk           file_end        end of stream
    BETWEEN     -> IN_FILE      error           error           fine
    IN_FILE     error           stays           -> BETWEEN      error
    REJECTED    error           ignored         -> BETWEEN      error

IN_FILE becomes REJECTED, at any message, when the file cannot be de-identified:
its `result` is answered at once, and what else comes of it is passed over. An
error is a ProtocolError, and final: the caller ends the stream.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TYPE_CHECKING

from deidcascade.v1 import deid_service_pb2 as pb

from deid_service.contract import wire
from deid_service.contract.errors import ProtocolError
from deid_service.engine import ENGINE_VERSION, Deidentifier, DicomError
from deid_service.serving.digest import Digest
from profile_service.serving.logs import origin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from deid_service.contract.wire import Buffer
    from deid_service.serving.config import Limits
    from deid_service.serving.resolver import AppliedProfile

# Output is gathered until a message is worth its overhead, which is some 100
# microseconds on each side, as much as copying and hashing 64 KiB takes.
MIN_CHUNK_BYTES = 64 * 1024

# Larger output is split: callers take messages of up to 4 MiB by default, and
# messages of more than 1 or 2 MiB are carried no faster.
MAX_CHUNK_BYTES = 2 * 1024 * 1024

# Both come back or are looked at per file: a name, not a payload.
MAX_FILE_ID_BYTES = 1024
MAX_FILENAME_BYTES = 1024


@dataclass(frozen=True, slots=True)
class FileRecord:
    """What may be told of a file that has ended: nothing that was in it.

    Attributes:
        bytes_in: received, up to the rejection if there was one.
        bytes_out: sent.
        seconds: from `file` to the result.
        reason: why it was rejected, or the empty text.
        tag: the element that it is about, or the empty text.
        offset: where in the input; 0 when there is no place.
        origin: where in the program an unforeseen error came up, or the empty text.
        applied_bytes: how much of the input was de-identified by what was learned of
            files that are laid out alike.
    """

    bytes_in: int
    bytes_out: int
    seconds: float
    reason: str = ""
    tag: str = ""
    offset: int = 0
    origin: str = ""
    applied_bytes: int = 0


class _State(Enum):
    BETWEEN = auto()
    IN_FILE = auto()
    REJECTED = auto()


class Conversation:
    """What is said on a stream after `opened`."""

    def __init__(
        self, applied: AppliedProfile, limits: Limits, ended: Callable[[FileRecord], None]
    ) -> None:
        """Begins between files.

        Args:
            applied: what applies to every file.
            limits: what a file may cost.
            ended: called with the record of each file when its result is answered.
        """
        # What is remembered of values goes with the stream.
        self._applied = replace(applied, plan=applied.plan.for_stream())
        self._limits = limits
        self._ended = ended
        self._state = _State.BETWEEN
        self._file = _File(self._applied, limits, pb.FileStart())

    @property
    def between_files(self) -> bool:
        """Whether no file is open."""
        return self._state is _State.BETWEEN

    def receive(self, message: bytes) -> list[bytes]:
        """Takes one request message and returns the responses to it.

        Raises:
            ProtocolError: the message is out of order, or not what the contract says.
        """
        self.catch_up()
        chunk = wire.read_chunk(message)
        if chunk is not None:
            return self._chunk(chunk, message)
        request = wire.read_request(message)
        kind = request.WhichOneof("message")
        if kind == "file":
            return self._start(request.file)
        if kind == "chunk":
            return self._chunk(memoryview(request.chunk), None)
        if kind == "file_end":
            return self._end_file()
        if kind == "open":
            raise ProtocolError("`open` came a second time.")
        raise ProtocolError("A message holds nothing that this build knows.")

    @property
    def pending(self) -> bool:
        """Whether the last message is not done with: `go_on`, and others in between."""
        return self._state is _State.IN_FILE and self._file.pending

    def go_on(self) -> list[bytes]:
        """Goes on with the last message, and returns further responses to it."""
        file = self._file
        self.catch_up()
        return self._guarded(lambda: file.receive(memoryview(b""), None))

    def catch_up(self) -> None:
        """Does what is left to do of the responses: worth calling while others travel.

        What is not done here is done when the next message comes.
        """
        self._file.digest.catch_up()

    def end(self) -> None:
        """Takes the end of the stream.

        Raises:
            ProtocolError: a file is open.
        """
        if self._state is not _State.BETWEEN:
            raise ProtocolError("The stream ended in the middle of a file, without `file_end`.")

    def _start(self, start: pb.FileStart) -> list[bytes]:
        if self._state is not _State.BETWEEN:
            raise ProtocolError("`file` came in the middle of a file, without `file_end`.")
        if len(start.file_id.encode()) > MAX_FILE_ID_BYTES:
            raise ProtocolError(f"`file_id` is longer than {MAX_FILE_ID_BYTES} bytes.")
        if len(start.filename.encode()) > MAX_FILENAME_BYTES:
            raise ProtocolError(f"`filename` is longer than {MAX_FILENAME_BYTES} bytes.")
        self._file = _File(self._applied, self._limits, start)
        self._state = _State.IN_FILE
        return self._guarded(self._file.begin)

    def _chunk(self, chunk: memoryview, message: bytes | None) -> list[bytes]:
        if self._state is _State.REJECTED:
            return []
        if self._state is _State.BETWEEN:
            raise ProtocolError("`chunk` came outside a file.")
        file = self._file
        return self._guarded(lambda: file.receive(chunk, message))

    def _end_file(self) -> list[bytes]:
        if self._state is _State.BETWEEN:
            raise ProtocolError("`file_end` came outside a file.")
        answers: list[bytes] = []
        if self._state is _State.IN_FILE:
            answers = self._guarded(self._file.finish)
            if self._state is _State.IN_FILE:
                self._ended(self._file.record())
        self._state = _State.BETWEEN
        return answers

    def _guarded(self, step: Callable[[], list[bytes]]) -> list[bytes]:
        """Takes a step; what goes wrong in it rejects the file and nothing else."""
        try:
            return step()
        except _RejectedError as error:
            rejection, where = error.rejection, ""
        except DicomError as error:
            rejection, where = _rejection(error), ""
        except Exception as error:  # noqa: BLE001 - no file may leave because of an unforeseen error
            rejection, where = _UNFORESEEN, origin(error)
        self._state = _State.REJECTED
        self._ended(self._file.record(rejection, where))
        return [self._file.result(rejection=rejection)]


class _RejectedError(Exception):
    """The file is rejected for a reason outside the engine."""

    def __init__(self, reason: pb.RejectionReason.ValueType, message: str, *, offset: int) -> None:
        self.rejection = pb.Rejection(reason=reason, message=message, byte_offset=offset)
        super().__init__(message)


_UNFORESEEN = pb.Rejection(
    reason=pb.REJECTION_REASON_INTERNAL, message="The service failed on this file."
)


def _rejection(error: DicomError) -> pb.Rejection:
    return pb.Rejection(
        reason=pb.RejectionReason.Value(f"REJECTION_REASON_{error.reason}"),
        message=error.message,
        tag=error.tag or "",
        byte_offset=error.offset or 0,
    )


class _File:
    """One file on its way through the engine."""

    def __init__(self, applied: AppliedProfile, limits: Limits, start: pb.FileStart) -> None:
        self._applied = applied
        self._max_bytes = limits.max_file_bytes
        self._file_id = start.file_id
        self._size = start.size
        self._engine = Deidentifier(
            applied.plan, filename=start.filename, max_held_bytes=limits.max_held_bytes
        )
        self._began = time.perf_counter()
        self.digest = Digest()
        self._bytes_in = 0
        self._bytes_out = 0
        self._applied_bytes = 0
        self._announced = False
        # Copied, not referred to: a few bytes of output would otherwise keep the
        # whole message alive that they are a slice of.
        self._gathered = bytearray()

    @property
    def pending(self) -> bool:
        """Whether the engine has more to do than it does in one call."""
        return self._engine.pending

    def begin(self) -> list[bytes]:
        """Looks at what is announced."""
        self._check_limit(self._size)
        return []

    def receive(self, chunk: memoryview, message: bytes | None) -> list[bytes]:
        """Takes the next bytes and returns the responses.

        Args:
            chunk: the bytes.
            message: the request, where it is the chunk and nothing else.
        """
        self._bytes_in += len(chunk)
        if 0 < self._size < self._bytes_in:
            raise self._mismatch()
        self._check_limit(self._bytes_in)
        output = self._engine.receive(chunk)
        size = sum(map(len, output))
        if len(self._gathered) + size >= MIN_CHUNK_BYTES:
            if (
                message is not None
                and self._announced
                and not self._gathered
                and size <= MAX_CHUNK_BYTES
                and len(output) == 1
                and output[0] is chunk
            ):
                # What came is what goes: so is the message around it.
                self.digest.take(chunk)
                self._bytes_out += size
                return [wire.response_of(message)]
            return self._write(output, size)
        for part in output:
            self._gathered += part
        return []

    def finish(self) -> list[bytes]:
        """Takes the end of the file and returns the last responses."""
        if 0 < self._size != self._bytes_in:
            raise self._mismatch()
        result = self._engine.finish()
        self._applied_bytes = result.applied_bytes
        answers = self._write(result.tail, sum(map(len, result.tail)))
        receipt = pb.Receipt(
            treatment=self._applied.treatment,
            profile_name=self._applied.name,
            profile_version=self._applied.version,
            profile_sha256=self._applied.sha256,
            actions=result.actions,
            bytes_in=self._bytes_in,
            bytes_out=self._bytes_out,
            sha256=self.digest.hexdigest(),
            engine_version=ENGINE_VERSION,
            warnings=result.warnings,
        )
        answers.append(self.result(receipt=receipt))
        return answers

    def result(
        self, *, receipt: pb.Receipt | None = None, rejection: pb.Rejection | None = None
    ) -> bytes:
        """Returns the response that ends the file."""
        result = pb.FileResult(file_id=self._file_id, receipt=receipt, rejection=rejection)
        return pb.DeidentifyResponse(result=result).SerializeToString()

    def record(self, rejection: pb.Rejection | None = None, where: str = "") -> FileRecord:
        """Returns what may be told of the file."""
        seconds = time.perf_counter() - self._began
        if rejection is None:
            return FileRecord(
                self._bytes_in, self._bytes_out, seconds, applied_bytes=self._applied_bytes
            )
        return FileRecord(
            self._bytes_in,
            self._bytes_out,
            seconds,
            reason=pb.RejectionReason.Name(rejection.reason).removeprefix("REJECTION_REASON_"),
            tag=rejection.tag,
            offset=rejection.byte_offset,
            origin=where,
        )

    def _write(self, output: Sequence[Buffer], size: int) -> list[bytes]:
        answers: list[bytes] = []
        if not self._announced:
            self._announced = True
            blank = self._applied.plan.blank
            name = "" if blank else self._engine.suggested_filename or ""
            head = pb.FileOutput(file_id=self._file_id, suggested_filename=name)
            answers.append(pb.DeidentifyResponse(file=head).SerializeToString())
        parts: Sequence[Buffer] = output
        if self._gathered:
            size += len(self._gathered)
            parts = [self._gathered, *output]
            self._gathered = bytearray()
        for group, group_size in _split(parts, size):
            message, chunk = wire.write_response_chunk(group, group_size)
            self.digest.take(chunk)
            answers.append(message)
        self._bytes_out += size
        return answers

    def _check_limit(self, size: int) -> None:
        if 0 < self._max_bytes < size:
            raise _RejectedError(
                pb.REJECTION_REASON_LIMIT_EXCEEDED,
                f"The file is larger than {self._max_bytes} bytes, the limit for a file.",
                offset=min(size, self._bytes_in),
            )

    def _mismatch(self) -> _RejectedError:
        return _RejectedError(
            pb.REJECTION_REASON_SIZE_MISMATCH,
            f"The file was announced with {self._size} bytes; {self._bytes_in} came.",
            offset=self._bytes_in,
        )


def _split(parts: Sequence[Buffer], size: int) -> Iterator[tuple[Sequence[Buffer], int]]:
    """Cuts output into groups of parts, none of more than MAX_CHUNK_BYTES."""
    if 0 < size <= MAX_CHUNK_BYTES:
        yield parts, size
        return
    group: list[Buffer] = []
    room = MAX_CHUNK_BYTES
    for part in parts:
        view = memoryview(part)
        while len(view) > room:
            yield [*group, view[:room]], MAX_CHUNK_BYTES
            view = view[room:]
            group, room = [], MAX_CHUNK_BYTES
        group.append(view)
        room -= len(view)
    if room < MAX_CHUNK_BYTES:
        yield group, MAX_CHUNK_BYTES - room
