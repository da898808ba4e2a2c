"""Tables of patients: set, looked up on streams, read by who may, and nobody else's."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from hashlib import sha256
from io import BytesIO
from typing import TYPE_CHECKING

import grpc
import psycopg
import pydicom
import pytest
from deidcascade.v1 import access_service_pb2 as access_pb
from deidcascade.v1 import deid_service_pb2 as deid_pb
from deidcascade.v1 import profile_service_pb2 as pb
from deidcascade.v1 import table_service_pb2 as table_pb
from deidcascade.v1.access_service_pb2_grpc import AccessServiceStub
from deidcascade.v1.profile_service_pb2_grpc import ProfileServiceStub
from deidcascade.v1.table_service_pb2_grpc import TableServiceStub

from deid_service.contract.rpc_errors import read_details
from profile_service import tables
from profile_service.keys.files import write_secret
from tests.integration.test_codes import pb_reason
from tests.integration.test_keys import of_patient, pair, project
from tests.support import callers
from tests.support.attacker import dumped
from tests.support.deid_service import Caller, opened, whole_file
from tests.support.refusals import refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.integration.test_keys import Pair
    from tests.support.databases import Databases

LOOKUP = """\
dicom:
  pseudonyms: {patient: PatientID SHIFT}
  fields:
    - {name: PatientID, lookup: {table: trial, column: code} MISSING}
    - {name: PatientName, lookup: {table: trial, column: code} MISSING}
"""
DATES = "    - {name: StudyDate, keyed-shift: true}\n"
TRIAL = "original,code,days\np,LUNG-0001,-3\nq,LUNG-0002,10\n"


def profile(missing: str = "", shift: str = "") -> str:
    """Returns a profile that looks patients up."""
    text = LOOKUP.replace(" MISSING", missing).replace(" SHIFT", shift)
    return text + DATES if shift else text


def reason(call: Callable[[], object]) -> str:
    """Returns the stable reason for which a call is refused."""
    with pytest.raises(grpc.RpcError) as failed:
        call()
    return read_details(failed.value).reason


class Services:
    """Both services, and clients of them."""

    def __init__(self, services: Pair, database: str = "") -> None:
        self.pair = services
        self.database = database
        self.tables = TableServiceStub(callers.open_channel(services.profile_address))

    def set(
        self, container: str, text: str | bytes, name: str = "trial", **more: object
    ) -> table_pb.SetTableResponse:
        """Sets a table, in small pieces."""
        data = text.encode() if isinstance(text, str) else text
        first = table_pb.SetTableRequest(container=container, table=name, **more)  # type: ignore[arg-type]
        pieces = (data[at : at + 7] for at in range(0, len(data), 7))
        return self.tables.SetTable(
            iter([first, *(table_pb.SetTableRequest(text=piece) for piece in pieces)])
        )

    def rows(self, container: str, name: str = "trial", version: int = 0) -> list[list[str]]:
        """Returns a table, its header first."""
        request = table_pb.ReadTableRequest(container=container, table=name, version=version)
        found: list[list[str]] = []
        while True:
            page = self.tables.ReadTable(request)
            found += [list(row.values) for row in page.rows]
            request.page_token = page.next_page_token
            if not page.next_page_token:
                return [list(page.columns), *sorted(found)]

    def events(self, action: str, container: str) -> list[dict[str, object]]:
        """Returns what the audit tells of what is there after an act, oldest first."""
        request = pb.ListAuditEventsRequest(parent=container, action=action)
        found = self.pair.service.ListAuditEvents(request).events
        return [json.loads(each.event).get("after", {}) for each in reversed(found)]

    def stream(self, target: str) -> Stream:
        """Opens a stream."""
        return Stream(self.pair.deid_address, target)

    def codes(self, target: str, *patients: str) -> list[str]:
        """De-identifies a file of each patient; returns what became of it."""
        with self.stream(target) as stream:
            return [stream.send(patient) for patient in patients]


class Stream:
    """A stream that is open."""

    def __init__(self, address: str, target: str) -> None:
        self._stack = ExitStack()
        options = [("grpc.use_local_subchannel_pool", 1)]
        channel = self._stack.enter_context(callers.channel(address, options))
        self.caller = Caller(channel, opened(target))
        self.opened = self.caller.receive().opened
        self.receipt = deid_pb.Receipt()

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.caller.half_close()
        self._stack.close()

    def send(self, patient: str) -> str:
        """Sends a file; returns the code and the date that it has then, or why it is rejected."""
        self.caller.send(*whole_file(of_patient(patient)))
        output, result = self.caller.receive_result()
        if result.HasField("rejection"):
            return pb_reason(result.rejection.reason).removeprefix("REJECTION_REASON_")
        self.receipt = result.receipt
        made = pydicom.dcmread(BytesIO(output))
        assert made.get("PatientName") == made.get("PatientID")
        return f"{made.get('PatientID')} {made.StudyDate}"


def test_the_same_name_in_two_sites(services: Services) -> None:
    """Two sites, and whatever is in them, never get each other's tables."""
    for site, code in (("a", "A"), ("b", "B")):
        services.pair.set(f"sites/{site}", profile())
        services.set(f"sites/{site}", f"original,code\np,{code}-1\n{site},{code}-2\n")
        services.pair.set(f"sites/{site}/devices/d", profile())

    found = [
        services.codes(target, "p", "a", "b")
        for site in "ab"
        for target in (project(site), project(site, "h", "2"), f"sites/{site}/devices/d")
    ]

    date = "20200601"
    of_a = [f"A-1 {date}", f"A-2 {date}", "NOT_IN_TABLE"]
    of_b = [f"B-1 {date}", "NOT_IN_TABLE", f"B-2 {date}"]
    assert found == [of_a] * 3 + [of_b] * 3


