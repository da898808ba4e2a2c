"""`deidcascade doctor`, and deployments that are as it says."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING

import grpc
import pytest
from click.testing import CliRunner
from deidcascade.v1 import access_service_pb2 as access_pb
from deidcascade.v1 import profile_service_pb2 as pb
from deidcascade.v1.access_service_pb2_grpc import AccessServiceStub
from deidcascade.v1.profile_service_pb2_grpc import ProfileServiceStub
from grpc_health.v1 import health_pb2

from deid_service.cli import command
from profile_service.serving.health import TIME
from profile_service.serving.transport import PLAIN, Transport
from tests.support.callers import channel
from tests.support.certificates import Authority
from tests.support.deid_service import PROFILE, TARGET, running_deid_service
from tests.support.services import running_profile_service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.databases import Databases

Finding = dict[str, object]

# Nobody listens there: the port is a privileged one.
NOWHERE = "127.0.0.1:1"


@pytest.fixture(scope="module")
def database(databases: Databases) -> Iterator[str]:
    """A database for all of these."""
    with databases.clone() as one:
        yield one


def examined(profiles: str, deid: str, *more: str) -> tuple[int, dict[str, Finding]]:
    """Returns the exit code, and what was found, by what was looked at without addresses."""
    services = ["--profile-service", profiles, "--deid-service", deid]
    done = CliRunner().invoke(command, ["doctor", "--json", *services, *more])
    findings: list[Finding] = json.loads(done.output)
    found = {}
    for each in findings:
        what = str(each["what"])
        for address in (profiles, deid):
            what = what.replace(f" at {address}", "")
        found[what] = each
    return done.exit_code, found


def of_profile_service(address: str, *more: str) -> tuple[int, Finding]:
    """Returns the exit code, and what was found of a ProfileService; there is no other service."""
    code, found = examined(address, NOWHERE, *more)
    return code, found["ProfileService"]


def test_a_deployment_that_is_well(database: str, authority: Authority) -> None:
    """Over TLS, with a file: all is well, and the releases are named."""
    trusted = (authority.ca, "", "")
    with (
        running_profile_service(database, authority.server()) as profiles,
        channel(profiles, tls=authority.trusted()) as opened,
        running_deid_service(profiles, transport=authority.server(), profile_tls=trusted) as deid,
    ):
        stub = ProfileServiceStub(opened)
        for depth in (2, 4, 6):
            container = pb.Container(name="/".join(TARGET.split("/")[:depth]))
            stub.CreateContainer(pb.CreateContainerRequest(container=container))
        stub.SetProfile(pb.SetProfileRequest(container=TARGET, source=PROFILE))

        code, found = examined(profiles, deid.address, "--tls-ca", authority.ca, "--to", TARGET)

    assert [each for each in found.values() if not each["well"] or each["advice"]] == []
    assert code == 0
    assert set(found) == {
        *("ProfileService", "ProfileService: release", "ProfileService: clock"),
        *("DeidService", "DeidService: release", "DeidService: clock"),
        *("credential", f"a file for {TARGET}"),
    }
    for name in ("ProfileService", "DeidService"):
        assert found[f"{name}: release"]["found"] == f"{version('deid-cascade')}, as this command"
        assert found[f"{name}: clock"]["found"] == "it agrees with the one here"
    assert "uploads.create" in str(found["credential"]["found"])


def test_addresses_that_are_swapped(database: str, tmp_path: Path) -> None:
    """The doctor says so, and tries nothing there; other commands say where to look."""
    with (
        running_profile_service(database) as profiles,
        running_deid_service(profiles) as deid,
    ):
        code, found = examined(deid.address, profiles, "--to", TARGET)
        asked = CliRunner().invoke(
            command, ["container", "list", "--profile-service", deid.address]
        )
        where = ["--to", TARGET, "--out", str(tmp_path), "--deid-service", profiles]
        uploaded = CliRunner().invoke(command, ["upload", __file__, *where])

    assert code == 1
    assert {name: each["found"] for name, each in found.items()} == {
        "ProfileService": "DeidService answers there",
        "DeidService": "ProfileService answers there",
        f"a file for {TARGET}": "it was not sent: see above",
    }
    for result, name in ((asked, "ProfileService"), (uploaded, "DeidService")):
        assert result.exit_code == 1
        assert f" is no {name}, or an older one: look at the address" in result.stderr


Given = tuple[Transport, list[str]]


OBSTACLES: dict[str, Callable[[Authority, Authority], Given]] = {
    "it speaks plain text, and was asked over TLS": lambda one, _: (PLAIN, ["--tls-ca", one.ca]),
    "it speaks TLS, and was asked in plain text": lambda one, _: (one.server(), []),
    "its certificate is not for 127.0.0.1": lambda one, _: (
        Transport(*one.certificate("elsewhere.example")),
        ["--tls-ca", one.ca],
    ),
    "its certificate has expired": lambda one, _: (
        one.server(expired=True),
        ["--tls-ca", one.ca],
    ),
    "its certificate is not of an authority that --tls-ca names": lambda one, other: (
        one.server(),
        ["--tls-ca", other.ca],
    ),
    "it asks for a certificate": lambda one, _: (one.server(mutual=True), ["--tls-ca", one.ca]),
    "it does not accept the certificate that it was shown": lambda one, other: (
        one.server(mutual=True),
        [
            *("--tls-ca", one.ca),
            *(
                part
                for pair in zip(("--tls-cert", "--tls-key"), other.certificate(), strict=True)
                for part in pair
            ),
        ],
    ),
}


@pytest.mark.parametrize("expected", OBSTACLES)
def test_what_stands_in_the_way_is_named(
    expected: str, database: str, authority: Authority, foreign: Authority
) -> None:
    """Where gRPC says UNAVAILABLE, the doctor says why, and what to do."""
    transport, options = OBSTACLES[expected](authority, foreign)
    with running_profile_service(database, transport) as address:
        code, finding = of_profile_service(address, *options)

    assert str(finding["found"]).startswith(expected)
    assert finding["well"] is False
    assert finding["advice"]
    assert code == 1


def test_a_certificate_that_ends_soon(database: str, authority: Authority) -> None:
    """The service serves; that it will not, from tomorrow on, is a problem of today."""
    transport = Transport(*authority.certificate(ending=True))
    with running_profile_service(database, transport) as address:
        code, found = examined(address, NOWHERE, "--tls-ca", authority.ca)

    assert found["ProfileService"]["well"] is True
    ending = found["ProfileService: certificate"]
    assert ending["well"] is False
    assert str(ending["found"]).startswith("its certificate ends on ")
    assert code == 1


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (NOWHERE, "nobody listens there"),
        ("profiles.invalid:50051", "the name profiles.invalid is not known"),
    ],
)
def test_addresses_that_are_none(address: str, expected: str) -> None:
    """A name that nobody knows is told from a port at which nobody listens."""
    code, finding = of_profile_service(address)

    assert str(finding["found"]).startswith(expected)
    assert finding["advice"]
    assert code == 1


def test_a_database_that_is_away() -> None:
    """A service without its database answers, and the doctor says where to look."""
    with running_profile_service("host=127.0.0.1 port=1") as address:
        code, finding = of_profile_service(address)

    assert finding["found"] == "it answers and does not serve"
    assert "its database" in str(finding["advice"])
    assert code == 1


def test_a_database_that_is_away_from_a_file() -> None:
    """A file that nobody can say a profile for leads to the log of ProfileService."""
    with (
        running_profile_service("host=127.0.0.1 port=1") as profiles,
        running_deid_service(profiles) as deid,
    ):
        _, found = examined(profiles, deid.address, "--to", TARGET)

    finding = found[f"a file for {TARGET}"]
    assert str(finding["found"]).startswith("PROFILE_SERVICE_UNAVAILABLE: ")
    assert "its database" in str(finding["advice"])


def test_credentials(database: str, tmp_path: Path) -> None:
    """One that is not accepted is told from one that may not upload, and from none."""
    with running_profile_service(database) as address, channel(address) as opened:
        site = pb.Container(name="sites/credentials")
        ProfileServiceStub(opened).CreateContainer(pb.CreateContainerRequest(container=site))
        access = AccessServiceStub(opened)
        made = access.CreateApiKey(
            access_pb.CreateApiKeyRequest(container=site.name, role="viewer")
        )
        file = tmp_path / "key"
        file.write_text(f"{made.secret}\n")
        options = ("--key-file", str(file), "--to", f"{site.name}/devices/d")
        _, viewer = examined(address, NOWHERE, *options)
        access.RevokeApiKey(access_pb.RevokeApiKeyRequest(name=made.api_key.name))
        _, revoked = examined(address, NOWHERE, *options)
        file.write_text(f"deidcascade_{'x' * 12}_{'x' * 43}")
        _, unknown = examined(address, NOWHERE, *options)

    for found in (viewer, revoked, unknown):
        assert found["credential"]["well"] is False
    principal = f"key:{made.api_key.name.rpartition('/')[2]}"
    assert str(viewer["credential"]["found"]).startswith(f"{principal} may on {site.name}/dev")
    assert viewer["credential"]["advice"] == (
        f"`deidcascade access grant {principal} uploader --on {site.name}/devices/d`"
    )
    for found in (revoked, unknown):
        assert str(found["credential"]["found"]).startswith("it is not accepted")


@contextmanager
def ahead(seconds: float) -> Iterator[str]:
    """Gives a service that answers health checks, and whose clock is ahead."""

    def check(
        _request: health_pb2.HealthCheckRequest, context: grpc.ServicerContext
    ) -> health_pb2.HealthCheckResponse:
        context.set_trailing_metadata(((TIME, f"{time.time() + seconds:.3f}"),))
        return health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)

    with ThreadPoolExecutor(2) as threads:
        server = grpc.server(threads)
        method = grpc.unary_unary_rpc_method_handler(
            check,
            health_pb2.HealthCheckRequest.FromString,
            health_pb2.HealthCheckResponse.SerializeToString,
        )
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": method}),)
        )
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            server.stop(0).wait()


@pytest.mark.parametrize(("seconds", "way"), [(3600.0, "ahead of"), (-3600.0, "behind")])
def test_a_clock_that_is_wrong(seconds: float, way: str) -> None:
    """A clock that is an hour off is told, with the way; so is a service of no known release."""
    with ahead(seconds) as address:
        code, found = examined(address, NOWHERE)

    clock = found["ProfileService: clock"]
    assert (clock["well"], code) == (False, 1)
    assert str(clock["found"]).endswith(f" s {way} the one here")
    assert "does not say which it is" in str(found["ProfileService: release"]["found"])
