"""Which streams are open, and whether new ones may come.

A stream is ended from outside in one way only: its timer runs out, early if need
be. That covers a caller that sends or reads nothing, one who may not upload any more, and
the drain.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from deid_service.contract.errors import (
    DeidServiceError,
    ShuttingDownError,
    StreamIdleError,
    TooManyStreamsError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

# When the drain begins, a stream between files may be about to end or to begin
# another file: what is already on its way decides, and this is how long it has.
LAST_WORD_SECONDS = 0.2

# The timer is set anew when this part of the idle time has passed, not at every
# message: a busy stream has thousands a second.
_TIMER_STEPS = 16


class OpenStream:
    """A stream and its timer."""

    def __init__(self, timer: asyncio.Timeout, idle_seconds: float) -> None:
        self._timer = timer
        self._idle = idle_seconds
        self._loop = asyncio.get_running_loop()
        self._set_at = self._loop.time()
        self._closing = False
        self.refusal: DeidServiceError | None = None
        self.between_files = True

    def touch(self, *, between_files: bool) -> None:
        """Notes that a message came and was answered.

        Raises:
            ShuttingDownError: it began a file, and no new files are taken any more.
        """
        if self._closing and self.between_files and not between_files:
            raise ShuttingDownError
        self.between_files = between_files
        now = self._loop.time()
        if self._closing and between_files:
            self._timer.reschedule(now + LAST_WORD_SECONDS)
        elif now - self._set_at > self._idle / _TIMER_STEPS:
            self._set_at = now
            self._timer.reschedule(now + self._idle)

    def close(self) -> None:
        """Ends the stream when its open file has ended, or soon if it has none."""
        self._closing = True
        if self.between_files:
            self._timer.reschedule(self._loop.time() + LAST_WORD_SECONDS)

    def refuse(self, error: DeidServiceError) -> None:
        """Ends the stream now, with an error."""
        self.refusal = error
        self.abort()

    def abort(self) -> None:
        """Ends the stream now."""
        self._timer.reschedule(self._loop.time())


class StreamGate:
    """Counts streams, refuses what is too much, and empties itself for the end."""

    def __init__(
        self,
        max_streams: int,
        idle_seconds: float,
        on_count: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Begins open and empty.

        Args:
            max_streams: how many may be open at once.
            idle_seconds: how long one may be open without a message.
            on_count: called with the number of open streams when it changes.
        """
        self._max_streams = max_streams
        self._idle_seconds = idle_seconds
        self._on_count = on_count
        self._streams: set[OpenStream] = set()
        self._leaving = 0
        self._draining = False
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def count(self) -> int:
        """How many streams are open."""
        return len(self._streams)

    @asynccontextmanager
    async def admit(self) -> AsyncIterator[OpenStream]:
        """Holds a place for a stream.

        Raises:
            ShuttingDownError: the service is draining, at once or later.
            TooManyStreamsError: there is no place.
            StreamIdleError: later: the stream was not touched for too long.
            DeidServiceError: later: what it was refused with.
        """
        if self._draining:
            raise ShuttingDownError
        if len(self._streams) + self._leaving >= self._max_streams:
            raise TooManyStreamsError
        stream = None
        try:
            async with asyncio.timeout(self._idle_seconds) as timer:
                stream = OpenStream(timer, self._idle_seconds)
                self._add(stream)
                try:
                    yield stream
                finally:
                    self._remove(stream)
        except TimeoutError:
            if stream is not None and stream.refusal is not None:
                raise stream.refusal from None
            raise (ShuttingDownError if self._draining else StreamIdleError) from None

    @contextmanager
    def leaving(self) -> Iterator[None]:
        """Holds the place of a stream that has ended until its caller has been told.

        Its status comes behind all that was written. With a caller that reads nothing,
        that is when the connection ends, and until then an answer is kept.
        """
        self._leaving += 1
        try:
            yield
        finally:
            self._leaving -= 1

    def _add(self, stream: OpenStream) -> None:
        self._streams.add(stream)
        self._empty.clear()
        self._on_count(len(self._streams))

    def _remove(self, stream: OpenStream) -> None:
        self._streams.discard(stream)
        if not self._streams:
            self._empty.set()
        self._on_count(len(self._streams))

    async def drain(self, seconds: float) -> None:
        """Takes nothing new, and waits for open files; after the time ends them."""
        self._draining = True
        for stream in self._streams:
            stream.close()
        try:
            async with asyncio.timeout(seconds):
                await self._empty.wait()
        except TimeoutError:
            for stream in self._streams:
                stream.abort()
            await self._empty.wait()
