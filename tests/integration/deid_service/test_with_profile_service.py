"""DeidService with the real ProfileService and PostgreSQL."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import grpc
import psycopg
import pytest
from deidcascade.v1 import profile_service_pb2 as profile_pb

from deid_service.contract.rpc_errors import read_details
from deid_service.serving import events
from tests.support import callers
from tests.support.audit import told, troubles
from tests.support.deid_service import (
    BLANK,
    PROFILE,
    TARGET,
    Caller,
    ct,
    failure_of,
    opened,
    running_deid_service,
    status_of,
    whole_file,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deidcascade.v1.profile_service_pb2_grpc import ProfileServiceStub

    from deid_service.client import LevelVerdict

SITE, GROUP = "sites/s", "sites/s/groups/g"
DEVICE = "sites/s/devices/scanner"
REMOVES = "dicom: {fields: [{name: PatientName, remove: true}]}"


@pytest.fixture
def hierarchy(profile_service: ProfileServiceStub) -> ProfileServiceStub:
    """A site, a group, a project and a device, without profiles."""
    for name in (SITE, GROUP, TARGET, DEVICE):
        container = profile_pb.Container(name=name)
        profile_service.CreateContainer(profile_pb.CreateContainerRequest(container=container))
    return profile_service


@pytest.fixture
def channel(profile_service_address: str) -> Iterator[grpc.Channel]:
    """A channel to a DeidService beside it."""
    with (
        running_deid_service(profile_service_address) as running,
        callers.channel(running.address) as channel,
    ):
        yield channel


def attach(
    service: ProfileServiceStub, container: str, source: str, *, allow_invalid: bool = False
) -> None:
    """Sets a profile."""
    service.SetProfile(
        profile_pb.SetProfileRequest(
            container=container, source=source, allow_invalid=allow_invalid
        )
    )


def upload(channel: grpc.Channel, target: str = TARGET) -> tuple[bytes, str, int]:
    """Uploads a CT; returns the output, and the profile and version of its receipt."""
    caller = Caller(channel, opened(target), *whole_file(ct()))
    output, result = caller.receive_result()
    caller.half_close()
    assert result.HasField("receipt")
    return output, result.receipt.profile_name, result.receipt.profile_version


def refusal(channel: grpc.Channel, target: str) -> tuple[str, tuple[LevelVerdict, ...]]:
    """Returns the reason and the verdicts with which a stream is refused."""
    found = read_details(failure_of(Caller(channel, opened(target)).receive))
    return found.reason, found.verdicts


def test_the_cascade_decides(hierarchy: ProfileServiceStub, channel: grpc.Channel) -> None:
    """The nearest valid profile applies, an invalid one is skipped, and none is a refusal."""
    reason, verdicts = refusal(channel, TARGET)
    assert reason == "NO_VALID_PROFILE"
    assert [str(verdict) for verdict in verdicts] == [
        f"{TARGET}: ABSENT",
        f"{GROUP}: ABSENT",
        f"{SITE}: ABSENT",
    ]

    attach(hierarchy, SITE, PROFILE)
    assert upload(channel)[1:] == (f"{SITE}/profile", 1)
    attach(hierarchy, GROUP, REMOVES)
    attach(hierarchy, TARGET, "dicom: {", allow_invalid=True)
    assert upload(channel)[1:] == (f"{GROUP}/profile", 1)
    attach(hierarchy, TARGET, BLANK)
    assert upload(channel) == (ct(), f"{TARGET}/profile", 2)


def test_a_profile_applies_from_the_moment_it_is_set(
    hierarchy: ProfileServiceStub, channel: grpc.Channel
) -> None:
    """The next stream has the new version, and one that comes back costs no second text."""
    versions = []
    for source in (PROFILE, REMOVES, PROFILE):
        attach(hierarchy, TARGET, source)
        output, _, version = upload(channel)
        versions.append((version, b"ANON" in output))

    assert versions == [(1, True), (2, False), (3, True)]


def test_a_device_has_its_own_profile_only(
    hierarchy: ProfileServiceStub, channel: grpc.Channel
) -> None:
    """What the site says does not apply to a device."""
    attach(hierarchy, SITE, PROFILE)
    assert refusal(channel, DEVICE)[0] == "NO_VALID_PROFILE"

    attach(hierarchy, DEVICE, REMOVES)
    assert upload(channel, DEVICE)[1] == f"{DEVICE}/profile"


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("sites/s/groups/g/projects/none", "TARGET_NOT_FOUND"),
        ("sites/s", "INVALID_NAME"),
        ("Jane Doe", "INVALID_NAME"),
        ("", "INVALID_NAME"),
    ],
)
def test_what_is_no_target_is_refused(
    hierarchy: ProfileServiceStub,
    channel: grpc.Channel,
    caplog: pytest.LogCaptureFixture,
    target: str,
    reason: str,
) -> None:
    """An unknown target and what is no target are told apart; free text is not logged."""
    del hierarchy

    assert refusal(channel, target)[0] == reason
    assert "Jane" not in caplog.text


def test_enforcement_that_is_disabled(hierarchy: ProfileServiceStub, channel: grpc.Channel) -> None:
    """Where the site has switched it off bytes pass unchanged, and no profile is named."""
    attach(hierarchy, TARGET, PROFILE)
    container = profile_pb.Container(name=SITE, enforcement=profile_pb.ENFORCEMENT_DISABLED)
    hierarchy.UpdateContainer(profile_pb.UpdateContainerRequest(container=container))

    assert upload(channel) == (ct(), "", 0)


def test_the_audit_is_told_of_files(
    hierarchy: ProfileServiceStub, profile_service_address: str
) -> None:
    """What became of a file stands in the chain of its site, with who uploaded it."""
    attach(hierarchy, SITE, REMOVES)
    with (
        running_deid_service(profile_service_address) as running,
        callers.channel(running.address) as channel,
    ):
        output, _, version = upload(channel)
    # A service that ends tells what it has not told.
    (event,) = told(hierarchy, TARGET, action="files.deidentify")
    said = json.loads(event.event)["after"]
    assert said["files"] == [
        {"in": len(ct()), "out": len(output), "sha256": hashlib.sha256(output).hexdigest()}
    ]
    assert (said["profile"], said["version"]) == (f"{SITE}/profile", version)
    assert said["caller"].startswith("key:")
    assert event.subject
    assert troubles(hierarchy) == {}
    assert "CompressedSamples" not in event.event


def test_a_site_can_let_no_file_out_untold(
    hierarchy: ProfileServiceStub,
    database: str,
    channel: grpc.Channel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While the audit cannot be told, such a site gets no receipts; then it does."""
    attach(hierarchy, SITE, REMOVES)
    wanted = profile_pb.Container(name=SITE, file_audit=profile_pb.FILE_AUDIT_REQUIRED)
    hierarchy.UpdateContainer(profile_pb.UpdateContainerRequest(container=wanted))
    upload(channel)
    assert len(told(hierarchy, TARGET, action="files.deidentify")) == 1
    with psycopg.connect(database, autocommit=True) as connection, monkeypatch.context() as soon:
        soon.setattr(events, "REQUIRED_SECONDS", 0.5)
        connection.execute("ALTER FUNCTION audit_append RENAME TO gone")
        caller = Caller(channel, opened(TARGET), *whole_file(ct()))
        assert status_of(caller.receive_all) == ("UNAVAILABLE", "AUDIT_UNAVAILABLE")
        connection.execute("ALTER FUNCTION gone RENAME TO audit_append")
    upload(channel)
    assert troubles(hierarchy) == {}
