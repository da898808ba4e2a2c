"""What a statement has read, for as long as nothing has been committed since.

To ask whether that is so takes half as long as to ask for the rows again, and is as certain:
of a transaction that has ended since, no row is missing. See
`docs/decisions/unchanged-answers.md`.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from profile_service.store.database import Reading

    # What a statement was executed with, and whatever else tells its rows apart.
    Key = tuple[Hashable, ...]

MAX_ENTRIES = 1024

# What was read, as whoever asks keeps it.
T = TypeVar("T")


class Moment(NamedTuple):
    """What the database said of itself when a statement read.

    Attributes:
        committed: what had been committed, and in which server; None where that cannot be told.
        connected: how many connections had been made to it: a server that was set back to an
            earlier time, under which it says the same of other rows, has lost those it had.
    """

    committed: bytes | None
    connected: int


class Kept(NamedTuple, Generic[T]):
    """What was read, and how long it stands: until a time of the database, if that is not None."""

    said: T
    moment: Moment
    until: bytes | None


class Unchanged(Generic[T]):
    """What was read, by the parameters of a statement. Safe to use from many threads.

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
        # From such a one the first is taken at once; a dict looks for it behind all that have gone.
        self._kept: OrderedDict[Key, Kept[T]] = OrderedDict()
        # When it was looked last: what is from before need not be asked about.
        self._last = Moment(None, 0)

    def said(self, parameters: Key, meanwhile: Callable[[T], None]) -> T | None:
        """Returns what a statement with these parameters would read now, if known.

        Args:
            parameters: see there.
            meanwhile: is given what is known, while the database is asked whether it stands.
        """
        kept = self.kept(parameters)
        if kept is None:
            return None
        ((committed, now),) = self._read("moment", meanwhile=lambda: meanwhile(kept.said))
        return kept.said if self.stands(kept, committed, now) else None

    def kept(self, parameters: Key) -> Kept[T] | None:
        """Returns what is remembered from when it was looked last; that it stands is not said."""
        kept = self._kept.get(parameters)
        return None if kept is None or kept.moment != self._last else kept

    def stands(self, kept: Kept[T], committed: bytes | None, now: bytes) -> bool:
        """Tells whether a statement would read the same now.

        Args:
            kept: what was read.
            committed: what the database has said since it was asked for this.
            now: its time then.
        """
        # Behind it: a connection that was made for it counts.
        moment = self._last = Moment(committed, self.connected())
        return kept.moment == moment and (kept.until is None or kept.until > now)

    def keep(self, parameters: Key, said: T, moment: Moment, until: bytes | None) -> None:
        """Remembers what was read.

        Args:
            parameters: of the statement.
            said: what it has read.
            moment: at which it did; `connected` as it was before.
            until: when that changes by itself, as the database sends a time; None for never.
        """
        if moment.committed is None:
            return
        with self._lock:
            self._last = moment
            self._kept.pop(parameters, None)
            self._kept[parameters] = Kept(said, moment, until)
            if len(self._kept) > MAX_ENTRIES:
                self._kept.popitem(last=False)
