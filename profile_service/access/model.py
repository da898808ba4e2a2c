"""Who has what, as it is stored and answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime

    from profile_service.access.permissions import Permission


class Standing(NamedTuple):
    """What a credential is worth somewhere.

    Attributes:
        key_name: the display name of the API key that it is; None where it is none that
            is in force.
        granted: what its principals may do there.
    """

    key_name: str | None
    granted: frozenset[Permission]


class StoredKey(NamedTuple):
    """An API key, without what makes it one.

    Attributes:
        id: which one it is.
        display_name: a text for people.
        create_time: when it was made.
        creator: who made it.
        expire_time: when it ends, or None.
        revoke_time: when it was revoked, or None.
        last_use_time: when it was last used, or None.
    """

    id: str
    display_name: str
    create_time: datetime
    creator: str
    expire_time: datetime | None
    revoke_time: datetime | None
    last_use_time: datetime | None


class StoredBinding(NamedTuple):
    """That a principal has a role on a container.

    Attributes:
        principal: who has it.
        role: a role that is built in, or the name of one of the site.
        create_time: when it was granted.
        creator: who granted it.
    """

    principal: str
    role: str
    create_time: datetime
    creator: str
