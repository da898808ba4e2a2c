"""Shares of what all calls use: what some wait for does not stop the others."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from profile_service.errors import TooManyCallsError

if TYPE_CHECKING:
    from collections.abc import Iterator


class Bulkhead:
    """Places for work of one kind, and a bounded queue in front of them."""

    def __init__(self, *, places: int, waiting: int, seconds: float) -> None:
        """Takes its bounds.

        Args:
            places: how many work at once.
            waiting: how many may wait for a place.
            seconds: how long one waits.
        """
        self._free = threading.Semaphore(places)
        self._room = threading.Semaphore(places + waiting)
        self._seconds = seconds

    @contextmanager
    def place(self) -> Iterator[None]:
        """Lends a place.

        Raises:
            TooManyCallsError: too many wait already, or no place became free in time.
        """
        if not self._room.acquire(blocking=False):
            raise TooManyCallsError
        try:
            if not self._free.acquire(timeout=self._seconds):
                raise TooManyCallsError
            try:
                yield
            finally:
                self._free.release()
        finally:
            self._room.release()
