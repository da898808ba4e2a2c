"""Stretches of elements that no rule touches, told at once from their headers.

The files of a series are laid out alike: between two elements that a rule
changes, the same tags follow each other with the same lengths. Such a stretch
is learned once as one `struct` format that reads all of its headers; where they
are what they were, the stretch ends where it ended, and no element of it needs
to be looked at. A header that differs shows itself, and the walk goes on
element by element.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from deid_service.engine.elements import Encoding

# In shorter ones (in bytes) there is nothing to gain.
MIN_STRETCH: Final = 128

# Stretches remembered at a level: the layouts of a few series at once.
_MAX_STRETCHES: Final = 128

# Learning takes as long as walking some stretches does, so it waits until so
# many have been walked; where what was learned does not come again, for longer.
_FIRST_WAIT: Final = 4
_LONGEST_WAIT: Final = 4096

_HEADER: Final = 8


class _Stretch:
    """The headers of a stretch.

    Attributes:
        read: reads all headers at an offset.
        headers: what they are.
        length: of the stretch, in bytes.
        last_tag: the largest tag in it.
        used: it has come again since it was learned.
    """

    __slots__ = ("headers", "last_tag", "length", "read", "used")

    def __init__(self, layout: Struct, headers: tuple[int, ...], length: int, last_tag: int):
        self.read = layout.unpack_from
        self.headers = headers
        self.length = length
        self.last_tag = last_tag
        self.used = False


class Stretches:
    """The stretches seen at one level, by the header that they begin with."""

    def __init__(self, encoding: Encoding) -> None:
        """Starts with none.

        Args:
            encoding: an explicit VR one.
        """
        self._encoding = encoding
        self._known: dict[bytes, _Stretch] = {}
        self._wait = _FIRST_WAIT
        self._waiting = 0

    def skip(self, buffer: bytes, position: int, limit: int, boundary: int) -> int:
        """Passes a known stretch.

        Args:
            buffer: the input.
            position: of an element.
            limit: of what may be read in it.
            boundary: the first tag that must not be passed.

        Returns:
            The position behind the stretch, or the one given.
        """
        stretch = self._known.get(buffer[position : position + _HEADER])
        if (
            stretch is None
            or position + stretch.length > limit
            or stretch.last_tag >= boundary
            or stretch.read(buffer, position) != stretch.headers
        ):
            return position
        stretch.used = True
        return position + stretch.length

    def learn(self, buffer: bytes, start: int, end: int) -> None:
        """Remembers a stretch that was walked, now and then.

        Args:
            buffer: the input.
            start: of the first element.
            end: behind the last one.
        """
        self._waiting += 1
        if self._waiting < self._wait:
            return
        self._waiting = 0
        key = buffer[start : start + _HEADER]
        former = self._known.get(key)
        if former is not None:
            helped = former.used
            self._wait = max(_FIRST_WAIT, self._wait // 2) if helped else self._longer()
        if len(self._known) >= _MAX_STRETCHES:
            self._known.clear()
            self._longer()
        self._known[key] = self._learned(buffer, start, end)

    def _longer(self) -> int:
        self._wait = min(_LONGEST_WAIT, self._wait * 2)
        return self._wait

    def _learned(self, buffer: bytes, start: int, end: int) -> _Stretch:
        quad = self._encoding.quad
        layout = ["<"]
        last_tag = 0
        position = start
        while position < end:
            group, element, _, length = quad(buffer, position)
            last_tag = max(last_tag, group << 16 | element)
            layout.append(f"Q{length}x")
            position += _HEADER + length
        compiled = Struct("".join(layout))
        return _Stretch(compiled, compiled.unpack_from(buffer, start), end - start, last_tag)
