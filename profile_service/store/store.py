"""The store: each method is one use of the database, and one transaction at most."""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager, suppress
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg_pool import ConnectionPool

from profile_service.errors import (
    ContainerAlreadyExistsError,
    ContainerNotEmptyError,
    ContainerNotFoundError,
    EtagMismatchError,
    ParentNotFoundError,
    ProfileNotFoundError,
    ProfileServiceError,
    StoreUnavailableError,
)
from profile_service.hierarchy import ContainerName, Kind, Level
from profile_service.store import rows
from profile_service.store.faults import translate, translated
from profile_service.store.migrate import migrate
from profile_service.store.queries import QUERIES
from profile_service.store.recent import Read, RecentVersions
from profile_service.store.statement import Statement

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from psycopg.abc import RV, PQGen

    from profile_service.model import Container, Decision, ProfileVersion
    from profile_service.store.rows import Row

# Connections that are kept when there is nothing to do.
MIN_CONNECTIONS = 1

# How long a request waits for a connection, and a statement for its answer. A caller
# is to hear soon that the database does not answer.
CHECKOUT_SECONDS = 1.0
STATEMENT_SECONDS = 5.0

# How long it waits for a connection when the last ping found the database not
# answering: callers that wait would only keep the others waiting.
HOPELESS_SECONDS = 0.01

# How long making a connection may take: libpq's smallest value is 2.
CONNECT_SECONDS = 2


class BoundedConnection(psycopg.Connection["Row"]):
    """A connection on which no statement is waited for without an end.

    The server may have stopped, or the network may have swallowed it, without a word.
    """

    def wait(
        self,
        gen: PQGen[RV],
        interval: float = 0.1,
        timeout: float | None = STATEMENT_SECONDS,
    ) -> RV:
        """Waits for the server; what it left unanswered makes the connection useless."""
        try:
            return super().wait(gen, interval, timeout)
        except psycopg.OperationalError:
            self.close()
            raise

    @cached_property
    def statements(self) -> psycopg.Cursor[Row]:
        """The one cursor, which every statement goes through.

        It remembers how each column is read, which a new one would look up every time.
        Binary: bytes and times need no text form in between.
        """
        return self.cursor(binary=True)

    @cached_property
    def resolution(self) -> Statement:
        """What the cascade asks."""
        return Statement(self, "resolve", QUERIES["resolve"], ("text", "text", "text", "bytea"))


