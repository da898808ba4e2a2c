"""A pair of services with a hierarchy, which the tests of a module share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import grpc
import pytest
from deidcascade.v1 import access_service_pb2 as access_pb
from deidcascade.v1 import profile_service_pb2 as pb
from deidcascade.v1.access_service_pb2_grpc import AccessServiceStub
from deidcascade.v1.profile_service_pb2_grpc import ProfileServiceStub
from deidcascade.v1.table_service_pb2_grpc import TableServiceStub

from tests.support.callers import channel
from tests.support.deid_service import PROFILE, Running, running_deid_service
from tests.support.environment import ADMIN_KEY
from tests.support.services import running_profile_service

if TYPE_CHECKING:
    from tests.support.databases import Databases

SITE = "sites/s"
GROUP = f"{SITE}/groups/g"
PROJECT = f"{GROUP}/projects/p"
DEVICE = f"{SITE}/devices/d"
OTHER_GROUP = f"{SITE}/groups/h"
OTHER_PROJECT = f"{OTHER_GROUP}/projects/p"
OTHER_SITE = "sites/t"

EXISTING = (SITE, GROUP, PROJECT, DEVICE, OTHER_GROUP, OTHER_PROJECT, OTHER_SITE)


@dataclass
class Gateway:
    """A running pair.

    Attributes:
        address: of ProfileService.
        deid_service: of which ProfileService is the other.
        database: of both.
        running: ends what is opened.
    """

    address: str
    deid_service: Running
    database: str
    running: ExitStack
    _channels: dict[str, grpc.Channel] = field(default_factory=dict)

    def channel(self, key: str = ADMIN_KEY) -> grpc.Channel:
        """Opens a channel to ProfileService, once for each key."""
        if key not in self._channels:
            opened = self.running.enter_context(channel(self.address, key=key))
            self._channels[key] = opened
        return self._channels[key]

    def profiles(self, key: str = ADMIN_KEY) -> ProfileServiceStub:
        """Returns ProfileService for the holder of a key."""
        return ProfileServiceStub(self.channel(key))

    def access(self, key: str = ADMIN_KEY) -> AccessServiceStub:
        """Returns AccessService for the holder of a key."""
        return AccessServiceStub(self.channel(key))

    def stub(
        self, service: str, key: str
    ) -> ProfileServiceStub | AccessServiceStub | TableServiceStub:
        """Returns a service for the holder of a key, by its name."""
        kinds = (ProfileServiceStub, AccessServiceStub, TableServiceStub)
        return next(kind for kind in kinds if kind.__name__ == f"{service}Stub")(self.channel(key))

    def create(self, name: str) -> None:
        """Creates a container."""
        container = pb.Container(name=name)
        self.profiles().CreateContainer(pb.CreateContainerRequest(container=container))

    def delete(self, name: str) -> None:
        """Deletes a container."""
        self.profiles().DeleteContainer(pb.DeleteContainerRequest(name=name))

    def new_key(self, container: str = "", role: str = "", by: str = ADMIN_KEY) -> str:
        """Makes an API key; returns it."""
        return self.made_key(container, role, by).secret

    def made_key(
        self, container: str = "", role: str = "", by: str = ADMIN_KEY
    ) -> access_pb.CreateApiKeyResponse:
        """Makes an API key; returns what is answered."""
        request = access_pb.CreateApiKeyRequest(container=container, role=role)
        return self.access(by).CreateApiKey(request)

    def grant(self, principal: str, role: str, container: str, by: str = ADMIN_KEY) -> None:
        """Grants a role."""
        binding = access_pb.Binding(container=container, principal=principal, role=role)
        self.access(by).GrantRole(access_pb.GrantRoleRequest(binding=binding))

    def revoke(self, principal: str, role: str, container: str, by: str = ADMIN_KEY) -> None:
        """Revokes a role."""
        binding = access_pb.Binding(container=container, principal=principal, role=role)
        self.access(by).RevokeRole(access_pb.RevokeRoleRequest(binding=binding))

    def set_role(self, name: str, *permissions: str, by: str = ADMIN_KEY) -> None:
        """Makes a role of a site."""
        role = access_pb.Role(name=name, permissions=permissions)
        self.access(by).SetRole(access_pb.SetRoleRequest(role=role))

    def permissions(self, key: str, container: str = "") -> list[str]:
        """Returns what the holder of a key may do."""
        request = access_pb.TestPermissionsRequest(container=container)
        return list(self.access(key).TestPermissions(request).permissions)


def in_the_name_of(caller: str) -> tuple[tuple[str, str], ...]:
    """Returns the metadata that shows the key of a caller; none where there is none."""
    return (("caller-authorization", f"Bearer {caller}"),) if caller else ()


def principal(key: str) -> str:
    """Returns how bindings name an API key."""
    return f"key:{key.split('_')[1]}"


@pytest.fixture(scope="module")
def gateway(databases: Databases) -> Iterator[Gateway]:
    """A pair whose callers are looked at again all the time, with containers and a profile."""
    with ExitStack() as running:
        database = running.enter_context(databases.clone())
        address = running.enter_context(running_profile_service(database))
        deid = running.enter_context(running_deid_service(address, recheck_seconds=0.05))
        made = Gateway(address, deid, database, running)
        for name in EXISTING:
            made.create(name)
        for name in (SITE, DEVICE):
            made.profiles().SetProfile(pb.SetProfileRequest(container=name, source=PROFILE))
        yield made
