"""`deidcascade subjects`: which patients were given which codes."""

from __future__ import annotations

import csv
import sys
from typing import TYPE_CHECKING

import click
from deidcascade.v1 import profile_service_pb2 as pb

from deid_service.cli.connection import pages, profile_service, profile_service_option
from deid_service.cli.console import Failure, as_json_value, json_option, print_json
from deid_service.cli.terminal import cell, console, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deidcascade.v1.profile_service_pb2_grpc import ProfileServiceStub

COLUMNS = ("code", "original", "issuer", "create_time")


@click.group("subjects")
def subjects_group() -> None:
    """Patients and the codes that they were given: who reads them is told in the audit."""


@subjects_group.command("list")
@click.argument("container")
@json_option
@profile_service_option
def list_(container: str, as_json: bool, address: str) -> None:
    """Lists who was given codes in CONTAINER: the site, group, project or device of the scope."""
    with profile_service(address) as stub:
        found = list(subjects(stub, container))
    show(found, as_json=as_json)


@subjects_group.command("lookup")
@click.argument("container")
@click.argument("code")
@json_option
@profile_service_option
def lookup(container: str, code: str, as_json: bool, address: str) -> None:
    """Says who was given CODE in CONTAINER."""
    with profile_service(address) as stub:
        found = list(subjects(stub, container, code))
    if not found:
        raise Failure(f"nobody was given that code in {container}.")
    show(found, as_json=as_json)


@subjects_group.command("export")
@click.argument("container")
@profile_service_option
def export(container: str, address: str) -> None:
    """Writes all as CSV to standard output: with it, everybody is known again."""
    writer = csv.writer(sys.stdout)
    writer.writerow(COLUMNS)
    with profile_service(address) as stub:
        for each in subjects(stub, container):
            writer.writerow(values(each))


def subjects(stub: ProfileServiceStub, container: str, code: str = "") -> Iterator[pb.Subject]:
    """Yields who was given codes, page by page."""
    request = pb.ListSubjectsRequest(container=container, code=code)
    for page in pages(stub.ListSubjects, request):
        yield from page.subjects


def values(subject: pb.Subject) -> tuple[str, ...]:
    """Returns what there is to say of one, in the order of the columns."""
    made = subject.create_time.ToJsonString()
    return subject.code, subject.original, subject.issuer, made


def show(found: list[pb.Subject], *, as_json: bool) -> None:
    """Prints them."""
    if as_json:
        print_json([as_json_value(each) for each in found])
        return
    heads = tuple(column.upper().replace("_", " ") for column in COLUMNS)
    console().print(table(heads, [tuple(map(cell, values(each))) for each in found]))
