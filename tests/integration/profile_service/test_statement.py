"""Statements that go past the driver's cursor."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import psycopg
import pytest

from profile_service.store.statement import SOON_MILLISECONDS, Statement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from profile_service.store.rows import Row


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection[Row]]:
    """A connection as the store has them."""
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


def test_values_are_read_as_the_cursor_reads_them(connection: psycopg.Connection[Row]) -> None:
    """Texts, bytes, numbers, times, JSON and NULL come as the driver gives them."""
    query = """SELECT $1, $2, 3::bigint, true, 'epoch'::timestamptz, '[{"a": 1}]'::json, NULL"""
    statement = Statement(connection, "values", query, ("text", "bytea"))

    (row,) = statement.rows("sites/\u00e4".encode(), b"\0\xff")

    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    assert row == ("sites/\u00e4", b"\0\xff", 3, True, epoch, [{"a": 1}], None)


def test_there_may_be_no_row_or_several(connection: psycopg.Connection[Row]) -> None:
    """A statement that finds nothing says so, and finds what is there afterwards."""
    query = "SELECT generate_series(1, $1::text::int)"
    statement = Statement(connection, "found", query, ("text",))

    found = [statement.rows(number) for number in (b"0", b"2", b"0")]

    assert found == [[], [(1,), (2,)], []]


def test_an_answer_that_takes_its_time_is_waited_for(
    connection: psycopg.Connection[Row],
) -> None:
    """What is not there soon comes later, and the next execution works."""
    query = "SELECT pg_sleep($1::text::float) IS NOT NULL"
    statement = Statement(connection, "slow", query, ("text",))

    assert statement.rows(f"{2 * SOON_MILLISECONDS / 1000}".encode()) == [(True,)]
    assert statement.rows(b"0") == [(True,)]


def test_an_answer_of_many_pieces_is_put_together(connection: psycopg.Connection[Row]) -> None:
    """Parameters and answers may be larger than what goes through a socket at once."""
    statement = Statement(connection, "large", "SELECT $1 || $1", ("bytea",))
    data = bytes(range(256)) * 16_384

    assert statement.rows(data) == [(data + data,)]
    assert statement.rows(b"x") == [(b"xx",)]


def test_a_failure_leaves_the_connection_usable(connection: psycopg.Connection[Row]) -> None:
    """What the server refuses is raised with its SQLSTATE, and the next execution works."""
    statement = Statement(connection, "divided", "SELECT 6 / $1::text::int", ("text",))

    with pytest.raises(psycopg.errors.DivisionByZero):
        statement.rows(b"0")

    assert statement.rows(b"2") == [(3,)]


def test_a_statement_that_cannot_be_prepared_is_tried_again(
    connection: psycopg.Connection[Row],
) -> None:
    """Preparing fails while a table is missing, and works once it is there."""
    statement = Statement(connection, "later", "SELECT number FROM later", ())
    with pytest.raises(psycopg.errors.UndefinedTable):
        statement.rows()

    connection.execute("CREATE TABLE later AS SELECT 7 AS number")

    assert statement.rows() == [(7,)]


def test_a_connection_that_is_gone_is_told(connection: psycopg.Connection[Row]) -> None:
    """Of a connection that the server has ended the driver's own error tells."""
    statement = Statement(connection, "gone", "SELECT 1", ())
    statement.rows()
    with psycopg.connect(connection.info.dsn, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", (connection.info.backend_pid,))

    with pytest.raises(psycopg.OperationalError):
        statement.rows()
    assert connection.closed