def test_the_nearest_table(services: Services) -> None:
    """A project's own table goes before that of its group; below a lock the one above counts."""
    group, one = "sites/a/groups/h", project("a", "h", "1")
    services.pair.set("sites/a", profile())
    services.set("sites/a", "original,code\np,OF-SITE\n")
    services.set(group, "original,code\np,OF-GROUP\n")
    services.set(one, "original,code\np,OF-PROJECT\n")

    targets = (one, project("a", "h", "2"), project("a", "g"))
    nearest = [services.codes(target, "p") for target in targets]
    with services.stream(one) as stream:
        stream.send("p")
        told = [stream.opened.tables[0], stream.receipt.tables[0]]
    lock = pb.Container(name=group, profile_locked=True)
    services.pair.service.UpdateContainer(pb.UpdateContainerRequest(container=lock))
    locked = [services.codes(project("a", "h", each), "p") for each in "12"]
    lock.profile_locked = False
    unlock = pb.UpdateContainerRequest(container=lock)
    unlock.update_mask.paths.append("profile_locked")
    services.pair.service.UpdateContainer(unlock)

    assert [each[0].split()[0] for each in nearest] == ["OF-PROJECT", "OF-GROUP", "OF-SITE"]
    assert [each[0].split()[0] for each in locked] == ["OF-GROUP", "OF-GROUP"]
    assert told[0] == told[1] == deid_pb.TableVersion(container=one, name="trial", version=1)


def test_versions(services: Services) -> None:
    """Rows replace others or are added; each is a version that stays, and the audit is told."""
    target = project("b", "g", "2")
    services.pair.set(target, profile())
    first = services.set(target, TRIAL, note="The first ones.").table
    again = services.set(target, "original,code,days\nr,LUNG-0003,1\n", add=True).table
    other = services.set(target, "original,issuer,code\np,,NEW-1\n").table

    listed = table_pb.ListTableVersionsRequest(container=target, table="trial", page_size=2)
    page = services.tables.ListTableVersions(listed)
    listed.page_token = page.next_page_token
    rest = services.tables.ListTableVersions(listed)
    rows = [services.rows(target, version=version) for version in (1, 2, 3, 0)]
    found = [each.version for each in (*page.tables, *rest.tables)]

    header, p, q, r = (line.split(",") for line in f"{TRIAL}r,LUNG-0003,1".splitlines())
    assert (first.version, first.rows, first.rows_added, first.note) == (1, 2, 2, "The first ones.")
    assert list(first.columns) == ["code", "days"]
    assert (again.version, again.rows, again.rows_added) == (2, 3, 1)
    assert (other.version, other.rows) == (3, 1)
    assert found == [3, 2, 1]
    assert rows[0] == [header, p, q]
    assert rows[1] == [header, p, q, r]
    assert rows[2] == rows[3] == [["original", "issuer", "code"], ["p", "", "NEW-1"]]
    assert services.codes(target, "p", "q") == ["NEW-1 20200601", "NOT_IN_TABLE"]
    assert services.events("table.set", target) == [
        {"added": 2, "rows": 2, "table": "trial", "version": 1},
        {"added": 1, "rows": 1, "table": "trial", "version": 3},
    ]
    assert services.events("table.add", target) == [
        {"added": 1, "rows": 3, "table": "trial", "version": 2}
    ]
    assert [each["rows"] for each in services.events("table.read", target)] == [2, 3, 1, 1]


