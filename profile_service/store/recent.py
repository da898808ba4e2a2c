"""The versions that resolutions read last, so that they need not be sent and read again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from profile_service.model import ProfileVersion
    from profile_service.store.rows import Row

# A profile of a dozen rules has about one kibibyte, and may have up to 1024.
MAX_BYTES = 32 << 20

# What an entry takes beside its text, and with each violation or warning: about.
_ENTRY_BYTES = 1024


class Read(NamedTuple):
    """A version as it was read.

    Attributes:
        row: what the database said of it, without the text.
        version: what that stands for, without the text as well.
        text: this; None where it was not asked for.
    """

    row: Row
    version: ProfileVersion
    text: str | None


class RecentVersions:
    """The version of each container that was read last. Safe to use from many threads.

    What is attached to a container is asked of the database each time. Here only stands
    what such an answer, or a digest in it, stands for, and that is never out of date.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: OrderedDict[str, Read] = OrderedDict()
        self._bytes = 0

    def of(self, containers: Iterable[str]) -> dict[str, Read]:
        """Returns what is known of these containers, by their names."""
        found = {}
        with self._lock:
            for container in containers:
                read = self._entries.get(container)
                if read is not None:
                    self._entries.move_to_end(container)
                    found[container] = read
        return found

    def keep(self, read: Read) -> None:
        """Remembers a version, and forgets what was not asked for longest."""
        container = read.version.container
        with self._lock:
            self._forget(container)
            self._entries[container] = read
            self._bytes += _size(read)
            while self._bytes > MAX_BYTES:
                self._forget(next(iter(self._entries)))

    def _forget(self, container: str) -> None:
        read = self._entries.pop(container, None)
        if read is not None:
            self._bytes -= _size(read)


def _size(read: Read) -> int:
    version = read.version
    said = len(version.decision.violations) + len(version.decision.warnings)
    # Nearly all texts are ASCII; other characters can take four times as much.
    return len(read.text or "") + (1 + said) * _ENTRY_BYTES
