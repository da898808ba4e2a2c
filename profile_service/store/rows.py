"""Rows to data, and data to parameters."""

from __future__ import annotations

import struct
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from psycopg.types.json import Json

from profile_service.keys.sealing import Sealed
from profile_service.language.model import Violation
from profile_service.model import (
    Container,
    Decision,
    FileAudit,
    KeyUse,
    ProfileVersion,
    SiteKey,
    StoredSubject,
    Subject,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

Row = tuple[Any, ...]

# A generation of a key in a resolution: its number, which master key, and what is encrypted.
_KEY = struct.Struct("!i8s60s")
_KEY_BYTES = _KEY.size


def etag(container_id: int, revision: int) -> str:
    """Returns the etag of a revision; those of a container made anew are other ones."""
    return f"{container_id:x}-{revision:x}"


def to_container(row: Row) -> Container:
    """Reads a container."""
    (
        container_id,
        name,
        display_name,
        enforced,
        create_time,
        update_time,
        revision,
        locked,
        profile_revision,
        file_audit,
        approval_required,
    ) = row
    return Container(
        name,
        display_name,
        enforced,
        create_time,
        update_time,
        etag(container_id, revision),
        locked,
        etag(container_id, profile_revision),
        None if enforced is None else FileAudit(file_audit),
        approval_required,
    )


def to_version(container: str, row: Row) -> ProfileVersion | None:
    """Reads a version; None where there is none.

    Args:
        container: the name of the container.
        row: the columns of a version in every query that gives one: the id of the
            container and its profile_revision; version, sha256, create_time,
            validator_version, blank, violations, warnings, key_use, source; and but for a
            resolution, author and note.
    """
    (
        container_id,
        revision,
        version,
        sha256,
        create_time,
        validator_version,
        blank,
        violations,
        warnings,
        key_use,
        source,
        *who,
    ) = row
    if version is None:
        return None
    return ProfileVersion(
        container_id,
        container,
        version,
        sha256,
        Decision(
            validator_version,
            blank,
            _to_violations(violations) if violations else (),
            _to_violations(warnings) if warnings else (),
            KeyUse.read(key_use) if key_use else None,
        ),
        create_time,
        etag(container_id, revision),
        None if source is None else source.decode(),
        *who,
    )


def decision_parameters(decision: Decision) -> tuple[Any, ...]:
    """Returns the columns that hold a decision, in the order of the table."""
    return (
        decision.validator_version,
        decision.valid,
        decision.blank,
        _to_json(decision.violations),
        _to_json(decision.warnings),
        None if decision.key_use is None else decision.key_use.text,
    )


def _to_json(violations: Sequence[Violation]) -> Json | None:
    return Json([asdict(violation) for violation in violations]) if violations else None


def _to_violations(items: list[dict[str, Any]]) -> tuple[Violation, ...]:
    return tuple(
        Violation(
            item["code"],
            item["path"],
            item["line"],
            item["column"],
            item["message"],
            item["suggestion"],
        )
        for item in items
    )


def to_site_keys(read: bytes) -> dict[int, Sealed]:
    """Reads the generations of the key of a site, one after the other, by their numbers."""
    keys = {}
    for start in range(0, len(read), _KEY_BYTES):
        generation, master_key, data = _KEY.unpack_from(read, start)
        keys[generation] = Sealed(master_key, data)
    return keys


def to_site_key(row: Row) -> SiteKey:
    """Reads a generation of the key of a site."""
    _, generation, master_key, data, create_time = row
    return SiteKey(generation, Sealed(master_key, data), create_time)


def to_subject(row: Row) -> StoredSubject:
    """Reads who was given a code."""
    code, master_key, data, digest, create_time, scope_id = row
    return StoredSubject(code, Subject(digest, Sealed(master_key, data)), create_time, scope_id)
