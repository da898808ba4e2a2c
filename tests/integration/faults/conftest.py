"""One system for all tests of faults: each must leave it working."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.faults.system import System, running_system
from tests.support.memory import in_memory

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="package")
def shared_system() -> Iterator[System]:
    """The system, started once: a fault that it does not recover from fails what follows."""
    with (
        tempfile.TemporaryDirectory(prefix="faults-", dir=in_memory()) as folder,
        running_system(Path(folder)) as system,
    ):
        yield system


@pytest.fixture
def system(shared_system: System) -> Iterator[System]:
    """The system; its logs are looked through after each test."""
    yield shared_system
    shared_system.assert_logs_are_clean()
