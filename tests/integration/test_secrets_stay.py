"""No secret and no value of a file gets into anything that the services say or keep.

Marked keys, tokens and files go through every failure, over real processes; then all that
those have written is searched: logs, errors, metrics, process lists, audit, and every
table of the database.
"""

from __future__ import annotations

import re
import socket
import urllib.request
from typing import TYPE_CHECKING

import grpc
import psutil
import psycopg
from deidcascade.v1 import access_service_pb2 as access_pb
from deidcascade.v1 import profile_service_pb2 as pb
from deidcascade.v1.access_service_pb2_grpc import AccessServiceStub
from deidcascade.v1.profile_service_pb2_grpc import ProfileServiceStub
from psycopg import sql

from tests.integration.faults.files import IDENTIFIERS, PROFILE, identified_file
from tests.support.audit import told
from tests.support.callers import channel
from tests.support.deid_service import TARGET, Caller, opened, whole_file
from tests.support.environment import ADMIN_KEY, SERVICE_KEY
from tests.support.identities import AUDIENCE, ISSUER, Identities
from tests.support.processes import ServiceProcess, service_process

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MARK = "MARKEDSECRET"


def free_port() -> int:
    """Returns a port that nobody has now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


class Heard:
    """All that was answered with an error."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def failing(self, call: Callable[[], object]) -> None:
        """Makes a call that is to fail, and keeps what it says."""
        try:
            call()
        except grpc.RpcError as error:
            self.texts.append(f"{error} {error.details()} {error.trailing_metadata()}")
            return
        raise AssertionError("The call did not fail.")


def upload(address: str, key: str, target: str, *files: bytes, spoilt: bool = False) -> None:
    """Uploads files, of which the last one may be cut in the middle."""
    with channel(address, key=key) as opening:
        caller = Caller(opening, opened(target))
        for file in files:
            caller.send(*whole_file(file))
        caller.half_close()
        answers = caller.receive_all()
    results = [answer.result for answer in answers if answer.HasField("result")]
    assert [result.HasField("rejection") for result in results] == [spoilt] * len(files)


def everything_said(service: ServiceProcess) -> str:
    """Returns the log of a service."""
    return "\n".join(match[0] for match in service.found(r"(?s).*"))


def everything_kept(database: str) -> str:
    """Returns every row of every table."""
    with psycopg.connect(database) as connection:
        tables = connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
        ).fetchall()
        every = sql.SQL("SELECT t::text FROM {} AS t")
        return "\n".join(
            str(connection.execute(every.format(sql.Identifier(name))).fetchall())
            for (name,) in tables
        )


def test_nothing_gets_out(database: str, tmp_path: Path) -> None:
    """Whatever fails, and whoever asks: neither credentials nor identifiers are told."""
    identities = Identities(tmp_path / "jwks.json")
    token = identities.token("jo")
    stale = identities.token("jo", exp=1)
    heard, secrets = Heard(), [ADMIN_KEY, SERVICE_KEY, token, stale, MARK]
    metrics = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    tokens = ("--token-issuer", ISSUER, "--token-audience", AUDIENCE)
    with (
        service_process(
            *("--database", database, "--workers", "1", "--metrics", metrics[0]),
            *(*tokens, "--token-keys", str(tmp_path / "jwks.json")),
            module="profile_service",
        ) as profiles,
        service_process(
            *("--profile-service", profiles.address, "--workers", "1", "--metrics", metrics[1]),
            "--recheck-seconds=0.05",
        ) as deid,
        channel(profiles.address) as administrator,
    ):
        deid.wait_for("event=health status=SERVING")
        stub, access = ProfileServiceStub(administrator), AccessServiceStub(administrator)
        for depth in (2, 4, 6):
            container = pb.Container(name="/".join(TARGET.split("/")[:depth]))
            stub.CreateContainer(pb.CreateContainerRequest(container=container))
        stub.SetProfile(pb.SetProfileRequest(container=TARGET, source=PROFILE))
        made = access.CreateApiKey(access_pb.CreateApiKeyRequest(container=TARGET, role="uploader"))
        secrets.append(made.secret)
        files = [identified_file(number) for number in range(3)]
        upload(deid.address, made.secret, TARGET, *files)
        upload(deid.address, made.secret, TARGET, files[0][:3000], spoilt=True)

        wrong = [
            *(f"Bearer {text}" for text in (stale, f"{token}{MARK}", f"{ADMIN_KEY[:-12]}{MARK}")),
            *(f"Basic {MARK}", MARK, f"Bearer {MARK * 400}", f"Bearer {MARK}.{MARK}.{MARK}"),
        ]
        for shown in (f"Bearer {token}", f"Bearer {made.secret}", *wrong):
            metadata = (("authorization", shown),)
            with grpc.insecure_channel(profiles.address) as plain:
                other = ProfileServiceStub(plain)
                heard.failing(
                    lambda: other.GetContainer(  # noqa: B023 -- called at once
                        pb.GetContainerRequest(name="sites/s"),
                        metadata=metadata,  # noqa: B023
                    )
                )
                heard.failing(
                    lambda: other.ResolveProfile(  # noqa: B023
                        pb.ResolveProfileRequest(target=TARGET),
                        metadata=(("caller-authorization", metadata[0][1]),),  # noqa: B023
                    )
                )
        for key in (token, stale, f"{made.secret[:-12]}{MARK}"):
            heard.failing(lambda: upload(deid.address, key, TARGET, files[0]))  # noqa: B023
        for name in (MARK, f"sites/{MARK}", f"{MARK}/keys/{MARK}"):
            heard.failing(lambda: stub.GetContainer(pb.GetContainerRequest(name=name)))  # noqa: B023
            heard.failing(
                lambda: access.RevokeApiKey(access_pb.RevokeApiKeyRequest(name=name))  # noqa: B023
            )

        with channel(deid.address, key=made.secret) as opening:
            caller = Caller(opening, opened(TARGET), *whole_file(files[0])[:2])
            assert caller.receive().HasField("opened")
            access.RevokeApiKey(access_pb.RevokeApiKeyRequest(name=made.api_key.name))
            heard.failing(caller.receive_all)

        told_by = [
            urllib.request.urlopen(f"http://{address}/metrics").read().decode()
            for address in metrics
        ]
        processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
        listed = [" ".join(each.cmdline()) for each in processes[1:]]
        audit = str(told(stub, "sites/s")) + str(told(stub, ""))
        told_by += [everything_said(profiles), everything_said(deid), audit, *listed]
    kept = everything_kept(database)

    assert len(heard.texts) > 20
    for said in (*heard.texts, *told_by, kept):
        for secret in secrets:
            for part in {secret, *re.findall(r"[A-Za-z0-9-]{20,}", secret)}:
                assert part not in said, said[: said.find(part) + 80][-160:]
                # As a table has it in a column of bytes.
                assert part.encode().hex() not in said
        for identifier in IDENTIFIERS:
            assert identifier.decode() not in said
            assert identifier.hex() not in said
    # Searched was what holds something: a call of each outcome, a file of each, and bytes.
    assert PROFILE.encode().hex() in kept
    assert "code=UNAUTHENTICATED" in told_by[2]
    assert "result=REJECTED" in told_by[3]
    assert made.api_key.name.rpartition("/")[2] in kept
