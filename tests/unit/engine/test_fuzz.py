"""Any bytes at all give output or a DicomError; what once did not is tried again."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.support.engine.every_way import every_way
from tests.tools.fuzz.checking import FOUND, check, drawn, load
from tests.tools.fuzz.mutation import mutated, seeds
from tests.tools.fuzz.profiles import PROFILES, plan

if TYPE_CHECKING:
    from pathlib import Path

INPUTS = 4000


def test_mutated_files() -> None:
    """Thousands of mutated files end alike whole and cut, and never in another exception."""
    rng = Random(20040119)  # noqa: S311
    among = seeds()
    ended = set()
    for _ in range(INPUTS):
        outcome, _ = check(drawn(rng, mutated(rng, among), list(PROFILES)))
        ended.add(outcome.error and outcome.error[0])

    assert ended >= {None, "MALFORMED", "TRUNCATED", "NOT_DICOM", "LIMIT_EXCEEDED"}


@pytest.mark.parametrize("path", sorted(FOUND.glob("*.dcm")), ids=lambda path: path.stem)
def test_inputs_that_once_broke_the_engine(path: Path) -> None:
    """An input that was found by fuzzing is de-identified alike in every way."""
    case = load(path)

    check(case)
    every_way(case.data, plan(case.profile), max_held=case.max_held)
