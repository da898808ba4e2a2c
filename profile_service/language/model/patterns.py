"""Regular expressions as the model knows them."""

from __future__ import annotations

from typing import Protocol


class PatternTimeoutError(Exception):
    """A regular expression took longer than a worker may be held, or would on its text."""


class Pattern(Protocol):
    """A regular expression that cannot hold a worker."""

    @property
    def source(self) -> str:
        """The expression as its author wrote it."""
        ...

    @property
    def group_names(self) -> frozenset[str]:
        """The names of its named groups."""
        ...

    def most_seconds(self, text: str) -> float:
        """How long a match on a text can take at the most, in seconds of computing."""
        ...

    def match(self, text: str) -> dict[str, str | None] | None:
        """Match from the start, not necessarily to the end, of the text.

        Returns:
            The named groups (None for one that took no part), or None where the
            text does not match.

        Raises:
            PatternTimeoutError: the bound on time was reached, or the text is too long
                for it to be kept.
        """
        ...
