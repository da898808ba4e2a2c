"""`deidcascade table`: tables of patients, which profiles look up in."""

from __future__ import annotations

import csv
import sys
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click
from deidcascade.v1 import profile_service_pb2 as profile_pb
from deidcascade.v1 import table_service_pb2 as pb
from deidcascade.v1.table_service_pb2_grpc import TableServiceStub

from deid_service.cli.changes import propose as propose_change
from deid_service.cli.changes import propose_option
from deid_service.cli.connection import (
    ServiceError,
    pages,
    profile_channel,
    profile_service_option,
)
from deid_service.cli.console import Failure, as_json_value, json_option, print_json
from deid_service.cli.containers import yes_option
from deid_service.cli.given import CHUNK_BYTES, print_violations
from deid_service.cli.profiles import from_proto
from deid_service.cli.sources import read_bytes
from deid_service.cli.terminal import cell, console, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.text import Text

_HEADS = ("TABLE", "VERSION", "ROWS", "ADDED", "COLUMNS", "MADE", "BY", "NOTE")

_file_argument = click.argument(
    "file", type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
_note_option = click.option("--note", default="", help="Why, for who reads the versions later.")
_dry_run_option = click.option(
    "--dry-run", is_flag=True, help="Say what would be, or all that is wrong; keep nothing."
)


@contextmanager
def table_service(address: str) -> Iterator[TableServiceStub]:
    """Opens TableService, which is where ProfileService is."""
    with profile_channel(address) as channel:
        yield TableServiceStub(channel)


@click.group("table")
def table_group() -> None:
    r"""Tables of patients, which profiles look up in: codes of a trial, arms, shifts of dates.

    A table is a CSV whose first line names its columns: `original`, the identifier of the
    patient, and others that a profile takes values from. It is attached to a site, group,
    project or device, and what is nearest to where files go to counts.
    """


@table_group.command("set")
@click.argument("container")
@click.argument("name")
@_file_argument
@_note_option
@_dry_run_option
@propose_option
@json_option
@profile_service_option
def set_(
    container: str,
    name: str,
    file: Path,
    note: str,
    dry_run: bool,
    propose: bool,
    as_json: bool,
    address: str,
) -> None:
    """Sets the table NAME of CONTAINER to what is in FILE, in place of what it held."""
    first = pb.SetTableRequest(container=container, table=name, note=note, validate_only=dry_run)
    _send_or_propose(first, file, address, propose=propose, as_json=as_json)


@table_group.command("add")
@click.argument("container")
@click.argument("name")
@_file_argument
@_note_option
@_dry_run_option
@propose_option
@json_option
@profile_service_option
def add(
    container: str,
    name: str,
    file: Path,
    note: str,
    dry_run: bool,
    propose: bool,
    as_json: bool,
    address: str,
) -> None:
    """Adds the rows in FILE, which has the same columns, to the table NAME of CONTAINER."""
    first = pb.SetTableRequest(
        container=container, table=name, note=note, validate_only=dry_run, add=True
    )
    _send_or_propose(first, file, address, propose=propose, as_json=as_json)


@table_group.command("list")
@click.argument("container")
@json_option
@profile_service_option
def list_(container: str, as_json: bool, address: str) -> None:
    """Lists the tables of CONTAINER, but not those above it."""
    with table_service(address) as stub:
        found = list(stub.ListTables(pb.ListTablesRequest(container=container)).tables)
    _show(found, as_json=as_json)


@table_group.command("versions")
@click.argument("container")
@click.argument("name")
@json_option
@profile_service_option
def versions(container: str, name: str, as_json: bool, address: str) -> None:
    """Lists the versions of the table NAME of CONTAINER, newest first."""
    request = pb.ListTableVersionsRequest(container=container, table=name)
    with table_service(address) as stub:
        found = [each for page in pages(stub.ListTableVersions, request) for each in page.tables]
    _show(found, as_json=as_json)


@table_group.command("export")
@click.argument("container")
@click.argument("name")
@click.option("--version", type=click.IntRange(min=1), help="Which one; by default the newest.")
@profile_service_option
def export(container: str, name: str, version: int | None, address: str) -> None:
    """Writes a table as CSV to standard output: with it, everybody is known again."""
    writer = csv.writer(sys.stdout)
    request = pb.ReadTableRequest(container=container, table=name, version=version or 0)
    with table_service(address) as stub:
        page = stub.ReadTable(request)
        writer.writerow(page.columns)
        while True:
            writer.writerows(row.values for row in page.rows)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token
            page = stub.ReadTable(request)


@table_group.command("delete")
@click.argument("container")
@click.argument("name")
@click.option(
    "--before",
    type=click.IntRange(min=1),
    metavar="VERSION",
    help="Delete only the versions before this one, and the rows that no other has.",
)
@yes_option
@profile_service_option
def delete(container: str, name: str, before: int | None, yes: bool, address: str) -> None:
    """Deletes the table NAME of CONTAINER with all its versions."""
    what = f"the versions before {before}" if before else "all versions"
    if not yes:
        click.confirm(f"Delete {what} of the table {name} of {container}?", abort=True)
    with table_service(address) as stub:
        stub.DeleteTable(
            pb.DeleteTableRequest(container=container, table=name, before_version=before or 0)
        )
    click.echo(f"{container}: {what} of the table {name} are deleted.")


def _send_or_propose(
    first: pb.SetTableRequest, file: Path, address: str, *, propose: bool, as_json: bool
) -> None:
    if not propose:
        _send(first, file, address, as_json=as_json)
        return
    if first.validate_only:
        raise click.UsageError("--propose and --dry-run do not go together.")
    proposed = profile_pb.ProposedTable(
        container=first.container,
        table=first.table,
        add=first.add,
        text_sha256=sha256(read_bytes(file)).digest(),
    )
    propose_change(address, profile_pb.ProposeChangeRequest(set_table=proposed, note=first.note))
    click.echo("Then the same command without --propose sets it.")


def _send(first: pb.SetTableRequest, file: Path, address: str, *, as_json: bool) -> None:
    """Sends a table, and says what came of it."""
    try:
        answer = _set(first, file, address)
    except ServiceError as error:
        if error.reason != "TABLE_INVALID":
            raise
        # The error has room for the first faults; so it is asked for all of them.
        first.validate_only = True
        answer = _set(first, file, address)
    if answer.violations:
        print_violations(file, tuple(map(from_proto, answer.violations)))
        raise Failure(f"{first.container} keeps what it has: {file} is not a valid table.")
    made = answer.table
    if answer.profiles_unchecked:
        click.echo(
            f"{answer.profiles_unchecked} more profiles use the table, and were not asked whether "
            "their elements can hold its values.",
            err=True,
        )
    if as_json:
        print_json(as_json_value(made))
        return
    has = "would have" if first.validate_only else "has"
    click.echo(
        f"{first.container} {has} version {made.version} of the table {first.table}: "
        f"{made.rows} rows, {made.rows_added} of them new."
    )


def _set(first: pb.SetTableRequest, file: Path, address: str) -> pb.SetTableResponse:
    try:
        with file.open("rb") as text, table_service(address) as stub:
            return stub.SetTable(_messages(first, text))
    except OSError as error:
        raise Failure(f"cannot read {file}: {error.strerror}.") from error


def _messages(first: pb.SetTableRequest, text: BinaryIO) -> Iterator[pb.SetTableRequest]:
    yield first
    while chunk := text.read(CHUNK_BYTES):
        yield pb.SetTableRequest(text=chunk)


def _show(found: list[pb.Table], *, as_json: bool) -> None:
    if as_json:
        print_json([as_json_value(each) for each in found])
        return
    console().print(table(_HEADS, [_row(each) for each in found]))


def _row(each: pb.Table) -> tuple[Text | str, ...]:
    made = each.create_time.ToJsonString()
    numbers = map(str, (each.version, each.rows, each.rows_added))
    columns = cell(", ".join(each.columns))
    return each.name, *numbers, columns, made, cell(each.author), cell(each.note)
