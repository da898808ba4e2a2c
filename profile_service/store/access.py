"""API keys, roles and bindings: each method is one transaction at most."""

from __future__ import annotations

from datetime import UTC
from functools import lru_cache
from typing import TYPE_CHECKING

from profile_service.access.credentials import principal_of_key
from profile_service.access.model import Standing, StoredBinding, StoredKey
from profile_service.access.permissions import (
    DEVICE,
    GUARDED,
    ROLES,
    Permission,
    granted,
)
from profile_service.access.places import site_of_role
from profile_service.audit import Action, Entry
from profile_service.errors import (
    BindingNotFoundError,
    ContainerNotFoundError,
    InvalidNameError,
    InvalidRoleError,
    KeyNotFoundError,
    LastAdminError,
    PermissionDeniedError,
    RoleInUseError,
    RoleNotFoundError,
)
from profile_service.hierarchy import ContainerName, Kind
from profile_service.store.audit import append
from profile_service.store.existing import hold_container, require_approval
from profile_service.store.writers import Rollback, execute

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from profile_service.access.actor import Actor
    from profile_service.access.credentials import ApiKey, Claims
    from profile_service.access.places import Place
    from profile_service.audit import Facts
    from profile_service.store.database import Changing, Reading
    from profile_service.store.writers import WritingConnection


