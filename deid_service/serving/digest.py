"""The SHA-256 of what is sent: half of the CPU time of a stream of large chunks.

Large chunks are hashed beside the event loop, by one thread for the whole process.
It has one thing at a time: what comes while it is busy is hashed in place, so nobody
ever waits for the chunks of others, and no more than one is kept alive for it. Of the files
of a batch, it has one while the event loop has another.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

from deid_service.contract import wire

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deid_service.contract.wire import Buffer

# Handing over takes some 50 to 100 microseconds of CPU time in all, as much as hashing
# 100 to 200 KiB.
ASIDE_BYTES = 768 * 1024

# Where others of a batch are hashed meanwhile, the time on the wall is what it is for.
TOGETHER_BYTES = 256 * 1024

# A SHA-256 in hex digits.
_HEX_BYTES = 64


class _Job:
    """Bytes that a thread is to take into a digest, as long as nobody takes them back."""

    def __init__(self, digest: hashlib._Hash, parts: list[Buffer]) -> None:
        self._digest = digest
        # Whoever pops it does it.
        self._todo = [parts]
        self.future: Future[None] | None = None

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do of it."""
        return self.future is not None and self.future.done()

    def run(self) -> None:
        """Does it, unless it was taken back."""
        with suppress(IndexError):
            _update(self._digest, self._todo.pop())

    def take_back(self) -> list[Buffer]:
        """Returns the bytes if it has not begun; else waits until it is done."""
        with suppress(IndexError):
            return self._todo.pop()
        assert self.future is not None  # noqa: S101 -- the thread has it
        self.future.result()
        return []


class _Aside:
    """A thread that does one thing at a time."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="digest")
        self._last: Future[None] | None = None

    def begin(self, digest: hashlib._Hash, parts: list[Buffer]) -> _Job | None:
        """Begins to take bytes into a digest; None where it has something to do."""
        if self._last is not None and not self._last.done():
            return None
        job = _Job(digest, parts)
        job.future = self._last = self._thread.submit(job.run)
        return job


def _update(digest: hashlib._Hash, parts: Sequence[Buffer]) -> None:
    for part in parts:
        digest.update(part)


_ASIDE = _Aside()


class NoDigest:
    """Stands for a digest that nobody asked for."""

    # What stands in a receipt before its hex digits, and how many they are.
    header = b""
    hex_bytes = 0
    is_behind = False

    def take(self, chunk: memoryview) -> None:
        """Takes the next bytes."""

    def take_now(self, parts: Sequence[Buffer]) -> None:
        """Takes the next bytes, in pieces."""

    def catch_up(self) -> None:
        """Has nothing left to do."""

    def hexdigest(self) -> str:
        """Returns the empty text."""
        return ""


class Digest:
    """A SHA-256 of chunks in their order. For one thread, that of the event loop."""

    header = wire.field_header(wire.RECEIPT_SHA256, _HEX_BYTES)
    hex_bytes = _HEX_BYTES

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._waiting: list[Buffer] = []
        # What the thread has to do.
        self._aside: _Job | None = None

    @property
    def is_behind(self) -> bool:
        """Whether something is not taken into it yet."""
        return bool(self._waiting) or self._aside is not None

    def take(self, chunk: memoryview) -> None:
        """Takes the next bytes, which are not to change any more."""
        self._waiting.append(chunk)
        if len(self._waiting) == 1 and (self._aside is None or self._aside.is_done):
            self._hand_over()

    def take_now(self, parts: Sequence[Buffer]) -> None:
        """Takes the next bytes, in pieces, behind all that waits."""
        if self._waiting or self._aside is not None:
            self.settle()
        _update(self._digest, parts)

    def take_later(self, parts: Sequence[Buffer]) -> None:
        """Takes the next bytes, in pieces that are not to change any more, when told to."""
        self._waiting += parts

    def take_aside(self) -> bool:
        """Has the thread take all that waits; False where it has something to do."""
        self._await_thread()
        return self._give(len(self._waiting))

    def catch_up(self) -> None:
        """Takes what is left to do into the digest, or has it on its way."""
        while self._waiting:
            if not self._hand_over():
                self._digest.update(self._waiting.pop(0))

    def settle(self) -> None:
        """Takes all that is left to do into the digest."""
        self._await_thread()
        _update(self._digest, self._waiting)
        self._waiting = []

    def hexdigest(self) -> str:
        """Returns the digest of all that was taken, as lower case hex digits."""
        self.settle()
        return self._digest.hexdigest()

    def _hand_over(self) -> bool:
        """Gives the first that waits to the thread, if that is worth it and possible."""
        self._await_thread()
        return len(self._waiting[0]) >= ASIDE_BYTES and self._give(1)

    def _give(self, count: int) -> bool:
        """Gives the first that wait to the thread; False where it has something to do."""
        self._aside = _ASIDE.begin(self._digest, self._waiting[:count])
        if self._aside is None:
            return False
        del self._waiting[:count]
        return True

    def _await_thread(self) -> None:
        """Waits until the thread is done with what it has of this digest."""
        if self._aside is not None:
            # Where it has not begun, no core was free for it: the event loop has one.
            self._waiting[:0] = self._aside.take_back()
            self._aside = None


class Together:
    """Digests of files that are answered together: large ones wait for each other.

    While the thread has one of them, the event loop has the next.
    """

    def __init__(self) -> None:
        # With bytes that wait, in the order of the files.
        self._behind: list[Digest] = []
        # Where hex digits are still to be put.
        self._owed: list[tuple[Digest, bytearray]] = []

    def take(self, digest: Digest | NoDigest, parts: Sequence[Buffer], size: int) -> None:
        """Takes the next bytes of a file, in pieces that are not to change any more."""
        behind = self._behind
        is_last = bool(behind) and behind[-1] is digest
        if isinstance(digest, NoDigest) or not (is_last or size >= TOGETHER_BYTES):
            digest.take_now(parts)
            return
        digest.take_later(parts)
        if is_last:
            return
        behind.append(digest)
        if len(behind) > 1 and behind[0].take_aside():
            del behind[0]

    def hex_of(self, digest: Digest | NoDigest) -> bytes | bytearray:
        """Returns the hex digits of a file that has ended, or where they are put by `settle`."""
        if not digest.is_behind:
            return digest.hexdigest().encode()
        assert isinstance(digest, Digest)  # noqa: S101 -- no other one is ever behind
        place = bytearray(digest.hex_bytes)
        self._owed.append((digest, place))
        return place

    def settle(self) -> None:
        """Takes all that waits, and puts hex digits where they are owed."""
        behind = self._behind
        while behind:
            if len(behind) > 1 and behind[0].take_aside():
                del behind[0]
            else:
                behind.pop().settle()
        for digest, place in self._owed:
            place[:] = digest.hexdigest().encode()
        self._owed.clear()
