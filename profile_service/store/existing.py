"""Containers that a statement needs: they exist, and are as who asks believes they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from profile_service.errors import (
    ApprovalRequiredError,
    ContainerNotFoundError,
    EtagMismatchError,
)
from profile_service.store import rows
from profile_service.store.writers import execute

if TYPE_CHECKING:
    from profile_service.hierarchy import ContainerName
    from profile_service.store.database import Reading
    from profile_service.store.rows import Row
    from profile_service.store.statement import Parameter
    from profile_service.store.writers import WritingConnection


def existing(read: Reading, query: str, name: ContainerName, *parameters: Parameter) -> Row:
    """Returns the first row of a statement that finds none where there is no container."""
    found = read(query, name.text, *parameters)
    if not found:
        raise ContainerNotFoundError(name.text)
    return found[0]


def hold_container(connection: WritingConnection, container: ContainerName) -> int:
    """Returns the identity of a container, which nobody deletes until the transaction ends."""
    row = execute(connection, "hold_container", container.text).fetchone()
    if row is None:
        raise ContainerNotFoundError(container.text)
    container_id: int = row[0]
    return container_id


def lock_container(connection: WritingConnection, name: ContainerName, etag: str) -> Row:
    """Returns a container, which nobody else changes until the transaction ends."""
    row = execute(connection, "lock_container", name.text).fetchone()
    if row is None:
        raise ContainerNotFoundError(name.text)
    if etag not in {"", rows.to_container(row).etag}:
        raise EtagMismatchError(name.text)
    return row


def lock_profile(
    connection: WritingConnection, name: ContainerName, etag: str
) -> tuple[int, int | None, int]:
    """Keeps others from changing what is attached to a container until the transaction ends.

    Returns:
        The identity of the container, the version that is attached, and the latest one.
    """
    row = execute(connection, "lock_profile", name.text).fetchone()
    if row is None:
        raise ContainerNotFoundError(name.text)
    container_id, current, latest, revision = row
    if etag not in {"", rows.etag(container_id, revision)}:
        raise EtagMismatchError(f"{name}/profile")
    return container_id, current, latest


def require_approval(
    connection: WritingConnection, name: ContainerName, proposed_by: str | None
) -> None:
    """Raises ApprovalRequiredError for a change that nobody proposed, where that is needed."""
    if proposed_by is None:
        ((needed,),) = execute(connection, "needs_approval", name.site).fetchall()
        if needed:
            raise ApprovalRequiredError(name.text)


def require_approved(
    connection: WritingConnection, name: ContainerName, method: str, request: bytes
) -> None:
    """Raises ApprovalRequiredError for what was not approved before, where that is needed.

    Args:
        connection: in whose transaction.
        name: the container that the change is about.
        method: the call.
        request: what was proposed, byte for byte.
    """
    ((approved,),) = execute(connection, "is_approved", name.text, method, request).fetchall()
    require_approval(connection, name, "" if approved else None)
