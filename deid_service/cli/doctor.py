"""`deidcascade doctor`: looks at a deployment from where uploads come from."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click
import grpc
from deidcascade.v1 import access_service_pb2, deid_service_pb2, profile_service_pb2
from deidcascade.v1.access_service_pb2_grpc import AccessServiceStub
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from pydicom.data import get_testdata_file

from deid_service.cli.connection import (
    DEFAULT_DEID_PORT,
    DEFAULT_PROFILE_PORT,
    DEID_SERVICE,
    PROFILE_SERVICE,
    ServiceError,
    connection_options,
    key_for,
    profile_channel,
    tls_credentials,
    tls_files,
)
from deid_service.cli.console import Failure, json_option, print_json
from deid_service.cli.reach import obstacle
from deid_service.cli.terminal import cell, console, table
from deid_service.client import Source, StreamRefusedError, Upload, UploadError, open_channel
from deid_service.contract.credentials import transport_channel
from deid_service.engine import ENGINE_VERSION
from profile_service.serving.health import RELEASE, TIME

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMEOUT_SECONDS = 5.0

# As much as the services allow the clock of an identity provider.
MAX_CLOCK_SECONDS = 30.0

NAMES = {
    "ProfileService": profile_service_pb2.DESCRIPTOR.services_by_name["ProfileService"].full_name,
    "DeidService": deid_service_pb2.DESCRIPTOR.services_by_name["DeidService"].full_name,
}

# gRPC reads these, and goes through what they name.
PROXIES = ("grpc_proxy", "https_proxy", "http_proxy")

# What uploading takes; docs/access.md.
MAY_UPLOAD = "uploads.create"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, and what was found.

    Attributes:
        what: was looked at.
        well: whether it is as it should be.
        found: what was found, in a sentence.
        advice: what to do; empty where all is well.
    """

    what: str
    well: bool
    found: str
    advice: str = ""


class Answer(NamedTuple):
    """What a service says of itself.

    Attributes:
        status: of its health.
        release: its version; empty from one that does not tell.
        clock: how many seconds its clock is ahead of that of this machine, within what the
            question took; None from one that does not tell.
    """

    status: int
    release: str = ""
    clock: float | None = None


@click.command("doctor")
@click.option(
    "--profile-service",
    "profiles",
    metavar="HOST:PORT",
    envvar=PROFILE_SERVICE,
    default=f"localhost:{DEFAULT_PROFILE_PORT}",
    show_default=True,
    help="The address of ProfileService.",
)
@click.option(
    "--deid-service",
    "deid",
    metavar="HOST:PORT",
    envvar=DEID_SERVICE,
    default=f"localhost:{DEFAULT_DEID_PORT}",
    show_default=True,
    help="The address of DeidService.",
)
@connection_options
@click.option("--to", "target", metavar="TARGET", help="Also de-identify a file for TARGET.")
@json_option
def doctor(profiles: str, deid: str, target: str | None, as_json: bool) -> None:
    """Checks a deployment from here, and says what to do.

    Whether both services can be reached at their addresses, over TLS where it is asked for,
    with certificates that are trusted and will not end soon; whether they have what they
    need, are of one release with this command, and their clocks agree with the one here;
    whether the credential is accepted, and what it may do; and, with --to, whether a file
    that comes with this command is de-identified for a project or a device.

    Exit code 1: something is not as it should be.
    """
    findings = [*proxies(), *service("ProfileService", profiles), *service("DeidService", deid)]
    # One who cannot be asked has been told of.
    if any(each.well and each.what.startswith("ProfileService") for each in findings):
        findings.append(credential(profiles, target or ""))
    if target is not None:
        if any(each.well and each.what.startswith("DeidService") for each in findings):
            findings.append(trial(deid, target))
        else:
            what = f"a file for {target}"
            findings.append(Finding(what, False, "it was not sent: see above"))
    if as_json:
        print_json([{name: getattr(each, name) for name in Finding.__slots__} for each in findings])
    else:
        console().print(
            table(
                ("", "WHAT", "FOUND", "WHAT TO DO"),
                (
                    (
                        cell("ok", "green") if each.well else cell("problem", "red"),
                        each.what,
                        each.found,
                        each.advice,
                    )
                    for each in findings
                ),
            )
        )
    sys.exit(not all(each.well for each in findings))


def proxies() -> Iterator[Finding]:
    """Tells of proxies that gRPC would go through."""
    for name in PROXIES:
        if os.environ.get(name):
            yield Finding(
                "environment",
                well=True,
                found=f"{name} is set: services on other machines are asked for through it",
                advice="put them into no_grpc_proxy if they cannot be reached",
            )


def service(name: str, address: str) -> Iterator[Finding]:
    """Checks that a service answers at an address, is the one it should be, and serves."""
    other = next(each for each in NAMES if each != name)
    variable = PROFILE_SERVICE if name == "ProfileService" else DEID_SERVICE
    what = f"{name} at {address}"
    answer = ask(address, NAMES[name])
    stands = obstacle(address, *tls_files())
    if isinstance(answer, Answer):
        serves = answer.status == HealthCheckResponse.SERVING
        needs = "its database" if name == "ProfileService" else "ProfileService"
        yield Finding(
            what,
            serves,
            "it serves" if serves else "it answers and does not serve",
            "" if serves else f"look whether it reaches {needs}: its log says why it does not",
        )
        if stands is not None:
            yield Finding(f"{what}: certificate", False, stands.found, stands.advice)
        yield release_of(what, answer)
        yield clock_of(what, answer)
    elif answer is grpc.StatusCode.NOT_FOUND and isinstance(ask(address, NAMES[other]), Answer):
        yield Finding(
            what,
            well=False,
            found=f"{other} answers there",
            advice=f"the addresses are swapped: correct {variable} or the option",
        )
    elif stands is not None:
        start = f"start it with `deidcascade up`, or correct {variable} or the option"
        yield Finding(what, False, stands.found, stands.advice or start)
    else:
        yield Finding(
            what,
            well=False,
            found=f"it does not answer ({answer.name})",
            advice=f"look at its log, and whether {variable} or the option is its address",
        )


