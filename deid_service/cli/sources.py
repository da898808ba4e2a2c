"""What the command reads: profiles and files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deid_service.cli.console import Failure, printable
from deid_service.client import Source, find_sources
from deid_service.engine import HEAD_BYTES, is_dicom
from profile_service.language import check_profile
from profile_service.language.report import render

if TYPE_CHECKING:
    from collections.abc import Sequence

    from profile_service.language.model import Profile, Violation

STANDARD_INPUT = "-"

PROFILE_FILE = click.Path(exists=True, dir_okay=False, allow_dash=True)

profile_option = click.option(
    "--profile",
    metavar="FILE",
    required=True,
    type=PROFILE_FILE,
    help="The profile; - for standard input.",
)


sources_argument = click.argument(
    "sources",
    metavar="SRC...",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, path_type=Path),
)
out_option = click.option(
    "--out",
    metavar="DIR",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder for the output; made when it is not there.",
)
again_option = click.option("--again", is_flag=True, help="Do what earlier runs have done, too.")
quarantine_option = click.option(
    "--quarantine",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Copy what is rejected into DIR, as it is, with the reason beside each file.",
)
keep_names_option = click.option(
    "--keep-names",
    is_flag=True,
    help="Name outputs like their sources, which may tell who a patient is.",
)


def read_profile(path: str) -> bytes:
    """Returns the bytes of a profile file, or of standard input for `-`.

    Raises:
        Failure: it cannot be read, or is a DICOM file: what is wrong with a profile is shown with
            its lines, and those would be of a patient.
    """
    if path != STANDARD_INPUT:
        data = read_bytes(Path(path))
    else:
        try:
            data = sys.stdin.buffer.read()
        except OSError as error:
            raise Failure(f"cannot read standard input: {error.strerror}.") from error
    if is_dicom(data[:HEAD_BYTES]):
        raise Failure(f"{path} is a DICOM file, and no profile.")
    return data


def read_bytes(path: Path) -> bytes:
    """Returns the bytes of a file."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise Failure(f"cannot read {path}: {error.strerror}.") from error


def valid_profile(path: str) -> Profile:
    """Returns the profile in a file, or fails and prints what is wrong with it."""
    return profile_of(read_profile(path), path)


def profile_of(source: bytes, path: str) -> Profile:
    """Returns the profile that a text is, or fails and prints what is wrong with it.

    Args:
        source: the text.
        path: where it was read.
    """
    checked = check_profile(source)
    if checked.profile is None:
        print_problems(path, source, checked.violations, ())
        raise Failure(f"{path} is not a valid profile.")
    return checked.profile


def print_problems(
    path: str, source: bytes, violations: Sequence[Violation], warnings: Sequence[Violation]
) -> None:
    """Prints problems on standard error the way a compiler does, with line and caret."""
    rendered = render(source.decode(errors="replace"), violations, warnings, name=path)
    if rendered:
        click.echo(printable(rendered), err=True)


def files_to_read(paths: Sequence[Path], out: Path, quarantine: Path | None = None) -> list[Source]:
    """Returns the files in some paths, folders with all that is below them.

    All are found before the first one is read: output must not become input, nor what is
    identified lie where output is.

    Args:
        paths: files and folders.
        out: the folder for the output, which must not be below one of them.
        quarantine: the folder for what is rejected, which must not be there either.
    """
    for path in paths:
        if out.resolve().is_relative_to(path.resolve()):
            raise click.UsageError(f"The output folder {out} is below {path}, which is read.")
        if quarantine is not None and quarantine.resolve().is_relative_to(path.resolve()):
            raise click.UsageError(f"The quarantine {quarantine} is below {path}, which is read.")
    if quarantine is not None and quarantine.resolve().is_relative_to(out.resolve()):
        raise click.UsageError(f"The quarantine {quarantine} is below {out}: it is no output.")
    return find_files(paths)


def find_files(paths: Sequence[Path]) -> list[Source]:
    """Returns the files in some paths; one that is named twice is one file."""
    try:
        found = {
            source.origin or number: source for number, source in enumerate(find_sources(paths))
        }
    except OSError as error:
        raise Failure(f"cannot read {error.filename}: {error.strerror}.") from error
    return list(found.values())
