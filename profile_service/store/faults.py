"""The one place where the driver's errors become the service's own.

They are told apart by SQLSTATE and by the name of the constraint. What the server
writes into its DETAIL holds values, and is never repeated. Nor is what libpq says of a
connection that fails: after a slip in the connection string, an `@` in the password for
instance, it takes parts of the password for a host and names them. Of that text only
phrases are told that are known to be its own.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
from psycopg import errors as sqlstates

from profile_service.errors import (
    ProfileServiceError,
    StoreBusyError,
    StoreFaultError,
    StoreUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# What a server says that cannot serve now, or not this: a standby, after a failover for
# instance, and a database that has no schema, or not yet. The next attempt may find the
# right one.
_NOT_NOW = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    sqlstates.ReadOnlySqlTransaction,
    sqlstates.UndefinedTable,
    sqlstates.InvalidSchemaName,
)

# What others hold, for longer than a change waits.
_BUSY = (
    sqlstates.LockNotAvailable,
    sqlstates.DeadlockDetected,
    sqlstates.SerializationFailure,
)

# What libpq, the pool and the server say of connections, as far as it names nothing.
_PHRASES = (
    "certificate verify failed",
    "connection refused",
    "connection reset by peer",
    "connection timed out",
    "could not get a connection",
    "couldn't get a connection",
    "database system is in recovery mode",
    "database system is shutting down",
    "database system is starting up",
    "invalid port number",
    "name or service not known",
    "network is unreachable",
    "no password supplied",
    "no pg_hba.conf entry",
    "no route to host",
    "no such file or directory",
    "nodename nor servname provided",
    "password authentication failed",
    "peer authentication failed",
    "permission denied",
    "server closed the connection unexpectedly",
    "server does not support ssl",
    "ssl error",
    "ssl syscall error",
    "temporary failure in name resolution",
    "the connection is closed",
    "the connection is lost",
    "timeout expired",
    "too many clients already",
    "too many connections",
    "remaining connection slots are reserved",
    "terminating connection due to administrator command",
    "terminating connection because of crash",
)
_WITHHELD = "the text of libpq is not repeated: it may hold parts of the connection string"


@contextmanager
def translated(
    constraints: Mapping[str, ProfileServiceError] | None = None,
) -> Iterator[None]:
    """Translates what the driver raises within the block.

    Args:
        constraints: what it means when a constraint is violated.

    Raises:
        StoreUnavailableError: the server is not to be reached, or cannot serve now.
        StoreBusyError: another change holds what this one needs.
        StoreFaultError: anything else.
    """
    try:
        yield
    except psycopg.Error as error:
        meaning = (constraints or {}).get(error.diag.constraint_name or "")
        raise meaning or translate(error) from None


def translate(
    error: psycopg.Error,
) -> StoreUnavailableError | StoreBusyError | StoreFaultError:
    """Returns what an error means that is about no constraint."""
    if isinstance(error, _BUSY):
        return StoreBusyError(cause_of(error))
    # OperationalError: connections (class 08), resources (53), intervention by
    # an operator (57), conflicts with others (40, 55), and the pool's own.
    if isinstance(error, _NOT_NOW):
        return StoreUnavailableError(cause_of(error))
    return StoreFaultError(cause_of(error))


def cause_of(error: psycopg.Error) -> str:
    """Returns what may be logged."""
    if error.sqlstate is None:
        text = str(error).lower()
        return ", ".join(phrase for phrase in _PHRASES if phrase in text) or (
            f"{type(error).__name__}; {_WITHHELD}"
        )
    constraint = error.diag.constraint_name
    return f"{type(error).__name__}, SQLSTATE {error.sqlstate}" + (
        f", constraint {constraint}" if constraint else ""
    )
