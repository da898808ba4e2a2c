"""Media directories (DICOMDIR, PS3.3 F.3): records that point to each other by byte offsets.

A change of length anywhere in a directory moves the records behind it, so the
offsets are written anew once all of the output is there. Nothing else in DICOM
points to byte offsets of the file.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Final

from deid_service.engine.encoding.headers import (
    DELIMITER_GROUP,
    HEADER,
    ITEM,
    LONG_HEADER,
    UNDEFINED_LENGTH,
    Encoding,
)
from deid_service.engine.encoding.skim import skim_sequence
from deid_service.engine.errors import DicomError, Reason

MEDIA_DIRECTORY: Final = "1.2.840.10008.1.3.10"

# A directory is always called that (PS3.10 8.6).
DIRECTORY_NAME: Final = "DICOMDIR"

_RECORDS: Final = 0x00041220

# PS3.3 F.3.2.2: the first and the last record, the next one, the first of the
# level below, and the record of a file that several records share.
_TOP_OFFSETS: Final = frozenset({0x00041200, 0x00041202})
_RECORD_OFFSETS: Final = frozenset({0x00041400, 0x00041420, 0x00041504})

_MAX_LEVELS: Final = 64

# What is read in one step: some thousands of elements, in a few milliseconds.
_BYTES_OF_STEP: Final = 32 * 1024


def repoint(
    before: bytes, base: int, after: bytes, start: int, encoding: Encoding
) -> Iterator[bytes | None]:
    """Makes the offsets of a changed directory point to the records again.

    Args:
        before: the data set as it came.
        base: where it began in its file.
        after: the file as it is now, with the old offsets.
        start: where the data set begins in it.
        encoding: of the data set.

    Yields:
        None after each of its steps, and then `after` with new offsets.

    Raises:
        DicomError: an offset points to no record.
    """
    old, new = _Directory(before, encoding), _Directory(after, encoding)
    yield from old.read(0)
    yield from new.read(start)
    moved = {
        base + record: position for record, position in zip(old.records, new.records, strict=False)
    }
    yield None
    written = bytearray(after)
    for tag, position in new.offsets:
        offset = encoding.long(after, position)[0]
        if not offset:
            continue
        if offset not in moved:
            # PS3.3 F.3.2.2: without records there is nothing to point to.
            if new.records:
                raise DicomError(
                    Reason.MALFORMED, "an offset of the directory points to no record", tag=tag
                )
            moved[offset] = 0
        written[position : position + 4] = encoding.long_bytes(moved[offset])
    yield bytes(written)


def check_records(data: bytes, encoding: Encoding) -> Iterator[None]:
    """Checks, in steps, that the records of a directory fit together.

    Args:
        data: its data set.
        encoding: of the data set.

    Raises:
        DicomError: they do not.
    """
    return _Directory(data, encoding).read(0)


class _Directory:
    """Where the records and the offsets of a directory stand.

    Attributes:
        records: the position of each record's item.
        offsets: tag and position of each value that is an offset.
    """

    def __init__(self, data: bytes, encoding: Encoding) -> None:
        self.records: list[int] = []
        self.offsets: list[tuple[int, int]] = []
        self._data = data
        self._encoding = encoding

    def read(self, start: int) -> Iterator[None]:
        """Reads it, in steps.

        Args:
            start: where the data set begins.
        """
        yield from self._read_elements(start, len(self._data), _TOP_OFFSETS)

    def _read_elements(
        self, position: int, end: int, offset_tags: frozenset[int]
    ) -> Generator[None, None, int]:
        """Reads elements up to an end or a delimiter, and returns where they end."""
        encoding = self._encoding
        pause = position + _BYTES_OF_STEP
        while position < end:
            if position > pause:
                pause = position + _BYTES_OF_STEP
                yield
            self._check(position + HEADER <= end)
            group, element, code, length = encoding.quad(self._data, position)
            tag = group << 16 | element
            if group == DELIMITER_GROUP:
                return position + HEADER
            header = HEADER
            if code not in encoding.short_codes:
                header = LONG_HEADER if encoding.explicit else HEADER
                self._check(position + header <= end)
                length = encoding.long(self._data, position + header - 4)[0]
            start = position + header
            self._check(length == UNDEFINED_LENGTH or start + length <= end)
            if tag in offset_tags and length == 4:
                self.offsets.append((tag, start))
            if tag == _RECORDS:
                stop = end if length == UNDEFINED_LENGTH else start + length
                position = yield from self._read_records(start, stop)
            elif length == UNDEFINED_LENGTH:
                position = skim_sequence(self._data, start, encoding, _MAX_LEVELS)
                self._check(0 < position <= end)
            else:
                position = start + length
        return position

    def _read_records(self, position: int, end: int) -> Generator[None, None, int]:
        encoding = self._encoding
        pause = position + _BYTES_OF_STEP
        while position < end:
            if position > pause:
                pause = position + _BYTES_OF_STEP
                yield
            self._check(position + HEADER <= end)
            group, element, length = encoding.item(self._data, position)
            if group << 16 | element != ITEM:
                return position + HEADER
            self.records.append(position)
            start = position + HEADER
            stop = end if length == UNDEFINED_LENGTH else start + length
            self._check(stop <= end)
            position = yield from self._read_elements(start, stop, _RECORD_OFFSETS)
        return position

    def _check(self, fits: bool) -> None:
        if not fits:
            raise DicomError(
                Reason.MALFORMED, "the records of the directory do not fit together", tag=_RECORDS
            )
