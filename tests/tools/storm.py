"""Thousands of new patients get codes while what gives them is killed again and again.

Usage: python -m tests.tools.storm [--patients N] [--times N] [--seed S]

By default 10,000 patients, of each of whom two files go through eight streams to four workers of
each service, once with codes in order and once in none; and PostgreSQL, a worker of ProfileService
and one of DeidService are killed (SIGKILL) four times each on the way. In the end each patient
must have one code, nobody else the same, and each file that was acknowledged the code that
`subjects list` tells. The exit code is 0 if it is so.
"""

from __future__ import annotations

import tests.support.environment  # isort: skip  # noqa: F401
import argparse
import random
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.support.storm import Storm, check

ORDERS = {
    "in order": "assign: 'LUNG-{00000}'",
    "in no order": "assign: 'LUNG-{00000}', random-order: true",
}


def main() -> int:
    """Runs, and returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--patients", type=int, default=10_000)
    parser.add_argument("--times", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    draw = random.Random(given.seed)  # noqa: S311 - no secret
    patients = [f"{number:07}" for number in draw.sample(range(10**7), given.patients)]
    failed = False
    for name, assign in ORDERS.items():
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="deidcascade-") as folder, ExitStack() as running:
            storm = Storm(Path(folder), running, draw)
            storm.prepare(assign)
            try:
                check(patients, storm.rage(patients, given.times), storm.told())
                said = "each has one code, that nobody else has, and that is told"
            except AssertionError as error:
                failed, said = True, f"FAILED: {error}"
            killed = ", ".join(f"{victim.value} {n} times" for victim, n in storm.killed.items())
            seconds = time.monotonic() - began
            print(f"Codes {name}, {given.patients} patients, {seconds:.0f} s: {said}.")
            print(f"Killed: {killed}. Streams that broke: {storm.broken}.", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
