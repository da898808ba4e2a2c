"""Fixtures that tests of several parts share."""

from __future__ import annotations

import tests.support.environment  # isort: skip  # noqa: F401
import faulthandler
import gc
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from deidcascade.v1.profile_service_pb2_grpc import ProfileServiceStub
from hypothesis import HealthCheck, settings

from deid_service.embedded.postgres import EmbeddedPostgres
from tests.support import callers
from tests.support.databases import Databases
from tests.support.memory import in_memory
from tests.support.services import running_profile_service

if TYPE_CHECKING:
    from collections.abc import Iterator

# A machine under load is slow; that is nothing about the code under test.
settings.register_profile(
    "untimed", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("untimed")


def pytest_collection_finish() -> None:
    """Takes thousands of tests out of what the garbage collector looks through again and again.

    It takes as long as a second for that, in the middle of whatever a test does.
    """
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Gives the end of a test an end, too: where it has failed, pytest watches no longer."""
    seconds = float(item.config.getini("faulthandler_timeout"))
    # What a test has for standard error may have no number.
    faulthandler.dump_traceback_later(seconds, exit=True, file=2)


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
    with callers.channel(profile_service_address) as channel:
        yield ProfileServiceStub(channel)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A test that is skipped has not passed: what it needs is missing, and that is a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter is not None and reporter.stats.get("skipped")
    if skipped and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
