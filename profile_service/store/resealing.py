"""Another master key: what the one before has encrypted, the new one encrypts again.

Some at a time, each in a transaction of its own: what is cut short goes on where it ended.
Services that have both keys read either meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import psycopg

from profile_service.errors import StoreFaultError
from profile_service.keys.errors import MasterKeyError
from profile_service.keys.sealing import Sealed, of_site, of_subject, of_table
from profile_service.store.conninfo import complete
from profile_service.store.faults import translated
from profile_service.store.queries import QUERIES

if TYPE_CHECKING:
    from collections.abc import Callable

    from profile_service.keys.sealing import MasterKey

AT_ONCE: Final = 1000


class _Kind(NamedTuple):
    """Secrets of one kind.

    Attributes:
        find: the query that finds those that another master key has encrypted: two columns
            that name one, which key, what is encrypted, and what it is of.
        put: the query that puts one in place.
        what: returns what it is encrypted as, of what it is of.
    """

    find: str
    put: str
    what: Callable[..., str]


_KINDS: Final = (
    _Kind("site_keys_of_other_master", "reseal_site_key", of_site),
    _Kind("tables_of_other_master", "reseal_table", of_table),
    _Kind("subjects_of_other_master", "reseal_subject", of_subject),
)


def seal_again(owner: str, master: MasterKey) -> int:
    """Encrypts all that another master key has encrypted.

    Args:
        owner: how the owner of the database connects.
        master: the new one, which knows the one before.

    Returns:
        How many secrets there were.

    Raises:
        StoreUnavailableError: the database does not answer.
        StoreFaultError: the role may not do that, or there are secrets of a third key, which
            stay as they are.
    """
    count = 0
    with (
        translated(),
        psycopg.connect(
            complete(owner), autocommit=True, cursor_factory=psycopg.RawCursor
        ) as connection,
    ):
        for kind in _KINDS:
            while sealed := _some(connection, kind, master):
                count += sealed
    return count


def _some(connection: psycopg.Connection[Any], kind: _Kind, master: MasterKey) -> int:
    """Encrypts some secrets of a kind; returns how many there were."""
    with connection.transaction():
        rows = connection.execute(QUERIES[kind.find], (master.id, AT_ONCE), binary=True).fetchall()
        for first, second, key, data, *of in rows:
            what = kind.what(*of)
            try:
                again = master.seal(master.open(Sealed(key, data), what), what)
            except MasterKeyError:
                raise StoreFaultError(
                    f"a secret is encrypted with a third master key, {key.hex()}, or was changed"
                ) from None
            connection.execute(QUERIES[kind.put], (first, second, *again), binary=True)
    return len(rows)
