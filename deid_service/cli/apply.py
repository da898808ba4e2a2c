"""`deidcascade apply`: the engine alone, from files to files."""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import click

from deid_service.cli.console import Failure, json_option, readable
from deid_service.cli.cores import Processes, get_ready, processes_for
from deid_service.cli.given import TableFile, given_by, table_file_option
from deid_service.cli.interruption import Interruption
from deid_service.cli.keys import key_file_option, keys_for
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
from deid_service.client.archives import is_junk
from deid_service.client.outputs import Destination, OutputError
from deid_service.engine import (
    HEAD_BYTES,
    Deidentifier,
    DicomError,
    compile_plan,
    is_dicom,
    knowing,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from deid_service.client import Source
    from deid_service.client.outputs import PartialFile
    from deid_service.contract.wire import Buffer
    from profile_service.language.model import Profile

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
@key_file_option
@table_file_option
@json_option
def apply(
    profile: str,
    sources: tuple[Path, ...],
    out: Path,
    keep_names: bool,
    no_learning: bool,
    key_file: Path | None,
    table_files: tuple[TableFile, ...],
    as_json: bool,
) -> None:
    """De-identifies files, folders, and what is in zip and tar archives, without a server.

    Outputs are named {SOPInstanceUID}.{Modality}.dcm with the de-identified
    values, or as the profile's `filenames` say. Nothing is overwritten, and a
    file that is rejected leaves nothing. In folders and archives, what is no
    DICOM is passed over.

    Exit code 1: a file was rejected, or there was none.
    """
    if any(source.is_dir() for source in sources):
        # There may be enough to do for all cores.
        get_ready(__name__)
    settings = Settings(
        valid_profile(profile), not no_learning, out, keep_names, key_file, table_files
    )
    # Here, for their errors. Processes read them themselves: they are handed to none.
    keys = keys_for(settings.profile, key_file)
    given_by(settings.profile, table_files)
    files = files_to_read(sources, out)
    reports = Reports(sum(file.size for file in files))
    try:
        # Here, for its errors, and once: it removes what killed processes left.
        Destination(out)
    except OSError as error:
        raise Failure(f"cannot write to {out}: {error.strerror}.") from error
    with Interruption() as interruption, reports:
        for done in _reports(files, settings, interruption, reports.moved):
            if interruption.number:
                break
            reports.add(done)
    reports.finish(out, as_json=as_json)
    if keys.id and not as_json:
        click.echo(f"Pseudonyms are made with key {keys.id}.")
    sys.exit(interruption.exit_code if interruption.number else reports.exit_code())


@dataclass(frozen=True)
class Settings:
    """What is done to every file.

    Attributes:
        profile: the rules.
        learn: whether what files have in common is learned.
        out: the folder for the output.
        keep_names: names outputs like their sources.
        key_file: the file of the key for pseudonyms.
        table_files: those of the tables that patients are looked up in.
    """

    profile: Profile
    learn: bool
    out: Path
    keep_names: bool
    key_file: Path | None = None
    table_files: tuple[TableFile, ...] = ()


def _reports(
    files: Sequence[Source],
    settings: Settings,
    interruption: Interruption,
    moved: Callable[[int], None],
) -> Iterator[FileReport]:
    """De-identifies files, on all cores where there are many."""
    prepare = partial(Work, settings)
    count = processes_for(files)
    if count > 1:
        processes = Processes(count, prepare, moved, preload=__name__)
        interruption.then(processes.stop)
        yield from processes.run(files)
        return
    read = 0

    def add(size: int) -> None:
        nonlocal read
        read += size
        moved(read)

    work = prepare(lambda: not interruption.number)
    for file in files:
        yield from work(file, add)


class Work:
    """De-identifies one file after the other."""

    def __init__(self, settings: Settings, may_go_on: Callable[[], bool]) -> None:
        profile = settings.profile
        plan = compile_plan(profile, learn=settings.learn)
        self._plan = knowing(
            plan.for_stream(keys_for(profile, settings.key_file)),
            given_by(profile, settings.table_files),
        )
        self._destination = Destination(settings.out, tidy=False)
        self._keep_names = settings.keep_names
        self._may_go_on = may_go_on

    def __call__(self, source: Source, moved: Callable[[int], None]) -> Iterator[FileReport]:
        """De-identifies a file, or what is in an archive.

        Args:
            source: the file.
            moved: told how many bytes more have been read.
        """
        whole = _whole(source)
        for one in (whole,) if whole is not None else expand(source):
            yield self._apply_to(one, moved)

    def _apply_to(self, source: Source, moved: Callable[[int], None]) -> FileReport:
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
        output = self._destination.begin(digest=False, in_one_go=True)
        try:
            with source.open() as file:
                while self._may_go_on() and (chunk := file.read(CHUNK_BYTES)):
                    self._put(deidentifier.receive(chunk), output)
                    while deidentifier.pending:
                        self._put(deidentifier.go_on(), output)
                    moved(len(chunk))
            if not self._may_go_on():
                return None
            result = deidentifier.finish()
            self._put(result.tail, output)
            # An original name may carry an identity. Where the profile is blank the
            # file carries it too.
            if self._keep_names or self._plan.blank:
                return self._destination.keep(output, source.name)
            return self._destination.keep_suggested(output, result.suggested_filename)
        finally:
            output.discard()

    @staticmethod
    def _put(buffers: Sequence[Buffer], output: PartialFile) -> None:
        """Writes buffers by one call: a call costs as much as some kilobytes."""
        if buffers:
            output.write(buffers[0] if len(buffers) == 1 else b"".join(buffers))


def _whole(source: Source) -> Source | None:
    """Returns a file that is read at once, if it is a small DICOM file: to open one costs time."""
    if source.path is None or not 0 < source.size <= CHUNK_BYTES or is_junk(source.name):
        return None
    try:
        with source.open() as file:
            data = file.read()
    except OSError:
        return None  # Who expands it says why.
    is_one = is_dicom(data[:HEAD_BYTES])
    return replace(source, open=partial(io.BytesIO, data)) if is_one else None
