"""The SHA-256 of what is sent: half of the CPU time of a stream of large chunks.

Large chunks are hashed beside the event loop, by one thread for the whole process.
It has one chunk at a time: what comes while it is busy is hashed in place, so nobody
ever waits for the chunks of others, and no more than one is kept alive for it.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deid_service.contract.wire import Buffer

# Handing over takes some 50 to 100 microseconds of CPU time in all, as much as hashing
# 100 to 200 KiB.
ASIDE_BYTES = 768 * 1024


class _Aside:
    """A thread that does one thing at a time."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="digest")
        self._last: Future[None] | None = None

    def update(self, digest: hashlib._Hash, chunk: memoryview) -> Future[None] | None:
        """Begins to take a chunk into a digest; None where it has something to do."""
        if self._last is not None and not self._last.done():
            return None
        self._last = self._thread.submit(digest.update, chunk)
        return self._last


_ASIDE = _Aside()


class NoDigest:
    """Stands for a digest that nobody asked for."""

    def take(self, chunk: memoryview) -> None:
        """Takes the next bytes."""

    def take_parts(self, parts: Sequence[Buffer], size: int) -> None:
        """Takes the next bytes, in pieces."""

    def catch_up(self) -> None:
        """Has nothing left to do."""

    def hexdigest(self) -> str:
        """Returns the empty text."""
        return ""


class Digest:
    """A SHA-256 of chunks in their order. For one thread, that of the event loop."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._aside: Future[None] | None = None
        self._waiting: list[memoryview] = []

    def take(self, chunk: memoryview) -> None:
        """Takes the next bytes, which are not to change any more."""
        self._waiting.append(chunk)
        if len(self._waiting) == 1 and (self._aside is None or self._aside.done()):
            self._hand_over()

    def take_parts(self, parts: Sequence[Buffer], size: int) -> None:
        """Takes the next bytes, in pieces that are not to change any more."""
        if size < ASIDE_BYTES and not self._waiting and self._aside is None:
            for part in parts:
                self._digest.update(part)
        else:
            for part in parts:
                self.take(memoryview(part))

    def catch_up(self) -> None:
        """Takes what is left to do into the digest, or has it on its way."""
        while self._waiting:
            if not self._hand_over():
                self._digest.update(self._waiting.pop(0))

    def hexdigest(self) -> str:
        """Returns the digest of all that was taken, as lower case hex digits."""
        self.catch_up()
        self._settle()
        return self._digest.hexdigest()

    def _hand_over(self) -> bool:
        """Gives the first that waits to the thread, if that is worth it and possible."""
        self._settle()
        if len(self._waiting[0]) >= ASIDE_BYTES:
            self._aside = _ASIDE.update(self._digest, self._waiting[0])
        if self._aside is None:
            return False
        del self._waiting[0]
        return True

    def _settle(self) -> None:
        """Waits until the thread is done with what it has of this digest."""
        if self._aside is not None:
            self._aside.result()
            self._aside = None
