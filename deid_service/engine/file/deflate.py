"""Deflated data sets (PS3.5 A.5): inflated for the walk, and deflated again."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import Final

from deid_service.engine.errors import DicomError, Reason
from deid_service.engine.walk.output import Buffer

# A few bytes can inflate to a thousand times as many: they are taken in pieces.
_PIECE: Final = 256 * 1024

# PS3.5 A.5: a NUL byte makes the length even. Some writers leave the checksum and
# the length of RFC 1952 there. What follows is not passed on.
_MAX_PADDING: Final = 8

# RFC 1951 without the header and checksum of RFC 1950.
_RAW: Final = -zlib.MAX_WBITS


def beginning_of(data: bytes, size: int) -> bytes:
    """Returns what deflated data begin with, at most so many bytes; nothing where they do not."""
    try:
        return zlib.decompressobj(_RAW).decompress(data, size)
    except zlib.error:
        return b""


class Inflater:
    """Inflates a data set in pieces of bounded size."""

    def __init__(self) -> None:
        self._inflater = zlib.decompressobj(_RAW)
        self._padding = 0

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Yields what the data inflates to.

        Raises:
            DicomError: it is not deflated data, or goes on after its end.
        """
        if self._has_ended():
            self._check_padding(data)
            return
        while True:
            before = self._inflater.copy()
            try:
                piece = self._inflater.decompress(data, _PIECE)
            except zlib.error:
                yield from _readable(before, data)
                raise DicomError(
                    Reason.MALFORMED, "the deflated data set cannot be inflated"
                ) from None
            if piece:
                yield piece
            data = self._inflater.unconsumed_tail
            if self._has_ended():
                self._check_padding(self._inflater.unused_data)
                return
            if not data and len(piece) < _PIECE:
                # A full piece may have more behind it, for which no data is left.
                return

    def finish(self) -> None:
        """Ends the data.

        Raises:
            DicomError: it ends too early.
        """
        if not self._has_ended():
            raise DicomError(Reason.TRUNCATED, "the file ends before the deflated data set does")

    def _has_ended(self) -> bool:
        return self._inflater.eof

    def _check_padding(self, data: bytes) -> None:
        self._padding += len(data)
        if self._padding > _MAX_PADDING:
            raise DicomError(Reason.MALFORMED, "something follows the deflated data set")


def _readable(inflater: zlib._Decompress, data: bytes) -> Iterator[bytes]:
    """Yields what can be inflated before the place that cannot.

    zlib keeps it to itself where both come in one piece; what an error is about
    must not depend on that.
    """
    for index in range(len(data)):
        try:
            yield inflater.decompress(data[index : index + 1])
        except zlib.error:
            return


class Deflater:
    """Deflates a data set; the result does not depend on how its input is cut."""

    def __init__(self) -> None:
        self._deflater = zlib.compressobj(wbits=_RAW)
        self._pending = bytearray()
        self._written = 0

    def add(self, buffers: Iterable[Buffer]) -> list[Buffer]:
        """Adds to the data set, and returns what is ready."""
        ready: list[Buffer] = []
        for buffer in buffers:
            self._pending += buffer
            # zlib may answer to the cut of its input; so it gets always the same.
            while len(self._pending) >= _PIECE:
                self._take(self._deflater.compress(self._pending[:_PIECE]), ready)
                del self._pending[:_PIECE]
        return ready

    def finish(self) -> list[Buffer]:
        """Ends the data set, and returns the rest."""
        ready: list[Buffer] = []
        self._take(self._deflater.compress(self._pending), ready)
        self._take(self._deflater.flush(), ready)
        if self._written % 2:
            ready.append(b"\0")
        return ready

    def _take(self, deflated: bytes, ready: list[Buffer]) -> None:
        if deflated:
            self._written += len(deflated)
            ready.append(deflated)
