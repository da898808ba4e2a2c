"""`deidcascade up`: the embedded mode in the foreground."""

from __future__ import annotations

import shlex
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import click
from pydicom.data import get_testdata_file

from deid_service.cli.connection import (
    DEFAULT_DEID_PORT,
    DEFAULT_PROFILE_PORT,
    DEID_SERVICE,
    KEY_FILE,
    PROFILE_SERVICE,
)
from deid_service.cli.console import Failure
from deid_service.cli.data import default_data_folder, shown_data_folder
from deid_service.embedded.errors import StandaloneError

if TYPE_CHECKING:
    from deid_service.embedded.standalone import Standalone

# What it needs of the standard library and is not there on Windows.
UNIX_MODULES = {"fcntl", "pwd"}

PORT = click.IntRange(0, 65535)


@click.command("up")
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=default_data_folder,
    show_default=shown_data_folder(),
    help="The folder that keeps the data.",
)
@click.option(
    "--profile-port",
    type=PORT,
    default=DEFAULT_PROFILE_PORT,
    show_default=True,
    help="The port of ProfileService; 0 takes one that is free.",
)
@click.option(
    "--deid-port",
    type=PORT,
    default=DEFAULT_DEID_PORT,
    show_default=True,
    help="The port of DeidService; 0 takes one that is free.",
)
def up(data: Path, profile_port: int, deid_port: int) -> None:
    """Starts PostgreSQL and both services, until Ctrl-C.

    Both listen on 127.0.0.1 alone. The data stays in its folder, and is there
    again with the next start.
    """
    standalone = embedded_mode()
    # What ends a program politely ends this one like Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        click.echo(f"Starting PostgreSQL, ProfileService and DeidService in {data} ...", err=True)
        with standalone(data, profile_port=profile_port, deid_port=deid_port) as pair:
            click.echo(introduction(pair))
            try:
                pair.wait(tell=lambda text: click.echo(text, err=True))
            finally:
                click.echo("Stopping ...", err=True)
    except StandaloneError as error:
        raise Failure(str(error)) from error
    except KeyboardInterrupt:
        click.echo("Stopped.", err=True)


def embedded_mode() -> type[Standalone]:
    """Returns what starts the embedded mode.

    Raises:
        Failure: this system is none that it runs on.
    """
    try:
        from deid_service.embedded.standalone import Standalone
    except ModuleNotFoundError as error:
        if error.name not in UNIX_MODULES:
            raise
        raise Failure("the embedded mode runs on Linux and macOS only.") from None
    return Standalone


def introduction(pair: Standalone) -> str:
    """Returns what a person should know once everything runs."""
    addresses = ""
    if not pair.profile_service.endswith(f":{DEFAULT_PROFILE_PORT}"):
        addresses += f"  export {PROFILE_SERVICE}={pair.profile_service}\n"
    if not pair.deid_service.endswith(f":{DEFAULT_DEID_PORT}"):
        addresses += f"  export {DEID_SERVICE}={pair.deid_service}\n"
    if pair.admin_key.parent != default_data_folder():
        addresses += f"  export {KEY_FILE}={shlex.quote(str(pair.admin_key))}\n"
    project = "sites/hospital/groups/radiology/projects/first"
    sample = shlex.quote(str(get_testdata_file("CT_small.dcm", download=False)))
    return f"""\
ProfileService listens on {pair.profile_service}
DeidService    listens on {pair.deid_service}
Logs are in {pair.logs}
The administrator's API key is in {pair.admin_key}

In another terminal:

{addresses}\
  deidcascade container create --parents {project}
  echo 'dicom: {{fields: [{{name: PatientName, remove: true}}]}}' \\
    | deidcascade profile set sites/hospital -
  deidcascade profile resolve {project}
  deidcascade upload {sample} \\
    --to {project} --out deidentified

  grpcurl -plaintext {pair.profile_service} list
  grpcurl -plaintext -H "authorization: Bearer $(cat {shlex.quote(str(pair.admin_key))})" \\
    -d '{{"target": "{project}"}}' \\
    {pair.profile_service} deidcascade.v1.ProfileService/ResolveProfile

Ctrl-C stops everything; the data stays."""
