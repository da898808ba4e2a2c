"""Messages that are read and written without protobuf mean the same as with it."""

from __future__ import annotations

import pytest
from deidcascade.v1 import deid_service_pb2 as pb
from hypothesis import given
from hypothesis import strategies as st

from deid_service.contract import wire
from deid_service.contract.errors import ProtocolError

BATCH = pb.DeidentifyRequest.BATCH_FIELD_NUMBER << 3 | 2


def _field(key: int, value: bytes) -> bytes:
    return bytes((key, len(value))) + value


# Fields of a part in any order, as often as they come; two batches are one.
FIELDS = st.lists(
    st.lists(
        st.builds(_field, st.sampled_from([0x0A, 0x12, 0x1A, 0x22]), st.binary(max_size=5)),
        max_size=3,
    ).map(lambda fields: _field(BATCH, _field(0x0A, b"".join(fields)))),
    max_size=2,
)

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


PARTS = st.lists(
    st.builds(
        pb.RequestPart,
        file=st.none() | st.builds(pb.FileStart, file_id=st.text(max_size=3)),
        chunk=st.sampled_from([b"", b"a", bytes(127), bytes(128), bytes(20_000)]),
        file_end=st.none() | st.just(pb.FileEnd()),
    ),
    max_size=4,
)


@given(PARTS, st.data())
def test_a_batch_is_read_as_protobuf_reads_it(
    parts: list[pb.RequestPart], data: st.DataObject
) -> None:
    """Each part has the same beginning, bytes and end, also where a byte is another."""
    batch = pb.DeidentifyRequest(batch=pb.RequestBatch(parts=parts))
    message = bytearray(batch.SerializeToString())
    if data.draw(st.booleans()):
        message[data.draw(st.integers(0, min(len(message) - 1, 40)))] = data.draw(
            st.integers(0, 255)
        )

    assert _parts_of(bytes(message)) == _parts_by_protobuf(bytes(message))


@given(st.binary(max_size=40).map(lambda tail: b"\x2a" + tail) | FIELDS.map(b"".join))
def test_bytes_like_those_of_a_batch_are_what_protobuf_says(message: bytes) -> None:
    """Fields that stand twice, in any order, or that nobody knows, mean what they do there."""
    assert _parts_of(message) == _parts_by_protobuf(message)


def test_the_bytes_of_a_batch_are_not_copied() -> None:
    """The chunk of a part is a slice of the message that it came in."""
    message = pb.DeidentifyRequest(
        batch=pb.RequestBatch(parts=[pb.RequestPart(chunk=b"abc"), pb.RequestPart(chunk=b"d")])
    ).SerializeToString()

    parts = wire.read_parts(message) or []

    assert [part.chunk.obj is message for part in parts] == [True, True]


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


Part = tuple[pb.FileStart | None, bytes, bool]


def _parts_of(message: bytes) -> list[Part] | str | None:
    try:
        parts = wire.read_parts(message)
    except ProtocolError as error:
        return str(error)
    return None if parts is None else [(part.file, bytes(part.chunk), part.ends) for part in parts]


def _parts_by_protobuf(message: bytes) -> list[Part] | str | None:
    if not message.startswith(bytes((BATCH,))):
        return None
    try:
        request = wire.read_request(message)
    except ProtocolError as error:
        return str(error)
    if request.WhichOneof("message") != "batch":
        return None
    return [
        (
            part.file if part.HasField("file") else None,
            part.chunk,
            part.HasField("file_end"),
        )
        for part in request.batch.parts
    ]
