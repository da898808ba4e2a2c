"""What Prometheus is told is what happened: to streams, files, calls and workers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from typing import TYPE_CHECKING

import pytest
from deidcascade.v1 import profile_service_pb2 as profile_pb
from deidcascade.v1.profile_service_pb2_grpc import ProfileServiceStub
from prometheus_client.parser import text_string_to_metric_families

from tests.support import callers
from tests.support.deid_service import PROFILE, TARGET, Caller, ct, opened, status_of, whole_file
from tests.support.processes import service_process

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.processes import ServiceProcess

FILES = 7


class Scrape:
    """What a service says at one moment."""

    def __init__(self, address: str) -> None:
        self.text = ask(f"http://{address}/metrics")
        self._samples = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(self.text)
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float:
        """Returns a value; 0 where there is none."""
        return self._samples.get((name, frozenset(labels.items())), 0.0)

    def names(self) -> set[str]:
        """Returns the names of all samples."""
        return {name for name, _ in self._samples}


def ask(url: str) -> str:
    """Returns what is answered to a GET."""
    with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310 - an address of this test
        text: str = answer.read().decode()
    return text


def metrics_of(service: ServiceProcess) -> str:
    """Returns where a service tells them."""
    return service.wait_for(r"event=metrics address=(\S+)")[0][1]


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
    """Counts of files, bytes, streams and calls, over all workers, and after one's death."""
    service_arguments = ("--profile-service", profiles.address, "--workers", "2")
    data = ct()
    with service_process(*service_arguments, "--metrics", "127.0.0.1:0") as service:
        service.wait_for("event=health status=SERVING", times=2)
        received, sent = 0, 0
        for number in range(FILES):
            with callers.channel(service.address) as channel:
                caller = Caller(channel, opened(), *whole_file(data), *whole_file(b"noise" * 100))
                caller.half_close()
                _, good = caller.receive_result()
                _, bad = caller.receive_result()
                caller.receive_all()
                received += good.receipt.bytes_in
                sent += good.receipt.bytes_out
                assert bad.HasField("rejection")
                assert status_of(Caller(channel, opened("sites/none/groups/g/projects/p")).receive)
            if number == FILES // 2:
                (worker, _) = service.workers(times=2)
                os.kill(worker, signal.SIGKILL)
                service.wait_for("event=health status=SERVING", times=3)
        service.wait_for("event=file", times=2 * FILES)
        said = Scrape(metrics_of(service))
        of_profiles = Scrape(metrics_of(profiles))
        with callers.channel(service.address) as channel:
            open_one = Caller(channel, opened())
            assert open_one.receive().HasField("opened")
            busy = Scrape(metrics_of(service))
            open_one.half_close()

    assert said.value("deidcascade_files_total", result="COMPLETE", reason="") == FILES
    assert said.value("deidcascade_files_total", result="REJECTED", reason="NOT_DICOM") == FILES
    assert said.value("deidcascade_received_bytes_total") == received + FILES * 500
    assert said.value("deidcascade_sent_bytes_total") == sent
    assert said.value("deidcascade_file_seconds_count") == 2 * FILES
    assert said.value("deidcascade_streams_total", code="OK", reason="", outcome="PROFILE") == FILES
    assert said.value("deidcascade_resolve_seconds_count") == 2 * FILES
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
    assert calls["OK"] == FILES
    assert sum(calls.values()) == 2 * FILES
    assert of_profiles.value("deidcascade_call_seconds_count", method="SetProfile") == 1
    assert of_profiles.value("deidcascade_database_readers_most", worker="0") > 0
    assert "Doe" not in said.text + of_profiles.text
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
