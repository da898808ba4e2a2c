"""Names in order: whether one begins with a word, or a word has one within it.

A file may have thousands of names that begin alike, and a text thousands of words that nearly
are one. In order, what a word begins with, or what begins with it, stands next to it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Sequence

from deid_service.engine.texts.forms import LONG_NUMBER


class NamesInWords:
    """Names that are found within words, and what words are the begin of one."""

    def __init__(self, names: Collection[str]) -> None:
        """Takes names that are not shorter than what is looked for within words."""
        self._names = frozenset(names)
        # Those that begin with another one are found with that.
        self._begins: dict[str, list[str]] = {}
        for name in sorted(self._names):
            alike = self._begins.setdefault(name[:LONG_NUMBER], [])
            if not alike or not name.startswith(alike[-1]):
                alike.append(name)

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def are_in(self, word: str) -> bool:
        """Whether one stands within a word, or begins with it: a word of six letters or more."""
        begins = self._begins
        if not begins:
            return False
        if _begins_one(word, begins.get(word[:LONG_NUMBER], ())):
            return True
        for at in range(len(word) - LONG_NUMBER + 1):
            alike = begins.get(word[at : at + LONG_NUMBER])
            place = bisect_right(alike, word[at:]) if alike else 0
            if alike and place and word.startswith(alike[place - 1], at):
                return True
        return False


def are_cut(words: Sequence[str], names: Sequence[str]) -> bool:
    """Whether words are no more than the begin of one of some names, which are in order."""
    begin = " ".join(words)
    return len(words) > 1 and len(begin) >= LONG_NUMBER and _begins_one(begin, names)


def _begins_one(begin: str, names: Sequence[str]) -> bool:
    place = bisect_left(names, begin)
    return place < len(names) and names[place].startswith(begin)
