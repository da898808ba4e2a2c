"""Two roles: one owns the tables, the other serves them and can change no event of the audit."""

from __future__ import annotations

import os

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from profile_service.errors import StoreFaultError
from profile_service.store.conninfo import complete
from profile_service.store.faults import translated
from profile_service.store.migrate import migrate_with
from profile_service.store.queries import QUERIES


def set_up(owner: str, service: str) -> list[int]:
    """Migrates as the owner of the database, and lets the role of the service serve it.

    Args:
        owner: how the owner connects, or one who may become the owner.
        service: how the service connects; its role is made where it is not there, with the
            password that stands here.

    Returns:
        The numbers of the migrations that were run.

    Raises:
        InvalidConninfoError: a connection string is malformed.
        SchemaTooNewError: a newer build has used the database.
        StoreUnavailableError: the database does not answer.
        StoreFaultError: the owner may not do that, or both are one role.
    """
    said = conninfo_to_dict(complete(service))
    role = str(said.get("user") or os.environ.get("PGUSER") or "")
    password = str(said.get("password") or os.environ.get("PGPASSWORD") or "")
    with translated(), psycopg.connect(complete(owner)) as connection:
        if role in {"", connection.info.user}:
            raise StoreFaultError("the service needs a role of its own: user=... in --database")
        _make(connection, role, password)
        # What is made belongs to the owner of the database, whoever connected.
        connection.execute(
            "SELECT set_config('role', pg_get_userbyid(datdba), false) "
            "FROM pg_database WHERE datname = current_database()"
        )
        done = migrate_with(connection)
        grants = psycopg.RawCursor(connection).execute(QUERIES["missing"], (role,)).fetchone()
        schema = connection.execute("SELECT current_schema()").fetchone()
        assert grants is not None and schema is not None  # noqa: PT018, S101 -- one row each
        to = sql.Identifier(role)
        connection.execute(
            sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(sql.Identifier(schema[0]), to)
        )
        # In the words of the query alone.
        for grant in filter(None, grants[2].split(", ")):
            connection.execute(sql.SQL("GRANT {} TO {}").format(sql.SQL(grant), to))
    return done


def _make(connection: psycopg.Connection, role: str, password: str) -> None:
    """Makes the role; one that is there is left as it is."""
    there = connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (role,)).fetchone()
    if there is not None:
        return
    make = sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role))
    if password:
        # Hashed here: what the server is told can end up in its log.
        hashed = connection.pgconn.encrypt_password(
            password.encode(), role.encode(), b"scram-sha-256"
        )
        make += sql.SQL(" PASSWORD {}").format(sql.Literal(hashed.decode()))
    connection.execute(make)
