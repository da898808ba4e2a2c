"""Statements that go past the driver's cursor and pool.

A cursor converts and looks up with each execution what is the same every time, and
that takes about as long as the server's answer. What remains here is libpq's part:
send, wait, read.
"""

from __future__ import annotations

import hashlib
import select
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Self

import psycopg
from psycopg import errors as sqlstates
from psycopg import pq
from psycopg.adapt import Transformer

from profile_service.store.queries import QUERIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from profile_service.store.rows import Row

Parameter = str | int | bytes

Meanwhile = Callable[[], None]


def nothing() -> None:
    """Is done while a statement is executed where there is nothing to do."""


# How long an answer is waited for. A statement that reads takes a millisecond; what a
# server has not answered by then it will not answer on this connection.
ANSWER_SECONDS = 1.5

# How long asking the server to stop a statement may take.
CANCEL_SECONDS = 1.0

_OIDS = {str: 25, int: 20, bytes: 17}

# What a pooler between says that gives each transaction another connection, when a
# statement that was prepared is executed on another one or prepared there again.
_NOT_PREPARED_HERE = (
    sqlstates.InvalidSqlStatementName,
    sqlstates.DuplicatePreparedStatement,
)


class Sharing:
    """Whether a pooler shares out connections by transaction, as far as is known.

    Attributes:
        found: it does: statements are prepared anew with each execution.
    """

    def __init__(self) -> None:
        self.found = False


class ReadingConnection:
    """A connection for statements that read, for one thread at a time.

    Attributes:
        made: when it was made, on the clock of `time.monotonic`.
    """

    def __init__(self, connection: psycopg.Connection, sharing: Sharing) -> None:
        self.made = time.monotonic()
        self._connection = connection
        self._sharing = sharing
        self._pgconn = connection.pgconn
        self._reader = Transformer(connection)
        self._prepared: set[bytes] = set()
        self._given_up = False
        self._pgconn.nonblocking = 1
        self._readable = select.poll()
        self._readable.register(self._pgconn.socket, select.POLLIN)

    @classmethod
    def connect(cls, conninfo: str, sharing: Sharing) -> Self:
        """Makes a connection.

        Raises:
            psycopg.Error: it cannot be made.
        """
        return cls(psycopg.connect(conninfo, autocommit=True), sharing)

    @property
    def usable(self) -> bool:
        """Whether it can take a statement, as far as is known here."""
        return not self._given_up and self._pgconn.status == pq.ConnStatus.OK

    def close(self) -> None:
        """Closes it."""
        if not self._given_up:
            self._pgconn.finish()

    def rows(self, query: str, *parameters: Parameter, meanwhile: Meanwhile = nothing) -> list[Row]:
        """Executes a statement and returns its rows.

        Args:
            query: its name, of one with parameters written $1, $2, ...
            parameters: each of the type that it has in the statement.
            meanwhile: is done while the server works, on a core of its own: what takes some
                microseconds. More than once where the statement is sent again.

        Raises:
            psycopg.Error: it failed; the connection is closed where it is of no more use.
            Exception: what `meanwhile` raises, when the answer is there.
        """
        pgconn = self._pgconn
        name, text = _named(QUERIES[query])
        values = [_encoded(one) for one in parameters]
        formats = [pq.Format.BINARY] * len(values)
        try:
            if self._sharing.found:
                types = _types(parameters)
                pgconn.send_query_params(text, values, types, formats, pq.Format.BINARY)
            else:
                if name not in self._prepared:
                    pgconn.send_prepare(name, text, _types(parameters))
                    self._answer()
                    self._prepared.add(name)
                pgconn.send_query_prepared(name, values, formats, pq.Format.BINARY)
            try:
                meanwhile()
            finally:
                answer = self._answer()
        except _NOT_PREPARED_HERE:
            self._sharing.found = True
            return self.rows(query, *parameters, meanwhile=meanwhile)
        except psycopg.OperationalError as error:
            # Whatever ends it says so first.
            if error.diag.severity_nonlocalized != "ERROR":
                self.close()
            raise
        self._reader.set_pgresult(answer)
        return self._reader.load_rows(0, answer.ntuples, tuple)

    def _answer(self) -> pq.abc.PGresult:
        pgconn = self._pgconn
        end = time.monotonic() + ANSWER_SECONDS
        while pgconn.flush():
            self._wait(end, select.POLLIN | select.POLLOUT)
            pgconn.consume_input()
        answer = None
        while True:
            while pgconn.is_busy():
                self._wait(end, select.POLLIN)
                pgconn.consume_input()
            result = pgconn.get_result()
            if result is None:
                break
            answer = result
        if answer is None:
            raise psycopg.OperationalError("the connection is lost")
        if answer.status not in {pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK}:
            raise sqlstates.error_from_result(answer)
        return answer

    def _wait(self, end: float, events: int) -> None:
        left = end - time.monotonic()
        if events == select.POLLIN:
            ready = left > 0 and self._readable.poll(left * 1000)
        else:
            either = select.poll()
            either.register(self._pgconn.socket, events)
            ready = left > 0 and either.poll(left * 1000)
        if not ready:
            self._given_up = True
            threading.Thread(target=_stop, args=(self._connection,), daemon=True).start()
            raise psycopg.OperationalError("timeout expired")


def _stop(connection: psycopg.Connection) -> None:
    """Closes a connection on which an answer is due.

    Without a word to the server, the statement would go on waiting there, for a lock for
    instance, and keep one of its connections for as long.
    """
    with suppress(psycopg.Error):
        connection.cancel_safe(timeout=CANCEL_SECONDS)
    connection.close()


def _types(parameters: Sequence[Parameter]) -> list[int]:
    return [_OIDS[type(one)] for one in parameters]


def _encoded(parameter: Parameter) -> bytes:
    if isinstance(parameter, str):
        return parameter.encode()
    if isinstance(parameter, int):
        return struct.pack("!q", parameter)
    return parameter


@lru_cache(maxsize=256)
def _named(text: str) -> tuple[bytes, bytes]:
    """Returns what a statement is called on a connection, and its text.

    By what it says: a pooler may keep one for another build of the service.
    """
    encoded = text.encode()
    return hashlib.sha256(encoded).hexdigest()[:32].encode(), encoded
