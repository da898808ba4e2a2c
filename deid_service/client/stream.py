"""One stream of an upload, opened again when it breaks.

Each has a thread that reads files, the one in which gRPC takes its requests, and one
that reads its answers and writes outputs. The requests run ahead of the answers as far
as flow control lets them: nothing waits for a round trip. Small files go several in one
message, where the service takes that. What was sent and not yet answered is known, in order;
when a connection breaks, exactly that is sent again.
"""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections import deque
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Protocol, cast

import grpc
from deidcascade.v1 import deid_service_pb2 as pb

from deid_service.client.batches import Parts, messages_of
from deid_service.client.job import UNFINISHED
from deid_service.client.outputs import OutputError, PartialFile
from deid_service.client.results import (
    FileResult,
    NoRoomError,
    Outcome,
    StreamRefusedError,
    UnexpectedAnswerError,
)
from deid_service.contract import wire
from deid_service.contract.rpc_errors import read_details
from profile_service.serving.request_ids import HEADER, answered_request_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from deid_service.client.job import Job, SentFile
    from deid_service.client.sources import Source

METHOD = "/deidcascade.v1.DeidService/Deidentify"

# As large as the contract advises; a smaller file is one message.
SEND_CHUNK_BYTES = 1024 * 1024

# gRPC's default.
MAX_RESPONSE_BYTES = 4 * 1024 * 1024

# How long a service that was there may be away, or say that it has no room, or that what it
# needs is away, before the upload is given up; and how long one is waited for that was never there.
PATIENCE_SECONDS = 60.0
FIRST_PATIENCE_SECONDS = 6.0
# A stream that breaks is opened again after a wait that doubles from the first.
FIRST_WAIT_SECONDS = 0.2
LONGEST_WAIT_SECONDS = 5.0

# A file that was open when the stream broke may be why it broke.
MAX_ATTEMPTS = 3

# Where the service gives another reason, it was not the file. A connection that breaks has none,
# and a file that is read too slowly makes a stream idle.
_OF_FILE = {"", "STREAM_IDLE"}


class Stream:
    """One stream, opened again when it breaks."""

    def __init__(self, job: Job, channel: grpc.Channel, on_open: Callable[[], None]) -> None:
        """Prepares it.

        Args:
            job: what it works on.
            channel: carries it.
            on_open: called when it is open.
        """
        self._job = job
        self._on_open = on_open
        # Messages stay bytes: see `wire`.
        self._call: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(METHOD)
        self._lock = threading.Lock()
        self._attempt: Attempt | None = None

    def run(self) -> None:
        """Sends and receives until nothing is left to send.

        Raises:
            UploadError: the upload cannot go on.
        """
        broken_since: float | None = None
        wait = FIRST_WAIT_SECONDS
        # Nothing is opened for nothing.
        while (first := self._job.take()) is not None:
            attempt = Attempt(self._job, first, self._on_open)
            with self._lock:
                self._attempt = attempt
            if self._job.is_ending():
                attempt.cancel()
            try:
                attempt.run(self._call)
            except grpc.RpcError as error:
                refused = _refusal(error)
                if attempt.progressed or broken_since is None:
                    broken_since, wait = time.monotonic(), FIRST_WAIT_SECONDS
                again = not self._job.is_ending() and self._may_pass(refused, broken_since)
                attempt.settle(again=again, of_file=refused.reason in _OF_FILE)
                if not again:
                    raise refused from None
            except Exception:
                attempt.settle(again=False)
                raise
            else:
                return
            spread = wait * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
            self._job.wait((refused.retry_after or 0) + spread)
            wait = min(wait * 2, LONGEST_WAIT_SECONDS)

    def cancel(self) -> None:
        """Ends the stream now."""
        with self._lock:
            if self._attempt is not None:
                self._attempt.cancel()

    def _may_pass(self, refused: StreamRefusedError, broken_since: float) -> bool:
        """Tells whether to try again: the cause may pass, and has not been there for too long."""
        if refused.retry_after is None:
            return False
        # A connection that is not made, or breaks, has no reason: who gives one is there.
        there = self._job.opened or refused.reason != ""
        patience = PATIENCE_SECONDS if there else FIRST_PATIENCE_SECONDS
        again_at = time.monotonic() + refused.retry_after
        return again_at - max(broken_since, self._job.last_answer) < patience


def _refusal(error: grpc.RpcError) -> StreamRefusedError:
    reason, verdicts, retry_after = read_details(error)
    # What a call raises is the call itself, with its status.
    call = cast("grpc.Call", error)
    text = call.details() or "The stream broke."
    request_id = answered_request_id(call.trailing_metadata())
    return StreamRefusedError(call.code(), reason, text, verdicts, request_id, retry_after)


class _Call(Protocol):
    """What is used of a `grpc.Call` beside its messages."""

    def initial_metadata(self) -> Iterable[tuple[str, str | bytes]] | None:
        """Returns what came before the first message."""
        ...

    def cancel(self) -> object:
        """Ends the call."""
        ...


