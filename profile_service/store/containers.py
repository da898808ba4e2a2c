"""Containers: sites, groups, projects and devices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from profile_service.audit import Action, Entry
from profile_service.errors import (
    ContainerAlreadyExistsError,
    ContainerNotEmptyError,
    ContainerNotFoundError,
    ParentNotFoundError,
)
from profile_service.hierarchy import ContainerName, Kind
from profile_service.store import audit, rows
from profile_service.store.existing import existing, lock_container, require_approval
from profile_service.store.writers import execute

if TYPE_CHECKING:
    from profile_service.access.actor import Actor
    from profile_service.model import Container, FileAudit
    from profile_service.store.database import Changing, Reading


class ContainerStore:
    """Containers, in PostgreSQL. Safe to use from many threads."""

    def __init__(self, read: Reading, change: Changing) -> None:
        self._read = read
        self._change = change

    def create(
        self,
        name: ContainerName,
        display_name: str,
        *,
        enforced: bool | None,
        profile_locked: bool = False,
        file_audit: FileAudit | None = None,
        actor: Actor,
    ) -> Container:
        """Creates a container.

        Args:
            name: its name.
            display_name: a text for people.
            enforced: the switch of a site; None for anything else.
            profile_locked: whether levels below cannot override its profile.
            file_audit: what a site wants told of files; None for the default, and for
                anything else.
            actor: who does it.

        Raises:
            ParentNotFoundError: the parent does not exist.
            ContainerAlreadyExistsError: it does exist.
        """
        parent = name.parent or ""
        no_parent = ParentNotFoundError(name.text, parent)
        with self._change(
            name.site,
            # The parent may be deleted at the very same time.
            container_parent_id_fkey=no_parent,
            container_name_key=ContainerAlreadyExistsError(name.text),
        ) as connection:
            if name.kind is Kind.SITE:
                query, third = "create_site", enforced  # type: str, bool | str | None
            else:
                query, third = "create_child", parent
            given: tuple[object, ...] = (name.text, display_name, third, profile_locked)
            if name.kind is Kind.SITE:
                given = (*given, None if file_audit is None else file_audit.value)
            made = execute(connection, query, *given)
            row = made.fetchone()
            if row is None:
                raise no_parent
            created = rows.to_container(row)
            audit.append(
                connection,
                Entry(Action.CREATE_CONTAINER, name.text, actor, after=audit.facts_of(created)),
            )
        return created

    def get(self, name: ContainerName) -> Container:
        """Returns a container.

        Raises:
            ContainerNotFoundError: it does not exist.
        """
        return rows.to_container(existing(self._read, "get_container", name))

    def page(self, parent: ContainerName | None, *, after: str, limit: int) -> list[Container]:
        """Returns the children of a container, or the sites, in the order of their names.

        Args:
            parent: the container, or None for the sites.
            after: the name after which they begin.
            limit: how many at most.

        Raises:
            ContainerNotFoundError: the parent does not exist.
        """
        if parent is None:
            found = self._read("list_sites", after, limit)
            return [rows.to_container(row) for row in found]
        found = self._read("list_children", parent.text, after, limit)
        if not found:
            raise ContainerNotFoundError(parent.text)
        return [rows.to_container(row) for row in found if row[0] is not None]

    def update(
        self,
        name: ContainerName,
        *,
        display_name: str | None,
        enforced: bool | None,
        profile_locked: bool | None = None,
        file_audit: FileAudit | None = None,
        approval_required: bool | None = None,
        etag: str,
        actor: Actor,
        proposed_by: str | None = None,
    ) -> Container:
        """Changes a container; a change that changes nothing leaves the etag as it is.

        Args:
            name: which one.
            display_name: the new one, or None to leave it.
            enforced: the new switch, or None to leave it.
            profile_locked: whether levels below can no longer override its profile, or None
                to leave it.
            file_audit: what the site wants told of files from now on, or None to leave it.
            approval_required: whether a second person must approve changes from now on, or
                None to leave it.
            etag: the one that it must have, or the empty text.
            actor: who does it.
            proposed_by: who proposed it, where it was approved.

        Raises:
            ContainerNotFoundError: it does not exist.
            EtagMismatchError: it has changed since.
            ApprovalRequiredError: it says more than the display name, and nobody approved.
        """
        with self._change(name.site) as connection:
            row = lock_container(connection, name, etag)
            before = rows.to_container(row)
            new_name = before.display_name if display_name is None else display_name
            new_switch = before.enforced if enforced is None else enforced
            new_lock = before.profile_locked if profile_locked is None else profile_locked
            new_audit = before.file_audit if file_audit is None else file_audit
            new_rule = before.approval_required if approval_required is None else approval_required
            after = before._replace(
                display_name=new_name,
                enforced=new_switch,
                profile_locked=new_lock,
                file_audit=new_audit,
                approval_required=new_rule,
            )
            if after == before:
                return before
            if after != before._replace(display_name=new_name):
                require_approval(connection, name, proposed_by)
            stored = None if new_audit is None else new_audit.value
            new = (new_name, new_switch, new_lock, stored, new_rule)
            update = execute(connection, "update_container", row[0], *new)
            changed = update.fetchone()
            assert changed is not None  # noqa: S101 -- the row is locked
            after = rows.to_container(changed)
            facts = (audit.facts_of(before), audit.facts_of(after))
            switched = after.enforced != before.enforced
            action = Action.UPDATE_ENFORCEMENT if switched else Action.UPDATE_CONTAINER
            audit.append(connection, Entry(action, name.text, actor, *facts))
        return after

    def delete(self, name: ContainerName, *, etag: str, actor: Actor) -> None:
        """Deletes a container; its profile versions stay for who knows their digests.

        Args:
            name: which one.
            etag: the one that it must have, or the empty text.
            actor: who does it.

        Raises:
            ContainerNotFoundError: it does not exist.
            ContainerNotEmptyError: it has children.
            EtagMismatchError: it has changed since.
            ApprovalRequiredError: it has a profile, and its site lets nobody detach that alone.
        """
        with self._change(
            name.site, container_parent_id_fkey=ContainerNotEmptyError(name.text)
        ) as connection:
            row = lock_container(connection, name, etag)
            attached = execute(connection, "get_version", name.text, 0).fetchone()
            before = audit.facts_of(rows.to_container(row))
            profile = None if attached is None else rows.to_version(name.text, attached)
            if profile is not None:
                # Detached first, which can be proposed: what is below a level above depends on it.
                require_approval(connection, name, None)
            execute(connection, "delete_container", row[0])
            if profile is not None:
                before = {**before, **audit.facts_of_version(profile)}
            audit.append(connection, Entry(Action.DELETE_CONTAINER, name.text, actor, before))
