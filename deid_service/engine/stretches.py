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


class Stretch:
    """The headers of a stretch.

    Attributes:
        used: it has come again since it was learned.
    """

    __slots__ = ("_headers", "_last_tag", "_length", "_read", "used")

    def __init__(
        self, layout: Struct, headers: tuple[int, ...], length: int, last_tag: int
    ) -> None:
        """Remembers a stretch.

        Args:
            layout: reads all headers at an offset.
            headers: what they are.
            length: of the stretch, in bytes.
            last_tag: the largest tag in it.
        """
        self._read = layout.unpack_from
        self._headers = headers
        self._length = length
        self._last_tag = last_tag
        self.used = False

    def skip(self, buffer: bytes, position: int, limit: int, boundary: int) -> int:
        """Passes a stretch that begins with the same header.

        Args:
            buffer: the input.
            position: of an element.
            limit: of what may be read in it.
            boundary: the first tag that must not be passed.

        Returns:
            The position behind the stretch; the one given, where it is another one.
        """
        end = position + self._length
        if (
            end > limit
            or self._last_tag >= boundary
            or self._read(buffer, position) != self._headers
        ):
            return position
        self.used = True
        return end


NO_STRETCHES: Final[dict[bytes, Stretch]] = {}


class Stretches:
    """The stretches seen at one level.

    Attributes:
        known: the stretches by the header that they begin with.
    """

    def __init__(self, encoding: Encoding) -> None:
        """Starts with none.

        Args:
            encoding: an explicit VR one.
        """
        self._encoding = encoding
        self.known: dict[bytes, Stretch] = {}
        self._wait = _FIRST_WAIT
        self._waiting = 0

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
        former = self.known.get(key)
        if former is not None:
            helped = former.used
            self._wait = max(_FIRST_WAIT, self._wait // 2) if helped else self._longer()
        if len(self.known) >= _MAX_STRETCHES:
            self.known.clear()
            self._longer()
        self.known[key] = self._learned(buffer, start, end)

    def _longer(self) -> int:
        self._wait = min(_LONGEST_WAIT, self._wait * 2)
        return self._wait

    def _learned(self, buffer: bytes, start: int, end: int) -> Stretch:
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
        return Stretch(compiled, compiled.unpack_from(buffer, start), end - start, last_tag)
