"""What rules may cost one file: time for regular expressions, and what they add to it.

A single match, and a single value, are bounded elsewhere. A file has any number of
elements and values, so what they take is added up, too.
"""

from __future__ import annotations

from threading import local
from time import perf_counter, thread_time
from typing import Final

from deid_service.engine.limits import (
    MAX_GROWTH,
    MAX_MATCHING_SECONDS,
    MAX_MATCHING_SECONDS_OF_ELEMENT,
)
from profile_service.language.model import Pattern, PatternTimeoutError

# Ordinary matches take about a microsecond. So much of each is not counted: there is no
# bound on how large a file may be, and this grows with it as all work does.
_FREE_SECONDS: Final = 0.000_010


class Budget:
    """What has been spent on one file.

    Attributes:
        seconds: what matches have taken.
        until: what they may have taken when the element in hand is done.
        growth: what new values have added, in bytes.
    """

    __slots__ = ("growth", "seconds", "until")

    def __init__(self) -> None:
        """Starts with all of it."""
        self.seconds = 0.0
        self.until = MAX_MATCHING_SECONDS_OF_ELEMENT
        self.growth = 0


class _InHand(local):
    """The file that is worked on in this thread.

    Attributes:
        budget: of the file.
        computed: what the thread had computed, in seconds, when matches were last
            charged for, or an element was begun.
    """

    def __init__(self) -> None:
        self.budget = Budget()
        self.computed = 0.0


_in_hand: Final = _InHand()


def spend_from(budget: Budget) -> None:
    """Has what is done in this thread, from now on, counted for a file.

    Who works on several files by turns says at each turn which one it is.
    """
    _in_hand.budget = budget


def unspent(growth: int) -> None:
    """Takes back what was added since `grown` said so much: it will be added again."""
    _in_hand.budget.growth = growth


def grown() -> int:
    """Returns what new values have added to the file in hand, in bytes."""
    return _in_hand.budget.growth


def begin_element() -> None:
    """Has what matches take, from now on, counted for another element."""
    budget = _in_hand.budget
    _in_hand.computed = thread_time()
    budget.until = min(budget.seconds + MAX_MATCHING_SECONDS_OF_ELEMENT, MAX_MATCHING_SECONDS)


def match(pattern: Pattern, text: str) -> dict[str, str | None] | None:
    """Matches a pattern from the start of a text.

    Raises:
        PatternTimeoutError: the match, or all on the element, or all on the file, took
            too long.
    """
    budget = _in_hand.budget
    if budget.seconds >= budget.until:
        raise PatternTimeoutError
    started = perf_counter()
    try:
        return pattern.match(text)
    finally:
        passed = perf_counter() - started
        if passed > _FREE_SECONDS:
            _charge(budget, min(passed, pattern.most_seconds(text)))


def _charge(budget: Budget, passed: float) -> None:
    """Counts a match, by what was computed while it passed.

    What is more than the match can have taken was something else: the interpreter
    collecting garbage, or a machine that stood still.

    The clock of the thread costs as much as a match, so it is asked only where the other
    one says that there was something; what was computed before that match and since the
    last time is no more than what such an interval hides.
    """
    before, _in_hand.computed = _in_hand.computed, thread_time()
    taken = min(passed, _in_hand.computed - before)
    budget.seconds += max(taken - _FREE_SECONDS, 0)


def may_grow(size: int) -> bool:
    """Takes note of so many bytes that a new value adds, and says whether it may."""
    if size > 0:
        _in_hand.budget.growth += size
    return _in_hand.budget.growth <= MAX_GROWTH
