"""What the tests of the contract share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from deidcascade.v1 import profile_service_pb2 as pb

if TYPE_CHECKING:
    from deidcascade.v1.profile_service_pb2_grpc import ProfileServiceStub

SITE = "sites/s"
GROUP = "sites/s/groups/g"
PROJECT = "sites/s/groups/g/projects/p"
DEVICE = "sites/s/devices/d"


@pytest.fixture
def hierarchy(profile_service: ProfileServiceStub) -> ProfileServiceStub:
    """A client of a service with one container of each kind."""
    for name in (SITE, GROUP, PROJECT, DEVICE):
        request = pb.CreateContainerRequest(container=pb.Container(name=name))
        profile_service.CreateContainer(request)
    return profile_service
