"""What a service counts, for Prometheus, in memory that its supervisor and workers share.

What is counted are the events that a service logs: nothing is told in two ways. Each worker
has numbers of its own, in which it alone adds up; the supervisor, who serves the sum, keeps
them when a worker dies, so that they only grow. Names and units are those that Prometheus
asks for; labels take values that are known beforehand, so that nobody from outside can make
more of them, and nothing that comes from a file is one.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from dataclasses import dataclass, field
from itertools import product
from threading import Lock
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from profile_service.serving.logs import Field

    Labels = Mapping[str, Sequence[str]]

    # Whole numbers of 64 bits, side by side.
    Cells = array[int] | memoryview[int]

# The bounds of a histogram, in seconds: from a small file to a large one on a thin line.
BUCKETS: Final = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0),
)

# What stands for a value of a label that is not among the known ones.
OTHER: Final = "OTHER"

# Sets of labels whose places are remembered; there are not many.
_MAX_FOUND: Final = 1024

# Sums of seconds are kept in whole microseconds.
_MICROSECONDS: Final = 1_000_000


@dataclass(frozen=True, eq=False)
class Count:
    """A number that grows with each event of a kind.

    Attributes:
        name: without `_total`.
        help: what it says, in a sentence.
        event: that is counted.
        labels: fields of the event that tell its counts apart, with their values.
        of: the field that is added up; events are counted where it is empty.
    """

    name: str
    help: str
    event: str
    labels: Labels = field(default_factory=dict)
    of: str = ""

    @property
    def cells(self) -> int:
        """How many numbers one set of labels takes."""
        return 1

    def add(self, cells: Cells, at: int, fields: Mapping[str, Field]) -> None:
        """Counts an event."""
        cells[at] += int(fields.get(self.of, 0)) if self.of else 1


@dataclass(frozen=True, eq=False)
class Timing:
    """How long events of a kind took, as a histogram.

    Attributes:
        name: with `_seconds` at its end.
        help: what it says, in a sentence.
        event: that is measured.
        labels: as in `Count`.
        of: the field that has the seconds.
    """

    name: str
    help: str
    event: str
    labels: Labels = field(default_factory=dict)
    of: str = "seconds"

    @property
    def cells(self) -> int:
        """How many numbers one set of labels takes: the buckets, one for all above, the sum."""
        return len(BUCKETS) + 2

    def add(self, cells: Cells, at: int, fields: Mapping[str, Field]) -> None:
        """Counts an event, if it took any time."""
        seconds = fields.get(self.of)
        if isinstance(seconds, float):
            cells[at + bisect_left(BUCKETS, seconds)] += 1
            cells[at + len(BUCKETS) + 1] += int(seconds * _MICROSECONDS)


@dataclass(frozen=True, eq=False)
class Gauge:
    """What the last event of a kind said, by worker.

    Attributes:
        name: of the gauge.
        help: what it says, in a sentence.
        event: that says it.
        of: the field that has it.
        when: the text of the field for which it is 1, and 0 otherwise; where this is empty,
            the field is a number, and is told as it is.
    """

    name: str
    help: str
    event: str
    of: str
    when: str = ""

    @property
    def labels(self) -> Labels:
        """None: workers are told apart."""
        return {}

    @property
    def cells(self) -> int:
        """How many numbers it takes."""
        return 1

    def add(self, cells: Cells, at: int, fields: Mapping[str, Field]) -> None:
        """Notes what an event says."""
        said = fields.get(self.of, 0)
        cells[at] = int(said == self.when) if self.when else int(said)


Family = Count | Timing | Gauge


class Meter:
    """Counts the events of one process.

    Threads: may be used by any.

    Attributes:
        size: how many numbers it takes.
        families: what it counts.
        shared: the numbers.
    """

    def __init__(self, families: Sequence[Family]) -> None:
        """Begins with zeros in memory of its own."""
        self.families = tuple(families)
        self.size = 0
        self._places: dict[Family, dict[tuple[str, ...], int]] = {}
        for family in self.families:
            places = self._places[family] = {}
            for values in product(*((*known, OTHER) for known in family.labels.values())):
                places[values] = self.size
                self.size += family.cells
        self._by_event: dict[str, list[Family]] = {}
        for family in self.families:
            self._by_event.setdefault(family.event, []).append(family)
        # The labels of all that an event counts in, and where those that came up are counted.
        self._labels = {
            event: tuple(dict.fromkeys(label for family in counted for label in family.labels))
            for event, counted in self._by_event.items()
        }
        self._found: dict[tuple[Field | None, ...], list[tuple[Family, int]]] = {}
        self.shared: Cells = array("q", bytes(8 * self.size))
        self._lock = Lock()

    def attach(self, cells: Cells) -> None:
        """Counts in memory that is shared from now on; counts go on from what is there."""
        self.shared = cells
        for family in self.families:
            if isinstance(family, Gauge):
                # Of a process that is no more.
                for place in self._places[family].values():
                    cells[place] = 0

    def note(self, event: str, fields: Mapping[str, Field]) -> None:
        """Counts an event that is logged."""
        names = self._labels.get(event)
        if names is None:
            return
        values = (event, *map(fields.get, names))
        found = self._found.get(values)
        if found is None:
            found = self._find(event, fields)
            if len(self._found) < _MAX_FOUND:
                self._found[values] = found
        with self._lock:
            for family, place in found:
                family.add(self.shared, place, fields)

    def _find(self, event: str, fields: Mapping[str, Field]) -> list[tuple[Family, int]]:
        """Returns what an event with such labels counts in, and where."""
        found = []
        for family in self._by_event[event]:
            values = tuple(
                value if (value := str(fields.get(label, ""))) in known else OTHER
                for label, known in family.labels.items()
            )
            found.append((family, self._places[family][values]))
        return found

    def places(self, family: Family) -> Iterator[tuple[tuple[str, ...], int]]:
        """Yields the sets of labels of a family, each with where its first number stands."""
        yield from self._places[family].items()
