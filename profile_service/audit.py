"""What the audit says: events as data, and the one way in which they are written.

An event says who did what to which resource, or was not let. It holds names, versions,
digests and counts: never a text of a profile, a credential, or anything of a file.
"""

from __future__ import annotations

import json
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from profile_service.access.actor import Actor

# What an event says of a thing: flat, but for lists of such objects.
Value: TypeAlias = "str | int | bool | Facts | Sequence[Facts]"
Facts: TypeAlias = "Mapping[str, Value]"
NOTHING: Facts = MappingProxyType({})

# Names that come from outside, of a token for instance, are cut: an event is no place to
# keep things in.
MAX_NAME = 400

# PostgreSQL searches no JSON with these in it, and people cannot read them.
_UNREADABLE = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0)], "\N{REPLACEMENT CHARACTER}")


class Action(Enum):
    """What can be done; the value is how it is stored and searched for."""

    CREATE_CONTAINER = "container.create"
    UPDATE_CONTAINER = "container.update"
    # The switch of a site, with or without its display name.
    UPDATE_ENFORCEMENT = "enforcement.update"
    DELETE_CONTAINER = "container.delete"
    SET_PROFILE = "profile.set"
    CLEAR_PROFILE = "profile.clear"
    # A newer validator says otherwise of a version than the one before.
    DECIDE_PROFILE = "profile.decide"
    GRANT_ROLE = "role.grant"
    REVOKE_ROLE = "role.revoke"
    CREATE_KEY = "key.create"
    REVOKE_KEY = "key.revoke"
    # The permissions of a role of a site.
    SET_ROLE = "role.set"
    DELETE_ROLE = "role.delete"
    # A call that its caller may not make; what it was stands in the event.
    CALL = "call"
    # What became of some files of a stream; it is told when they have been.
    DEIDENTIFY_FILES = "files.deidentify"
    # A site gets its first key for pseudonyms, when a profile needs one.
    CREATE_SITE_KEY = "site-key.create"
    ROTATE_SITE_KEY = "site-key.rotate"
    # A change that a second person is to approve before it is in force.
    PROPOSE_CHANGE = "change.propose"
    APPROVE_CHANGE = "change.approve"
    REJECT_CHANGE = "change.reject"
    # Who reads which patients have which codes.
    READ_SUBJECTS = "subjects.read"
    # Tables of patients: rows that replace all before them, or are added to them; who reads
    # them; and versions that are deleted.
    SET_TABLE = "table.set"
    ADD_TABLE_ROWS = "table.add"
    READ_TABLE = "table.read"
    DELETE_TABLE = "table.delete"
    # What was kept for long enough was removed; the database itself writes it.
    EXPIRE_AUDIT = "audit.expire"


class Entry(NamedTuple):
    """An event that is to be written.

    Attributes:
        action: what was done, or tried.
        resource: the name of what it was done to; the empty text for the installation.
        actor: who did it.
        before: what was there before; nothing where nothing was.
        after: what is there now.
        denied: the stable reason for which it was not let; empty where it was done.
        batch: who adds an event of the same batch again adds nothing; empty for one that
            is always added.
    """

    action: Action
    resource: str
    actor: Actor
    before: Facts = NOTHING
    after: Facts = NOTHING
    denied: str = ""
    batch: str = ""

    @property
    def site(self) -> str:
        """The name of the site whose chain it is told in; the empty text for none."""
        parts = self.resource.split("/", 2)
        return "/".join(parts[:2]) if parts[0] == "sites" else ""

    @property
    def text(self) -> str:
        """The event as it is stored and hashed: JSON, keys in order, without spaces."""
        actor = {
            "credential": self.actor.credential.value,
            "key": _named(self.actor.key_id),
            "peer": _named(self.actor.peer),
            "request": _named(self.actor.request_id),
            # There also when it is empty: events are searched by it.
            "subject": _named(self.actor.subject),
        }
        event = {
            "action": self.action.value,
            "actor": {name: value for name, value in actor.items() if value or name == "subject"},
            "after": self.after,
            "batch": self.batch,
            "before": self.before,
            "outcome": "denied" if self.denied else "done",
            "reason": self.denied,
            "resource": _named(self.resource),
        }
        told = {name: value for name, value in event.items() if value or name == "resource"}
        return json.dumps(told, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


class Event(NamedTuple):
    """An event as it was stored.

    Attributes:
        site: whose chain it is in; the empty text for that of no site.
        number: its place in the chain, from 1.
        time: when it was added.
        hash: SHA-256 over the hash before it, and what it says.
        text: what it says.
    """

    site: str
    number: int
    time: datetime
    hash: bytes
    text: str


class Head(NamedTuple):
    """The end of a chain, and where it begins now.

    Attributes:
        site: whose chain; the empty text for that of no site.
        number: of the event that was added last; 0 when none was.
        hash: its hash.
        expired_number: of the last event that is gone because it was kept for long enough.
        expired_hash: its hash, from which the rest goes on.
    """

    site: str
    number: int
    hash: bytes
    expired_number: int
    expired_hash: bytes


def _named(text: str) -> str:
    return text[:MAX_NAME].translate(_UNREADABLE)
