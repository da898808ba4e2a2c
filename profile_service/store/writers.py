"""The share of connections that changes have for themselves, and turns on it.

A change locks what it changes, and waits for who has it locked: up to LOCK_SECONDS. Of
one site one change at a time does so in a process, so that a lock that somebody holds on
it keeps one connection from the changes of other sites, and no more.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import psycopg
from psycopg import Rollback
from psycopg_pool import ConnectionPool

from profile_service.errors import ProfileServiceError, StoreBusyError, TooManyCallsError
from profile_service.serving.tracing import TRACING
from profile_service.store.conninfo import CONNECT_SECONDS
from profile_service.store.faults import translated
from profile_service.store.queries import QUERIES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psycopg.abc import RV, PQGen

    from profile_service.store.rows import Row

__all__ = ["Rollback", "Writers", "WritingConnection", "execute"]

# How long a change waits for its turn and then for a connection, and how many may wait.
TURN_SECONDS = 5.0
MAX_WAITING = 64

# How long it waits for a lock, and how long one of its statements may take there; here a
# little longer, for a server that has stopped, or a network that swallows what is sent.
LOCK_SECONDS = 3.0
STATEMENT_SECONDS = 5.0
ANSWER_SECONDS = 6.0

# The same for one that brings many rows, all of which may take so long.
LOAD_SECONDS = 900.0
LOAD_ANSWER_SECONDS = 120.0

# A connection that was kept is asked before it is used whether it is still one.
CHECK_SECONDS = 1.0

# How long a connection is kept that nothing needs, and one that is in use.
IDLE_SECONDS = 60.0
LIFETIME_SECONDS = 600.0


# Statements are prepared nowhere: a pooler in between may give each transaction another
# connection.
_SETTINGS: dict[str, Any] = {
    "autocommit": True,
    "prepare_threshold": None,
    "cursor_factory": psycopg.RawCursor,
}


class WritingConnection(psycopg.Connection["Row"]):
    """A connection on which no statement is waited for without an end.

    Attributes:
        patience: how long the next answers are waited for, in seconds.
    """

    patience = ANSWER_SECONDS

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        """Waits for the server; what it left unanswered makes the connection useless."""
        try:
            return super().wait(gen, interval, timeout or self.patience)
        except psycopg.OperationalError as error:
            if error.sqlstate is None:
                self.close()
            raise


class Writers:
    """Some connections for transactions that change something. Safe for many threads."""

    def __init__(self, conninfo: str, connections: int) -> None:
        """Connects to nothing yet.

        Args:
            conninfo: how libpq connects.
            connections: how many it may have at once.
        """
        self._conninfo = conninfo
        self._turns: WeakValueDictionary[str, _Turn] = WeakValueDictionary()
        self._finding = threading.Lock()
        self._room = threading.Semaphore(connections + MAX_WAITING)
        self._pool = ConnectionPool(
            conninfo,
            connection_class=WritingConnection,
            kwargs=_SETTINGS,
            min_size=0,
            max_size=connections,
            open=False,
            check=_check,
            max_idle=IDLE_SECONDS,
            max_lifetime=LIFETIME_SECONDS,
            # The pool would try again at growing distances; the next change that
            # finds no connection tries at once.
            reconnect_timeout=CONNECT_SECONDS,
        )

    def open(self) -> None:
        """Begins; does not wait for connections."""
        self._pool.open()

    def close(self) -> None:
        """Closes all connections, for good."""
        self._pool.close()

    @property
    def busy(self) -> int:
        """How many of its connections are in use."""
        stats = self._pool.get_stats()
        return stats["pool_size"] - stats["pool_available"]

    @contextmanager
    def transaction(
        self, site: str, **constraints: ProfileServiceError
    ) -> Iterator[WritingConnection]:
        """Lends a connection for one transaction on a site.

        Args:
            site: the name of the site that is changed.
            constraints: what it means when a constraint is violated.

        What raises `Rollback` is undone, and the block ends there.

        Raises:
            StoreBusyError: other changes hold what this one needs.
            StoreUnavailableError: the database does not answer.
            TooManyCallsError: too many wait already.
        """
        with TRACING.querying("transaction"), translated(constraints), self._turn(site):
            connection = self._pool.getconn(TURN_SECONDS)
            try:
                with connection.transaction():
                    execute(
                        connection,
                        "bound_transaction",
                        f"{LOCK_SECONDS:g}s",
                        f"{STATEMENT_SECONDS:g}s",
                    )
                    yield connection
            finally:
                self._pool.putconn(connection)

    @contextmanager
    def load(self) -> Iterator[WritingConnection]:
        """Lends a connection of its own for a transaction that brings many rows.

        It takes no turn, and no connection, of other changes: what it locks for long must be
        what no other change needs. Raises as `transaction`.
        """
        with translated():
            connection = WritingConnection.connect(self._conninfo, **_SETTINGS)
            connection.patience = LOAD_ANSWER_SECONDS
            try:
                with connection.transaction():
                    waits = f"{LOCK_SECONDS:g}s", f"{LOAD_SECONDS:g}s"
                    execute(connection, "bound_transaction", *waits)
                    yield connection
            finally:
                connection.close()

    @contextmanager
    def _turn(self, site: str) -> Iterator[None]:
        if not self._room.acquire(blocking=False):
            raise TooManyCallsError
        try:
            with self._finding:
                turn = self._turns.get(site) or _Turn()
                self._turns[site] = turn
            if not turn.lock.acquire(timeout=TURN_SECONDS):
                raise StoreBusyError("other changes of the site are waited for")
            try:
                yield
            finally:
                turn.lock.release()
        finally:
            self._room.release()


class _Turn:
    """The turn of a site, for as long as somebody waits for it or has it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()


def _check(connection: WritingConnection) -> None:
    connection.patience = CHECK_SECONDS
    try:
        connection.execute("SELECT 1")
    finally:
        connection.patience = ANSWER_SECONDS


def execute(connection: WritingConnection, query: str, *parameters: Any) -> psycopg.Cursor[Row]:
    """Runs a named statement; its parameters are written $1, $2, ..."""
    return connection.execute(QUERIES[query], parameters, binary=True)
