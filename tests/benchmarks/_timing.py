"""Timing of a call."""

from __future__ import annotations

import time
from collections.abc import Callable


def best(call: Callable[[], object], seconds: float) -> float:
    """Returns the shortest time of a call in seconds, from rounds of several."""
    call()
    started = time.perf_counter()
    call()
    once = max(time.perf_counter() - started, 1e-6)
    count = max(1, int(seconds / 10 / once))
    shortest = float("inf")
    ends = time.perf_counter() + seconds
    while time.perf_counter() < ends:
        started = time.perf_counter()
        for _ in range(count):
            call()
        shortest = min(shortest, (time.perf_counter() - started) / count)
    return shortest
