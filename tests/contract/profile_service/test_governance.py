"""Governance: who set what and why, what would be, what stays, and what cannot be overridden."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from deidcascade.v1 import profile_service_pb2 as pb
from google.protobuf.field_mask_pb2 import FieldMask

from tests.contract.profile_service.conftest import DEVICE, GROUP, PROJECT, SITE
from tests.support.audit import told
from tests.support.refusals import refused

if TYPE_CHECKING:
    from deidcascade.v1.profile_service_pb2_grpc import ProfileServiceStub

VALID = "dicom:\n  fields:\n  - name: PatientName\n    remove: true\n"


def set_profile(service: ProfileServiceStub, container: str, source: str) -> pb.Profile:
    """Attaches a profile."""
    return service.SetProfile(pb.SetProfileRequest(container=container, source=source)).profile


# --- Who, why, and what would be ------------------------------------------------------------


def test_a_version_says_why(hierarchy: ProfileServiceStub) -> None:
    """The note stays with its version, in lists as well."""
    request = pb.SetProfileRequest(container=SITE, source=VALID, note="Approved.\nBy the board.")
    assert hierarchy.SetProfile(request).profile.note == request.note
    listed = hierarchy.ListProfileVersions(pb.ListProfileVersionsRequest(container=SITE))
    assert [each.note for each in listed.profiles] == [request.note]
    for note in ("x" * 1001, "a\tb", "\x00"):
        with refused("INVALID_ARGUMENT", "INVALID_NOTE"):
            hierarchy.SetProfile(pb.SetProfileRequest(container=SITE, source="", note=note))


def test_validate_only_says_what_would_be(hierarchy: ProfileServiceStub) -> None:
    """It answers with the version and the differences, and nothing is kept nor told."""
    set_profile(hierarchy, SITE, VALID)
    before = told(hierarchy, SITE)
    source = VALID.replace("PatientName", "PatientID")
    request = pb.SetProfileRequest(container=SITE, source=source, validate_only=True)
    answer = hierarchy.SetProfile(request)
    assert (answer.profile.version, answer.not_compared) == (2, False)
    assert [
        (list(each.elements), each.element_count, each.before, each.after)
        for each in answer.differences
    ] == [
        (["PatientName"], 1, "is removed", "stays"),
        (["PatientID"], 1, "stays", "is removed"),
    ]
    current = hierarchy.GetProfile(pb.GetProfileRequest(container=SITE)).profile
    assert current.version == 1
    assert told(hierarchy, SITE) == before


def test_validate_only_refuses_what_would_be_refused(hierarchy: ProfileServiceStub) -> None:
    """An old etag, an invalid text and an unknown container are refused as ever."""
    etag = set_profile(hierarchy, SITE, VALID).etag
    set_profile(hierarchy, SITE, VALID + "# 2\n")
    for code, reason, fields in (
        ("ABORTED", "ETAG_MISMATCH", {"container": SITE, "source": VALID, "etag": etag}),
        ("INVALID_ARGUMENT", "PROFILE_INVALID", {"container": SITE, "source": "dicom: 5"}),
        ("NOT_FOUND", "CONTAINER_NOT_FOUND", {"container": "sites/x", "source": VALID}),
    ):
        with refused(code, reason):
            hierarchy.SetProfile(pb.SetProfileRequest(validate_only=True, **fields))  # type: ignore[arg-type]
    invalid = pb.SetProfileRequest(
        container=SITE, source="dicom: 5", allow_invalid=True, validate_only=True
    )
    assert hierarchy.SetProfile(invalid).not_compared


def test_of_two_first_profiles_at_once_one_is_refused(hierarchy: ProfileServiceStub) -> None:
    """The etag of a profile is there before a profile is."""
    found = hierarchy.GetContainer(pb.GetContainerRequest(name=PROJECT)).container
    request = pb.SetProfileRequest(container=PROJECT, source=VALID, etag=found.profile_etag)
    hierarchy.SetProfile(request)
    request.source += "# 2\n"
    with refused("ABORTED", "ETAG_MISMATCH"):
        hierarchy.SetProfile(request)


def test_a_receipt_finds_its_profile(hierarchy: ProfileServiceStub) -> None:
    """A version is found by its digest, also when its container was deleted."""
    digest = set_profile(hierarchy, PROJECT, VALID).sha256
    hierarchy.DeleteContainer(pb.DeleteContainerRequest(name=PROJECT))
    request = pb.GetProfileRequest(container=PROJECT, sha256=digest)
    assert hierarchy.GetProfile(request).profile.source == VALID
    with refused("NOT_FOUND", "VERSION_NOT_FOUND"):
        hierarchy.GetProfile(pb.GetProfileRequest(container=GROUP, sha256=digest))
    with refused("INVALID_ARGUMENT", "INVALID_DIGEST") as refusal:
        hierarchy.GetProfile(pb.GetProfileRequest(container=PROJECT, sha256="12"))
    assert refusal.fields == ["sha256"]
    with refused("INVALID_ARGUMENT", "INVALID_VERSION"):
        hierarchy.GetProfile(pb.GetProfileRequest(container=SITE, sha256=digest, version=1))


# --- Locks ----------------------------------------------------------------------------------


def test_a_locked_level_is_not_overridden(hierarchy: ProfileServiceStub) -> None:
    """What is below a lock says so in the resolution; unlocked, it applies again."""
    for container in (SITE, PROJECT):
        set_profile(hierarchy, container, f"{VALID}# {container}\n")
    lock = pb.UpdateContainerRequest(container=pb.Container(name=SITE, profile_locked=True))
    assert hierarchy.UpdateContainer(lock).container.profile_locked
    found = hierarchy.ResolveProfile(pb.ResolveProfileRequest(target=PROJECT))
    assert found.profile.name == f"{SITE}/profile"
    assert [level.verdict for level in found.levels] == [
        pb.VERDICT_OVERRIDDEN_BY_LOCK,
        pb.VERDICT_OVERRIDDEN_BY_LOCK,
        pb.VERDICT_SELECTED,
    ]
    lock.container.profile_locked = False
    lock.update_mask.paths.append("profile_locked")
    assert not hierarchy.UpdateContainer(lock).container.profile_locked
    found = hierarchy.ResolveProfile(pb.ResolveProfileRequest(target=PROJECT))
    assert found.profile.name == f"{PROJECT}/profile"


def test_a_device_keeps_its_own_profile(hierarchy: ProfileServiceStub) -> None:
    """A lock of the site is about projects: a device has its own profile and only that."""
    set_profile(hierarchy, DEVICE, VALID)
    lock = pb.Container(name=SITE, profile_locked=True)
    hierarchy.UpdateContainer(pb.UpdateContainerRequest(container=lock))
    found = hierarchy.ResolveProfile(pb.ResolveProfileRequest(target=DEVICE))
    assert [level.verdict for level in found.levels] == [pb.VERDICT_SELECTED]


@pytest.mark.parametrize("name", [PROJECT, DEVICE])
def test_what_has_nothing_below_has_no_lock(hierarchy: ProfileServiceStub, name: str) -> None:
    """Projects and devices cannot be locked, when they are made or later."""
    locked = pb.Container(name=name, profile_locked=True)
    with refused("INVALID_ARGUMENT", "INVALID_CONTAINER") as refusal:
        hierarchy.UpdateContainer(pb.UpdateContainerRequest(container=locked))
    assert refusal.fields == ["container.profile_locked"]
    with refused("INVALID_ARGUMENT", "INVALID_CONTAINER"):
        hierarchy.CreateContainer(pb.CreateContainerRequest(container=locked))
    mask = FieldMask(paths=["profile_locked"])
    with refused("INVALID_ARGUMENT", "INVALID_CONTAINER"):
        hierarchy.UpdateContainer(pb.UpdateContainerRequest(container=locked, update_mask=mask))
