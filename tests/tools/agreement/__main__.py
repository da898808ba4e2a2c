"""Compares our engine with the reference on every deterministic construct of the language.

Usage: python -m tests.tools.agreement [CONSTRUCT...]

Each construct is a profile; both engines apply it to all files. Every difference
between the outputs must have a reason (`tests/tools/agreement/reasons.py`), and every
reason a difference. The exit code is 1 where one is missing.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import time
import warnings
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from deid_service.engine import compile_plan
from profile_service.language import parse_profile
from tests.tools.agreement.comparison import Case, ProfileDifference, Reader, compare
from tests.tools.agreement.constructs import constructs
from tests.tools.agreement.files import files, write_made_files
from tests.tools.agreement.reasons import REASONS
from tests.tools.agreement.reference import read_answers, run_reference

if TYPE_CHECKING:
    from deid_service.engine import Plan
    from profile_service.language.model import Profile
    from tests.tools.agreement.comparison import Difference

# Shown of the differences without a reason; more of them say no more.
_SHOWN: Final = 50

# What the reference does to a file when nothing is asked of it.
_UNCHANGED: Final = "keep"


@dataclass
class Found:
    """What was found in some files.

    Attributes:
        compared: how many outputs were compared.
        reasons: how many differences each reason explains.
        unexplained: the others, in words.
    """

    compared: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    unexplained: list[str] = field(default_factory=list)

    def add(self, other: Found) -> None:
        """Adds what was found in other files."""
        self.compared += other.compared
        self.reasons += other.reasons
        self.unexplained += other.unexplained

    def explain(self, difference: Difference, where: str) -> None:
        """Counts a difference under its reason."""
        for reason in REASONS:
            if reason.explains(difference):
                self.reasons[reason.name] += 1
                return
        self.unexplained.append(f"{where}: {difference.described()}")


def main(names: list[str]) -> int:
    """Runs the comparison and returns the exit code.

    Args:
        names: of the constructs that are compared; none means all.
    """
    profiles = constructs()
    unknown = [name for name in names if name not in profiles]
    if unknown:
        print(f"No construct '{unknown[0]}'. There are: {', '.join(profiles)}.", file=sys.stderr)
        return 2
    wanted = {_UNCHANGED, *names} if names else set(profiles)
    profiles = {name: text for name, text in profiles.items() if name in wanted}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_made_files(folder / "made")
        paths = files(folder / "made")
        started = time.monotonic()
        run_reference(profiles, list(paths.values()), folder)
        between = time.monotonic()
        found = _compare_all(profiles, paths, folder)
        print(
            f"{len(profiles)} profiles, {len(paths)} files: {found.compared} outputs of both "
            f"compared ({between - started:.0f} s for the reference, "
            f"{time.monotonic() - between:.0f} s for the rest)"
        )
    return _report(found, everything=not names)


def _compare_all(profiles: dict[str, str], paths: dict[str, Path], folder: Path) -> Found:
    found = Found()
    for name in profiles:
        refused = read_answers(name, folder).refused
        if refused:
            found.explain(ProfileDifference(name, tuple(refused)), name)
    compare_one = partial(_compare_file, profiles, folder)
    with ProcessPoolExecutor(os.cpu_count()) as workers:
        numbers = range(len(paths))
        for one in workers.map(compare_one, numbers, paths.keys(), paths.values(), chunksize=4):
            found.add(one)
    return found


def _compare_file(
    profiles: dict[str, str], folder: Path, number: int, name: str, path: Path
) -> Found:
    """Compares the outputs of one file under all profiles."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    found = Found()
    reader = Reader()
    data = path.read_bytes()
    unchanged = _answers(_UNCHANGED, folder).files[number]
    for construct, text in profiles.items():
        profile, plan = _compiled(text)
        case = Case(construct, profile, plan, name, data)
        answer = _answers(construct, folder).files[number]
        found.compared += answer.output is not None
        for difference in compare(case, answer, unchanged, reader):
            found.explain(difference, f"{construct}: {name}")
    return found


_answers = cache(read_answers)


@cache
def _compiled(text: str) -> tuple[Profile, Plan]:
    profile = parse_profile(text)
    return profile, compile_plan(profile)


def _report(found: Found, *, everything: bool) -> int:
    """Prints what was found, and returns the exit code."""
    for reason in REASONS:
        print(f"{found.reasons[reason.name]:>8}  {reason.name}")
    for difference in found.unexplained[:_SHOWN]:
        print(f"\n{difference}")
    if found.unexplained:
        print(f"\n{len(found.unexplained)} differences have no reason.", file=sys.stderr)
    stale = [reason.name for reason in REASONS if not found.reasons[reason.name]]
    if stale and everything:
        print(f"\nNothing needs these reasons: {', '.join(stale)}.", file=sys.stderr)
    if found.unexplained or (stale and everything):
        return 1
    print("\nEvery difference has a reason.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
