"""`deidcascade apply`: the engine alone, from files to files."""

from __future__ import annotations

import sys
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import click

from deid_service.cli.console import Failure, json_option, readable
from deid_service.cli.interruption import Interruption
from deid_service.cli.results import FileReport, Reports, Word, reason_to_skip
from deid_service.cli.sources import (
    files_to_read,
    keep_names_option,
    out_option,
    profile_option,
    sources_argument,
    valid_profile,
)
from deid_service.client import expand
from deid_service.client.outputs import Destination, OutputError
from deid_service.engine import Deidentifier, DicomError, compile_plan

if TYPE_CHECKING:
    from collections.abc import Callable

    from deid_service.client import Source
    from deid_service.engine import Plan

# Large enough that reading costs little, small enough that files of any size fit.
CHUNK_BYTES = 1024 * 1024


@click.command("apply")
@profile_option
@sources_argument
@out_option
@keep_names_option
@click.option(
    "--no-learning",
    is_flag=True,
    help="Treat each file as the first of its kind: slower, with the same output.",
)
@json_option
def apply(
    profile: str,
    sources: tuple[Path, ...],
    out: Path,
    keep_names: bool,
    no_learning: bool,
    as_json: bool,
) -> None:
    """De-identifies files, folders, and what is in zip and tar archives, without a server.

    Outputs are named {SOPInstanceUID}.{Modality}.dcm with the de-identified
    values, or as the profile's `filenames` say. Nothing is overwritten, and a
    file that is rejected leaves nothing. In folders and archives, what is no
    DICOM is passed over.

    Exit code 1: a file was rejected, or there was none.
    """
    plan = compile_plan(valid_profile(profile), learn=not no_learning)
    files = files_to_read(sources, out)
    reports = Reports(sum(file.size for file in files))
    try:
        destination = Destination(out)
    except OSError as error:
        raise Failure(f"cannot write to {out}: {error.strerror}.") from error
    with Interruption() as interruption, reports:
        work = Work(
            plan, destination, keep_names=keep_names, may_go_on=lambda: not interruption.number
        )
        for one in (one for file in files for one in expand(file)):
            done = work.apply_to(one, reports.moved)
            if interruption.number:
                break
            reports.add(done)
    reports.finish(out, as_json=as_json)
    sys.exit(interruption.exit_code if interruption.number else reports.exit_code())


class Work:
    """De-identifies one file after the other."""

    def __init__(
        self,
        plan: Plan,
        destination: Destination,
        *,
        keep_names: bool,
        may_go_on: Callable[[], bool],
    ) -> None:
        self._plan = plan
        self._destination = destination
        self._keep_names = keep_names
        self._may_go_on = may_go_on
        self._read = 0

    def apply_to(self, source: Source, moved: Callable[[int], None]) -> FileReport:
        """De-identifies one file.

        Args:
            source: the file.
            moved: told how many bytes have been read, of all files.
        """
        if source.skipped:
            reason = reason_to_skip(source.skipped)
            return FileReport(source.name, Word.SKIPPED, reason=reason, problem=source.skipped)
        if source.problem:
            return FileReport(source.name, Word.FAILED, reason="NOT_READ", problem=source.problem)
        try:
            path = self._write(source, moved)
        except DicomError as error:
            return FileReport(
                source.name,
                Word.REJECTED,
                reason=error.reason,
                problem=str(error),
                tag=error.tag or "",
                offset=error.offset or 0,
            )
        except OutputError as error:
            return FileReport(source.name, Word.FAILED, reason="NOT_WRITTEN", problem=str(error))
        except OSError as error:
            problem = f"cannot be read: {error.strerror}."
            return FileReport(source.name, Word.FAILED, reason="NOT_READ", problem=problem)
        return FileReport(
            source.name, Word.UNCHANGED if self._plan.blank else Word.DEIDENTIFIED, path
        )

    def _write(self, source: Source, moved: Callable[[int], None]) -> Path | None:
        filename = PurePosixPath(readable(source.name)).name
        deidentifier = Deidentifier(self._plan, filename=filename)
        partial = self._destination.begin()
        try:
            with source.open() as file:
                while self._may_go_on() and (chunk := file.read(CHUNK_BYTES)):
                    for buffer in deidentifier.receive(chunk):
                        partial.write(buffer)
                    self._read += len(chunk)
                    moved(self._read)
            if not self._may_go_on():
                return None
            result = deidentifier.finish()
            for buffer in result.tail:
                partial.write(buffer)
            # An original name may carry an identity. Where the profile is blank the
            # file carries it too.
            if self._keep_names or self._plan.blank:
                return self._destination.keep(partial, source.name)
            return self._destination.keep_suggested(partial, result.suggested_filename)
        finally:
            partial.discard()
