"""What is answered on a stream: a message for each thing that is said, or a batch of them.

A message costs some 100 to 200 microseconds on both sides, whatever is in it, which is
more than all the rest of a small file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from deid_service.contract import wire
from deid_service.serving.digest import NoDigest, Together

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from deid_service.contract.wire import Buffer
    from deid_service.serving.digest import Digest

# What is around a chunk in a message or in a part of a batch, with room to spare.
AROUND_CHUNK = 64

NO_DIGEST = NoDigest()


class Answers(Protocol):
    """Takes what is said of files, in order.

    Attributes:
        gather: how much output is worth being said by itself, in bytes.
    """

    gather: int

    def file(self, output: bytes) -> None:
        """The output of a file begins, as a FileOutput says."""

    def chunk(self, parts: Sequence[Buffer], size: int, digest: Digest | NoDigest) -> None:
        """Some output, not empty, in pieces that do not change any more."""

    def result(self, result: bytes, digest: Digest | NoDigest = NO_DIGEST) -> None:
        """A file has ended.

        Args:
            result: the FileResult as bytes, but for the hex digits of its digest, which end it.
            digest: the digest; of that it hangs how long a result is.
        """

    def take(self, *, done: bool) -> list[bytes]:
        """Returns the messages that are ready; all of them, where the request is done with."""


class Messages:
    """Says each thing in a message of its own."""

    def __init__(self, gather: int, max_chunk: int) -> None:
        """Takes how much output is worth a message, and how much goes into one, in bytes."""
        self.gather = gather
        self._most = max_chunk
        self._ready: list[bytes] = []

    def file(self, output: bytes) -> None:
        """See `Answers`."""
        self._ready.append(wire.field_header(wire.RESPONSE_FILE, len(output)) + output)

    def chunk(self, parts: Sequence[Buffer], size: int, digest: Digest | NoDigest) -> None:
        """See `Answers`."""
        for group, group_size in _split(parts, size, self._most, self._most):
            message, chunk = wire.write_response_chunk(group, group_size)
            digest.take(chunk)
            self._ready.append(message)

    def same(self, message: bytes, chunk: memoryview, digest: Digest | NoDigest) -> bool:
        """Answers a request that is one chunk with that chunk; False where it is too long."""
        if len(chunk) > self._most:
            return False
        digest.take(chunk)
        self._ready.append(wire.response_of(message))
        return True

    def result(self, result: bytes, digest: Digest | NoDigest = NO_DIGEST) -> None:
        """See `Answers`."""
        header = wire.field_header(wire.RESPONSE_RESULT, len(result) + digest.hex_bytes)
        self._ready.append(header + result + digest.hexdigest().encode())

    def take(self, *, done: bool) -> list[bytes]:
        """See `Answers`."""
        del done
        ready, self._ready = self._ready, []
        return ready


class Batches:
    """Says everything in one message, or in a few where it does not fit."""

    gather = 0

    def __init__(self, max_bytes: int) -> None:
        """Takes how long a message may be."""
        self._most = max_bytes - AROUND_CHUNK
        self._ready: list[bytes] = []
        # The parts of the batch so far, as bytes in pieces.
        self._parts: list[Buffer] = []
        self._size = 0
        # The part that is being made.
        self._part: list[Buffer] = []
        self._part_size = 0
        self._has_chunk = False
        self._digests = Together()

    def file(self, output: bytes) -> None:
        """See `Answers`."""
        self._end_part()
        self._add(wire.PART_FILE, len(output), output)

    def chunk(self, parts: Sequence[Buffer], size: int, digest: Digest | NoDigest) -> None:
        """See `Answers`."""
        self._digests.take(digest, parts, size)
        if self._has_chunk:
            self._end_part()
        room = self._most - self._size - self._part_size - AROUND_CHUNK
        for group, group_size in _split(parts, size, max(room, 0), self._most - AROUND_CHUNK):
            if self._has_chunk or group_size > room:
                self._end_part()
                self._end_batch()
            self._add(wire.PART_CHUNK, group_size, *group)
            self._has_chunk = True

    def result(self, result: bytes, digest: Digest | NoDigest = NO_DIGEST) -> None:
        """See `Answers`."""
        size = len(result) + digest.hex_bytes
        if self._size + self._part_size + size + AROUND_CHUNK > self._most:
            self._end_part()
            self._end_batch()
        self._add(wire.PART_RESULT, size, result, self._digests.hex_of(digest))
        self._end_part()

    def take(self, *, done: bool) -> list[bytes]:
        """See `Answers`."""
        if done:
            self._end_part()
            self._end_batch()
        self._digests.settle()
        ready, self._ready = self._ready, []
        return ready

    def _add(self, key: int, size: int, *pieces: Buffer) -> None:
        header = wire.field_header(key, size)
        self._part += (header, *pieces)
        self._part_size += len(header) + size

    def _end_part(self) -> None:
        if self._part:
            header = wire.field_header(wire.BATCH_PARTS, self._part_size)
            self._parts.append(header)
            self._parts += self._part
            self._size += len(header) + self._part_size
            self._part = []
            self._part_size = 0
            self._has_chunk = False

    def _end_batch(self) -> None:
        if self._parts:
            self._digests.settle()
            header = wire.field_header(wire.RESPONSE_BATCH, self._size)
            self._ready.append(b"".join((header, *self._parts)))
            self._parts = []
            self._size = 0


def _split(
    parts: Sequence[Buffer], size: int, first: int, most: int
) -> Iterator[tuple[Sequence[Buffer], int]]:
    """Cuts output into groups of pieces: the first of at most so many bytes, and the others."""
    if 0 < size <= first:
        yield parts, size
        return
    group: list[Buffer] = []
    room, whole = (first, first) if first else (most, most)
    for part in parts:
        view = memoryview(part)
        while len(view) > room:
            yield [*group, view[:room]], whole
            view = view[room:]
            group, room, whole = [], most, most
        group.append(view)
        room -= len(view)
    if room < whole:
        yield group, whole - room
