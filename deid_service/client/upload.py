"""Uploads many files over one stream per channel.

Each stream has a thread that reads its answers, beside the one in which gRPC
takes its requests. The requests run ahead of the answers as far as flow control
lets them: nothing waits for a round trip. What was sent and not yet answered is
known, in order; when a connection breaks, exactly that is sent again.
"""

from __future__ import annotations

import asyncio
import itertools
import queue
import random
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Protocol, Self, cast

import grpc
from deidcascade.v1 import deid_service_pb2 as pb

from deid_service.client.outputs import Destination, OutputError, PartialFile
from deid_service.contract import wire
from deid_service.contract.rpc_errors import read_details

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from types import TracebackType

    from deid_service.client.sources import Source
    from deid_service.contract.errors import LevelVerdict

METHOD = "/deidcascade.v1.DeidService/Deidentify"

# As large as the contract advises; a smaller file is one message.
SEND_CHUNK_BYTES = 1024 * 1024

# A stream that breaks is opened again after a wait that doubles from the first,
# until this many have broken one after the other without a single file done.
MAX_BROKEN_STREAMS = 6
FIRST_WAIT_SECONDS = 0.2
LONGEST_WAIT_SECONDS = 5.0

# A file that was open when the stream broke may be why it broke.
MAX_ATTEMPTS = 3

UNFINISHED = "The upload ended before this file had a result."

# Refusals that pass by themselves; so do connections that break, which are
# UNAVAILABLE and carry no reason.
_PASSING = {"PROFILE_SERVICE_UNAVAILABLE", "SHUTTING_DOWN", "STREAM_IDLE"}

# Results that nobody has taken yet: enough that streams do not wait for a caller
# who looks at each, and few enough to cost nothing.
_RESULTS = 1000


class UploadError(Exception):
    """The upload cannot go on."""


class StreamRefusedError(UploadError):
    """The service refused the stream, and would again.

    Attributes:
        code: the gRPC status code.
        reason: the stable reason, as the contract lists them; empty where the
            status did not come from the service.
        verdicts: why no level has a valid profile, for NO_VALID_PROFILE.
    """

    def __init__(
        self,
        code: grpc.StatusCode,
        reason: str,
        message: str,
        verdicts: tuple[LevelVerdict, ...] = (),
    ) -> None:
        self.code = code
        self.reason = reason
        self.verdicts = verdicts
        super().__init__(f"{reason or code.name}: {message}")


class UnexpectedAnswerError(UploadError):
    """The service answered what the contract does not allow."""


