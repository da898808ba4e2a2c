"""Whose the files of a stream are, seen in its messages before they are worked on.

What patients are given is asked for elsewhere, which takes a while: who knows early whose
files come next asks for many at once, and while others are worked on.
"""

from __future__ import annotations

import time
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

from deid_service.contract import wire
from deid_service.contract.errors import ProtocolError
from deid_service.engine import PatientProbe, known_of, seeking

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deid_service.contract.wire import RequestPart
    from deid_service.engine import Given, Plan
    from deid_service.serving.limits import Limits

# How long messages are looked at before others have their turn, in seconds.
TURN_SECONDS = 0.01

# Patients of a stream of whom it is remembered what they were given elsewhere.
MAX_KNOWN_PATIENTS = 10_000

# A probe copies what it is given: mostly there is no need for more.
_PROBED_BYTES = 64 * 1024


class Sighting:
    """What has been seen of a file.

    Attributes:
        is_settled: whether all has been seen that says whose it is.
        known_by: what tells the patient from all others; None where the file does not say
            it, or cannot be read: the engine says what is wrong with it.
    """

    __slots__ = ("is_settled", "known_by")

    def __init__(self) -> None:
        self.is_settled = False
        self.known_by: str | None = None

    def settle(self, known_by: str | None) -> None:
        """Takes what has been seen."""
        self.is_settled, self.known_by = True, known_by


class Lookout:
    """Looks at the messages of a stream, in their order, each before it is worked on.

    What is out of order ends it, without a word: whoever works on it says what is wrong.
    """

    def __init__(self, plan: Plan, limits: Limits) -> None:
        """Takes what is done to files, and what they may cost."""
        self._plan = plan
        self._seeking = seeking(plan)
        self._limits = limits
        self._sightings: deque[Sighting] = deque()
        self._open: Sighting | None = None
        self._probe: PatientProbe | None = None
        self._left = 0
        self._is_over = False
        # Patients of whom nothing is known, in the order of their files; and those who are
        # asked for.
        self._unasked: dict[str, None] = {}
        self._asked: frozenset[str] = frozenset()
        self._is_collecting = True

    def look(self, message: bytes) -> Iterator[None]:
        """Looks at the next message; gives others their turn at each step."""
        ends = time.perf_counter() + TURN_SECONDS
        for part in () if self._is_over else self._parts(message):
            if time.perf_counter() > ends:
                yield None
                ends = time.perf_counter() + TURN_SECONDS
            if (part.file is None) is (self._open is None):
                # An empty part says nothing, and may stand anywhere.
                self._is_over = part.file is not None or bool(part.chunk) or part.ends
                if self._is_over:
                    return
                continue
            if part.file is not None:
                self._begin(part.file.size)
            self._take(part.chunk)
            if part.ends:
                if self._probe is not None:
                    self._probe.finish()
                    self._settle(self._probe.known_by)
                self._open = None

    def next_file(self) -> Sighting:
        """Returns what has been seen, or will be, of the next file."""
        return self._sightings.popleft() if self._sightings else Sighting()

    def ask(self, most: int) -> list[str]:
        """Returns patients who are to be asked for, those of the next files.

        Args:
            most: how many at most.
        """
        patients = list(islice(self._unasked, most))
        for patient in patients:
            del self._unasked[patient]
        self._asked = frozenset(patients)
        return patients

    def is_unanswered(self, patient: str) -> bool:
        """Whether a patient is asked for, or is to be."""
        return patient in self._asked or patient in self._unasked

    def answered(self, given: dict[str, Given]) -> None:
        """Takes what those were given who were asked for."""
        self._asked = frozenset()
        remember(self._plan, given)

    def refused(self) -> None:
        """Takes that those who were asked for are given nothing together.

        One by one some may be: from now on nobody is returned any more, so that those of the
        first files are asked for first.
        """
        self._asked, self._unasked, self._is_collecting = frozenset(), {}, False

    def _parts(self, message: bytes) -> list[RequestPart]:
        try:
            return wire.read_as_parts(message)
        except ProtocolError:
            self._is_over = True
            return []

    def _begin(self, size: int) -> None:
        self._open = Sighting()
        self._sightings.append(self._open)
        self._probe = PatientProbe(self._seeking, max_held_bytes=self._limits.max_held_bytes)
        self._left = self._limits.max_file_bytes
        if 0 < self._left < size:
            self._settle(None)

    def _take(self, chunk: memoryview) -> None:
        if self._probe is not None and self._limits.max_file_bytes > 0:
            self._left -= len(chunk)
            if self._left < 0:
                self._settle(None)
        at = 0
        while self._probe is not None and at < len(chunk):
            piece = chunk[at : at + _PROBED_BYTES]
            at += len(piece)
            if self._probe.receive(piece):
                self._settle(self._probe.known_by)

    def _settle(self, known_by: str | None) -> None:
        assert self._open is not None  # noqa: S101 -- there is a probe
        self._probe = None
        self._open.settle(known_by)
        if known_by is None or known_by in known_of(self._plan) or known_by in self._asked:
            return
        if self._is_collecting:
            self._unasked[known_by] = None


def remember(plan: Plan, given: dict[str, Given]) -> None:
    """Notes what patients of a stream were given; of too many the first are forgotten."""
    known = known_of(plan)
    known.update(given)
    for patient in list(islice(known, max(0, len(known) - MAX_KNOWN_PATIENTS))):
        del known[patient]
