"""Parts of files on their way from the thread that reads them to the one that sends them.

A message costs more than a small file, so parts that are there at the same time go into
one. A slow source, a scanner or a pipe, is not kept waiting for others: what has waited
for a moment goes by itself.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from deidcascade.v1 import deid_service_pb2 as pb

from deid_service.contract import wire

if TYPE_CHECKING:
    from collections.abc import Iterator

# What goes into one message, in bytes: more is carried no faster.
BATCH_BYTES = 1024 * 1024

# How long a part waits for others, in seconds: as long as some ten messages take.
LINGER_SECONDS = 0.002

# How much is read ahead of what is sent, in bytes.
_AHEAD_BYTES = 4 * 1024 * 1024

# A part costs about this much besides its bytes; keeps empty files from piling up.
_PART_BYTES = 256

# Bytes in the middle of a large file go as they are: a message that is nothing but a
# chunk is passed on without a copy.
_LARGE_BYTES = 512 * 1024


class Parts:
    """A queue of parts, bounded by their bytes, for one reader and one sender."""

    def __init__(self) -> None:
        """Begins empty and open."""
        self._parts: deque[pb.RequestPart] = deque()
        self._size = 0
        self._ended = False
        self._closed = False
        self._changed = threading.Condition()

    def put(self, part: pb.RequestPart) -> None:
        """Adds a part, when there is room; none once it is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._size < _AHEAD_BYTES or self._closed)
            if not self._closed:
                self._parts.append(part)
                self._size += _size_of(part)
                self._changed.notify_all()

    def end(self) -> None:
        """Says that no part follows."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def close(self) -> None:
        """Ends both sides now."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def take(self) -> list[pb.RequestPart]:
        """Returns what goes into the next message; nothing at the end."""
        taken: list[pb.RequestPart] = []
        room = BATCH_BYTES
        deadline = None
        with self._changed:
            while True:
                left = None if deadline is None else deadline - time.monotonic()
                self._changed.wait_for(lambda: self._parts or self._ended or self._closed, left)
                if self._closed:
                    return []
                # At the end of the parts, or of the time that they have.
                if not self._parts:
                    return taken
                size = _size_of(self._parts[0])
                if taken and size > room:
                    return taken
                taken.append(self._parts.popleft())
                room -= size
                self._size -= size
                self._changed.notify_all()
                deadline = deadline or time.monotonic() + LINGER_SECONDS


def messages_of(parts: list[pb.RequestPart], *, batches: bool) -> Iterator[bytes]:
    """Returns the messages that carry some parts: one, or three for each file.

    Args:
        parts: what goes into the message.
        batches: whether the service takes batches.
    """
    if batches and not (len(parts) == 1 and _is_middle(parts[0])):
        yield pb.DeidentifyRequest(batch=pb.RequestBatch(parts=parts)).SerializeToString()
        return
    for part in parts:
        if part.HasField("file"):
            yield pb.DeidentifyRequest(file=part.file).SerializeToString()
        if part.chunk:
            yield wire.write_request_chunk(part.chunk)
        if part.HasField("file_end"):
            yield pb.DeidentifyRequest(file_end=part.file_end).SerializeToString()


def _is_middle(part: pb.RequestPart) -> bool:
    return not (
        part.HasField("file") or part.HasField("file_end") or len(part.chunk) < _LARGE_BYTES
    )


def _size_of(part: pb.RequestPart) -> int:
    return part.ByteSize() + _PART_BYTES
