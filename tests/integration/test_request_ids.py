"""One id from a caller through both services, their logs and the audit, and back."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

import grpc
import pytest
from deidcascade.v1 import access_service_pb2 as access_pb
from deidcascade.v1 import profile_service_pb2 as pb
from deidcascade.v1 import table_service_pb2 as table_pb
from deidcascade.v1.access_service_pb2_grpc import AccessServiceStub
from deidcascade.v1.deid_service_pb2_grpc import DeidServiceStub
from deidcascade.v1.profile_service_pb2_grpc import ProfileServiceStub

from tests.support import callers
from tests.support.audit import told
from tests.support.deid_service import (
    PROFILE,
    TARGET,
    ct,
    failure_of,
    opened,
    running_deid_service,
    whole_file,
)
from tests.support.environment import ADMIN_KEY_FILE
from tests.support.services import running_profile_service

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tests.support.databases import Databases

SITE, GROUP, OPEN = "sites/s", "sites/s/groups/g", "sites/s/groups/g/projects/open"
FILES = "files.deidentify"
GIVEN = (("x-request-id", "complaint-1"),)
COMMAND = [sys.executable, "-c", "from deid_service.cli import main; main()"]


class Pair(NamedTuple):
    """Both services, and channels to them with the key of an administrator."""

    profile_address: str
    deid_address: str
    profiles: grpc.Channel
    deid: grpc.Channel


@pytest.fixture(scope="module")
def pair(databases: Databases) -> Iterator[Pair]:
    """Both, with a project that takes uploads, and one that has no profile."""
    with (
        databases.clone() as database,
        running_profile_service(database) as profile_address,
        running_deid_service(profile_address) as running,
        callers.channel(profile_address) as profiles,
        callers.channel(running.address) as deid,
    ):
        stub = ProfileServiceStub(profiles)
        for name in (SITE, GROUP, TARGET, OPEN):
            container = pb.Container(name=name)
            stub.CreateContainer(pb.CreateContainerRequest(container=container))
        stub.SetProfile(pb.SetProfileRequest(container=TARGET, source=PROFILE))
        yield Pair(profile_address, running.address, profiles, deid)


def ids(metadata: Iterable[tuple[str, str | bytes]] | None) -> list[str | bytes]:
    """Returns the request ids of metadata."""
    return [value for name, value in metadata or () if name == "x-request-id"]


def test_every_call_answers_with_its_id(pair: Pair) -> None:
    """Each call of ProfileService and what is beside it, answered or refused, says which it was."""
    services = [
        pb.DESCRIPTOR.services_by_name["ProfileService"],
        access_pb.DESCRIPTOR.services_by_name["AccessService"],
        table_pb.DESCRIPTOR.services_by_name["TableService"],
    ]
    codes = set()
    for service in services:
        for method in service.methods:
            call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = pair.profiles.unary_unary(
                f"/{service.full_name}/{method.name}"
            )
            pending = call.future(b"", metadata=GIVEN)
            codes.add(pending.code())
            assert ids(pending.trailing_metadata()) == ["complaint-1"], method.name
    assert {grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT} <= codes


def test_a_caller_who_is_not_known_is_told_the_id(pair: Pair) -> None:
    """Also who shows no credential, and where the call gives none: one is made."""
    with callers.channel(pair.profile_address, key="") as channel:
        stub = ProfileServiceStub(channel)
        refused = failure_of(lambda: stub.GetContainer(pb.GetContainerRequest(name=SITE)))
    assert refused.code() is grpc.StatusCode.UNAUTHENTICATED
    (made,) = ids(refused.trailing_metadata())
    assert re.fullmatch("[0-9a-f]{16}", str(made))


def test_a_stream_and_what_comes_of_it(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    """Its id is in the metadata, in all lines of both services, and in the audit."""
    with caplog.at_level(logging.INFO):
        requests = iter([opened(), *whole_file(ct()), *whole_file(b"no DICOM" * 40)])
        call = DeidServiceStub(pair.deid).Deidentify(requests, metadata=GIVEN)
        assert ids(call.initial_metadata()) == ["complaint-1"]
        assert len(list(call)) > 3
        assert ids(call.trailing_metadata()) == ["complaint-1"]
        # Told a moment after the stream.
        while not (events := told(ProfileServiceStub(pair.profiles), TARGET, action=FILES)):
            pass

    lines = [line for line in caplog.messages if "request=complaint-1" in line]
    assert [re.match(r"event=\w+(?: method=\w+)?", line)[0] for line in lines] == [  # type: ignore[index]
        "event=call method=ResolveProfile",
        "event=file",
        "event=file",
        "event=stream",
    ]
    (event,) = events
    assert event.request_id == json.loads(event.event)["actor"]["request"] == "complaint-1"


def test_a_stream_that_is_refused(pair: Pair) -> None:
    """The id comes with the error, and nothing before it: gRPC can repeat the call by itself."""
    requests = iter([opened(OPEN)])
    call = DeidServiceStub(pair.deid).Deidentify(requests, metadata=GIVEN)
    refused = failure_of(lambda: next(call))
    assert refused.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert ids(refused.trailing_metadata()) == ["complaint-1"]
    assert ids(call.initial_metadata()) == []


def test_a_change_and_a_denial_in_the_audit(pair: Pair) -> None:
    """A change, and what a caller may not do, are told with the id of the call."""
    profiles = ProfileServiceStub(pair.profiles)
    access = AccessServiceStub(pair.profiles)
    name = "sites/s/devices/d"
    created = pb.CreateContainerRequest(container=pb.Container(name=name))
    profiles.CreateContainer(created, metadata=(("x-request-id", "made"),))
    made = access.CreateApiKey(access_pb.CreateApiKeyRequest(container=SITE, display_name="k"))
    with callers.channel(pair.profile_address, key=made.secret) as channel:
        deleting = pb.DeleteContainerRequest(name=name)
        denied = (("x-request-id", "denied"),)
        stub = ProfileServiceStub(channel)
        failure_of(lambda: stub.DeleteContainer(deleting, metadata=denied))

    events = told(profiles, name)
    assert [(event.action, event.denied_reason, event.request_id) for event in events] == [
        ("container.create", "", "made"),
        ("call", "PERMISSION_DENIED", "denied"),
    ]


def test_the_command_says_it(pair: Pair, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What was refused, as a call, as a stream or as a file, comes with the id in the log."""
    (tmp_path / "bad.dcm").write_bytes(b"no DICOM" * 40)
    upload: list[str | Path] = [
        "upload",
        "--deid-service",
        pair.deid_address,
        "--out",
        tmp_path / "out",
    ]
    commands: list[list[str | Path]] = [
        ["container", "create", "--profile-service", pair.profile_address, SITE],
        [*upload, "--to", OPEN, tmp_path / "bad.dcm"],
        [*upload, "--to", TARGET, tmp_path / "bad.dcm"],
    ]
    shown = []
    with caplog.at_level(logging.INFO):
        for arguments in commands:
            done = subprocess.run(
                [*COMMAND, *map(str, arguments), "--key-file", str(ADMIN_KEY_FILE)],
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
            )
            assert done.returncode == 1
            shown.append(re.search(r"request id (\S+?)[).]", done.stdout + done.stderr)[1])  # type: ignore[index]

    logged = [
        re.search(rf"event=(\w+) .*request={one}\b", "\n".join(caplog.messages)) for one in shown
    ]
    assert len(set(shown)) == 3
    assert all(logged)
