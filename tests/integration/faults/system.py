"""The whole system as processes: PostgreSQL, ProfileService and DeidService."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import psutil
import psycopg
from deidcascade.v1 import profile_service_pb2 as pb
from deidcascade.v1.profile_service_pb2_grpc import ProfileServiceStub

from deid_service.embedded.postgres import EmbeddedPostgres
from tests.integration.faults.files import IDENTIFIERS, PROFILE, assert_nothing_identified
from tests.support import callers
from tests.support.deid_service import TARGET
from tests.support.processes import ServiceProcess, service_process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE_SECONDS = 30.0


class System:
    """The running system; what is killed is started again as a process manager would.

    Attributes:
        deid_service: its processes, two workers.
        profile_service: its address, which stays the same.
    """

    def __init__(self, folder: Path, running: ExitStack) -> None:
        """Starts everything.

        Args:
            folder: keeps the database and the logs.
            running: ends everything.
        """
        self._folder = folder
        self._running = running
        self._postgres = EmbeddedPostgres(folder / "postgresql", durable=False)
        running.callback(self._postgres.stop)
        self._postgres.start()
        self._log = running.enter_context((folder / "profile-service.log").open("wb"))
        running.callback(self.kill_profile_service)
        self.profile_service = "127.0.0.1:0"
        self.start_profile_service()
        self._set_up()
        self._services: list[ServiceProcess] = []
        self.deid_service = self.start_deid_service()

    def start_deid_service(self, *arguments: str) -> ServiceProcess:
        """Starts a DeidService with two workers; it ends with the system."""
        service = self._running.enter_context(
            service_process("--profile-service", self.profile_service, "--workers", "2", *arguments)
        )
        self._services.append(service)
        service.wait_for("event=health status=SERVING", times=2)
        return service

    def kill_deid_worker(self, draw: random.Random) -> None:
        """Kills a worker of DeidService, which its supervisor replaces."""
        workers = self.deid_service.processes()
        if workers:
            draw.choice(workers).kill()

    def restart_deid_service(self) -> None:
        """Kills every process of DeidService, and starts another one, at another address."""
        _kill(self.deid_service.supervisor())
        self.deid_service = self.start_deid_service()

    # --- ProfileService ---

    def start_profile_service(self) -> None:
        """Starts ProfileService, at its address if it had one before."""
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "profile_service"),
                *("--listen", self.profile_service, "--database", self._postgres.conninfo),
                *("--metrics", "127.0.0.1:0"),
            ],
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        assert self._process.stdout is not None
        with self._process.stdout as output:
            match = re.fullmatch(r"listening on (\S+:\d+)\n", output.readline())
        assert match is not None
        self.profile_service = match[1]

    def profile_metrics(self) -> str:
        """Returns where ProfileService tells its metrics, since it was last started."""
        log = (self._folder / "profile-service.log").read_text()
        *_, last = re.finditer(r"event=metrics address=(\S+)", log)
        return last[1]

    def kill_profile_service(self) -> None:
        """Kills every process of ProfileService."""
        _kill(psutil.Process(self._process.pid))
        self._process.wait()

    # --- PostgreSQL ---

    def kill_postgres(self) -> None:
        """Kills every process of PostgreSQL."""
        _kill(self._postmaster())

    def kill_postgres_backend(self) -> None:
        """Kills one connection's process, on which PostgreSQL restarts itself."""
        backends = [
            one for one in self._postmaster().children() if " deidcascade " in one.cmdline()[0]
        ]
        backends[0].kill()

    @contextmanager
    def locked_rows(self) -> Iterator[None]:
        """Holds locks on all containers, as a transaction does that somebody forgot."""
        with psycopg.connect(self._postgres.conninfo) as connection:
            connection.execute("SELECT FROM container FOR UPDATE")
            yield

    def drop_idle_connections(self) -> None:
        """Ends every connection to PostgreSQL that nobody uses."""
        with psycopg.connect(self._postgres.conninfo, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE state = 'idle' AND pid <> pg_backend_pid()"
            )

    def restart_postgres(self) -> None:
        """Stops PostgreSQL in order, if it still runs, and starts it again."""
        self._postgres.stop()
        self._postgres.start()

    def _postmaster(self) -> psutil.Process:
        pid_file = self._folder / "postgresql" / "data" / "postmaster.pid"
        return psutil.Process(int(pid_file.read_text().splitlines()[0]))

    # --- what must be true at the end ---

    def assert_logs_are_clean(self) -> None:
        """Checks that no log of a service holds anything of the files."""
        assert_nothing_identified((self._folder / "profile-service.log").read_bytes())
        for service in self._services:
            for identifier in IDENTIFIERS:
                assert not service.found(re.escape(identifier.decode()))

    def _set_up(self) -> None:
        with callers.channel(self.profile_service) as channel:
            service = ProfileServiceStub(channel)
            parts = TARGET.split("/")
            for depth in (2, 4, 6):
                container = pb.Container(name="/".join(parts[:depth]))
                service.CreateContainer(pb.CreateContainerRequest(container=container))
            service.SetProfile(pb.SetProfileRequest(container=TARGET, source=PROFILE))


@contextmanager
def running_system(folder: Path) -> Iterator[System]:
    """Gives a running system."""
    with ExitStack() as running:
        yield System(folder, running)


def _kill(process: psutil.Process) -> None:
    try:
        processes = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for one in processes:
        try:
            one.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(processes, timeout=PATIENCE_SECONDS)
