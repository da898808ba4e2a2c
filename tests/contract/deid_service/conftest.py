"""A DeidService whose ProfileService says what the test wants."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest

from tests.support import callers
from tests.support.deid_service import (
    Running,
    ScriptedProfileService,
    running_deid_service,
    serving,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def scripted() -> ScriptedProfileService:
    """What ProfileService answers."""
    return ScriptedProfileService()


@pytest.fixture
def scripted_address(scripted: ScriptedProfileService) -> Iterator[str]:
    """Where it is served."""
    with serving(scripted) as address:
        yield address


@pytest.fixture
def service(scripted_address: str) -> Iterator[Running]:
    """The service, with the default limits."""
    with running_deid_service(scripted_address) as running:
        yield running


@pytest.fixture
def channel(service: Running) -> Iterator[grpc.Channel]:
    """A channel to the service."""
    with callers.channel(service.address) as channel:
        yield channel
