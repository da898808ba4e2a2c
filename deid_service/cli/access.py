"""`deidcascade access`: who may do what."""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from deidcascade.v1 import access_service_pb2 as pb
from deidcascade.v1 import profile_service_pb2 as profile_pb
from deidcascade.v1.access_service_pb2_grpc import AccessServiceStub

from deid_service.cli.changes import propose as propose_change
from deid_service.cli.changes import propose_option
from deid_service.cli.connection import pages, profile_channel, profile_service_option
from deid_service.cli.console import Failure, as_json_value, json_option, print_json, printable
from deid_service.cli.terminal import console, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.timestamp_pb2 import Timestamp

SECONDS_A_DAY = 86_400

on_option = click.option(
    "--on",
    "container",
    metavar="CONTAINER",
    default="",
    help="The site, group, project or device. By default all sites.",
)


@contextmanager
def access_service(address: str) -> Iterator[AccessServiceStub]:
    """Opens AccessService, which is where ProfileService is."""
    with profile_channel(address) as channel:
        yield AccessServiceStub(channel)


@click.group("access")
def access_group() -> None:
    r"""Grants and revokes roles, and makes API keys.

    \b
    Roles: site-admin, group-admin, project-admin, viewer, uploader, device, service,
    operator, and those that a site has made. Principals:
      key:ID               an API key
      user:SUBJECT         who a token is about
      group:NAME           everybody whose token says so
      certificate:SUBJECT  a client certificate
    """


@access_group.command("grant")
@click.argument("principal")
@click.argument("role")
@on_option
@propose_option
@profile_service_option
def grant(principal: str, role: str, container: str, propose: bool, address: str) -> None:
    """Gives PRINCIPAL the role ROLE on a container, and on everything below it."""
    wanted = pb.Binding(container=container, principal=principal, role=role)
    request = pb.GrantRoleRequest(binding=wanted)
    if propose:
        propose_change(address, profile_pb.ProposeChangeRequest(grant_role=request))
        return
    with access_service(address) as stub:
        stub.GrantRole(request)


@access_group.command("revoke")
@click.argument("principal")
@click.argument("role")
@on_option
@profile_service_option
def revoke(principal: str, role: str, container: str, address: str) -> None:
    """Takes the role ROLE on a container from PRINCIPAL."""
    unwanted = pb.Binding(container=container, principal=principal, role=role)
    with access_service(address) as stub:
        stub.RevokeRole(pb.RevokeRoleRequest(binding=unwanted))


@access_group.command("list")
@on_option
@json_option
@profile_service_option
def list_bindings(container: str, as_json: bool, address: str) -> None:
    """Lists who has which role on a container itself."""
    request = pb.ListBindingsRequest(container=container)
    with access_service(address) as stub:
        found = [each for page in pages(stub.ListBindings, request) for each in page.bindings]
    if as_json:
        print_json([as_json_value(each) for each in found])
    else:
        rows = ((each.principal, each.role, each.creator, day(each.create_time)) for each in found)
        console().print(table(("PRINCIPAL", "ROLE", "GRANTED BY", "ON"), rows))


@access_group.command("test")
@click.argument("permissions", nargs=-1, metavar="[PERMISSION]...")
@on_option
@json_option
@profile_service_option
def test(permissions: tuple[str, ...], container: str, as_json: bool, address: str) -> None:
    """Says who the caller is, and which of the permissions it has on a container.

    Exit code 1: one of those that were asked about is missing.
    """
    with access_service(address) as stub:
        answer = stub.TestPermissions(
            pb.TestPermissionsRequest(container=container, permissions=permissions)
        )
    if as_json:
        print_json(as_json_value(answer))
    else:
        click.echo("\n".join(map(printable, [answer.principal, *answer.permissions])))
    sys.exit(not set(permissions) <= set(answer.permissions))


# --- API keys -------------------------------------------------------------------------------


@access_group.group("key")
def key_group() -> None:
    """Makes, lists and revokes API keys."""