def ask(address: str, name: str) -> Answer | grpc.StatusCode:
    """Returns what a service says of itself, or the status of the call where that fails."""
    with transport_channel(address, None, tls_credentials()) as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=HealthCheckRequest.SerializeToString,
            response_deserializer=HealthCheckResponse.FromString,
        )
        try:
            # Once before: what connecting takes would count for the clock.
            check(HealthCheckRequest(service=name), timeout=TIMEOUT_SECONDS)
            before = time.time()
            answer, call = check.with_call(
                HealthCheckRequest(service=name), timeout=TIMEOUT_SECONDS
            )
            after = time.time()
        except grpc.RpcError as error:
            code: grpc.StatusCode = error.code()
            return code
    told = dict(call.trailing_metadata() or ())
    clock = None
    with suppress(KeyError, ValueError):
        clock = float(told[TIME]) - (before + after) / 2
    return Answer(int(answer.status), str(told.get(RELEASE, "")), clock)


def release_of(what: str, answer: Answer) -> Finding:
    """Compares the release of a service with that of this command."""
    own = version("deid-cascade")
    if answer.release == own:
        return Finding(f"{what}: release", True, f"{own}, as this command")
    found = answer.release or "one that does not say which it is"
    return Finding(
        f"{what}: release",
        True,
        f"{found}; this command is {own}",
        "bring both to one release when you can",
    )


def clock_of(what: str, answer: Answer) -> Finding:
    """Compares the clock of a service with that of this machine."""
    if answer.clock is None:
        return Finding(f"{what}: clock", True, "it does not tell the time")
    well = abs(answer.clock) <= MAX_CLOCK_SECONDS
    if well:
        return Finding(f"{what}: clock", True, "it agrees with the one here")
    way = "ahead of" if answer.clock > 0 else "behind"
    return Finding(
        f"{what}: clock",
        False,
        f"it is {abs(answer.clock):.0f} s {way} the one here",
        "set the one that is wrong: credentials and certificates end by it",
    )


def credential(address: str, target: str) -> Finding:
    """Tells whether a credential is accepted, whose it is, and what it may do."""
    what = "credential"
    request = access_service_pb2.TestPermissionsRequest(container=target)
    try:
        key = key_for(address)
        with profile_channel(address, key) as channel:
            answer = AccessServiceStub(channel).TestPermissions(request)
    except ServiceError as error:
        if error.call.code() is not grpc.StatusCode.UNAUTHENTICATED:
            return Finding(what, False, error.message)
        if not key:
            return Finding(
                what, False, "there is none", "name the file with the API key with --key-file"
            )
        return Finding(
            what,
            False,
            "it is not accepted: it is not known here, was revoked, or has expired",
            "ask an administrator for a new one; `deidcascade access key list` says which ended",
        )
    except Failure as error:
        return Finding(what, False, error.message)
    place = target or "all sites"
    may = ", ".join(answer.permissions) or "nothing"
    found = f"{answer.principal} may on {place}: {may}"
    if target and MAY_UPLOAD not in answer.permissions:
        return Finding(
            what,
            False,
            found,
            f"`deidcascade access grant {answer.principal} uploader --on {target}`",
        )
    return Finding(what, True, found)


def trial(address: str, target: str) -> Finding:
    """De-identifies a file for a target, and throws the output away."""
    what = f"a file for {target}"
    source = Source.of_path(Path(str(get_testdata_file("CT_small.dcm", download=False))))
    try:
        with (
            tempfile.TemporaryDirectory(prefix="deidcascade-") as folder,
            open_channel(address, key=key_for(address), tls=tls_credentials()) as channel,
            Upload([channel], target, [source], folder) as upload,
        ):
            (result,) = upload
    except UploadError as error:
        advice = f"`deidcascade profile resolve {target}` says more"
        if isinstance(error, StreamRefusedError):
            if error.code is grpc.StatusCode.UNAUTHENTICATED:
                return Finding(what, False, "the credential is not accepted for it")
            if error.reason == "PROFILE_SERVICE_UNAVAILABLE":
                advice = "look whether ProfileService reaches its database: its log says why not"
        return Finding(what, False, str(error), advice)
    except Failure as error:
        return Finding(what, False, error.message)
    receipt = result.receipt
    if receipt is None:
        problem = result.rejection.message if result.rejection else result.problem
        return Finding(what, False, problem, "try the profile with `deidcascade preview`")
    if receipt.engine_version != ENGINE_VERSION:
        found = f"done by {receipt.engine_version}; this command is {ENGINE_VERSION}"
        return Finding(what, True, found, "bring both to one version when you can")
    return Finding(what, True, f"done by version {receipt.profile_version} of its profile")
