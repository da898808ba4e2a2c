"""The share of connections that reads have for themselves: resolutions before all.

No change waits on one of these, so that none holds up a read. A read that is not
answered is sent again, once, on a connection that is made for it: a firewall between
that has forgotten the connections that were kept costs a second, and no refusal.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

import psycopg

from profile_service.errors import StoreUnavailableError
from profile_service.serving.tracing import TRACING
from profile_service.store.faults import translated
from profile_service.store.statement import ReadingConnection, Sharing, nothing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from profile_service.store.rows import Row
    from profile_service.store.statement import Meanwhile, Parameter

# How long a read waits for a connection.
CHECKOUT_SECONDS = 1.0

# How often who waits looks whether one is at hand.
AT_HAND_SECONDS = 0.02

# A connection is replaced after so long: what a server collects for one goes with it, and
# after a failover the old server is left.
LIFETIME_SECONDS = 600.0

KNOWN_TO_BE_GONE = "it did not answer when it was last asked"


class Readers:
    """Some connections for statements that read. Safe to use from many threads.

    Attributes:
        answers: the database did when it was last looked for.
        connected: how many connections it has made.
    """

    def __init__(self, conninfo: str, connections: int) -> None:
        """Connects to nothing yet.

        Args:
            conninfo: how libpq connects.
            connections: how many it may have at once.
        """
        self.answers = True
        self.connected = 0
        self._connecting = threading.Lock()
        self._conninfo = conninfo
        self._sharing = Sharing()
        # A place for each: with a connection that nobody uses, or where one may be made.
        # Some are for who comes by just then, which costs no thread a turn; the others
        # are handed on in the order of asking.
        self._at_hand: deque[ReadingConnection | None] = deque()
        self._at_hand_count = connections // 2
        self._places: SimpleQueue[ReadingConnection | None] = SimpleQueue()
        self._count = connections
        for _ in range(connections):
            self._give(None)

    def rows(self, query: str, *parameters: Parameter, meanwhile: Meanwhile = nothing) -> list[Row]:
        """Executes a statement that reads, and returns its rows; see `ReadingConnection.rows`.

        Raises:
            StoreUnavailableError: the database does not answer.
            psycopg.Error: the statement failed, or no connection could be made.
        """
        with TRACING.querying(query):
            return self._rows(query, parameters, meanwhile)

    def _rows(
        self, query: str, parameters: tuple[Parameter, ...], meanwhile: Meanwhile
    ) -> list[Row]:
        connection = self._take()
        try:
            if connection is None or not connection.usable:
                if not self.answers:
                    raise StoreUnavailableError(KNOWN_TO_BE_GONE)
                connection = self._connect()
            try:
                return connection.rows(query, *parameters, meanwhile=meanwhile)
            except psycopg.OperationalError:
                if connection.usable:
                    raise
            # What happened to this one may have happened to those that are kept as well.
            self._drop_kept()
            connection = self._connect()
            return connection.rows(query, *parameters, meanwhile=meanwhile)
        finally:
            self._give(connection)

    def look(self) -> None:
        """Asks on each connection that is kept, and drops those that do not answer.

        While the database does not answer here, `rows` makes no connection to it.

        Raises:
            StoreUnavailableError: it does not answer.
        """
        try:
            # One after the other: reads have the rest meanwhile.
            asked = sum(map(self._check, self._kept_in_turn()))
            if not asked:
                with translated():
                    self._place_one()
        except StoreUnavailableError:
            self.answers = False
            raise
        self.answers = True

    def close(self) -> None:
        """Closes the connections that nobody uses."""
        self._drop_kept()

    @property
    def busy(self) -> int:
        """How many of its places are in use."""
        return self._count - len(self._at_hand) - self._places.qsize()

    def _kept_in_turn(self) -> Iterator[ReadingConnection | None]:
        """Takes what nobody uses now, those that were not used for longest first."""
        for _ in range(self._at_hand_count):
            with suppress(IndexError):
                yield self._at_hand.popleft()
        for _ in range(self._count - self._at_hand_count):
            with suppress(Empty):
                yield self._places.get_nowait()

    def _check(self, connection: ReadingConnection | None) -> bool:
        """Asks on a connection that was taken, and gives its place back."""
        kept = connection if connection is not None and _is_sound(connection) else None
        self._give(kept)
        if connection is not None and kept is None:
            self._drop_kept()
        return kept is not None

    def _place_one(self) -> None:
        connection = self._take()
        try:
            if connection is None or not connection.usable:
                connection = self._connect()
            connection.rows("ping")
        finally:
            self._give(connection)

    def _connect(self) -> ReadingConnection:
        with self._connecting:
            self.connected += 1
        return ReadingConnection.connect(self._conninfo, self._sharing)

    def _take(self, patience: float = CHECKOUT_SECONDS) -> ReadingConnection | None:
        with suppress(IndexError):
            return self._at_hand.pop()
        end = time.monotonic() + patience
        while True:
            with suppress(Empty):
                return self._places.get(timeout=min(patience, AT_HAND_SECONDS))
            with suppress(IndexError):
                return self._at_hand.pop()
            if time.monotonic() >= end:
                raise StoreUnavailableError("all connections for reads are in use")

    def _give(self, connection: ReadingConnection | None) -> None:
        if len(self._at_hand) < self._at_hand_count:
            self._at_hand.append(connection)
        else:
            self._places.put(connection)

    def _drop_kept(self) -> None:
        taken = []
        with suppress(StoreUnavailableError):
            while True:
                taken.append(self._take(patience=0))
        for connection in taken:
            if connection is not None:
                connection.close()
            self._give(None)


def _is_sound(connection: ReadingConnection) -> bool:
    if time.monotonic() - connection.made > LIFETIME_SECONDS:
        connection.close()
        return False
    try:
        return connection.usable and connection.rows("ping") == [(1,)]
    except psycopg.Error:
        connection.close()
        return False
