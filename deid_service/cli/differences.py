"""`deidcascade profile diff`: what two profiles treat differently."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from deidcascade.v1 import profile_service_pb2 as pb

from deid_service.cli.connection import profile_service, profile_service_option
from deid_service.cli.console import Failure, json_option, print_json, printable
from deid_service.cli.sources import read_profile
from profile_service.language import check_profile
from profile_service.language.difference import Difference, difference
from profile_service.language.model import PatternTimeoutError, Profile

if TYPE_CHECKING:
    from collections.abc import Iterable

# What stands for a profile that is attached to a container.
_ATTACHED = re.compile(r"(?P<container>sites/[a-z0-9._/-]+?)(?:@(?P<version>[1-9][0-9]{0,17}))?")

# As many elements as a person reads; --json has all.
MAX_LISTED = 12


@click.command("diff")
@click.argument("before")
@click.argument("after")
@json_option
@profile_service_option
def diff(before: str, after: str, as_json: bool, address: str) -> None:
    r"""Says which elements AFTER treats differently from BEFORE, and how.

    \b
    Each is one of:
      FILE                         a profile of this machine, - for standard input
      sites/SITE                   what is attached to a container now
      sites/SITE/groups/GROUP@3    a version of it

    Comments, order and the way in which a rule is written do not count. Exit code 1: there
    is a difference.
    """
    profiles = [profile_of(each, address) for each in (before, after)]
    try:
        found = difference(*profiles)
    except PatternTimeoutError:
        raise Failure("a pattern of one of them takes too long.") from None
    if as_json:
        print_json([each._asdict() for each in found])
    else:
        tell(found)
    if found:
        sys.exit(1)


def tell(differences: Iterable[Difference]) -> None:
    """Prints what is treated differently."""
    empty = True
    for each in differences:
        empty = False
        where = f", {each.where}" if each.where else ""
        listed = ", ".join(each.elements[:MAX_LISTED])
        if len(each.elements) > MAX_LISTED:
            listed += f" and {len(each.elements) - MAX_LISTED} more"
        click.echo(printable(f"{listed}{where}\n  - {each.before}\n  + {each.after}"))
    if empty:
        click.echo("No element is treated differently.")


def from_message(message: pb.ProfileDifference) -> Difference:
    """Returns a difference of the contract; elements that were not sent are only counted."""
    left_out = message.element_count - len(message.elements)
    more = [f"{left_out} more"] if left_out else []
    return Difference((*message.elements, *more), message.where, message.before, message.after)


def profile_of(what: str, address: str) -> Profile:
    """Returns the profile in a file, or the one that is or was attached to a container.

    Raises:
        Failure: it is not there, or not valid.
    """
    attached = None if Path(what).exists() else _ATTACHED.fullmatch(what)
    if attached is None:
        source = read_profile(what)
    else:
        version = int(attached["version"] or 0)
        request = pb.GetProfileRequest(container=attached["container"], version=version)
        with profile_service(address) as stub:
            source = stub.GetProfile(request).profile.source.encode()
    found = check_profile(source).profile
    if found is None:
        raise Failure(f"{what} is no valid profile: `deidcascade profile validate` says why.")
    return found
