"""TLS between callers, the services and the database."""

from __future__ import annotations

import re
import shutil
import socket
import ssl
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest
from click.testing import CliRunner
from deidcascade.v1 import profile_service_pb2 as pb
from deidcascade.v1.profile_service_pb2_grpc import ProfileServiceStub

from deid_service.cli import command
from profile_service.errors import StoreUnavailableError
from profile_service.serving.transport import Transport
from profile_service.store.database import Database
from tests.support.between import tls_in_front
from tests.support.callers import channel
from tests.support.certificates import Authority
from tests.support.deid_service import (
    PROFILE,
    TARGET,
    Caller,
    ct,
    opened,
    running_deid_service,
    start,
    whole_file,
)
from tests.support.processes import service_process
from tests.support.services import running_profile_service

if TYPE_CHECKING:
    pass

SITE = pb.CreateContainerRequest(container=pb.Container(name="sites/s"))


def der(file: str) -> bytes:
    """Returns the first certificate in a file."""
    end = "-----END CERTIFICATE-----"
    return ssl.PEM_cert_to_DER_cert(Path(file).read_text().partition(end)[0] + end)


def create_site(address: str, tls: grpc.ChannelCredentials | None) -> str:
    """Creates a site over a connection of its own; returns the status."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    with channel(address, options, tls=tls) as opened_channel:
        try:
            ProfileServiceStub(opened_channel).CreateContainer(SITE, timeout=10)
        except grpc.RpcError as error:
            return str(error.code().name)
    return "OK"


def test_who_gets_a_connection(database: str, authority: Authority, foreign: Authority) -> None:
    """A caller needs TLS, and to trust the server; with mutual TLS a certificate as well."""
    with running_profile_service(database, authority.server()) as address:
        assert create_site(address, None) == "UNAVAILABLE"
        assert create_site(address, foreign.trusted()) == "UNAVAILABLE"
        assert create_site(address, authority.trusted()) == "OK"
    mutual = authority.server(mutual=True)
    with running_profile_service(database, mutual) as address:
        assert create_site(address, authority.trusted()) == "UNAVAILABLE"
        for certificate in (
            foreign.certificate("client"),
            authority.certificate("client", expired=True),
        ):
            assert create_site(address, authority.trusted(*certificate)) == "UNAVAILABLE"
        known = authority.trusted(*authority.certificate("client"))
        assert create_site(address, known) == "ALREADY_EXISTS"


def test_an_expired_server(database: str, authority: Authority) -> None:
    """A server whose certificate has expired is not talked to, nor one with another name."""
    with running_profile_service(database, authority.server(expired=True)) as address:
        assert create_site(address, authority.trusted()) == "UNAVAILABLE"
    elsewhere = Transport(*authority.certificate("elsewhere.example"))
    with running_profile_service(database, elsewhere) as address:
        assert create_site(address, authority.trusted()) == "UNAVAILABLE"


def test_old_versions(database: str, authority: Authority) -> None:
    """TLS 1.2 and 1.3 are spoken, and nothing older."""
    spoken = []
    with running_profile_service(database, authority.server()) as address:
        for version in (ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = ssl.create_default_context(cafile=authority.ca)
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.set_alpn_protocols(["h2"])
            old = version is ssl.TLSVersion.TLSv1_1
            with pytest.warns(DeprecationWarning, match="TLSv1_1") if old else ExitStack():
                context.minimum_version = context.maximum_version = version
            host, _, port = address.rpartition(":")
            try:
                with (
                    socket.create_connection((host, int(port))) as plain,
                    context.wrap_socket(plain, server_hostname="localhost") as wrapped,
                ):
                    spoken.append(wrapped.version())
            except (ssl.SSLError, OSError):
                spoken.append(None)

    assert spoken == [None, "TLSv1.2", "TLSv1.3"]


def test_the_whole_way(database: str, authority: Authority, tmp_path: Path) -> None:
    """A file goes over TLS through DeidService, which reaches ProfileService by mutual TLS.

    New certificates count without a restart, on both services and on the way between, and
    a stream that is open goes on.
    """
    files = [tmp_path / name for name in ("server.pem", "server.key", "client.pem", "client.key")]

    def renew(by: Authority) -> None:
        for source, target in zip(
            (*by.certificate(), *by.certificate("deid-service")), files, strict=True
        ):
            shutil.copy(source, target)

    renew(authority)
    chain, key, client_chain, client_key = map(str, files)
    ca = tmp_path / "ca.pem"
    shutil.copy(authority.ca, ca)
    with (
        Authority() as later,
        running_profile_service(database, Transport(chain, key, str(ca))) as address,
        running_deid_service(
            address,
            transport=Transport(chain, key),
            profile_tls=(str(ca), client_chain, client_key),
        ) as service,
        channel(address, tls=authority.trusted(*authority.certificate("admin"))) as administrator,
        channel(service.address, tls=authority.trusted()) as uploading,
    ):
        stub = ProfileServiceStub(administrator)
        for depth in (2, 4, 6):
            container = pb.Container(name="/".join(TARGET.split("/")[:depth]))
            stub.CreateContainer(pb.CreateContainerRequest(container=container))
        stub.SetProfile(pb.SetProfileRequest(container=TARGET, source=PROFILE))
        caller = Caller(uploading, opened(TARGET), start("first"))
        assert caller.receive().HasField("opened")

        renew(later)
        ca.write_bytes(Path(later.ca).read_bytes())

        # What was begun over the old certificate is finished over the same connection.
        caller.send(*whole_file(ct(), "second")[1:])
        assert caller.receive_result()[1].HasField("receipt")
        caller.half_close()
        # Nobody who trusts the old authority gets a new connection ...
        assert create_site(address, authority.trusted(*authority.certificate("x"))) == "UNAVAILABLE"
        # ... and the services find each other again, by what the new one has given.
        with channel(service.address, tls=later.trusted()) as trusting:
            again = Caller(trusting, opened(TARGET), *whole_file(ct()))
            assert again.receive().HasField("opened")
            assert again.receive_result()[1].HasField("receipt")
            again.half_close()


def test_files_that_do_not_fit(
    database: str, authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """While the files do not belong together the old ones count; at the start they must."""
    one, two = authority.certificate(), authority.certificate()
    files = tmp_path / "chain.pem", tmp_path / "key.pem"
    for source, target in zip(one, files, strict=True):
        shutil.copy(source, target)
    with running_profile_service(database, Transport(str(files[0]), str(files[1]))) as address:
        shutil.copy(two[1], files[1])
        assert create_site(address, authority.trusted()) == "OK"
        assert "event=certificate cause=" in caplog.text
        shutil.copy(two[0], files[0])
        assert create_site(address, authority.trusted()) == "ALREADY_EXISTS"
        shown = ssl.get_server_certificate(("127.0.0.1", int(address.rpartition(":")[2])))
        assert ssl.PEM_cert_to_DER_cert(shown) == der(two[0])
    for wrong in (Transport(one[0], two[1]), Transport(one[0], str(tmp_path / "none"))):
        with (
            pytest.raises(OSError, match=re.escape(wrong.certificate) + "|none cannot be read"),
            running_profile_service(database, wrong),
        ):
            pass


def test_the_command(database: str, authority: Authority) -> None:
    """The command speaks TLS where it is told whom to trust, and keeps a key from plain text."""
    certificate, key = authority.certificate("admin")
    mutual = authority.server(mutual=True)
    shown = ["--tls-ca", authority.ca, "--tls-cert", certificate, "--tls-key", key]
    with running_profile_service(database, mutual) as address:
        to = ["--profile-service", address]
        results = [
            CliRunner().invoke(command, [*arguments])
            for arguments in (
                ["container", "create", "sites/s", *to, *shown],
                ["health", address, *shown],
                ["container", "get", "sites/s", *to, *shown[:2]],
                ["container", "get", "sites/s", *to],
            )
        ]
        away = CliRunner().invoke(
            command, ["container", "get", "sites/s", "--profile-service", "elsewhere.example:1"]
        )

    assert [result.exit_code for result in results] == [0, 0, 1, 1]
    assert away.exit_code == 1
    assert "in plain text" in away.output


@pytest.mark.parametrize("module", ["profile_service", "deid_service"])
def test_plain_text_stays_on_this_machine(module: str) -> None:
    """Without TLS a service listens on loopback alone, unless told so in as many words."""
    for address in ("0.0.0.0:0", "[::]:0", ":0"):
        with service_process("--listen", address, "--workers", "1", module=module) as service:
            assert service.wait() == 1
            assert service.found("say --insecure-bind")
    with service_process(
        "--listen", "0.0.0.0:0", "--workers", "1", "--insecure-bind", module=module
    ) as service:
        service.wait_for("event=insecure_bind address=0.0.0.0:0")
        assert service.address.startswith("0.0.0.0:")


def test_to_the_database(database: str, authority: Authority, foreign: Authority) -> None:
    """With sslmode=verify-full the database is reached over TLS, and only the right one."""
    with tls_in_front(database, *authority.certificate("localhost")) as conninfo:
        verified = f"{conninfo} sslmode=verify-full"
        one = Database(f"{verified} sslrootcert={authority.ca}", readers=1, writers=1)
        one.open()
        one.look()
        one.close()
        for wrong in (
            f"{verified} sslrootcert={foreign.ca}",
            f"{verified} sslrootcert={authority.ca} host=elsewhere hostaddr=127.0.0.1",
        ):
            with pytest.raises(StoreUnavailableError) as refused:
                Database(wrong, readers=1, writers=1).migrate()
            assert refused.value.cause
