"""`deidcascade container`: sites, groups, projects and devices."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click
import grpc
from deidcascade.v1 import profile_service_pb2 as pb
from google.protobuf.field_mask_pb2 import FieldMask

from deid_service.cli.changes import propose as propose_change
from deid_service.cli.changes import propose_option
from deid_service.cli.connection import pages, profile_service, profile_service_option
from deid_service.cli.console import as_json_value, enum_word, json_option, print_json, printable
from deid_service.cli.terminal import console, table
from deid_service.cli.tree import tree_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deidcascade.v1.profile_service_pb2_grpc import ProfileServiceStub

ENFORCEMENTS = {
    "enforced": pb.ENFORCEMENT_ENFORCED,
    "disabled": pb.ENFORCEMENT_DISABLED,
}

display_name_option = click.option("--display-name", metavar="TEXT", help="A text for people.")
enforcement_option = click.option(
    "--enforcement",
    type=click.Choice(list(ENFORCEMENTS)),
    help="Sites only. 'disabled' lets the bytes of every upload through unchanged.",
)
lock_option = click.option(
    "--lock-profile/--unlock-profile",
    default=None,
    help="Sites and groups only: groups and projects below cannot override its profile.",
)
FILE_AUDITS = {
    "recorded": pb.FILE_AUDIT_RECORDED,
    "required": pb.FILE_AUDIT_REQUIRED,
    "off": pb.FILE_AUDIT_OFF,
}
file_audit_option = click.option(
    "--file-audit",
    type=click.Choice(list(FILE_AUDITS)),
    help="Sites only. Whether the audit is told what becomes of files; 'required' lets none "
    "out that it is not told of.",
)
approval_option = click.option(
    "--require-approval/--no-require-approval",
    default=None,
    help="Sites only: changes of profiles and switches need a second person who approves.",
)
etag_option = click.option(
    "--etag", metavar="ETAG", default="", help="Refuse when the container has changed since."
)

yes_option = click.option("--yes", is_flag=True, help="Do not ask.")


@click.group("container")
def container_group() -> None:
    r"""Creates, shows and deletes sites, groups, projects and devices.

    \b
    Names are paths:
      sites/SITE
      sites/SITE/groups/GROUP
      sites/SITE/groups/GROUP/projects/PROJECT
      sites/SITE/devices/DEVICE
    """


@container_group.command("create")
@click.argument("name")
@display_name_option
@enforcement_option
@lock_option
@click.option("--parents", is_flag=True, help="Create what it is in as well, where need be.")
@file_audit_option
@json_option
@profile_service_option
def create(
    name: str,
    display_name: str | None,
    enforcement: str | None,
    lock_profile: bool | None,
    parents: bool,
    file_audit: str | None,
    as_json: bool,
    address: str,
) -> None:
    """Creates the container NAME; its parent must exist, or is made with --parents."""
    wanted = container(name, display_name, enforcement, lock_profile, file_audit)
    with profile_service(address) as stub:
        if parents:
            make_parents(stub, name)
        answer = stub.CreateContainer(pb.CreateContainerRequest(container=wanted))
    show(answer.container, as_json=as_json)


def make_parents(stub: ProfileServiceStub, name: str) -> None:
    """Creates what a container is to be in, as far as it is not there."""
    parts = name.split("/")
    for count in range(2, len(parts) - 1, 2):
        above = pb.Container(name="/".join(parts[:count]))
        try:
            stub.CreateContainer(pb.CreateContainerRequest(container=above))
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.ALREADY_EXISTS:
                raise


@container_group.command("get")
@click.argument("name")
@json_option
@profile_service_option
def get(name: str, as_json: bool, address: str) -> None:
    """Shows the container NAME."""
    with profile_service(address) as stub:
        answer = stub.GetContainer(pb.GetContainerRequest(name=name))
    show(answer.container, as_json=as_json)


@container_group.command("list")
@click.argument("parent", default="")
@click.option(
    "--tree", "as_tree", is_flag=True, help="Everything below, and what is in force where and why."
)
@json_option
@profile_service_option
def list_(parent: str, as_tree: bool, as_json: bool, address: str) -> None:
    """Lists what is directly in PARENT, a site or a group; without it the sites."""
    with profile_service(address) as stub:
        if as_tree:
            console().print(tree_of(stub, parent, lambda name: children(stub, name)))
            return
        found = list(children(stub, parent))
    if as_json:
        print_json([as_json_value(item) for item in found])
        return
    console().print(
        table(
            ("NAME", "DISPLAY NAME", "ENFORCEMENT"),
            ((item.name, item.display_name, enforcement_word(item)) for item in found),
        )
    )


@container_group.command("update")
@click.argument("name")
@display_name_option
@enforcement_option
@lock_option
@file_audit_option
@approval_option
@propose_option
@etag_option
@yes_option
@json_option
@profile_service_option
def update(
    name: str,
    display_name: str | None,
    enforcement: str | None,
    lock_profile: bool | None,
    file_audit: str | None,
    require_approval: bool | None,
    propose: bool,
    etag: str,
    yes: bool,
    as_json: bool,
    address: str,
) -> None:
    """Changes the display name, the enforcement switch or the lock of NAME."""
    changes = {
        "display_name": display_name,
        "enforcement": enforcement,
        "profile_locked": lock_profile,
        "file_audit": file_audit,
        "approval_required": require_approval,
    }
    paths = [field for field, value in changes.items() if value is not None]
    if not paths:
        raise click.UsageError("Nothing to change: see --help.")
    wanted = container(name, display_name, enforcement, lock_profile, file_audit)
    wanted.approval_required = bool(require_approval)
    wanted.etag = etag
    request = pb.UpdateContainerRequest(container=wanted, update_mask=FieldMask(paths=paths))
    if wanted.enforcement == pb.ENFORCEMENT_DISABLED and not yes:
        ask(f"The bytes of every upload into {name} will go through unchanged, identified.")
    if propose:
        propose_change(address, pb.ProposeChangeRequest(update_container=request))
        return
    with profile_service(address) as stub:
        answer = stub.UpdateContainer(request)
    show(answer.container, as_json=as_json)


@container_group.command("delete")
@click.argument("name")
@etag_option
@yes_option
@profile_service_option
def delete(name: str, etag: str, yes: bool, address: str) -> None:
    """Deletes NAME; it must have no children.

    Versions of its profile stay readable by their digests, which receipts name.
    """
    if not yes:
        ask(f"{name} will be gone for good, with its profile.")
    with profile_service(address) as stub:
        stub.DeleteContainer(pb.DeleteContainerRequest(name=name, etag=etag))
    click.echo(f"Deleted {name}.")


def ask(what: str) -> None:
    """Says what will happen, and asks whether it may; programs are not asked.

    Raises:
        Abort: it may not.
    """
    if sys.stdin.isatty():
        click.confirm(printable(f"{what} Go on?"), abort=True, err=True)


def container(
    name: str,
    display_name: str | None,
    enforcement: str | None,
    lock_profile: bool | None,
    file_audit: str | None,
) -> pb.Container:
    """Returns the container that the options describe."""
    return pb.Container(
        name=name,
        display_name=display_name or "",
        enforcement=ENFORCEMENTS.get(enforcement or "", pb.ENFORCEMENT_UNSPECIFIED),
        profile_locked=bool(lock_profile),
        file_audit=FILE_AUDITS.get(file_audit or "", pb.FILE_AUDIT_UNSPECIFIED),
    )


def children(stub: ProfileServiceStub, parent: str) -> Iterator[pb.Container]:
    """Gives all direct children of a container, page by page."""
    for page in pages(stub.ListContainers, pb.ListContainersRequest(parent=parent)):
        yield from page.containers


def enforcement_word(item: pb.Container) -> str:
    """Returns the enforcement switch for people; empty for what is not a site."""
    if item.enforcement == pb.ENFORCEMENT_UNSPECIFIED:
        return ""
    return enum_word(pb.Enforcement, item.enforcement)


def show(item: pb.Container, *, as_json: bool) -> None:
    """Prints a container."""
    if as_json:
        print_json(as_json_value(item))
        return
    lines = {
        "name": item.name,
        "display name": item.display_name,
        "enforcement": enforcement_word(item),
        "profile": "locked" if item.profile_locked else "",
        "approval": "required" if item.approval_required else "",
        "file audit": enum_word(pb.FileAudit, item.file_audit) if item.file_audit else "",
        "created": item.create_time.ToJsonString(),
        "updated": item.update_time.ToJsonString(),
        "etag": item.etag,
    }
    for label, value in lines.items():
        if value:
            click.echo(f"{label + ':':<14}{printable(value)}")
