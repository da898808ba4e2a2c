"""A statement that is executed so often that it goes past the driver's cursor.

A cursor converts and looks up with each execution what is the same every time, and
that takes about as long as the server's answer. What remains here is libpq's part:
send, wait, read.
"""

from __future__ import annotations

import select
from typing import TYPE_CHECKING

import psycopg
from psycopg import generators, pq
from psycopg.adapt import Transformer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from profile_service.store.rows import Row


# How long an answer is waited for in the simplest way; one that takes longer is left to
# the driver, with its timeout.
SOON_MILLISECONDS = 100


class Statement:
    """A statement of few rows, prepared on one connection."""

    def __init__(
        self, connection: psycopg.Connection[Row], name: str, query: str, types: Sequence[str]
    ) -> None:
        """Prepares nothing yet.

        Args:
            connection: in autocommit.
            name: what the server calls it.
            query: with parameters written $1, $2, ...
            types: the PostgreSQL types of the parameters.
        """
        self._connection = connection
        self._name = name.encode()
        self._query = query.encode()
        self._types = [connection.adapters.types[one].oid for one in types]
        self._formats = [pq.Format.BINARY] * len(types)
        self._reader = Transformer(connection)
        self._prepared = False
        self._poll = select.poll()
        self._poll.register(connection.pgconn.socket, select.POLLIN)
        # What it says when there is something to read, and nothing else.
        self._readable = [(connection.pgconn.socket, select.POLLIN)]

    def rows(self, *parameters: bytes) -> list[Row]:
        """Executes it and returns its rows.

        Args:
            parameters: in binary form.

        Raises:
            psycopg.Error: it failed.
        """
        pgconn = self._connection.pgconn
        if not self._prepared:
            pgconn.send_prepare(self._name, self._query, self._types)
            self._answer()
            self._prepared = True
        pgconn.send_query_prepared(self._name, parameters, self._formats, pq.Format.BINARY)
        answer = self._answer()
        self._reader.set_pgresult(answer)
        return self._reader.load_rows(0, answer.ntuples, tuple)

    def _answer(self) -> pq.abc.PGresult:
        answer = self._answer_soon()
        if answer is None:
            (answer,) = self._connection.wait(generators.execute(self._connection.pgconn))
        if answer.status not in {pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK}:
            raise psycopg.errors.error_from_result(answer)
        return answer

    def _answer_soon(self) -> pq.abc.PGresult | None:
        """Returns the answer if it is there soon, and all at once."""
        pgconn = self._connection.pgconn
        # What is left to be sent, what does not come, what is not whole and what has
        # failed is the driver's.
        if pgconn.flush() or self._poll.poll(SOON_MILLISECONDS) != self._readable:
            return None
        try:
            pgconn.consume_input()
        except psycopg.OperationalError:
            self._connection.close()
            raise
        if pgconn.is_busy():
            return None
        answer = pgconn.get_result()
        # What ends it: the connection is ready for the next statement.
        if pgconn.is_busy():
            self._connection.wait(generators.execute(pgconn))
        else:
            pgconn.get_result()
        return answer
