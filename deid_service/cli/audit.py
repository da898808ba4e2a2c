"""`deidcascade audit`: who did what, and whether what is told of it is still what was."""

from __future__ import annotations

import csv
import json
import sys
from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
from deidcascade.v1 import profile_service_pb2 as pb

from deid_service.cli.chains import Chain, ChainBrokenError, Link
from deid_service.cli.connection import pages, profile_service, profile_service_option
from deid_service.cli.console import Failure, as_json_value, json_option, print_json, printable
from deid_service.cli.reports import cell_of
from deid_service.cli.terminal import console, table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import TextIO

    from deidcascade.v1.profile_service_pb2_grpc import ProfileServiceStub

COLUMNS = (
    *("site", "number", "time", "action", "resource", "denied_reason", "subject"),
    *("credential", "key_id", "peer", "request_id", "before", "after", "hash"),
)

MOMENT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"])

container_argument = click.argument("container", default="")
site_argument = click.argument("site", default="")


def filters(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options that say which events are wanted."""
    for option in (
        click.option("--until", type=MOMENT, help="The moment after the last one (UTC)."),
        click.option("--since", type=MOMENT, help="The first moment (UTC)."),
        click.option("--action", default="", help="What was done, profile.set for instance."),
        click.option("--subject", default="", help="Who did it."),
    ):
        command = option(command)
    return command


@click.group("audit")
def audit_group() -> None:
    """Shows who did what, exports it, and verifies that nobody changed it since."""


@audit_group.command("list")
@container_argument
@filters
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
@json_option
@profile_service_option
def list_(
    container: str,
    subject: str,
    action: str,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    as_json: bool,
    address: str,
) -> None:
    """Lists what was done in CONTAINER, newest first; without it, what is about no site."""
    request = wanted(container, subject, action, since, until)
    with profile_service(address) as stub:
        found = [event for event, _ in zip(events(stub, request), range(limit), strict=False)]
    if as_json:
        print_json([as_json_value(event) for event in found])
        return
    console().print(
        table(
            ("TIME", "WHO", "WHAT", "", "TO WHAT"),
            (
                (
                    event.time.ToJsonString(),
                    event.subject or f"({event.credential})",
                    event.action,
                    event.denied_reason and f"denied: {event.denied_reason}",
                    event.resource,
                )
                for event in found
            ),
        )
    )


@audit_group.command("export")
@container_argument
@filters
@click.option("--format", "form", type=click.Choice(["jsonl", "csv"]), default="jsonl")
@profile_service_option
def export(
    container: str,
    subject: str,
    action: str,
    since: datetime | None,
    until: datetime | None,
    form: str,
    address: str,
) -> None:
    """Prints what was done in CONTAINER, oldest first, as JSON lines or CSV.

    `audit verify --file` verifies the JSON lines of a site, also years later, without a
    service.
    """
    request = wanted(container, subject, action, since, until)
    request.oldest_first = True
    with profile_service(address) as stub:
        if form == "csv":
            writer = csv.writer(sys.stdout)
            writer.writerow(COLUMNS)
            writer.writerows(map(cells, events(stub, request)))
            return
        for event in events(stub, request):
            click.echo(json.dumps(line_of(event), ensure_ascii=False).encode())


@audit_group.command("heads")
@site_argument
@profile_service_option
def heads(site: str, address: str) -> None:
    """Prints the ends of the chains of all sites, or of SITE, as JSON lines.

    Kept where who runs the database cannot change it, they show later that nothing was:
    `audit verify --heads`.
    """
    with profile_service(address) as stub:
        for head in all_heads(stub, site):
            line = {"site": head.site, "number": head.number, "hash": head.hash}
            click.echo(json.dumps(line).encode())


@audit_group.command("verify")
@site_argument
@click.option(
    "--file",
    "exported",
    type=click.File(encoding="utf-8"),
    help="Verify what `audit export` printed of whole sites, and ask no service.",
)
@click.option(
    "--heads",
    "kept",
    type=click.File(encoding="utf-8"),
    help="What `audit heads` printed earlier: the chain must still go through it.",
)
@profile_service_option
def verify(site: str, exported: TextIO | None, kept: TextIO | None, address: str) -> None:
    """Verifies the chains of all sites, or that of SITE, event by event.

    Exit code 1: one is not what it was, and where it breaks is printed.
    """
    known = kept_heads(kept)
    chains: list[str]
    if exported is not None:
        chains = [told(chain, trouble) for chain, trouble in verified_file(exported, known)]
    else:
        with profile_service(address) as stub:
            chains = [
                told(*verified(stub, head, known[head.site])) for head in all_heads(stub, site)
            ]
    broken = [chain for chain in chains if chain]
    if broken:
        raise Failure("\n".join(broken))


def told(chain: Chain, trouble: str) -> str:
    """Says how a chain was found to be; returns what is wrong with it, or the empty text."""
    name = chain.site or "(no site)"
    if trouble:
        return f"{name}: BROKEN: {trouble}"
    what = f"events {chain.first} to {chain.last}" if chain.last else "no events"
    click.echo(printable(f"{name}: verified, {what}."))
    return ""


def verified(
    stub: ProfileServiceStub, head: pb.AuditHead, kept: dict[int, bytes]
) -> tuple[Chain, str]:
    """Verifies the chain of a site, and returns what is wrong with it."""
    # Events go on being added meanwhile: it must go through what was its end.
    now = {head.number: bytes.fromhex(head.hash)} if head.number else {}
    if kept.get(head.number) not in {None, now.get(head.number)}:
        return Chain(head.site), f"event {head.number} is not the one whose hash was kept."
    chain = Chain(head.site, kept | now)
    request = pb.ListAuditEventsRequest(parent=head.site, oldest_first=True)
    try:
        for event in events(stub, request):
            chain.add(link_of(event))
        chain.end()
    except ChainBrokenError as error:
        return chain, str(error)
    return chain, ""


def verified_file(
    lines: Iterable[str], known: dict[str, dict[int, bytes]]
) -> list[tuple[Chain, str]]:
    """Verifies the chains in an export, and returns what is wrong with each."""
    chains: dict[str, Chain] = {}
    troubles: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        try:
            said = json.loads(line)
            site, link = said["site"], link_of_line(said)
        except (ValueError, KeyError, TypeError) as error:
            raise Failure(f"line {number} is none of an export of the audit.") from error
        chain = chains.setdefault(site, Chain(site, known[site]))
        if site not in troubles:
            try:
                chain.add(link)
            except ChainBrokenError as error:
                troubles[site] = str(error)
    for site, chain in chains.items():
        if site not in troubles:
            try:
                chain.end()
            except ChainBrokenError as error:
                troubles[site] = str(error)
    return [(chain, troubles.get(site, "")) for site, chain in chains.items()]


def kept_heads(lines: Iterable[str] | None) -> dict[str, dict[int, bytes]]:
    """Reads what `audit heads` printed, also several times: the hashes by site and number."""
    known: dict[str, dict[int, bytes]] = defaultdict(dict)
    for number, line in enumerate(lines or (), 1):
        try:
            said = json.loads(line)
            if said["number"]:
                known[said["site"]][said["number"]] = bytes.fromhex(said["hash"])
        except (ValueError, KeyError, TypeError) as error:
            raise Failure(f"line {number} of the heads is none.") from error
    return known


def events(stub: ProfileServiceStub, request: pb.ListAuditEventsRequest) -> Iterator[pb.AuditEvent]:
    """Gives all events that are asked for, page by page."""
    for page in pages(stub.ListAuditEvents, request):
        yield from page.events


def all_heads(stub: ProfileServiceStub, site: str) -> Iterator[pb.AuditHead]:
    """Gives the end of the chain of a site, or those of all."""
    for page in pages(stub.ListAuditHeads, pb.ListAuditHeadsRequest(site=site)):
        yield from page.heads


def wanted(
    container: str, subject: str, action: str, since: datetime | None, until: datetime | None
) -> pb.ListAuditEventsRequest:
    """Returns the request that the options describe."""
    request = pb.ListAuditEventsRequest(parent=container, subject=subject, action=action)
    for moment, field in ((since, request.since), (until, request.until)):
        if moment is not None:
            field.FromDatetime(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    return request


def link_of(event: pb.AuditEvent) -> Link:
    """Returns an event as a link of its chain."""
    return Link(event.number, event.time.ToMicroseconds(), event.event, bytes.fromhex(event.hash))


def line_of(event: pb.AuditEvent) -> dict[str, object]:
    """Returns an event as a line of an export."""
    return {
        "site": event.site,
        "number": event.number,
        "time": event.time.ToDatetime().isoformat(timespec="microseconds") + "Z",
        "event": json.loads(event.event),
        "hash": event.hash,
    }


def link_of_line(said: dict[str, object]) -> Link:
    """Returns a line of an export as a link; the event is written as it was hashed."""
    event = json.dumps(said["event"], ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    moment = datetime.fromisoformat(str(said["time"]))
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    microseconds = (since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds
    return Link(int(str(said["number"])), microseconds, event, bytes.fromhex(str(said["hash"])))


def cells(event: pb.AuditEvent) -> list[str]:
    """Returns an event as a row of CSV."""
    said = json.loads(event.event)
    values = as_json_value(event) | {"before": said.get("before"), "after": said.get("after")}
    # In the names of the contract, whatever its JSON has.
    values |= {name: getattr(event, name) for name in ("denied_reason", "key_id", "request_id")}
    return [cell_of(values[name]) for name in COLUMNS]
