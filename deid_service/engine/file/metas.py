"""The file metas that were met before, and what was learned with each."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from operator import attrgetter
from threading import Lock
from typing import Final

from deid_service.engine.encoding.headers import Encoding
from deid_service.engine.file.directory import MEDIA_DIRECTORY
from deid_service.engine.file.transfer_syntax import TransferSyntax
from deid_service.engine.layouts.learning import MAX_PARTS_OF_PLAN, PROCESS, Layouts
from deid_service.engine.rules.rules import Rules

# File metas remembered: as many kinds of files as are worked on at once; and the longest
# of them, in bytes.
_MAX_REMEMBERED: Final = 64
_MAX_REMEMBERED_BYTES: Final = 2048


@dataclass(slots=True)
class KnownMeta:
    """What was made of a file meta, but for its instance UID.

    Attributes:
        before: what stands before the instance UID in the output.
        after: what stands behind it.
        changes: what a receipt counts.
        syntax: the transfer syntax.
        syntax_uid: its UID; empty without one.
        sop_class: the media storage SOP class.
        layouts: of the data sets that came with it, by all else that decides how their
            bytes are read: the encoding, how much may be held, and the rules for the file.
        used: when it was met last, in metas that were met.
        learnable: how its data sets are encoded, where layouts are for them; else None.
    """

    before: bytes
    after: bytes
    changes: list[tuple[str, ...]]
    syntax: TransferSyntax | None
    syntax_uid: str
    sop_class: str
    layouts: dict[tuple[Encoding, int, Rules], Layouts] = field(default_factory=dict)
    used: int = 0
    learnable: Encoding | None = field(init=False)

    def __post_init__(self) -> None:
        syntax = self.syntax
        is_plain = syntax is not None and not syntax.deflated and not syntax.encoding.big
        is_plain = is_plain and self.sop_class != MEDIA_DIRECTORY
        self.learnable = syntax.encoding if syntax is not None and is_plain else None


# By what stands before the instance UID, and what stands behind it.
_Key = tuple[bytes, bytes]


class Metas:
    """The file metas of a plan's files that were met before, and what was learned with each.

    Those that were met least lately are forgotten first. No value of a patient is kept: the
    instance UID is not part of what is remembered, and a file meta with private information
    is not remembered at all. Can be shared between threads.
    """

    def __init__(self, *, learns: bool = True) -> None:
        """Starts with none.

        Args:
            learns: remembers any.
        """
        self._learns = learns
        self._lock = Lock()
        self._known: dict[_Key, KnownMeta] = {}
        self._met = itertools.count(1)

    def get(self, key: _Key) -> KnownMeta | None:
        """Returns what was made of a file meta, if it was met before."""
        known = self._known.get(key)
        if known is not None:
            known.used = next(self._met)
        return known

    def add(self, key: _Key, known: KnownMeta) -> KnownMeta:
        """Remembers a file meta; returns what was made of it first."""
        if not self._learns or sum(map(len, key)) > _MAX_REMEMBERED_BYTES:
            return known
        with self._lock:
            # One that came in pieces may be known, with what was learned beside it.
            known = self._known.setdefault(key, known)
            known.used = next(self._met)
            if len(self._known) > _MAX_REMEMBERED:
                del self._known[min(self._known, key=lambda each: self._known[each].used)]
            return known

    def note_learned(self, layouts: Layouts) -> None:
        """Makes room for what was learned: in the plan, and in the process."""
        PROCESS.put(layouts)
        size = 0
        for each in reversed(self.layouts()):
            size += each.size()
            if size > MAX_PARTS_OF_PLAN and each is not layouts:
                each.forget()

    def layouts(self) -> list[Layouts]:
        """Returns all that is learned; what was used last comes last."""
        with self._lock:
            by_use = sorted(self._known.values(), key=attrgetter("used"))
        return [each for known in by_use for each in [*known.layouts.values()]]

    def forget(self) -> None:
        """Forgets all."""
        with self._lock:
            self._known.clear()
