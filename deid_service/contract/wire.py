"""The messages of a stream as bytes, without a copy where it counts.

Nearly all that passes is `chunk`. Protobuf would copy its bytes once into the
message and once out of it, on the way in and again on the way out. A message
that is one chunk and nothing else is one tag, one length and the bytes: reading
it is a slice, and writing it is one join of the parts that the engine returns.
Every other message goes through protobuf.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deidcascade.v1 import deid_service_pb2 as pb
from google.protobuf.message import DecodeError

from deid_service.contract.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterable

Buffer = bytes | bytearray | memoryview

# Protocol Buffers encoding: a field's key is its number and its wire type, which
# is 2 for a length and as many bytes. Field numbers below 16 make a one-byte key.
_LENGTH_DELIMITED = 2
_REQUEST_CHUNK = pb.DeidentifyRequest.CHUNK_FIELD_NUMBER << 3 | _LENGTH_DELIMITED
_RESPONSE_CHUNK = pb.DeidentifyResponse.CHUNK_FIELD_NUMBER << 3 | _LENGTH_DELIMITED

RESULT_RECEIPT = pb.FileResult.RECEIPT_FIELD_NUMBER << 3 | _LENGTH_DELIMITED
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


def read_chunk(message: bytes) -> memoryview | None:
    """Returns the bytes of a request that is one chunk and nothing else, or None."""
    return _read_field(message, _REQUEST_CHUNK)


def read_response_chunk(message: bytes) -> memoryview | None:
    """Returns the bytes of a response that is one chunk and nothing else, or None."""
    return _read_field(message, _RESPONSE_CHUNK)


def _read_field(message: bytes, key: int) -> memoryview | None:
    if not message or message[0] != key:
        return None
    length = 0
    for index, byte in enumerate(message[1 : 1 + _MAX_LENGTH_BYTES]):
        length |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            start = index + 2
            return memoryview(message)[start:] if start + length == len(message) else None
    return None


def read_request(message: bytes) -> pb.DeidentifyRequest:
    """Returns a request.

    Raises:
        ProtocolError: the bytes are not a request.
    """
    try:
        return pb.DeidentifyRequest.FromString(message)
    except DecodeError:
        raise ProtocolError("A message is not a DeidentifyRequest.") from None


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


def field_header(key: int, size: int) -> bytes:
    """Returns what stands before the bytes of a field: its key and how many they are."""
    header = bytearray((key,))
    while size > 0x7F:
        header.append(size & 0x7F | 0x80)
        size >>= 7
    header.append(size)
    return bytes(header)


def _write_field(key: int, parts: Iterable[Buffer], size: int) -> tuple[bytes, memoryview]:
    header = field_header(key, size)
    message = b"".join((header, *parts))
    return message, memoryview(message)[len(header) :]
