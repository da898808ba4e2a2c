"""The files of one open stream: request messages in, response messages out.

Knows the order of messages and no transport. The states, and what each message
does in them:

                file            chunk           file_end        end of stream
    BETWEEN     -> IN_FILE      error           error           fine
    IN_FILE     error           stays           -> BETWEEN      error
    REJECTED    error           ignored         -> BETWEEN      error

IN_FILE becomes REJECTED, at any message, when the file cannot be de-identified:
its `result` is answered at once, and what else comes of it is passed over. An
error is a ProtocolError, and final: the caller ends the stream. A `batch` is what its
parts would be as messages one after the other, and is answered by a batch.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from enum import Enum, auto
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, ParamSpec

from deidcascade.v1 import deid_service_pb2 as pb

from deid_service.contract import wire
from deid_service.contract.errors import ProtocolError
from deid_service.engine import Deidentifier, DicomError, deidentify_alike, known_of
from deid_service.serving.answers import AROUND_CHUNK, Answers, Batches, Messages
from deid_service.serving.digest import Digest, NoDigest
from deid_service.serving.lookout import Lookout, Sighting, remember
from deid_service.serving.patients import Refusal
from deid_service.serving.receipts import Receipts, file_output, file_rejected
from profile_service.serving.logs import origin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from deid_service.contract.wire import Buffer, RequestPart
    from deid_service.engine import Given, Plan, Result
    from deid_service.serving.limits import Limits
    from deid_service.serving.resolver import AppliedProfile

# Output is gathered until a message is worth its overhead, which is some 100
# microseconds on each side, as much as copying and hashing 64 KiB takes.
MIN_CHUNK_BYTES = 64 * 1024

# Larger output is split: messages of more than 1 or 2 MiB are carried no faster.
MAX_CHUNK_BYTES = 2 * 1024 * 1024

# How long the files of a batch are worked on before others have their turn, in seconds.
TURN_SECONDS = 0.01

# What gRPC receives where nothing else is said: the longest request and, for callers that
# say nothing, the longest response.
MAX_MESSAGE_BYTES = 4 * 1024 * 1024

# The name and the receipt of a file fit into the shortest that a caller may ask for.
MIN_RESPONSE_BYTES = 64 * 1024

# Batches are not made longer than this, whatever a caller receives: they cost memory,
# and gain nothing any more.
MAX_RESPONSE_BYTES = 16 * 1024 * 1024

# It comes back with each file: a name, not a payload.
MAX_FILE_ID_BYTES = 1024


_NO_ACTIONS: Mapping[str, int] = MappingProxyType({})


class FileRecord(NamedTuple):
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
        sha256: of what was sent, in hex; empty where it was rejected, or not taken.
        actions: how many elements each action changed.
    """

    bytes_in: int
    bytes_out: int
    seconds: float
    reason: str = ""
    tag: str = ""
    offset: int = 0
    origin: str = ""
    applied_bytes: int = 0
    sha256: str = ""
    actions: Mapping[str, int] = _NO_ACTIONS


_DONE = object()

_Step = ParamSpec("_Step")


class _State(Enum):
    BETWEEN = auto()
    IN_FILE = auto()
    REJECTED = auto()


@dataclass(frozen=True, slots=True)
class Terms:
    """What the caller and the service have agreed on for a stream.

    Attributes:
        max_response_bytes: how long a response may be.
        digest: whether receipts have the SHA-256 of the output.
    """

    max_response_bytes: int = MAX_MESSAGE_BYTES
    digest: bool = True


