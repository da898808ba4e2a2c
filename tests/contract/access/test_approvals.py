"""Four eyes: what one proposes is in force when another one has approved it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from deidcascade.v1 import profile_service_pb2 as pb
from google.protobuf.field_mask_pb2 import FieldMask

from tests.contract.access.conftest import Gateway
from tests.support.audit import told, troubles
from tests.support.deid_service import PROFILE
from tests.support.refusals import refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deidcascade.v1.profile_service_pb2_grpc import ProfileServiceStub

SITE = "sites/four-eyes"
GROUP = f"{SITE}/groups/g"
PROJECT = f"{GROUP}/projects/p"
OTHER = f"{PROFILE}# 2\n"


class People:
    """Two administrators of a site, and one who sees it, as clients.

    Attributes:
        first: one administrator.
        second: another one.
        viewer: sees profiles.
    """

    def __init__(self, gateway: Gateway) -> None:
        for name in (SITE, GROUP, PROJECT):
            gateway.create(name)
        self.first, self.second, self.viewer = (
            gateway.profiles(gateway.new_key(SITE, role))
            for role in ("site-admin", "site-admin", "viewer")
        )


@pytest.fixture
def people(gateway: Gateway) -> Iterator[People]:
    """A site where changes are to be approved, with a profile on its project."""
    found = People(gateway)
    request = pb.SetProfileRequest(container=PROJECT, source=PROFILE)
    found.first.SetProfile(request)
    site = pb.Container(name=SITE, approval_required=True)
    found.first.UpdateContainer(pb.UpdateContainerRequest(container=site))
    yield found
    change = propose(found.first, update_container=switch_off_approvals())
    decide(found.second, change)
    for name in (PROJECT, GROUP, SITE):
        gateway.delete(name)


def switch_off_approvals() -> pb.UpdateContainerRequest:
    """Returns the request that lets people change things alone again."""
    return pb.UpdateContainerRequest(
        container=pb.Container(name=SITE), update_mask=FieldMask(paths=["approval_required"])
    )


def propose(service: ProfileServiceStub, **change: Any) -> pb.Change:
    """Proposes a change."""
    request = pb.ProposeChangeRequest(note="Why not.", **change)
    return service.ProposeChange(request).change


def decide(service: ProfileServiceStub, change: pb.Change, *, approve: bool = True) -> pb.Change:
    """Decides a change."""
    request = pb.DecideChangeRequest(
        container=change.container, number=change.number, approve=approve
    )
    return service.DecideChange(request).change


def attached(service: ProfileServiceStub) -> str:
    """Returns the text that is attached to the project."""
    return service.GetProfile(pb.GetProfileRequest(container=PROJECT)).profile.source


def test_nobody_changes_alone_what_is_in_force(people: People) -> None:
    """Profiles, switches and what has a profile are not changed by one person."""
    mask = FieldMask(paths=["enforcement"])
    off = pb.Container(name=SITE, enforcement=pb.ENFORCEMENT_DISABLED)
    calls: list[tuple[Any, Any]] = [
        (people.first.SetProfile, pb.SetProfileRequest(container=PROJECT, source=OTHER)),
        (people.first.ClearProfile, pb.ClearProfileRequest(container=PROJECT)),
        (people.first.DeleteContainer, pb.DeleteContainerRequest(name=PROJECT)),
        (
            people.first.UpdateContainer,
            pb.UpdateContainerRequest(container=off, update_mask=mask),
        ),
        (
            people.first.UpdateContainer,
            pb.UpdateContainerRequest(container=pb.Container(name=GROUP, profile_locked=True)),
        ),
        (people.first.UpdateContainer, switch_off_approvals()),
    ]
    for call, request in calls:
        with refused("FAILED_PRECONDITION", "APPROVAL_REQUIRED"):
            call(request)
    assert attached(people.first) == PROFILE
    named = pb.Container(name=SITE, display_name="A clinic")
    people.first.UpdateContainer(pb.UpdateContainerRequest(container=named))
    same = pb.SetProfileRequest(container=PROJECT, source=PROFILE)
    assert people.first.SetProfile(same).profile.version == 1
    looked = pb.SetProfileRequest(container=PROJECT, source=OTHER, validate_only=True)
    assert people.first.SetProfile(looked).profile.version == 2


def test_another_person_approves(people: People) -> None:
    """What was proposed is in force with the approval, and both persons are told."""
    setting = pb.SetProfileRequest(container=PROJECT, source=OTHER, note="For the study.")
    change = propose(people.first, set_profile=setting)
    assert attached(people.first) == PROFILE
    with refused("FAILED_PRECONDITION", "SAME_PERSON"):
        decide(people.first, change)
    with refused("PERMISSION_DENIED", "PERMISSION_DENIED"):
        decide(people.viewer, change)
    assert attached(people.first) == PROFILE

    decided = decide(people.second, change)

    assert decided.state == pb.CHANGE_STATE_APPROVED
    profile = people.first.GetProfile(pb.GetProfileRequest(container=PROJECT)).profile
    assert (profile.source, profile.note) == (OTHER, "For the study.")
    with refused("FAILED_PRECONDITION", "CHANGE_DECIDED"):
        decide(people.second, change)
    done = [event.action for event in told(people.first, PROJECT) if not event.denied_reason]
    assert done[-3:] == ["change.propose", "profile.set", "change.approve"]
    assert troubles(people.first, site=SITE) == {}


def test_what_has_changed_meanwhile_is_not_overwritten(people: People) -> None:
    """Of two proposals about one profile the second to be approved is refused."""
    first, second = (
        propose(people.first, set_profile=pb.SetProfileRequest(container=PROJECT, source=source))
        for source in (OTHER, f"{PROFILE}# 3\n")
    )
    decide(people.second, first)
    with refused("ABORTED", "ETAG_MISMATCH"):
        decide(people.second, second)
    assert decide(people.first, second, approve=False).state == pb.CHANGE_STATE_REJECTED
    assert attached(people.first) == OTHER


def test_everything_that_needs_it_can_be_proposed(people: People) -> None:
    """A profile is detached, a site switched off and a group locked with two persons."""
    off = pb.Container(name=SITE, enforcement=pb.ENFORCEMENT_DISABLED)
    changes = [
        propose(people.first, clear_profile=pb.ClearProfileRequest(container=PROJECT)),
        propose(people.first, update_container=pb.UpdateContainerRequest(container=off)),
    ]
    for change in changes:
        decide(people.second, change)
    with refused("NOT_FOUND", "PROFILE_NOT_FOUND"):
        attached(people.first)
    found = people.first.GetContainer(pb.GetContainerRequest(name=SITE)).container
    assert found.enforcement == pb.ENFORCEMENT_DISABLED


def test_proposals_are_listed_and_shown(people: People) -> None:
    """Newest first, in pages, without texts; one alone comes with its text."""
    for number in range(3):
        setting = pb.SetProfileRequest(container=PROJECT, source=f"{PROFILE}# {number}\n")
        propose(people.first, set_profile=setting)
    request = pb.ListChangesRequest(container=PROJECT, page_size=2)
    page = people.viewer.ListChanges(request)
    request.page_token = page.next_page_token
    last = people.viewer.ListChanges(request)
    found = [*page.changes, *last.changes]
    assert last.next_page_token == ""
    assert [change.number for change in found] == sorted(
        (change.number for change in found), reverse=True
    )
    assert {change.proposal.set_profile.source for change in found} == {""}
    for number in range(17):
        setting = pb.SetProfileRequest(container=PROJECT, source=f"{PROFILE}# {number}\n")
        propose(people.first, set_profile=setting)
    request = pb.ListChangesRequest(container=PROJECT, page_size=1000)
    assert len(people.viewer.ListChanges(request).changes) == 16
    shown = people.viewer.GetChange(
        pb.GetChangeRequest(container=PROJECT, number=found[0].number)
    ).change
    assert shown.proposal.set_profile.source == f"{PROFILE}# 2\n"
    assert shown.proposal.note == "Why not."


def test_what_would_fail_is_not_proposed(people: People) -> None:
    """An invalid profile, an old etag, nothing at all, or what the proposer may not do."""
    invalid = pb.SetProfileRequest(container=PROJECT, source="dicom: 5")
    with refused("INVALID_ARGUMENT", "PROFILE_INVALID"):
        propose(people.first, set_profile=invalid)
    old = pb.SetProfileRequest(container=PROJECT, source=OTHER, etag="1-1")
    with refused("ABORTED", "ETAG_MISMATCH"):
        propose(people.first, set_profile=old)
    with refused("INVALID_ARGUMENT", "INVALID_CHANGE"):
        propose(people.first)
    mine = pb.SetProfileRequest(container=PROJECT, source=OTHER)
    with refused("PERMISSION_DENIED", "PERMISSION_DENIED"):
        propose(people.viewer, set_profile=mine)
    with refused("NOT_FOUND", "CHANGE_NOT_FOUND"):
        decide(people.second, pb.Change(container=PROJECT, number=10**9))
