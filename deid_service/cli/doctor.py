"""`deidcascade doctor`: looks at a deployment from where uploads come from."""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
import grpc
from deidcascade.v1 import deid_service_pb2, profile_service_pb2
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from pydicom.data import get_testdata_file

from deid_service.cli.connection import (
    DEFAULT_DEID_PORT,
    DEFAULT_PROFILE_PORT,
    DEID_SERVICE,
    PROFILE_SERVICE,
    connection_options,
    key_for,
    tls_credentials,
)
from deid_service.cli.console import cell, console, json_option, print_json, table
from deid_service.client import Source, Upload, UploadError, open_channel
from deid_service.contract.credentials import transport_channel
from deid_service.engine import ENGINE_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMEOUT_SECONDS = 5.0

NAMES = {
    "ProfileService": profile_service_pb2.DESCRIPTOR.services_by_name["ProfileService"].full_name,
    "DeidService": deid_service_pb2.DESCRIPTOR.services_by_name["DeidService"].full_name,
}

# gRPC reads these, and goes through what they name.
PROXIES = ("grpc_proxy", "https_proxy", "http_proxy")


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

    Whether both services answer at their addresses and have what they need, whether a
    proxy stands between, and, with --to, whether a file that comes with this command is
    de-identified for a project or a device.

    Exit code 1: something is not as it should be.
    """
    findings = [*proxies(), *service("ProfileService", profiles), *service("DeidService", deid)]
    if target is not None:
        findings.append(trial(deid, target))
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
    status = health(address, NAMES[name])
    if isinstance(status, int):
        serves = status == HealthCheckResponse.SERVING
        needs = "its database" if name == "ProfileService" else "ProfileService"
        yield Finding(
            f"{name} at {address}",
            serves,
            "it serves" if serves else "it answers and does not serve",
            "" if serves else f"look whether it reaches {needs}: its log says why it does not",
        )
    elif status is grpc.StatusCode.NOT_FOUND and isinstance(health(address, NAMES[other]), int):
        yield Finding(
            f"{name} at {address}",
            well=False,
            found=f"{other} answers there",
            advice=f"the addresses are swapped: correct {variable} or the option",
        )
    else:
        yield Finding(
            f"{name} at {address}",
            well=False,
            found=f"it does not answer ({status.name})",
            advice=f"start it with `deidcascade up`, or correct {variable} or the option; if it "
            "runs, look at firewalls, and whether it asks for TLS",
        )


def health(address: str, name: str) -> int | grpc.StatusCode:
    """Returns the health of a service, or the status of the call where that fails."""
    with transport_channel(address, None, tls_credentials()) as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=HealthCheckRequest.SerializeToString,
            response_deserializer=HealthCheckResponse.FromString,
        )
        try:
            return int(check(HealthCheckRequest(service=name), timeout=TIMEOUT_SECONDS).status)
        except grpc.RpcError as error:
            code: grpc.StatusCode = error.code()
            return code


def trial(address: str, target: str) -> Finding:
    """De-identifies a file for a target, and throws the output away."""
    what = f"a file for {target}"
    source = Source.of_path(Path(str(get_testdata_file("CT_small.dcm", download=False))))
    with (
        tempfile.TemporaryDirectory(prefix="deidcascade-") as folder,
        open_channel(address, key=key_for(address), tls=tls_credentials()) as channel,
    ):
        try:
            with Upload([channel], target, [source], folder) as upload:
                (result,) = upload
        except UploadError as error:
            return Finding(
                what, False, str(error), f"`deidcascade profile resolve {target}` says more"
            )
    receipt = result.receipt
    if receipt is None:
        problem = result.rejection.message if result.rejection else result.problem
        return Finding(what, False, problem, "try the profile with `deidcascade preview`")
    if receipt.engine_version != ENGINE_VERSION:
        found = f"done by {receipt.engine_version}; this command is {ENGINE_VERSION}"
        return Finding(what, True, found, "bring both to one version when you can")
    return Finding(what, True, f"done by version {receipt.profile_version} of its profile")
