"""Who may do what: roles, their bindings, and API keys."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from deidcascade.v1 import access_service_pb2 as pb

from profile_service import messages, paging
from profile_service.access.credentials import KEY_ID, new_key
from profile_service.access.permissions import ROLES, Permission, to_permissions
from profile_service.access.places import parse_key_name, parse_optional, site_of_role
from profile_service.errors import (
    InvalidKeyError,
    InvalidPrincipalError,
    InvalidRoleError,
    PermissionDeniedError,
)
from profile_service.hierarchy import parse_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from google.protobuf.timestamp_pb2 import Timestamp

    from profile_service.access.model import StoredBinding, StoredKey
    from profile_service.guard import Call
    from profile_service.store.access import AccessStore

MAX_DISPLAY_NAME = 200

# The names that an identity provider gives: no spaces around, nothing that is not printed.
_PRINCIPAL = re.compile(
    rf"key:{KEY_ID}|(?:user|group|certificate):[!-~](?:[ -~]{{0,253}}[!-~])?", re.ASCII
)


class AccessCalls:
    """The calls about access."""

    def __init__(self, store: AccessStore) -> None:
        self._store = store

    def TestPermissions(  # noqa: N802, D102
        self, request: pb.TestPermissionsRequest, call: Call
    ) -> pb.TestPermissionsResponse:
        asked = frozenset(Permission)
        if request.permissions:
            asked = _permissions(request.permissions, "permissions")
        return pb.TestPermissionsResponse(
            permissions=_names(asked & call.granted), principal=call.shown.claims.name
        )

    def GrantRole(  # noqa: N802, D102
        self, request: pb.GrantRoleRequest, call: Call, *, keep: bool = True
    ) -> pb.GrantRoleResponse:
        wanted = request.binding
        granted = self._store.grant(
            parse_optional(wanted.container, field="binding.container"),
            _principal(wanted.principal),
            wanted.role,
            call.granted,
            call.actor,
            proposed_by=call.proposed_by,
            keep=keep,
        )
        return pb.GrantRoleResponse(binding=_binding(wanted.container, granted))

    def RevokeRole(  # noqa: N802, D102
        self, request: pb.RevokeRoleRequest, call: Call
    ) -> pb.RevokeRoleResponse:
        wanted = request.binding
        container = parse_optional(wanted.container, field="binding.container")
        self._store.revoke(container, _principal(wanted.principal), wanted.role, call.actor)
        return pb.RevokeRoleResponse()

    def ListBindings(  # noqa: N802, D102
        self, request: pb.ListBindingsRequest, call: Call
    ) -> pb.ListBindingsResponse:
        del call
        container = parse_optional(request.container, field="container")
        size = paging.page_size(request.page_size)
        listed = f"{request.container}/bindings"
        principal, _, role = paging.read_token(listed, request.page_token).rpartition(" ")
        found = self._store.list_bindings(container, after=(principal, role), limit=size + 1)
        page, token = paging.cut(found, size, listed, lambda each: f"{each.principal} {each.role}")
        return pb.ListBindingsResponse(
            bindings=[_binding(request.container, each) for each in page], next_page_token=token
        )

    def CreateApiKey(  # noqa: N802, D102
        self, request: pb.CreateApiKeyRequest, call: Call
    ) -> pb.CreateApiKeyResponse:
        key = new_key()
        stored = self._store.create_key(
            parse_optional(request.container, field="container"),
            key,
            _display_name(request.display_name),
            _end(request.expire_time) if request.HasField("expire_time") else None,
            request.role,
            call.granted,
            call.actor,
        )
        return pb.CreateApiKeyResponse(api_key=_key(request.container, stored), secret=key.text)

    def ListApiKeys(  # noqa: N802, D102
        self, request: pb.ListApiKeysRequest, call: Call
    ) -> pb.ListApiKeysResponse:
        del call
        container = parse_optional(request.container, field="container")
        size = paging.page_size(request.page_size)
        listed = f"{request.container}/keys"
        after = paging.read_token(listed, request.page_token)
        found = self._store.list_keys(container, after=after, limit=size + 1)
        page, token = paging.cut(found, size, listed, lambda each: each.id)
        return pb.ListApiKeysResponse(
            api_keys=[_key(request.container, each) for each in page], next_page_token=token
        )

    def RevokeApiKey(  # noqa: N802, D102
        self, request: pb.RevokeApiKeyRequest, call: Call
    ) -> pb.RevokeApiKeyResponse:
        name = parse_key_name(request.name, field="name")
        revoked = self._store.revoke_key(name.container, name.id, call.actor)
        container = "" if name.container is None else name.container.text
        return pb.RevokeApiKeyResponse(api_key=_key(container, revoked))

    def SetRole(self, request: pb.SetRoleRequest, call: Call) -> pb.SetRoleResponse:  # noqa: N802, D102
        role = checked_role(request, call)
        site = site_of_role(role.name, field="role.name")
        self._store.set_role(
            role.name, site, role.permissions, call.actor, proposed_by=call.proposed_by
        )
        return pb.SetRoleResponse(role=role)

    def DeleteRole(  # noqa: N802, D102
        self, request: pb.DeleteRoleRequest, call: Call
    ) -> pb.DeleteRoleResponse:
        site = site_of_role(request.name, field="name")
        self._store.delete_role(request.name, site, call.actor)
        return pb.DeleteRoleResponse()

    def ListRoles(  # noqa: N802, D102
        self, request: pb.ListRolesRequest, call: Call
    ) -> pb.ListRolesResponse:
        del call
        response = pb.ListRolesResponse(
            roles=[
                pb.Role(name=name, permissions=_names(permissions))
                for name, permissions in ROLES.items()
            ]
        )
        if request.site:
            for name, permissions in self._store.list_roles(parse_name(request.site, field="site")):
                response.roles.add(name=name, permissions=permissions)
        return response


def checked_role(request: pb.SetRoleRequest, call: Call) -> pb.Role:
    """Returns a role that its caller may make, with its permissions in their order.

    Raises:
        InvalidRoleError: it has none, or some that there are not.
        PermissionDeniedError: it may do something that the caller may not.
    """
    wanted = _permissions(request.role.permissions, "role.permissions")
    if not wanted:
        raise InvalidRoleError("role.permissions", "must name at least one permission.")
    if not wanted <= call.granted:
        raise PermissionDeniedError
    return pb.Role(name=request.role.name, permissions=_names(wanted))


def _names(permissions: Iterable[Permission]) -> list[str]:
    return sorted(permission.value for permission in permissions)


def _permissions(names: Iterable[str], field: str) -> frozenset[Permission]:
    try:
        return to_permissions(names)
    except KeyError:
        known = ", ".join(_names(Permission))
        raise InvalidRoleError(field, f"must be permissions: {known}.") from None


def _principal(text: str) -> str:
    if _PRINCIPAL.fullmatch(text) is None:
        raise InvalidPrincipalError(
            "binding.principal",
            "must be key:{id}, user:{subject}, group:{name} or certificate:{subject}, of at most "
            "255 printable ASCII characters behind the colon.",
        )
    return text


def _display_name(text: str) -> str:
    if len(text) > MAX_DISPLAY_NAME or not text.isprintable():
        raise InvalidKeyError(
            "display_name", f"must be at most {MAX_DISPLAY_NAME} characters on one line."
        )
    return text


def _end(moment: Timestamp) -> datetime:
    rule = "must be in the future."
    try:
        end = moment.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise InvalidKeyError("expire_time", rule) from None
    if end <= datetime.now(UTC):
        raise InvalidKeyError("expire_time", rule)
    return end


def _key(container: str, stored: StoredKey) -> pb.ApiKey:
    message = pb.ApiKey(
        name=f"{container}/keys/{stored.id}" if container else f"keys/{stored.id}",
        display_name=stored.display_name,
        creator=stored.creator,
    )
    messages.set_time(message.create_time, stored.create_time)
    for field, moment in (
        (message.expire_time, stored.expire_time),
        (message.revoke_time, stored.revoke_time),
        (message.last_use_time, stored.last_use_time),
    ):
        if moment is not None:
            messages.set_time(field, moment)
    return message


def _binding(container: str, stored: StoredBinding) -> pb.Binding:
    message = pb.Binding(
        container=container,
        principal=stored.principal,
        role=stored.role,
        creator=stored.creator,
    )
    messages.set_time(message.create_time, stored.create_time)
    return message
