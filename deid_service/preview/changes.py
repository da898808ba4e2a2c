"""What differs between two versions of a file, element by element."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from deid_service.preview.elements import Shown, Step, elements

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Change:
    """An element that differs between two versions of a file.

    Attributes:
        element: one of the two.
        before: as it was; None where it was absent.
        after: as it is; None where it is absent.
        by: what changed it, as receipts count it.
        lines: of the rules that are about it.
        title: stands for several elements; empty where it is one.
    """

    element: Shown
    before: Shown | None
    after: Shown | None
    by: str = ""
    lines: tuple[int, ...] = ()
    title: str = ""

    def as_json(self) -> dict[str, object]:
        """Returns it for programs."""
        return {
            "path": self.element.path,
            "tag": self.element.tag,
            "vr": self.element.vr,
            "before": self.before.text if self.before else None,
            "after": self.after.text if self.after else None,
            "by": self.by or None,
            "lines": list(self.lines),
        }


def changes(before: bytes, after: bytes) -> Iterator[Change]:
    """Gives what differs between two versions of a file, in the order of the file.

    Of a sequence that came or went, what is in it is not listed.

    Raises:
        ValueError: pydicom cannot read one of them.
    """
    return differences(elements(before), elements(after))


def differences(
    old: Mapping[tuple[Step, ...], Shown], new: Mapping[tuple[Step, ...], Shown]
) -> Iterator[Change]:
    """Gives the same for elements that have been read."""
    whole: set[tuple[Step, ...]] = set()
    for steps in sorted(old.keys() | new.keys(), key=file_order):
        left, right = old.get(steps), new.get(steps)
        some = right or left
        if some is None or not whole.isdisjoint(sequences_around(steps)):
            continue
        if left is None or right is None:
            whole.add(steps)
        elif (left.vr, left.content) == (right.vr, right.content):
            continue
        yield Change(some, left, right)


def file_order(steps: tuple[Step, ...]) -> list[tuple[int, int]]:
    """Returns a key that sorts elements as they stand in a file, sequences before their items."""
    return [(step.tag, -1 if step.index is None else step.index) for step in steps]


def sequences_around(steps: tuple[Step, ...]) -> Iterator[tuple[Step, ...]]:
    """Gives the ways to the sequences that an element is in."""
    for depth, step in enumerate(steps[:-1]):
        yield (*steps[:depth], replace(step, index=None))
