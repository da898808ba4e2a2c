"""Fuzzes the engine: python -m tests.tools.fuzz --seconds N [--seed S] [--learned].

Own mutations and a random generator, rather than a coverage-guided fuzzer: they
know where lengths, VRs and delimiters are, so nearly every input gets past the
file meta, and no instrumentation slows the engine down.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from random import Random

from tests.tools.fuzz.checking import (
    MAX_SECONDS,
    BrokenError,
    check,
    drawn,
    minimised,
    save,
)
from tests.tools.fuzz.learned import check_family
from tests.tools.fuzz.mutation import mutated, seeds
from tests.tools.fuzz.profiles import PROFILES

# After so many different failures a run has said enough.
_MAX_BROKEN = 20


def main() -> int:
    """Fuzzes, reports, and returns 1 if anything broke."""
    parser = argparse.ArgumentParser(prog="tests.tools.fuzz", description="Fuzzes the engine.")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long (default: 60)")
    parser.add_argument("--seed", type=int, default=0, help="of the random inputs (default: 0)")
    parser.add_argument(
        "--learned",
        action="store_true",
        help="series of files, with a plan that learns beside one that does not",
    )
    arguments = parser.parse_args()
    if arguments.learned:
        return _compare_learned(arguments.seconds, arguments.seed)
    rng = Random(arguments.seed)  # noqa: S311
    among = seeds()
    outcomes: Counter[str] = Counter()
    broken: dict[str, str] = {}
    executions = 0
    slowest, slowest_case = 0.0, "none"
    end = time.monotonic() + arguments.seconds
    while time.monotonic() < end and len(broken) < _MAX_BROKEN:
        case = drawn(rng, mutated(rng, among), list(PROFILES))
        executions += 1
        try:
            outcome, seconds = check(case, max_seconds=MAX_SECONDS)
        except BrokenError as error:
            if str(error) not in broken:
                broken[str(error)] = save(minimised(case, str(error))).name
            continue
        outcomes[outcome.error[0] if outcome.error else "output"] += 1
        if seconds > slowest:
            slowest = seconds
            slowest_case = f"{len(case.data)} bytes with the profile '{case.profile}'"
    print(f"{executions} inputs, each whole and cut")
    print(f"The slowest took {slowest * 1000:.0f} ms: {slowest_case}")
    for name, count in outcomes.most_common():
        print(f"  {name:<26}{count:>9}")
    for text, name in broken.items():
        print(f"BROKEN: {text} (tests/tools/fuzz/found/{name})")
    return 1 if broken else 0


def _compare_learned(seconds: float, seed: int) -> int:
    """Compares plans that learn with such that do not, and returns 1 if they differ."""
    counted: Counter[str] = Counter()
    broken: list[str] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end and len(broken) < _MAX_BROKEN:
        try:
            counted += check_family(seed)
        except (BrokenError, AssertionError) as error:
            broken.append(str(error))
        seed += 1
    for name, count in counted.items():
        print(f"  {name:<26}{count:>12}")
    print("\n".join(f"BROKEN: {text}" for text in broken))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
