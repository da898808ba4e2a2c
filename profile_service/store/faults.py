"""The one place where the driver's errors become the service's own.

They are told apart by SQLSTATE and by the name of the constraint. What the server
writes into its DETAIL holds values, and is never repeated.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg

from profile_service.errors import ProfileServiceError, StoreFaultError, StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# A server that is a standby, after a failover for instance: the next connection may
# find the right one.
_READ_ONLY = "25006"


@contextmanager
def translated(
    constraints: Mapping[str, ProfileServiceError] | None = None,
) -> Iterator[None]:
    """Translates what the driver raises within the block.

    Args:
        constraints: what it means when a constraint is violated.

    Raises:
        StoreUnavailableError: the server is not to be reached, or cannot serve now.
        StoreFaultError: anything else.
    """
    try:
        yield
    except psycopg.Error as error:
        meaning = (constraints or {}).get(error.diag.constraint_name or "")
        raise meaning or translate(error) from None


def translate(error: psycopg.Error) -> StoreUnavailableError | StoreFaultError:
    """Returns what an error means that is about no constraint."""
    # OperationalError: connections (class 08), resources (53), intervention by
    # an operator (57), conflicts with others (40, 55), and the pool's own.
    if (
        isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
        or error.sqlstate == _READ_ONLY
    ):
        return StoreUnavailableError(_cause(error))
    return StoreFaultError(_cause(error))


def _cause(error: psycopg.Error) -> str:
    """Returns what may be logged."""
    if error.sqlstate is None:
        # From the driver or its pool: no server has seen a statement and its values.
        return str(error).partition("\n")[0]
    constraint = error.diag.constraint_name
    return f"SQLSTATE {error.sqlstate}" + (f", constraint {constraint}" if constraint else "")
