"""ProfileService when its database goes away, comes back, or is not there yet."""

from __future__ import annotations

import signal
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import psutil
import psycopg
import pytest
from deidcascade.v1 import profile_service_pb2 as pb
from deidcascade.v1.profile_service_pb2_grpc import ProfileServiceStub
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from deid_service.embedded.postgres import EmbeddedPostgres
from profile_service.errors import SchemaTooNewError
from profile_service.servicers import PROFILE_SERVICE
from tests.support import callers
from tests.support.refusals import refused
from tests.support.services import running_profile_service

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.databases import Databases

# A service that has lost its database says so, and finds it again, within seconds.
PATIENCE_SECONDS = 20

SITE = pb.CreateContainerRequest(container=pb.Container(name="sites/s"))
DEVICE = pb.CreateContainerRequest(container=pb.Container(name="sites/s/devices/d"))
RESOLUTION = pb.ResolveProfileRequest(target="sites/s/devices/d")


@pytest.fixture
def postgres() -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL server of the test's own, not started."""
    with tempfile.TemporaryDirectory(prefix="pg-") as folder:
        server = EmbeddedPostgres(Path(folder), durable=False)
        yield server
        server.stop()


@contextmanager
def watched(address: str, service: str = "") -> Iterator[Iterator[int]]:
    """Gives the states of health of a service as they change, the current one first."""
    with callers.channel(address) as channel:
        watch = channel.unary_stream(
            "/grpc.health.v1.Health/Watch",
            request_serializer=HealthCheckRequest.SerializeToString,
            response_deserializer=HealthCheckResponse.FromString,
        )
        call = watch(HealthCheckRequest(service=service), timeout=PATIENCE_SECONDS)
        yield (answer.status for answer in call)
        call.cancel()


def test_health_follows_the_database(postgres: EmbeddedPostgres) -> None:
    """Without its database the service is NOT_SERVING and refuses calls; then it is back."""
    postgres.start()
    with (
        running_profile_service(postgres.conninfo) as address,
        callers.channel(address) as channel,
        watched(address) as states,
        watched(address, PROFILE_SERVICE.full_name) as own_states,
    ):
        service = ProfileServiceStub(channel)
        service.CreateContainer(SITE)
        assert next(states) == next(own_states) == HealthCheckResponse.SERVING
        postgres.stop()
        with refused("UNAVAILABLE", "STORE_UNAVAILABLE"):
            service.GetContainer(pb.GetContainerRequest(name="sites/s"), timeout=PATIENCE_SECONDS)
        assert next(states) == next(own_states) == HealthCheckResponse.NOT_SERVING
        postgres.start()
        assert next(states) == next(own_states) == HealthCheckResponse.SERVING
        found = service.GetContainer(pb.GetContainerRequest(name="sites/s"))
        assert found.container.name == "sites/s"


def test_callers_do_not_queue_for_a_database_that_is_gone(postgres: EmbeddedPostgres) -> None:
    """Once the service knows, hundreds of calls are refused sooner than their turns would come."""
    postgres.start()
    with (
        running_profile_service(postgres.conninfo) as address,
        callers.channel(address) as channel,
        watched(address) as states,
    ):
        assert next(states) == HealthCheckResponse.SERVING
        postgres.stop()
        assert next(states) == HealthCheckResponse.NOT_SERVING
        request = pb.GetContainerRequest(name="sites/s")
        calls = [
            ProfileServiceStub(channel).GetContainer.future(request, timeout=10) for _ in range(640)
        ]
        assert {call.code() for call in calls} == {grpc.StatusCode.UNAVAILABLE}


def cut_connections(postgres: EmbeddedPostgres) -> None:
    """Ends all connections of the service, from the side of the server."""
    with psycopg.connect(postgres.conninfo, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'profile_service'"
        )


def test_a_killed_database_is_found_again(postgres: EmbeddedPostgres) -> None:
    """When PostgreSQL kills all connections after a crash of its own, the service recovers."""
    postgres.start()
    with (
        running_profile_service(postgres.conninfo) as address,
        callers.channel(address) as channel,
        watched(address) as states,
    ):
        service = ProfileServiceStub(channel)
        service.CreateContainer(SITE)
        assert next(states) == HealthCheckResponse.SERVING
        cut_connections(postgres)
        answers = [answer_of(service) for _ in range(8)]
        # Each connection that was cut costs one call at most.
        assert set(answers) <= {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE}
        assert answers[-1] is grpc.StatusCode.OK