@dataclass(frozen=True, slots=True)
class FileResult:
    """What became of one file: exactly one of receipt, rejection and problem is there.

    Attributes:
        name: of the source.
        path: the output, complete and checked; None unless there is a receipt.
        receipt: what was done to it.
        rejection: why the service rejected it.
        problem: why there is no output although the service did not reject it:
            it could not be read or written, or connections kept breaking.
    """

    name: str
    path: Path | None = None
    receipt: pb.Receipt | None = None
    rejection: pb.Rejection | None = None
    problem: str = ""

    @property
    def complete(self) -> bool:
        """Whether there is an output."""
        return self.receipt is not None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an upload is.

    Attributes:
        files: that have ended, in whatever way.
        bytes_sent: of file contents, those sent again included.
    """

    files: int
    bytes_sent: int


def open_channel(address: str) -> grpc.Channel:
    """Opens a channel with a connection of its own, to HOST:PORT.

    Each connection is served by one worker process of the service: several
    channels can make use of several workers.
    """
    options = [
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.initial_reconnect_backoff_ms", 100),
        # How long an attempt to connect may take: a busy machine needs its time.
        ("grpc.min_reconnect_backoff_ms", 2_000),
        ("grpc.max_reconnect_backoff_ms", 2_000),
    ]
    return grpc.insecure_channel(address, options=options)


class Upload:
    """An upload that is going on; gives the result of each file as it ends.

    Use it as a context manager and iterate over it, both either plainly or with
    `async`. Leaving it early stops the upload; what is not complete then leaves
    nothing behind. The iteration raises UploadError when the upload cannot go on,
    after the results of the files that it had taken up.
    """

    def __init__(
        self,
        channels: Sequence[grpc.Channel],
        target: str,
        sources: Iterable[Source],
        destination: str | Path,
        *,
        keep_names: bool = False,
        progress: Callable[[Progress], None] = lambda _: None,
    ) -> None:
        """Begins to upload.

        Args:
            channels: each carries one stream; one may be given several times.
            target: the resource name of the project or device.
            sources: what to upload; taken from as the streams need more.
            destination: the folder for the output; made if need be.
            keep_names: keeps the relative paths of the sources. Otherwise a file
                gets the name that the service suggests, and a number where that
                is taken; its original name where bytes go through unchanged.
                Nothing is ever overwritten.
            progress: called from the upload's threads, one at a time.

        Raises:
            OSError: the destination cannot be made or read.
            ValueError: there is no channel.
        """
        if not channels:
            raise ValueError("An upload needs at least one channel.")
        self._target = target
        self._destination = Destination(Path(destination))
        self._keep_names = keep_names
        self._work = _Work(sources)
        self._results: queue.Queue[FileResult | None] = queue.Queue(_RESULTS)
        self._stopped = threading.Event()
        self._error: Exception | None = None
        self._progress = progress
        self._progress_lock = threading.Lock()
        self._files = 0
        self._bytes_sent = 0
        self._running = 0
        self._streams = [_Stream(self, channel) for channel in channels]
        self._unstarted = deque(self._streams)
        self._threads: list[threading.Thread] = []
        self._threads_lock = threading.Lock()
        self.start_next_stream()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()
        await asyncio.to_thread(self.close)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> FileResult:
        result = self._next()
        if result is None:
            raise StopIteration
        return result

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> FileResult:
        result = await asyncio.to_thread(self._next)
        if result is None:
            raise StopAsyncIteration
        return result

    def close(self) -> None:
        """Stops what is going on and waits for its end; nothing partial stays."""
        self._stop()
        # None is started after the stop.
        with self._threads_lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join()

    def _next(self) -> FileResult | None:
        result = self._results.get()
        if result is not None:
            return result
        # For whoever asks again, or at the same time.
        self._put(None)
        if self._error is not None:
            raise self._error
        return None

    def _stop(self) -> None:
        self._stopped.set()
        for stream in self._streams:
            stream.cancel()
        # Streams wait for room for their results, and nobody takes any more.
        with suppress(queue.Empty):
            while True:
                self._results.get_nowait()
        self._put(None)

    def _put(self, result: FileResult | None) -> None:
        while True:
            with suppress(queue.Full):
                self._results.put(result, timeout=0.1)
                return
            if self._stopped.is_set():
                return

    def _run(self, stream: _Stream) -> None:
        try:
            stream.run()
        except Exception as error:  # noqa: BLE001 - handed to whoever iterates
            if not self._stopped.is_set():
                self._error = self._error or error
                for other in self._streams:
                    other.cancel()
        finally:
            self.start_next_stream()
            with self._threads_lock:
                self._running -= 1
                last = self._running == 0
            if last:
                # What one stream was to send again when another one failed for good.
                for file in self._work.take_back():
                    self.ended(file.fail(UNFINISHED))
                self._put(None)

    # --- What the streams use -------------------------------------------------------

    @property
    def target(self) -> str:
        """The resource name of the project or device."""
        return self._target

    @property
    def work(self) -> _Work:
        """What is still to be sent."""
        return self._work

    def is_ending(self) -> bool:
        """Whether nothing new is to be begun."""
        return self._stopped.is_set() or self._error is not None

    def start_next_stream(self) -> None:
        """Starts a stream, if there are more.

        One after the other, each when the one before is open: the service then
        knows where that one went, and gives the next connection to another worker.
        """
        with self._threads_lock:
            if self.is_ending() or not self._unstarted:
                return
            thread = threading.Thread(
                target=self._run, args=(self._unstarted.popleft(),), name="deidcascade-upload"
            )
            self._threads.append(thread)
            self._running += 1
            thread.start()

    def wait(self, seconds: float) -> None:
        """Waits, at most until the upload is stopped."""
        self._stopped.wait(seconds)

    def sent(self, size: int) -> None:
        """Notes that bytes of a file were sent."""
        with self._progress_lock:
            self._bytes_sent += size
            self._progress(Progress(self._files, self._bytes_sent))

    def ended(self, result: FileResult) -> None:
        """Passes on the result of a file."""
        with self._progress_lock:
            self._files += 1
            self._progress(Progress(self._files, self._bytes_sent))
        self._put(result)

    def begin_output(self) -> PartialFile:
        """Begins an output file; OutputError."""
        return self._destination.begin()

    def keep(self, partial: PartialFile, name: str, suggested: str | None) -> Path:
        """Gives an output file its name, the suggested one if there is one; OutputError."""
        if self._keep_names or suggested is None:
            return self._destination.keep(partial, name)
        return self._destination.keep_suggested(partial, suggested)


class _File:
    """A file that is being uploaded."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.attempts = 0
        # Its number on the stream that carries it now.
        self.file_id = ""
        # Set by the sending thread before it ends the file.
        self.read_problem = ""

    def fail(self, problem: str) -> FileResult:
        """Returns a result that says why there is no output."""
        return FileResult(self.source.name, problem=problem)


