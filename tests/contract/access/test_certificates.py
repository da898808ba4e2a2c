"""Client certificates that stand for callers."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import grpc
import pytest
from deidcascade.v1 import access_service_pb2 as access_pb
from deidcascade.v1 import profile_service_pb2 as pb
from deidcascade.v1.access_service_pb2_grpc import AccessServiceStub
from deidcascade.v1.profile_service_pb2_grpc import ProfileServiceStub

from tests.contract.access.conftest import DEVICE, SITE, Gateway
from tests.support.callers import channel
from tests.support.certificates import Authority
from tests.support.deid_service import PROFILE, Caller, opened, running_deid_service, status_of
from tests.support.environment import ADMIN_KEY, SERVICE_KEY
from tests.support.services import running_profile_service

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.databases import Databases

SCANNER = "spiffe://hospital.example/ct-1"
KEYS = (SERVICE_KEY, ADMIN_KEY)
ROLE = f"{SITE}/roles/gateway"


@pytest.fixture(scope="module")
def authority() -> Iterator[Authority]:
    """Whose certificates callers must have."""
    with Authority() as one:
        yield one


@pytest.fixture(scope="module")
def mutual(databases: Databases, authority: Authority) -> Iterator[Gateway]:
    """A pair that asks for certificates."""
    with ExitStack() as running:
        database = running.enter_context(databases.clone())
        transport = authority.server(mutual=True)
        address = running.enter_context(running_profile_service(database, transport))
        deid = running.enter_context(
            running_deid_service(
                address,
                transport=transport,
                profile_tls=(authority.ca, *authority.certificate("deid-service")),
                recheck_seconds=0.05,
            )
        )
        made = Gateway(address, deid, database, running)
        tls = authority.trusted(*authority.certificate("admin"))
        made._channels.update(
            {key: running.enter_context(channel(address, key=key, tls=tls)) for key in KEYS}
        )
        for name in (SITE, DEVICE):
            made.create(name)
        made.profiles().SetProfile(pb.SetProfileRequest(container=DEVICE, source=PROFILE))
        yield made


def who(mutual: Gateway, tls: grpc.ChannelCredentials, key: str = "") -> str:
    """Returns as whom a caller is known."""
    with channel(
        mutual.address, [("grpc.use_local_subchannel_pool", 1)], key=key, tls=tls
    ) as opening:
        stub = AccessServiceStub(opening)
        return stub.TestPermissions(access_pb.TestPermissionsRequest()).principal


def test_names(mutual: Gateway, authority: Authority) -> None:
    """A caller is its SPIFFE ID, else its subject; a key that it shows goes before."""
    scanner = authority.trusted(*authority.workload(SCANNER))
    plain = authority.trusted(*authority.certificate("ct-1.example", common_name="ct-1"))
    two = authority.trusted(*authority.workload(SCANNER, "spiffe://hospital.example/ct-2"))

    assert who(mutual, scanner) == f"certificate:{SCANNER}"
    assert who(mutual, plain).startswith("certificate:")
    assert "CN=ct-1" in who(mutual, plain)
    assert who(mutual, plain, SERVICE_KEY) == "key:ssssssssssss"
    assert status_of(lambda: who(mutual, two))[0] == "UNAUTHENTICATED"


def test_a_scanner_sends(mutual: Gateway, authority: Authority) -> None:
    """A device uploads by its certificate where DeidService is believed, and until it is not."""
    scanner = authority.trusted(*authority.workload(SCANNER))
    mutual.grant(f"certificate:{SCANNER}", "device", DEVICE)
    service = f"key:{SERVICE_KEY.split('_')[1]}"

    def send() -> tuple[str, str]:
        with channel(mutual.deid_service.address, key="", tls=scanner) as sending:
            caller = Caller(sending, opened(DEVICE))
            caller.half_close()
            return status_of(caller.receive_all)

    # That DeidService may not say so is its own trouble, and none of the caller's.
    assert send() == ("UNAVAILABLE", "PROFILE_SERVICE_UNAVAILABLE")
    mutual.set_role(ROLE, "uploads.vouch")
    mutual.grant(service, ROLE, SITE)
    assert send() == ("OK", "")
    with channel(mutual.deid_service.address, key="", tls=scanner) as sending:
        caller = Caller(sending, opened(DEVICE))
        assert caller.receive().HasField("opened")
        mutual.revoke(f"certificate:{SCANNER}", "device", DEVICE)
        assert status_of(caller.receive_all) == ("PERMISSION_DENIED",) * 2


def test_a_certificate_is_nothing_that_is_said(mutual: Gateway, authority: Authority) -> None:
    """Nobody becomes a certificate by writing its name into the metadata."""
    mutual.grant(f"certificate:{SCANNER}", "site-admin", SITE)
    somebody = authority.trusted(*authority.certificate("somebody"))
    named = (("caller-certificate", SCANNER),)
    with channel(mutual.address, key="", tls=somebody) as opening:
        stub = ProfileServiceStub(opening)
        get = pb.GetContainerRequest(name=SITE)
        resolve = pb.ResolveProfileRequest(target=DEVICE)
        assert status_of(lambda: stub.GetContainer(get, metadata=named))[0] == "UNAUTHENTICATED"
        assert status_of(lambda: stub.ResolveProfile(resolve, metadata=named)) == (
            "PERMISSION_DENIED",
            "SERVICE_REFUSED",
        )
        both = (*named, ("caller-authorization", f"Bearer {SERVICE_KEY}"))
        assert status_of(lambda: stub.ResolveProfile(resolve, metadata=both))[0] == (
            "UNAUTHENTICATED"
        )
