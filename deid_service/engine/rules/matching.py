"""Regular expressions on a file, within a bound on time for the whole of it.

A single match is bounded by the profile language. A file has any number of
elements and values, so what slow matches take is added up, too.
"""

from __future__ import annotations

from threading import local
from time import thread_time
from typing import Final

from profile_service.language.model import Pattern, PatternTimeoutError

# Ordinary matches take microseconds; only slow ones count, so that neither a
# large file nor a pause of the interpreter uses up the time.
_SLOW_SECONDS: Final = 0.005

# What slow matches may take for one file: a worker serves others meanwhile.
_MAX_SECONDS: Final = 0.5


class Matching(local):
    """Matches the patterns of a plan.

    Attributes:
        spent: what slow matches have taken for the file that is worked on in this
            thread, in seconds. Who works on several by turns sets it for each.
    """

    def __init__(self) -> None:
        """Starts with all of the time."""
        self.spent = 0.0

    def match(self, pattern: Pattern, text: str) -> dict[str, str | None] | None:
        """Matches a pattern from the start of a text.

        Raises:
            PatternTimeoutError: the match, or all slow ones together, took too long.
        """
        if self.spent > _MAX_SECONDS:
            raise PatternTimeoutError
        started = thread_time()
        try:
            return pattern.match(text)
        finally:
            taken = thread_time() - started
            if taken > _SLOW_SECONDS:
                self.spent += taken
