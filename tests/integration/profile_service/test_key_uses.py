"""When an API key was last used is stored now and then, and never in the way of a call."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import pytest
from deidcascade.v1 import access_service_pb2 as access_pb
from deidcascade.v1.access_service_pb2_grpc import AccessServiceStub

from profile_service import monitor
from profile_service.errors import TooManyCallsError
from profile_service.store.access import AccessStore
from tests.support.callers import channel
from tests.support.services import running_profile_service

if TYPE_CHECKING:
    from deidcascade.v1.access_service_pb2_grpc import AccessServiceStub as Stub


def last_uses(access: Stub) -> dict[str, bool]:
    """Returns which keys were used, as far as that is stored."""
    keys = access.ListApiKeys(access_pb.ListApiKeysRequest()).api_keys
    return {key.display_name: key.HasField("last_use_time") for key in keys}


def test_uses_are_stored(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key that was used has a time after a while, and the other one has none."""
    monkeypatch.setattr(monitor, "USES_SECONDS", 0.0)
    monkeypatch.setattr(monitor, "INTERVAL_SECONDS", 0.02)
    with running_profile_service(database) as address, channel(address) as opened:
        access = AccessServiceStub(opened)
        while not last_uses(access)["administrator"]:
            pass
        assert last_uses(access) == {"administrator": True, "DeidService": False}


def test_what_cannot_be_stored(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where changes have no room for it the service goes on."""
    tried = []

    def refuse(_: AccessStore) -> NoReturn:
        tried.append(True)
        raise TooManyCallsError

    monkeypatch.setattr(monitor, "USES_SECONDS", 0.0)
    monkeypatch.setattr(monitor, "INTERVAL_SECONDS", 0.02)
    monkeypatch.setattr(AccessStore, "record_uses", refuse)
    with running_profile_service(database) as address, channel(address) as opened:
        access = AccessServiceStub(opened)
        while len(tried) < 3:
            assert set(last_uses(access)) == {"administrator", "DeidService"}
