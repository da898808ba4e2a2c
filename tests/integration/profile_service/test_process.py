"""ProfileService as a process: `python -m profile_service`."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import grpc
import pytest
from deidcascade.v1 import profile_service_pb2 as pb
from deidcascade.v1.profile_service_pb2_grpc import ProfileServiceStub

from tests.support.refusals import refused

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND = [sys.executable, "-m", "profile_service"]

PATIENCE_SECONDS = 20


@contextmanager
def running(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Gives a process that serves, and its address."""
    with subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            match = re.fullmatch(r"listening on (\S+:\d+)\n", line)
            assert match, line
            yield process, match[1]
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_process_serves_until_it_is_told_to_end(database: str, number: signal.Signals) -> None:
    """It says where it listens, serves, and ends with 0 when asked to."""
    with running("--listen", "127.0.0.1:0", "--database", database) as (process, address):
        with grpc.insecure_channel(address) as channel:
            request = pb.CreateContainerRequest(container=pb.Container(name="sites/s"))
            ProfileServiceStub(channel).CreateContainer(request)
        process.send_signal(number)
        assert process.wait(PATIENCE_SECONDS) == 0


def test_the_log_has_one_line_per_call_and_no_texts(database: str) -> None:
    """A line tells method, resource, code, reason and time; nothing of what was sent."""
    with running("--listen", "127.0.0.1:0", "--database", database) as (process, address):
        with grpc.insecure_channel(address) as channel:
            service = ProfileServiceStub(channel)
            site = pb.Container(name="sites/s", display_name="Jane")
            service.CreateContainer(pb.CreateContainerRequest(container=site))
            with refused("INVALID_ARGUMENT", "PROFILE_INVALID"):
                service.SetProfile(pb.SetProfileRequest(container="sites/s", source="Jane: Doe"))
            with refused("INVALID_ARGUMENT", "INVALID_NAME"):
                service.GetContainer(pb.GetContainerRequest(name="Jane/Doe"))
        process.terminate()
        _, log = process.communicate(timeout=PATIENCE_SECONDS)
    calls = re.findall(r"event=call (.*) seconds=0\.\d{6}$", log, re.MULTILINE)
    assert calls == [
        "method=CreateContainer resource=sites/s code=OK",
        "method=SetProfile resource=sites/s code=INVALID_ARGUMENT reason=PROFILE_INVALID",
        "method=GetContainer code=INVALID_ARGUMENT reason=INVALID_NAME",
    ]
    assert "Jane" not in log


def test_a_port_that_is_taken_is_not_shared(database: str) -> None:
    """A second process on the same port ends and says why."""
    with running("--listen", "127.0.0.1:0", "--database", database) as (_, address):
        second = subprocess.run(
            [*COMMAND, "--listen", address, "--database", database],
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )
    assert second.returncode == 1
    assert f"profile_service: Cannot listen on {address}." in second.stderr
