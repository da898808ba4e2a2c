"""The database: a share of connections for reads, another for changes, and what it allows."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import psycopg

from profile_service.errors import (
    ProfileServiceError,
    SchemaTooOldError,
    StoreFaultError,
    StoreUnavailableError,
)
from profile_service.store.conninfo import complete
from profile_service.store.faults import translate, translated
from profile_service.store.migrate import migrate, migrations
from profile_service.store.readers import KNOWN_TO_BE_GONE, Readers
from profile_service.store.statement import nothing
from profile_service.store.writers import Writers, WritingConnection

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from profile_service.store.rows import Row
    from profile_service.store.statement import Meanwhile, Parameter

# SQLSTATE insufficient_privilege.
_NO_RIGHT = "42501"


class Reading(Protocol):
    """Executes a statement that reads."""

    def __call__(
        self, query: str, *parameters: Parameter, meanwhile: Meanwhile = nothing
    ) -> list[Row]:
        """Returns its rows; see `ReadingConnection.rows`."""
        ...


class Changing(Protocol):
    """Lends a connection for one transaction on a site; the empty text for all sites."""

    def __call__(
        self, site: str, **constraints: ProfileServiceError
    ) -> AbstractContextManager[WritingConnection]:
        """Takes what it means when a constraint is violated."""
        ...


class Loading(Protocol):
    """Lends a connection for one transaction that brings many rows."""

    def __call__(self) -> AbstractContextManager[WritingConnection]:
        """Takes nothing."""
        ...


class Database:
    """PostgreSQL, as this build needs it. Safe to use from many threads.

    Every method raises StoreUnavailableError when the database does not answer, and
    `change` StoreBusyError when other changes hold what it needs.
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
        self._readers = Readers(self._conninfo, readers)
        self._writers = Writers(self._conninfo, writers)

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

    def connected(self) -> int:
        """Returns how many connections for reads have been made so far."""
        return self._readers.connected

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
        ((last,),) = self.read("last_migration")
        if last < max(migrations()):
            raise SchemaTooOldError(last, max(migrations()))
        return missing

    def may_change_audit(self) -> bool:
        """Tells whether the role of the service could change or remove events."""
        ((could,),) = self.read("may_change_audit")
        return bool(could)

    def read(self, query: str, *parameters: Parameter, meanwhile: Meanwhile = nothing) -> list[Row]:
        """Executes a statement that reads, and returns its rows; see `ReadingConnection.rows`."""
        try:
            return self._readers.rows(query, *parameters, meanwhile=meanwhile)
        except psycopg.Error as error:
            fault = translate(error)
        raise self._explained(fault) if isinstance(fault, StoreFaultError) else fault

    @contextmanager
    def change(self, site: str, **constraints: ProfileServiceError) -> Iterator[WritingConnection]:
        """Lends a connection for one transaction on a site; see `Writers.transaction`."""
        with self._explaining(), self._writers.transaction(site, **constraints) as connection:
            yield connection

    @contextmanager
    def load(self) -> Iterator[WritingConnection]:
        """Lends a connection for a transaction that brings many rows; see `Writers.load`."""
        with self._explaining(), self._writers.load() as connection:
            yield connection

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        """Adds which rights the role lacks to what fails within the block."""
        if not self._readers.answers:
            raise StoreUnavailableError(KNOWN_TO_BE_GONE)
        try:
            yield
        except StoreFaultError as error:
            raise self._explained(error) from None

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