def test_deleted_versions(services: Services) -> None:
    """Versions before one are deleted, and the rest stays; so is the whole table."""
    target = project("b", "h", "1")
    services.set(target, TRIAL)
    services.set(target, "original,code,days\nr,LUNG-0003,1\n")
    services.set(target, "original,code,days\ns,LUNG-0004,1\n", add=True)
    delete = table_pb.DeleteTableRequest(container=target, table="trial", before_version=3)

    services.tables.DeleteTable(delete)
    versions = table_pb.ListTableVersionsRequest(container=target, table="trial")
    left = [each.version for each in services.tables.ListTableVersions(versions).tables]
    rows = services.rows(target)
    delete.before_version = 4
    above = reason(lambda: services.tables.DeleteTable(delete))
    delete.before_version = 0
    services.tables.DeleteTable(delete)
    gone = reason(lambda: services.tables.DeleteTable(delete))

    assert left == [3]
    assert [row[0] for row in rows] == ["original", "r", "s"]
    assert (above, gone) == ("INVALID_TABLE", "TABLE_NOT_FOUND")
    assert services.events("table.delete", target) == [{"first_version": 3, "table": "trial"}, {}]


@pytest.mark.parametrize(
    ("missing", "shift", "expected"),
    [
        ("", "", ["LUNG-0001 20200601", "NOT_IN_TABLE"]),
        (", on-missing: remove", "", ["LUNG-0001 20200601", "None 20200601"]),
        (
            "",
            ", shift-from: {table: trial, column: days}",
            ["LUNG-0001 20200529", "NOT_IN_TABLE"],
        ),
        (
            ", on-missing: remove",
            ", shift-from: {table: trial, column: days}, shift-days: [7, 8]",
            ["LUNG-0001 20200529", "None 2020060"],
        ),
    ],
)
def test_what_files_become(
    services: Services, missing: str, shift: str, expected: list[str]
) -> None:
    """A file has what the table says of its patient; who is not listed, what the profile says."""
    target = project("a", "g", "2")
    services.set(target, TRIAL)
    services.pair.set(target, profile(missing, shift))

    found = services.codes(target, "p", "nobody", "p")

    assert found[0] == found[2]
    assert [each[: len(want)] for each, want in zip(found, expected, strict=False)] == expected


def test_hash_of_who_is_not_listed(services: Services) -> None:
    """The pseudonym of who is not listed is the same on each stream."""
    target = project("a", "g", "2")
    services.set(target, TRIAL)
    services.pair.set(target, profile(", on-missing: hash"))

    first, second = (services.codes(target, "nobody", "somebody") for _ in range(2))

    assert first == second
    assert len({*first}) == 2
    assert all(len(each.split()[0]) == 16 for each in first)


def test_case(services: Services) -> None:
    """Letter case tells patients apart, unless the profile says that it does not."""
    target = project("a", "g", "2")
    services.set(target, TRIAL)
    services.pair.set(target, profile())
    strict = services.codes(target, "P", "p")
    either = profile().replace("patient: PatientID", "patient: PatientID, ignore-case: true")
    services.pair.set(target, either)

    assert strict == ["NOT_IN_TABLE", "LUNG-0001 20200601"]
    assert services.codes(target, "P", "p") == ["LUNG-0001 20200601"] * 2


