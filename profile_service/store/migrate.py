"""Brings a database to the schema of this build."""

from __future__ import annotations

import re
from importlib import resources
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from profile_service.errors import SchemaTooNewError
from profile_service.store.faults import translated

if TYPE_CHECKING:
    from collections.abc import Mapping

# Held while migrations run, so that of two instances that start at once one waits
# for the other. The number means nothing but "the migrations of this product".
_LOCK = 4_771_310_265_512_907_334

_FILE = re.compile(r"(\d{3})_[a-z0-9_]+\.sql")


def migrations() -> Mapping[int, str]:
    """Returns the statements of each migration, by number and in order."""
    found = {}
    for file in resources.files("profile_service.store.migrations").iterdir():
        if match := _FILE.fullmatch(file.name):
            found[int(match[1])] = file.read_text("utf-8")
    return dict(sorted(found.items()))


def migrate(conninfo: str, connect_seconds: int) -> list[int]:
    """Runs the migrations that the database has not had, in one transaction.

    Args:
        conninfo: how to connect.
        connect_seconds: how long that may take.

    Returns:
        The numbers of those that were run.

    Raises:
        SchemaTooNewError: a newer build has used the database.
        StoreUnavailableError: the database does not answer.
    """
    known = migrations()
    with (
        translated(),
        psycopg.connect(conninfo, connect_timeout=connect_seconds) as connection,
    ):
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_migration ("
            "number integer PRIMARY KEY, apply_time timestamptz NOT NULL DEFAULT now())"
        )
        done = {number for (number,) in connection.execute("SELECT number FROM schema_migration")}
        if done and max(done) > max(known):
            raise SchemaTooNewError(max(done), max(known))
        missing = [number for number in known if number not in done]
        for number in missing:
            connection.execute(sql.SQL(known[number]))
            connection.execute("INSERT INTO schema_migration (number) VALUES (%s)", (number,))
        return missing
