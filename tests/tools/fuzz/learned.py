"""A plan that learns beside one that does not: both must do the same to every file."""

from __future__ import annotations

import math
from collections import Counter
from contextlib import AbstractContextManager
from random import Random
from typing import TYPE_CHECKING
from unittest.mock import patch

from deid_service.engine import MAX_HELD_BYTES, compile_plan
from profile_service.language import parse_profile
from tests.support.engine.every_way import at_once, run
from tests.support.engine.keys import with_keys
from tests.tools.fuzz.alike import family, file_of
from tests.tools.fuzz.checking import BrokenError
from tests.tools.fuzz.profiles import PROFILES

if TYPE_CHECKING:
    from deid_service.engine import Plan

# Enough for each kind of a family to be seen, learned, met again and mistaken.
_FILES = 40

# How often a call of the engine, which ends early by the clock, is made to.
_PAUSES = 0.2


def _pausing(rng: Random, share: float) -> AbstractContextManager[object]:
    """Has a walk pause by chance rather than by the clock, so that a case can be repeated."""
    drawn = Random(rng.random())  # noqa: S311
    return patch(
        "deid_service.engine.walk.walk.perf_counter",
        lambda: math.inf if drawn.random() < share else 0.0,
    )


def check_family(seed: int) -> Counter[str]:
    """De-identifies a family of files with a plan that learns and one that does not.

    Args:
        seed: that all of it is drawn from.

    Returns:
        How many files and bytes went by layouts, how many files at once, and how many
        ended in an error.

    Raises:
        BrokenError: the two are not alike.
    """
    rng = Random(seed)  # noqa: S311
    profile = parse_profile(PROFILES[rng.choice(list(PROFILES))])
    taught, untaught = compile_plan(profile), compile_plan(profile, learn=False)
    another = with_keys if profile.key_purposes else _without_keys
    streams = {keys: another(taught, keys) for keys in "AB"}
    kinds = family(rng)
    limits = (MAX_HELD_BYTES, MAX_HELD_BYTES, rng.choice((300, 1000, 3000)))
    counted: Counter[str] = Counter()
    for number in range(_FILES):
        data = file_of(rng, rng.choice(kinds))
        max_held = rng.choice(limits)
        keys = rng.choice("AB")
        with _pausing(rng, 0):
            alone = run(with_keys(untaught, keys), [data], max_held=max_held)
        cut = rng.randrange(len(data) + 1)
        pieces = [data] if rng.random() < 0.8 else [data[:cut], data[cut:]]
        # A stream that goes on, with values of its own, or a new one.
        plan = streams[keys] if rng.random() < 0.5 else another(taught, keys)
        whole = None if rng.random() < 0.5 else at_once(plan, data, max_held=max_held)
        with _pausing(rng, _PAUSES):
            outcome = whole or run(plan, pieces, max_held=max_held)
        if outcome != alone:
            raise BrokenError(
                f"seed {seed}, file {number}: "
                f"{outcome.error or 'output'} learned, {alone.error or 'output'} alone"
            )
        counted["files"] += 1
        counted["files by layouts"] += outcome.applied_bytes > 0
        counted["files at once"] += whole is not None
        counted["bytes by layouts"] += outcome.applied_bytes
        counted["errors"] += outcome.error is not None
    if refused := _refused(taught):
        raise BrokenError(f"seed {seed}: {refused} layouts were not as the walk")
    return counted


def _without_keys(plan: Plan, _keys: str) -> Plan:
    return plan.for_stream()


def _refused(plan: Plan) -> int:
    return sum(each.refused for each in plan.metas.layouts())