class Conversation:
    """What is said on a stream after `opened`.

    Attributes:
        lookout: is to see each message before it is received; None where nothing is given to
            patients.
    """

    def __init__(
        self,
        applied: AppliedProfile,
        limits: Limits,
        ended: Callable[[FileRecord], None],
        terms: Terms = Terms(),
    ) -> None:
        """Begins between files.

        Args:
            applied: what applies to every file.
            limits: what a file may cost.
            ended: called with the record of each file when its result is answered.
            terms: how it is answered.
        """
        key_id = "" if applied.keys is None else applied.keys.id
        # What is remembered of values, and the keys, go with the stream.
        self._applied = applied = replace(
            applied, plan=applied.plan.for_stream(applied.keys, applied.listed), keys=None
        )
        self._limits = limits
        self._ended = ended
        self._terms = terms
        self._state = _State.BETWEEN
        self._receipts = Receipts(applied, key_id)
        self.lookout = Lookout(applied.plan, limits) if applied.plan.awaits_given else None
        self._file = _File(applied, self._receipts, limits, terms, b"", pb.FileStart(), None)
        most = min(MAX_CHUNK_BYTES, terms.max_response_bytes - AROUND_CHUNK)
        self._messages = Messages(MIN_CHUNK_BYTES, most)
        self._answers: Messages | Batches = self._messages
        self._steps: Iterator[None] = iter(())
        self._pending = False
        # Files that have ended, with why and where they were rejected.
        self._over: list[tuple[_File, pb.Rejection | None, str]] = []

    @property
    def between_files(self) -> bool:
        """Whether no file is open."""
        return self._state is _State.BETWEEN

    def receive(self, message: bytes) -> list[bytes]:
        """Takes one request message and returns responses to it.

        Raises:
            ProtocolError: the message is out of order, or not what the contract says.
        """
        answers: list[bytes] = []
        while self._pending:
            answers += self.go_on()
        self._steps = self._take(message)
        return answers + self.go_on() if answers else self.go_on()

    @property
    def pending(self) -> bool:
        """Whether the last message is not done with: `go_on`, and others in between."""
        return self._pending

    def go_on(self) -> list[bytes]:
        """Goes on with the last message, and returns further responses to it.

        Raises:
            ProtocolError: as `receive`.
        """
        self.catch_up()
        try:
            self._pending = next(self._steps, _DONE) is not _DONE
            return self._answers.take(done=not self._pending)
        finally:
            # Not before: large files of a batch have their digests together.
            over, self._over = self._over, []
            for file, rejection, where in over:
                self._ended(file.record(rejection, where))

    @property
    def plan(self) -> Plan:
        """What is done, with the keys of the stream."""
        return self._applied.plan

    @property
    def awaited(self) -> str | None:
        """The patient of whom it must be known what was given before it goes on."""
        return self._file.awaited if self._state is _State.IN_FILE else None

    def give(self, patient: str, given: Given | Refusal) -> None:
        """Takes what the patient was given who is awaited; or why nothing is."""
        if not isinstance(given, Refusal):
            remember(self._applied.plan, {patient: given})
            return
        self._guarded(_refuse, given)

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

    def _take(self, message: bytes) -> Iterator[None]:
        """Does what a message says; gives others their turn at each step."""
        self._answers = self._messages
        chunk = wire.read_chunk(message)
        if chunk is not None:
            self._chunk(chunk, message)
            yield from self._turns()
            return
        parts = wire.read_parts(message)
        if parts is not None:
            self._answers = Batches(self._terms.max_response_bytes)
            yield from self._batch(parts)
            return
        request = wire.read_request(message)
        kind = request.WhichOneof("message")
        if kind == "file":
            self._start(request.file)
            self._guarded(self._file.begin)
        elif kind == "chunk":
            self._chunk(memoryview(request.chunk), None)
            yield from self._turns()
        elif kind == "file_end":
            self._end_file()
            yield from self._turns()
            self._finish_file()
        elif kind == "open":
            raise ProtocolError("`open` came a second time.")
        else:
            raise ProtocolError("A message holds nothing that this build knows.")

    def _batch(self, parts: Sequence[RequestPart]) -> Iterator[None]:
        """Does what each part says, in order."""
        ends = time.perf_counter() + TURN_SECONDS
        for part in parts:
            if time.perf_counter() > ends:
                yield None
                ends = time.perf_counter() + TURN_SECONDS
            if part.file is not None:
                self._start(part.file)
                if part.ends and self._at_once(part):
                    continue
                self._guarded(self._file.begin)
            if part.chunk:
                self._chunk(part.chunk, None)
                if self._file.pending:
                    yield from self._turns()
            if part.ends:
                self._end_file()
                if self._file.pending:
                    yield from self._turns()
                self._finish_file()

    def _start(self, start: pb.FileStart) -> None:
        if self._state is not _State.BETWEEN:
            raise ProtocolError("`file` came in the middle of a file, without `file_end`.")
        file_id = start.file_id.encode()
        if len(file_id) > MAX_FILE_ID_BYTES:
            raise ProtocolError(f"`file_id` is longer than {MAX_FILE_ID_BYTES} bytes.")
        if len(start.filename.encode()) > wire.MAX_FILENAME_BYTES:
            raise ProtocolError(f"`filename` is longer than {wire.MAX_FILENAME_BYTES} bytes.")
        sighting = None if self.lookout is None else self.lookout.next_file()
        self._file = _File(
            self._applied, self._receipts, self._limits, self._terms, file_id, start, sighting
        )
        self._state = _State.IN_FILE

    def _at_once(self, part: RequestPart) -> bool:
        """Takes a file that is there as a whole; False where it is begun like any other."""
        if self.lookout is not None:
            return False
        file = self._file
        self._guarded(file.take_whole, part, self._answers)
        if self._state is _State.IN_FILE:
            if not file.is_done:
                return False
            self._over.append((file, None, ""))
        self._state = _State.BETWEEN
        return True

    def _chunk(self, chunk: memoryview, message: bytes | None) -> None:
        """Takes bytes of a file; there may be turns left to take for them."""
        if self._state is _State.REJECTED:
            return
        if self._state is _State.BETWEEN:
            raise ProtocolError("`chunk` came outside a file.")
        self._guarded(self._file.receive, chunk, message, self._answers)

    def _end_file(self) -> None:
        """Takes the end of a file; there may be turns left to take, before it is finished."""
        if self._state is _State.BETWEEN:
            raise ProtocolError("`file_end` came outside a file.")
        if self._state is _State.IN_FILE:
            self._guarded(self._file.end)

    def _turns(self) -> Iterator[None]:
        """Goes on with what is left to do on a file."""
        file = self._file
        while self._state is _State.IN_FILE and file.pending:
            yield None
            # It may have been rejected meanwhile: what its patient needs was refused.
            if self._state is _State.IN_FILE:
                self._guarded(file.go_on, self._answers)

    def _finish_file(self) -> None:
        """Gives the last answers of a file that has ended."""
        if self._state is _State.IN_FILE:
            self._guarded(self._file.finish, self._answers)
            if self._state is _State.IN_FILE:
                self._over.append((self._file, None, ""))
        self._state = _State.BETWEEN

    def _guarded(
        self, step: Callable[_Step, None], *given: _Step.args, **named: _Step.kwargs
    ) -> None:
        """Takes a step; what goes wrong in it rejects the file and nothing else."""
        try:
            step(*given, **named)
        except _RejectedError as error:
            rejection, where = error.rejection, ""
        except DicomError as error:
            rejection, where = rejection_of(error), ""
        except Exception as error:  # noqa: BLE001 - no file may leave because of an unforeseen error
            rejection, where = _UNFORESEEN, origin(error)
        else:
            return
        self._state = _State.REJECTED
        self._over.append((self._file, rejection, where))
        self._answers.result(self._file.rejected(rejection))


