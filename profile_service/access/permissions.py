"""Permissions, and the roles that are built in: sets of them under a name."""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Permission(Enum):
    """What a caller may do on a container, and on everything below it."""

    # Sites alone: who may make one need not be able to delete it.
    SITES_CREATE = "sites.create"
    CONTAINERS_VIEW = "containers.view"
    # What is below the container: makes and deletes it, with its profiles.
    CONTAINERS_MANAGE = "containers.manage"
    SETTINGS_MANAGE = "settings.manage"
    # The switch of a site, which turns de-identification off for all of it.
    ENFORCEMENT_MANAGE = "enforcement.manage"
    # Profiles, their versions, and which one applies.
    PROFILES_VIEW = "profiles.view"
    # Those of projects and devices.
    PROFILES_MANAGE = "profiles.manage"
    # Those of sites and groups, which apply to everything below.
    PROFILES_MANAGE_SHARED = "profiles.manage_shared"
    # One that lets data through as it is.
    PROFILES_BYPASS = "profiles.bypass"
    # The keys that pseudonyms are made with: changes them. Nobody sees one.
    KEYS_MANAGE = "keys.manage"
    # Which patients were given which codes, and what tables say of them.
    SUBJECTS_VIEW = "subjects.view"
    # The tables: sets and deletes them. Nobody reads one with this alone.
    SUBJECTS_MANAGE = "subjects.manage"
    UPLOADS_CREATE = "uploads.create"
    # Asks which profile applies in the name of a caller who may upload.
    UPLOADS_RESOLVE = "uploads.resolve"
    # Says by a certificate that it has seen who that caller is, as nobody but it can know.
    UPLOADS_VOUCH = "uploads.vouch"
    ACCESS_VIEW = "access.view"
    ACCESS_MANAGE = "access.manage"
    AUDIT_VIEW = "audit.view"
    # What DeidService has done.
    AUDIT_RECORD = "audit.record"


_BY_NAME = {permission.value: permission for permission in Permission}

SITE_ADMIN = "site-admin"
SERVICE = "service"
DEVICE = "device"

_VIEWER = frozenset({Permission.CONTAINERS_VIEW, Permission.PROFILES_VIEW})
_PROJECT_ADMIN = _VIEWER | {Permission.SETTINGS_MANAGE, Permission.PROFILES_MANAGE}

ROLES: Mapping[str, frozenset[Permission]] = MappingProxyType(
    {
        SITE_ADMIN: frozenset(Permission),
        "group-admin": _PROJECT_ADMIN
        | {
            Permission.CONTAINERS_MANAGE,
            # Who is to grant it has it.
            Permission.UPLOADS_CREATE,
            Permission.ACCESS_VIEW,
            Permission.ACCESS_MANAGE,
        },
        "project-admin": _PROJECT_ADMIN,
        "viewer": _VIEWER,
        "uploader": frozenset({Permission.UPLOADS_CREATE}),
        DEVICE: frozenset({Permission.UPLOADS_CREATE}),
        SERVICE: frozenset({Permission.UPLOADS_RESOLVE, Permission.AUDIT_RECORD}),
        "operator": frozenset({Permission.SITES_CREATE, Permission.CONTAINERS_VIEW}),
    }
)


# What changes what is done to files, or who may change that: where a site lets nobody do that
# alone, nobody alone gives it to others, or to another credential of their own.
GUARDED = frozenset(
    {
        Permission.CONTAINERS_MANAGE,
        Permission.ENFORCEMENT_MANAGE,
        Permission.PROFILES_MANAGE,
        Permission.PROFILES_MANAGE_SHARED,
        Permission.PROFILES_BYPASS,
        Permission.KEYS_MANAGE,
        Permission.SUBJECTS_MANAGE,
        Permission.ACCESS_MANAGE,
    }
)


def to_permissions(names: Iterable[str]) -> frozenset[Permission]:
    """Returns permissions by their names.

    Raises:
        KeyError: there is none of such a name.
    """
    return frozenset(_BY_NAME[name] for name in names)


@lru_cache(maxsize=1024)
def granted(words: str) -> frozenset[Permission]:
    """Returns what some bindings give together.

    Args:
        words: roles that are built in and permissions of others, with spaces between.
            What this build does not know gives nothing.
    """
    found: set[Permission] = set()
    for word in words.split():
        if word in _BY_NAME:
            found.add(_BY_NAME[word])
        else:
            found |= ROLES.get(word, frozenset())
    return frozenset(found)
