"""What somebody tries who wants in, or more than they have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import psycopg
import pytest
from deidcascade.v1 import access_service_pb2 as access_pb
from deidcascade.v1 import profile_service_pb2 as pb
from deidcascade.v1 import table_service_pb2 as table_pb
from deidcascade.v1.access_service_pb2_grpc import AccessServiceStub
from deidcascade.v1.deid_service_pb2_grpc import DeidServiceStub
from deidcascade.v1.profile_service_pb2_grpc import ProfileServiceStub
from deidcascade.v1.table_service_pb2_grpc import TableServiceStub
from google.protobuf.field_mask_pb2 import FieldMask
from psycopg import sql

from profile_service.errors import UnauthenticatedError
from profile_service.guard import Guard
from profile_service.hierarchy import parse_name
from profile_service.service import Profiles
from profile_service.store.access import AccessStore
from profile_service.store.database import Database
from profile_service.store.profiles import ProfileStore
from profile_service.store.resolutions import ResolutionStore, Said
from profile_service.store.statement import nothing
from profile_service.store.unchanged import Unchanged
from tests.contract.access.conftest import (
    DEVICE,
    GROUP,
    OTHER_PROJECT,
    OTHER_SITE,
    PROJECT,
    SITE,
    Gateway,
    in_the_name_of,
    principal,
)
from tests.support.callers import channel
from tests.support.deid_service import BLANK, PROFILE, Caller, failure_of, opened, start, status_of
from tests.support.environment import ADMIN_KEY, SERVICE_KEY
from tests.support.refusals import refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from profile_service.store.rows import Row
    from profile_service.store.statement import Meanwhile, Parameter

GET = pb.GetContainerRequest(name=SITE)
RESOLVE = pb.ResolveProfileRequest(target=PROJECT)


def code(call: Callable[[], object]) -> str:
    """Returns the status that a call ends with."""
    return status_of(call)[0]


def shown(gateway: Gateway, *metadata: tuple[str, str]) -> str:
    """Asks for a container with some metadata; returns the status."""
    with grpc.insecure_channel(gateway.address) as plain:
        stub = ProfileServiceStub(plain)
        return code(lambda: stub.GetContainer(GET, metadata=metadata))


# --- Credentials that are none --------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Bearer",
        "Bearer ",
        ADMIN_KEY,
        f"Basic {ADMIN_KEY}",
        f"Bearer  {ADMIN_KEY}",
        f"Bearer {ADMIN_KEY} {ADMIN_KEY}",
        f"Bearer {ADMIN_KEY[:-1]}",
        f"Bearer {ADMIN_KEY}x",
        f"Bearer {ADMIN_KEY.upper()}",
        "Bearer deidcascade_aaaaaaaaaaaa_' OR '1'='1",
        f"Bearer {ADMIN_KEY[:-1]}B",
        f"Bearer {'x' * 6000}",
    ],
)
def test_what_is_no_key(gateway: Gateway, value: str) -> None:
    """What is not written as a key, or is another one with the same id, is not accepted."""
    assert shown(gateway, ("authorization", value)) == "UNAUTHENTICATED"


def test_metadata(gateway: Gateway) -> None:
    """One credential is accepted in any case of its scheme; two are none, and neither is a flood.

    gRPC itself refuses metadata that is longer than 16 KiB.
    """
    right, wrong = f"Bearer {ADMIN_KEY}", f"Bearer {ADMIN_KEY[:-1]}B"

    assert shown(gateway, ("authorization", f"bEARER {ADMIN_KEY}")) == "OK"
    assert shown(gateway, *2 * [("authorization", right)]) == "UNAUTHENTICATED"
    assert shown(gateway, ("authorization", right), ("authorization", wrong)) == "UNAUTHENTICATED"
    assert shown(gateway, ("authorization", f"Bearer {'x' * 40_000}")) == "RESOURCE_EXHAUSTED"


def test_metadata_of_a_stream(gateway: Gateway) -> None:
    """DeidService takes one credential as well, and passes on nothing that a caller adds."""
    uploader, viewer = gateway.new_key(PROJECT, "uploader"), gateway.new_key(PROJECT, "viewer")
    may, may_not = (("authorization", f"Bearer {key}") for key in (uploader, viewer))
    beside = ("caller-authorization", f"Bearer {uploader}")

    def stream(*metadata: tuple[str, str]) -> str:
        with grpc.insecure_channel(gateway.deid_service.address) as plain:
            call = DeidServiceStub(plain).Deidentify(iter([opened(PROJECT)]), metadata=metadata)
            return code(lambda: list(call))

    assert stream(may) == "OK"
    assert stream(may, may) == "UNAUTHENTICATED"
    assert stream(beside) == "UNAUTHENTICATED"
    assert stream(may_not, beside) == "PERMISSION_DENIED"
    assert stream(may_not, ("caller-certificate", "CN=x")) == "PERMISSION_DENIED"


def test_a_key_that_has_ended(gateway: Gateway) -> None:
    """A key is refused from the moment that it is revoked or has expired."""
    made = gateway.made_key(SITE, "viewer")
    expiring = gateway.new_key(SITE, "viewer")
    assert gateway.profiles(made.secret).GetContainer(GET).container.name == SITE

    gateway.access().RevokeApiKey(access_pb.RevokeApiKeyRequest(name=made.api_key.name))
    expire(gateway, expiring)

    for key in (made.secret, expiring):
        with refused("UNAUTHENTICATED", "UNAUTHENTICATED"):
            gateway.profiles(key).GetContainer(GET)


def expire(gateway: Gateway, key: str) -> None:
    """Has a key end now."""
    with psycopg.connect(gateway.database, autocommit=True) as connection:
        connection.execute(
            "UPDATE api_key SET expire_time = now() WHERE id = %s", (key.split("_")[1],)
        )


@pytest.mark.parametrize("how", ["key", "expiry", "role"])
def test_what_is_remembered_lets_nobody_in(gateway: Gateway, how: str) -> None:
    """A target that was just resolved is told to nobody whose key or role has ended since."""
    made = gateway.made_key(PROJECT, "uploader")
    service = ProfileServiceStub(gateway.channel(SERVICE_KEY))

    def resolve() -> str:
        return code(lambda: service.ResolveProfile(RESOLVE, metadata=in_the_name_of(made.secret)))

    assert [resolve() for _ in range(3)] == ["OK"] * 3
    if how == "key":
        gateway.access().RevokeApiKey(access_pb.RevokeApiKeyRequest(name=made.api_key.name))
    elif how == "expiry":
        expire(gateway, made.secret)
    else:
        gateway.revoke(principal(made.secret), "uploader", PROJECT)

    assert resolve() == ("PERMISSION_DENIED" if how == "role" else "UNAUTHENTICATED")


def test_the_id_of_another_key(gateway: Gateway) -> None:
    """Neither the id of a key with the secret of another, nor a new key, can take its place."""
    one, two = gateway.new_key(SITE, "site-admin"), gateway.new_key(SITE, "viewer")
    mixed = "_".join([*one.split("_")[:2], two.split("_")[2]])

    assert code(lambda: gateway.profiles(mixed).GetContainer(GET)) == "UNAUTHENTICATED"
    with (
        psycopg.connect(gateway.database) as connection,
        pytest.raises(psycopg.errors.UniqueViolation),
    ):
        connection.execute(
            "INSERT INTO api_key (id, hash, display_name, creator) VALUES (%s, %s, '', '')",
            (one.split("_")[1], b"x" * 32),
        )


def test_keys_are_stored_as_hashes(gateway: Gateway) -> None:
    """No table holds a key, nor its secret."""
    key = gateway.new_key(SITE, "viewer")
    with psycopg.connect(gateway.database) as connection:
        tables = connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
        ).fetchall()
        every = sql.SQL("SELECT t::text FROM {} AS t")
        held = "".join(
            str(connection.execute(every.format(sql.Identifier(name))).fetchall())
            for (name,) in tables
        )

    assert key.split("_")[1] in held
    assert key.split("_")[2] not in held
    assert key.split("_")[2].encode().hex() not in held


def test_an_unknown_key_is_looked_for_as_a_wrong_one(gateway: Gateway) -> None:
    """Whether a key is unknown, wrong, revoked or expired: the same one query finds out.

    So the time that it takes tells nothing of which it was.
    """
    revoked = gateway.made_key(SITE, "viewer")
    gateway.access().RevokeApiKey(access_pb.RevokeApiKeyRequest(name=revoked.api_key.name))
    expired = gateway.new_key(SITE, "viewer")
    expire(gateway, expired)
    unknown = f"deidcascade_{'y' * 12}_{'Y' * 43}"
    database = Database(gateway.database, readers=1, writers=1)
    asked: list[str] = []

    def read(query: str, *parameters: Parameter, meanwhile: Meanwhile = nothing) -> list[Row]:
        asked.append(query)
        return database.read(query, *parameters, meanwhile=meanwhile)

    access = AccessStore(read, database.change)
    kept: Unchanged[Said] = Unchanged(read, database.connected)
    guard, profiles = (
        Guard(access),
        Profiles(ProfileStore(read, database.change), ResolutionStore(read, access, kept)),
    )
    target = parse_name(PROJECT, field="target")
    codes = pb.AssignCodesRequest(target=PROJECT)
    keys = (unknown, f"{ADMIN_KEY[:-1]}B", revoked.secret, expired)
    for key in keys:
        alone = guard.read([("authorization", f"Bearer {key}")])
        for_service = guard.read([("authorization", f"Bearer {SERVICE_KEY}"), *in_the_name_of(key)])
        for attempt in (
            lambda: guard.admit("GetContainer", GET, alone),  # noqa: B023 -- called at once
            lambda: profiles.resolve(target, alone),  # noqa: B023
            lambda: profiles.resolve(target, for_service),  # noqa: B023
            lambda: guard.admit("AssignCodes", codes, for_service),  # noqa: B023
        ):
            with pytest.raises(UnauthenticatedError):
                attempt()
    database.close()

    assert asked == len(keys) * ["standing", "resolve", "resolve", "standing_of_both"]


@pytest.mark.parametrize(
    "text",
    [
        "sites/s/../t",
        "sites/s/groups/g/../../../sites/t",
        "sites/s%2Fgroups%2Fg",
        "sites//s",
        "/sites/s",
        "sites/s/",
        "sites/S",
        "sites/s\x00",
        "sites/s\n",
        "*",
        "sites/*",
        "sites/s' OR name LIKE '%",
        "sites/s'; DROP TABLE binding; --",
        "sites/\u017f",
    ],
)
def test_names_that_are_none(gateway: Gateway, text: str) -> None:
    """A name with a trick in it is the name of nothing, in every field that takes one."""
    key = gateway.new_key(SITE, "site-admin")
    profiles, access = gateway.profiles(key), gateway.access(key)
    binding = access_pb.Binding(container=text, principal="user:x", role="viewer")
    for call in (
        lambda: profiles.GetContainer(pb.GetContainerRequest(name=text)),
        lambda: profiles.ResolveProfile(pb.ResolveProfileRequest(target=text)),
        lambda: profiles.ListContainers(pb.ListContainersRequest(parent=text)),
        lambda: profiles.ValidateProfile(pb.ValidateProfileRequest(container=text)),
        lambda: access.TestPermissions(access_pb.TestPermissionsRequest(container=text)),
        lambda: access.GrantRole(access_pb.GrantRoleRequest(binding=binding)),
        lambda: access.ListBindings(access_pb.ListBindingsRequest(container=text)),
        lambda: access.RevokeApiKey(access_pb.RevokeApiKeyRequest(name=f"{text}/keys/x")),
        lambda: access.DeleteRole(access_pb.DeleteRoleRequest(name=f"{text}/roles/x")),
    ):
        assert code(call) == "INVALID_ARGUMENT"


@pytest.mark.parametrize("text", ["'; DROP TABLE binding; --", "x' OR '1'='1", "%", "$1", "\\"])
def test_sql_in_other_texts(gateway: Gateway, text: str) -> None:
    """What is a text is stored and compared as one, whatever stands in it."""
    gateway.grant(f"user:{text}", "viewer", SITE)
    made = gateway.access().CreateApiKey(
        access_pb.CreateApiKeyRequest(container=SITE, display_name=text)
    )
    bindings = gateway.access().ListBindings(access_pb.ListBindingsRequest(container=SITE))

    assert made.api_key.display_name == text
    assert f"user:{text}" in [each.principal for each in bindings.bindings]
    gateway.revoke(f"user:{text}", "viewer", SITE)


# --- More than one has ----------------------------------------------------------------------


def test_nobody_grants_more_than_they_have(gateway: Gateway) -> None:
    """A role is granted by who has all of it there: by a binding, with a key, in a role."""
    group_admin = gateway.new_key(GROUP, "group-admin")
    keeper_role = f"{SITE}/roles/keepers"
    gateway.set_role(keeper_role, "access.view", "access.manage")
    keeper = gateway.new_key(SITE, keeper_role)

    gateway.grant("user:one", "uploader", PROJECT, by=group_admin)
    for attempt in (
        lambda: gateway.grant("user:one", "site-admin", GROUP, by=group_admin),
        lambda: gateway.grant(principal(group_admin), "site-admin", PROJECT, by=group_admin),
        lambda: gateway.grant("user:one", "uploader", SITE, by=group_admin),
        lambda: gateway.grant("user:one", "uploader", "", by=group_admin),
        lambda: gateway.grant(principal(keeper), "viewer", SITE, by=keeper),
        lambda: gateway.new_key(GROUP, "service", by=group_admin),
        lambda: gateway.new_key(SITE, "uploader", by=keeper),
        lambda: gateway.set_role(keeper_role, "access.manage", "profiles.bypass", by=keeper),
        lambda: gateway.set_role(f"{SITE}/roles/new", "uploads.create", by=keeper),
        lambda: gateway.set_role(f"{SITE}/roles/new", "profiles.view", by=group_admin),
    ):
        assert code(attempt) == "PERMISSION_DENIED"
    # What was refused has left nothing behind.
    assert gateway.permissions(keeper, SITE) == ["access.manage", "access.view"]
    keys = gateway.access().ListApiKeys(access_pb.ListApiKeysRequest(container=GROUP)).api_keys
    assert [key.creator for key in keys if key.creator == principal(group_admin)] == []


def test_roles_stay_in_their_site(gateway: Gateway) -> None:
    """The role of a site is given there and nowhere else."""
    role = f"{SITE}/roles/local"
    gateway.set_role(role, "profiles.view")

    for place in (OTHER_SITE, ""):
        assert code(lambda place=place: gateway.grant("user:x", role, place)) == "INVALID_ARGUMENT"  # type: ignore[misc]
    gateway.grant("user:x", role, PROJECT)
    with refused("FAILED_PRECONDITION", "ROLE_IN_USE"):
        gateway.access().DeleteRole(access_pb.DeleteRoleRequest(name=role))
    gateway.revoke("user:x", role, PROJECT)
    gateway.access().DeleteRole(access_pb.DeleteRoleRequest(name=role))


def test_the_last_administrator_stays(gateway: Gateway) -> None:
    """Who manages access for all sites last can be locked out by nobody, themselves included."""
    admin = principal(ADMIN_KEY)
    with refused("FAILED_PRECONDITION", "LAST_ADMIN"):
        gateway.revoke(admin, "site-admin", "")
    with refused("FAILED_PRECONDITION", "LAST_ADMIN"):
        name = f"keys/{admin.partition(':')[2]}"
        gateway.access().RevokeApiKey(access_pb.RevokeApiKeyRequest(name=name))

    second = gateway.new_key("", "site-admin")
    gateway.revoke(admin, "site-admin", "", by=second)
    with refused("FAILED_PRECONDITION", "LAST_ADMIN"):
        gateway.revoke(principal(second), "site-admin", "", by=second)
    gateway.grant(admin, "site-admin", "", by=second)
    gateway.revoke(principal(second), "site-admin", "")


def test_a_container_made_anew_begins_without_bindings(gateway: Gateway) -> None:
    """Who had a role on a container that was deleted has none on its namesake, nor its keys."""
    group, project = f"{OTHER_SITE}/groups/gone", f"{OTHER_SITE}/groups/gone/projects/p"
    for name in (group, project):
        gateway.create(name)
    elsewhere = gateway.new_key(SITE)
    gateway.grant(principal(elsewhere), "group-admin", group)
    of_group, of_project = gateway.new_key(group, "group-admin"), gateway.new_key(project, "viewer")
    assert "profiles.view" in gateway.permissions(elsewhere, project)

    for name in (project, group):
        gateway.delete(name)
    assert gateway.permissions(elsewhere, project) == []
    for name in (group, project):
        gateway.create(name)

    assert gateway.permissions(elsewhere, project) == []
    assert gateway.permissions(elsewhere, group) == []
    for key in (of_group, of_project):
        assert code(lambda key=key: gateway.permissions(key)) == "UNAUTHENTICATED"  # type: ignore[misc]


def test_a_site_made_anew_begins_without_roles(gateway: Gateway) -> None:
    """A site is deleted with its roles and who had them."""
    site, role = "sites/short", "sites/short/roles/viewers"
    gateway.create(site)
    gateway.set_role(role, "profiles.view")
    gateway.grant("user:x", role, site)

    gateway.delete(site)
    gateway.create(site)

    found = gateway.access().ListRoles(access_pb.ListRolesRequest(site=site)).roles
    assert role not in [each.name for each in found]
    with refused("NOT_FOUND", "ROLE_NOT_FOUND"):
        gateway.grant("user:x", role, site)


@pytest.mark.parametrize(
    "source",
    [
        BLANK,
        "dicom: {fields: [{name: PatientName, keep: true}]}",
        "dicom: {date-increment: 0, fields: [{name: StudyDate, increment-date: true}]}",
    ],
)
def test_what_lets_data_through_needs_a_permission(gateway: Gateway, source: str) -> None:
    """A blank profile, and one that changes nothing, is not for project admins by default."""
    admin = gateway.new_key(PROJECT, "project-admin")
    request = pb.SetProfileRequest(container=PROJECT, source=source)
    gateway.profiles(admin).SetProfile(pb.SetProfileRequest(container=PROJECT, source=PROFILE))
    with refused("PERMISSION_DENIED", "PERMISSION_DENIED"):
        gateway.profiles(admin).SetProfile(request)

    role = f"{SITE}/roles/bypassing"
    gateway.set_role(role, "profiles.bypass")
    gateway.grant(principal(admin), role, PROJECT)

    assert gateway.profiles(admin).SetProfile(request).profile.source == source
    gateway.profiles(admin).ClearProfile(pb.ClearProfileRequest(container=PROJECT))


def test_the_switch_needs_a_permission(gateway: Gateway) -> None:
    """Who may change a site's settings may not switch its de-identification off."""
    role = f"{SITE}/roles/settings-only"
    gateway.set_role(role, "settings.manage")
    key = gateway.new_key(SITE, role)
    off = pb.Container(name=SITE, enforcement=pb.ENFORCEMENT_DISABLED)

    gateway.profiles(key).UpdateContainer(
        pb.UpdateContainerRequest(container=pb.Container(name=SITE, display_name="A hospital"))
    )
    for request in (
        pb.UpdateContainerRequest(container=off),
        pb.UpdateContainerRequest(container=off, update_mask=FieldMask(paths=["enforcement"])),
        pb.UpdateContainerRequest(
            container=off, update_mask=FieldMask(paths=["display_name", "enforcement"])
        ),
    ):
        with refused("PERMISSION_DENIED", "PERMISSION_DENIED"):
            gateway.profiles(key).UpdateContainer(request)
    operator = gateway.new_key("", "operator")
    with refused("PERMISSION_DENIED", "PERMISSION_DENIED"):
        gateway.profiles(operator).CreateContainer(
            pb.CreateContainerRequest(
                container=pb.Container(name="sites/off", enforcement=pb.ENFORCEMENT_DISABLED)
            )
        )


