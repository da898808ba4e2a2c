"""Answers by their questions, remembered within a bound.

Threads: all of it can be shared. What is remembered are answers that do not differ, so it
does not matter whose answer is kept; nothing of a file is in them but tags and the numbers
of items, and of those no more than `_MAX_REMEMBERED`.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Final, Protocol, TypeVar
from weakref import WeakSet

from deid_service.engine.rules.ops import UNSEEN, Op

# What is remembered of the rules of a profile, in tags: some ten megabytes. A file can be
# made of tags that no other has, or of any number of items. When there is no room left all
# of it is forgotten: to work it out again takes the others microseconds for a tag, much less
# than such a file takes its sender.
_MAX_REMEMBERED: Final = 65_536

Key = TypeVar("Key")
Value = TypeVar("Value")


class Forgetful(Protocol):
    """What remembers answers, and can work them out again."""

    def forget(self) -> None:
        """Forgets them."""
        ...


class Room:
    """How much is remembered of the rules of a profile, and by whom."""

    def __init__(self) -> None:
        """Starts empty."""
        self._counted = 0
        self._held: WeakSet[Forgetful] = WeakSet()
        self._lock = Lock()

    def hold(self, what: Forgetful) -> None:
        """Has something forget when there is no room left."""
        with self._lock:
            self._held.add(what)

    def count(self, size: int) -> None:
        """Notes that something is remembered that counts for so many tags."""
        self._counted += size
        if self._counted > _MAX_REMEMBERED:
            self.forget()

    def forget(self) -> None:
        """Has all be forgotten; it is worked out again when it is asked for."""
        with self._lock:
            self._counted = 0
            held = list(self._held)
        for what in held:
            what.forget()


class Remembered(dict[Key, Value]):
    """Answers by their questions, each worked out when it is first asked for."""

    def __init__(self, answer: Callable[[Key], Value], room: Room) -> None:
        """Starts with none.

        Args:
            answer: works one out.
            room: for them.
        """
        super().__init__()
        self._answer = answer
        self._room = room

    def __missing__(self, question: Key) -> Value:
        answer = self[question] = self._answer(question)
        self._room.count(1)
        return answer


class Glanced(dict[int, Op | None]):
    """Ops by tags, as far as they are known; `UNSEEN` for others."""

    def __missing__(self, tag: int) -> Op:
        return UNSEEN
