"""Tries all identifiers there are, as somebody who has all but the master key.

Usage: python -m tests.tools.attack [--patients N] [--processes N]

Patients with numbers of seven digits are de-identified by a key, by codes and by a table. Taken is
what came out, the profiles, the receipts, the logs, and a dump of the database. Then whatever is at
hand, and whatever can be made of it, is tried as a key for the numbers of these patients; and for
each of the 10 million numbers that there are, digests without a key and the likeliest keys. None
may lead to anything. Last, with the master key, all must. The exit code is 0 if it is so.
"""

from __future__ import annotations

import tests.support.environment  # isort: skip  # noqa: F401
import argparse
import functools
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from deid_service.embedded.postgres import EmbeddedPostgres
from profile_service.keys.files import read_secret, write_secret
from profile_service.keys.sealing import MasterKey
from tests.support.attacker import (
    KEY_BYTES,
    Loot,
    guesses,
    keyed_way,
    keys_of,
    linked,
    pieces,
    plain_ways,
    plunder,
    unlocks,
    with_master_key,
)
from tests.support.databases import Databases
from tests.support.memory import in_memory

NUMBERS, AT_ONCE = 10**7, 50_000

# Of the likeliest keys so many are tried for all numbers.
LIKELIEST = 12

Way = Callable[[bytes], bytes]


def main() -> int:
    """Runs, and returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--patients", type=int, default=20)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    began = time.monotonic()
    drawn = random.SystemRandom().sample(range(NUMBERS), given.patients)
    patients = [f"{number:07}" for number in drawn]
    with (
        tempfile.TemporaryDirectory(prefix="deidcascade-", dir=in_memory()) as made,
        EmbeddedPostgres(Path(made) / "postgresql", durable=False) as server,
        Databases(server).clone() as database,
    ):
        write_secret(master := Path(made) / "master.key")
        loot = plunder(database, master, patients)
        known = with_master_key(database, MasterKey(read_secret(master)), loot)
    values = guesses(loot)
    right = [each.encode() for each in patients]
    with ProcessPoolExecutor(given.processes) as pool:

        def shared(work: Callable[[Sequence[bytes]], set[bytes]]) -> set[bytes]:
            shares = [values[start :: 8 * given.processes] for start in range(8 * given.processes)]
            return set().union(*pool.map(work, shares))

        def all_numbers(ways: Sequence[Way]) -> set[bytes]:
            work = functools.partial(exhausted, ways, loot)
            return set().union(*pool.map(work, range(0, NUMBERS, AT_ONCE)))

        tried = [*values, *pieces(values)]
        found = linked(right, [*plain_ways(), *map(keyed_way, tried)], loot)
        found |= shared(functools.partial(derived_from, right[:1], loot))
        opened = shared(functools.partial(unlocking, loot))
        print(f"{len(tried)} values tried as keys of the right numbers, {len(values)} as secrets:")
        print(f"  {len(found)} linked, {len(opened)} open what is encrypted.", flush=True)
        likely = [value for value in values if len(value) in {0, 8, 16, KEY_BYTES}][:LIKELIEST]
        found |= all_numbers([*plain_ways(), *map(keyed_way, likely)])
        print(f"{NUMBERS} numbers, {len(plain_ways())} digests and {len(likely)} keys:")
        print(f"  {len(found)} linked.", flush=True)
        keys = [*known["site"], *known["tables"]]
        used = [key for key in keys if linked(right, [keyed_way(key)], loot)]
        with_key = all_numbers(list(map(keyed_way, used)))
    print(f"With the master key, {len(used)} keys: {len(with_key)} of {len(right)} linked.")
    print(f"{time.monotonic() - began:.0f} s.")
    return 0 if not found and not opened and len(used) == 3 and with_key == set(right) else 1


def exhausted(ways: Sequence[Way], loot: Loot, first: int) -> set[bytes]:
    """Tries the numbers from one on."""
    return linked((b"%07d" % number for number in range(first, first + AT_ONCE)), ways, loot)


def derived_from(numbers: Sequence[bytes], loot: Loot, values: Sequence[bytes]) -> set[bytes]:
    """Tries what is derived of values as keys."""
    return {
        number
        for value in values
        for number in linked(numbers, list(map(keyed_way, keys_of(value, loot))), loot)
    }


def unlocking(loot: Loot, values: Sequence[bytes]) -> set[bytes]:
    """Returns the values that open what is encrypted."""
    return {value for value in values if unlocks(value, loot)}


if __name__ == "__main__":
    sys.exit(main())