@key_group.command("create")
@on_option
@click.option("--role", default="", help="The role that it has there.")
@click.option("--name", "display_name", default="", help="A text for people.")
@click.option("--days", type=click.IntRange(1), help="It ends after so many days.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="A new file for the key, which only its owner may read.",
)
@profile_service_option
def create(
    container: str, role: str, display_name: str, days: int | None, out: Path, address: str
) -> None:
    """Makes an API key, and writes it into a file: it is not shown again."""
    request = pb.CreateApiKeyRequest(container=container, display_name=display_name, role=role)
    if days is not None:
        request.expire_time.seconds = int(time.time()) + days * SECONDS_A_DAY
    try:
        # Before the key is made, and as a file that nobody else can have opened.
        file = os.fdopen(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w")
    except OSError as error:
        raise Failure(f"cannot write to {out}: {error.strerror}.") from error
    try:
        with file, access_service(address) as stub:
            answer = stub.CreateApiKey(request)
            file.write(f"{answer.secret}\n")
    except BaseException:
        out.unlink()
        raise
    click.echo(answer.api_key.name)


@key_group.command("list")
@on_option
@json_option
@profile_service_option
def list_keys(container: str, as_json: bool, address: str) -> None:
    """Lists the API keys that were made on a container."""
    request = pb.ListApiKeysRequest(container=container)
    with access_service(address) as stub:
        found = [each for page in pages(stub.ListApiKeys, request) for each in page.api_keys]
    if as_json:
        print_json([as_json_value(each) for each in found])
    else:
        rows = (
            (
                each.name,
                each.display_name,
                day(each.create_time),
                day(each.expire_time),
                day(each.revoke_time),
                day(each.last_use_time),
            )
            for each in found
        )
        console().print(table(("KEY", "NAME", "MADE", "ENDS", "REVOKED", "LAST USED"), rows))


@key_group.command("revoke")
@click.argument("name")
@profile_service_option
def revoke_key(name: str, address: str) -> None:
    """Ends the API key NAME, for good."""
    with access_service(address) as stub:
        stub.RevokeApiKey(pb.RevokeApiKeyRequest(name=name))


# --- Roles ----------------------------------------------------------------------------------


@access_group.group("role")
def role_group() -> None:
    """Makes, lists and deletes the roles of a site."""


@role_group.command("set")
@click.argument("name")
@click.argument("permissions", nargs=-1, required=True, metavar="PERMISSION...")
@propose_option
@profile_service_option
def set_role(name: str, permissions: tuple[str, ...], propose: bool, address: str) -> None:
    """Makes the role NAME (sites/SITE/roles/ROLE), or replaces its permissions."""
    request = pb.SetRoleRequest(role=pb.Role(name=name, permissions=permissions))
    if propose:
        propose_change(address, profile_pb.ProposeChangeRequest(set_role=request))
        return
    with access_service(address) as stub:
        stub.SetRole(request)


@role_group.command("delete")
@click.argument("name")
@profile_service_option
def delete_role(name: str, address: str) -> None:
    """Deletes the role NAME, which nobody may have."""
    with access_service(address) as stub:
        stub.DeleteRole(pb.DeleteRoleRequest(name=name))


@role_group.command("list")
@click.argument("site", default="")
@json_option
@profile_service_option
def list_roles(site: str, as_json: bool, address: str) -> None:
    """Lists the roles that can be given on SITE, or those that are built in."""
    with access_service(address) as stub:
        answer = stub.ListRoles(pb.ListRolesRequest(site=site))
    if as_json:
        print_json([as_json_value(each) for each in answer.roles])
    else:
        rows = ((each.name, ", ".join(each.permissions)) for each in answer.roles)
        console().print(table(("ROLE", "PERMISSIONS"), rows))


def day(moment: Timestamp) -> str:
    """Returns a day as text; empty where there is none."""
    return moment.ToDatetime().date().isoformat() if moment.seconds else ""
