"""`deidcascade profile`: validate, attach, read back, and ask which one applies."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TypeVar

import click
from deidcascade.v1 import profile_service_pb2 as pb

from deid_service.cli.changes import propose as propose_change
from deid_service.cli.changes import propose_option
from deid_service.cli.connection import (
    ServiceError,
    detail,
    pages,
    profile_service,
    profile_service_option,
)
from deid_service.cli.console import Failure, as_json_value, enum_word, json_option, print_json
from deid_service.cli.coverage import coverage
from deid_service.cli.differences import diff, from_message, tell
from deid_service.cli.expand import expand
from deid_service.cli.explanation import explain
from deid_service.cli.inventory import test
from deid_service.cli.sources import PROFILE_FILE, print_problems, read_profile
from deid_service.cli.terminal import console, table
from deid_service.cli.verdicts import verdict_table
from deid_service.contract.rpc_errors import verdicts_of
from profile_service.language import VALIDATOR_VERSION, check_profile
from profile_service.language.model import Violation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from deidcascade.v1.profile_service_pb2_grpc import ProfileServiceStub

_Command = TypeVar("_Command", bound="Callable[..., None]")

profile_argument = click.argument("profile", metavar="FILE", type=PROFILE_FILE)
etag_option = click.option(
    "--etag", metavar="ETAG", default="", help="Refuse when the profile has changed since."
)
note_option = click.option(
    "--note", metavar="TEXT", default="", help="Why, for people who read the versions later."
)


def version_options(text: str) -> Callable[[_Command], _Command]:
    """Takes a version as `--version N`, or bare behind the container; see `given_version`."""
    number = click.IntRange(min=1)
    bare = click.argument("bare", metavar="", required=False, type=number)
    named = click.option("--version", metavar="N", type=number, help=text)
    return lambda command: bare(named(command))


def given_version(bare: int | None, named: int | None) -> int | None:
    """Returns the version that was given, in one of two ways; None where it was in neither."""
    if bare is not None and named is not None:
        raise click.UsageError("The version is given twice.")
    return named if bare is None else bare


@click.group("profile")
def profile_group() -> None:
    """Validates profiles, attaches them, and says which one applies."""


@profile_group.command("validate")
@profile_argument
@json_option
def validate(profile: str, as_json: bool) -> None:
    """Checks the profile in FILE (- for standard input); needs no server.

    Exit code 0: it is valid. 1: it is not, and every violation is printed.
    """
    source = read_profile(profile)
    checked = check_profile(source)
    valid = checked.profile is not None
    if as_json:
        answer = pb.ValidateProfileResponse(
            validity=pb.VALIDITY_VALID if valid else pb.VALIDITY_INVALID,
            violations=map(to_proto, checked.violations),
            warnings=map(to_proto, checked.warnings),
            blank=checked.profile is not None and checked.profile.blank,
            validator_version=VALIDATOR_VERSION,
        )
        print_json(as_json_value(answer))
    else:
        print_problems(profile, source, checked.violations, checked.warnings)
        click.echo(f"{profile}: {verdict(checked.violations, checked.warnings)}.")
    sys.exit(0 if valid else 1)


@profile_group.command("set")
@click.argument("container")
@profile_argument
@click.option(
    "--allow-invalid",
    is_flag=True,
    help="Store an invalid profile too; the cascade then skips this level.",
)
@note_option
@etag_option
@click.option(
    "--dry-run", is_flag=True, help="Say what would be treated differently, and keep nothing."
)
@propose_option
@json_option
@profile_service_option
def set_(
    container: str,
    profile: str,
    allow_invalid: bool,
    note: str,
    etag: str,
    dry_run: bool,
    propose: bool,
    as_json: bool,
    address: str,
) -> None:
    """Attaches the profile in FILE (- for standard input) to CONTAINER."""
    source = read_profile(profile)
    request = pb.SetProfileRequest(
        container=container,
        source=as_text(profile, source),
        allow_invalid=allow_invalid,
        note=note,
        etag=etag,
        validate_only=dry_run,
    )
    if propose:
        propose_change(address, pb.ProposeChangeRequest(set_profile=request, note=note))
        return
    try:
        with profile_service(address) as stub:
            answer = stub.SetProfile(request)
            stored = answer.profile
    except ServiceError as error:
        if error.reason == "PROFILE_INVALID":
            found = detail(error.call, pb.ProfileViolations) or pb.ProfileViolations()
            violations = tuple(map(from_proto, found.violations))
            print_problems(profile, source, violations, ())
            raise Failure(f"{container} keeps what it has: the profile is invalid.") from error
        raise
    if as_json:
        print_json(as_json_value(answer if dry_run else stored))
        return
    violations = tuple(map(from_proto, stored.violations))
    warnings = tuple(map(from_proto, stored.warnings))
    print_problems(profile, source, violations, warnings)
    has = "would have" if dry_run else "has"
    click.echo(f"{container} {has} version {stored.version}: {verdict(violations, warnings)}.")
    if answer.not_compared:
        click.echo("What is treated differently cannot be told: one of the two is invalid.")
    elif dry_run:
        tell(map(from_message, answer.differences))


@profile_group.command("get")
@click.argument("container")
@version_options("Default: the current.")
@click.option(
    "--sha256",
    metavar="DIGEST",
    default="",
    help="The version that a receipt names, also of a container that was deleted.",
)
@json_option
@profile_service_option
def get(
    container: str,
    bare: int | None,
    version: int | None,
    sha256: str,
    as_json: bool,
    address: str,
) -> None:
    """Prints the profile of CONTAINER exactly as it was set."""
    number = given_version(bare, version) or 0
    request = pb.GetProfileRequest(container=container, version=number, sha256=sha256)
    with profile_service(address) as stub:
        answer = stub.GetProfile(request)
    if as_json:
        print_json(as_json_value(answer.profile))
    else:
        # As bytes: what is printed has the digest that the service names.
        click.echo(answer.profile.source.encode(), nl=False)


@profile_group.command("versions")
@click.argument("container")
@json_option
@profile_service_option
def versions(container: str, as_json: bool, address: str) -> None:
    """Lists the versions of the profile of CONTAINER, newest first."""
    with profile_service(address) as stub:
        answers = list(version_pages(stub, container))
    found = [profile for answer in answers for profile in answer.profiles]
    current = answers[0].current_version
    if as_json:
        print_json(
            {"currentVersion": str(current), "profiles": [as_json_value(each) for each in found]}
        )
        return
    console().print(
        table(
            ("VERSION", "", "VALIDITY", "SET", "BY", "SHA-256", "NOTE"),
            (
                (
                    str(each.version),
                    "current" if each.version == current else "",
                    validity_word(each),
                    each.create_time.ToJsonString(),
                    each.author,
                    each.sha256,
                    each.note,
                )
                for each in found
            ),
        )
    )
    if found and found[-1].version > 1:
        click.echo("Older versions are not listed: `profile get --version N` prints them.")


@profile_group.command("restore")
@click.argument("container")
@version_options("Whose text it is.")
@note_option
@profile_service_option
def restore(container: str, bare: int | None, version: int | None, note: str, address: str) -> None:
    """Attaches the text of an older version to CONTAINER again, as a new version."""
    number = given_version(bare, version)
    if number is None:
        raise click.UsageError("Missing option '--version'.")
    with profile_service(address) as stub:
        etag = stub.GetContainer(pb.GetContainerRequest(name=container)).container.profile_etag
        old = stub.GetProfile(pb.GetProfileRequest(container=container, version=number)).profile
        request = pb.SetProfileRequest(
            container=container,
            source=old.source,
            note=note or f"Version {number} again.",
            etag=etag,
        )
        stored = stub.SetProfile(request).profile
    click.echo(f"{container} has version {stored.version}, with the text of version {number}.")


@profile_group.command("clear")
@click.argument("container")
@etag_option
@note_option
@propose_option
@profile_service_option
def clear(container: str, etag: str, note: str, propose: bool, address: str) -> None:
    """Detaches the profile of CONTAINER; its versions stay readable."""
    if propose:
        request = pb.ClearProfileRequest(container=container, etag=etag)
        propose_change(address, pb.ProposeChangeRequest(clear_profile=request, note=note))
        return
    with profile_service(address) as stub:
        stub.ClearProfile(pb.ClearProfileRequest(container=container, etag=etag))
    click.echo(f"{container} has no profile now.")


@profile_group.command("resolve")
@click.argument("target")
@json_option
@profile_service_option
def resolve(target: str, as_json: bool, address: str) -> None:
    """Says which profile applies to TARGET, a project or a device, and why.

    Exit code 1: none applies, so that uploads are rejected.
    """
    with profile_service(address) as stub:
        answer = stub.ResolveProfile(pb.ResolveProfileRequest(target=target))
    if as_json:
        print_json(as_json_value(answer))
    else:
        click.echo(outcome_line(target, answer))
        console().print(verdict_table(verdicts_of(pb.CascadeVerdicts(levels=answer.levels))))
    if answer.outcome not in {pb.OUTCOME_PROFILE, pb.OUTCOME_DISABLED}:
        sys.exit(1)


profile_group.add_command(coverage)
profile_group.add_command(diff)
profile_group.add_command(expand)
profile_group.add_command(explain)
profile_group.add_command(test)


def as_text(path: str, source: bytes) -> str:
    """Returns the text of a profile as the service takes it."""
    try:
        return source.decode()
    except UnicodeDecodeError as error:
        raise Failure(f"{path} is not UTF-8 text.") from error


def verdict(violations: tuple[Violation, ...], warnings: tuple[Violation, ...]) -> str:
    """Returns whether a profile is valid, in words."""
    problems = [
        f"{len(found)} {word}{'s' if len(found) > 1 else ''}"
        for found, word in ((violations, "violation"), (warnings, "warning"))
        if found
    ]
    return ", ".join(["invalid" if violations else "valid", *problems])


def version_pages(
    stub: ProfileServiceStub, container: str
) -> Iterator[pb.ListProfileVersionsResponse]:
    """Gives all pages of the versions of a container."""
    return pages(stub.ListProfileVersions, pb.ListProfileVersionsRequest(container=container))


def validity_word(profile: pb.Profile) -> str:
    """Returns the validity of a version for people."""
    word = enum_word(pb.Validity, profile.validity)
    return f"{word}, blank" if profile.blank else word


def outcome_line(target: str, answer: pb.ResolveProfileResponse) -> str:
    """Returns what happens to an upload, in a sentence."""
    match answer.outcome:
        case pb.OUTCOME_PROFILE if answer.profile.blank:
            return (
                f"{target}: unchanged, {answer.profile.name} version {answer.profile.version} "
                "is blank."
            )
        case pb.OUTCOME_PROFILE:
            return f"{target}: {answer.profile.name} version {answer.profile.version} applies."
        case pb.OUTCOME_DISABLED:
            return f"{target}: unchanged, enforcement is disabled for the site."
        case pb.OUTCOME_NO_VALID_PROFILE:
            return f"{target}: rejected, no level has a valid profile."
        case other:
            return f"{target}: {enum_word(pb.Outcome, other)}, which this command does not know."


def to_proto(violation: Violation) -> pb.Violation:
    """Returns a violation as the contract has it."""
    return pb.Violation(
        code=violation.code,
        path=violation.path,
        line=violation.line,
        column=violation.column,
        message=violation.message,
        suggestion=violation.suggestion,
    )


def from_proto(violation: pb.Violation) -> Violation:
    """Returns a violation of the contract as the language has it."""
    return Violation(
        code=violation.code,
        path=violation.path,
        line=violation.line,
        column=violation.column,
        message=violation.message,
        suggestion=violation.suggestion,
    )
