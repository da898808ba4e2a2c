"""Statements that go past the driver's cursor and pool."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import psycopg
import pytest

from profile_service.store import statement
from profile_service.store.queries import QUERIES
from profile_service.store.statement import ReadingConnection, Sharing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from profile_service.store.rows import Row
    from profile_service.store.statement import Parameter

HOLD = "SELECT pg_advisory_lock(7)"


@pytest.fixture
def connection(database: str) -> Iterator[ReadingConnection]:
    """A connection as the store has them."""
    connection = ReadingConnection.connect(database, Sharing())
    yield connection
    connection.close()


@pytest.fixture
def query(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """The name of a statement whose text is the parameter of the test."""
    monkeypatch.setitem(QUERIES, "asked", request.param)
    return "asked"


def rows(connection: ReadingConnection, query: str, *parameters: Parameter) -> list[Row]:
    """Executes a statement."""
    return connection.rows(query, *parameters)


@pytest.mark.parametrize(
    "query",
    ["""SELECT $1, $2, $3, true, 'epoch'::timestamptz, '[{"a": 1}]'::json, NULL"""],
    indirect=True,
)
def test_values_are_read_as_the_cursor_reads_them(
    connection: ReadingConnection, query: str
) -> None:
    """Texts, bytes, numbers, times, JSON and NULL come as the driver gives them."""
    (row,) = rows(connection, query, "sites/\u00e4", b"\0\xff", 2**40)

    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    assert row == ("sites/\u00e4", b"\0\xff", 2**40, True, epoch, [{"a": 1}], None)


@pytest.mark.parametrize("query", ["SELECT generate_series(1, $1)"], indirect=True)
def test_there_may_be_no_row_or_several(connection: ReadingConnection, query: str) -> None:
    """A statement that finds nothing says so, and finds what is there afterwards."""
    assert [rows(connection, query, number) for number in (0, 2, 0)] == [[], [(1,), (2,)], []]


@pytest.mark.parametrize("query", ["SELECT $1 || $1"], indirect=True)
def test_an_answer_of_many_pieces_is_put_together(
    connection: ReadingConnection, query: str
) -> None:
    """Parameters and answers may be larger than what goes through a socket at once."""
    data = bytes(range(256)) * 16_384

    assert rows(connection, query, data) == [(data + data,)]
    assert rows(connection, query, b"x") == [(b"xx",)]


@pytest.mark.parametrize("query", ["SELECT 6 / $1"], indirect=True)
def test_a_failure_leaves_the_connection_usable(connection: ReadingConnection, query: str) -> None:
    """What the server refuses is raised with its SQLSTATE, and the next execution works."""
    with pytest.raises(psycopg.errors.DivisionByZero):
        rows(connection, query, 0)

    assert rows(connection, query, 2) == [(3,)]


@pytest.mark.parametrize("query", ["SELECT number FROM later"], indirect=True)
def test_a_statement_that_cannot_be_prepared_is_tried_again(
    connection: ReadingConnection, database: str, query: str
) -> None:
    """Preparing fails while a table is missing, and works once it is there."""
    with pytest.raises(psycopg.errors.UndefinedTable):
        rows(connection, query)
    with psycopg.connect(database, autocommit=True) as other:
        other.execute("CREATE TABLE later AS SELECT 7 AS number")

    assert rows(connection, query) == [(7,)]


def test_a_connection_that_is_gone_is_told(connection: ReadingConnection, database: str) -> None:
    """Of a connection that the server has ended the driver's own error tells."""
    rows(connection, "ping")
    with psycopg.connect(database, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    with pytest.raises(psycopg.OperationalError):
        rows(connection, "ping")
    assert not connection.usable


@pytest.mark.parametrize("query", ["SELECT pg_advisory_lock($1) IS NULL"], indirect=True)
def test_something_is_done_while_the_server_works(
    connection: ReadingConnection, database: str, query: str
) -> None:
    """The statement is on its way by then, and may be answered because of it."""
    with psycopg.connect(database, autocommit=True) as other:
        other.execute(HOLD)
        found = connection.rows(
            query, 7, meanwhile=lambda: other.execute("SELECT pg_advisory_unlock(7)").close()
        )

    assert found == [(False,)]


@pytest.mark.parametrize("query", ["SELECT 6 / $1"], indirect=True)
@pytest.mark.parametrize("number", [2, 0])
def test_what_fails_meanwhile_leaves_the_connection_usable(
    connection: ReadingConnection, query: str, number: int
) -> None:
    """The answer is read all the same; where that is a failure, this one is told."""

    def fail() -> None:
        raise KeyError

    with pytest.raises(KeyError if number else psycopg.errors.DivisionByZero):
        connection.rows(query, number, meanwhile=fail)

    assert rows(connection, query, 3) == [(2,)]


@pytest.mark.parametrize("query", ["SELECT pg_advisory_lock($1) IS NULL"], indirect=True)
def test_what_is_not_answered_is_ended_there_too(
    connection: ReadingConnection,
    database: str,
    query: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A statement that waits for a lock is given up, and the server stops waiting as well."""
    monkeypatch.setattr(statement, "ANSWER_SECONDS", 0.2)
    with psycopg.connect(database, autocommit=True) as other:
        other.execute(HOLD)
        with pytest.raises(psycopg.OperationalError, match="timeout expired"):
            rows(connection, query, 7)

        waiting = (
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        while other.execute(waiting).fetchone() != (0,):
            pass
    assert not connection.usable
