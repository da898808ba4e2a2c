"""`deidcascade keys`: those of sites, and those that commands without a server use."""

from __future__ import annotations

from pathlib import Path

import click
from deidcascade.v1 import profile_service_pb2 as pb

from deid_service.cli.changes import propose as propose_change
from deid_service.cli.changes import propose_option
from deid_service.cli.connection import profile_service, profile_service_option
from deid_service.cli.console import Failure, as_json_value, json_option, print_json
from deid_service.cli.containers import yes_option
from deid_service.cli.given import secret_in
from deid_service.cli.terminal import console, table
from deid_service.preview.keys import SCOPE
from profile_service.keys.derivation import stream_keys
from profile_service.keys.files import write_secret


@click.group("keys")
def keys_group() -> None:
    """Keys that pseudonyms are made with."""


@keys_group.command("create")
@click.argument("file", type=click.Path(path_type=Path))
def create(file: Path) -> None:
    """Makes a new key in FILE, which its owner alone can read.

    Whoever has the key and the output finds out who the patients are: keep it apart from
    the output. Whoever loses it cannot make the same pseudonyms again.
    """
    try:
        write_secret(file)
    except FileExistsError:
        raise Failure(f"{file} is there already, and stays as it is.") from None
    except OSError as error:
        raise Failure(f"cannot write {file}: {error.strerror}.") from None
    click.echo(f"{file}: key {key_id_of(file)}.")


@keys_group.command("show")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def show(file: Path) -> None:
    """Prints the id of the key in FILE, as receipts have it, and never the key."""
    click.echo(key_id_of(file))


@keys_group.command("list")
@click.argument("site")
@json_option
@profile_service_option
def list_(site: str, as_json: bool, address: str) -> None:
    """Lists the keys that SITE has had, newest first; never a key itself."""
    with profile_service(address) as stub:
        keys = stub.ListSiteKeys(pb.ListSiteKeysRequest(site=site)).keys
    if as_json:
        print_json([as_json_value(key) for key in keys])
        return
    if not keys:
        click.echo(f"{site} has no key yet: it gets one when a profile needs it.")
        return
    rows = [(str(key.generation), key.create_time.ToJsonString()) for key in keys]
    console().print(table(("GENERATION", "MADE"), rows))


@keys_group.command("rotate")
@click.argument("site")
@yes_option
@propose_option
@profile_service_option
def rotate(site: str, yes: bool, propose: bool, address: str) -> None:
    """Gives SITE a new key, for when the one before may be known to others.

    From the next stream on the same patient, UID and date becomes another one: what was made
    before cannot be linked with what is made from now on. The key before stays, for profiles
    that name it: `pseudonyms: {generation: N}`.
    """
    request = pb.RotateSiteKeyRequest(site=site)
    if propose:
        propose_change(address, pb.ProposeChangeRequest(rotate_site_key=request))
        return
    if not yes:
        click.confirm(
            f"All pseudonyms of {site} become others, and cannot be linked with those before. "
            "Go on?",
            abort=True,
        )
    with profile_service(address) as stub:
        key = stub.RotateSiteKey(request).key
    click.echo(f"{site} has a new key: generation {key.generation}.")


def key_id_of(file: Path) -> str:
    """Returns the id of the key in a file."""
    return stream_keys(secret_in(file), SCOPE, ()).id
