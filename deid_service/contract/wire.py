"""The messages of a stream as bytes, without a copy where it counts.

Nearly all that passes is `chunk`. Protobuf would copy its bytes once into the
message and once out of it, on the way in and again on the way out. A message
that is one chunk and nothing else is one tag, one length and the bytes: reading
it is a slice, and writing it is one join of the parts that the engine returns.
A batch of parts is read in place as well, so that their chunks are slices of it, and what
is said of each file is written by its fields: of a small file, that is as much as the rest.
Every other message goes through protobuf, and so does a batch in which anything stands that
a writer of this contract need not write.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from deidcascade.v1 import deid_service_pb2 as pb
from google.protobuf.message import DecodeError

from deid_service.contract.errors import ProtocolError
from profile_service.serving.fields import varint

if TYPE_CHECKING:
    from collections.abc import Iterable

Buffer = bytes | bytearray | memoryview

# Of FileStart.filename: a name, not a payload.
MAX_FILENAME_BYTES = 1024

# Protocol Buffers encoding: a field's key is its number and its wire type, which
# is 2 for a length and as many bytes. Field numbers below 16 make a one-byte key.
_LENGTH_DELIMITED = 2
_REQUEST_CHUNK = pb.DeidentifyRequest.CHUNK_FIELD_NUMBER << 3 | _LENGTH_DELIMITED
_RESPONSE_CHUNK = pb.DeidentifyResponse.CHUNK_FIELD_NUMBER << 3 | _LENGTH_DELIMITED

_REQUEST_BATCH = pb.DeidentifyRequest.BATCH_FIELD_NUMBER << 3 | _LENGTH_DELIMITED
_REQUEST_PARTS = pb.RequestBatch.PARTS_FIELD_NUMBER << 3 | _LENGTH_DELIMITED
_PART_FILE = pb.RequestPart.FILE_FIELD_NUMBER << 3 | _LENGTH_DELIMITED
_PART_CHUNK = pb.RequestPart.CHUNK_FIELD_NUMBER << 3 | _LENGTH_DELIMITED
_PART_FILE_END = pb.RequestPart.FILE_END_FIELD_NUMBER << 3 | _LENGTH_DELIMITED

# Fields of what is said of each file. A number has the wire type 0, and stands where the
# length of others does.
RECEIPT_BYTES_IN = pb.Receipt.BYTES_IN_FIELD_NUMBER << 3
RECEIPT_BYTES_OUT = pb.Receipt.BYTES_OUT_FIELD_NUMBER << 3
RECEIPT_SHA256 = pb.Receipt.SHA256_FIELD_NUMBER << 3 | _LENGTH_DELIMITED
OUTPUT_FILE_ID = pb.FileOutput.FILE_ID_FIELD_NUMBER << 3 | _LENGTH_DELIMITED
OUTPUT_NAME = pb.FileOutput.SUGGESTED_FILENAME_FIELD_NUMBER << 3 | _LENGTH_DELIMITED
RESULT_FILE_ID = pb.FileResult.FILE_ID_FIELD_NUMBER << 3 | _LENGTH_DELIMITED
RESULT_RECEIPT = pb.FileResult.RECEIPT_FIELD_NUMBER << 3 | _LENGTH_DELIMITED
RESPONSE_FILE = pb.DeidentifyResponse.FILE_FIELD_NUMBER << 3 | _LENGTH_DELIMITED
RESPONSE_RESULT = pb.DeidentifyResponse.RESULT_FIELD_NUMBER << 3 | _LENGTH_DELIMITED

# Fields of the answer to a batch, which is put together from its pieces.
RESPONSE_BATCH = pb.DeidentifyResponse.BATCH_FIELD_NUMBER << 3 | _LENGTH_DELIMITED
BATCH_PARTS = pb.ResponseBatch.PARTS_FIELD_NUMBER << 3 | _LENGTH_DELIMITED
PART_FILE = pb.ResponsePart.FILE_FIELD_NUMBER << 3 | _LENGTH_DELIMITED
PART_CHUNK = pb.ResponsePart.CHUNK_FIELD_NUMBER << 3 | _LENGTH_DELIMITED
PART_RESULT = pb.ResponsePart.RESULT_FIELD_NUMBER << 3 | _LENGTH_DELIMITED

# A length is a varint: seven bits a byte, lowest first. Five bytes hold more
# than any message that gRPC accepts.
_MAX_LENGTH_BYTES = 5


class _UnusualError(Exception):
    """What is to be read is nothing that need be written: protobuf says what it means."""


class RequestPart(NamedTuple):
    """A part of a batch.

    Attributes:
        file: begins a file, where it is there.
        chunk: the next bytes of the file, which may be none.
        ends: whether the file ends.
        within: the bytes that the chunk is a slice of.
        at: where in them it begins.
    """

    file: pb.FileStart | None
    chunk: memoryview
    ends: bool
    within: bytes
    at: int


_NO_BYTES = memoryview(b"")


def read_chunk(message: bytes) -> memoryview | None:
    """Returns the bytes of a request that is one chunk and nothing else, or None."""
    return _read_field(message, _REQUEST_CHUNK)


def read_response_chunk(message: bytes) -> memoryview | None:
    """Returns the bytes of a response that is one chunk and nothing else, or None."""
    return _read_field(message, _RESPONSE_CHUNK)


def _read_field(message: bytes, key: int) -> memoryview | None:
    if not message or message[0] != key:
        return None
    try:
        start, end = _read_length(message, 1)
    except (IndexError, _UnusualError):
        return None
    return memoryview(message)[start:] if end == len(message) else None


def _read_length(message: bytes, at: int) -> tuple[int, int]:
    """Returns where the bytes of a field begin and end whose length stands at a place.

    Raises:
        IndexError: the message ends before the length does.
        _UnusualError: it is longer than any of a message that gRPC accepts.
    """
    byte = message[at]
    if byte < 0x80:
        return at + 1, at + 1 + byte
    length = byte & 0x7F
    for shift in range(7, 7 * _MAX_LENGTH_BYTES, 7):
        at += 1
        byte = message[at]
        length |= (byte & 0x7F) << shift
        if byte < 0x80:
            return at + 1, at + 1 + length
    raise _UnusualError


def read_parts(message: bytes) -> list[RequestPart] | None:
    """Returns the parts of a request that is a batch and nothing else, or None.

    Raises:
        ProtocolError: it is a batch whose parts cannot be read.
    """
    if not message or message[0] != _REQUEST_BATCH:
        return None
    try:
        return _read_parts(message)
    except (IndexError, DecodeError, _UnusualError):
        request = read_request(message)
        if request.WhichOneof("message") != "batch":
            return None
        return [
            _part_of(
                part.file if part.HasField("file") else None,
                part.chunk,
                ends=part.HasField("file_end"),
            )
            for part in request.batch.parts
        ]


def read_as_parts(message: bytes) -> list[RequestPart]:
    """Returns what a request says of files, as parts of a batch would say it.

    Raises:
        ProtocolError: it is not a request, or says something else.
    """
    chunk = read_chunk(message)
    if chunk is not None:
        return [RequestPart(None, chunk, ends=False, within=message, at=len(message) - len(chunk))]
    parts = read_parts(message)
    if parts is not None:
        return parts
    request = read_request(message)
    kind = request.WhichOneof("message")
    if kind == "file":
        return [_part_of(request.file, b"", ends=False)]
    if kind == "chunk":
        return [_part_of(None, request.chunk, ends=False)]
    if kind == "file_end":
        return [_part_of(None, b"", ends=True)]
    raise ProtocolError("A message holds nothing that is said of files.")


def _part_of(file: pb.FileStart | None, chunk: bytes, *, ends: bool) -> RequestPart:
    return RequestPart(file, memoryview(chunk), ends, chunk, 0)


def _read_parts(message: bytes) -> list[RequestPart]:
    at, end = _read_length(message, 1)
    if end != len(message):
        raise _UnusualError
    view = memoryview(message)
    parts = []
    while at < end:
        if message[at] != _REQUEST_PARTS:
            raise _UnusualError
        at, part_end = _read_length(message, at + 1)
        if part_end > end:
            raise _UnusualError
        parts.append(_read_part(message, view, at, part_end))
        at = part_end
    return parts


def _read_part(message: bytes, view: memoryview, at: int, end: int) -> RequestPart:
    file, chunk, start, ends = None, _NO_BYTES, 0, False
    last = 0
    while at < end:
        key = message[at]
        at, field_end = _read_length(message, at + 1)
        if key <= last or field_end > end:
            raise _UnusualError
        if key == _PART_CHUNK:
            chunk, start = view[at:field_end], at
        elif key == _PART_FILE:
            file = pb.FileStart.FromString(message[at:field_end])
        elif key == _PART_FILE_END and at == field_end:
            ends = True
        else:
            raise _UnusualError
        at, last = field_end, key
    return RequestPart(file, chunk, ends, message, start)


def read_request(message: bytes) -> pb.DeidentifyRequest:
    """Returns a request.

    Raises:
        ProtocolError: the bytes are not a request.
    """
    try:
        return pb.DeidentifyRequest.FromString(message)
    except DecodeError:
        raise ProtocolError("A message is not a DeidentifyRequest.") from None


def read_preview_request(message: bytes) -> pb.PreviewProfileRequest:
    """Returns a request of a preview.

    Raises:
        ProtocolError: the bytes are not one.
    """
    try:
        return pb.PreviewProfileRequest.FromString(message)
    except DecodeError:
        raise ProtocolError("A message is not a PreviewProfileRequest.") from None


def response_of(request: bytes) -> bytes:
    """Returns the response with the chunk of a request that is one chunk and nothing else.

    It is the request: the field has one number in both messages.
    """
    return request


def write_response_chunk(parts: Iterable[Buffer], size: int) -> tuple[bytes, memoryview]:
    """Returns a response with one chunk, and the chunk in it.

    Args:
        parts: the bytes of the chunk in pieces.
        size: how many bytes they are together.
    """
    return _write_field(_RESPONSE_CHUNK, parts, size)


def write_request_chunk(data: Buffer) -> bytes:
    """Returns a request with one chunk."""
    return _write_field(_REQUEST_CHUNK, (data,), len(data))[0]


# The files of a series are as long as each other, and so is most of what is around them.
@lru_cache(maxsize=1024)
def field_header(key: int, size: int) -> bytes:
    """Returns what stands before the bytes of a field: its key and how many they are."""
    return bytes((key,)) + varint(size)


def number_field(key: int, number: int) -> bytes:
    """Returns a field that is a number, not negative; nothing for 0, as that says the same."""
    return field_header(key, number) if number else b""


def bytes_field(key: int, data: bytes) -> bytes:
    """Returns a field that is a text in UTF-8, or bytes; nothing for none, as above."""
    return field_header(key, len(data)) + data if data else b""


def _write_field(key: int, parts: Iterable[Buffer], size: int) -> tuple[bytes, memoryview]:
    header = field_header(key, size)
    message = b"".join((header, *parts))
    return message, memoryview(message)[len(header) :]