def test_a_batch(services: Services) -> None:
    """The patients of a batch are looked up at once, each with what is said of them."""
    target = project("a", "g", "2")
    patients = [f"b{number}" for number in range(30)]
    rows = "".join(f"{each},CODE-{each},1\n" for each in patients[:-1])
    services.set(target, f"original,code,days\n{rows}")
    services.pair.set(target, profile())
    parts = [
        deid_pb.RequestPart(
            file=deid_pb.FileStart(), chunk=of_patient(each), file_end=deid_pb.FileEnd()
        )
        for each in patients
    ]

    with callers.channel(services.pair.deid_address) as channel:
        caller = Caller(channel, opened(target))
        caller.receive()
        caller.send(deid_pb.DeidentifyRequest(batch=deid_pb.RequestBatch(parts=parts)))
        caller.half_close()
        answers = [part for each in caller.receive_all() for part in each.batch.parts]

    whole = b"".join(part.chunk for part in answers)
    results = [part.result for part in answers if part.HasField("result")]
    assert all(f"CODE-{each}".encode() in whole for each in patients[:-1])
    assert [each.HasField("receipt") for each in results] == [True] * 29 + [False]


def test_a_table_that_is_not_there(services: Services) -> None:
    """A profile stays valid without its table, and is warned of; no stream is opened by it."""
    target = project("a", "g", "2")
    set_profile = pb.SetProfileRequest(
        container=target, source=profile().replace("table: trial", "table: nowhere")
    )
    stored = services.pair.service.SetProfile(set_profile).profile
    resolved = services.pair.service.ResolveProfile(pb.ResolveProfileRequest(target=target))
    absent = services.pair.refusal(target)
    services.set(target, "original,arm\np,A\n", name="nowhere")
    lacking = services.pair.refusal(target)
    again = services.pair.service.SetProfile(set_profile).profile

    assert stored.validity == pb.VALIDITY_VALID
    assert [each.code for each in stored.warnings if each.code == "TABLE_MISSING"] != []
    assert resolved.outcome == pb.OUTCOME_PROFILE
    assert [(each.name, each.container) for each in resolved.tables] == [("nowhere", "")]
    assert absent[0] == lacking[0] == "TABLE_MISSING"
    assert "nowhere" in absent[1]
    assert "column code" in lacking[1]
    assert "no column code" in again.warnings[-1].message


@pytest.mark.parametrize("act", ["replace", "delete"])
def test_a_table_that_changes_while_a_stream_is_open(services: Services, act: str) -> None:
    """A stream has one version throughout; of one that is deleted, no new patient is taken."""
    target = project("b", "h", "2")
    services.pair.set(target, profile())
    services.set(target, TRIAL)

    with services.stream(target) as stream:
        before = stream.send("p")
        if act == "replace":
            services.set(target, "original,code\nq,OTHER-2\np,OTHER-1\n")
        else:
            delete = table_pb.DeleteTableRequest(container=target, table="trial")
            services.tables.DeleteTable(delete)
            services.set(target, "original,code\nq,OTHER-2\np,OTHER-1\n")
        after = [stream.send("q"), stream.send("p")]
    anew = services.codes(target, "q", "p")

    assert before == "LUNG-0001 20200601"
    replaced = ["LUNG-0002 20200601", "LUNG-0001 20200601"]
    assert after == (replaced if act == "replace" else ["NOT_IN_TABLE", before])
    assert anew == ["OTHER-2 20200601", "OTHER-1 20200601"]


def test_streams_while_tables_are_replaced(services: Services) -> None:
    """Whatever is set meanwhile, all files of a stream have codes of one version."""
    target = project("b", "h", "2")
    services.pair.set(target, profile())
    patients = [f"w{number}" for number in range(12)]

    def text(version: int) -> str:
        return "original,code\n" + "".join(f"{each},V{version}-{each}\n" for each in patients)

    services.set(target, text(0))
    stop = threading.Event()

    def replace() -> int:
        count = 0
        while not stop.is_set():
            count += 1
            services.set(target, text(count))
        return count

    with ThreadPoolExecutor(5) as pool:
        replacing = pool.submit(replace)
        found = list(pool.map(lambda _: services.codes(target, *patients), range(12)))
        stop.set()
        count = replacing.result()

    assert count > 1
    for codes in found:
        versions = {code.split("-")[0] for code in codes}
        assert len(versions) == 1
        assert [code.split()[0].split("-")[1] for code in codes] == patients


