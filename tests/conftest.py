"""Fixtures that tests of several parts share."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest
from deidcascade.v1.profile_service_pb2_grpc import ProfileServiceStub

from deid_service.embedded_postgres import EmbeddedPostgres
from tests.support.databases import Databases
from tests.support.services import running_profile_service

if TYPE_CHECKING:
    from collections.abc import Iterator


# A file system in memory, where there is one: each test makes and drops hundreds of small
# files. The databases of a run take a fraction of this.
MEMORY = Path("/dev/shm")  # noqa: S108 -- a folder of its own is made in it
ROOM = 2 << 30


def in_memory() -> Path | None:
    """Returns a folder in memory with enough room, if there is one."""
    roomy = os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM
    return MEMORY if roomy else None


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    """One PostgreSQL server for all tests, with a migrated template."""
    with (
        tempfile.TemporaryDirectory(prefix="pg-", dir=in_memory()) as folder,
        EmbeddedPostgres(Path(folder), durable=False) as conninfo,
    ):
        yield Databases(conninfo)


@pytest.fixture
def database(databases: Databases) -> Iterator[str]:
    """The conninfo of a migrated database of the test's own."""
    with databases.clone() as conninfo:
        yield conninfo


@pytest.fixture
def profile_service_address(database: str) -> Iterator[str]:
    """The address of a ProfileService on a database of the test's own."""
    with running_profile_service(database) as address:
        yield address


@pytest.fixture
def profile_service(profile_service_address: str) -> Iterator[ProfileServiceStub]:
    """A client of a ProfileService on a database of the test's own."""
    with grpc.insecure_channel(profile_service_address) as channel:
        yield ProfileServiceStub(channel)
