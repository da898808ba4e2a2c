"""What the machine and the environment do to a service: it goes on, and says what is wrong."""

from __future__ import annotations

import os
import re
import signal
import site
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from deidcascade.v1.deid_service_pb2_grpc import DeidServiceStub
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from deid_service.client import Source, Upload
from tests.support.callers import open_channel
from tests.support.deid_service import (
    BLANK,
    TARGET,
    Caller,
    ScriptedProfileService,
    chunk,
    ct,
    opened,
    running_deid_service,
    selected,
    serving,
    start,
    status_of,
    whole_file,
)
from tests.support.engine.build import dicom, el, sq
from tests.support.processes import child, service_process

if TYPE_CHECKING:
    from collections.abc import Iterator

    import grpc
    from deidcascade.v1 import profile_service_pb2 as profile_pb

PATIENCE_SECONDS = 30

# Nobody listens there.
NOWHERE = "127.0.0.1:1"


def upload(address: str, folder: Path, files: int = 8) -> bool:
    """Uploads files over two connections; whether all are complete."""
    channels = [open_channel(address) for _ in range(2)]
    sources = [Source.of_bytes(f"{number}.bin", b"x" * 1000) for number in range(files)]
    with Upload(channels, TARGET, sources, folder) as running:
        results = list(running)
    for channel in channels:
        channel.close()
    return len(results) == files and all(result.complete for result in results)


def test_a_worker_that_hangs_is_replaced(blank_profile_service: str, tmp_path: Path) -> None:
    """Uploads complete although a worker stands still, which is noticed and ended."""
    with service_process("--profile-service", blank_profile_service, "--workers", "2") as service:
        service.wait_for("event=health status=SERVING", times=2)
        hung = service.workers(times=2)[0]
        os.kill(hung, signal.SIGSTOP)

        assert upload(service.address, tmp_path)

        service.wait_for(f"event=worker_hung .*pid={hung}")
        service.wait_for("event=worker_died .*code=-9")
        service.workers(times=3)


@pytest.fixture
def interpreter(tmp_path: Path) -> Path:
    """An interpreter that can be taken away."""
    link = tmp_path / "bin" / "python"
    link.parent.mkdir()
    link.symlink_to(Path(sys.executable).resolve())
    return link


def test_a_worker_that_cannot_be_started_stops_nobody(
    blank_profile_service: str, interpreter: Path, tmp_path: Path
) -> None:
    """The other worker goes on, and it is tried again until it can be."""
    modules = os.pathsep.join(
        [str(Path.cwd()), str(Path.cwd() / "protos"), *site.getsitepackages()]
    )
    with service_process(
        *("--profile-service", blank_profile_service, "--workers", "2"),
        interpreter=str(interpreter),
        environment={"PYTHONPATH": modules},
    ) as service:
        first = service.workers(times=2)[0]
        away = interpreter.rename(tmp_path / "away")

        os.kill(first, signal.SIGKILL)

        service.wait_for("event=worker_not_started .*cause=ENOENT", times=2)
        assert upload(service.address, tmp_path / "meanwhile")
        away.rename(interpreter)
        service.workers(times=3)
        assert upload(service.address, tmp_path / "after")