def test_a_container_that_is_made_anew(services: Services) -> None:
    """It has not the tables of the one that was there before, nor do streams get them."""
    target = "sites/b/devices/d"
    services.pair.set(target, profile())
    services.set(target, TRIAL)
    services.pair.service.DeleteContainer(pb.DeleteContainerRequest(name=target))
    services.pair.service.CreateContainer(
        pb.CreateContainerRequest(container=pb.Container(name=target))
    )
    services.pair.set(target, profile().replace("table: trial", "table: other"))
    listed = services.tables.ListTables(table_pb.ListTablesRequest(container=target))
    request = table_pb.ReadTableRequest(container=target, table="trial", version=1)
    read = reason(lambda: services.tables.ReadTable(request))

    assert list(listed.tables) == []
    assert read == "TABLE_NOT_FOUND"
    assert services.pair.refusal(target)[0] == "TABLE_MISSING"


def test_an_invalid_table(services: Services) -> None:
    """What is wrong is said with its line, by the profiles below as well, and nothing is kept."""
    target = project("a", "h", "2")
    services.pair.set(target, profile("", ", shift-from: {table: trial, column: days}"))
    services.set(target, TRIAL)
    text = TRIAL + f"p,a,1\nr,LUNG-0001,2\ns,{'x' * 65},0\n,t,1\nu,u,1\n"

    would_be = services.set("sites/a/groups/h", text, validate_only=True)
    kept = services.set("sites/a/groups/h", TRIAL, validate_only=True).table
    with pytest.raises(grpc.RpcError) as failed:
        services.set(target, text)
    more = "original,code,days\nq,b,1\nr,LUNG-0001,2\n"
    adding = services.set(target, more, add=True, validate_only=True)
    columns = reason(lambda: services.set(target, "original,code\nr,1\n", add=True))
    listed = services.tables.ListTables(table_pb.ListTablesRequest(container="sites/a/groups/h"))

    assert [(each.code, each.path, each.line) for each in would_be.violations] == [
        ("DUPLICATE_ORIGINAL", "", 4),
        ("DUPLICATE_CODE", "code", 5),
        ("VALUE_NOT_FOR_VR", "code", 6),
        ("NOT_DAYS", "days", 6),
        ("EMPTY_ORIGINAL", "", 7),
        ("CODE_IS_ORIGINAL", "code", 8),
    ]
    assert (kept.version, kept.rows) == (
        (listed.tables[0].version if listed.tables else 0) + 1,
        2,
    )
    assert failed.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "line 6" in (failed.value.details() or "")
    assert "xxx" not in (failed.value.details() or "")
    assert [(each.code, each.line) for each in adding.violations] == [
        ("DUPLICATE_ORIGINAL", 2),
        ("DUPLICATE_CODE", 3),
    ]
    assert columns == "INVALID_TABLE"
    assert services.rows(target)[1:] == [["p", "LUNG-0001", "-3"], ["q", "LUNG-0002", "10"]]


