"""What was learned makes no difference but of time."""

from __future__ import annotations

from collections import Counter

from tests.tools.fuzz.learned import check_family

# Some fifteen seconds. `./dev fuzz --learned` goes on from there for as long as it is told.
FAMILIES = 240


def test_families_of_files_come_out_as_without_learning() -> None:
    """Files of several kinds, mixed and mutated, are the same with learning and without it."""
    counted: Counter[str] = Counter()
    for seed in range(FAMILIES):
        counted += check_family(seed)

    assert counted["files by layouts"] > counted["files"] / 10
    # Few of them are as others to the last byte.
    assert counted["files at once"] > FAMILIES / 20
    assert 0 < counted["errors"] < counted["files"] / 2
