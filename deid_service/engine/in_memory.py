"""A file that is there as a whole.

Most such files are small, and laid out as others of their series were. All that is done to one
then is to find a file meta, what identifies people, and a layout that others had, and to put
the pieces together: it needs no state between calls, and nothing that waits. Each of these
steps is the one that `Deidentifier` takes; what does not fit them is left to it.
"""

from __future__ import annotations

from typing import Final

from deid_service.engine.deidentifier import (
    EMPTY_PREAMBLE,
    FILE_HEADER,
    Deidentifier,
    Result,
    warnings_of,
)
from deid_service.engine.encoding.headers import BEGINNING
from deid_service.engine.errors import DicomError
from deid_service.engine.file.cleaning import memo_along
from deid_service.engine.file.head import written_head
from deid_service.engine.file.meta import MAGIC, PREAMBLE_LENGTH, FileMeta
from deid_service.engine.file.names import output_name
from deid_service.engine.layouts.learning import MAX_BYTES
from deid_service.engine.limits import MAX_HELD_BYTES
from deid_service.engine.plan import Plan
from deid_service.engine.rules.budget import Budget, spend_from
from deid_service.engine.rules.facts import Facts
from deid_service.engine.walk.output import Buffer

# Layouts are learned of so much, so a longer file is not along one as a whole.
_MAX_BYTES: Final = FILE_HEADER + MAX_BYTES


def deidentify(data: bytes, plan: Plan, *, filename: str = "") -> bytes:
    """De-identifies a file that is in memory.

    Raises:
        DicomError: the file is rejected.
    """
    alike = deidentify_alike(plan, data, 0, len(data), filename=filename)
    if alike is not None:
        return b"".join(alike.tail)
    deidentifier = Deidentifier(plan, filename=filename)
    buffers = deidentifier.receive(data)
    return b"".join([*buffers, *deidentifier.finish().tail])


def deidentify_alike(
    plan: Plan,
    data: bytes,
    start: int,
    end: int,
    *,
    filename: str = "",
    max_held_bytes: int = MAX_HELD_BYTES,
) -> Result | None:
    """De-identifies a file that is laid out as a whole as others were that the plan has met.

    The output and all that is said of it are those of a `Deidentifier`.

    Args:
        plan: what is done.
        data: in which the file is.
        start: where in it the file begins.
        end: where it ends.
        filename: the name that the file came with.
        max_held_bytes: how much of a file may be held.

    Returns:
        What was done, with all of the output as its tail; None for any other file, and for
        one that is to be rejected: a `Deidentifier` says what becomes of it.

    Raises:
        ValueError: the profile needs keys or lists, and the plan has none.
    """
    plan.check_complete()
    if not start + FILE_HEADER < end <= start + min(_MAX_BYTES, max_held_bytes):
        return None
    position = start + FILE_HEADER
    if data[start + PREAMBLE_LENGTH : position] != MAGIC:
        return None
    # What is spent here on a file that is rejected is not taken from what may be spent then.
    spend_from(Budget())
    try:
        return _along(plan, data, position, start, end, filename, max_held_bytes)
    except DicomError:
        return None


def _along(
    plan: Plan, data: bytes, position: int, start: int, end: int, filename: str, max_held: int
) -> Result | None:
    """Returns what becomes of a file, from behind its preamble on; None where it fits nothing."""
    rules, memo, earlier = plan.rules, plan.memo, plan.earlier
    profile = rules.profile
    meta = FileMeta(rules, plan.metas, memo.pseudonyms, max_held)
    base = meta.recognize(data, position, end, -start)
    if not base:
        return None
    if not profile.is_for_all:
        if profile.wanted or not profile.cleans:
            return None
        rules = rules.for_file(Facts().of_class(meta.sop_class()))
        meta.use(rules)
    layouts = meta.layouts_of(data[base : min(base + BEGINNING, end)])
    if layouts is None:
        return None
    if profile.cleans:
        known = memo_along(layouts.trails, data, base, end, profile, memo, earlier)
        if known is None or (earlier is not None and not earlier.is_whole(known.cleaner.identity)):
            return None
        memo = known
    applied = layouts.apply_at_beginning(data, base, rules, memo, end)
    if applied is None:
        return None
    head = written_head(EMPTY_PREAMBLE, meta, applied)
    name = output_name(profile.filenames, filename, applied.finals, profile.settings)
    output: list[Buffer] = [head]
    if applied.tail < end:
        output.append(memoryview(data)[applied.tail : end])
    if earlier is not None:
        earlier.remember(applied.memo.cleaner.identity)
    warnings = warnings_of(applied.counts, misplaced=False)
    return Result(output, applied.counts, tuple(warnings), name, end - base)
