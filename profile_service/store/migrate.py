"""Brings a database to the schema of this build."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from profile_service.errors import SchemaTooNewError, StoreFaultError
from profile_service.store.faults import translated

if TYPE_CHECKING:
    from collections.abc import Mapping

# Held while migrations run, so that of two instances that start at once one waits
# for the other. The number means nothing but "the migrations of this product".
_LOCK = 4_771_310_265_512_907_334

# How long the migrations of another instance are waited for, and what holds a table.
_LOCK_SECONDS = 10

_FILE = re.compile(r"(\d{3})_[a-z0-9_]+\.sql")


@cache
def migrations() -> Mapping[int, str]:
    """Returns the statements of each migration, by number and in order."""
    found = {}
    for file in resources.files("profile_service.store.migrations").iterdir():
        if match := _FILE.fullmatch(file.name):
            found[int(match[1])] = file.read_text("utf-8")
    return dict(sorted(found.items()))


def migrate(conninfo: str) -> list[int]:
    """Runs the migrations that the database has not had, in one transaction.

    Args:
        conninfo: how to connect.

    Returns:
        The numbers of those that were run.

    Raises:
        SchemaTooNewError: a newer build has used the database.
        StoreUnavailableError: the database does not answer.
        StoreFaultError: the role may not read or make the tables.
    """
    with translated(), psycopg.connect(conninfo) as connection:
        return migrate_with(connection)


def migrate_with(connection: psycopg.Connection) -> list[int]:
    """Does the same on a connection whose transaction is open, and stays so."""
    try:
        return _migrate(connection)
    except psycopg.errors.InsufficientPrivilege:
        raise StoreFaultError(
            "the role may not read schema_migration (GRANT SELECT), or may not run the "
            "migrations that are missing, which need the owner of the tables, and CREATE ON "
            "SCHEMA: run the service once with that role as --owner-database"
        ) from None


def _migrate(connection: psycopg.Connection) -> list[int]:
    known = migrations()
    connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'")
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
    done = _done(connection)
    if done and max(done) > max(known):
        raise SchemaTooNewError(max(done), max(known))
    if not done:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_migration ("
            "number integer PRIMARY KEY, apply_time timestamptz NOT NULL DEFAULT now())"
        )
    missing = [number for number in known if number not in done]
    for number in missing:
        connection.execute(sql.SQL(known[number]))
        connection.execute("INSERT INTO schema_migration (number) VALUES (%s)", (number,))
    return missing


def _done(connection: psycopg.Connection) -> set[int]:
    """Returns the migrations that the database has had.

    Looked for first: making what is there already asks for the right to make it.
    """
    found = connection.execute("SELECT to_regclass('schema_migration')").fetchone()
    if found is None or found[0] is None:
        return set()
    return {number for (number,) in connection.execute("SELECT number FROM schema_migration")}
