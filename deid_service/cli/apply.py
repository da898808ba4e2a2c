"""`deidcascade apply`: the engine alone, from files to files."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import click

from deid_service.cli.console import Failure, json_option
from deid_service.cli.results import FileReport, report
from deid_service.cli.sources import (
    files_to_read,
    keep_names_option,
    out_option,
    profile_option,
    sources_argument,
    valid_profile,
)
from deid_service.client.outputs import Destination, OutputError
from deid_service.engine import Deidentifier, DicomError, compile_plan

if TYPE_CHECKING:
    from deid_service.client import Source
    from deid_service.engine import Plan

# Large enough that reading costs little, small enough that files of any size fit.
CHUNK_BYTES = 1024 * 1024


@click.command("apply")
@profile_option
@sources_argument
@out_option
@keep_names_option
@json_option
def apply(
    profile: str, sources: tuple[Path, ...], out: Path, keep_names: bool, as_json: bool
) -> None:
    """De-identifies files and folders, without a server.

    Outputs are named {SOPInstanceUID}.{Modality}.dcm with the de-identified
    values, or as the profile's `filenames` say. Nothing is overwritten, and a
    file that is rejected leaves nothing.

    Exit code 1: a file was rejected.
    """
    plan = compile_plan(valid_profile(profile))
    files = files_to_read(sources, out)
    try:
        destination = Destination(out)
    except OSError as error:
        raise Failure(f"cannot write to {out}: {error.strerror}.") from error
    reports = (apply_to(file, plan, destination, keep_names=keep_names) for file in files)
    report(reports, len(files), out, as_json=as_json)


def apply_to(
    source: Source, plan: Plan, destination: Destination, *, keep_names: bool
) -> FileReport:
    """De-identifies one file."""
    deidentifier = Deidentifier(plan, filename=PurePosixPath(source.name).name)
    try:
        partial = destination.begin()
        try:
            with source.open() as file:
                while chunk := file.read(CHUNK_BYTES):
                    for buffer in deidentifier.receive(chunk):
                        partial.write(buffer)
            result = deidentifier.finish()
            for buffer in result.tail:
                partial.write(buffer)
            # An original name may carry an identity. Where the profile is blank the
            # file carries it too.
            if keep_names or plan.blank:
                path = destination.keep(partial, source.name)
            else:
                path = destination.keep_suggested(partial, result.suggested_filename)
        finally:
            partial.discard()
    except DicomError as error:
        return FileReport(source.name, None, reason=error.reason, problem=str(error))
    except OutputError as error:
        return FileReport(source.name, None, reason="NOT_WRITTEN", problem=str(error))
    except OSError as error:
        return FileReport(
            source.name, None, reason="NOT_READ", problem=f"cannot be read: {error.strerror}."
        )
    return FileReport(source.name, path, changed=not plan.blank)
