"""Lists of a site: set, looked for on streams, and told to nobody else."""

from __future__ import annotations

from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING

import pydicom
import pytest
from deidcascade.v1 import profile_service_pb2 as pb
from deidcascade.v1 import table_service_pb2 as table_pb

from profile_service import tables
from profile_service.keys.delivery import ServiceKey
from profile_service.keys.files import write_secret
from tests.integration.test_keys import pair, project
from tests.integration.test_tables import Services, reason
from tests.support import callers
from tests.support.attacker import dumped
from tests.support.deid_service import Caller, opened, whole_file
from tests.support.engine.build import dicom, el

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deidcascade.v1 import deid_service_pb2 as deid_pb

    from tests.support.databases import Databases

PROFILE = """\
dicom:
  base: ps3.15-2026c-basic
  words: {remove-from: [towns], remove-names-from: [staff]}
"""
DATA = dicom(
    el("SOPClassUID", "1.2.840.10008.5.1.4.1.1.2"),
    el("SOPInstanceUID", "1.2.3.4"),
    el("Manufacturer", "ACME IN ULM AND BONN, BY MUELLER"),
    el("PatientName", "ROE^RICHARD"),
)


@pytest.fixture(scope="module")
def services(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """Services for all tests of the module, each with containers of its own."""
    keys = tmp_path_factory.mktemp("keys")
    write_secret(keys / "master.key")
    with databases.clone() as database, pair(database, keys) as both:
        both.make_containers()
        yield Services(both, database)


@contextmanager
def stream(services: Services, target: str) -> Iterator[Caller]:
    """Opens a stream."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    with callers.channel(services.pair.deid_address, options) as channel:
        caller = Caller(channel, opened(target))
        caller.receive()
        yield caller
        caller.half_close()


def left(caller: Caller) -> tuple[str, list[deid_pb.TableVersion]]:
    """Sends a file; returns what is left of its text, and the tables that the receipt names."""
    caller.send(*whole_file(DATA))
    output, result = caller.receive_result()
    return pydicom.dcmread(BytesIO(output)).Manufacturer, list(result.receipt.tables)


def test_versions(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream has the lists that are in force when it begins, and receipts name them."""
    monkeypatch.setattr(tables, "PAGE_ROWS", 2)
    target = project("a", "g", "1")
    services.pair.set(target, PROFILE)
    services.set("sites/a", "word\nUlm\nKiel\nJena\nHof\nAue\n", "towns")
    services.set("sites/a", "name\nMüller^Hans\n", "staff")

    with stream(services, target) as first:
        before = left(first)
        services.set("sites/a", "word\nBonn\n", "towns", add=True)
        meanwhile = left(first)
        with stream(services, target) as second:
            after = left(second)

    assert [before[0], meanwhile[0]] == ["ACME IN AND BONN, BY"] * 2
    assert after[0] == "ACME IN AND , BY"
    assert [(each.name, each.container, each.version) for each in before[1]] == [
        ("staff", "sites/a", 1),
        ("towns", "sites/a", 1),
    ]
    assert [each.version for each in after[1]] == [1, 2]


def test_the_nearest(services: Services) -> None:
    """Each site and project has its own list; where there is none, no stream is opened."""
    target, other = project("a", "h", "1"), project("b", "h", "1")
    for each in (target, other):
        services.pair.set(each, PROFILE)
        services.set(each, "name\nNobody^Else\n", "staff")
    services.set(target, "word\nBonn\n", "towns")

    with stream(services, target) as caller:
        found = left(caller)[0]

    assert found == "ACME IN ULM AND , BY MUELLER"
    assert reason(lambda: services.stream(other)) == "TABLE_MISSING"
    services.set(other, "original,code\np,1\n", "towns")
    assert reason(lambda: services.stream(other)) == "TABLE_MISSING"
    services.set(other, "word\nUlm\n", "towns")
    with stream(services, other) as caller:
        assert left(caller)[0] == "ACME IN AND BONN, BY MUELLER"
    services.tables.DeleteTable(table_pb.DeleteTableRequest(container=other, table="towns"))
    assert reason(lambda: services.stream(other)) == "TABLE_MISSING"


def test_secret(services: Services) -> None:
    """No word stands in the database, in the audit, or in the answer to who has not the key."""
    target = project("b", "g", "1")
    services.set(target, "word\nXyzzyville\n", "towns")
    answer = services.tables.ListTables(table_pb.ListTablesRequest(container=target))
    (stored,) = answer.tables
    events = services.pair.service.ListAuditEvents(pb.ListAuditEventsRequest(parent=target)).events

    assert (stored.rows, list(stored.columns)) == (1, ["word"])
    assert services.rows(target, "towns") == [["original", "word"], ["Xyzzyville", "Xyzzyville"]]
    assert not [each for each in events if b"yzzy" in each.event.encode()]
    assert b"yzzy" not in dumped(services.database)
    strange = ServiceKey("no key of a service").request(target)
    request = table_pb.ReadListRequest(
        target=target,
        container=target,
        table="towns",
        id=1,
        version=1,
        column="word",
        key_request=strange,
    )
    assert reason(lambda: services.tables.ReadList(request)) == "PERMISSION_DENIED"