class _Work:
    """The files that are to be sent; shared by the streams."""

    def __init__(self, sources: Iterable[Source]) -> None:
        self._sources = iter(sources)
        self._again: deque[_File] = deque()
        self._lock = threading.Lock()
        # Held while the caller's iterable is asked, which may take its time.
        self._source_lock = threading.Lock()

    def take(self) -> _File | None:
        """Returns the next file, or None when there is none."""
        with self._lock:
            if self._again:
                return self._again.popleft()
        with self._source_lock:
            source = next(self._sources, None)
        return None if source is None else _File(source)

    def take_back(self) -> list[_File]:
        """Returns the files that were to be sent again and were not."""
        with self._lock:
            files = list(self._again)
            self._again.clear()
        return files

    def give_back(self, files: Iterable[_File]) -> None:
        """Takes files back that are to be sent again, first of all."""
        with self._lock:
            self._again.extendleft(reversed(list(files)))


class _Stream:
    """One stream, opened again when it breaks."""

    def __init__(self, upload: Upload, channel: grpc.Channel) -> None:
        self._upload = upload
        # Messages stay bytes: see `wire`.
        self._call: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(METHOD)
        self._lock = threading.Lock()
        self._attempt: _Attempt | None = None

    def run(self) -> None:
        """Sends and receives until nothing is left to send.

        Raises:
            UploadError: the upload cannot go on.
        """
        broken = 0
        wait = FIRST_WAIT_SECONDS
        while not self._upload.is_ending():
            # Nothing is opened for nothing.
            first = self._upload.work.take()
            if first is None:
                return
            attempt = _Attempt(self._upload, first)
            with self._lock:
                self._attempt = attempt
            if self._upload.is_ending():
                attempt.cancel()
            try:
                attempt.run(self._call)
            except grpc.RpcError as error:
                refused = _refusal(error)
                if attempt.progressed:
                    broken, wait = 0, FIRST_WAIT_SECONDS
                broken += 1
                again = (
                    _passes(refused)
                    and broken < MAX_BROKEN_STREAMS
                    and not self._upload.is_ending()
                )
                attempt.settle(again=again)
                if not again:
                    raise refused from None
            except Exception:
                attempt.settle(again=False)
                raise
            else:
                return
            self._upload.wait(wait * random.uniform(0.5, 1.0))  # noqa: S311 - spreads retries
            wait = min(wait * 2, LONGEST_WAIT_SECONDS)

    def cancel(self) -> None:
        """Ends the stream now."""
        with self._lock:
            if self._attempt is not None:
                self._attempt.cancel()


def _refusal(error: grpc.RpcError) -> StreamRefusedError:
    reason, verdicts = read_details(error)
    # What a call raises is the call itself, with its status.
    call = cast("grpc.Call", error)
    return StreamRefusedError(call.code(), reason, call.details() or "The stream broke.", verdicts)


def _passes(refused: StreamRefusedError) -> bool:
    broken = refused.code == grpc.StatusCode.UNAVAILABLE and not refused.reason
    return broken or refused.reason in _PASSING


class _Cancellable(Protocol):
    """What is used of a `grpc.Call` beside its messages."""

    def cancel(self) -> object:
        """Ends the call."""
        ...