def test_an_unread_standard_error_stops_nobody(blank_profile_service: str) -> None:
    """Streams go on when nobody reads the log."""
    with child(
        subprocess.Popen(
            [
                *(sys.executable, "-m", "deid_service", "--listen", "127.0.0.1:0"),
                *("--profile-service", blank_profile_service, "--workers", "1"),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    ) as process:
        assert process.stdout is not None
        address = process.stdout.readline().removeprefix("listening on ").strip()
        # A line each: several times what a pipe holds.
        messages = [opened(), *(message for _ in range(3000) for message in whole_file(b"x"))]
        with open_channel(address) as channel:
            call = DeidServiceStub(channel).Deidentify(iter(messages), timeout=PATIENCE_SECONDS)
            results = sum(answer.HasField("result") for answer in call)
        process.terminate()
        process.communicate()

    assert results == 3000


@pytest.mark.parametrize("variable", ["http_proxy", "https_proxy", "grpc_proxy"])
def test_a_proxy_in_the_environment_is_not_asked(
    blank_profile_service: str, tmp_path: Path, variable: str
) -> None:
    """DeidService reaches ProfileService whatever the environment says of proxies."""
    with service_process(
        *("--profile-service", blank_profile_service, "--workers", "1"),
        environment={variable: f"http://{NOWHERE}"},
    ) as service:
        assert upload(service.address, tmp_path)


def test_a_profile_service_that_is_not_there_is_named() -> None:
    """The log says why streams are refused, and why the service is not healthy."""
    with service_process("--profile-service", NOWHERE, "--workers", "1") as service:
        service.wait_for(f"event=health status=NOT_SERVING cause=.*UNAVAILABLE from {NOWHERE}")
        with open_channel(service.address) as channel:
            caller = Caller(channel, opened())
            assert status_of(caller.receive) == ("UNAVAILABLE", "PROFILE_SERVICE_UNAVAILABLE")
        service.wait_for(f"event=stream .*cause=.*UNAVAILABLE from {NOWHERE}")


def test_a_service_that_is_not_profile_service_is_named() -> None:
    """A DeidService where ProfileService should be is told from one that is away."""
    with (
        running_deid_service(NOWHERE) as other,
        service_process("--profile-service", other.address, "--workers", "1") as service,
        open_channel(service.address) as channel,
    ):
        caller = Caller(channel, opened())

        assert status_of(caller.receive) == ("UNAVAILABLE", "PROFILE_SERVICE_UNAVAILABLE")
        service.wait_for(f"cause=.*what answers at {other.address} is not ProfileService")


def test_no_core_is_dumped(blank_profile_service: str) -> None:
    """No process of a service may leave an image of its memory, with files in it."""
    with service_process("--profile-service", blank_profile_service, "--workers", "1") as service:
        limits = Path(f"/proc/{service.workers(times=1)[0]}/limits").read_text()

    assert re.search(r"^Max core file size +0 +0 ", limits, re.MULTILINE)


@contextmanager
def service_by_shell(profile_service: str, command: str) -> Iterator[str]:
    """Runs a service by a shell command with its own ideas of standard streams."""
    run = (
        f"exec {sys.executable} -m deid_service --listen 127.0.0.1:0 --workers 1 "
        f"--profile-service {profile_service} {command}"
    )
    with child(
        subprocess.Popen(["/bin/sh", "-c", run], stderr=subprocess.PIPE, text=True)
    ) as process:
        assert process.stderr is not None
        address = ""
        for line in process.stderr:
            assert "Traceback" not in line
            if found := re.search(r"event=listening address=(\S+)", line):
                address = found[1]
                break
        try:
            yield address
        finally:
            process.terminate()
            _, rest = process.communicate()
        assert process.returncode == 0
        assert "Traceback" not in rest


@pytest.mark.parametrize("streams", ["<&-", ">&-", "<&- >&-", ">/dev/full"])
def test_standard_streams_may_be_closed_or_full(
    blank_profile_service: str, tmp_path: Path, streams: str
) -> None:
    """A service needs no standard input, and nobody who takes its standard output."""
    with service_by_shell(blank_profile_service, streams) as address:
        assert upload(address, tmp_path)


@pytest.mark.parametrize("module", ["deid_service", "profile_service"])
def test_a_port_that_is_none_is_said_in_a_sentence(module: str) -> None:
    """An address that cannot be is refused without a traceback."""
    finished = subprocess.run(
        [sys.executable, "-m", module, "--listen", "127.0.0.1:99999"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )

    assert finished.returncode == 1
    assert finished.stderr == (
        f"{module}: The address to listen on must be HOST:PORT with a port up to 65535, "
        "not '127.0.0.1:99999'.\n"
    )


def test_all_addresses_of_ipv4_are_not_those_of_ipv6(blank_profile_service: str) -> None:
    """Who listens on 0.0.0.0 is not reached over IPv6."""
    with service_process(
        *("--profile-service", blank_profile_service, "--workers", "1"),
        *("--listen", "0.0.0.0:0", "--insecure-bind"),
    ) as service:
        port = int(service.address.rpartition(":")[2])
        socket.create_connection(("127.0.0.1", port)).close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("::1", port))


def test_a_file_dense_with_work_lets_others_have_their_turn() -> None:
    """Health is told again and again while a file with a lot to do is worked on."""
    items = [[el("ReferencedSOPInstanceUID", f"1.2.{number}")] for number in range(12_000)]
    data = dicom(el("SOPInstanceUID", "1.2"), sq("ReferencedImageSequence", *items))
    scripted = ScriptedProfileService()
    scripted.answer = lambda _request, _context: selected(
        "dicom: {fields: [{regex: '.*UID$', hashuid: true}]}"
    )
    with (
        serving(scripted) as profile_service,
        service_process("--profile-service", profile_service, "--workers", "1") as service,
        open_channel(service.address) as channel,
    ):
        health = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            HealthCheckRequest.SerializeToString,
            HealthCheckResponse.FromString,
        )
        caller = Caller(channel, opened(), *whole_file(ct()), *whole_file(data, cut=1 << 21))
        caller.half_close()
        caller.receive_result()
        answers = 0
        while not service.found("index=2 result=COMPLETE"):
            health(HealthCheckRequest(), timeout=PATIENCE_SECONDS)
            answers += 1

        assert caller.receive_result()[1].HasField("receipt")
        assert answers > 5


def test_the_memory_of_a_crowd_is_given_back(blank_profile_service: str) -> None:
    """When callers that did not read have gone, little is left of what their streams held."""
    with (
        service_process("--profile-service", blank_profile_service, "--workers", "1") as service,
        ExitStack() as opening,
    ):
        worker = psutil.Process(service.workers(times=1)[0])
        before = worker.memory_info().rss
        crowd = []
        for _ in range(40):
            channel = opening.enter_context(open_channel(service.address))
            crowd.append(Caller(channel, opened(), start(), *[chunk(bytes(3 << 20))] * 4))
        for caller in crowd:
            caller.receive()
        asked = time.monotonic()
        while worker.memory_info().rss < before + (128 << 20):
            assert time.monotonic() < asked + PATIENCE_SECONDS

        for caller in crowd:
            caller.call.cancel()

        (told,) = service.wait_for(r"event=memory_returned bytes=(\d+) streams=0")
        assert int(told[1]) > 16 << 20


def test_a_profile_service_connection_that_hangs_is_left(tmp_path: Path) -> None:
    """A resolution without an answer in time is tried again over another connection."""
    scripted = ScriptedProfileService()
    released = threading.Event()
    hanging: set[str] = set()

    def answer(
        _request: profile_pb.ResolveProfileRequest, context: grpc.ServicerContext
    ) -> profile_pb.ResolveProfileResponse:
        hanging.update([] if hanging else [context.peer()])
        if context.peer() in hanging:
            released.wait(PATIENCE_SECONDS)
        return selected(BLANK)

    scripted.answer = answer
    with (
        serving(scripted) as profile_service,
        service_process("--profile-service", profile_service, "--workers", "1") as service,
    ):
        assert upload(service.address, tmp_path)
        released.set()
        assert not service.found("reason=PROFILE_SERVICE_UNAVAILABLE")
