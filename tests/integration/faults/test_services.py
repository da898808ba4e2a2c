"""Processes of the system are killed while files pass: nothing leaks, nothing is lost."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import psutil
import pytest

from deid_service.client import FileResult, Source, Upload
from deid_service.client.outputs import PARTIAL_SUFFIX
from tests.integration.faults.files import (
    LARGE_BYTES,
    assert_all_or_nothing,
    held,
    identified_file,
)
from tests.support import callers
from tests.support.callers import open_channel
from tests.support.deid_service import TARGET, Caller, opened, status_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tests.integration.faults.system import System
    from tests.support.processes import ServiceProcess

PATIENCE_SECONDS = 60.0

SMALL = [Source.of_bytes(f"small-{number}", identified_file(number)) for number in range(20)]
LARGE = [
    Source.of_bytes(f"large-{number}", identified_file(100 + number, LARGE_BYTES))
    for number in range(2)
]


class UploadWithFault:
    """An upload whose large files stop in their middle until a fault has happened.

    Attributes:
        results: of all files, once `finish` has returned.
    """

    def __init__(self, address: str, folder: Path, streams: int) -> None:
        self.results: list[FileResult] = []
        self._folder = folder
        self._middle = threading.Semaphore(0)
        self._released = threading.Event()
        sources = [held(source, self._hold) for source in LARGE] + SMALL
        self._names = [source.name for source in sources]
        self._channels = [open_channel(address) for _ in range(streams)]
        self._upload = Upload(self._channels, TARGET, sources, folder)
        self._thread = threading.Thread(target=lambda: self.results.extend(self._upload))
        self._thread.start()
        for _ in range(streams):
            assert self._middle.acquire(timeout=PATIENCE_SECONDS)
        # Files are read ahead of their streams: outputs show that those are open.
        end = time.monotonic() + PATIENCE_SECONDS
        while len(list(folder.glob(f".*{PARTIAL_SUFFIX}"))) < streams:
            assert time.monotonic() < end
            threading.Event().wait(0.01)

    def _hold(self) -> None:
        self._middle.release()
        self._released.wait(PATIENCE_SECONDS)

    def go_on(self) -> None:
        """Lets the files go on."""
        self._released.set()

    def finish(self) -> dict[str, FileResult]:
        """Waits for the end, and checks what came out."""
        self.go_on()
        self._thread.join(PATIENCE_SECONDS)
        self.close()
        return assert_all_or_nothing(self.results, self._folder, self._names)

    def close(self) -> None:
        """Ends it."""
        self.go_on()
        self._upload.close()
        for channel in self._channels:
            channel.close()
        self._thread.join(PATIENCE_SECONDS)


@contextmanager
def upload_in_mid_file(
    system: System, folder: Path, *, streams: int = 1
) -> Iterator[UploadWithFault]:
    """Gives an upload, each stream of which is in the middle of a file."""
    upload = UploadWithFault(system.deid_service.address, folder, streams)
    try:
        yield upload
    finally:
        upload.close()


def assert_works(system: System, folder: Path) -> None:
    """Checks that the system takes an upload, whatever happened to it."""
    with upload_in_mid_file(system, folder) as upload:
        assert all(result.complete for result in upload.finish().values())


def workers_with_connections(service: ServiceProcess) -> list[int]:
    """Returns the workers that callers are connected to."""
    port = int(service.address.rpartition(":")[2])
    found = []
    for pid in service.workers(times=2)[-2:]:
        # One that has just died has nobody.
        with suppress(psutil.NoSuchProcess):
            if any(
                one.status == psutil.CONN_ESTABLISHED and one.laddr.port == port
                for one in psutil.Process(pid).net_connections("tcp")
            ):
                found.append(pid)
    return found


def test_a_worker_that_is_killed_in_mid_file(system: System, tmp_path: Path) -> None:
    """Its file starts over on another worker, that of the other one goes on; both complete."""
    service = system.deid_service
    started = len(service.workers(times=2))
    serving = len(service.found("event=health status=SERVING"))
    with upload_in_mid_file(system, tmp_path / "out", streams=2) as upload:
        carriers = workers_with_connections(service)
        assert len(carriers) == 2

        os.kill(carriers[0], signal.SIGKILL)

        assert all(result.complete for result in upload.finish().values())
    service.workers(times=started + 1)
    service.wait_for("event=health status=SERVING", times=serving + 1)
    assert_works(system, tmp_path / "again")


def test_profile_service_is_killed(system: System, tmp_path: Path) -> None:
    """An open stream keeps its profile and ends well; a new one waits, or is refused."""
    with upload_in_mid_file(system, tmp_path / "out") as upload:
        system.kill_profile_service()

        assert all(result.complete for result in upload.finish().values())
    assert_refused_without_a_profile(system)
    assert_new_upload_outlasts(system, tmp_path / "new", system.start_profile_service)


@pytest.mark.parametrize("how", ["kill -9", "a restart", "kill -9 of one of its processes"])
def test_postgresql_goes_away(system: System, tmp_path: Path, how: str) -> None:
    """An open stream ends well, and new ones come through when the database is back."""
    with upload_in_mid_file(system, tmp_path / "out") as upload:
        if how == "kill -9":
            system.kill_postgres()
            assert_refused_without_a_profile(system)
            assert_new_upload_outlasts(system, tmp_path / "new", system.restart_postgres)
        elif how == "a restart":
            system.restart_postgres()
        else:
            system.kill_postgres_backend()

        assert all(result.complete for result in upload.finish().values())
    assert_works(system, tmp_path / "again")


def assert_refused_without_a_profile(system: System) -> None:
    """Checks that a stream is refused before a single byte of output."""
    with callers.channel(system.deid_service.address) as channel:
        caller = Caller(channel, opened())
        assert status_of(caller.receive) == ("UNAVAILABLE", "PROFILE_SERVICE_UNAVAILABLE")


def assert_new_upload_outlasts(system: System, folder: Path, recover: Callable[[], object]) -> None:
    """Checks that an upload that begins in the outage completes when that is over."""
    results: list[FileResult] = []
    refused = len(system.deid_service.found("reason=PROFILE_SERVICE_UNAVAILABLE"))
    channel = open_channel(system.deid_service.address)

    def run(sources: Sequence[Source]) -> None:
        with Upload([channel], TARGET, sources, folder) as upload:
            results.extend(upload)

    thread = threading.Thread(target=run, args=(SMALL,))
    thread.start()
    system.deid_service.wait_for("reason=PROFILE_SERVICE_UNAVAILABLE", times=refused + 1)
    recover()
    thread.join(PATIENCE_SECONDS)
    channel.close()
    by_name = assert_all_or_nothing(results, folder, [source.name for source in SMALL])
    assert all(result.complete for result in by_name.values())
