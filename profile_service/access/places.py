"""Where something is allowed: a container with what it is in, or all sites.

Beside those of containers there are names of what belongs to one:

    {container}/keys/{id}, keys/{id}    an API key
    sites/{site}/roles/{role}           a role of a site
"""

from __future__ import annotations

import re
from typing import NamedTuple

from profile_service.access.credentials import KEY_ID
from profile_service.errors import InvalidNameError
from profile_service.hierarchy import ContainerName, Kind, parse_name

_KEY = re.compile(f"(?:(?P<container>.+)/)?keys/(?P<id>{KEY_ID})", re.ASCII)
_ROLE = re.compile(r"(?P<site>sites/[^/]+)/roles/[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)


class Place(NamedTuple):
    """Where a permission is asked for.

    Attributes:
        name: that of the container; empty for all sites, and `*` for wherever the caller has it.
    """

    name: str

    @property
    def names(self) -> tuple[str, ...]:
        """Its name, and those of what it is in, nearest first; none for all sites."""
        parts = self.name.split("/") if self.name else ()
        # Of `*` there is one part.
        return tuple("/".join(parts[:count]) for count in range(len(parts), 0, -2))


ALL_SITES = Place("")
ANYWHERE = Place("*")


def place_of(name: ContainerName) -> Place:
    """Returns the place that a container is; it need not exist."""
    return Place(name.text)


def place_above(name: ContainerName) -> Place:
    """Returns where a container is."""
    return Place(name.parent or "")


def parse_optional(text: str, *, field: str) -> ContainerName | None:
    """Reads the name of a container, where the empty text stands for all sites.

    Raises:
        InvalidNameError: it is neither.
    """
    return parse_name(text, field=field) if text else None


class KeyName(NamedTuple):
    """The name of an API key.

    Attributes:
        container: what it belongs to; None for all sites.
        id: which one it is.
    """

    container: ContainerName | None
    id: str


def parse_key_name(text: str, *, field: str) -> KeyName:
    """Reads the name of an API key.

    Raises:
        InvalidNameError: it is none.
    """
    match = _KEY.fullmatch(text)
    if match is None:
        raise InvalidNameError(field, "must be {container}/keys/{id}, or keys/{id}.")
    return KeyName(parse_optional(match["container"] or "", field=field), match["id"])


def site_of_role(text: str, *, field: str) -> ContainerName:
    """Returns the site of a role by the name of the role.

    Raises:
        InvalidNameError: it is not the name of a role of a site.
    """
    match = _ROLE.fullmatch(text)
    if match is None:
        raise InvalidNameError(
            field,
            "must be sites/{site}/roles/{role}; the last part has 1 to 63 of the characters a-z "
            "0-9 - and begins and ends with a letter or a digit.",
        )
    return parse_name(match["site"], field=field, kinds=frozenset({Kind.SITE}))
