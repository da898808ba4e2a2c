"""Callers that hold streams open and hardly use them.

Usage: python -m tests.benchmarks._slow OPTIONS

OPTIONS is JSON: `address`, `target`, `idle` and `slow`. Idle streams have begun a
file and send nothing more. Slow ones send without end and read one byte a second
from their connection, all of its own. It prints `open` when all of them are, and
runs until its standard input ends.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys

import grpc

from tests.benchmarks._load import CHUNK_BYTES, METHOD, file_messages, open_message
from tests.support.environment import AS_ADMIN

# What a slow caller reads at its normal speed: the stream is open then, and its
# first output is on the way.
QUICK_BYTES = 512 * 1024

SECONDS_PER_BYTE = 1.0

# Streams that share a connection, below the limit that a server may set.
STREAMS_PER_CHANNEL = 50

Call = grpc.aio.StreamStreamCall[bytes, bytes]


class SlowLine:
    """Passes connections on, and what comes back at one byte a second."""

    def __init__(self, address: str) -> None:
        self._address = address
        self.address = ""
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Begins to listen."""
        server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = self._address.rpartition(":")
        # The little that is read ahead does not matter beside what the kernel takes.
        far_reader, far_writer = await asyncio.open_connection(host, int(port), limit=1024)
        self._tasks = self._tasks | {
            asyncio.create_task(self._forward(reader, far_writer)),
            asyncio.create_task(self._back(far_reader, writer)),
        }

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK_BYTES):
            writer.write(data)
            await writer.drain()

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        quick = QUICK_BYTES
        while data := await reader.read(quick or 1):
            quick -= min(quick, len(data))
            writer.write(data)
            if not quick:
                await asyncio.sleep(SECONDS_PER_BYTE)


async def idle_stream(channel: grpc.aio.Channel, target: str) -> Call:
    """Opens a stream, begins a file, and leaves it at that."""
    call: Call = channel.stream_stream(METHOD)(metadata=AS_ADMIN)
    await call.write(open_message(target))
    for message in file_messages(CHUNK_BYTES)[:2]:
        await call.write(message)
    await call.read()
    return call


async def slow_stream(channel: grpc.aio.Channel, target: str) -> asyncio.Task[None]:
    """Opens a stream that sends without end, and reads all that its connection gives."""
    call: Call = channel.stream_stream(METHOD)(metadata=AS_ADMIN)
    await call.write(open_message(target))
    await call.read()

    async def send() -> None:
        while True:
            for message in file_messages(CHUNK_BYTES):
                await call.write(message)

    async def converse() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(send())
            while isinstance(await call.read(), bytes):
                pass

    return asyncio.create_task(converse())


async def main(address: str, target: str, idle: int, slow: int) -> None:
    """Opens the streams and keeps them open."""
    line = SlowLine(address)
    await line.open()
    options = [("grpc.use_local_subchannel_pool", 1)]
    held: list[object] = []
    for number in range(idle):
        if number % STREAMS_PER_CHANNEL == 0:
            channel = grpc.aio.insecure_channel(address, options=options)
        held.append(await idle_stream(channel, target))
    for _ in range(slow):
        channel = grpc.aio.insecure_channel(line.address, options=options)
        held.append((channel, await slow_stream(channel, target)))
    print("open", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    # Nothing is to be ended in order: the streams are to break.
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main(**json.loads(sys.argv[1])))
