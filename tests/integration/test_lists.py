"""Lists of a site: set, looked for on streams, and told to nobody else."""

from __future__ import annotations

from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING

import pydicom
import pytest
from deidcascade.v1 import access_service_pb2 as access_pb
from deidcascade.v1 import deid_service_pb2 as deid_pb
from deidcascade.v1 import profile_service_pb2 as pb
from deidcascade.v1 import table_service_pb2 as table_pb
from deidcascade.v1.access_service_pb2_grpc import AccessServiceStub
from deidcascade.v1.deid_service_pb2_grpc import DeidServiceStub

from profile_service import tables
from profile_service.keys.delivery import ServiceKey
from tests.integration.test_keys import project
from tests.integration.test_tables import Services, reason
from tests.support import callers
from tests.support.attacker import dumped
from tests.support.deid_service import Caller, opened, whole_file
from tests.support.engine.build import dicom, el
from tests.support.environment import ADMIN_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator


PROFILE = """\
dicom:
  base: ps3.15-2026c-basic
  words: {remove-from: [towns], remove-names-from: [staff]}
"""
LOOKUP = """\
dicom:
  fields:
    - {name: PatientID, lookup: {table: trial, column: code}}
    - {name: PatientName, remove: true}
"""
DATA = dicom(
    el("SOPClassUID", "1.2.840.10008.5.1.4.1.1.2"),
    el("SOPInstanceUID", "1.2.3.4"),
    el("Manufacturer", "ACME IN ULM AND BONN, BY MUELLER"),
    el("PatientName", "ROE^RICHARD"),
)


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


def previewed(
    services: Services, target: str, source: str = "", key: str = ADMIN_KEY
) -> deid_pb.PreviewProfileResponse:
    """Returns a preview, by default for who may do all."""
    start = deid_pb.PreviewStart(target=target, source=source)
    messages = [
        deid_pb.PreviewProfileRequest(start=start),
        deid_pb.PreviewProfileRequest(chunk=DATA),
    ]
    with callers.channel(services.pair.deid_address, key=key) as channel:
        return DeidServiceStub(channel).PreviewProfile(iter(messages))


def shown(preview: deid_pb.PreviewProfileResponse) -> str:
    """Returns what is left of the text of a file."""
    found = {each.path: each.after for each in preview.changes}
    return found.get("Manufacturer", "ACME IN ULM AND BONN, BY MUELLER")


def test_preview(services: Services) -> None:
    """A preview has the lists in force, for who may upload; it names those that it has not."""
    target = project("b", "h", "2")
    services.pair.set(target, PROFILE)
    missing = previewed(services, target)
    services.set("sites/b", "word\nUlm\n", "towns")
    half = previewed(services, target)
    services.set(target, "name\nMüller^Hans\n", "staff")
    with stream(services, target) as caller:
        said, tables = left(caller)
    access = AccessServiceStub(callers.open_channel(services.pair.profile_address))
    viewer = access.CreateApiKey(
        access_pb.CreateApiKeyRequest(container="sites/b", role="viewer")
    ).secret

    whole = previewed(services, target)
    of_viewer = previewed(services, target, key=viewer)
    of_text = previewed(services, target, PROFILE)
    without = previewed(services, target, "dicom: {base: ps3.15-2026c-basic}\n")

    assert (shown(whole), list(whole.lists)) == (said, tables)
    assert said == "ACME IN AND BONN, BY"
    assert not whole.lists_left_out
    for each in (missing, half, of_viewer, of_text):
        assert shown(each) == "ACME IN ULM AND BONN, BY MUELLER"
        assert (list(each.lists), list(each.lists_left_out)) == ([], ["staff", "towns"])
    assert (list(without.lists), list(without.lists_left_out)) == ([], [])


def test_preview_without_lists(services: Services) -> None:
    """A profile in force that names no lists, or other tables, has none left out."""
    target = project("a", "h", "2")
    services.set(target, "original,code\n4711,A\n", "trial")
    found = []
    for source in ("dicom: {base: ps3.15-2026c-basic}\n", LOOKUP):
        services.pair.set(target, source)
        preview = previewed(services, target)
        found.append((list(preview.lists), list(preview.lists_left_out)))

    assert found == [([], [])] * 2


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
