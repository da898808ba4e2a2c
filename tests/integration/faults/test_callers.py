"""Callers that vanish, stop, send garbage or have no room: they harm nobody but themselves."""

from __future__ import annotations

import json
import random
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import grpc
import pytest
from deidcascade.v1 import deid_service_pb2 as pb

from deid_service.client import PARTIAL_SUFFIX, FileResult, Outcome, Source, Upload
from tests.integration.faults.files import (
    LARGE_BYTES,
    assert_all_or_nothing,
    assert_nothing_identified,
    identified_file,
)
from tests.support.callers import channel as open_a_channel
from tests.support.callers import open_channel
from tests.support.deid_service import (
    TARGET,
    Caller,
    chunk,
    opened,
    start,
    status_of,
    whole_file,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.faults.system import System
    from tests.support.processes import ServiceProcess

PATIENCE_SECONDS = 30.0
SHORT_IDLE_SECONDS = "1"

NAMES = ["0-large", "1-small", "2-large", "3-small"]
# The same garbage in each run.
DRAW = random.Random(1)  # noqa: S311 - no secret

METHOD = "/deidcascade.v1.DeidService/Deidentify"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with large and small files."""
    folder = tmp_path_factory.mktemp("files")
    for number, name in enumerate(NAMES):
        size = LARGE_BYTES if "large" in name else 32 * 1024
        (folder / name).write_bytes(identified_file(number, size))
    return folder


@pytest.fixture(scope="module")
def impatient(shared_system: System) -> ServiceProcess:
    """A DeidService that soon ends streams on which nothing happens."""
    return shared_system.start_deid_service("--idle-seconds", SHORT_IDLE_SECONDS)


class ClientProcess:
    """An upload in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        assert process.stdin is not None
        assert process.stdout is not None
        self._stdin: IO[str] = process.stdin
        self._stdout: IO[str] = process.stdout

    def wait_until_held(self, out: Path) -> None:
        """Waits until its first file is in its middle, and what was sent of it came back."""
        assert self._stdout.readline() == "held\n"
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not any(path.stat().st_size for path in out.glob(f"*{PARTIAL_SUFFIX}")):
            assert time.monotonic() < deadline

    def signal(self, number: signal.Signals) -> None:
        """Sends it a signal."""
        self._process.send_signal(number)

    def go_on(self) -> None:
        """Lets its first file go on."""
        self._stdin.write("\n")
        self._stdin.flush()

    def results(self) -> list[FileResult]:
        """Waits for its end, and returns what it said."""
        lines = [json.loads(line) for line in self._stdout]
        assert self._process.wait(PATIENCE_SECONDS) == 0
        return [
            FileResult(
                line["name"],
                Outcome[line["outcome"]],
                path=line["path"] and Path(line["path"]),
                receipt=line["sha256"] and pb.Receipt(sha256=line["sha256"]),
                problem=line["problem"],
            )
            for line in lines
        ]


@contextmanager
def client(
    service: ServiceProcess, files: Path, out: Path, **options: int
) -> Iterator[ClientProcess]:
    """Runs an upload in a process of its own; kills it if it still runs at the end."""
    given = {"address": service.address, "files": str(files), "out": str(out), **options}
    with subprocess.Popen(
        [sys.executable, "-m", "tests.integration.faults.client", json.dumps(given)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield ClientProcess(process)
        finally:
            process.kill()


def assert_works(service: ServiceProcess, folder: Path) -> None:
    """Checks that the service takes an upload."""
    channel = open_channel(service.address)
    with Upload([channel], TARGET, [Source.of_bytes("one", identified_file(1))], folder) as upload:
        results = assert_all_or_nothing(list(upload), folder, ["one"])
    channel.close()
    assert results["one"].complete


def test_a_client_that_vanishes(system: System, files: Path, tmp_path: Path) -> None:
    """Its stream ends, what it left has no identity, and goes with the next upload."""
    service = system.deid_service
    out = tmp_path / "out"
    cancelled = len(service.found("event=stream .*code=CANCELLED"))
    with client(service, files, out, hold=1) as vanishing:
        vanishing.wait_until_held(out)
        vanishing.signal(signal.SIGKILL)

        service.wait_for("event=stream .*code=CANCELLED", times=cancelled + 1)
    (left,) = out.iterdir()
    assert left.name.endswith(PARTIAL_SUFFIX)
    assert_nothing_identified(left.read_bytes())
    with client(service, files, out) as second:
        results = assert_all_or_nothing(second.results(), out, NAMES)
    assert all(result.complete for result in results.values())


def test_a_client_that_sends_nothing(impatient: ServiceProcess, tmp_path: Path) -> None:
    """It is told that it was idle, before `open`, between files and in a file; others go on."""
    beginnings = [[], [opened()], [opened(), start(), chunk(identified_file(1)[:20_000])]]
    with open_a_channel(impatient.address) as channel:
        callers = [Caller(channel, *messages) for messages in beginnings]
        assert_works(impatient, tmp_path)
        for caller in callers:
            answers: list[bytes] = []

            def read(caller: Caller = caller, answers: list[bytes] = answers) -> None:
                answers.extend(answer.SerializeToString() for answer in caller.call)

            assert status_of(read) == ("RESOURCE_EXHAUSTED", "STREAM_IDLE")
            assert_nothing_identified(b"".join(answers))


def test_a_reader_that_stops(impatient: ServiceProcess, files: Path, tmp_path: Path) -> None:
    """A client that stands still loses its stream to the limit, and nothing when it wakes up."""
    idle = len(impatient.found("reason=STREAM_IDLE"))
    out = tmp_path / "out"
    with client(impatient, files, out, hold=1) as stopped:
        stopped.wait_until_held(out)
        stopped.signal(signal.SIGSTOP)
        assert_works(impatient, tmp_path / "other")
        impatient.wait_for("reason=STREAM_IDLE", times=idle + 1)

        stopped.signal(signal.SIGCONT)
        stopped.go_on()
        results = assert_all_or_nothing(stopped.results(), out, NAMES)

    assert all(result.complete for result in results.values())


def test_a_connection_with_garbage(system: System, tmp_path: Path) -> None:
    """What is not HTTP/2 is hung up on; no other caller notices."""
    host, _, port = system.deid_service.address.rpartition(":")
    noise = DRAW.randbytes(100_000)
    with socket.create_connection((host, int(port)), PATIENCE_SECONDS) as connection:
        try:
            connection.sendall(noise)
            while received := connection.recv(65536):
                assert_nothing_identified(received)
        except ConnectionError:
            pass  # Reset while more was sent: as good an end.
    assert_works(system.deid_service, tmp_path)


def test_a_stream_with_garbage(system: System, tmp_path: Path) -> None:
    """Messages that are none end the stream with INVALID_ARGUMENT, also in mid-file."""
    noise = DRAW.randbytes(1000)
    beginnings = [[], [opened()], [opened(), start(), chunk(identified_file(1)[:20_000])]]
    with open_a_channel(system.deid_service.address) as channel:
        call: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(METHOD)
        for messages in beginnings:
            requests = [*(message.SerializeToString() for message in messages), noise]
            received: list[bytes] = []

            def read(requests: list[bytes] = requests, received: list[bytes] = received) -> None:
                received.extend(call(iter(requests)))

            assert status_of(read) == ("INVALID_ARGUMENT", "PROTOCOL_ERROR")
            assert_nothing_identified(b"".join(received))
    assert_works(system.deid_service, tmp_path)


def test_garbage_among_files(system: System) -> None:
    """Noise, cut and damaged files are rejected or come out clean; the good ones come out."""
    whole = identified_file(1)
    damaged = bytearray(whole)
    for _ in range(200):
        damaged[DRAW.randrange(132, 2000)] = DRAW.randrange(256)
    bad = [DRAW.randbytes(5000), whole[: len(whole) // 2], bytes(damaged), b""]
    with open_a_channel(system.deid_service.address) as channel:
        messages = [opened()]
        for number, data in enumerate(bad):
            messages += [*whole_file(data, f"bad-{number}"), *whole_file(whole, f"good-{number}")]
        caller = Caller(channel, *messages)
        caller.half_close()
        for _ in bad:
            _, result = caller.receive_result()
            assert result.HasField("rejection")
            output, result = caller.receive_result()
            assert result.HasField("receipt")
            assert_nothing_identified(output)


def test_the_disk_of_the_client_is_full(system: System, files: Path, tmp_path: Path) -> None:
    """What does not fit is reported and leaves nothing; what fits is complete."""
    out = tmp_path / "out"
    with client(system.deid_service, files, out, max_output_bytes=1024 * 1024) as full:
        results = assert_all_or_nothing(full.results(), out, NAMES)

    assert [results[name].complete for name in NAMES] == [False, True, False, True]
    assert {results[name].problem for name in NAMES if "large" in name} == {
        "The output cannot be written: File too large."
    }
    with client(system.deid_service, files, out / "roomy") as roomy:
        assert all(result.complete for result in roomy.results())
