"""What the streams of an upload share: what is to be sent, and where results go."""

from __future__ import annotations

import itertools
import queue
import secrets
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from deid_service.client.archives import expand
from deid_service.client.ledger import applied_by
from deid_service.client.results import FileResult, Outcome, Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from deidcascade.v1 import deid_service_pb2 as pb

    from deid_service.client.keeping import Keeper
    from deid_service.client.outputs import PartialFile
    from deid_service.client.sources import Source

UNFINISHED = "The upload ended before this file had a result."
UNBEGUN = "The upload ended before this file was sent."

# Results that nobody has taken yet: enough that streams do not wait for a caller
# who looks at each, and few enough to cost nothing.
_RESULTS = 1000


class SentFile:
    """A file that is being uploaded."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.attempts = 0
        # Its number on the stream that carries it now.
        self.file_id = ""
        # Set by the sending thread before it ends the file.
        self.read_problem = ""
        # Set by the receiving thread: what is still to be sent would be passed over.
        self.answered = False

    def without_output(self, problem: str, outcome: Outcome) -> FileResult:
        """Returns a result of a file that was not sent, or has no answer."""
        return FileResult(self.source.name, outcome, problem=problem, source=self.source)

    def fail(self, problem: str, reason: str = "NOT_DONE") -> FileResult:
        """Returns a result that says why there is no output, also in a stable word."""
        return replace(self.without_output(problem, Outcome.FAILED), reason=reason)


class Job:
    """What the streams of an upload share.

    Attributes:
        target: the resource name of the project or device.
        request_id: ties all streams together in the logs of the services.
        results: of files; None at the end.
        error: what ended the upload.
        opened: whether a stream has been opened.
        last_answer: when a file last had a result, by the monotonic clock.
    """

    def __init__(
        self,
        target: str,
        sources: Iterable[Source],
        keeper: Keeper,
        progress: Callable[[Progress], None],
    ) -> None:
        self.target = target
        self.request_id = secrets.token_hex(8)
        self.results: queue.Queue[FileResult | None] = queue.Queue(_RESULTS)
        self.error: Exception | None = None
        self.opened = False
        self.last_answer = time.monotonic()
        self._keeper = keeper
        self._progress = progress
        self._progress_lock = threading.Lock()
        self._files = 0
        self._bytes_sent = 0
        self._sources = iter(sources)
        self._expanded: Iterator[Source] = iter(())
        self._again: deque[SentFile] = deque()
        self._lock = threading.Lock()
        # Held while the caller's iterable and archives are read, which may take its time.
        self._source_lock = threading.Lock()
        self._stopped = threading.Event()
        self._abandoned = threading.Event()

    # --- Whether to go on ---------------------------------------------------------------

    def is_ending(self) -> bool:
        """Whether nothing new is to be begun."""
        return self._stopped.is_set() or self.error is not None

    def is_stopped(self) -> bool:
        """Whether the caller has stopped it."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """Begins nothing new; results go on to be handed out."""
        self._stopped.set()

    def abandon(self) -> None:
        """Stops, and hands out no more results: nobody takes them."""
        self._stopped.set()
        self._abandoned.set()
        with suppress(queue.Empty):
            while True:
                self.results.get_nowait()

    def fail(self, error: Exception) -> None:
        """Notes what ends the upload; the first one counts."""
        with self._lock:
            self.error = self.error or error

    def wait(self, seconds: float) -> None:
        """Waits, at most until the upload is stopped."""
        self._stopped.wait(seconds)

    # --- What is to be sent -------------------------------------------------------------

    def take(self) -> SentFile | None:
        """Returns the next file, or None when there is none; what is none is reported."""
        while not self.is_ending():
            with self._lock:
                if self._again:
                    return self._again.popleft()
            with self._source_lock:
                source = self._next()
            if source is None:
                return None
            if source.problem or source.skipped:
                file = SentFile(source)
                self.ended(
                    file.fail(source.problem, "NOT_READ")
                    if source.problem
                    else file.without_output(source.skipped, Outcome.SKIPPED)
                )
            else:
                return SentFile(source)
        return None

    def _next(self) -> Source | None:
        while (found := next(self._expanded, None)) is None:
            source = next(self._sources, None)
            if source is None:
                return None
            self._expanded = expand(source)
        return found

    def give_back(self, files: Iterable[SentFile]) -> None:
        """Takes files back that are to be sent again, first of all."""
        with self._lock:
            self._again.extendleft(reversed(list(files)))

    def end(self) -> None:
        """Reports what was not sent, when the last stream has ended."""
        for file in self._again:
            self.ended(file.without_output(UNFINISHED, Outcome.UNSENT))
        if self.error is not None and not self._stopped.is_set():
            try:
                for source in itertools.chain(self._expanded, self._sources):
                    self.ended(SentFile(source).without_output(UNBEGUN, Outcome.UNSENT))
            except Exception as error:  # noqa: BLE001 -- the caller's iterable may raise anything
                self.fail(error)
        self.put(None)

    # --- What has come of it ------------------------------------------------------------

    def finished_before(self, file: SentFile, opened: pb.StreamOpened) -> bool:
        """Tells whether an earlier run has done a file, and reports it if so."""
        earlier = self._keeper.finished(file.source, applied_by(opened))
        if earlier is None or not earlier.current:
            return False
        source = file.source
        self.ended(
            FileResult(source.name, Outcome.EARLIER, earlier.path, earlier.receipt, source=source)
        )
        return True

    def remembers(self) -> bool:
        """Whether what earlier runs have done counts."""
        return self._keeper.ledger is not None

    def sent(self, size: int) -> None:
        """Notes that bytes of a file were sent."""
        with self._progress_lock:
            self._bytes_sent += size
            self._progress(Progress(self._files, self._bytes_sent))

    def ended(self, result: FileResult) -> None:
        """Passes on the result of a file."""
        self.last_answer = time.monotonic()
        with self._progress_lock:
            self._files += 1
            self._progress(Progress(self._files, self._bytes_sent))
        self.put(result)

    def put(self, result: FileResult | None) -> None:
        """Hands out a result, when there is room."""
        while not self._abandoned.is_set():
            with suppress(queue.Full):
                self.results.put(result, timeout=0.1)
                return
        with suppress(queue.Full):
            self.results.put_nowait(None)

    def begin_output(self) -> PartialFile:
        """Begins an output file; OutputError."""
        return self._keeper.destination.begin()

    def keep(
        self, partial: PartialFile, source: Source, suggested: str | None, receipt: pb.Receipt
    ) -> Path:
        """Gives an output file its name, the suggested one if there is one; OutputError."""
        return Path(self._keeper.keep(partial, source, suggested, receipt))