class Attempt:
    """One stream from `open` to its end, however it ends.

    Attributes:
        progressed: whether anything of a file was answered.
    """

    def __init__(self, job: Job, first: SentFile, on_open: Callable[[], None]) -> None:
        self.progressed = False
        self._job = job
        self._on_open = on_open
        self._first: SentFile | None = first
        self._lock = threading.Lock()
        self._closed = False
        self._call: _Call | None = None
        # Sent, whole or in part, and not yet answered; in the order of sending.
        self._pending: deque[SentFile] = deque()
        self._output: PartialFile | None = None
        self._problem = ""
        self._suggested = ""
        self._opened: pb.StreamOpened | None = None
        self._request_id = ""
        # Set when it is open, or will never be.
        self._decided = threading.Event()
        self._sending_error: Exception | None = None
        self._parts = Parts()

    def cancel(self) -> None:
        """Ends the stream now; nothing more is sent on it."""
        with self._lock:
            self._closed = True
            if self._call is not None:
                self._call.cancel()
        self._decided.set()
        self._parts.close()

    def run(self, method: grpc.StreamStreamMultiCallable[bytes, bytes]) -> None:
        """Sends and receives until nothing is left to send.

        Raises:
            grpc.RpcError: the stream was refused or broke.
            UnexpectedAnswerError: the service does not keep to the contract.
            Exception: what the caller's iterable of sources raised.
        """
        # It may wait for a source that gives nothing more: nobody waits for it.
        threading.Thread(target=self._read, name="deidcascade-read", daemon=True).start()
        call = method(self._requests(), metadata=((HEADER, self._job.request_id),))
        with self._lock:
            self._call = call
            if self._closed:
                call.cancel()
        try:
            for message in call:
                chunk = wire.read_response_chunk(message)
                if chunk is not None:
                    self._on_chunk(chunk)
                else:
                    self._on_message(pb.DeidentifyResponse.FromString(message))
            with self._lock:
                self._closed = True
            if self._sending_error is not None:
                raise self._sending_error
            if self._pending:
                raise UnexpectedAnswerError("The stream ended before all files had a result.")
        finally:
            self.cancel()
            self._discard()

    def settle(self, *, again: bool, of_file: bool = True) -> None:
        """Gives back or fails what has no result; the first of it was open.

        Args:
            again: whether it is tried again.
            of_file: whether the file that was open may be why.
        """
        with self._lock:
            pending = list(self._pending)
            self._pending.clear()
            unsent, self._first = self._first, None
        if pending and self._opened is not None and of_file:
            pending[0].attempts += 1
        for file in pending:
            file.answered = False
        if unsent is not None:
            pending.append(unsent)
        if not again:
            for file in pending:
                self._job.ended(file.without_output(UNFINISHED, Outcome.UNSENT))
            return
        for file in pending[:1]:
            if file.attempts >= MAX_ATTEMPTS:
                problem = f"The connection broke {file.attempts} times at this file."
                self._job.ended(file.fail(problem))
                pending = pending[1:]
        self._job.give_back(pending)

    # --- Sending: runs in gRPC's thread -----------------------------------------------

    def _requests(self) -> Iterator[bytes]:
        open_ = pb.OpenStream(target=self._job.target, max_response_bytes=MAX_RESPONSE_BYTES)
        yield pb.DeidentifyRequest(open=open_).SerializeToString()
        while parts := self._parts.take():
            opened = self._opened
            takes_batches = opened is not None and opened.max_request_bytes > 0
            yield from messages_of(parts, batches=takes_batches)
            self._job.sent(sum(len(part.chunk) for part in parts))

    # --- Reading: runs in a thread of its own -------------------------------------------

    def _read(self) -> None:
        try:
            if self._job.remembers():
                # What earlier runs have done depends on the profile.
                self._decided.wait()
            for number in itertools.count():
                file = self._take()
                if file is None:
                    return
                file.file_id = str(number)
                self._read_file(file)
        except Exception as error:  # noqa: BLE001 - raised in the stream's thread instead
            self._sending_error = error
        finally:
            self._parts.end()

    def _take(self) -> SentFile | None:
        while True:
            with self._lock:
                if self._closed:
                    return None
                file, self._first = self._first, None
            if file is None:
                file = self._job.take()
            if file is None:
                return None
            if self._opened is not None and self._job.finished_before(file, self._opened):
                continue
            if self._add(file):
                return file
            self._job.give_back([file])
            return None

    def _add(self, file: SentFile) -> bool:
        """Notes a file as sent; False when the stream has ended and is being settled."""
        with self._lock:
            if not self._closed:
                self._pending.append(file)
            return not self._closed

    def _read_file(self, file: SentFile) -> None:
        source = file.source
        start = pb.FileStart(file_id=file.file_id, filename=filename_of(source), size=source.size)
        part = pb.RequestPart(file=start)
        size = 0
        try:
            with source.open() as stream:
                # Once there is a result, what is still sent is passed over; and nobody
                # takes what is read for a stream that has ended.
                while not (file.answered or self._closed) and (
                    data := stream.read(SEND_CHUNK_BYTES)
                ):
                    if part.chunk:
                        self._parts.put(part)
                        part = pb.RequestPart()
                    part.chunk = data
                    size += len(data)
                    # With the last bytes goes the end, unless it might have to be waited for.
                    if not 0 < source.size <= size:
                        self._parts.put(part)
                        part = pb.RequestPart()
        except (OSError, ValueError) as error:
            # The service must be told something: whatever it makes of the part
            # that it got, it is not kept.
            reason = error.strerror if isinstance(error, OSError) else None
            file.read_problem = f"It cannot be read: {reason or type(error).__name__}."
        part.file_end.SetInParent()
        self._parts.put(part)

    # --- Receiving: runs in the stream's thread -----------------------------------------

    def _on_message(self, message: pb.DeidentifyResponse) -> None:
        kind = message.WhichOneof("message")
        if kind == "file":
            self._on_file(message.file)
        elif kind == "result":
            self._on_result(message.result)
        elif kind == "batch":
            for part in message.batch.parts:
                if part.HasField("file"):
                    self._on_file(part.file)
                if part.chunk:
                    self._on_chunk(memoryview(part.chunk))
                if part.HasField("result"):
                    self._on_result(part.result)
        elif kind == "chunk":
            self._on_chunk(memoryview(message.chunk))
        elif kind == "opened":
            self._opened = message.opened
            if self._call is not None:
                self._request_id = answered_request_id(self._call.initial_metadata())
            self._decided.set()
            self._job.opened = True
            self._on_open()
        else:
            raise UnexpectedAnswerError("The service sent a message that is not known.")

    def _on_file(self, head: pb.FileOutput) -> None:
        self._check_turn(head.file_id)
        self.progressed = True
        self._problem, self._suggested = "", head.suggested_filename
        self._discard()
        try:
            self._output = self._job.begin_output()
        except OutputError as error:
            self._problem = problem_of(error)

    def _on_chunk(self, chunk: memoryview) -> None:
        if self._output is None:
            if not self._problem:
                raise UnexpectedAnswerError("The service sent bytes of no file.")
            return
        try:
            self._output.write(chunk)
        except OutputError as error:
            self._problem = problem_of(error)
            self._discard()

    def _on_result(self, answer: pb.FileResult) -> None:
        self._check_turn(answer.file_id)
        with self._lock:
            file = self._pending[0]
        file.answered = True
        self.progressed = True
        try:
            result = self._result(file, answer)
            with self._lock:
                self._pending.popleft()
            self._job.ended(result)
        finally:
            self._discard()
            self._problem = ""

    def _check_turn(self, file_id: str) -> None:
        with self._lock:
            if not self._pending or self._pending[0].file_id != file_id:
                raise UnexpectedAnswerError("The service answered a file out of turn.")

    def _result(self, file: SentFile, answer: pb.FileResult) -> FileResult:
        source = file.source
        if file.read_problem:
            return file.fail(file.read_problem, "NOT_READ")
        if answer.WhichOneof("result") == "rejection":
            return FileResult(
                source.name,
                Outcome.REJECTED,
                rejection=answer.rejection,
                source=source,
                request_id=self._request_id,
            )
        if self._problem:
            return file.fail(self._problem, "NOT_WRITTEN")
        receipt, output = answer.receipt, self._output
        if output is None or answer.WhichOneof("result") != "receipt":
            return file.fail("The service sent a result without an output.")
        if (receipt.bytes_out, receipt.sha256) != (output.size, output.sha256):
            return file.fail("The output does not match its receipt.")
        try:
            # An original name may carry an identity: it is used where bytes go
            # through unchanged, and not because a suggestion is missing.
            unchanged = self._opened is not None and self._opened.unchanged
            suggested = None if unchanged else self._suggested
            path = self._job.keep(output, source, suggested, receipt)
        except OutputError as error:
            return file.fail(problem_of(error), "NOT_WRITTEN")
        return FileResult(
            source.name, Outcome.DONE, path, receipt, source=source, request_id=self._request_id
        )

    def _discard(self) -> None:
        if self._output is not None:
            self._output.discard()
            self._output = None


def problem_of(error: OutputError) -> str:
    """Returns why a file has no output; NoRoomError where no other one could have any."""
    if error.is_full:
        raise NoRoomError(str(error)) from None
    return str(error)


def filename_of(source: Source) -> str:
    """Returns the name that is sent: its last part, as the contract can hold it."""
    # What is not UTF-8 has surrogates, which a message cannot hold.
    name = PurePosixPath(source.name).name.encode(errors="surrogateescape")
    return name[: wire.MAX_FILENAME_BYTES].decode(
        errors="ignore" if len(name) > wire.MAX_FILENAME_BYTES else "replace"
    )
