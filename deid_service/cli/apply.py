"""`deidcascade apply`: the engine alone, from files to files."""

from __future__ import annotations

import os
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Self

import click
from deidcascade.v1 import deid_service_pb2 as pb

from deid_service.cli import Done
from deid_service.cli.console import Failure, json_option
from deid_service.cli.cores import Processes, processes_for, unbegun
from deid_service.cli.given import (
    TableFile,
    key_file_option,
    keys_for,
    table_file_option,
    tables_for,
)
from deid_service.cli.interruption import Interruption
from deid_service.cli.quarantine import Quarantine
from deid_service.cli.reports import conclude, no_room, report_option
from deid_service.cli.results import FileReport, Reports, Word, done_report
from deid_service.cli.sources import (
    again_option,
    files_to_read,
    keep_names_option,
    out_option,
    profile_of,
    profile_option,
    quarantine_option,
    read_profile,
    sources_argument,
)
from deid_service.cli.treating import (
    CHUNK_BYTES,
    passed_over,
    treat,
    treat_whole,
    without_output,
)
from deid_service.cli.waiting import StoppedError
from deid_service.client import LedgerError, NoRoomError, expand
from deid_service.client.archives import is_junk
from deid_service.client.keeping import Keeper
from deid_service.client.ledger import NO_TARGET, Ledger, applied_by
from deid_service.client.outputs import Destination, OutputError
from deid_service.engine import (
    ENGINE_VERSION,
    HEAD_BYTES,
    DicomError,
    compile_plan,
    is_dicom,
    knowing,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from deid_service.client import Source
    from deid_service.client.outputs import PartialFile
    from deid_service.engine import Result
    from profile_service.language.model import Profile


@click.command("apply")
@profile_option
@sources_argument
@out_option
@keep_names_option
@again_option
@quarantine_option
@click.option(
    "--no-learning",
    is_flag=True,
    help="Treat each file as the first of its kind: slower, with the same output.",
)
@key_file_option
@table_file_option
@report_option
@json_option
def apply(
    profile: str,
    sources: tuple[Path, ...],
    out: Path,
    keep_names: bool,
    again: bool,
    quarantine: Path | None,
    no_learning: bool,
    key_file: Path | None,
    table_files: tuple[TableFile, ...],
    report: Path | None,
    as_json: bool,
) -> None:
    """De-identifies files, folders, and what is in zip and tar archives, without a server.

    Outputs are named {SOPInstanceUID}.{Modality}.dcm with the de-identified
    values, or as the profile's `filenames` say. Nothing is overwritten, and a
    file that is rejected leaves nothing. In folders and archives, what is no
    DICOM is passed over.

    What earlier runs into the same folder have done of the same files, with the
    same profile, key and tables, is not done again; of a file that has changed, or
    that is treated in another way now, the new output takes the place of the old
    one. To a profile with `earlier-files` they show nothing: --again reads them anew.

    Exit code 1: a file was rejected, or there was none.
    """
    text = read_profile(profile)
    parsed = profile_of(text, profile)
    settings = Settings(
        parsed,
        parsed.name or Path(profile).name,
        sha256(text).hexdigest(),
        out,
        learn=not no_learning,
        keep_names=keep_names,
        again=again,
        quarantine=quarantine,
        key_file=key_file,
        table_files=table_files,
    )
    # Here, for their errors. Processes read them themselves: they are handed to none.
    keys = keys_for(parsed, key_file)
    tables_for(parsed, table_files)
    files = files_to_read(sources, out, quarantine)
    reports = Reports(sum(file.size for file in files))
    # Here, for their errors, and once: it removes what killed processes left.
    _open_folders(out, quarantine)
    failure = None
    prepare = partial(Work, settings)
    # What earlier files have shown is known where those are read, and in their order.
    count = 1 if parsed.settings.earlier_files else processes_for(files)
    # Before there are threads, with which they take longer to start.
    with (
        Processes(count, files, prepare, reports.moved)
        if count > 1
        else nullcontext() as processes,
        Interruption() as interruption,
    ):
        try:
            with reports:
                if processes is not None:
                    interruption.then(processes.stop)
                    done_files = processes.run()
                else:
                    done_files = _one_by_one(files, prepare, interruption, reports.moved)
                for done in done_files:
                    reports.add(done)
        except NoRoomError as error:
            failure = no_room(error)
        code = conclude(reports, out, interruption, failure, report=report, as_json=as_json)
    if keys.id and not as_json:
        click.echo(f"Pseudonyms are made with key {keys.id}.")
    raise Done(code)


@dataclass(frozen=True)
class Settings:
    """What is done to every file.

    Attributes:
        profile: the rules.
        name: of the profile, for receipts.
        sha256: the digest of its text, in hex.
        out: the folder for the output.
        learn: whether what files have in common is learned.
        keep_names: names outputs like their sources.
        again: does again what earlier runs have done.
        quarantine: the folder for what is rejected.
        key_file: the file of the key for pseudonyms.
        table_files: those of the tables that patients are looked up in.
    """

    profile: Profile
    name: str
    sha256: str
    out: Path
    learn: bool = True
    keep_names: bool = False
    again: bool = False
    quarantine: Path | None = None
    key_file: Path | None = None
    table_files: tuple[TableFile, ...] = ()


def _open_folders(out: Path, quarantine: Path | None) -> None:
    """Opens what is written to.

    Raises:
        Failure: it cannot be.
    """
    try:
        Ledger(Destination(out).folder, NO_TARGET)
        if quarantine is not None:
            Quarantine(quarantine)
    except OSError as error:
        raise Failure(f"cannot write to {out}: {error.strerror}.") from error
    except LedgerError as error:
        raise Failure(f"{error} Choose another folder.") from error


def _one_by_one(
    files: Sequence[Source],
    prepare: Callable[[Callable[[], bool]], Work],
    interruption: Interruption,
    moved: Callable[[int], None],
) -> Iterator[FileReport]:
    """De-identifies files in this process; NoRoomError, after all reports."""
    read = 0

    def add(size: int) -> None:
        nonlocal read
        read += size
        moved(read)

    with prepare(lambda: not interruption.number) as work, suppress(StoppedError):
        for number, file in enumerate(files):
            try:
                yield from work(file, add)
            except NoRoomError:
                yield from unbegun(files[number:])
                raise


class Work:
    """De-identifies one file after the other."""

    def __init__(self, settings: Settings, may_go_on: Callable[[], bool]) -> None:
        profile = settings.profile
        keys = keys_for(profile, settings.key_file)
        tables = tables_for(profile, settings.table_files)
        plan = compile_plan(profile, learn=settings.learn)
        listed = tables.listed_for(plan)
        self._plan = knowing(plan.for_stream(keys, listed), tables.given)
        destination = Destination(settings.out, tidy=False)
        ledger = Ledger(destination.folder, NO_TARGET, again=settings.again)
        self._keeper = Keeper(destination, ledger, keep_names=settings.keep_names)
        self._quarantine = None if settings.quarantine is None else Quarantine(settings.quarantine)
        self._may_go_on = may_go_on
        # What the receipts of all files have in common.
        self._common = pb.Receipt(
            treatment=(
                pb.TREATMENT_UNCHANGED_BLANK_PROFILE if plan.blank else pb.TREATMENT_DEIDENTIFIED
            ),
            profile_name=settings.name,
            profile_sha256=settings.sha256,
            engine_version=ENGINE_VERSION,
            key_id=keys.id,
            tables=[pb.TableVersion(name=name) for name in tables.names],
        )
        # What was done to the last file, and what its receipt has of that and in common.
        self._done: tuple[dict[str, int], tuple[str, ...]] = ({}, ())
        self._alike = self._common
        self._applied = applied_by(self._common)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._keeper.close()

    def __call__(self, source: Source, moved: Callable[[int], None]) -> Iterator[FileReport]:
        """De-identifies a file, or what is in an archive, unless an earlier run has.

        Args:
            source: the file.
            moved: told how many bytes more have been read.

        Raises:
            StoppedError: it may not go on.
            NoRoomError: there is no room for what comes of it.
        """
        earlier = self._keeper.finished(source, self._applied)
        if earlier is not None and earlier.current:
            yield done_report(source.name, str(earlier.path), earlier.receipt, earlier=True)
            return
        data = _whole(source)
        for one in (source,) if data else expand(source):
            report = self._report(one, data, moved)
            if self._quarantine is not None and report.word is Word.REJECTED:
                report = self._quarantine.take(one, report)
            yield report

    def _report(self, source: Source, data: bytes, moved: Callable[[int], None]) -> FileReport:
        over = None if data else passed_over(source)
        if over is not None:
            return over
        try:
            earlier = self._keeper.finished(source, self._applied)
            if earlier is not None and earlier.current:
                return done_report(source.name, str(earlier.path), earlier.receipt, earlier=True)
            # What takes the place of another needs a name for that.
            output = self._keeper.destination.begin(in_one_go=earlier is None)
            try:
                return self._write(source, data, output, moved)
            finally:
                output.discard()
        except OutputError as error:
            if error.is_full:
                raise NoRoomError(str(error)) from None
            return FileReport(source.name, Word.FAILED, reason="NOT_WRITTEN", problem=str(error))
        except (DicomError, OSError) as error:
            return without_output(source, error)

    def _write(
        self, source: Source, data: bytes, output: PartialFile, moved: Callable[[int], None]
    ) -> FileReport:
        if data:
            moved(len(data))
            result, size = treat_whole(source, data, self._plan, output.write)
        else:
            result, size = treat(
                source, self._plan, output.write, moved=moved, may_go_on=self._may_go_on
            )
        receipt = self._receipt(result)
        receipt.bytes_in, receipt.bytes_out, receipt.sha256 = size, output.size, output.sha256
        # An original name may carry an identity. Where the profile is blank the
        # file carries it too.
        suggested = None if self._plan.blank else result.suggested_filename
        path = self._keeper.keep(output, source, suggested, receipt)
        return done_report(source.name, path, receipt)

    def _receipt(self, result: Result) -> pb.Receipt:
        """Returns a receipt that says all but the bytes of a file."""
        done = (result.actions, result.warnings)
        # The files of a series have the same done to them: to copy takes a fourth of the time.
        if done != self._done:
            self._done = done
            self._alike = pb.Receipt(actions=result.actions, warnings=result.warnings)
            self._alike.MergeFrom(self._common)
        receipt = pb.Receipt()
        receipt.CopyFrom(self._alike)
        return receipt


def _whole(source: Source) -> bytes:
    """Returns what is in a small DICOM file, which is read at once; nothing of others.

    To read it step by step would take longer than to de-identify it.
    """
    if not source.file or not 0 < source.size <= CHUNK_BYTES or is_junk(source.name):
        return b""
    try:
        # Without a file object, which asks the system more than this.
        file = os.open(source.file, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        try:
            data = os.read(file, source.size + 1)
        finally:
            os.close(file)
    except OSError:
        return b""  # Who expands it says why.
    if len(data) != source.size or not is_dicom(data[:HEAD_BYTES]):
        return b""  # It is being written, or is something else: it is read step by step.
    return data
