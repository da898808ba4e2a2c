"""The versions of profiles, and which of them is attached to a container."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from profile_service.access.actor import Actor, Credential
from profile_service.audit import Action, Entry
from profile_service.errors import (
    ContainerNotFoundError,
    ProfileNotFoundError,
)
from profile_service.hierarchy import ContainerName, parse_name
from profile_service.store import audit, rows
from profile_service.store.existing import existing, lock_profile, require_approval
from profile_service.store.writers import Rollback, WritingConnection, execute

if TYPE_CHECKING:
    from profile_service.model import Decision, ProfileVersion
    from profile_service.store.database import Changing, Reading

# Who decides again, when a newer validator comes.
VALIDATOR = Actor("validator", Credential.NONE)


class ProfileStore:
    """Versions of profiles, in PostgreSQL. Safe to use from many threads."""

    def __init__(self, read: Reading, change: Changing) -> None:
        self._read = read
        self._change = change

    def set(
        self,
        name: ContainerName,
        source: bytes,
        decision: Decision,
        *,
        note: str,
        etag: str,
        actor: Actor,
        proposed_by: str | None = None,
        keep: bool = True,
    ) -> tuple[ProfileVersion, ProfileVersion | None]:
        """Attaches a text as a new version, unless it is the one that is attached.

        Args:
            name: the container.
            source: the text as UTF-8.
            decision: what the validator of this build says of it; stored with a new
                version only.
            note: why, in the words of who does it.
            etag: the one that the profile must have, or the empty text.
            actor: who does it.
            proposed_by: who proposed it, where it was approved.
            keep: False to undo it in the end, for who wants to know what would be.

        Returns:
            What is attached now, and what was before.

        Raises:
            ContainerNotFoundError: it does not exist.
            EtagMismatchError: another profile was attached since.
            ApprovalRequiredError: the site lets nobody do this alone.
        """
        with self._change(name.site) as connection:
            container_id, current, latest = lock_profile(connection, name, etag)
            attached = None if current is None else _version(connection, name, current)
            if attached is not None and attached.sha256 == sha256(source).digest():
                return attached, attached
            if keep:
                require_approval(connection, name, proposed_by)
            version = latest + 1
            author = actor.subject if proposed_by is None else proposed_by
            said = (author, note, *rows.decision_parameters(decision))
            execute(connection, "insert_version", container_id, version, source, *said)
            execute(connection, "attach_version", container_id, version)
            stored = _version(connection, name, version)
            if not keep:
                raise Rollback
            before = {} if attached is None else audit.facts_of_version(attached)
            after = audit.facts_of_version(stored)
            audit.append(connection, Entry(Action.SET_PROFILE, name.text, actor, before, after))
        return stored, attached

    def clear(
        self, name: ContainerName, *, etag: str, actor: Actor, proposed_by: str | None = None
    ) -> None:
        """Detaches what is attached; the versions stay.

        Args:
            name: the container.
            etag: the one that the profile must have, or the empty text.
            actor: who does it.
            proposed_by: who proposed it, where it was approved.

        Raises:
            ContainerNotFoundError: it does not exist.
            ProfileNotFoundError: nothing is attached.
            EtagMismatchError: another profile was attached since.
            ApprovalRequiredError: the site lets nobody do this alone.
        """
        with self._change(name.site) as connection:
            container_id, current, _ = lock_profile(connection, name, etag)
            if current is None:
                raise ProfileNotFoundError(name.text)
            require_approval(connection, name, proposed_by)
            before = audit.facts_of_version(_version(connection, name, current))
            execute(connection, "attach_version", container_id, None)
            audit.append(connection, Entry(Action.CLEAR_PROFILE, name.text, actor, before))

    def get(self, name: ContainerName, version: int) -> ProfileVersion | None:
        """Returns a version with its text; None when there is none of that number.

        Args:
            name: the container.
            version: which one; 0 is the one that is attached.

        Raises:
            ContainerNotFoundError: the container does not exist.
        """
        return rows.to_version(name.text, existing(self._read, "get_version", name, version))

    def get_by_digest(self, name: ContainerName, sha256: bytes) -> ProfileVersion | None:
        """Returns the version with a digest, also of a container that was deleted.

        Args:
            name: the container; those that had this name before count, too.
            sha256: of the text.
        """
        found = self._read("get_version_by_digest", name.text, sha256)
        return rows.to_version(name.text, found[0]) if found else None

    def page(
        self, name: ContainerName, *, before: int, limit: int, newest: int
    ) -> tuple[int, list[ProfileVersion]]:
        """Returns versions without their texts, newest first.

        Args:
            name: the container.
            before: the version below which they begin.
            limit: how many at most.
            newest: none but so many of the newest.

        Returns:
            The version that is attached now, or 0, and the versions.

        Raises:
            ContainerNotFoundError: the container does not exist.
        """
        found = self._read("list_versions", name.text, before, limit, newest)
        if not found:
            raise ContainerNotFoundError(name.text)
        versions = [rows.to_version(name.text, row[1:]) for row in found]
        return found[0][0], [version for version in versions if version is not None]

    def get_source(self, version: ProfileVersion) -> str | None:
        """Returns the text of a version; None when its container has been deleted."""
        found = self._read("get_source", version.container_id, version.version)
        return found[0][0].decode() if found else None

    def record_decision(self, version: ProfileVersion, decision: Decision) -> None:
        """Stores what a newer validator says of a version.

        Args:
            version: as it was read, with the decision that is replaced.
            decision: the new one.
        """
        name = parse_name(version.container, field="container")
        with self._change(name.site) as connection:
            recorded = execute(
                connection,
                "record_decision",
                version.container_id,
                version.version,
                version.decision.validator_version,
                *rows.decision_parameters(decision),
            )
            if recorded.rowcount and decision.valid != version.decision.valid:
                before = audit.facts_of_version(version)
                after = audit.facts_of_version(version._replace(decision=decision))
                audit.append(
                    connection, Entry(Action.DECIDE_PROFILE, name.text, VALIDATOR, before, after)
                )


def _version(connection: WritingConnection, name: ContainerName, version: int) -> ProfileVersion:
    """Returns a version that exists: the container is locked."""
    row = execute(connection, "get_version", name.text, version).fetchone()
    found = None if row is None else rows.to_version(name.text, row)
    assert found is not None  # noqa: S101 -- a version goes only with its container
    return found
