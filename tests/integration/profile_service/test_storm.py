"""A storm of changes, in which PostgreSQL and ProfileService are killed."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import psutil
from deidcascade.v1 import profile_service_pb2 as pb
from deidcascade.v1.profile_service_pb2_grpc import ProfileServiceStub

from deid_service.cli.profiles import version_pages
from deid_service.embedded.postgres import EmbeddedPostgres
from tests.support import callers
from tests.support.audit import told, troubles
from tests.support.memory import in_memory
from tests.support.processes import service_process

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.support.processes import ServiceProcess

SITES = ("sites/a", "sites/b")
CALLERS = 6

# How many changes are acknowledged before, between and after what is killed.
ENOUGH = 40
PATIENCE_SECONDS = 60

SOURCE = "dicom:\n  fields:\n  - name: PatientName\n    remove: true\n"


class Storm:
    """Callers that set profiles as fast as they can, and note what was acknowledged."""

    def __init__(self, service: ServiceProcess) -> None:
        self.acknowledged: list[tuple[str, int, str]] = []
        self._address = service.address
        self._changed = threading.Condition()
        self._stop = False
        self._threads = [threading.Thread(target=self._call, args=(n,)) for n in range(CALLERS)]
        for thread in self._threads:
            thread.start()

    def goes_on(self, service: ServiceProcess) -> None:
        """Calls a service from now on, and waits until it has acknowledged enough changes."""
        with self._changed:
            self._address = service.address
            wanted = len(self.acknowledged) + ENOUGH
            came = self._changed.wait_for(
                lambda: len(self.acknowledged) >= wanted, PATIENCE_SECONDS
            )
            assert came, "Changes are not acknowledged any more."

    def end(self) -> None:
        """Lets the callers finish."""
        self._stop = True
        for thread in self._threads:
            thread.join()

    def _call(self, caller: int) -> None:
        site = SITES[caller % len(SITES)]
        number = 0
        while not self._stop:
            address = self._address
            # A connection of its own: a new one goes to another worker.
            with callers.channel(address) as channel:
                service = ProfileServiceStub(channel)
                while not self._stop and self._address == address:
                    number += 1
                    source = f"{SOURCE}# {caller} {number}\n"
                    request = pb.SetProfileRequest(container=site, source=source)
                    try:
                        profile = service.SetProfile(request, timeout=PATIENCE_SECONDS).profile
                    except grpc.RpcError:
                        break
                    with self._changed:
                        self.acknowledged.append((site, profile.version, profile.sha256))
                        self._changed.notify_all()


@contextmanager
def storming(service: ServiceProcess) -> Iterator[Storm]:
    """Runs a storm, and ends it."""
    storm = Storm(service)
    try:
        storm.goes_on(service)
        yield storm
    finally:
        storm.end()


def test_nothing_acknowledged_is_lost_and_nothing_is_half_made() -> None:
    """After kill -9 of both: every acknowledged version, an event for each, whole chains."""
    with tempfile.TemporaryDirectory(prefix="pg-", dir=in_memory()) as folder:
        postgres = EmbeddedPostgres(Path(folder))
        postgres.start()
        arguments = ("--database", postgres.conninfo, "--workers", "2")
        try:
            with service_process(*arguments, module="profile_service") as first:
                create(first.address, SITES)
                with (
                    storming(first) as storm,
                    service_process(*arguments, module="profile_service") as second,
                ):
                    kill_postgres(Path(folder))
                    assert postgres.exit_code() is not None
                    postgres.restart()
                    storm.goes_on(first)
                    os.kill(first.workers(times=2)[0], signal.SIGKILL)
                    storm.goes_on(first)
                    first.signal(signal.SIGKILL)
                    storm.goes_on(second)
                    storm.end()
                    check(second.address, storm.acknowledged)
        finally:
            postgres.stop()


def create(address: str, sites: Iterable[str]) -> None:
    """Creates sites."""
    with callers.channel(address) as channel:
        for site in sites:
            request = pb.CreateContainerRequest(container=pb.Container(name=site))
            ProfileServiceStub(channel).CreateContainer(request, wait_for_ready=True)


def kill_postgres(folder: Path) -> None:
    """Kills the server with all its processes, as a machine that runs out of memory does."""
    first = psutil.Process(int((folder / "data/postmaster.pid").read_text().split()[0]))
    every = [first, *first.children(recursive=True)]
    for process in every:
        process.kill()
    psutil.wait_procs(every, timeout=PATIENCE_SECONDS)


def check(address: str, acknowledged: list[tuple[str, int, str]]) -> None:
    """Compares what was acknowledged with the versions and the events that there are."""
    with callers.channel(address) as channel:
        service = ProfileServiceStub(channel)
        for site in SITES:
            versions: dict[int, str] = {}
            for page in version_pages(service, site):
                versions |= {each.version: each.sha256 for each in page.profiles}
            mine = {version: digest for name, version, digest in acknowledged if name == site}
            assert {version: versions.get(version) for version in mine} == mine
            events = [json.loads(event.event)["after"] for event in told(service, site)[1:]]
            # One for each, acknowledged or not, and in the same order.
            assert [(one["version"], one["sha256"]) for one in events] == sorted(versions.items())
            assert sorted(versions) == list(range(1, len(versions) + 1))
        assert troubles(service) == {}
