"""Gives memory back to the system when a crowd of streams has gone.

What streams have held and freed, the C library keeps for those that come next: with the
settings of `TUNING`, all of it. That is what makes a busy service fast, and what leaves the
memory of its busiest second with a service that has little to do any more.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
from contextlib import suppress
from pathlib import Path

from deid_service.serving.logs import LOG

# How long there have to be few streams: a caller that opens one after the other is no crowd.
CALM_SECONDS = 5.0

# What is worth it: the pages that come back later have to be cleared once more.
WORTH_BYTES = 64 * 1024 * 1024


class Crowd:
    """Notices that most of the streams that there were have gone. For the event loop alone."""

    def __init__(self) -> None:
        """Begins with no streams."""
        self._most = 0
        self._now = 0
        self._timer: asyncio.TimerHandle | None = None
        self._least_bytes = _resident_bytes()

    def counted(self, streams: int) -> None:
        """Takes how many streams are open, when that changes."""
        self._now = streams
        self._most = max(self._most, streams)
        if self._has_gone() and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(CALM_SECONDS, self._look)

    def _has_gone(self) -> bool:
        return self._now * 2 <= self._most

    def _look(self) -> None:
        self._timer = None
        if not self._has_gone():
            return
        self._most = self._now
        before = _resident_bytes()
        if before < self._least_bytes + WORTH_BYTES:
            return
        # glibc, malloc_trim(3). Other libraries give back by themselves.
        with suppress(AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
        self._least_bytes = _resident_bytes()
        LOG.write("memory_returned", bytes=before - self._least_bytes, streams=self._now)


def _resident_bytes() -> int:
    """Returns how much memory this process has (Linux, proc(5): statm); 0 where nobody tells."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
    except OSError:
        return 0