class AccessStore:
    """Who may do what, in PostgreSQL. Safe to use from many threads.

    `container` is None everywhere for all sites.
    """

    def __init__(self, read: Reading, change: Changing) -> None:
        self._read = read
        self._change = change
        # The API keys that were used since that was last recorded.
        self._used: set[str] = set()

    # --- What a credential is worth -----------------------------------------------------

    def standing(self, claims: Claims, place: Place) -> Standing:
        """Returns what a credential is worth at a place: one query."""
        ((key_name, words),) = self._read(
            "standing",
            *(claims.key_id, claims.key_hash, "\n".join(claims.principals)),
            "\n".join(place.names),
        )
        if key_name is not None:
            self._used.add(claims.key_id)
        return Standing(key_name, granted(words or ""))

    def standing_of_both(
        self, asking: Claims, caller: Claims, place: Place
    ) -> tuple[Standing, Standing]:
        """Returns what two credentials are worth at a place: one query."""
        shown = (asking.key_id, asking.key_hash, caller.key_id, caller.key_hash)
        principals = "\n".join(asking.principals + caller.principals)
        ((keys, lines),) = self._read(
            "standing_of_both", *shown, principals, "\n".join(place.names)
        )
        return self.standings(asking, caller, keys, lines)

    def standings(
        self, asking: Claims, caller: Claims, keys: str | None, lines: str | None
    ) -> tuple[Standing, Standing]:
        """Reads what a resolution is told of two credentials; see the query.

        Args:
            asking: what the one says.
            caller: what the other says.
            keys: the ids of the API keys among them that are in force.
            lines: what their principals have.
        """
        in_force = tuple(keys.split()) if keys else ()
        self._used.update(in_force)
        return _standings(asking, caller, in_force, lines or "")

    def record_uses(self) -> None:
        """Stores which API keys were used since the last time."""
        used, self._used = self._used, set()
        if used:
            with self._change("") as connection:
                execute(connection, "record_uses", sorted(used))

    # --- API keys -----------------------------------------------------------------------

    def adopt_key(self, key: ApiKey, role: str, display_name: str, actor: Actor) -> bool:
        """Makes a key that was made elsewhere one with a role for all sites, once.

        One that was revoked since stays so.

        Returns:
            Whether it is in force.
        """
        with self._change("") as connection:
            row = execute(connection, "key_in_force", key.id, key.hash).fetchone()
            if row is None:
                given = (key.id, key.hash, display_name, actor.principal)
                row = execute(connection, "adopt_key", *given).fetchone()
                if row is None:
                    # Another worker was faster.
                    return True
                name, principal = f"keys/{key.id}", principal_of_key(key.id)
                execute(
                    connection, "grant_role", None, principal, role, None, role, actor.principal
                )
                facts = {"display_name": display_name, "role": role}
                append(connection, Entry(Action.CREATE_KEY, name, actor, after=facts))
        return row is not None and bool(row[0])

    def create_key(
        self,
        container: ContainerName | None,
        key: ApiKey,
        display_name: str,
        expire_time: datetime | None,
        role: str,
        held: frozenset[Permission],
        actor: Actor,
    ) -> StoredKey:
        """Stores a key, with a role on its container where one is given.

        Args:
            container: what it belongs to.
            key: the key.
            display_name: a text for people.
            expire_time: when it ends.
            role: see `grant`; empty for none.
            held: see `grant`.
            actor: who makes it.

        Raises:
            ContainerNotFoundError: the container does not exist.
            PermissionDeniedError: see `grant`.
            InvalidRoleError: see `grant`.
            RoleNotFoundError: see `grant`.
            ApprovalRequiredError: see `grant`.
        """
        name = _text(container)
        with self._change(_site(container)) as connection:
            made = execute(
                connection,
                *("create_key", key.id, name, key.hash, display_name, actor.principal, expire_time),
            ).fetchone()
            if made is None:
                raise ContainerNotFoundError(name)
            stored = StoredKey(*made)
            if role:
                self._grant(connection, container, principal_of_key(key.id), role, held, actor)
            facts = _facts_of_key(stored)
            append(
                connection, Entry(Action.CREATE_KEY, _key(container, key.id), actor, after=facts)
            )
        return stored

    def list_keys(
        self, container: ContainerName | None, *, after: str, limit: int
    ) -> list[StoredKey]:
        """Returns the keys of a container in the order of their ids."""
        return [StoredKey(*row) for row in self._read("list_keys", _text(container), after, limit)]

    def revoke_key(self, container: ContainerName | None, key_id: str, actor: Actor) -> StoredKey:
        """Ends a key; one that was revoked stays as it is.

        Raises:
            KeyNotFoundError: the container has no such key.
            LastAdminError: nobody would manage access for all sites any more.
        """
        with self._change(_site(container)) as connection:
            had_admin = _has_admin(connection)
            row = execute(connection, "revoke_key", key_id, _text(container)).fetchone()
            if row is None:
                raise KeyNotFoundError(key_id)
            _keep_an_admin(connection, had_admin=had_admin)
            stored, revoked_now = StoredKey(*row[:-1]), row[-1]
            if revoked_now:
                facts = _facts_of_key(stored)
                name = _key(container, key_id)
                append(connection, Entry(Action.REVOKE_KEY, name, actor, before=facts))
        return stored

    # --- Bindings -----------------------------------------------------------------------

    def grant(
        self,
        container: ContainerName | None,
        principal: str,
        role: str,
        held: frozenset[Permission],
        actor: Actor,
        *,
        proposed_by: str | None = None,
        keep: bool = True,
    ) -> StoredBinding:
        """Gives a principal a role on a container.

        Args:
            container: where.
            principal: who gets it.
            role: one that is built in, or the name of one of the site.
            held: what who grants it may do there.
            actor: who grants it.
            proposed_by: who proposed it, where it was approved.
            keep: whether it is done; else it is only found out whether it could be.

        Raises:
            ApprovalRequiredError: it gives what the site lets nobody give alone.
            ContainerNotFoundError: the container does not exist.
            KeyNotFoundError: the principal is an API key that there is not.
            RoleNotFoundError: the site has no such role.
            InvalidRoleError: the role cannot be given there.
            PermissionDeniedError: the role may do something that who grants it may not.
        """
        with self._change(
            _site(container), binding_key_id_fkey=KeyNotFoundError(principal)
        ) as connection:
            made = self._grant(connection, container, principal, role, held, actor, proposed_by)
            if not keep:
                raise Rollback
        return made

    def revoke(
        self, container: ContainerName | None, principal: str, role: str, actor: Actor
    ) -> None:
        """Takes a role from a principal.

        Raises:
            BindingNotFoundError: it has none.
            LastAdminError: nobody would manage access for all sites any more.
        """
        with self._change(_site(container)) as connection:
            had_admin = _has_admin(connection)
            gone = execute(connection, "revoke_role", _text(container), principal, role)
            if gone.fetchone() is None:
                raise BindingNotFoundError(_text(container))
            _keep_an_admin(connection, had_admin=had_admin)
            facts = {"principal": principal, "role": role}
            name = _text(container)
            append(connection, Entry(Action.REVOKE_ROLE, name, actor, before=facts))

    def list_bindings(
        self, container: ContainerName | None, *, after: tuple[str, str], limit: int
    ) -> list[StoredBinding]:
        """Returns the bindings of a container itself, by principal and role."""
        found = self._read("list_bindings", _text(container), *after, limit)
        return [StoredBinding(*row) for row in found]

    # --- Roles --------------------------------------------------------------------------

    def set_role(
        self,
        name: str,
        site: ContainerName,
        permissions: Iterable[str],
        actor: Actor,
        *,
        proposed_by: str | None = None,
    ) -> None:
        """Makes a role of a site, or replaces its permissions.

        Args:
            name: of the role.
            site: whose.
            permissions: by their names.
            actor: who does it.
            proposed_by: who proposed it, where it was approved.

        Raises:
            ContainerNotFoundError: the site does not exist.
            ApprovalRequiredError: it gives what the site lets nobody give alone.
        """
        with self._change(site.text) as connection:
            site_id = hold_container(connection, site)
            before = execute(connection, "hold_role", name).fetchone()
            after = " ".join(sorted(permissions))
            if (granted(after) - granted("" if before is None else before[1])) & GUARDED:
                require_approval(connection, site, proposed_by)
            made = execute(connection, "set_role", site_id, name, after).fetchone()
            assert made is not None  # noqa: S101 -- made or replaced
            execute(connection, "spread_role", made[0], after)
            entry = Entry(
                Action.SET_ROLE,
                name,
                actor,
                {} if before is None else {"permissions": before[1]},
                {"permissions": after},
            )
            append(connection, entry)

    def delete_role(self, name: str, site: ContainerName, actor: Actor) -> None:
        """Deletes a role of a site.

        Raises:
            RoleNotFoundError: it has no such role.
            RoleInUseError: somebody has it.
        """
        with self._change(
            site.text, binding_custom_role_id_fkey=RoleInUseError(name)
        ) as connection:
            row = execute(connection, "delete_role", name).fetchone()
            if row is None:
                raise RoleNotFoundError(name)
            facts = {"permissions": row[0]}
            append(connection, Entry(Action.DELETE_ROLE, name, actor, before=facts))

    def list_roles(self, site: ContainerName) -> list[tuple[str, list[str]]]:
        """Returns the roles of a site by name, each with its permissions."""
        return [(name, words.split()) for name, words in self._read("list_roles", site.text)]

    # --- Parts --------------------------------------------------------------------------

    @staticmethod
    def _grant(
        connection: WritingConnection,
        container: ContainerName | None,
        principal: str,
        role: str,
        held: frozenset[Permission],
        actor: Actor,
        proposed_by: str | None = None,
    ) -> StoredBinding:
        container_id = None if container is None else hold_container(connection, container)
        role_id, words = _role(connection, container, role)
        if not granted(words) <= held:
            raise PermissionDeniedError
        if container is not None and granted(words) & GUARDED:
            require_approval(connection, container, proposed_by)
        made = execute(
            connection,
            *("grant_role", container_id, principal, role, role_id, words, actor.principal),
        )
        if made.rowcount:
            facts = {"principal": principal, "role": role}
            name = _text(container)
            append(connection, Entry(Action.GRANT_ROLE, name, actor, after=facts))
        row = execute(connection, "get_binding", container_id, principal, role).fetchone()
        assert row is not None  # noqa: S101 -- it was there, or is made
        return StoredBinding(*row)


