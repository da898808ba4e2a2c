"""The output of a file while it is put together: runs of input, and slots still open.

A slot is a place whose bytes are not known yet: the length of a sequence whose
items are still coming, the file meta that waits for the new SOP Instance UID,
a value that is made from another one further on. What stands behind an open
slot is held back; everything before it is released.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final

Buffer = bytes | memoryview

# How many parts are kept before they are joined.
_MANY_PARTS: Final = 2048


class Slot:
    """A place in the output whose bytes come later.

    Attributes:
        parts: the bytes, once they are known; None while the slot is open.
        offset: where in the input it was opened.
        tag: the element that it is about, or None.
        give_up: fills the slot where it has waited for too long; None where
            nothing but what it waits for can fill it.
    """

    __slots__ = ("give_up", "offset", "parts", "tag")

    def __init__(
        self, offset: int, tag: int | None = None, give_up: Callable[[], None] | None = None
    ) -> None:
        self.parts: list[Buffer] | None = None
        self.offset = offset
        self.tag = tag
        self.give_up = give_up


class Output:
    """Collects buffers and slots in their order."""

    __slots__ = ("_has_slots", "_join_at", "_many", "_waiting", "parts")

    def __init__(self, many_parts: int = _MANY_PARTS) -> None:
        """Starts empty.

        Args:
            many_parts: how many are kept before they are joined.
        """
        self._many = many_parts
        # Typed loosely for the walk, which appends runs without a call.
        self.parts: list[Any] = []
        # Slots in their order; those that are filled go when they are the first.
        self._waiting: deque[Slot] = deque()
        self._has_slots = False
        self._join_at = many_parts

    def open(self, slot: Slot) -> None:
        """Appends a slot."""
        self.parts.append(slot)
        self._waiting.append(slot)
        self._has_slots = True

    def fill(self, slot: Slot, parts: Iterable[Buffer]) -> None:
        """Gives a slot its bytes."""
        slot.parts = list(parts)
        if len(self.parts) > self._join_at:
            self._join()

    def cut(self, slot: Slot) -> None:
        """Takes away an open slot, and everything behind it."""
        while self._waiting.pop() is not slot:
            pass
        index = len(self.parts) - 1
        while self.parts[index] is not slot:
            index -= 1
        del self.parts[index:]

    def _join(self) -> None:
        """Joins what lies between open slots: a part costs more than its bytes."""
        joined: list[Any] = []
        run: list[Buffer] = []
        for part in self.parts:
            if not isinstance(part, Slot):
                run.append(part)
            elif part.parts is not None:
                run.extend(part.parts)
            else:
                if run:
                    joined.append(b"".join(run))
                    run = []
                joined.append(part)
        if run:
            joined.append(b"".join(run))
        # In place: the walk holds on to the list.
        self.parts[:] = joined
        self._waiting = deque(part for part in joined if isinstance(part, Slot))
        self._join_at = len(joined) + self._many

    def first_open(self) -> Slot | None:
        """Returns the first slot that is still open."""
        waiting = self._waiting
        while waiting and waiting[0].parts is not None:
            waiting.popleft()
        return waiting[0] if waiting else None

    def release(self) -> list[Buffer]:
        """Returns what stands before the first open slot, and forgets it."""
        parts = self.parts
        if not self._has_slots:
            self.parts = []
            return parts
        released: list[Buffer] = []
        for index, part in enumerate(parts):
            if not isinstance(part, Slot):
                released.append(part)
            elif part.parts is not None:
                released.extend(part.parts)
            else:
                self.parts = parts[index:]
                return released
        self.parts = []
        self._has_slots = False
        self._join_at = self._many
        return released