# --- DeidService, and who has stolen its key ------------------------------------------------


def test_a_stolen_service_key(gateway: Gateway) -> None:
    """By itself the key of DeidService reads nothing and changes nothing.

    With the credential of somebody who may upload it learns which profile applies, for the
    targets of that one.
    """
    uploader = gateway.new_key(PROJECT, "uploader")
    viewer = gateway.new_key(PROJECT, "viewer")
    service = ProfileServiceStub(gateway.channel(SERVICE_KEY))

    def resolve(target: str, *caller: str) -> tuple[str, str]:
        request = pb.ResolveProfileRequest(target=target)
        metadata = tuple(("caller-authorization", f"Bearer {key}") for key in caller)
        return status_of(lambda: service.ResolveProfile(request, metadata=metadata))

    denied, unknown = ("PERMISSION_DENIED",) * 2, ("UNAUTHENTICATED",) * 2
    assert resolve(PROJECT) == denied
    assert resolve(PROJECT, uploader) == ("OK", "")
    assert resolve(OTHER_PROJECT, uploader) == denied
    assert resolve(PROJECT, viewer) == denied
    assert resolve(PROJECT, SERVICE_KEY) == denied
    assert resolve(PROJECT, f"{SERVICE_KEY[:-1]}T") == unknown
    assert resolve(PROJECT, uploader[:-1]) == unknown
    assert resolve(PROJECT, uploader, uploader) == unknown
    assert gateway.permissions(SERVICE_KEY) == ["audit.record", "uploads.resolve"]
    assert code(lambda: service.GetContainer(GET)) == "PERMISSION_DENIED"
    # Nor does it give patients codes, or learn what tables say of them, but for that one.
    tables = TableServiceStub(gateway.channel(SERVICE_KEY))
    calls: list[tuple[Any, Any]] = [
        (service.AssignCodes, pb.AssignCodesRequest(target=PROJECT)),
        (tables.LookUpPatients, table_pb.LookUpPatientsRequest(target=PROJECT)),
        (tables.ReadList, table_pb.ReadListRequest(target=PROJECT)),
    ]
    for call, request in calls:
        statuses = [
            code(lambda: call(request, metadata=metadata))  # noqa: B023 -- called at once
            for metadata in ((), *(in_the_name_of(key) for key in (viewer, SERVICE_KEY, uploader)))
        ]
        assert statuses == ["PERMISSION_DENIED"] * 3 + ["INVALID_ARGUMENT"]
    with channel(gateway.deid_service.address, key=SERVICE_KEY) as opening:
        caller = Caller(opening, opened(PROJECT))
        assert failure_of(caller.receive_all).code() is grpc.StatusCode.PERMISSION_DENIED