# The same is said of the same two until something changes.
@lru_cache(maxsize=1024)
def _standings(
    asking: Claims, caller: Claims, in_force: tuple[str, ...], lines: str
) -> tuple[Standing, Standing]:
    one, other = (
        Standing("" if each.key_id in in_force else None, _granted(each.principals, lines))
        for each in (asking, caller)
    )
    return one, other


def _granted(principals: tuple[str, ...], lines: str) -> frozenset[Permission]:
    """Reads what some principals have: a line for each binding, of theirs and of others."""
    found = [line.split("\t") for line in lines.splitlines()]
    return granted(" ".join([words for principal, words, *_ in found if principal in principals]))


def _key(container: ContainerName | None, key_id: str) -> str:
    return f"keys/{key_id}" if container is None else f"{container}/keys/{key_id}"


def _facts_of_key(key: StoredKey) -> Facts:
    facts = {"display_name": key.display_name}
    if key.expire_time is not None:
        facts["expire_time"] = key.expire_time.astimezone(UTC).isoformat(timespec="seconds")
    return facts


def _text(container: ContainerName | None) -> str:
    return "" if container is None else container.text


def _site(container: ContainerName | None) -> str:
    return "" if container is None else container.site


def _role(
    connection: WritingConnection, container: ContainerName | None, role: str
) -> tuple[int | None, str]:
    """Returns the identity of a role (None where it is built in), and what it gives."""
    if role in ROLES:
        if role == DEVICE and (container is None or container.kind is not Kind.DEVICE):
            raise InvalidRoleError("role", "'device' is for devices.")
        return None, role
    try:
        site = site_of_role(role, field="role")
    except InvalidNameError:
        rule = f"must be {', '.join(ROLES)}, or sites/{{site}}/roles/{{role}}."
        raise InvalidRoleError("role", rule) from None
    if container is None or container.site != site.text:
        raise InvalidRoleError("role", "must be built in, or of the site of the container.")
    row = execute(connection, "hold_role", role).fetchone()
    if row is None:
        raise RoleNotFoundError(role)
    return row[0], row[1]


def _has_admin(connection: WritingConnection) -> bool:
    """Tells whether anybody manages access for all sites, and lets nobody change that."""
    execute(connection, "lock_admins")
    row = execute(connection, "has_admin").fetchone()
    return row is not None and bool(row[0])


def _keep_an_admin(connection: WritingConnection, *, had_admin: bool) -> None:
    row = execute(connection, "has_admin").fetchone()
    if had_admin and not (row is not None and row[0]):
        raise LastAdminError
