"""Every call by every role at every place, with the status that is expected.

What a role may do and what a call needs stand here once more, apart from the code.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any, NamedTuple, cast

import grpc
import pytest
from deidcascade.v1 import access_service_pb2 as access_pb
from deidcascade.v1 import deid_service_pb2 as deid_pb
from deidcascade.v1 import profile_service_pb2 as pb
from deidcascade.v1 import table_service_pb2 as table_pb
from deidcascade.v1.deid_service_pb2_grpc import DeidServiceStub

from profile_service.access.rules import _FIELDS, RULES
from profile_service.servicers.containers import CHANGEABLE
from tests.contract.access.conftest import (
    DEVICE,
    EXISTING,
    GROUP,
    OTHER_GROUP,
    OTHER_PROJECT,
    OTHER_SITE,
    PROJECT,
    SITE,
    Gateway,
    in_the_name_of,
    principal,
)
from tests.support.callers import channel
from tests.support.deid_service import PROFILE, Caller, opened

UNKNOWN_PROJECT = f"{GROUP}/projects/unknown"
UNKNOWN_GROUP = f"{SITE}/groups/unknown"
UNKNOWN_SITE = "sites/unknown"
ALL_SITES = ""

PLACES = (*EXISTING, UNKNOWN_PROJECT, UNKNOWN_GROUP, UNKNOWN_SITE, ALL_SITES)

VIEW = {"containers.view", "profiles.view"}
PROJECT_ADMIN = VIEW | {"settings.manage", "profiles.manage"}
EVERYTHING = PROJECT_ADMIN | {
    *("sites.create", "containers.manage", "enforcement.manage"),
    *(
        "profiles.manage_shared",
        "profiles.bypass",
        "uploads.create",
        "uploads.resolve",
        "uploads.vouch",
    ),
    *("access.view", "access.manage", "audit.view", "audit.record", "keys.manage"),
    *("subjects.view", "subjects.manage"),
}
ROLES: dict[str, set[str]] = {
    "site-admin": EVERYTHING,
    "group-admin": PROJECT_ADMIN
    | {"containers.manage", "uploads.create", "access.view", "access.manage"},
    "project-admin": PROJECT_ADMIN,
    "viewer": VIEW,
    "uploader": {"uploads.create"},
    "service": {"uploads.resolve", "audit.record"},
    "operator": {"sites.create", "containers.view"},
    # The built-in role `device` is for devices alone; those that a site makes, below.
    f"{SITE}/roles/settings": {"settings.manage", "profiles.view", "profiles.bypass"},
    f"{SITE}/roles/keeper": {"access.view", "access.manage"},
}
BOUND_AT = (ALL_SITES, SITE, GROUP)

# Some of those who ask in the name of others, and for what.
ASKERS = (
    ("service", ALL_SITES),
    ("service", GROUP),
    ("site-admin", SITE),
    ("group-admin", SITE),
    ("uploader", ALL_SITES),
)
TARGETS = (PROJECT, DEVICE, OTHER_PROJECT, UNKNOWN_PROJECT)

ENFORCED, UNSPECIFIED = pb.ENFORCEMENT_ENFORCED, pb.ENFORCEMENT_UNSPECIFIED


def above(name: str) -> str:
    """Returns what a container is in."""
    return name.rpartition("/")[0].rpartition("/")[0]


def kind(name: str) -> str:
    """Returns what a name names."""
    return name.split("/")[-2] if name else "all"


class Case(NamedTuple):
    """How one call is made at a place, so that it changes nothing.

    Attributes:
        request: makes the request.
        needs: what it needs.
        at: where.
        passed: the status where that is there; one for what exists, one for what does not.
        makes_sense: whether its request can name the place.
    """

    request: Callable[[str], Any]
    needs: Callable[[str], set[str]]
    at: Callable[[str], str]
    passed: tuple[str, str]
    makes_sense: Callable[[str], bool] = bool


def profile_permission(name: str) -> set[str]:
    """Returns what changing the profile of a container needs."""
    shared = kind(name) in {"sites", "groups"}
    return {"profiles.manage_shared"} if shared else {"profiles.manage"}


def here(name: str) -> str:
    """Returns the place itself."""
    return name


def is_site(name: str) -> bool:
    """Tells whether a place is a site."""
    return kind(name) == "sites"


def anything(_: str) -> bool:
    """Tells that every place will do."""
    return True


def binding(name: str) -> access_pb.Binding:
    """Returns a binding at a place."""
    return access_pb.Binding(container=name, principal="user:matrix", role="uploader")


def key_name(name: str) -> str:
    """Returns the name of an API key that there is not."""
    return f"{name}/keys/zzzzzzzzzzzz" if name else "keys/zzzzzzzzzzzz"


# What nobody has: asked for in the name of a caller alone, see below.
NOT_ALONE = {"-"}

CASES: dict[str, Case] = {
    "CreateContainer": Case(
        lambda name: pb.CreateContainerRequest(
            container=pb.Container(name=name, display_name="\n")
        ),
        lambda name: {"sites.create"} if is_site(name) else {"containers.manage"},
        above,
        ("INVALID_ARGUMENT", "INVALID_ARGUMENT"),
    ),
    "GetContainer": Case(
        lambda name: pb.GetContainerRequest(name=name),
        lambda _: {"containers.view"},
        here,
        ("OK", "NOT_FOUND"),
    ),
    "ListContainers": Case(
        lambda name: pb.ListContainersRequest(parent=name),
        lambda _: {"containers.view"},
        here,
        ("OK", "NOT_FOUND"),
        lambda name: kind(name) in {"all", "sites", "groups"},
    ),
    "UpdateContainer": Case(
        lambda name: pb.UpdateContainerRequest(
            container=pb.Container(
                name=name,
                display_name="x",
                enforcement=ENFORCED if is_site(name) else UNSPECIFIED,
                profile_locked=is_site(name),
                etag="no",
            )
        ),
        lambda name: (
            {"settings.manage"}
            | ({"enforcement.manage", "profiles.manage_shared"} if is_site(name) else set())
        ),
        here,
        ("ABORTED", "NOT_FOUND"),
    ),
    "DeleteContainer": Case(
        lambda name: pb.DeleteContainerRequest(name=name, etag="no"),
        lambda _: {"containers.manage"},
        above,
        ("ABORTED", "NOT_FOUND"),
    ),
    "ValidateProfile": Case(
        lambda name: pb.ValidateProfileRequest(container=name, source=PROFILE),
        lambda _: {"profiles.view"},
        here,
        ("OK", "OK"),
    ),
    "SetProfile": Case(
        lambda name: pb.SetProfileRequest(container=name, source=PROFILE, etag="no"),
        profile_permission,
        here,
        ("ABORTED", "NOT_FOUND"),
    ),
    "ClearProfile": Case(
        lambda name: pb.ClearProfileRequest(container=name, etag="no"),
        profile_permission,
        here,
        ("ABORTED", "NOT_FOUND"),
    ),
    "GetProfile": Case(
        lambda name: pb.GetProfileRequest(container=name, version=99),
        lambda _: {"profiles.view"},
        here,
        ("NOT_FOUND", "NOT_FOUND"),
    ),
    "ListProfileVersions": Case(
        lambda name: pb.ListProfileVersionsRequest(container=name),
        lambda _: {"profiles.view"},
        here,
        ("OK", "NOT_FOUND"),
    ),
    "ResolveProfile": Case(
        lambda name: pb.ResolveProfileRequest(target=name),
        lambda _: {"profiles.view"},
        here,
        ("OK", "NOT_FOUND"),
        lambda name: kind(name) in {"projects", "devices"},
    ),
    "ProposeChange": Case(
        lambda name: pb.ProposeChangeRequest(
            clear_profile=pb.ClearProfileRequest(container=name, etag="1-1"), note="\n" * 1001
        ),
        profile_permission,
        here,
        ("INVALID_ARGUMENT", "INVALID_ARGUMENT"),
    ),
    "ListChanges": Case(
        lambda name: pb.ListChangesRequest(container=name),
        lambda _: {"profiles.view"},
        here,
        ("OK", "OK"),
    ),
    "GetChange": Case(
        lambda name: pb.GetChangeRequest(container=name, number=1),
        lambda _: {"profiles.view"},
        here,
        ("NOT_FOUND", "NOT_FOUND"),
    ),
    "DecideChange": Case(
        lambda name: pb.DecideChangeRequest(container=name, number=1),
        lambda _: {"profiles.view"},
        here,
        ("NOT_FOUND", "NOT_FOUND"),
    ),
    "RecordFiles": Case(
        lambda name: pb.RecordFilesRequest(target=name),
        lambda _: {"audit.record"},
        here,
        ("OK", "OK"),
        lambda name: kind(name) in {"projects", "devices"},
    ),
    "ListAuditEvents": Case(
        lambda name: pb.ListAuditEventsRequest(parent=name, page_size=1),
        lambda _: {"audit.view"},
        here,
        ("OK", "OK"),
        anything,
    ),
    "ListAuditHeads": Case(
        lambda name: pb.ListAuditHeadsRequest(site=name),
        lambda _: {"audit.view"},
        here,
        ("OK", "OK"),
        lambda name: kind(name) in {"all", "sites"},
    ),
    "ListSiteKeys": Case(
        lambda name: pb.ListSiteKeysRequest(site=name),
        lambda _: {"profiles.view"},
        here,
        ("OK", "NOT_FOUND"),
        lambda name: kind(name) == "sites",
    ),
    "AssignCodes": Case(
        lambda name: pb.AssignCodesRequest(target=name),
        lambda _: NOT_ALONE,
        here,
        ("INVALID_ARGUMENT", "INVALID_ARGUMENT"),
        lambda name: kind(name) in {"projects", "devices"},
    ),
    "ListSubjects": Case(
        lambda name: pb.ListSubjectsRequest(container=name),
        lambda _: {"subjects.view"},
        here,
        ("OK", "NOT_FOUND"),
    ),
    # The service of these tests has no master key.
    "SetTable": Case(
        lambda name: iter([table_pb.SetTableRequest(container=name, table="t")]),
        lambda _: {"subjects.manage"},
        here,
        ("FAILED_PRECONDITION", "FAILED_PRECONDITION"),
    ),
    "DeleteTable": Case(
        lambda name: table_pb.DeleteTableRequest(container=name, table="t"),
        lambda _: {"subjects.manage"},
        here,
        ("NOT_FOUND", "NOT_FOUND"),
    ),
    "ListTables": Case(
        lambda name: table_pb.ListTablesRequest(container=name),
        lambda _: {"subjects.view"},
        here,
        ("OK", "NOT_FOUND"),
    ),
    "ListTableVersions": Case(
        lambda name: table_pb.ListTableVersionsRequest(container=name, table="t"),
        lambda _: {"subjects.view"},
        here,
        ("NOT_FOUND", "NOT_FOUND"),
    ),
    "ReadTable": Case(
        lambda name: table_pb.ReadTableRequest(container=name, table="t"),
        lambda _: {"subjects.view"},
        here,
        ("NOT_FOUND", "NOT_FOUND"),
    ),
    "LookUpPatients": Case(
        lambda name: table_pb.LookUpPatientsRequest(target=name),
        lambda _: NOT_ALONE,
        here,
        ("INVALID_ARGUMENT", "INVALID_ARGUMENT"),
        lambda name: kind(name) in {"projects", "devices"},
    ),
    "ReadList": Case(
        lambda name: table_pb.ReadListRequest(target=name),
        lambda _: NOT_ALONE,
        here,
        ("INVALID_ARGUMENT", "INVALID_ARGUMENT"),
        lambda name: kind(name) in {"projects", "devices"},
    ),
    "RotateSiteKey": Case(
        lambda name: pb.RotateSiteKeyRequest(site=name),
        lambda _: {"keys.manage"},
        here,
        ("FAILED_PRECONDITION", "NOT_FOUND"),
        lambda name: kind(name) == "sites",
    ),
    "TestPermissions": Case(
        lambda name: access_pb.TestPermissionsRequest(container=name),
        lambda _: set(),
        here,
        ("OK", "OK"),
        anything,
    ),
    "GrantRole": Case(
        lambda name: access_pb.GrantRoleRequest(binding=binding(name)),
        lambda name: (
            {"access.manage", "uploads.create"} if name in {*EXISTING, ""} else {"access.manage"}
        ),
        here,
        ("OK", "NOT_FOUND"),
        anything,
    ),
    "RevokeRole": Case(
        lambda name: access_pb.RevokeRoleRequest(
            binding=access_pb.Binding(container=name, principal="user:nobody", role="uploader")
        ),
        lambda _: {"access.manage"},
        here,
        ("NOT_FOUND", "NOT_FOUND"),
        anything,
    ),
    "ListBindings": Case(
        lambda name: access_pb.ListBindingsRequest(container=name),
        lambda _: {"access.view"},
        here,
        ("OK", "OK"),
        anything,
    ),
    "CreateApiKey": Case(
        lambda name: access_pb.CreateApiKeyRequest(container=name, display_name="\n"),
        lambda _: {"access.manage"},
        here,
        ("INVALID_ARGUMENT", "INVALID_ARGUMENT"),
        anything,
    ),
    "ListApiKeys": Case(
        lambda name: access_pb.ListApiKeysRequest(container=name),
        lambda _: {"access.view"},
        here,
        ("OK", "OK"),
        anything,
    ),
    "RevokeApiKey": Case(
        lambda name: access_pb.RevokeApiKeyRequest(name=key_name(name)),
        lambda _: {"access.manage"},
        here,
        ("NOT_FOUND", "NOT_FOUND"),
        anything,
    ),
    "SetRole": Case(
        lambda name: access_pb.SetRoleRequest(role=access_pb.Role(name=f"{name}/roles/empty")),
        lambda _: {"access.manage"},
        here,
        ("INVALID_ARGUMENT", "INVALID_ARGUMENT"),
        is_site,
    ),
    "DeleteRole": Case(
        lambda name: access_pb.DeleteRoleRequest(name=f"{name}/roles/none"),
        lambda _: {"access.manage"},
        here,
        ("NOT_FOUND", "NOT_FOUND"),
        is_site,
    ),
    "ListRoles": Case(
        lambda name: access_pb.ListRolesRequest(site=name),
        lambda _: {"access.view"},
        here,
        ("OK", "OK"),
        lambda name: kind(name) in {"all", "sites"},
    ),
}

SERVICES = (
    table_pb.DESCRIPTOR.services_by_name["TableService"],
    pb.DESCRIPTOR.services_by_name["ProfileService"],
    access_pb.DESCRIPTOR.services_by_name["AccessService"],
)


def test_every_call_has_a_rule_and_a_case() -> None:
    """The table of the code and this one know each call of the contract, and no other."""
    methods = [method.name for service in SERVICES for method in service.methods]

    assert sorted(methods) == sorted(RULES) == sorted(CASES)


def test_every_field_has_a_permission() -> None:
    """Each field of a container that can be changed needs a permission of the table."""
    assert set(_FIELDS) == CHANGEABLE


def test_deid_service_has_two_calls() -> None:
    """What DeidService lets pass is looked at below: a call that is new is to be added there."""
    (service,) = deid_pb.DESCRIPTOR.services_by_name.values()

    assert [method.name for method in service.methods] == ["Deidentify", "PreviewProfile"]


@pytest.fixture(scope="module")
def keys(gateway: Gateway) -> dict[tuple[str, str], str]:
    """A key for each role at each place that it can be bound at."""
    for name, permissions in ROLES.items():
        if "/" in name:
            gateway.set_role(name, *permissions)
    return {
        (role, place): gateway.new_key(place, role)
        for role in ROLES
        for place in BOUND_AT
        if place or "/" not in role
    }


def permitted(role: str, bound_at: str, needed: set[str], at: str) -> bool:
    """Tells whether a role that is bound at a place gives what is needed at another."""
    inherited = not bound_at or at == bound_at or at.startswith(f"{bound_at}/")
    return not needed or (inherited and needed <= ROLES[role])


def status(gateway: Gateway, key: str, method: str, place: str, caller: str = "") -> str:
    """Makes a call, in the name of a caller where there is one, and returns its status."""
    owner = next(one for one in SERVICES if method in one.methods_by_name)
    stub = gateway.stub(owner.name, key)
    try:
        getattr(stub, method)(CASES[method].request(place), metadata=in_the_name_of(caller))
    except grpc.RpcError as error:
        return str(cast("grpc.Call", error).code().name)
    return "OK"


@pytest.mark.parametrize("method", list(CASES))
def test_call(gateway: Gateway, keys: dict[tuple[str, str], str], method: str) -> None:
    """Each role, wherever it is bound, gets the status that it should at each place."""
    case = CASES[method]
    expected, actual = {}, {}
    for (role, bound_at), key in keys.items():
        for place in PLACES:
            passes = permitted(role, bound_at, case.needs(place), case.at(place))
            told = case.passed[place not in {*EXISTING, ALL_SITES}] if passes else None
            sense = case.makes_sense(place)
            if method == "ValidateProfile" and not place:
                # Anywhere will do.
                sense, told = True, "OK" if "profiles.view" in ROLES[role] else None
            where = (role, bound_at, place)
            expected[where] = (told or "PERMISSION_DENIED") if sense else "INVALID_ARGUMENT"
            actual[where] = status(gateway, key, method, place)

    assert expected == actual


@pytest.mark.parametrize("method", ["AssignCodes", "LookUpPatients", "ReadList"])
def test_what_patients_are_given(
    gateway: Gateway, keys: dict[tuple[str, str], str], method: str
) -> None:
    """Who may resolve asks for it in the name of who may upload there, and of nobody else."""
    expected, actual = {}, {}
    askers = {where: keys[where] for where in ASKERS}
    for (asking, key), (caller, shown), place in product(askers.items(), keys.items(), TARGETS):
        where = (asking, caller, place)
        passes = permitted(*asking, {"uploads.resolve"}, place) and permitted(
            *caller, {"uploads.create"}, place
        )
        # What it says of the request itself comes behind the door.
        expected[where] = "INVALID_ARGUMENT" if passes else "PERMISSION_DENIED"
        actual[where] = status(gateway, key, method, place, shown)

    assert expected == actual


def test_uploads(gateway: Gateway, keys: dict[tuple[str, str], str]) -> None:
    """Who may upload opens a stream into what is below, and nobody else does, nor elsewhere."""
    expected, actual = {}, {}
    device = gateway.new_key(DEVICE)
    gateway.grant(principal(device), "device", DEVICE)
    callers = [(*where, key) for where, key in keys.items()]
    for role, bound_at, key in [*callers, ("device", DEVICE, device)]:
        for target in (PROJECT, OTHER_PROJECT, DEVICE, UNKNOWN_PROJECT, UNKNOWN_GROUP):
            uploads = ROLES | {"device": {"uploads.create"}}
            inherited = not bound_at or target == bound_at or target.startswith(f"{bound_at}/")
            passes = inherited and "uploads.create" in uploads[role]
            told = "OK" if target in EXISTING else "NOT_FOUND"
            where = (role, bound_at, target)
            expected[where] = told if passes else "PERMISSION_DENIED"
            if target == UNKNOWN_GROUP:
                # Nothing can be uploaded into a group, which is not told who is not known.
                expected[where] = "INVALID_ARGUMENT"
            actual[where] = upload_status(gateway, key, target)

    assert expected == actual


def test_previews(gateway: Gateway, keys: dict[tuple[str, str], str]) -> None:
    """Who may see profiles sees what they do to a file, whoever wrote them, and nobody else."""
    expected, actual = {}, {}
    for (role, bound_at), key in keys.items():
        for target in (PROJECT, OTHER_PROJECT, DEVICE, UNKNOWN_PROJECT, UNKNOWN_GROUP):
            for source in ("", PROFILE):
                passes = permitted(role, bound_at, {"profiles.view"}, target)
                told = "OK" if target in EXISTING else "NOT_FOUND"
                where = (role, bound_at, target, source)
                expected[where] = told if passes else "PERMISSION_DENIED"
                if target == UNKNOWN_GROUP:
                    expected[where] = "INVALID_ARGUMENT"
                actual[where] = preview_status(gateway, key, target, source)

    assert expected == actual


def preview_status(gateway: Gateway, key: str, target: str, source: str = "") -> str:
    """Asks for a preview of nothing, and returns the status that it ends with."""
    start = deid_pb.PreviewStart(target=target, source=source)
    with channel(gateway.deid_service.address, key=key) as opening:
        try:
            DeidServiceStub(opening).PreviewProfile(
                iter([deid_pb.PreviewProfileRequest(start=start)])
            )
        except grpc.RpcError as error:
            return str(cast("grpc.Call", error).code().name)
    return "OK"


def upload_status(gateway: Gateway, key: str, target: str) -> str:
    """Opens a stream, and returns the status that it ends with."""
    with channel(gateway.deid_service.address, key=key) as opening:
        caller = Caller(opening, opened(target))
        caller.half_close()
        try:
            caller.receive_all()
        except grpc.RpcError as error:
            return str(cast("grpc.Call", error).code().name)
    return "OK"


def test_nobody(gateway: Gateway) -> None:
    """Who shows nothing, or a key that there is not, is not known, whatever is asked."""
    unknown = f"deidcascade_{'z' * 12}_{'Z' * 43}"
    for key in ("", unknown):
        for method in CASES:
            for place in (PROJECT, OTHER_SITE, OTHER_GROUP, UNKNOWN_SITE, ALL_SITES, "../x"):
                assert status(gateway, key, method, place) == "UNAUTHENTICATED", (method, place)
        assert upload_status(gateway, key, PROJECT) == "UNAUTHENTICATED"
        assert preview_status(gateway, key, PROJECT) == "UNAUTHENTICATED"
