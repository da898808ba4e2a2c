"""What a statement has read, for as long as nothing has been committed since.

To ask whether that is so takes half as long as to ask for the rows again, and is as certain:
of a transaction that has ended since, no row is missing. See
`docs/decisions/unchanged-answers.md`.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from profile_service.store.database import Reading
    from profile_service.store.rows import Row
    from profile_service.store.statement import Parameter

MAX_ENTRIES = 1024


class Moment(NamedTuple):
    """What the database said of itself when a statement read.

    Attributes:
        committed: what had been committed, and in which server; None where that cannot be told.
        connected: how many connections had been made to it: a server that was set back to an
            earlier time, under which it says the same of other rows, has lost those it had.
    """

    committed: bytes | None
    connected: int


class _Kept(NamedTuple):
    """Rows, and how long they stand: until a time of the database, if that is not None."""

    rows: list[Row]
    moment: Moment
    until: bytes | None


class Unchanged:
    """Rows by the parameters of a statement. Safe to use from many threads.

    Attributes:
        connected: tells how many connections have been made to the database.
    """

    def __init__(self, read: Reading, connected: Callable[[], int]) -> None:
        """Remembers nothing yet.

        Args:
            read: asks the database.
            connected: see there.
        """
        self._read = read
        self.connected = connected
        self._lock = threading.Lock()
        self._kept: dict[tuple[Parameter, ...], _Kept] = {}
        # When it was looked last: what is from before need not be asked about.
        self._last = Moment(None, 0)

    def rows(self, parameters: tuple[Parameter, ...]) -> list[Row] | None:
        """Returns the rows that a statement with these parameters would read now, if known."""
        kept = self._kept.get(parameters)
        if kept is None or kept.moment != self._last:
            return None
        ((committed, now),) = self._read("moment")
        # Behind it: a connection that was made for it counts.
        moment = self._last = Moment(committed, self.connected())
        if kept.moment != moment or (kept.until is not None and kept.until <= now):
            return None
        return kept.rows

    def keep(
        self,
        parameters: tuple[Parameter, ...],
        rows: list[Row],
        moment: Moment,
        until: bytes | None,
    ) -> None:
        """Remembers rows.

        Args:
            parameters: of the statement that has read them.
            rows: these.
            moment: at which it did; `connected` as it was before.
            until: when they change by themselves, as the database sends a time; None for never.
        """
        if moment.committed is None:
            return
        with self._lock:
            self._last = moment
            self._kept.pop(parameters, None)
            self._kept[parameters] = _Kept(rows, moment, until)
            if len(self._kept) > MAX_ENTRIES:
                del self._kept[next(iter(self._kept))]
