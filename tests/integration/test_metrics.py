"""What Prometheus is told is what happened: to streams, files, calls and workers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import grpc
import pytest
from deidcascade.v1 import profile_service_pb2 as profile_pb
from deidcascade.v1.profile_service_pb2_grpc import ProfileServiceStub

from tests.integration.faults.files import identified_file
from tests.support import callers
from tests.support.between import line
from tests.support.deid_service import (
    PROFILE,
    TARGET,
    Caller,
    chunk,
    failure_of,
    opened,
    start,
    status_of,
    whole_file,
)
from tests.support.metrics import Scrape, metrics_of
from tests.support.processes import service_process
from tests.support.witness import Witness, differences, values_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deidcascade.v1 import deid_service_pb2 as pb

    from tests.support.processes import ServiceProcess

FILES = 7


@pytest.fixture
def profiles(database: str) -> Iterator[ServiceProcess]:
    """A ProfileService with metrics, and a project with a profile."""
    arguments = ("--database", database, "--workers", "2", "--metrics", "127.0.0.1:0")
    with service_process(*arguments, module="profile_service") as service:
        with callers.channel(service.address) as channel:
            stub = ProfileServiceStub(channel)
            for name in ("sites/s", "sites/s/groups/g", TARGET):
                container = profile_pb.Container(name=name)
                stub.CreateContainer(profile_pb.CreateContainerRequest(container=container))
            stub.SetProfile(profile_pb.SetProfileRequest(container=TARGET, source=PROFILE))
        yield service


def test_metrics_are_what_receipts_and_statuses_say(profiles: ServiceProcess) -> None:
    """Files, bytes, streams and calls, over all workers; after a death, cancels and a cut line."""
    service_arguments = ("--profile-service", profiles.address, "--workers", "2")
    witness = Witness()
    data = identified_file(1)
    # Has gone for the most part when its end is missed.
    large = identified_file(2, 1 << 20)[:-100_000]
    with service_process(*service_arguments, "--metrics", "127.0.0.1:0") as service:
        service.wait_for("event=health status=SERVING", times=2)

        def caller(channel: grpc.Channel, *messages: pb.DeidentifyRequest) -> Caller:
            return Caller(witness.watch(channel), *messages)

        for number in range(FILES):
            with callers.channel(service.address) as channel:
                files = [*whole_file(data), *whole_file(b"noise" * 100), *whole_file(large)]
                talking = caller(channel, opened(), *files)
                talking.half_close()
                talking.receive_all()
                nowhere = opened("sites/none/groups/g/projects/p")
                assert status_of(caller(channel, nowhere).receive)[0] == "NOT_FOUND"
            if number == FILES // 2:
                (worker, _) = service.workers(times=2)
                os.kill(worker, signal.SIGKILL)
                service.wait_for("event=health status=SERVING", times=3)
        with callers.channel(service.address) as channel, line(service.address) as between:
            leaving = caller(channel, opened(), *whole_file(data), start(), chunk(data))
            leaving.receive_result()
            leaving.cancel()
            with callers.channel(between.address) as other:
                cut = caller(other, opened(), *whole_file(data), start(), chunk(data))
                cut.receive_result()
                between.cut()
                assert failure_of(cut.receive_all).code() is grpc.StatusCode.UNAVAILABLE
        service.wait_for("event=stream .*code=CANCELLED", times=2)
        seen, said = witness.seen(), Scrape(metrics_of(service))
        of_profiles = Scrape(metrics_of(profiles))
        with callers.channel(service.address) as channel:
            open_one = Caller(channel, opened())
            assert open_one.receive().HasField("opened")
            busy = Scrape(metrics_of(service))
            open_one.half_close()

    assert differences(said, seen) == []
    assert (
        said.by("deidcascade_files_total", "result", "reason")
        == seen.files
        == {
            ("COMPLETE", ""): FILES + 2,
            ("REJECTED", "NOT_DICOM"): FILES,
            ("REJECTED", "TRUNCATED"): FILES,
        }
    )
    assert said.value("deidcascade_received_bytes_total", result="COMPLETE") == seen.bytes_in
    assert said.value("deidcascade_sent_bytes_total", result="COMPLETE") == seen.bytes_out
    assert said.value("deidcascade_sent_bytes_total", result="REJECTED") == seen.rejected_out > 0
    assert said.by("deidcascade_streams_total", "code", "reason", "outcome") == {
        ("OK", "", "PROFILE"): FILES,
        ("NOT_FOUND", "TARGET_NOT_FOUND", ""): FILES,
        ("CANCELLED", "", "PROFILE"): 2,
    }
    assert said.value("deidcascade_resolve_seconds_count") == 2 * FILES + 2
    assert said.value("deidcascade_worker_deaths_total") == 1
    assert said.value("deidcascade_worker_starts_total") == 3
    assert said.value("deidcascade_workers") == 2
    assert sum(busy.value("deidcascade_worker_load", worker=n) for n in ("0", "1")) == 1
    for worker_number in ("0", "1"):
        assert said.value("deidcascade_worker_up", worker=worker_number) == 1
        assert said.value("deidcascade_serving", worker=worker_number) == 1
        assert said.value("deidcascade_worker_memory_bytes", worker=worker_number) > 1 << 20
    calls = {
        code: of_profiles.value("deidcascade_calls_total", method="ResolveProfile", code=code)
        for code in ("OK", "PERMISSION_DENIED", "NOT_FOUND")
    }
    assert calls["OK"] == FILES + 2
    assert sum(calls.values()) == 2 * FILES + 2
    assert of_profiles.value("deidcascade_call_seconds_count", method="SetProfile") == 1
    assert of_profiles.value("deidcascade_database_readers_most", worker="0") > 0
    assert values_in(said.text + of_profiles.text, data) == []
    assert "sites/" not in said.text + of_profiles.text


def test_who_asks_slowly_or_at_the_wrong_place_holds_up_nobody(profiles: ServiceProcess) -> None:
    """A connection on which nothing comes, or nonsense, is none of the others' business."""
    address = metrics_of(profiles)
    host, _, port = address.rpartition(":")
    with (
        socket.create_connection((host, int(port))),
        socket.create_connection((host, int(port))) as other,
    ):
        other.sendall(b"\x16\x03\x01nonsense\r\n\r\n")
        assert "deidcascade_calls_total" in Scrape(address).names()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("nowhere", "--metrics must be HOST:PORT with a port up to 65535, not 'nowhere'."),
        ("taken", "Cannot serve metrics on 127.0.0.1:"),
    ],
)
def test_an_address_that_cannot_be_had(given: str, said: str) -> None:
    """The service does not start without what it was asked to tell, and says why in a sentence."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}" if given == "taken" else given
        done = subprocess.run(
            [sys.executable, "-m", "deid_service", "--listen", "127.0.0.1:0", "--metrics", address],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )

    assert done.returncode == 1
    assert done.stderr.startswith(f"deid_service: {said}")
    assert "Traceback" not in done.stderr