class _Attempt:
    """One stream from `open` to its end, however it ends."""

    def __init__(self, upload: Upload, first: _File) -> None:
        self._upload = upload
        self._first: _File | None = first
        self._lock = threading.Lock()
        self._closed = False
        self._call: _Cancellable | None = None
        # Sent, whole or in part, and not yet answered; in the order of sending.
        self._pending: deque[_File] = deque([first])
        self._output: PartialFile | None = None
        self._problem = ""
        self._suggested = ""
        self._opened = False
        self._unchanged = False
        self._sources_error: Exception | None = None
        self.progressed = False

    def cancel(self) -> None:
        """Ends the stream now; nothing more is sent on it."""
        with self._lock:
            self._closed = True
            if self._call is not None:
                self._call.cancel()

    def run(self, method: grpc.StreamStreamMultiCallable[bytes, bytes]) -> None:
        """Sends and receives until nothing is left to send.

        Raises:
            grpc.RpcError: the stream was refused or broke.
            UnexpectedAnswerError: the service does not keep to the contract.
            Exception: what the caller's iterable of sources raised.
        """
        call = method(self._requests())
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
            if self._sources_error is not None:
                raise self._sources_error
            if self._pending:
                raise UnexpectedAnswerError("The stream ended before all files had a result.")
        finally:
            self.cancel()
            self._discard()

    def settle(self, *, again: bool) -> None:
        """Gives back or fails what has no result; the first of it was open."""
        pending = list(self._pending)
        self._pending.clear()
        if pending and self._opened:
            pending[0].attempts += 1
        if not again:
            for file in pending:
                self._upload.ended(file.fail(UNFINISHED))
            return
        for file in pending[:1]:
            if file.attempts >= MAX_ATTEMPTS:
                self._upload.ended(
                    file.fail(f"The connection broke {file.attempts} times at this file.")
                )
                pending = pending[1:]
        self._upload.work.give_back(pending)

    # --- Sending: runs in gRPC's thread -----------------------------------------------

    def _requests(self) -> Iterator[bytes]:
        open_ = pb.OpenStream(target=self._upload.target)
        yield pb.DeidentifyRequest(open=open_).SerializeToString()
        for number in itertools.count():
            try:
                file = self._take()
            except Exception as error:  # noqa: BLE001 - raised in the stream's thread instead
                self._sources_error = error
                return
            if file is None:
                return
            file.file_id = str(number)
            yield from self._file_requests(file)

    def _take(self) -> _File | None:
        with self._lock:
            if self._closed:
                return None
            if self._first is not None:
                first, self._first = self._first, None
                return first
        if self._upload.is_ending():
            return None
        file = self._upload.work.take()
        if file is None or self._add(file):
            return file
        self._upload.work.give_back([file])
        return None

    def _add(self, file: _File) -> bool:
        """Notes a file as sent; False when the stream has ended and is being settled."""
        with self._lock:
            if not self._closed:
                self._pending.append(file)
            return not self._closed

    def _file_requests(self, file: _File) -> Iterator[bytes]:
        source = file.source
        filename = PurePosixPath(source.name).name
        start = pb.FileStart(file_id=file.file_id, filename=filename, size=source.size)
        yield pb.DeidentifyRequest(file=start).SerializeToString()
        try:
            with source.open() as stream:
                while data := stream.read(SEND_CHUNK_BYTES):
                    yield wire.write_request_chunk(data)
                    self._upload.sent(len(data))
        except (OSError, ValueError) as error:
            # The service must be told something: whatever it makes of the part
            # that it got, it is not kept.
            reason = error.strerror if isinstance(error, OSError) else None
            file.read_problem = f"It cannot be read: {reason or type(error).__name__}."
        yield pb.DeidentifyRequest(file_end=pb.FileEnd()).SerializeToString()

    # --- Receiving: runs in the stream's thread -----------------------------------------

    def _on_message(self, message: pb.DeidentifyResponse) -> None:
        kind = message.WhichOneof("message")
        if kind == "file":
            self._on_file(message.file)
        elif kind == "result":
            self._on_result(message.result)
        elif kind == "chunk":
            self._on_chunk(memoryview(message.chunk))
        elif kind == "opened":
            self._opened, self._unchanged = True, message.opened.unchanged
            self._upload.start_next_stream()
        else:
            raise UnexpectedAnswerError("The service sent a message that is not known.")

    def _on_file(self, head: pb.FileOutput) -> None:
        self._check_turn(head.file_id)
        self._problem, self._suggested = "", head.suggested_filename
        self._discard()
        try:
            self._output = self._upload.begin_output()
        except OutputError as error:
            self._problem = str(error)

    def _on_chunk(self, chunk: memoryview) -> None:
        if self._output is None:
            if not self._problem:
                raise UnexpectedAnswerError("The service sent bytes of no file.")
            return
        try:
            self._output.write(chunk)
        except OutputError as error:
            self._problem = str(error)
            self._discard()

    def _on_result(self, answer: pb.FileResult) -> None:
        self._check_turn(answer.file_id)
        with self._lock:
            file = self._pending.popleft()
        self.progressed = True
        try:
            self._upload.ended(self._result(file, answer))
        finally:
            self._discard()
            self._problem = ""

    def _check_turn(self, file_id: str) -> None:
        with self._lock:
            if not self._pending or self._pending[0].file_id != file_id:
                raise UnexpectedAnswerError("The service answered a file out of turn.")

    def _result(self, file: _File, answer: pb.FileResult) -> FileResult:
        name = file.source.name
        if file.read_problem:
            return file.fail(file.read_problem)
        if answer.WhichOneof("result") == "rejection":
            return FileResult(name, rejection=answer.rejection)
        if self._problem:
            return file.fail(self._problem)
        receipt, output = answer.receipt, self._output
        if output is None or answer.WhichOneof("result") != "receipt":
            return file.fail("The service sent a result without an output.")
        if (receipt.bytes_out, receipt.sha256) != (output.size, output.sha256):
            return file.fail("The output does not match its receipt.")
        try:
            # An original name may carry an identity: it is used where bytes go
            # through unchanged, and not because a suggestion is missing.
            suggested = None if self._unchanged else self._suggested
            path = self._upload.keep(output, name, suggested)
        except OutputError as error:
            return file.fail(str(error))
        return FileResult(name, path=path, receipt=receipt)

    def _discard(self) -> None:
        if self._output is not None:
            self._output.discard()
            self._output = None
