"""What must hold for any bytes at all, and how what breaks it is kept."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from deid_service.engine.limits import MAX_HELD_BYTES
from tests.support.engine.every_way import Outcome, cut, run
from tests.support.engine.walk import UnreadableError, read_file
from tests.tools.fuzz.profiles import REMOVED, REMOVED_BY, plan

if TYPE_CHECKING:
    from collections.abc import Callable

FOUND = Path(__file__).parent / "found"
# Of processor time; asked only where nothing else runs, for a busy machine takes more.
MAX_SECONDS = 1.0


class BrokenError(Exception):
    """The engine did what it must not do with an input."""


@dataclass(frozen=True)
class Case:
    """An input, and what the engine is told.

    Attributes:
        data: the bytes.
        profile: the name of the profile.
        max_held: the bytes that may be held.
        cuts: what the cutting is drawn from.
    """

    data: bytes
    profile: str
    max_held: int
    cuts: int


def drawn(rng: Random, data: bytes, profiles: list[str]) -> Case:
    """Returns a case with everything but its data drawn at random."""
    max_held = rng.choice((MAX_HELD_BYTES, MAX_HELD_BYTES, 2000, 200))
    return Case(data, rng.choice(profiles), max_held, rng.randrange(2**32))


def check(case: Case, *, max_seconds: float = math.inf) -> tuple[Outcome, float]:
    """Runs the engine on a case, whole and cut.

    Args:
        case: the input.
        max_seconds: of processor time that it may take whole.

    Returns:
        How it ended, and the seconds of processor time that it took.

    Raises:
        BrokenError: it did what it must not do.
    """
    compiled = plan(case.profile)
    start = time.process_time()
    try:
        whole = run(compiled, [case.data], max_held=case.max_held)
        seconds = time.process_time() - start
        rng = Random(case.cuts)  # noqa: S311
        places = [rng.randrange(len(case.data) + 1) for _ in range(8)]
        pieces = run(compiled, cut(case.data, rng, places), max_held=case.max_held)
    except Exception as error:
        raise BrokenError(f"{type(error).__name__} at {_place(error)}") from error
    if seconds > max_seconds:
        raise BrokenError("it took too long")
    if pieces != whole:
        raise BrokenError(f"the cut matters: {_kind(whole)} whole, {_kind(pieces)} in pieces")
    if case.profile in REMOVED_BY and whole.output:
        try:
            file = read_file(whole.output)
        except UnreadableError:
            file = None
        if file is not None and any(
            each.tag == REMOVED and each.items is None for each in file.elements
        ):
            raise BrokenError("an element that a rule removes is in the output")
    return whole, seconds


def minimised(case: Case, broken: str) -> Case:
    """Returns a smaller case that is broken in the same way."""

    def is_broken(data: bytes) -> bool:
        try:
            check(Case(data, case.profile, case.max_held, case.cuts), max_seconds=MAX_SECONDS)
        except BrokenError as error:
            return str(error) == broken
        return False

    data = _shortened(case.data, is_broken)
    return Case(data, case.profile, case.max_held, case.cuts)


def save(case: Case) -> Path:
    """Keeps a case as a file, for a test to replay."""
    FOUND.mkdir(exist_ok=True)
    digest = sha256(case.data).hexdigest()[:12]
    path = FOUND / f"{case.profile}-{case.max_held}-{case.cuts}-{digest}.dcm"
    path.write_bytes(case.data)
    return path


def load(path: Path) -> Case:
    """Returns a case that was kept."""
    profile, max_held, cuts, _ = path.stem.split("-")
    return Case(path.read_bytes(), profile, int(max_held), int(cuts))


def _shortened(data: bytes, is_broken: Callable[[bytes], bool]) -> bytes:
    """Leaves out pieces, large ones first, as long as what is left is broken."""
    size = len(data) // 2
    while size:
        start = 0
        while start < len(data):
            shorter = data[:start] + data[start + size :]
            if is_broken(shorter):
                data = shorter
            else:
                start += size
        size //= 2
    return data


def _kind(outcome: Outcome) -> str:
    """Says how a case ended, without the place in the file."""
    return f"{outcome.error[0]} ({outcome.error[1]})" if outcome.error else "output"


def _place(error: BaseException) -> str:
    """Returns where in the code an exception was raised."""
    trace = error.__traceback__
    place = "?"
    while trace is not None:
        code = trace.tb_frame.f_code
        place = f"{Path(code.co_filename).name}:{code.co_name}"
        trace = trace.tb_next
    return place
