"""The texts that resolutions have read, so that the database need not send them again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# A profile of a dozen rules has about one kibibyte, and may have up to 1024.
MAX_BYTES = 32 << 20

# What an entry takes beside its text.
_OVERHEAD_BYTES = 512


class Texts:
    """The last text of each container that was read. Safe to use from many threads.

    What is attached to a container is asked of the database each time. Here only stands
    what a digest stands for, and that is never out of date.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._texts: OrderedDict[str, tuple[bytes, str]] = OrderedDict()
        self._bytes = 0

    def of(self, containers: Iterable[str]) -> dict[bytes, str]:
        """Returns the texts of these containers that are known, by their digests."""
        found = {}
        with self._lock:
            for container in containers:
                if container in self._texts:
                    self._texts.move_to_end(container)
                    sha256, text = self._texts[container]
                    found[sha256] = text
        return found

    def keep(self, container: str, sha256: bytes, text: str) -> None:
        """Remembers the text of a container, and forgets what was not asked for longest."""
        with self._lock:
            self._forget(container)
            self._texts[container] = sha256, text
            self._bytes += _size(text)
            while self._bytes > MAX_BYTES:
                self._forget(next(iter(self._texts)))

    def _forget(self, container: str) -> None:
        _, text = self._texts.pop(container, (b"", None))
        if text is not None:
            self._bytes -= _size(text)


def _size(text: str) -> int:
    # Nearly all are ASCII; other characters can take four times as much.
    return len(text) + _OVERHEAD_BYTES
