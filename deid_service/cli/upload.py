"""`deidcascade upload`: files through DeidService into a folder."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path

import click
import grpc
from deidcascade.v1 import deid_service_pb2 as pb

from deid_service.cli.connection import (
    DEID_SERVICE,
    NOT_KNOWN,
    another_service,
    deid_service_option,
    key_for,
    nobody_answers,
    tls_credentials,
    with_request_id,
)
from deid_service.cli.console import Failure, enum_name, json_option
from deid_service.cli.interruption import Interruption
from deid_service.cli.quarantine import Quarantine
from deid_service.cli.reports import conclude, no_room, report_option
from deid_service.cli.results import FileReport, Reports, Word, done_report, reason_to_skip
from deid_service.cli.sources import (
    again_option,
    files_to_read,
    keep_names_option,
    out_option,
    quarantine_option,
    sources_argument,
)
from deid_service.cli.terminal import console
from deid_service.cli.verdicts import verdict_table
from deid_service.client import (
    FileResult,
    LedgerError,
    NoRoomError,
    Outcome,
    StreamRefusedError,
    Upload,
    UploadError,
    open_channel,
)
from deid_service.contract.rpc_errors import BROKEN

# Connections at a time: enough to keep several workers busy, few enough that one
# upload does not crowd out the others.
STREAMS = 4

WORDS = {
    Outcome.REJECTED: Word.REJECTED,
    Outcome.FAILED: Word.FAILED,
    Outcome.SKIPPED: Word.SKIPPED,
    Outcome.UNSENT: Word.UNSENT,
}


@click.command("upload")
@sources_argument
@click.option("--to", "target", metavar="TARGET", required=True, help="The project or device.")
@out_option
@keep_names_option
@again_option
@quarantine_option
@report_option
@json_option
@deid_service_option
def upload(
    sources: tuple[Path, ...],
    target: str,
    out: Path,
    keep_names: bool,
    again: bool,
    quarantine: Path | None,
    report: Path | None,
    as_json: bool,
    address: str,
) -> None:
    """Sends files, folders, and what is in zip and tar archives, through DeidService.

    The profile that the cascade selects for TARGET applies. Nothing is
    overwritten, and a file that is rejected leaves nothing. In folders and
    archives, what is no DICOM is passed over.

    What earlier runs into the same folder have done of the same files, with the
    same profile, is not done again; of a file that has changed, or that another
    profile applies to now, the new output takes the place of the old one.

    Exit code 1: a file was rejected, or the whole upload, or there was none.
    """
    files = files_to_read(sources, out, quarantine)
    key, tls = key_for(address), tls_credentials()
    rejected = None if quarantine is None else Quarantine(quarantine)
    with Interruption() as interruption, ExitStack() as open_channels:
        channels = [
            open_channels.enter_context(open_channel(address, key=key, tls=tls))
            for _ in range(max(1, min(STREAMS, len(files))))
        ]
        reports = Reports(sum(file.size for file in files))
        try:
            uploading = Upload(
                channels,
                target,
                files,
                out,
                keep_names=keep_names,
                resume=True,
                again=again,
                progress=lambda progress: reports.moved(progress.bytes_sent),
            )
        except OSError as error:
            raise Failure(f"cannot write to {out}: {error.strerror}.") from error
        except LedgerError as error:
            raise Failure(f"{error} Choose another folder.") from error
        failure = None
        with uploading, reports:
            interruption.then(uploading.stop)
            try:
                for result in uploading:
                    told = file_report(result)
                    if rejected is not None and result.source and told.word is Word.REJECTED:
                        told = rejected.take(result.source, told)
                    reports.add(told)
            except StreamRefusedError as error:
                failure = refusal(error, target, address)
            except NoRoomError as error:
                failure = no_room(error)
            except UploadError as error:
                failure = Failure(str(error))
        code = conclude(reports, out, interruption, failure, report=report, as_json=as_json)
    sys.exit(code)


def file_report(result: FileResult) -> FileReport:
    """Returns what became of a file, for the report."""
    if result.receipt is not None and result.path is not None:
        return done_report(
            result.name,
            str(result.path),
            result.receipt,
            earlier=result.outcome is Outcome.EARLIER,
            request_id=result.request_id,
        )
    rejection = result.rejection
    word = WORDS[result.outcome]
    if rejection is None:
        reason = {Word.SKIPPED: reason_to_skip(result.problem), Word.UNSENT: "NOT_SENT"}.get(
            word, result.reason
        )
        return FileReport(result.name, word, reason=reason, problem=result.problem)
    reason = enum_name(pb.RejectionReason, rejection.reason)
    at = f"at byte {rejection.byte_offset}" if rejection.byte_offset else ""
    place = f" [{' '.join(filter(None, (rejection.tag, at)))}]" if rejection.tag or at else ""
    return FileReport(
        result.name,
        word,
        reason=reason,
        problem=f"{reason}: {rejection.message}{place}",
        tag=rejection.tag,
        offset=rejection.byte_offset,
        request_id=result.request_id,
    )


def refusal(error: StreamRefusedError, target: str, address: str) -> Failure:
    """Returns why the whole upload was refused, and prints the verdicts when there are some."""
    if not error.reason and error.code in BROKEN:
        return Failure(nobody_answers("DeidService", address, DEID_SERVICE))
    text = str(error)
    if not error.reason and error.code == grpc.StatusCode.UNIMPLEMENTED:
        text = another_service("DeidService", address, DEID_SERVICE)
    elif error.code == grpc.StatusCode.UNAUTHENTICATED:
        text = NOT_KNOWN
    elif error.verdicts:
        console(stderr=True).print(verdict_table(error.verdicts))
        text = f"{target} takes no uploads: no level has a valid profile."
    return Failure(with_request_id(text, error.request_id))
