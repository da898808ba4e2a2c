"""Fixtures that tests of both services together share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from profile_service.keys.files import write_secret
from tests.integration.test_keys import pair
from tests.integration.test_tables import Services
from tests.support.certificates import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.databases import Databases


@pytest.fixture(scope="module")
def authority() -> Iterator[Authority]:
    """The authority of the hospital."""
    with Authority() as one:
        yield one


@pytest.fixture(scope="module")
def foreign() -> Iterator[Authority]:
    """Another one."""
    with Authority() as one:
        yield one


@pytest.fixture(scope="module")
def services(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """Services for all tests of the module, each with containers of its own."""
    keys = tmp_path_factory.mktemp("keys")
    write_secret(keys / "master.key")
    with databases.clone() as database, pair(database, keys) as both:
        both.make_containers()
        yield Services(both, database)
