"""A hierarchy with a profile, for the services that are measured."""

from __future__ import annotations

from deidcascade.v1 import profile_service_pb2 as pb
from deidcascade.v1.profile_service_pb2_grpc import ProfileServiceStub

from tests.support.callers import channel

SITE = "sites/hospital"
GROUP = f"{SITE}/groups/radiology"
PROJECT = f"{GROUP}/projects/trial"


def set_up(address: str, source: str) -> None:
    """Makes a site, a group and a project, with a profile on the project."""
    with channel(address) as opened:
        service = ProfileServiceStub(opened)
        for name in (SITE, GROUP):
            container = pb.Container(name=name)
            service.CreateContainer(pb.CreateContainerRequest(container=container))
    add_project(address, PROJECT, source)


def add_project(address: str, name: str, source: str) -> None:
    """Makes a project with a profile."""
    with channel(address) as opened:
        service = ProfileServiceStub(opened)
        service.CreateContainer(pb.CreateContainerRequest(container=pb.Container(name=name)))
        service.SetProfile(pb.SetProfileRequest(container=name, source=source))
