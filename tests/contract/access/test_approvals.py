"""Four eyes: what one proposes is in force when another one has approved it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from deidcascade.v1 import access_service_pb2 as access_pb
from deidcascade.v1 import profile_service_pb2 as pb
from google.protobuf.field_mask_pb2 import FieldMask

from tests.contract.access.conftest import Gateway, principal
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
ROLE = f"{SITE}/roles/custom"

# What two are needed for to give, by itself.
GUARDED = (
    *("containers.manage", "enforcement.manage", "profiles.manage", "profiles.manage_shared"),
    *("profiles.bypass", "keys.manage", "subjects.manage", "access.manage"),
)


class People:
    """Two administrators of a site, and one who sees it, as clients.

    Attributes:
        first: one administrator.
        access: the same one, of whom AccessService is asked.
        second: another one.
        viewer: sees profiles.
    """

    def __init__(self, gateway: Gateway) -> None:
        for name in (SITE, GROUP, PROJECT):
            gateway.create(name)
        first, second, viewer = (
            gateway.new_key(SITE, role) for role in ("site-admin", "site-admin", "viewer")
        )
        self.first, self.access = gateway.profiles(first), gateway.access(first)
        self.second, self.viewer = gateway.profiles(second), gateway.profiles(viewer)


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


def made_key(
    people: People, role: str = "", container: str = SITE
) -> access_pb.CreateApiKeyResponse:
    """Has the first person make a key."""
    return people.access.CreateApiKey(access_pb.CreateApiKeyRequest(container=container, role=role))


def granting(
    made: access_pb.CreateApiKeyResponse, role: str, container: str = SITE
) -> access_pb.GrantRoleRequest:
    """Returns the request that gives a key a role."""
    binding = access_pb.Binding(container=container, principal=principal(made.secret), role=role)
    return access_pb.GrantRoleRequest(binding=binding)


def setting(*permissions: str) -> access_pb.SetRoleRequest:
    """Returns the request that makes a role of the site."""
    return access_pb.SetRoleRequest(role=access_pb.Role(name=ROLE, permissions=permissions))


def test_nobody_gives_alone_what_two_are_needed_for(people: People) -> None:
    """Neither a grant, nor a key, nor a role makes a second person of one."""
    made = made_key(people)
    people.access.SetRole(setting("profiles.view"))
    people.access.GrantRole(granting(made, ROLE))

    for role, container in (
        ("site-admin", SITE),
        ("group-admin", GROUP),
        ("project-admin", PROJECT),
    ):
        with refused("FAILED_PRECONDITION", "APPROVAL_REQUIRED"):
            people.access.GrantRole(granting(made, role, container))
        with refused("FAILED_PRECONDITION", "APPROVAL_REQUIRED"):
            made_key(people, role, container)
    for permission in GUARDED:
        with refused("FAILED_PRECONDITION", "APPROVAL_REQUIRED"):
            people.access.SetRole(setting("profiles.view", permission))
    assert held(people, made) == ["profiles.view"]


def test_one_gives_what_changes_nothing(people: People) -> None:
    """Keys that upload or see, and roles that do, are made by one person, and taken back."""
    uploader, viewer = made_key(people, "uploader", PROJECT), made_key(people, "viewer")
    people.access.SetRole(setting("profiles.view", "audit.view", "uploads.create"))
    people.access.GrantRole(granting(uploader, ROLE))
    people.access.SetRole(setting("audit.view"))

    assert held(people, uploader) == ["audit.view"]
    people.access.RevokeRole(
        access_pb.RevokeRoleRequest(binding=granting(viewer, "viewer").binding)
    )
    assert held(people, viewer) == []


def test_two_give_it(people: People, gateway: Gateway) -> None:
    """A grant and a role that were proposed are made when another one approves them."""
    made = made_key(people)
    role = propose(people.first, set_role=setting("profiles.view", "profiles.manage"))
    with refused("FAILED_PRECONDITION", "SAME_PERSON"):
        decide(people.first, role)
    with refused("PERMISSION_DENIED", "PERMISSION_DENIED"):
        decide(people.viewer, role)
    decide(people.second, role)
    grant = propose(people.first, grant_role=granting(made, ROLE, PROJECT))
    assert gateway.permissions(made.secret, PROJECT) == []

    assert decide(people.second, grant).proposal.grant_role == granting(made, ROLE, PROJECT)

    assert gateway.permissions(made.secret, PROJECT) == ["profiles.manage", "profiles.view"]
    assert gateway.permissions(made.secret, GROUP) == []
    done = [event.action for event in told(people.first, SITE) if not event.denied_reason]
    assert done[-1] == "change.approve"
    assert troubles(people.first, site=SITE) == {}


def test_nobody_proposes_to_give_more_than_they_have(people: People, gateway: Gateway) -> None:
    """Nor what is none, nor for all sites."""
    keeper = propose(
        people.first, set_role=setting("access.view", "access.manage", "profiles.view")
    )
    decide(people.second, keeper)
    made = made_key(people)
    decide(people.second, propose(people.first, grant_role=granting(made, ROLE)))
    less = gateway.profiles(made.secret)

    with refused("PERMISSION_DENIED", "PERMISSION_DENIED"):
        propose(less, grant_role=granting(made, "site-admin"))
    with refused("PERMISSION_DENIED", "PERMISSION_DENIED"):
        propose(less, set_role=setting("profiles.manage"))
    with refused("NOT_FOUND", "ROLE_NOT_FOUND"):
        propose(people.first, grant_role=granting(made, f"{SITE}/roles/none"))
    with refused("INVALID_ARGUMENT", "INVALID_ROLE"):
        propose(people.first, set_role=setting())
    with refused("INVALID_ARGUMENT", "INVALID_NAME"):
        propose(gateway.profiles(), grant_role=granting(made, "viewer", ""))


def held(people: People, made: access_pb.CreateApiKeyResponse) -> list[str]:
    """Returns what a key may do on the site."""
    bindings = people.access.ListBindings(access_pb.ListBindingsRequest(container=SITE)).bindings
    roles = {each.role for each in bindings if each.principal == principal(made.secret)}
    known = people.access.ListRoles(access_pb.ListRolesRequest(site=SITE)).roles
    return sorted(each for role in known if role.name in roles for each in role.permissions)


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


def test_what_waits_for_a_decision_has_a_bound(people: People) -> None:
    """A hundred of a container wait at most; one that is rejected makes room for another."""
    setting = pb.SetProfileRequest(container=PROJECT, source=OTHER)
    first = propose(people.first, set_profile=setting)
    for _ in range(99):
        propose(people.first, set_profile=setting)

    with refused("FAILED_PRECONDITION", "TOO_MANY_CHANGES"):
        propose(people.first, set_profile=setting)
    locking = pb.UpdateContainerRequest(
        container=pb.Container(name=GROUP, profile_locked=True),
        update_mask=FieldMask(paths=["profile_locked"]),
    )
    propose(people.first, update_container=locking)
    decide(people.first, first, approve=False)
    propose(people.first, set_profile=setting)


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
