"""`deidcascade change`: what was proposed, and what a second person makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from deidcascade.v1 import profile_service_pb2 as pb

from deid_service.cli.connection import pages, profile_service, profile_service_option
from deid_service.cli.console import as_json_value, enum_word, json_option, print_json, printable
from deid_service.cli.terminal import console, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deidcascade.v1.profile_service_pb2_grpc import ProfileServiceStub

propose_option = click.option(
    "--propose",
    is_flag=True,
    help="Change nothing yet: somebody else approves it with `deidcascade change approve`.",
)
number_argument = click.argument("number", type=click.IntRange(min=1))

WHAT = {
    "set_profile": "another profile",
    "clear_profile": "no profile",
    "update_container": "other settings",
    "grant_role": "a role for somebody",
    "set_role": "what a role may",
    "rotate_site_key": "a new key for pseudonyms",
    "set_table": "a table of patients",
}


@click.group("change")
def change_group() -> None:
    """Lists what was proposed for a container; a second person approves or rejects it."""


@change_group.command("list")
@click.argument("container")
@json_option
@profile_service_option
def list_(container: str, as_json: bool, address: str) -> None:
    """Lists the changes that were proposed for CONTAINER, newest first."""
    with profile_service(address) as stub:
        found = list(changes(stub, container))
    if as_json:
        print_json([as_json_value(each) for each in found])
        return
    console().print(
        table(
            ("NUMBER", "STATE", "WHAT", "BY", "PROPOSED", "NOTE"),
            (
                (
                    str(each.number),
                    enum_word(pb.ChangeState, each.state),
                    WHAT.get(each.proposal.WhichOneof("change") or "", ""),
                    each.author,
                    each.create_time.ToJsonString(),
                    each.proposal.note,
                )
                for each in found
            ),
        )
    )


@change_group.command("show")
@click.argument("container")
@number_argument
@json_option
@profile_service_option
def show(container: str, number: int, as_json: bool, address: str) -> None:
    """Prints the profile of change NUMBER of CONTAINER, or what else it is about.

    `deidcascade profile diff CONTAINER -` reads it, and says what it treats differently.
    """
    request = pb.GetChangeRequest(container=container, number=number)
    with profile_service(address) as stub:
        change = stub.GetChange(request).change
    if as_json:
        print_json(as_json_value(change))
    elif change.proposal.HasField("set_table"):
        proposed = change.proposal.set_table
        what = "rows are added" if proposed.add else "is set"
        digest = proposed.text_sha256.hex()
        click.echo(f"{printable(proposed.table)} {what}: a text with the SHA-256 {digest}")
    elif change.proposal.HasField("set_profile"):
        click.echo(change.proposal.set_profile.source.encode(), nl=False)
    else:
        kind = change.proposal.WhichOneof("change")
        click.echo(printable(str(getattr(change.proposal, kind or ""))), nl=False)


@change_group.command("approve")
@click.argument("container")
@number_argument
@profile_service_option
def approve(container: str, number: int, address: str) -> None:
    """Makes change NUMBER of CONTAINER, which somebody else has proposed."""
    decide(container, number, address, approve=True)
    click.echo(f"Change {number} of {container} is made.")


@change_group.command("reject")
@click.argument("container")
@number_argument
@profile_service_option
def reject(container: str, number: int, address: str) -> None:
    """Rejects change NUMBER of CONTAINER."""
    decide(container, number, address, approve=False)
    click.echo(f"Change {number} of {container} is rejected.")


def decide(container: str, number: int, address: str, *, approve: bool) -> None:
    """Decides a change."""
    request = pb.DecideChangeRequest(container=container, number=number, approve=approve)
    with profile_service(address) as stub:
        stub.DecideChange(request)


def propose(address: str, request: pb.ProposeChangeRequest) -> None:
    """Proposes a change, and says what comes next."""
    with profile_service(address) as stub:
        change = stub.ProposeChange(request).change
    click.echo(
        f"Proposed; in force once somebody else runs: deidcascade change approve "
        f"{change.container} {change.number}"
    )


def changes(stub: ProfileServiceStub, container: str) -> Iterator[pb.Change]:
    """Gives all changes that were proposed for a container, page by page."""
    for page in pages(stub.ListChanges, pb.ListChangesRequest(container=container)):
        yield from page.changes
