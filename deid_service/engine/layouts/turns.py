"""When to learn from files that are not as known: now and then, less where it did not help."""

from __future__ import annotations

from typing import Final

# What is learned of one file costs as much as some fifty others. So files are learned from in
# turns, of which each begins when twice as many files as before were not as known, up to so
# many; or to more, where what was learned has not come again.
_SHORTEST_TURN: Final = 2
_LONG_TURN: Final = 64
_LONGEST_TURN: Final = 4096

# How many files are learned from in a turn: each takes as long as some ten files.
_MAX_SAMPLES: Final = 8


class Turns:
    """Counts files that are not as known. For one thread at a time, but for `came_again`.

    Attributes:
        came_again: whether what was learned has come again since the turn began.
    """

    def __init__(self) -> None:
        """Begins with the shortest turn."""
        self.came_again = False
        self._turn = _SHORTEST_TURN
        self._missed = 0

    def wants_sample(self) -> bool:
        """Takes note of a file that is not as known; whether to learn from it."""
        self._missed += 1
        wants = self._missed <= _MAX_SAMPLES
        if self._missed >= self._turn:
            longest = _LONG_TURN if self.came_again else _LONGEST_TURN
            self._turn = min(self._turn * 2, longest)
            self._missed = 0
            self.came_again = False
        return wants
