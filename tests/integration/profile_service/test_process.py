"""ProfileService as an operator runs it: a supervisor, workers, signals and deaths."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import grpc
import psycopg
import pytest
from deidcascade.v1 import profile_service_pb2 as pb
from deidcascade.v1.profile_service_pb2_grpc import ProfileServiceStub

from profile_service.store.migrate import migrations
from tests.support import callers
from tests.support.processes import service_process
from tests.support.refusals import refused

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from tests.support.databases import Databases
    from tests.support.processes import ServiceProcess

PATIENCE_SECONDS = 20

SITE = pb.CreateContainerRequest(container=pb.Container(name="sites/s"))


def running(database: str, *arguments: str) -> AbstractContextManager[ServiceProcess]:
    """Runs the service with two workers."""
    return service_process(
        "--database", database, "--workers", "2", *arguments, module="profile_service"
    )


def get_site(address: str) -> str:
    """Reads the site over a connection of its own, which finds a worker that lives.

    A connection that came in while a worker was dying breaks: then it comes back.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    request = pb.GetContainerRequest(name="sites/s")
    with callers.channel(address) as channel:
        while True:
            try:
                found: pb.GetContainerResponse = ProfileServiceStub(channel).GetContainer(
                    request, wait_for_ready=True, timeout=PATIENCE_SECONDS
                )
            except grpc.RpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE or time.monotonic() > deadline:
                    raise
            else:
                return found.container.name


def wait_until_locked_out(database: str) -> None:
    """Waits until a statement waits for a lock in the database."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    with psycopg.connect(database, autocommit=True) as connection:
        while not connection.execute(
            "SELECT FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event_type = 'Lock'"
        ).fetchall():
            assert time.monotonic() < deadline


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_service_serves_until_it_is_told_to_end(database: str, number: signal.Signals) -> None:
    """It says where it listens, serves, and ends with 0 when asked to."""
    with running(database) as service:
        with callers.channel(service.address) as channel:
            ProfileServiceStub(channel).CreateContainer(SITE)
        service.signal(number)
        assert service.wait() == 0


def test_sigterm_finishes_calls(database: str) -> None:
    """A call that is under way gets its answer, and then every process ends, with exit code 0."""
    with (
        running(database) as service,
        callers.channel(service.address) as channel,
        psycopg.connect(database) as other,
    ):
        other.execute("LOCK TABLE container")
        call = ProfileServiceStub(channel).CreateContainer.future(SITE)
        wait_until_locked_out(database)

        service.signal(signal.SIGTERM)
        service.wait_for("event=drain", times=2)
        other.rollback()

        assert call.result(PATIENCE_SECONDS).container.name == "sites/s"
        assert service.wait() == 0


def test_a_worker_that_is_killed_is_replaced(database: str) -> None:
    """The other one answers meanwhile, and the new one when it is killed too."""
    with running(database) as service:
        with callers.channel(service.address) as channel:
            ProfileServiceStub(channel).CreateContainer(SITE)
        first, second = service.workers(times=2)

        os.kill(first, signal.SIGKILL)

        assert get_site(service.address) == "sites/s"
        service.wait_for("event=worker_died .*code=-9")
        service.workers(times=3)

        os.kill(second, signal.SIGKILL)

        assert get_site(service.address) == "sites/s"


def test_workers_migrate_a_new_database_once(databases: Databases) -> None:
    """Of workers that start at the same time one migrates, and all serve."""
    with databases.clone("template0") as database, running(database) as service:
        service.wait_for("event=database answers=true", times=2)
        assert [match[1] for match in service.found(r"event=migrated number=(\d+)")] == [
            str(number) for number in migrations()
        ]


def test_a_newer_database_is_told(database: str) -> None:
    """On a database that a newer build has migrated the service ends, and says why."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("INSERT INTO schema_migration (number) VALUES (999)")
    with running(database) as service:
        assert service.address == ""
        assert service.wait() == 1
        assert service.found("profile_service: The database is at migration 999")


def test_the_log_has_one_line_per_call_and_no_texts(database: str) -> None:
    """A line tells method, resource, code, reason and time; nothing of what was sent."""
    with running(database) as running_service:
        with callers.channel(running_service.address) as channel:
            service = ProfileServiceStub(channel)
            site = pb.Container(name="sites/s", display_name="Jane")
            service.CreateContainer(pb.CreateContainerRequest(container=site))
            with refused("INVALID_ARGUMENT", "PROFILE_INVALID"):
                service.SetProfile(pb.SetProfileRequest(container="sites/s", source="Jane: Doe"))
            with refused("INVALID_ARGUMENT", "INVALID_NAME"):
                service.GetContainer(pb.GetContainerRequest(name="Jane/Doe"))
        running_service.signal(signal.SIGTERM)
        running_service.wait()
        rest = r"seconds=0\.\d{6} caller=key:a+ request=[0-9a-f]{16}$"
        calls = running_service.found(f"event=call (.*) {rest}")
        assert [call[1] for call in calls] == [
            "method=CreateContainer resource=sites/s code=OK",
            "method=SetProfile resource=sites/s code=INVALID_ARGUMENT reason=PROFILE_INVALID",
            "method=GetContainer code=INVALID_ARGUMENT reason=INVALID_NAME",
        ]
        assert not running_service.found("Jane")


def test_a_port_that_is_taken_is_not_shared(database: str) -> None:
    """A second service on the same port ends and says why."""
    with running(database) as service:
        second = subprocess.run(
            [sys.executable, "-m", "profile_service", "--listen", service.address],
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )
    assert second.returncode == 1
    assert second.stderr == (
        f"profile_service: Cannot listen on {service.address}: Address already in use.\n"
    )


def test_workers_do_not_outlive_their_supervisor(database: str) -> None:
    """Workers whose supervisor is killed end by themselves."""
    with running(database) as service:
        service.signal(signal.SIGKILL)

        assert service.wait() == -signal.SIGKILL
