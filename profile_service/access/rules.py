"""What each call needs: the table from RPC to permission to container.

    RPC                    needs                                   on
    ---------------------  --------------------------------------  ------------------------
    CreateContainer        containers.manage                       what it is to be in
      of a site            sites.create                            all sites
      switched off         enforcement.manage as well
      locked               profiles.manage_shared as well
    GetContainer           containers.view                         the container
    ListContainers         containers.view                         the parent, or all sites
    UpdateContainer        settings.manage                         the container
      of the switch        enforcement.manage
      of the lock          profiles.manage_shared
    DeleteContainer        containers.manage                       what it is in
    ValidateProfile        profiles.view                           the container, or any
    SetProfile             profiles.manage                         the container
      of a site or group   profiles.manage_shared
      lets data through    profiles.bypass as well
    ClearProfile           as SetProfile                           the container
    GetProfile,            profiles.view                           the container
    ListProfileVersions
    ProposeChange          what the change itself needs            the container
    ListChanges, GetChange profiles.view                           the container
    DecideChange           that, and what the change needs         the container
    ResolveProfile         profiles.view                           the target
      for a caller         uploads.resolve, and of the caller      the target
                           uploads.create; of one who
                           previews, profiles.view
    ListSiteKeys           profiles.view                           the site
    RotateSiteKey          keys.manage                             the site
    AssignCodes            uploads.resolve, and of the caller in   the target
                           whose name it is asked uploads.create
    ListSubjects           subjects.view                           the container
    SetTable, DeleteTable  subjects.manage                         the container
    ListTables,            subjects.view                           the container
    ListTableVersions,
    ReadTable
    LookUpPatients,        as AssignCodes                          the target
    ReadList
    ListAuditEvents,       audit.view                              the container, or all sites
    ListAuditHeads
    TestPermissions        a credential
    GrantRole, RevokeRole  access.manage, and to grant it all      the container
    CreateApiKey           that the role has
    RevokeApiKey           access.manage                           where it was made
    ListBindings,          access.view                             the container
    ListApiKeys
    SetRole, DeleteRole    access.manage                           the site
    ListRoles              access.view                             the site, or all sites

A permission on a container is one on everything below it. That a profile lets data through
is known when it has been checked, and what a role has when it has been read: those two are
asked for where that is, by the permissions that were found here.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from deidcascade.v1 import access_service_pb2 as access_pb
from deidcascade.v1 import profile_service_pb2 as pb
from deidcascade.v1 import table_service_pb2 as table_pb

from profile_service.access.judging import OF_VIEWER
from profile_service.access.permissions import Permission
from profile_service.access.places import (
    ALL_SITES,
    ANYWHERE,
    Place,
    parse_key_name,
    parse_optional,
    place_above,
    place_of,
    site_of_role,
)
from profile_service.errors import InvalidChangeError
from profile_service.hierarchy import PARENTS, SITES, TARGETS, Kind, parse_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from profile_service.hierarchy import ContainerName

_SHARED = frozenset({Kind.SITE, Kind.GROUP})


# What DeidService asks for in the name of a caller: nobody calls so otherwise. The first one
# can be asked for in one's own name as well, the others cannot.
RESOLVING = "ResolveProfile"
GIVEN_TO_CALLERS = frozenset({"AssignCodes", "LookUpPatients", "ReadList"})
FOR_CALLERS = GIVEN_TO_CALLERS | {RESOLVING}

# The calls that can be proposed, by the fields of the proposal.
PROPOSABLE = MappingProxyType(
    {
        "set_profile": "SetProfile",
        "clear_profile": "ClearProfile",
        "update_container": "UpdateContainer",
        "grant_role": "GrantRole",
        "set_role": "SetRole",
        "rotate_site_key": "RotateSiteKey",
        "set_table": "SetTable",
    }
)

Proposable = (
    pb.SetProfileRequest
    | pb.ClearProfileRequest
    | pb.UpdateContainerRequest
    | access_pb.GrantRoleRequest
    | access_pb.SetRoleRequest
    | pb.RotateSiteKeyRequest
    | pb.ProposedTable
)


def proposed(request: pb.ProposeChangeRequest) -> tuple[str, Proposable]:
    """Returns the call that a proposal is about, and its request.

    Raises:
        InvalidChangeError: it is about none.
    """
    field = request.WhichOneof("change")
    if field is None:
        raise InvalidChangeError("change", "must be one of the calls that can be proposed.")
    return PROPOSABLE[field], getattr(request, field)


class Asked(NamedTuple):
    """What a call needs.

    Attributes:
        place: where.
        permissions: all of these; none is open to every caller that is known.
    """

    place: Place
    permissions: frozenset[Permission]


def _on(place: Place, *permissions: Permission) -> Asked:
    return Asked(place, frozenset(permissions))


def _place(name: ContainerName | None) -> Place:
    return ALL_SITES if name is None else place_of(name)


def _create_container(request: pb.CreateContainerRequest) -> Asked:
    name = parse_name(request.container.name, field="container.name")
    needed = {Permission.CONTAINERS_MANAGE}
    if name.kind is Kind.SITE:
        needed = {Permission.SITES_CREATE}
    if request.container.enforcement == pb.ENFORCEMENT_DISABLED:
        needed.add(Permission.ENFORCEMENT_MANAGE)
    if request.container.profile_locked:
        needed.add(Permission.PROFILES_MANAGE_SHARED)
    return Asked(place_above(name), frozenset(needed))


def _get_container(request: pb.GetContainerRequest) -> Asked:
    return _on(place_of(parse_name(request.name, field="name")), Permission.CONTAINERS_VIEW)


def _list_containers(request: pb.ListContainersRequest) -> Asked:
    if not request.parent:
        return _on(ALL_SITES, Permission.CONTAINERS_VIEW)
    parent = parse_name(request.parent, field="parent", kinds=PARENTS)
    return _on(place_of(parent), Permission.CONTAINERS_VIEW)


# What changing each field of a container needs.
_FIELDS = {
    "display_name": Permission.SETTINGS_MANAGE,
    "enforcement": Permission.ENFORCEMENT_MANAGE,
    "profile_locked": Permission.PROFILES_MANAGE_SHARED,
    # Who changes what is told of files is not who looks after the display name.
    "file_audit": Permission.ENFORCEMENT_MANAGE,
    "approval_required": Permission.ENFORCEMENT_MANAGE,
}


def _update_container(request: pb.UpdateContainerRequest) -> Asked:
    name = parse_name(request.container.name, field="container.name")
    # Without a mask, those that are set.
    paths = request.update_mask.paths or [
        path for path in _FIELDS if getattr(request.container, path)
    ]
    needed = {_FIELDS.get(path, Permission.SETTINGS_MANAGE) for path in paths}
    return Asked(place_of(name), frozenset(needed or {Permission.SETTINGS_MANAGE}))


def _delete_container(request: pb.DeleteContainerRequest) -> Asked:
    name = parse_name(request.name, field="name")
    return _on(place_above(name), Permission.CONTAINERS_MANAGE)


def _validate_profile(request: pb.ValidateProfileRequest) -> Asked:
    if not request.container:
        return _on(ANYWHERE, Permission.PROFILES_VIEW)
    name = parse_name(request.container, field="container")
    return _on(place_of(name), Permission.PROFILES_VIEW)


def _change_profile(request: pb.SetProfileRequest | pb.ClearProfileRequest) -> Asked:
    name = parse_name(request.container, field="container")
    needed = Permission.PROFILES_MANAGE
    if name.kind in _SHARED:
        needed = Permission.PROFILES_MANAGE_SHARED
    return _on(place_of(name), needed)


def _read_profile(request: pb.GetProfileRequest | pb.ListProfileVersionsRequest) -> Asked:
    name = parse_name(request.container, field="container")
    return _on(place_of(name), Permission.PROFILES_VIEW)


def _resolve_profile(request: pb.ResolveProfileRequest) -> Asked:
    target = parse_name(request.target, field="target", kinds=TARGETS)
    return Asked(place_of(target), OF_VIEWER)


def _propose_change(request: pb.ProposeChangeRequest) -> Asked:
    # What making it would need.
    method, inner = proposed(request)
    return RULES[method](inner)


def _see_changes(
    request: pb.ListChangesRequest | pb.GetChangeRequest | pb.DecideChangeRequest,
) -> Asked:
    name = parse_name(request.container, field="container")
    return _on(place_of(name), Permission.PROFILES_VIEW)


def _record_files(request: pb.RecordFilesRequest) -> Asked:
    target = parse_name(request.target, field="target", kinds=TARGETS)
    return _on(place_of(target), Permission.AUDIT_RECORD)


def _list_events(request: pb.ListAuditEventsRequest) -> Asked:
    name = parse_optional(request.parent, field="parent")
    return _on(_place(name), Permission.AUDIT_VIEW)


def _list_heads(request: pb.ListAuditHeadsRequest) -> Asked:
    if not request.site:
        return _on(ALL_SITES, Permission.AUDIT_VIEW)
    site = parse_name(request.site, field="site", kinds=frozenset({Kind.SITE}))
    return _on(place_of(site), Permission.AUDIT_VIEW)


def _list_site_keys(request: pb.ListSiteKeysRequest) -> Asked:
    site = parse_name(request.site, field="site", kinds=SITES)
    return _on(place_of(site), Permission.PROFILES_VIEW)


def _rotate_site_key(request: pb.RotateSiteKeyRequest) -> Asked:
    site = parse_name(request.site, field="site", kinds=SITES)
    return _on(place_of(site), Permission.KEYS_MANAGE)


def _given_to_patients(
    request: pb.AssignCodesRequest | table_pb.LookUpPatientsRequest | table_pb.ReadListRequest,
) -> Asked:
    target = parse_name(request.target, field="target", kinds=TARGETS)
    return _on(place_of(target), Permission.UPLOADS_RESOLVE)


def _manage_table(
    request: table_pb.SetTableRequest | table_pb.DeleteTableRequest | pb.ProposedTable,
) -> Asked:
    name = parse_name(request.container, field="container")
    return _on(place_of(name), Permission.SUBJECTS_MANAGE)


def _see_subjects(
    request: pb.ListSubjectsRequest
    | table_pb.ListTablesRequest
    | table_pb.ListTableVersionsRequest
    | table_pb.ReadTableRequest,
) -> Asked:
    name = parse_name(request.container, field="container")
    return _on(place_of(name), Permission.SUBJECTS_VIEW)


def _test_permissions(request: access_pb.TestPermissionsRequest) -> Asked:
    return _on(_place(parse_optional(request.container, field="container")))


def _manage_binding(request: access_pb.GrantRoleRequest | access_pb.RevokeRoleRequest) -> Asked:
    name = parse_optional(request.binding.container, field="binding.container")
    return _on(_place(name), Permission.ACCESS_MANAGE)


def _view_access(request: access_pb.ListBindingsRequest | access_pb.ListApiKeysRequest) -> Asked:
    name = parse_optional(request.container, field="container")
    return _on(_place(name), Permission.ACCESS_VIEW)


def _create_key(request: access_pb.CreateApiKeyRequest) -> Asked:
    name = parse_optional(request.container, field="container")
    return _on(_place(name), Permission.ACCESS_MANAGE)


def _revoke_key(request: access_pb.RevokeApiKeyRequest) -> Asked:
    name = parse_key_name(request.name, field="name")
    return _on(_place(name.container), Permission.ACCESS_MANAGE)


def _set_role(request: access_pb.SetRoleRequest) -> Asked:
    site = site_of_role(request.role.name, field="role.name")
    return _on(place_of(site), Permission.ACCESS_MANAGE)


def _delete_role(request: access_pb.DeleteRoleRequest) -> Asked:
    return _on(place_of(site_of_role(request.name, field="name")), Permission.ACCESS_MANAGE)


def _list_roles(request: access_pb.ListRolesRequest) -> Asked:
    if not request.site:
        return _on(ALL_SITES, Permission.ACCESS_VIEW)
    site = parse_name(request.site, field="site", kinds=frozenset({Kind.SITE}))
    return _on(place_of(site), Permission.ACCESS_VIEW)


# Each gets the request of its call.
RULES: Mapping[str, Callable[[Any], Asked]] = MappingProxyType(
    {
        "CreateContainer": _create_container,
        "GetContainer": _get_container,
        "ListContainers": _list_containers,
        "UpdateContainer": _update_container,
        "DeleteContainer": _delete_container,
        "ValidateProfile": _validate_profile,
        "SetProfile": _change_profile,
        "ClearProfile": _change_profile,
        "GetProfile": _read_profile,
        "ListProfileVersions": _read_profile,
        "ResolveProfile": _resolve_profile,
        "ProposeChange": _propose_change,
        "ListChanges": _see_changes,
        "GetChange": _see_changes,
        "DecideChange": _see_changes,
        "RecordFiles": _record_files,
        "ListSiteKeys": _list_site_keys,
        "RotateSiteKey": _rotate_site_key,
        "AssignCodes": _given_to_patients,
        "ListSubjects": _see_subjects,
        "SetTable": _manage_table,
        "DeleteTable": _manage_table,
        "ListTables": _see_subjects,
        "ListTableVersions": _see_subjects,
        "ReadTable": _see_subjects,
        "LookUpPatients": _given_to_patients,
        "ReadList": _given_to_patients,
        "ListAuditEvents": _list_events,
        "ListAuditHeads": _list_heads,
        "TestPermissions": _test_permissions,
        "GrantRole": _manage_binding,
        "RevokeRole": _manage_binding,
        "ListBindings": _view_access,
        "CreateApiKey": _create_key,
        "ListApiKeys": _view_access,
        "RevokeApiKey": _revoke_key,
        "SetRole": _set_role,
        "DeleteRole": _delete_role,
        "ListRoles": _list_roles,
    }
)