class _RejectedError(Exception):
    """The file is rejected for a reason outside the engine."""

    def __init__(self, reason: pb.RejectionReason.ValueType, message: str, *, offset: int) -> None:
        self.rejection = pb.Rejection(reason=reason, message=message, byte_offset=offset)
        super().__init__(message)


def _refuse(refusal: Refusal) -> None:
    raise _RejectedError(refusal.reason, refusal.message, offset=0)


_UNFORESEEN = pb.Rejection(
    reason=pb.REJECTION_REASON_INTERNAL, message="The service failed on this file."
)


def rejection_of(error: DicomError) -> pb.Rejection:
    """Returns what is answered where the engine rejects a file."""
    return pb.Rejection(
        reason=pb.RejectionReason.Value(f"REJECTION_REASON_{error.reason}"),
        message=error.message,
        tag=error.tag or "",
        byte_offset=error.offset or 0,
    )


class _File:
    """One file on its way through the engine.

    Attributes:
        digest: of its output.
        is_done: it was there as a whole, and all is answered.
    """

    def __init__(
        self,
        applied: AppliedProfile,
        receipts: Receipts,
        limits: Limits,
        terms: Terms,
        file_id: bytes,
        start: pb.FileStart,
        sighting: Sighting | None,
    ) -> None:
        self._applied = applied
        self._receipts = receipts
        self._max_bytes = limits.max_file_bytes
        self._max_held = limits.max_held_bytes
        self._file_id = file_id
        self._filename = start.filename
        self._size = start.size
        # Once it is begun.
        self._engine: Deidentifier
        self.is_done = False
        self._began = time.perf_counter()
        self.digest = Digest() if terms.digest else NoDigest()
        self._bytes_in = 0
        self._bytes_out = 0
        self._seconds = 0.0
        self._applied_bytes = 0
        self._actions: Mapping[str, int] = _NO_ACTIONS
        self._announced = False
        # Copied, not referred to: a few bytes of output would otherwise keep the
        # whole message alive that they are a slice of.
        self._gathered = bytearray()
        # What has been seen of it, until it is known what its patient was given; and what has
        # come of it by then.
        self._sighting = sighting
        self._held: list[memoryview] = []
        self._has_ended = False

    @property
    def awaited(self) -> str | None:
        """The patient of whom it must be known what was given before it goes on."""
        sighting = self._sighting
        if sighting is None or not sighting.is_settled:
            return None
        known_by = sighting.known_by
        return None if known_by in known_of(self._applied.plan) else known_by

    @property
    def pending(self) -> bool:
        """Whether the engine has more to do than it does in one call, or has not begun."""
        sighting = self._sighting
        return self._engine.pending or (sighting is not None and sighting.is_settled)

    def take_whole(self, part: RequestPart, answers: Answers) -> None:
        """Takes all of the file and answers, if it is laid out as others were.

        Whatever is not as it should be is left to be told where the file is begun.
        """
        size = len(part.chunk)
        if 0 < self._size != size or 0 < self._max_bytes < size:
            return
        result = deidentify_alike(
            self._applied.plan,
            part.within,
            part.at,
            part.at + size,
            filename=self._filename,
            max_held_bytes=self._max_held,
        )
        if result is not None:
            self._bytes_in = size
            self._complete(result, answers)
            self.is_done = True

    def begin(self) -> None:
        """Prepares for the first bytes, and looks at what is announced."""
        self._engine = Deidentifier(
            self._applied.plan, filename=self._filename, max_held_bytes=self._max_held
        )
        self._check_limit(self._size)

    def receive(self, chunk: memoryview, message: bytes | None, answers: Answers) -> None:
        """Takes the next bytes and answers.

        Args:
            chunk: the bytes.
            message: the request, where it is the chunk and nothing else.
            answers: gets the output.
        """
        self._bytes_in += len(chunk)
        if 0 < self._size < self._bytes_in:
            raise self._mismatch()
        self._check_limit(self._bytes_in)
        if self._sighting is not None:
            # Most often it is known already.
            if self._held or not self._sighting.is_settled or self.awaited is not None:
                self._held.append(memoryview(bytes(chunk)))
                return
            self._sighting = None
        output = self._engine.receive(chunk)
        if (
            message is not None
            and self._announced
            and not self._gathered
            and len(output) == 1
            and output[0] is chunk
            and len(chunk) >= answers.gather
            and isinstance(answers, Messages)
            # What came is what goes: so is the message around it.
            and answers.same(message, chunk, self.digest)
        ):
            self._bytes_out += len(chunk)
        else:
            self._put(output, answers)

    def go_on(self, answers: Answers) -> None:
        """Goes on with what the engine has not done yet."""
        if self._sighting is None:
            self._put(self._engine.go_on(), answers)
            return
        if self.awaited is not None:
            return
        self._sighting, held, self._held = None, self._held, []
        for chunk in held:
            self._put(self._engine.receive(chunk), answers)
        if self._has_ended:
            self._engine.end()

    def end(self) -> None:
        """Takes the end of the file."""
        if 0 < self._size != self._bytes_in:
            raise self._mismatch()
        self._has_ended = True
        if self._sighting is None:
            self._engine.end()
        elif not self._sighting.is_settled:
            raise RuntimeError("nobody has seen the file before")

    def finish(self, answers: Answers) -> None:
        """Gives the last answers."""
        self._complete(self._engine.finish(), answers)

    def _complete(self, result: Result, answers: Answers) -> None:
        """Answers with what the engine has made of all of it."""
        self._applied_bytes = result.applied_bytes
        if not self._announced:
            self._announce(result.suggested_filename, answers)
        self._write(result.tail, sum(map(len, result.tail)), answers)
        self._actions = result.actions
        digest = self.digest
        told = self._receipts.result(self._file_id, result, self._bytes_in, self._bytes_out, digest)
        answers.result(told, digest)
        self._seconds = time.perf_counter() - self._began

    def rejected(self, rejection: pb.Rejection) -> bytes:
        """Returns the result of a file that is rejected, a FileResult."""
        self._seconds = time.perf_counter() - self._began
        return file_rejected(self._file_id, rejection)

    def record(self, rejection: pb.Rejection | None = None, where: str = "") -> FileRecord:
        """Returns what may be told of the file."""
        if rejection is None:
            return FileRecord(
                self._bytes_in,
                self._bytes_out,
                self._seconds,
                applied_bytes=self._applied_bytes,
                sha256=self.digest.hexdigest(),
                actions=self._actions,
            )
        return FileRecord(
            self._bytes_in,
            self._bytes_out,
            self._seconds,
            reason=pb.RejectionReason.Name(rejection.reason).removeprefix("REJECTION_REASON_"),
            tag=rejection.tag,
            offset=rejection.byte_offset,
            origin=where,
        )

    def _put(self, output: Sequence[Buffer], answers: Answers) -> None:
        """Answers with output when there is enough of it."""
        size = sum(map(len, output))
        if size and len(self._gathered) + size >= answers.gather:
            self._write(output, size, answers)
            return
        for part in output:
            self._gathered += part

    def _write(self, output: Sequence[Buffer], size: int, answers: Answers) -> None:
        if not self._announced:
            self._announce(self._engine.suggested_filename or "", answers)
        if self._gathered:
            size += len(self._gathered)
            output = [self._gathered, *output]
            self._gathered = bytearray()
        if size:
            answers.chunk(output, size, self.digest)
        self._bytes_out += size

    def _announce(self, name: str, answers: Answers) -> None:
        self._announced = True
        answers.file(file_output(self._file_id, name))

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
