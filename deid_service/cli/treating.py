"""One file through the engine, for commands without a server, and why one has no output."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from deid_service.cli.console import readable
from deid_service.cli.results import FileReport, Word, reason_to_skip
from deid_service.cli.waiting import Beside, StoppedError
from deid_service.engine import Deidentifier, DicomError, deidentify_alike

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from deid_service.client import Source
    from deid_service.contract.wire import Buffer
    from deid_service.engine import Plan, Result

# Large enough that reading costs little, small enough that files of any size fit.
CHUNK_BYTES = 1024 * 1024

# To copy more costs more than a call.
_LARGE_BYTES = 64 * 1024


class Treated(NamedTuple):
    """What was done to a file.

    Attributes:
        result: by the engine.
        size: how many bytes were read.
    """

    result: Result
    size: int


def treat(
    source: Source,
    plan: Plan,
    put: Callable[[Buffer], None],
    *,
    moved: Callable[[int], None] = lambda _: None,
    may_go_on: Callable[[], bool] = lambda: True,
) -> Treated:
    """De-identifies a file.

    Args:
        source: the file.
        plan: what is done to it.
        put: takes the output.
        moved: told how many bytes more have been read.
        may_go_on: asked between the steps.

    Raises:
        DicomError: it is rejected.
        OSError: it cannot be read.
        StoppedError: it may not go on.
    """
    deidentifier = Deidentifier(plan, filename=_filename(source))
    size = 0
    with Beside(source.open, may_go_on) if source.waits else source.open() as file:
        while may_go_on() and (chunk := file.read(CHUNK_BYTES)):
            _put(deidentifier.receive(chunk), put)
            while deidentifier.pending:
                _put(deidentifier.go_on(), put)
            size += len(chunk)
            moved(len(chunk))
    if not may_go_on():
        raise StoppedError
    result = deidentifier.finish()
    _put(result.tail, put)
    return Treated(result, size)


def treat_whole(source: Source, data: bytes, plan: Plan, put: Callable[[Buffer], None]) -> Treated:
    """De-identifies a file that has been read; otherwise as `treat`."""
    alike = deidentify_alike(plan, data, 0, len(data), filename=_filename(source))
    if alike is not None:
        _put(alike.tail, put)
        return Treated(alike, len(data))
    deidentifier = Deidentifier(plan, filename=_filename(source))
    buffers = deidentifier.receive(data)
    while deidentifier.pending:
        _put(buffers, put)
        buffers = deidentifier.go_on()
    result = deidentifier.finish()
    # As a rule all there is, by one call.
    _put([*buffers, *result.tail], put)
    return Treated(result, len(data))


def _filename(source: Source) -> str:
    name = readable(source.name)
    return PurePosixPath(name).name if "/" in name else name


def _put(buffers: Sequence[Buffer], put: Callable[[Buffer], None]) -> None:
    """Puts buffers by as few calls as copies nothing large: a call costs as much as kilobytes."""
    small: list[Buffer] = []
    for buffer in buffers:
        if len(buffer) < _LARGE_BYTES:
            small.append(buffer)
            continue
        if small:
            put(b"".join(small))
            small = []
        put(buffer)
    if small:
        put(small[0] if len(small) == 1 else b"".join(small))


def passed_over(source: Source) -> FileReport | None:
    """Returns the report of what is no file to read, or cannot be read; None for others."""
    if source.skipped:
        reason = reason_to_skip(source.skipped)
        return FileReport(source.name, Word.SKIPPED, reason=reason, problem=source.skipped)
    if source.problem:
        return FileReport(source.name, Word.FAILED, reason="NOT_READ", problem=source.problem)
    return None


def without_output(source: Source, error: DicomError | OSError) -> FileReport:
    """Returns the report of a file that could not be treated."""
    if isinstance(error, DicomError):
        return FileReport(
            source.name,
            Word.REJECTED,
            reason=error.reason,
            problem=str(error),
            tag=error.tag or "",
            offset=error.offset or 0,
        )
    problem = f"It cannot be read: {error.strerror}."
    return FileReport(source.name, Word.FAILED, reason="NOT_READ", problem=problem)
