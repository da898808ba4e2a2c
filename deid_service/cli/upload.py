"""`deidcascade upload`: files through DeidService into a folder."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import click
import grpc
from deidcascade.v1 import deid_service_pb2 as pb

from deid_service.cli.connection import DEID_SERVICE, deid_service_option, nobody_answers
from deid_service.cli.console import Failure, console, json_option
from deid_service.cli.results import FileReport, report
from deid_service.cli.sources import (
    files_to_read,
    keep_names_option,
    out_option,
    sources_argument,
)
from deid_service.cli.verdicts import verdict_table
from deid_service.client import FileResult, StreamRefusedError, Upload, UploadError, open_channel

if TYPE_CHECKING:
    from pathlib import Path

# Connections at a time: enough to keep several workers busy, few enough that one
# upload does not crowd out the others.
STREAMS = 4


@click.command("upload")
@sources_argument
@click.option("--to", "target", metavar="TARGET", required=True, help="The project or device.")
@out_option
@keep_names_option
@json_option
@deid_service_option
def upload(
    sources: tuple[Path, ...],
    target: str,
    out: Path,
    keep_names: bool,
    as_json: bool,
    address: str,
) -> None:
    """Sends files and folders through DeidService.

    The profile that the cascade selects for TARGET applies. Nothing is
    overwritten, and a file that is rejected leaves nothing.

    Exit code 1: a file was rejected, or the whole upload.
    """
    files = files_to_read(sources, out)
    with ExitStack() as open_channels:
        channels = [
            open_channels.enter_context(open_channel(address))
            for _ in range(max(1, min(STREAMS, len(files))))
        ]
        try:
            uploading = Upload(channels, target, files, out, keep_names=keep_names)
        except OSError as error:
            raise Failure(f"cannot write to {out}: {error.strerror}.") from error
        with uploading:
            try:
                report(map(file_report, uploading), len(files), out, as_json=as_json)
            except StreamRefusedError as error:
                raise refusal(error, target, address) from error
            except UploadError as error:
                raise Failure(str(error)) from error


def file_report(result: FileResult) -> FileReport:
    """Returns what became of a file, for the report."""
    if result.receipt is not None:
        changed = result.receipt.treatment == pb.TREATMENT_DEIDENTIFIED
        return FileReport(result.name, result.path, changed=changed)
    rejection = result.rejection
    if rejection is None:
        return FileReport(result.name, None, reason="NOT_DONE", problem=result.problem)
    reason = pb.RejectionReason.Name(rejection.reason).removeprefix("REJECTION_REASON_")
    at = f"at byte {rejection.byte_offset}" if rejection.byte_offset else ""
    place = f" [{' '.join(filter(None, (rejection.tag, at)))}]" if rejection.tag or at else ""
    problem = f"{reason}: {rejection.message}{place}"
    return FileReport(result.name, None, reason=reason, problem=problem)


def refusal(error: StreamRefusedError, target: str, address: str) -> Failure:
    """Returns why the whole upload was refused, and prints the verdicts when there are some."""
    if not error.reason and error.code == grpc.StatusCode.UNAVAILABLE:
        return Failure(nobody_answers("DeidService", address, DEID_SERVICE))
    if error.verdicts:
        console(stderr=True).print(verdict_table(error.verdicts))
        return Failure(f"{target} takes no uploads: no level has a valid profile.")
    return Failure(str(error))
