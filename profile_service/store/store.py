"""The store: each method is one use of the database, and one transaction at most."""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from profile_service.access.actor import Actor, Credential
from profile_service.audit import Action, Entry, Event, Head
from profile_service.errors import (
    ApprovalRequiredError,
    CodesExhaustedError,
    ContainerAlreadyExistsError,
    ContainerNotEmptyError,
    ContainerNotFoundError,
    EtagMismatchError,
    ParentNotFoundError,
    ProfileNotFoundError,
    ProfileServiceError,
    SchemaTooOldError,
    StoreFaultError,
    StoreUnavailableError,
    TargetNotFoundError,
)
from profile_service.hierarchy import ContainerName, Kind, Level, parse_name
from profile_service.model import FileAudit, SiteKey
from profile_service.store import audit, rows
from profile_service.store.access import AccessStore
from profile_service.store.changes import ChangeStore
from profile_service.store.conninfo import complete
from profile_service.store.faults import translated
from profile_service.store.migrate import migrate, migrations
from profile_service.store.readers import KNOWN_TO_BE_GONE, Readers
from profile_service.store.recent import Read, RecentVersions
from profile_service.store.writers import Rollback, Writers, WritingConnection, execute

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from profile_service.access.credentials import Claims
    from profile_service.access.model import Standing
    from profile_service.audit import Facts
    from profile_service.keys.sealing import Sealed
    from profile_service.language.model import CodePattern
    from profile_service.model import Container, Decision, ProfileVersion, StoredSubject, Subject
    from profile_service.store.rows import Row
    from profile_service.store.statement import Parameter


# Who decides again, when a newer validator comes.
VALIDATOR = Actor("validator", Credential.NONE)

# How often a random number is tried before the free ones are looked for.
RANDOM_TRIES = 8
_RANDOM = secrets.SystemRandom()

# SQLSTATE insufficient_privilege.
_NO_RIGHT = "42501"


class Found(NamedTuple):
    """What a resolution reads.

    Attributes:
        site: of the target.
        enforced: whether the site enforces de-identification.
        levels: nearest first, each valid profile with its text.
        ids: of the target and the containers that it is in, by their names.
        keys: the generations of the key of the site, encrypted.
    """

    site: ContainerName
    enforced: bool
    levels: list[Level]
    ids: dict[str, int]
    keys: dict[int, Sealed]


