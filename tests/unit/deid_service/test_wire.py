"""Messages that are read and written without protobuf mean the same as with it."""

from __future__ import annotations

import pytest
from deidcascade.v1 import deid_service_pb2 as pb
from hypothesis import given
from hypothesis import strategies as st

from deid_service.contract import wire
from deid_service.contract.errors import ProtocolError

SIZES = st.sampled_from([0, 1, 127, 128, 129, 16_383, 16_384, 2_097_151, 2_097_152])


@given(SIZES)
def test_a_chunk_is_read_as_protobuf_writes_it(size: int) -> None:
    """A message with one chunk is its bytes, whatever its length."""
    data = bytes(size)
    message = pb.DeidentifyRequest(chunk=data).SerializeToString()

    chunk = wire.read_chunk(message)

    assert chunk is not None
    assert bytes(chunk) == data


@given(SIZES)
def test_a_chunk_is_written_as_protobuf_writes_it(size: int) -> None:
    """Requests and responses are the very bytes that protobuf makes."""
    data = bytes(size)

    message, chunk = wire.write_response_chunk([data[: size // 2], data[size // 2 :]], size)

    assert message == pb.DeidentifyResponse(chunk=data).SerializeToString()
    assert bytes(chunk) == data
    assert wire.write_request_chunk(data) == pb.DeidentifyRequest(chunk=data).SerializeToString()


@given(SIZES)
def test_a_request_with_a_chunk_is_the_response_with_it(size: int) -> None:
    """The field has the same number in both messages."""
    data = bytes(size)

    message = wire.response_of(pb.DeidentifyRequest(chunk=data).SerializeToString())

    assert message == pb.DeidentifyResponse(chunk=data).SerializeToString()


@given(st.binary(max_size=40) | st.binary(max_size=40).map(lambda tail: b"\x1a" + tail))
def test_any_bytes_are_what_protobuf_says(message: bytes) -> None:
    """What is taken for a chunk is one for protobuf too, and the rest is left to it."""
    chunk = wire.read_chunk(message)
    if chunk is not None:
        assert pb.DeidentifyRequest.FromString(message).chunk == bytes(chunk)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        pb.DeidentifyRequest(file_end=pb.FileEnd()).SerializeToString(),
        pb.DeidentifyRequest(chunk=b"abc").SerializeToString()[:-1],
        pb.DeidentifyRequest(chunk=b"a").SerializeToString() * 2,
        b"\x1a",
        b"\x1a\xff\xff\xff\xff\xff\xff",
    ],
    ids=["empty", "another message", "cut off", "two chunks", "no length", "endless length"],
)
def test_what_is_not_one_chunk_is_not_taken_for_one(message: bytes) -> None:
    """Everything else goes through protobuf."""
    assert wire.read_chunk(message) is None


def test_a_request_that_is_none_is_a_protocol_error() -> None:
    """Garbage is named, and its bytes are not repeated."""
    with pytest.raises(ProtocolError, match=r"^A message is not a DeidentifyRequest\.$"):
        wire.read_request(b"\x1a\xff garbage")
