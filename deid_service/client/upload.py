"""Uploads many files over one stream per channel."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Self

from deid_service.client.job import Job
from deid_service.client.keeping import Keeper
from deid_service.client.ledger import Ledger
from deid_service.client.outputs import Destination
from deid_service.client.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import grpc

    from deid_service.client.results import FileResult, Progress
    from deid_service.client.sources import Source


class Upload:
    """An upload that is going on; gives the result of each file as it ends.

    Use it as a context manager and iterate over it, both either plainly or with
    `async`. Leaving it early stops the upload; what is not complete then leaves
    nothing behind. The iteration raises UploadError when the upload cannot go on,
    after every file has had a result.
    """

    def __init__(
        self,
        channels: Sequence[grpc.Channel],
        target: str,
        sources: Iterable[Source],
        destination: str | Path,
        *,
        keep_names: bool = False,
        resume: bool = False,
        again: bool = False,
        progress: Callable[[Progress], None] = lambda _: None,
    ) -> None:
        """Begins to upload.

        Args:
            channels: each carries one stream; one may be given several times.
            target: the resource name of the project or device.
            sources: what to upload; taken from as the streams need more. Of an
                archive that is a file, the members are uploaded.
            destination: the folder for the output; made if need be.
            keep_names: keeps the relative paths of the sources. Otherwise a file
                gets the name that the service suggests, and a number where that
                is taken; its original name where bytes go through unchanged.
                Nothing is ever overwritten.
            resume: remembers in the destination what is done, and does not send
                again what an earlier upload with the same profile has done of the
                same files. What has changed since, or is treated by another profile
                now, takes the place of what it came to before.
            again: with `resume`, sends everything again.
            progress: called from the upload's threads, one at a time.

        Raises:
            OSError: the destination cannot be made or read.
            LedgerError: what it remembers cannot be used.
            ValueError: there is no channel.
        """
        if not channels:
            raise ValueError("An upload needs at least one channel.")
        into = Destination(Path(destination))
        self._ledger = Ledger(into.folder, target, again=again) if resume else None
        keeper = Keeper(into, self._ledger, keep_names=keep_names)
        self._job = Job(target, sources, keeper, progress)
        self._running = 0
        self._streams = [Stream(self._job, channel, self._start_stream) for channel in channels]
        self._unstarted = deque(self._streams)
        self._threads: list[threading.Thread] = []
        self._threads_lock = threading.Lock()
        self._start_stream()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._job.abandon()
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

    def stop(self) -> None:
        """Sends nothing more; the iteration ends after the results of what was under way.

        May be called from any thread.
        """
        self._job.stop()
        for stream in self._streams:
            stream.cancel()

    def close(self) -> None:
        """Stops what is going on and waits for its end; nothing partial stays."""
        self._job.abandon()
        self._job.put(None)
        self.stop()
        # None is started after the stop.
        with self._threads_lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join()
        if self._ledger is not None:
            self._ledger.close()

    def _next(self) -> FileResult | None:
        result = self._job.results.get()
        if result is not None:
            return result
        # For whoever asks again, or at the same time.
        self._job.put(None)
        if self._job.error is not None:
            raise self._job.error
        return None

    def _start_stream(self) -> None:
        """Starts the next stream, if there are more.

        One after the other, each when the one before is open: the service then
        knows where that one went, and gives the next connection to another worker.
        """
        with self._threads_lock:
            if self._job.is_ending() or not self._unstarted:
                return
            thread = threading.Thread(
                target=self._run,
                args=(self._unstarted.popleft(),),
                name="deidcascade-upload",
                # What ends a program ends its uploads, too.
                daemon=True,
            )
            self._threads.append(thread)
            self._running += 1
            thread.start()

    def _run(self, stream: Stream) -> None:
        try:
            stream.run()
        except Exception as error:  # noqa: BLE001 - handed to whoever iterates
            if not self._job.is_stopped():
                self._job.fail(error)
                for other in self._streams:
                    other.cancel()
        finally:
            self._start_stream()
            with self._threads_lock:
                self._running -= 1
                last = self._running == 0
            if last:
                self._job.end()