def test_many_profiles(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """All profiles that use a table are asked what they do with it; or it is said how many not."""
    monkeypatch.setattr(tables, "PAGE_TEXTS", 2)
    group = "sites/b/groups/g"
    for number in range(5):
        name = project("b", "g", f"many-{number}")
        container = pb.Container(name=name)
        services.pair.service.CreateContainer(pb.CreateContainerRequest(container=container))
        services.pair.set(name, f"{profile()}# {number}\n".replace("table: trial", "table: many"))
        other = f"{profile()}# {number}\n".replace("table: trial", "table: many2")
        services.pair.set(project("b", "g", "1"), other)
    too_long = f"original,code\np,{'x' * 65}\n"

    found = []
    for most in (6, 4):
        monkeypatch.setattr(tables, "MAX_TEXTS", most)
        answer = services.set(group, too_long, "many", validate_only=True)
        found.append(([each.code for each in answer.violations], answer.profiles_unchecked))
    kept = services.set(group, "original,code\np,a\n", "many")

    assert found == [(["VALUE_NOT_FOR_VR"], 0), (["VALUE_NOT_FOR_VR"], 1)]
    assert (kept.table.version, kept.profiles_unchecked) == (1, 1)


def test_twice(services: Services) -> None:
    """Patients and codes that stand there twice are said with both lines."""
    target = project("a", "h", "2")
    text = "original,code,days\np,a,1\nq,b,1\nP,c,1\nr,a,1\n"

    found = services.set(target, text, validate_only=True).violations

    assert [(each.code, each.line) for each in found] == [
        ("DUPLICATE_ORIGINAL", 4),
        ("DUPLICATE_CODE", 5),
    ]
    assert "line 2" in found[0].message
    assert "line 2" in found[1].message


def test_rows_are_added_at_once(services: Services) -> None:
    """Of two who add the same patient at once one is told so; no row is lost."""
    target = project("a", "h", "2")
    services.set(target, "original,code\nfirst,0\n", name="many")

    def add(number: int) -> str:
        text = f"original,code\nown{number},C{number}\nboth,B{number}\n"
        while True:
            try:
                services.set(target, text, name="many", add=True)
            except grpc.RpcError as error:
                if (why := read_details(error).reason) != "STORE_BUSY":
                    return why
            else:
                return "OK"

    with ThreadPoolExecutor(4) as pool:
        found = sorted(pool.map(add, range(4)))

    assert found == ["OK", *["TABLE_INVALID"] * 3]
    assert len(services.rows(target, "many")) == 4


def test_an_upload_that_breaks_off(services: Services) -> None:
    """What came of a table before its caller went away is not kept, and holds up no other."""
    target = project("a", "g", "1")
    goes_on = threading.Event()

    def messages() -> Iterator[table_pb.SetTableRequest]:
        text = b"original,code\n" + b"".join(b"%d,c%d\n" % (n, n) for n in range(5000))
        yield table_pb.SetTableRequest(container=target, table="broken", text=text)
        goes_on.wait()

    with psycopg.connect(services.database, autocommit=True) as connection:
        call = services.tables.SetTable.future(messages())
        copying = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'COPY patient_row%'"
        while connection.execute(copying).fetchone() != (1,):
            connection.execute("SELECT pg_sleep(0.01)")
        call.cancel()
        goes_on.set()
        while connection.execute(copying).fetchone() != (0,):
            connection.execute("SELECT pg_sleep(0.01)")
    listed = services.tables.ListTables(table_pb.ListTablesRequest(container=target)).tables
    again = services.set(target, "original,code\n1,c1\n", name="broken").table

    assert "broken" not in {each.name for each in listed}
    assert (again.version, again.rows) == (1, 1)


def test_many_rows(services: Services) -> None:
    """A long table is read in pages of the version that the first one was of."""
    target = project("a", "g", "1")
    rows = [[f"n{number}", f"c{number}"] for number in range(2500)]
    text = "original,code\n" + "".join(f"{','.join(row)}\n" for row in rows)
    services.set(target, text, name="long")
    request = table_pb.ReadTableRequest(container=target, table="long")
    page = services.tables.ReadTable(request)
    services.set(target, "original,code\nother,d\n", name="long")

    found = list(page.rows)
    while page.next_page_token:
        request.page_token = page.next_page_token
        page = services.tables.ReadTable(request)
        found += page.rows

    assert sorted(list(row.values) for row in found) == sorted(rows)
    assert services.rows(target, "long")[1:] == [["other", "d"]]


def test_a_dump_says_nothing(databases: Databases, tmp_path: Path) -> None:
    """A dump without the master key shows no original and no code; with it, all is there again."""
    write_secret(tmp_path / "master.key")
    write_secret(tmp_path / "other.key")
    secrets = ("p4711007", "LUNG-SECRET-1", "-1234")
    with databases.clone() as database:
        with pair(database, tmp_path) as both:
            both.make_containers()
            services = Services(both)
            both.set("sites/a", profile())
            services.set("sites/a", f"original,code,days\n{','.join(secrets)}\n")
            before = services.codes(project(), secrets[0])
        text = dumped(database)
        with pair(database, tmp_path, master="other") as both:
            refusal = both.refusal(project())
            request = table_pb.ReadTableRequest(container="sites/a", table="trial")
            other = Services(both)
            unreadable = reason(lambda: other.tables.ReadTable(request))
        with pair(database, tmp_path, master="") as both:
            without = Services(both)
            no_key = reason(lambda: without.set("sites/a", TRIAL))
        with pair(database, tmp_path) as both:
            services = Services(both)
            assert services.codes(project(), secrets[0]) == before
            assert services.rows("sites/a")[1] == list(secrets)

    assert b"patient_row" in text
    assert not any(secret.encode() in text for secret in secrets[:2])
    assert refusal[0] == "PROFILE_NOT_SUPPORTED"
    assert unreadable == no_key == "NO_MASTER_KEY"


def test_rows_that_nobody_can_read_are_removed(databases: Databases, tmp_path: Path) -> None:
    """A service that starts removes rows of deleted tables and versions."""
    write_secret(tmp_path / "master.key")
    with databases.clone() as database:
        with pair(database, tmp_path) as both:
            both.make_containers()
            services = Services(both)
            for name in ("kept", "gone"):
                services.set("sites/a", TRIAL, name=name)
                services.set("sites/a", TRIAL, name=name)
            services.tables.DeleteTable(
                table_pb.DeleteTableRequest(container="sites/a", table="gone")
            )
            services.tables.DeleteTable(
                table_pb.DeleteTableRequest(container="sites/a", table="kept", before_version=2)
            )
        with psycopg.connect(database, autocommit=True) as connection:
            count = (
                "SELECT count(*) FILTER (WHERE kind = 'row'), count(*) FILTER (WHERE kind = 'gone')"
                " FROM (SELECT 'row' AS kind FROM patient_row"
                " UNION ALL SELECT 'gone' FROM patient_row_gone) AS each"
            )
            before = connection.execute(count).fetchone()
            with pair(database, tmp_path) as both:
                while connection.execute(count).fetchone() != (2, 0):
                    connection.execute("SELECT pg_sleep(0.05)")
                left = Services(both).rows("sites/a", "kept")

    assert before == (8, 2)
    assert len(left) == 3


def test_two_set_a_table(services: Services) -> None:
    """Where a site demands four eyes, one proposes a text, another approves, and it is set once."""
    services.pair.service.CreateContainer(
        pb.CreateContainerRequest(container=pb.Container(name="sites/eyes"))
    )
    access = AccessServiceStub(callers.open_channel(services.pair.profile_address))
    key = access_pb.CreateApiKeyRequest(container="sites/eyes", role="site-admin")
    other = access.CreateApiKey(key).secret
    demanding = pb.Container(name="sites/eyes", approval_required=True)
    first = services.pair.service
    first.UpdateContainer(pb.UpdateContainerRequest(container=demanding))
    text = "original,code\n1,A\n"
    with refused("FAILED_PRECONDITION", "APPROVAL_REQUIRED"):
        services.set("sites/eyes", text)
    assert services.set("sites/eyes", text, validate_only=True).table.rows == 1
    proposed = pb.ProposedTable(
        container="sites/eyes", table="trial", text_sha256=sha256(text.encode()).digest()
    )
    change = first.ProposeChange(pb.ProposeChangeRequest(set_table=proposed)).change
    decision = pb.DecideChangeRequest(container="sites/eyes", number=change.number, approve=True)
    with refused("FAILED_PRECONDITION", "SAME_PERSON"):
        first.DecideChange(decision)
    with refused("FAILED_PRECONDITION", "APPROVAL_REQUIRED"):
        services.set("sites/eyes", text)

    with callers.channel(services.pair.profile_address, key=other) as opened_by_other:
        ProfileServiceStub(opened_by_other).DecideChange(decision)

    for other_text, name in ((f"{text}2,B\n", "trial"), (text, "other")):
        with refused("FAILED_PRECONDITION", "APPROVAL_REQUIRED"):
            services.set("sites/eyes", other_text, name)
    assert services.set("sites/eyes", text).table.version == 1
    with refused("FAILED_PRECONDITION", "APPROVAL_REQUIRED"):
        services.set("sites/eyes", text)
    with refused("FAILED_PRECONDITION", "APPROVAL_REQUIRED"):
        services.set("sites/eyes", "original,code\n2,B\n", add=True)
    old = pb.ProposedTable(
        container="sites/eyes", table="trial", text_sha256=bytes(32), after_version=2
    )
    with refused("ABORTED", "ETAG_MISMATCH"):
        first.ProposeChange(pb.ProposeChangeRequest(set_table=old))
    old.text_sha256 = b"short"
    with refused("INVALID_ARGUMENT", "INVALID_CHANGE"):
        first.ProposeChange(pb.ProposeChangeRequest(set_table=old))