def test_resolutions_find_a_killed_database_again(postgres: EmbeddedPostgres) -> None:
    """Connections that are kept for resolutions are replaced when they are cut."""
    postgres.start()
    with (
        running_profile_service(postgres.conninfo) as address,
        callers.channel(address) as channel,
        watched(address) as states,
    ):
        service = ProfileServiceStub(channel)
        service.CreateContainer(SITE)
        service.CreateContainer(DEVICE)
        assert next(states) == HealthCheckResponse.SERVING
        for _ in range(2):
            calls = [
                service.ResolveProfile.future(RESOLUTION, timeout=PATIENCE_SECONDS)
                for _ in range(8)
            ]
            assert {call.code() for call in calls} == {grpc.StatusCode.OK}
            cut_connections(postgres)
            codes = [service.ResolveProfile.future(RESOLUTION).code() for _ in range(8)]
            # Each connection that was cut costs one call at most.
            assert set(codes) <= {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE}
            assert codes[-1] is grpc.StatusCode.OK


def test_a_database_that_stalls_is_not_waited_for(postgres: EmbeddedPostgres) -> None:
    """A server that is there and says nothing costs a call seconds, and no more."""
    postgres.start()
    with (
        running_profile_service(postgres.conninfo) as address,
        callers.channel(address) as channel,
        watched(address) as states,
    ):
        service = ProfileServiceStub(channel)
        service.CreateContainer(SITE)
        service.CreateContainer(DEVICE)
        # Connections for resolutions are there, and are those that stall.
        service.ResolveProfile(RESOLUTION)
        assert next(states) == HealthCheckResponse.SERVING
        processes = processes_of(postgres)
        for process in processes:
            process.send_signal(signal.SIGSTOP)
        try:
            calls = [
                service.ResolveProfile.future(RESOLUTION, timeout=PATIENCE_SECONDS)
                for _ in range(8)
            ]
            assert answer_of(service) is grpc.StatusCode.UNAVAILABLE
            assert {call.code() for call in calls} == {grpc.StatusCode.UNAVAILABLE}
            assert next(states) == HealthCheckResponse.NOT_SERVING
        finally:
            for process in processes:
                process.send_signal(signal.SIGCONT)
        assert next(states) == HealthCheckResponse.SERVING
        assert answer_of(service) is grpc.StatusCode.OK
        assert service.ResolveProfile.future(RESOLUTION).code() is grpc.StatusCode.OK


def test_the_service_starts_before_its_database(postgres: EmbeddedPostgres) -> None:
    """Without a database it serves UNAVAILABLE; it migrates the one that comes."""
    postgres.start()
    conninfo = postgres.conninfo
    postgres.stop()
    with (
        running_profile_service(conninfo) as address,
        callers.channel(address) as channel,
        watched(address) as states,
    ):
        service = ProfileServiceStub(channel)
        assert next(states) == HealthCheckResponse.NOT_SERVING
        with refused("UNAVAILABLE", "STORE_UNAVAILABLE"):
            service.CreateContainer(SITE, timeout=PATIENCE_SECONDS)
        postgres.start()
        assert next(states) == HealthCheckResponse.SERVING
        service.CreateContainer(SITE)


def test_a_newer_database_is_not_served(databases: Databases) -> None:
    """The service does not start on what a newer build has migrated."""
    with databases.clone() as conninfo:
        with psycopg.connect(conninfo, autocommit=True) as connection:
            connection.execute("INSERT INTO schema_migration (number) VALUES (999)")
        with pytest.raises(SchemaTooNewError), running_profile_service(conninfo):
            pass


def test_an_unforeseen_fault_is_internal(database: str, caplog: pytest.LogCaptureFixture) -> None:
    """What nobody foresaw is INTERNAL; the log tells the SQLSTATE and no value."""
    with (
        running_profile_service(database) as address,
        callers.channel(address) as channel,
        psycopg.connect(database, autocommit=True) as connection,
    ):
        connection.execute("ALTER TABLE container ADD CHECK (display_name <> 'Jane Doe')")
        container = pb.Container(name="sites/s", display_name="Jane Doe")
        with refused("INTERNAL", "INTERNAL") as refusal:
            ProfileServiceStub(channel).CreateContainer(
                pb.CreateContainerRequest(container=container)
            )
    assert "SQLSTATE 23514" in caplog.text
    for told in (refusal.message, caplog.text):
        assert "Jane" not in told


def answer_of(service: ProfileServiceStub) -> grpc.StatusCode:
    """Returns the status of a call that should succeed."""
    try:
        service.GetContainer(pb.GetContainerRequest(name="sites/s"), timeout=PATIENCE_SECONDS)
    except grpc.RpcError as error:
        code: grpc.StatusCode = error.code()
        return code
    return grpc.StatusCode.OK


def processes_of(postgres: EmbeddedPostgres) -> list[psutil.Process]:
    """Returns the first process of a server, and those that serve the service."""
    with psycopg.connect(postgres.conninfo) as connection:
        serving = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'profile_service'"
        ).fetchall()
        (first,) = connection.execute(
            "SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)::integer"
        ).fetchall()
    assert serving
    return [psutil.Process(pid) for (pid,) in [first, *serving]]