def test_in_the_name_of_a_caller(gateway: Gateway) -> None:
    """Only DeidService asks in the name of a caller: no other, and nobody without a credential."""
    uploader, admin = gateway.new_key(PROJECT, "uploader"), gateway.new_key(SITE, "group-admin")
    named = (("caller-authorization", f"Bearer {uploader}"),)

    for key in (admin, uploader, ""):
        with channel(gateway.address, key=key) as opening:
            stub = ProfileServiceStub(opening)
            with refused("PERMISSION_DENIED", "SERVICE_REFUSED"):
                stub.ResolveProfile(RESOLVE, metadata=named)


@pytest.mark.parametrize("how", ["key", "role"])
def test_open_streams_end(gateway: Gateway, how: str) -> None:
    """A stream ends, in the middle of a file, when its caller may not upload any more."""
    made = gateway.made_key(PROJECT, "uploader")
    other = gateway.new_key(PROJECT, "uploader")
    with (
        channel(gateway.deid_service.address, key=made.secret) as opening,
        channel(gateway.deid_service.address, key=other) as staying,
    ):
        caller = Caller(opening, opened(PROJECT), start())
        stays = Caller(staying, opened(PROJECT), start())
        assert caller.receive().HasField("opened")
        assert stays.receive().HasField("opened")

        if how == "key":
            gateway.access().RevokeApiKey(access_pb.RevokeApiKeyRequest(name=made.api_key.name))
        else:
            gateway.revoke(principal(made.secret), "uploader", PROJECT)
        ended = status_of(caller.receive_all)

        assert ended == (("UNAUTHENTICATED",) * 2 if how == "key" else ("PERMISSION_DENIED",) * 2)
        assert stays.call.is_active()
        stays.half_close()


