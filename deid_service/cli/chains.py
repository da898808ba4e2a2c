"""Whether a chain of the audit is whole: hashes, places, what has expired, and its end.

Each event has the hash of what it says and of the hash before it, so that one that was
changed, taken out or put in breaks the chain there. The whole chain made anew by who may
write the tables is seen with a head that was kept elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

# What the first event goes on from.
BEGINNING = bytes(32)


class ChainBrokenError(Exception):
    """The chain is not what it was; the text says where in a sentence."""


class Link(NamedTuple):
    """An event, as far as its place in the chain goes.

    Attributes:
        number: its place, from 1.
        microseconds: when it was added, since 1970.
        event: what it says, as it was hashed.
        hash: what it is said to hash to.
    """

    number: int
    microseconds: int
    event: str
    hash: bytes

    def hash_after(self, site: str, before: bytes) -> bytes:
        """Returns what it hashes to behind an event."""
        said = f"{site}\n{self.number}\n{self.microseconds}\n{self.event}"
        return hashlib.sha256(before + said.encode()).digest()


@dataclass(slots=True)
class Chain:
    """The chain of a site, event by event, from the oldest on.

    Attributes:
        site: its name; empty for the chain of no site.
        kept: hashes that are known from elsewhere, by the numbers of the events.
        first: the number of the first event that is there; 0 before it came.
        last: that of the last one.
        hash: its hash.
    """

    site: str
    kept: Mapping[int, bytes] = field(default_factory=dict)
    first: int = 0
    last: int = 0
    hash: bytes = BEGINNING
    _opening: Link | None = None
    _expired: dict[int, bytes] = field(default_factory=dict)

    def add(self, link: Link) -> None:
        """Takes the next event.

        Raises:
            ChainBrokenError: it does not follow from the one before, or is not what was kept.
        """
        if not self.first:
            self.first = link.number
            # What it goes on from is told later on, where the events before it have expired.
            if link.number > 1:
                self._opening = link
        elif link.number != self.last + 1:
            raise ChainBrokenError(
                f"after event {self.last} comes {link.number}: what was between them is gone, or "
                "does not stand in its place."
            )
        if self._opening is not link and link.hash_after(self.site, self.hash) != link.hash:
            before = f"does not follow from event {self.last}: one of them " if self.last else ""
            raise ChainBrokenError(f"event {link.number} {before}was changed.")
        if self.kept.get(link.number, link.hash) != link.hash:
            raise ChainBrokenError(
                f"event {link.number} is not the one whose hash was kept: the chain was made anew."
            )
        self.last, self.hash = link.number, link.hash
        said = json.loads(link.event)
        if said["action"] == "audit.expire":
            after = said["after"]
            self._expired[after["number"]] = bytes.fromhex(after["hash"])

    def end(self) -> None:
        """Takes it that there are no more.

        Raises:
            ChainBrokenError: the beginning or the end is missing.
        """
        if self._opening is not None:
            before = self._expired.get(self._opening.number - 1)
            if before is None:
                raise ChainBrokenError(
                    f"it begins with event {self.first}, and no event says that those before it "
                    "had expired."
                )
            if self._opening.hash_after(self.site, before) != self._opening.hash:
                raise ChainBrokenError(
                    f"event {self.first} does not follow from those that have expired."
                )
        cut = [number for number in self.kept if number > self.last]
        if cut:
            raise ChainBrokenError(
                f"it ends with event {self.last}, and there was an event {max(cut)}: its end was "
                "cut off."
            )
        for number in self.kept.keys() & self._expired.keys():
            if self.kept[number] != self._expired[number]:
                raise ChainBrokenError(
                    f"event {number}, which has expired, is not the one whose hash was kept."
                )