class Store:
    """Containers and profile versions in PostgreSQL. Safe to use from many threads.

    Every method raises StoreUnavailableError when the database does not answer.
    """

    def __init__(self, conninfo: str, connections: int) -> None:
        """Connects to nothing yet.

        Args:
            conninfo: how libpq connects: a URI or key=value pairs.
            connections: how many it may have at once.
        """
        self._conninfo = conninfo
        self._answers = True
        self._recent = RecentVersions()
        # Checking a connection out of the pool and in again takes a fifth of what the
        # query of a resolution takes. So some of its connections are kept for those.
        self._keep = connections // 2
        self._kept: deque[BoundedConnection] = deque()
        self._pool = ConnectionPool(
            conninfo,
            connection_class=BoundedConnection,
            # Autocommit: a single statement needs no BEGIN and no COMMIT, and so one
            # round trip. Prepared from the first use on.
            kwargs={
                "autocommit": True,
                "prepare_threshold": 0,
                "connect_timeout": CONNECT_SECONDS,
                "application_name": "profile_service",
            },
            min_size=MIN_CONNECTIONS,
            max_size=connections,
            open=False,
            # The pool would try again at growing distances; the next request that
            # finds no connection tries at once.
            reconnect_timeout=CONNECT_SECONDS,
        )

    def migrate(self) -> list[int]:
        """Brings the database to the schema of this build.

        Returns:
            The numbers of the migrations that were run.

        Raises:
            SchemaTooNewError: a newer build has used the database.
        """
        return migrate(self._conninfo, CONNECT_SECONDS)

    def open(self) -> None:
        """Begins to make connections; does not wait for them."""
        self._pool.open()

    def close(self) -> None:
        """Closes all connections, for good."""
        self._give_up_kept()
        self._pool.close()

    def ping(self) -> None:
        """Makes sure that the database answers, and drops connections that are dead.

        While it does not answer, the other methods do not wait for it either.
        """
        try:
            try:
                self._ping()
            except StoreUnavailableError:
                # A server that came back left all old connections dead, and it is there.
                self._give_up_kept()
                self._pool.check()
                self._ping()
        except StoreUnavailableError:
            self._answers = False
            raise
        self._answers = True

    # --- Containers ---------------------------------------------------------------------

    def create_container(
        self, name: ContainerName, display_name: str, *, enforced: bool | None
    ) -> Container:
        """Creates a container.

        Args:
            name: its name.
            display_name: a text for people.
            enforced: the switch of a site; None for anything else.

        Raises:
            ParentNotFoundError: the parent does not exist.
            ContainerAlreadyExistsError: it does exist.
        """
        parent = name.parent or ""
        no_parent = ParentNotFoundError(name.text, parent)
        row = self._one(
            "create_site" if name.kind is Kind.SITE else "create_child",
            {
                "name": name.text,
                "parent": parent,
                "display_name": display_name,
                "enforced": enforced,
            },
            # The parent may be deleted at the very same time.
            container_parent_id_fkey=no_parent,
            container_name_key=ContainerAlreadyExistsError(name.text),
        )
        if row is None:
            raise no_parent
        return rows.to_container(row)

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
        page = {"after": after, "limit": limit}
        if parent is None:
            return [rows.to_container(row) for row in self._all("list_sites", page)]
        found = self._all("list_children", page | {"parent": parent.text})
        if not found:
            raise ContainerNotFoundError(parent.text)
        return [rows.to_container(row) for row in found if row[0] is not None]

    def update_container(
        self,
        name: ContainerName,
        *,
        display_name: str | None,
        enforced: bool | None,
        etag: str,
    ) -> Container:
        """Changes a container; a change that changes nothing leaves the etag as it is.

        Args:
            name: which one.
            display_name: the new one, or None to leave it.
            enforced: the new switch, or None to leave it.
            etag: the one that it must have, or the empty text.

        Raises:
            ContainerNotFoundError: it does not exist.
            EtagMismatchError: it has changed since.
        """
        with self._transaction() as connection:
            row = self._lock(connection, name, etag)
            before = rows.to_container(row)
            new_name = before.display_name if display_name is None else display_name
            new_switch = before.enforced if enforced is None else enforced
            if (new_name, new_switch) == (before.display_name, before.enforced):
                return before
            changed = execute(
                connection,
                "update_container",
                {"id": row[0], "display_name": new_name, "enforced": new_switch},
            ).fetchone()
        assert changed is not None  # noqa: S101 -- the row is locked
        return rows.to_container(changed)

    def delete_container(self, name: ContainerName, *, etag: str) -> None:
        """Deletes a container and its profile versions.

        Args:
            name: which one.
            etag: the one that it must have, or the empty text.

        Raises:
            ContainerNotFoundError: it does not exist.
            ContainerNotEmptyError: it has children.
            EtagMismatchError: it has changed since.
        """
        with self._transaction(
            container_parent_id_fkey=ContainerNotEmptyError(name.text)
        ) as connection:
            row = self._lock(connection, name, etag)
            execute(connection, "delete_container", {"id": row[0]})

    # --- Profiles -----------------------------------------------------------------------

    def set_profile(
        self, name: ContainerName, source: bytes, decision: Decision, *, etag: str
    ) -> ProfileVersion:
        """Attaches a text as a new version, unless it is the one that is attached.

        Args:
            name: the container.
            source: the text as UTF-8.
            decision: what the validator of this build says of it; stored with a new
                version only.
            etag: the one that the profile must have, or the empty text.

        Raises:
            ContainerNotFoundError: it does not exist.
            EtagMismatchError: another profile was attached since.
        """
        with self._transaction() as connection:
            container_id, current, latest = self._lock_profile(connection, name, etag)
            if current is not None:
                attached = self._version(connection, name, current)
                if attached.sha256 == sha256(source).digest():
                    return attached
            number = {"id": container_id, "version": latest + 1}
            execute(
                connection,
                "insert_version",
                number | {"source": source} | rows.decision_parameters(decision),
            )
            execute(connection, "attach_version", number)
            return self._version(connection, name, latest + 1)

    def clear_profile(self, name: ContainerName, *, etag: str) -> None:
        """Detaches what is attached; the versions stay.

        Args:
            name: the container.
            etag: the one that the profile must have, or the empty text.

        Raises:
            ContainerNotFoundError: it does not exist.
            ProfileNotFoundError: nothing is attached.
            EtagMismatchError: another profile was attached since.
        """
        with self._transaction() as connection:
            container_id, current, _ = self._lock_profile(connection, name, etag)
            if current is None:
                raise ProfileNotFoundError(name.text)
            execute(connection, "attach_version", {"id": container_id, "version": None})

    def get_version(self, name: ContainerName, version: int) -> ProfileVersion | None:
        """Returns a version with its text; None when there is none of that number.

        Args:
            name: the container.
            version: which one; 0 is the one that is attached.

        Raises:
            ContainerNotFoundError: the container does not exist.
        """
        return rows.to_version(name.text, self._existing("get_version", name, {"version": version}))

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
        found = self._all("list_versions", {"name": name.text, "before": before, "limit": limit})
        if not found:
            raise ContainerNotFoundError(name.text)
        versions = [rows.to_version(name.text, row[1:]) for row in found]
        return found[0][0], [version for version in versions if version is not None]

    def get_source(self, version: ProfileVersion) -> str | None:
        """Returns the text of a version; None when its container has been deleted."""
        row = self._one("get_source", {"id": version.container_id, "version": version.version})
        return None if row is None else row[0].decode()

    def record_decision(self, version: ProfileVersion, decision: Decision) -> None:
        """Stores what a newer validator says of a version.

        Args:
            version: as it was read, with the decision that is replaced.
            decision: the new one.
        """
        with translated(), self._connection() as connection:
            execute(
                connection,
                "record_decision",
                {
                    "id": version.container_id,
                    "version": version.version,
                    "decided_by": version.decision.validator_version,
                }
                | rows.decision_parameters(decision),
            )

    def levels(self, target: ContainerName) -> tuple[bool, list[Level]] | None:
        """Reads what the cascade asks for: one query, one round trip.

        Args:
            target: a project or a device.

        Returns:
            Whether the site enforces de-identification, and the levels, nearest first,
            each valid profile with its text. None when the target does not exist.
        """
        # The site of a device stands for a group as well.
        names = (target.text, target.parent or "", target.site)
        recent = self._recent.of(names)
        known = b"".join([read.version.sha256 for read in recent.values()])
        found = {row[0]: row[1:] for row in self._resolve(names, known)}
        if target.text not in found:
            return None
        # All are read, so that the text of a site is sent once for its devices, too.
        levels = [Level(name, self._version_in(name, found[name][1:], recent)) for name in names]
        return found[target.site][0], levels if target.kind is Kind.PROJECT else levels[:1]

    # --- Parts --------------------------------------------------------------------------

    def _one(
        self, query: str, parameters: dict[str, Any], **constraints: ProfileServiceError
    ) -> Row | None:
        """Runs a statement of its own and returns its first row, if it has one."""
        with translated(constraints), self._connection() as connection:
            return execute(connection, query, parameters).fetchone()

    def _all(self, query: str, parameters: dict[str, Any]) -> list[Row]:
        with translated(), self._connection() as connection:
            return execute(connection, query, parameters).fetchall()

    def _existing(
        self, query: str, name: ContainerName, parameters: dict[str, Any] | None = None
    ) -> Row:
        row = self._one(query, {"name": name.text} | (parameters or {}))
        if row is None:
            raise ContainerNotFoundError(name.text)
        return row

    def _ping(self) -> None:
        with translated(), self._connection(CHECKOUT_SECONDS) as connection:
            execute(connection, "ping", {})

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

    def _resolve(self, names: Iterable[str], known: bytes) -> list[Row]:
        # As `translated` does, without its overhead.
        try:
            connection = self._take()
            try:
                found = connection.resolution.rows(*[name.encode() for name in names], known)
            except BaseException:
                # The pool sees whether it can still be used.
                self._pool.putconn(connection)
                raise
        except psycopg.Error as error:
            raise translate(error) from None
        self._give(connection)
        return found

    def _take(self) -> BoundedConnection:
        """Lends a connection for a resolution: one that is kept for them, or any."""
        try:
            return self._kept.pop()
        except IndexError:
            return self._pool.getconn(self._patience)

    def _give(self, connection: BoundedConnection) -> None:
        if len(self._kept) < self._keep:
            self._kept.append(connection)
        else:
            self._pool.putconn(connection)

    def _give_up_kept(self) -> None:
        """Returns to the pool what is kept, so that it is looked at with the others."""
        with suppress(IndexError):
            while True:
                self._pool.putconn(self._kept.pop())

    @property
    def _patience(self) -> float:
        return CHECKOUT_SECONDS if self._answers else HOPELESS_SECONDS

    @contextmanager
    def _connection(self, patience: float | None = None) -> Iterator[BoundedConnection]:
        """Lends a connection; the pool drops one that comes back unusable."""
        connection = self._pool.getconn(self._patience if patience is None else patience)
        try:
            yield connection
        finally:
            self._pool.putconn(connection)

    @contextmanager
    def _transaction(self, **constraints: ProfileServiceError) -> Iterator[BoundedConnection]:
        with (
            translated(constraints),
            self._connection() as connection,
            connection.transaction(),
        ):
            yield connection

    @staticmethod
    def _lock(connection: BoundedConnection, name: ContainerName, etag: str) -> Row:
        row = execute(connection, "lock_container", {"name": name.text}).fetchone()
        if row is None:
            raise ContainerNotFoundError(name.text)
        if etag not in {"", rows.to_container(row).etag}:
            raise EtagMismatchError(name.text)
        return row

    @staticmethod
    def _lock_profile(
        connection: BoundedConnection, name: ContainerName, etag: str
    ) -> tuple[int, int | None, int]:
        row = execute(connection, "lock_profile", {"name": name.text}).fetchone()
        if row is None:
            raise ContainerNotFoundError(name.text)
        container_id, current, latest, revision = row
        if etag not in {"", rows.etag(container_id, revision)}:
            raise EtagMismatchError(f"{name}/profile")
        return container_id, current, latest

    @staticmethod
    def _version(
        connection: BoundedConnection, name: ContainerName, version: int
    ) -> ProfileVersion:
        """Returns a version that exists: the container is locked."""
        row = execute(connection, "get_version", {"name": name.text, "version": version}).fetchone()
        found = None if row is None else rows.to_version(name.text, row)
        assert found is not None  # noqa: S101 -- a version goes only with its container
        return found


def execute(
    connection: BoundedConnection, query: str, parameters: dict[str, Any]
) -> psycopg.Cursor[Row]:
    """Runs a named statement. What it gives is to be fetched before the next one."""
    return connection.statements.execute(QUERIES[query], parameters)