def test_a_denial_does_not_tell_what_exists(gateway: Gateway) -> None:
    """What a caller may not see is refused in the same words, whether or not it is there."""
    key = gateway.new_key(GROUP, "group-admin")
    told = set()
    for name in (OTHER_SITE, "sites/nowhere", OTHER_PROJECT, f"{SITE}/groups/no/projects/no"):
        call = failure_of(
            lambda name=name: gateway.profiles(key).GetContainer(  # type: ignore[misc]
                pb.GetContainerRequest(name=name), metadata=(("x-request-id", "the-same"),)
            )
        )
        told.add((call.code(), call.details(), str(call.trailing_metadata())))

    assert len(told) == 1


def test_keys_of_other_containers(gateway: Gateway) -> None:
    """A key is ended by who manages access where it was made, under its own name alone."""
    made = gateway.made_key(DEVICE, "device")
    key_id = made.api_key.name.rpartition("/")[2]
    admin = gateway.new_key(GROUP, "group-admin")
    access = AccessServiceStub(gateway.channel(admin))

    for name in (f"{GROUP}/keys/{key_id}", f"{PROJECT}/keys/{key_id}"):
        with refused("NOT_FOUND", "KEY_NOT_FOUND"):
            access.RevokeApiKey(access_pb.RevokeApiKeyRequest(name=name))
    for name in (made.api_key.name, f"keys/{key_id}"):
        with refused("PERMISSION_DENIED", "PERMISSION_DENIED"):
            access.RevokeApiKey(access_pb.RevokeApiKeyRequest(name=name))
