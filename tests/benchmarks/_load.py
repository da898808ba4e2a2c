"""A client that sends files as fast as it can, and prints what that took.

Usage: python -m tests.benchmarks._load OPTIONS

OPTIONS are the fields of `Load` in JSON. It prints the seconds that it took and
the files that were answered with a receipt, as JSON. Messages are made before and
stay bytes, so that the client costs as little as a client can.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import secrets
import struct
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
from deidcascade.v1 import deid_service_pb2 as pb
from pydicom.data import get_testdata_file

from tests.benchmarks._files import slices
from tests.support.environment import AS_ADMIN

METHOD = "/deidcascade.v1.DeidService/Deidentify"

# As the upload client sends them, and as the contract advises.
CHUNK_BYTES = 1024 * 1024

# The PatientID of the slices, and what comes before one of 16 bytes.
_PATIENT_ID = re.compile(rb"\x10\x00\x20\x00LO\x04\x001CT1")
_PATIENT_START = b"\x10\x00\x20\x00LO\x10\x00"

_FILE_END = pb.DeidentifyRequest(file_end=pb.FileEnd()).SerializeToString()

# The first byte of a response that is a chunk: field number 3, wire type 2.
_CHUNK_KEY = pb.DeidentifyResponse.CHUNK_FIELD_NUMBER << 3 | 2


@dataclass(frozen=True)
class Load:
    """What is sent.

    Attributes:
        address: of the service.
        target: of the upload.
        size: of each file, in bytes.
        files: on each stream.
        streams: opened by each channel, one after the other, or all at once if
            there is a time.
        channels: each with a connection of its own.
        seconds: until this has passed streams send files; 0: as many as `files` says.
        batch_bytes: how much of small files goes into one message; 0: each file is
            three messages.
        series: files of a series, which differ as those of a scanner do.
        digest: whether receipts are to have the SHA-256 of the output.
        new_patients: whether each file of the series is of another patient, whom nobody
            has seen before.
    """

    address: str
    target: str
    size: int
    files: int = 1
    streams: int = 1
    channels: int = 1
    seconds: float = 0.0
    batch_bytes: int = 0
    series: int = 0
    digest: bool = True
    new_patients: bool = False


def open_message(target: str, *, digest: bool = True) -> bytes:
    """Returns the message that opens a stream."""
    wanted = pb.DIGEST_UNSPECIFIED if digest else pb.DIGEST_NONE
    opening = pb.OpenStream(target=target, digest=wanted)
    return pb.DeidentifyRequest(open=opening).SerializeToString()


def file_messages(size: int) -> list[bytes]:
    """Returns the messages of a CT image that has pixel data to about a size."""
    small = Path(str(get_testdata_file("CT_small.dcm"))).read_bytes()
    head = small[: small.index(b"\xe0\x7f\x10\x00OW")]
    length = size - len(head) - 12
    head += struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, length)
    start = pb.FileStart(file_id="file", filename="image.dcm", size=size)
    middle = pb.DeidentifyRequest(chunk=bytes(CHUNK_BYTES)).SerializeToString()
    first = head + bytes(min(length, CHUNK_BYTES - len(head)))
    count, rest = divmod(size - len(first), CHUNK_BYTES)
    return [
        pb.DeidentifyRequest(file=start).SerializeToString(),
        pb.DeidentifyRequest(chunk=first).SerializeToString(),
        *([middle] * count),
        *([pb.DeidentifyRequest(chunk=bytes(rest)).SerializeToString()] if rest else []),
        _FILE_END,
    ]


def series_messages(load: Load) -> list[tuple[int, list[bytes]]]:
    """Returns the messages of a series of files of a size, and how many files they hold."""
    files = []
    unseen = secrets.token_hex(4)
    for number, small in enumerate(slices(load.series)):
        head = small[: small.index(b"\xe0\x7f\x10\x00OW")]
        if load.new_patients:
            head = _PATIENT_ID.sub(_PATIENT_START + f"{unseen}{number:08}".encode("ascii"), head)
        length = load.size - len(head) - 12
        pixels = struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, length) + bytes(length)
        files.append(head + pixels)
    if not load.batch_bytes:
        return [(1, _three_messages(data)) for data in files]
    count = max(1, load.batch_bytes // load.size)
    return [
        (len(some), [_batch_message(some)])
        for some in (files[at : at + count] for at in range(0, len(files), count))
    ]


def _three_messages(data: bytes) -> list[bytes]:
    start = pb.FileStart(file_id="file", filename="image.dcm", size=len(data))
    return [
        pb.DeidentifyRequest(file=start).SerializeToString(),
        pb.DeidentifyRequest(chunk=data).SerializeToString(),
        _FILE_END,
    ]


def _batch_message(files: list[bytes]) -> bytes:
    parts = [
        pb.RequestPart(
            file=pb.FileStart(file_id="file", filename="image.dcm", size=len(data)),
            chunk=data,
            file_end=pb.FileEnd(),
        )
        for data in files
    ]
    return pb.DeidentifyRequest(batch=pb.RequestBatch(parts=parts)).SerializeToString()


async def receipts(call: grpc.aio.StreamStreamCall[bytes, bytes]) -> AsyncIterator[None]:
    """Reads to the end of a stream; gives something for each receipt."""
    while isinstance(message := await call.read(), bytes):
        if message[0] != _CHUNK_KEY:
            answer = pb.DeidentifyResponse.FromString(message)
            kind = answer.WhichOneof("message")
            for result in (
                [answer.result]
                if kind == "result"
                else [part.result for part in answer.batch.parts if part.HasField("result")]
            ):
                if not result.HasField("receipt"):
                    raise RuntimeError("A file of the benchmark was rejected.")
                yield


async def main(load: Load) -> None:
    """Sends, and prints what it took."""
    loads = series_messages(load) if load.series else [(1, file_messages(load.size))]
    open_ = open_message(load.target, digest=load.digest)
    channels = [
        grpc.aio.insecure_channel(load.address, options=[("grpc.use_local_subchannel_pool", 1)])
        for _ in range(load.channels)
    ]
    for channel in channels:
        await channel.channel_ready()
    began = time.perf_counter()
    ends = began + load.seconds

    def messages() -> Iterator[bytes]:
        yield open_
        sent = 0
        for count, file in itertools.cycle(loads):
            yield from file
            sent += count
            if time.perf_counter() >= ends if load.seconds else sent >= load.files:
                break

    async def stream(channel: grpc.aio.Channel) -> int:
        call: grpc.aio.StreamStreamCall[bytes, bytes] = channel.stream_stream(METHOD)(
            metadata=AS_ADMIN
        )

        async def send() -> None:
            for message in messages():
                await call.write(message)
            await call.done_writing()

        sending = asyncio.create_task(send())
        answered = 0
        async for _ in receipts(call):
            answered += 1
        await sending
        return answered

    async def streams(channel: grpc.aio.Channel) -> int:
        if load.seconds:
            return sum(await asyncio.gather(*(stream(channel) for _ in range(load.streams))))
        return sum([await stream(channel) for _ in range(load.streams)])

    answered = sum(await asyncio.gather(*map(streams, channels)))
    seconds = time.perf_counter() - began
    for channel in channels:
        await channel.close()
    print(json.dumps({"seconds": seconds, "files": answered}))


if __name__ == "__main__":
    asyncio.run(main(Load(**json.loads(sys.argv[1]))))
