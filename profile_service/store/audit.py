"""The audit: events are added in the transaction of the change that they tell of.

    with database.change(site) as connection:
        ...  # the change
        append(connection, Entry(Action.SET_PROFILE, "sites/s", actor, before, after))

As the last thing of the transaction: from there to the commit, whoever changes something of
the same site waits. The database gives the event its number, its time and its hash
(`audit_append` of the schema), and no right to change or delete it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from profile_service.audit import Event, Head
from profile_service.store.writers import execute

if TYPE_CHECKING:
    from profile_service.audit import Entry, Facts, Value
    from profile_service.model import Container, ProfileVersion
    from profile_service.store.database import Changing, Reading
    from profile_service.store.statement import Parameter
    from profile_service.store.writers import WritingConnection

# How much of a chain is looked at for one page: a filter that fits few events does not keep a
# connection for longer than the others.
STRETCH = 20_000

# What a page has at most, but for the events that are read together: those of files have up to
# 70 kB each, and a gRPC client receives 4 MiB unless told otherwise.
MAX_PAGE_BYTES = 1 << 20
AT_ONCE = 16

# The year 10000: PostgreSQL knows no later moments than those of a few hundred thousand years.
END_OF_TIME = 253_402_300_800_000_000


def append(connection: WritingConnection, entry: Entry) -> None:
    """Adds an event to the chain of its site, in the transaction that is open.

    Args:
        connection: with the transaction of the change.
        entry: what to tell.

    Raises:
        psycopg.Error: it could not be added, and so the change must not be made.
    """
    execute(connection, "append_event", entry.site, entry.text)


class Wanted(NamedTuple):
    """Which events of a chain are asked for; what is empty asks for all.

    Attributes:
        site: whose chain; the empty text for that of no site.
        resource: what they are about, or what that is in.
        subject: who did it.
        action: what was done.
        since: the first moment, in microseconds since 1970.
        until: the moment after the last one.
        oldest_first: in the order of the chain; else the newest first.
    """

    site: str
    resource: str = ""
    subject: str = ""
    action: str = ""
    since: int = 0
    until: int = END_OF_TIME
    oldest_first: bool = False

    @property
    def query(self) -> str:
        """The query that finds them."""
        return "list_events_oldest_first" if self.oldest_first else "list_events_newest_first"

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """What it takes before the stretch of the chain."""
        return (self.site, self.resource, self.subject, self.action, self.since, self.until)

    def stretch(self, head: Head, beyond: int) -> range:
        """Returns the numbers that are looked at for a page.

        Args:
            head: the end of the chain.
            beyond: the last one that was looked at for the page before; 0 for the first page.
        """
        first, end = head.expired_number + 1, head.number + 1
        if self.oldest_first:
            first = max(first, beyond + 1)
            return range(first, max(first, min(end, first + STRETCH)))
        end = min(end, beyond or end)
        return range(max(first, end - STRETCH), max(first, end))


def facts_of(container: Container) -> Facts:
    """Returns what an event says of a container."""
    facts: dict[str, Value] = {"display_name": container.display_name, "etag": container.etag}
    if container.enforced is not None:
        facts["enforcement"] = "enforced" if container.enforced else "disabled"
    if container.approval_required:
        facts["approval_required"] = True
    if container.file_audit is not None:
        facts["file_audit"] = container.file_audit.name.lower()
    if container.profile_locked:
        facts["profile_locked"] = True
    return facts


def facts_of_version(version: ProfileVersion) -> Facts:
    """Returns what an event says of a version of a profile."""
    return {
        "version": version.version,
        "sha256": version.sha256.hex(),
        "valid": version.decision.valid,
        "blank": version.decision.blank,
        "validator": version.decision.validator_version,
    }


class AuditStore:
    """The chains of events, in PostgreSQL. Safe to use from many threads."""

    def __init__(self, read: Reading, change: Changing) -> None:
        self._read = read
        self._change = change

    def record(self, entry: Entry) -> None:
        """Adds an event that comes with no change: an attempt that was denied, or files."""
        with self._change(entry.site) as connection:
            append(connection, entry)

    def events(self, wanted: Wanted, *, beyond: int, limit: int) -> tuple[list[Event], int]:
        """Returns some events of one chain.

        Args:
            wanted: which.
            beyond: where the last page ended, or 0.
            limit: how many at most.

        Returns:
            The events, and where this page ended: 0 when there are no more. There can be
            more also where there are none on this one.
        """
        head = self.head(wanted.site)
        events: list[Event] = []
        size, last, whole = 0, beyond, False
        # Some at a time: what a page may have in bytes is known when they have been read.
        while not whole and len(events) < limit and size < MAX_PAGE_BYTES:
            numbers = wanted.stretch(head, last)
            if not numbers:
                return events, 0
            asked = min(AT_ONCE, limit - len(events))
            stretch = (numbers.start, numbers.stop)
            found = [
                Event(*row) for row in self._read(wanted.query, *wanted.parameters, *stretch, asked)
            ]
            events += found
            size += sum(len(event.text) for event in found)
            whole = len(found) < asked
            if not whole:
                last = found[-1].number
            else:
                last = numbers[-1] if wanted.oldest_first else numbers[0]
        return events, last if wanted.stretch(head, last) else 0

    def head(self, site: str) -> Head:
        """Returns the end of a chain; that of one that is not there is number 0."""
        found = self._read("get_head", site)
        return Head(*found[0]) if found else Head(site, 0, bytes(32), 0, bytes(32))

    def heads(self, *, after: str | None, limit: int) -> list[Head]:
        """Returns the ends of chains in the order of their sites.

        Args:
            after: the site after which they begin; None for the first, that of no site.
            limit: how many at most.
        """
        rest = [Head(*row) for row in self._read("list_heads", after or "", limit)]
        return [self.head(""), *rest][:limit] if after is None else rest

    def sites_with_expired_events(self) -> list[str]:
        """Returns whose chains begin with events that were kept for long enough."""
        return [site for (site,) in self._read("list_expired")]

    def expire(self, site: str) -> int:
        """Removes some of the events of a chain that were kept for long enough.

        Returns:
            How many; 0 when none is left to be removed.
        """
        with self._change(site) as connection:
            row = execute(connection, "expire_events", site).fetchone()
        return 0 if row is None else int(row[0])