class Store:
    """Containers and profile versions in PostgreSQL. Safe to use from many threads.

    Every method raises StoreUnavailableError when the database does not answer, and one
    that changes something StoreBusyError when other changes hold what it needs.

    Attributes:
        access: who may do what.
    """

    def __init__(self, conninfo: str, *, readers: int, writers: int) -> None:
        """Connects to nothing yet.

        Args:
            conninfo: how libpq connects: a URI or key=value pairs.
            readers: how many connections it may have for reads.
            writers: how many for changes.

        Raises:
            InvalidConninfoError: the connection string is malformed.
        """
        self._conninfo = complete(conninfo)
        self._recent = RecentVersions()
        self._readers = Readers(self._conninfo, readers)
        self._writers = Writers(self._conninfo, writers)
        self.access = AccessStore(self._read, self._change)
        self.changes = ChangeStore(self._read, self._change)

    def migrate(self) -> list[int]:
        """Brings the database to the schema of this build.

        Returns:
            The numbers of the migrations that were run.

        Raises:
            SchemaTooNewError: a newer build has used the database.
            StoreFaultError: the role of the service may not do that.
        """
        try:
            return migrate(self._conninfo)
        except StoreUnavailableError:
            self._readers.answers = False
            raise

    def open(self) -> None:
        """Begins to make connections; does not wait for them."""
        self._writers.open()

    def busy(self) -> tuple[int, int]:
        """Returns how many connections are in use: for reads, and for changes."""
        return self._readers.busy, self._writers.busy

    def close(self) -> None:
        """Closes all connections, for good."""
        self._readers.close()
        self._writers.close()

    def look(self) -> str:
        """Makes sure that the database answers and can be served.

        While it does not answer, the other methods do not wait for it either.

        Returns:
            The rights that the role of the service has not, for people.

        Raises:
            StoreUnavailableError: it does not answer, has not the schema, or the role of
                the service may not read it.
            SchemaTooOldError: it has that of an older build.
        """
        self._readers.look()
        role, absent, denied = self._missing()
        if absent:
            raise StoreUnavailableError(
                f"there is no table {absent}, or {role} may not use its schema: the database "
                "is empty, or not yet restored"
            )
        missing = f"GRANT {denied} TO {role}" if denied else ""
        if "SELECT ON " in denied:
            raise StoreUnavailableError(f"the role may not read what it serves: {missing}")
        ((last,),) = self._read("last_migration")
        if last < max(migrations()):
            raise SchemaTooOldError(last, max(migrations()))
        return missing

    def may_change_audit(self) -> bool:
        """Tells whether the role of the service could change or remove events."""
        ((could,),) = self._read("may_change_audit")
        return bool(could)

    # --- Containers ---------------------------------------------------------------------

    def create_container(
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
        with self._transaction(
            name,
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

    def get_container(self, name: ContainerName) -> Container:
        """Returns a container.

        Raises:
            ContainerNotFoundError: it does not exist.
        """
        return rows.to_container(self._existing("get_container", name))

    def list_containers(
        self, parent: ContainerName | None, *, after: str, limit: int
    ) -> list[Container]:
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

    def update_container(
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
        with self._transaction(name) as connection:
            row = self._lock(connection, name, etag)
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
                self._require_approval(connection, name, proposed_by)
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

    def delete_container(self, name: ContainerName, *, etag: str, actor: Actor) -> None:
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
        with self._transaction(
            name, container_parent_id_fkey=ContainerNotEmptyError(name.text)
        ) as connection:
            row = self._lock(connection, name, etag)
            attached = execute(connection, "get_version", name.text, 0).fetchone()
            before = audit.facts_of(rows.to_container(row))
            profile = None if attached is None else rows.to_version(name.text, attached)
            if profile is not None:
                # Detached first, which can be proposed: what is below a level above depends on it.
                self._require_approval(connection, name, None)
            execute(connection, "delete_container", row[0])
            if profile is not None:
                before = {**before, **audit.facts_of_version(profile)}
            audit.append(connection, Entry(Action.DELETE_CONTAINER, name.text, actor, before))

    # --- Profiles -----------------------------------------------------------------------

    def set_profile(
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
        with self._transaction(name) as connection:
            container_id, current, latest = self._lock_profile(connection, name, etag)
            attached = None if current is None else self._version(connection, name, current)
            if attached is not None and attached.sha256 == sha256(source).digest():
                return attached, attached
            if keep:
                self._require_approval(connection, name, proposed_by)
            version = latest + 1
            author = actor.subject if proposed_by is None else proposed_by
            said = (author, note, *rows.decision_parameters(decision))
            execute(connection, "insert_version", container_id, version, source, *said)
            execute(connection, "attach_version", container_id, version)
            stored = self._version(connection, name, version)
            if not keep:
                raise Rollback
            before = {} if attached is None else audit.facts_of_version(attached)
            after = audit.facts_of_version(stored)
            audit.append(connection, Entry(Action.SET_PROFILE, name.text, actor, before, after))
        return stored, attached

    def clear_profile(
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
        with self._transaction(name) as connection:
            container_id, current, _ = self._lock_profile(connection, name, etag)
            if current is None:
                raise ProfileNotFoundError(name.text)
            self._require_approval(connection, name, proposed_by)
            before = audit.facts_of_version(self._version(connection, name, current))
            execute(connection, "attach_version", container_id, None)
            audit.append(connection, Entry(Action.CLEAR_PROFILE, name.text, actor, before))

    def get_version(self, name: ContainerName, version: int) -> ProfileVersion | None:
        """Returns a version with its text; None when there is none of that number.

        Args:
            name: the container.
            version: which one; 0 is the one that is attached.

        Raises:
            ContainerNotFoundError: the container does not exist.
        """
        return rows.to_version(name.text, self._existing("get_version", name, version))

    def get_version_by_digest(self, name: ContainerName, sha256: bytes) -> ProfileVersion | None:
        """Returns the version with a digest, also of a container that was deleted.

        Args:
            name: the container; those that had this name before count, too.
            sha256: of the text.
        """
        found = self._read("get_version_by_digest", name.text, sha256)
        return rows.to_version(name.text, found[0]) if found else None

    def list_versions(
        self, name: ContainerName, *, before: int, limit: int
    ) -> tuple[int, list[ProfileVersion]]:
        """Returns versions without their texts, newest first.

        Args:
            name: the container.
            before: the version below which they begin.
            limit: how many at most.

        Returns:
            The version that is attached now, or 0, and the versions.

        Raises:
            ContainerNotFoundError: the container does not exist.
        """
        found = self._read("list_versions", name.text, before, limit)
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
        with self._transaction(name) as connection:
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

    # --- Audit --------------------------------------------------------------------------

    def record(self, entry: Entry) -> None:
        """Adds an event that comes with no change: an attempt that was denied, or files."""
        if not self._readers.answers:
            raise StoreUnavailableError(KNOWN_TO_BE_GONE)
        with self._writers.transaction(entry.site) as connection:
            audit.append(connection, entry)

    def audit_events(
        self, wanted: audit.Wanted, *, beyond: int, limit: int
    ) -> tuple[list[Event], int]:
        """Returns some events of one chain.

        Args:
            wanted: which.
            beyond: where the last page ended, or 0.
            limit: how many at most.

        Returns:
            The events, and where this page ended: 0 when there are no more. There can be
            more also where there are none on this one.
        """
        head = self.audit_head(wanted.site)
        events: list[Event] = []
        size, last, whole = 0, beyond, False
        # Some at a time: what a page may have in bytes is known when they have been read.
        while not whole and len(events) < limit and size < audit.MAX_PAGE_BYTES:
            numbers = wanted.stretch(head, last)
            if not numbers:
                return events, 0
            asked = min(audit.AT_ONCE, limit - len(events))
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

    def audit_head(self, site: str) -> Head:
        """Returns the end of a chain; that of one that is not there is number 0."""
        found = self._read("get_head", site)
        return Head(*found[0]) if found else Head(site, 0, bytes(32), 0, bytes(32))

    def audit_heads(self, *, after: str | None, limit: int) -> list[Head]:
        """Returns the ends of chains in the order of their sites.

        Args:
            after: the site after which they begin; None for the first, that of no site.
            limit: how many at most.
        """
        rest = [Head(*row) for row in self._read("list_heads", after or "", limit)]
        return [self.audit_head(""), *rest][:limit] if after is None else rest

    def sites_with_expired_events(self) -> list[str]:
        """Returns whose chains begin with events that were kept for long enough."""
        return [site for (site,) in self._read("list_expired")]

    def expire_events(self, site: str) -> int:
        """Removes some of the events of a chain that were kept for long enough.

        Returns:
            How many; 0 when none is left to be removed.
        """
        if not self._readers.answers:
            raise StoreUnavailableError(KNOWN_TO_BE_GONE)
        with self._writers.transaction(site) as connection:
            row = execute(connection, "expire_events", site).fetchone()
        return 0 if row is None else int(row[0])

    # --- The cascade --------------------------------------------------------------------

    def levels(
        self, target: ContainerName, asking: Claims, caller: Claims
    ) -> tuple[Standing, Standing, Found | None]:
        """Reads what the cascade asks for, and whether that may be asked: one query.

        Args:
            target: a project or a device.
            asking: who asks.
            caller: in whose name.

        Returns:
            What both are worth for the target; and what was read of it. None in place of that
            when the target does not exist.
        """
        # The site of a device stands for a group as well.
        names = (target.text, target.parent or "", target.site)
        recent = self._recent.of(names)
        known = b"".join([read.version.sha256 for read in recent.values()])
        shown = (asking.key_id, asking.key_hash, caller.key_id, caller.key_hash)
        principals = "\n".join(asking.principals + caller.principals)
        told = self._read("resolve", *names, known, *shown, principals)
        standings = self.access.standings((asking, caller), *told[0][:2])
        found = {row[2]: row[3:] for row in told}
        if target.text not in found:
            return standings[0], standings[1], None
        file_audit = FileAudit(found[target.site][3])
        # All are read, so that the text of a site is sent once for its devices, too.
        levels = [
            Level(name, self._version_in(name, found[name][4:], recent), found[name][2], file_audit)
            for name in names
        ]
        enforced, keys = found[target.site][:2]
        read = Found(
            parse_name(target.site, field="target"),
            enforced,
            levels if target.kind is Kind.PROJECT else levels[:1],
            {name: row[4] for name, row in found.items()},
            rows.to_site_keys(keys or b""),
        )
        return standings[0], standings[1], read

    # --- Keys ---------------------------------------------------------------------------

    def list_site_keys(self, site: ContainerName) -> tuple[int, list[SiteKey]]:
        """Returns the identity of a site, and the generations of its key, newest first.

        Raises:
            ContainerNotFoundError: it does not exist.
        """
        found = self._read("list_site_keys", site.text)
        if not found:
            raise ContainerNotFoundError(site.text)
        return found[0][0], [rows.to_site_key(row) for row in found if row[1] is not None]

    def identity(self, name: str) -> int | None:
        """Returns the identity of a container; None where it does not exist."""
        found = self._read("get_container", name)
        return found[0][0] if found else None

    def get_codes(self, scope_id: int, series: str, digests: list[bytes]) -> dict[bytes, str]:
        """Returns the codes that patients were given, by what they are found by."""
        return dict(self._read("get_codes", scope_id, series, b"".join(digests)))

    def give_codes(
        self, target: ContainerName, scope_id: int, pattern: CodePattern, subjects: list[Subject]
    ) -> dict[bytes, str]:
        """Gives patients codes, unless another one was faster.

        Args:
            target: the project or device.
            scope_id: the container within which no code is given twice.
            pattern: of the codes.
            subjects: the patients.

        Returns:
            The codes of all, by what they are found by.

        Raises:
            CodesExhaustedError: there are not as many, and none is given.
        """
        with self._transaction(
            target, code_series_scope_id_fkey=TargetNotFoundError(target.text)
        ) as connection:
            row = execute(connection, "hold_series", scope_id, pattern.series).fetchone()
            assert row is not None  # noqa: S101 -- it is there now
            series, last = row
            digests = b"".join(subject.digest for subject in subjects)
            found = execute(connection, "get_codes", scope_id, pattern.series, digests)
            codes: dict[bytes, str] = dict(found.fetchall())

            def give(numbers: Iterable[int]) -> None:
                left = [subject for subject in subjects if subject.digest not in codes]
                rows = [
                    (subject.digest, number, pattern.code(number), *subject.sealed)
                    for subject, number in zip(left, numbers, strict=False)
                ]
                columns = map(list, zip(*rows, strict=True))
                codes.update(execute(connection, "give_codes", series, *columns).fetchall())

            count = len(subjects) - len(codes)
            if pattern.is_random:
                for _ in range(RANDOM_TRIES):
                    if (count := len(subjects) - len(codes)) == 0:
                        break
                    give(_RANDOM.sample(range(1, pattern.last + 1), min(count, pattern.last)))
            elif following := range(last + 1, min(last + count, pattern.last) + 1):
                give(following)
                execute(connection, "note_last", series, following[-1])
            # What is left, one by one.
            while len(codes) < len(subjects):
                row = execute(connection, "free_code", series, pattern.last).fetchone()
                if row is None or row[0] >= pattern.last:
                    raise CodesExhaustedError(target.text)
                give([row[1]])
        return codes

    def list_subjects(
        self, name: ContainerName, *, code: str, after: str, limit: int
    ) -> list[StoredSubject]:
        """Returns who was given codes within a container, in the order of the codes.

        Args:
            name: the container.
            code: the one that is looked for; empty for all.
            after: the code behind which they begin.
            limit: how many at most.

        Raises:
            ContainerNotFoundError: it does not exist.
        """
        container_id = self._existing("get_container", name)[0]
        found = self._read("list_subjects", container_id, after, code, limit)
        return [rows.to_subject(row) for row in found]

    def add_site_key(
        self,
        site: ContainerName,
        after: int,
        make: Callable[[int, int], Sealed],
        *,
        action: Action,
        actor: Actor,
    ) -> SiteKey:
        """Adds a generation to the key of a site, unless another one was faster.

        Args:
            site: which one.
            after: the generation before it; 0 for the first.
            make: makes it, of the identity of the site and its number.
            action: what the audit calls it.
            actor: who does it.

        Returns:
            The one that is in use now.

        Raises:
            ContainerNotFoundError: it does not exist.
        """
        with self._transaction(site) as connection:
            site_id = self._lock(connection, site, "")[0]
            known = execute(connection, "list_site_keys", site.text).fetchone()
            if known is not None and known[1] is not None and known[1] > after:
                return rows.to_site_key(known)
            sealed = make(site_id, after + 1)
            values = (site_id, after + 1, sealed.master_key, sealed.data)
            added = execute(connection, "insert_site_key", *values).fetchone()
            assert added is not None  # noqa: S101 -- it returns what it has added
            facts: Facts = {"generation": after + 1, "master_key": sealed.master_key.hex()}
            before: Facts = {"generation": after} if after else {}
            audit.append(connection, Entry(action, site.text, actor, before, facts))
        return SiteKey(after + 1, sealed, added[0])

    # --- Parts --------------------------------------------------------------------------

    def _read(self, query: str, *parameters: Parameter) -> list[Row]:
        try:
            with translated():
                return self._readers.rows(query, *parameters)
        except StoreFaultError as error:
            raise self._explained(error) from None

    def _existing(self, query: str, name: ContainerName, *parameters: Parameter) -> Row:
        found = self._read(query, name.text, *parameters)
        if not found:
            raise ContainerNotFoundError(name.text)
        return found[0]

    def _missing(self) -> tuple[str, str, str]:
        with translated():
            ((role, absent, denied),) = self._readers.rows("missing", "")
        return role, absent, denied

    def _explained(self, fault: StoreFaultError) -> StoreFaultError:
        """Adds which rights the role lacks, where a statement failed for want of one."""
        if _NO_RIGHT not in fault.cause:
            return fault
        role, _, denied = self._missing()
        return StoreFaultError(f"{fault.cause}: the role lacks GRANT {denied} TO {role}")

    def _version_in(
        self, container: str, row: Row, recent: Mapping[str, Read]
    ) -> ProfileVersion | None:
        """Reads a row of a resolution, unless it is what was read before."""
        told = row[:-1]
        before = recent.get(container)
        if before is not None and before.row == told:
            return before.version
        version = rows.to_version(container, row)
        if version is None:
            return None
        if version.source is None:
            # Said to be known, and so not sent: of whichever container.
            texts = {read.version.sha256: read.version.source for read in recent.values()}
            version = version._replace(source=texts.get(version.sha256))
        if version.source is not None:
            self._recent.keep(Read(told, version))
        return version

    def _transaction(
        self, name: ContainerName, **constraints: ProfileServiceError
    ) -> AbstractContextManager[WritingConnection]:
        return self._change(name.site, **constraints)

    @contextmanager
    def _change(self, site: str, **constraints: ProfileServiceError) -> Iterator[WritingConnection]:
        if not self._readers.answers:
            raise StoreUnavailableError(KNOWN_TO_BE_GONE)
        try:
            with self._writers.transaction(site, **constraints) as connection:
                yield connection
        except StoreFaultError as error:
            raise self._explained(error) from None

    @staticmethod
    def _require_approval(
        connection: WritingConnection, name: ContainerName, proposed_by: str | None
    ) -> None:
        if proposed_by is None:
            ((needed,),) = execute(connection, "needs_approval", name.site).fetchall()
            if needed:
                raise ApprovalRequiredError(name.text)

    @staticmethod
    def _lock(connection: WritingConnection, name: ContainerName, etag: str) -> Row:
        row = execute(connection, "lock_container", name.text).fetchone()
        if row is None:
            raise ContainerNotFoundError(name.text)
        if etag not in {"", rows.to_container(row).etag}:
            raise EtagMismatchError(name.text)
        return row

    @staticmethod
    def _lock_profile(
        connection: WritingConnection, name: ContainerName, etag: str
    ) -> tuple[int, int | None, int]:
        row = execute(connection, "lock_profile", name.text).fetchone()
        if row is None:
            raise ContainerNotFoundError(name.text)
        container_id, current, latest, revision = row
        if etag not in {"", rows.etag(container_id, revision)}:
            raise EtagMismatchError(f"{name}/profile")
        return container_id, current, latest

    @staticmethod
    def _version(
        connection: WritingConnection, name: ContainerName, version: int
    ) -> ProfileVersion:
        """Returns a version that exists: the container is locked."""
        row = execute(connection, "get_version", name.text, version).fetchone()
        found = None if row is None else rows.to_version(name.text, row)
        assert found is not None  # noqa: S101 -- a version goes only with its container
        return found
