"""The audit: what is told of each change, to whom, and that it is still what was told."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psycopg
import pytest
from deidcascade.v1 import profile_service_pb2 as pb
from deidcascade.v1.profile_service_pb2_grpc import ProfileServiceStub
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from deid_service.cli.audit import kept_heads, line_of, verified_file
from deid_service.cli.chains import BEGINNING, Link
from profile_service import file_events
from profile_service.access.actor import Actor, Credential
from profile_service.audit import Action, Entry
from profile_service.retention import Retention
from profile_service.store import Store, roles, writers
from profile_service.store import audit as stored
from tests.contract.profile_service.conftest import GROUP, PROJECT, SITE
from tests.support import callers
from tests.support.audit import told, troubles
from tests.support.processes import service_process
from tests.support.refusals import refused
from tests.support.services import running_profile_service

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.databases import Databases

VALID = "dicom:\n  fields:\n  - name: PatientName\n    remove: true\n"
SECOND = f"{VALID}  - name: PatientID\n    remove: true\n"


def set_profile(service: ProfileServiceStub, container: str, source: str) -> pb.Profile:
    """Attaches a profile."""
    return service.SetProfile(pb.SetProfileRequest(container=container, source=source)).profile


# --- What is told ---------------------------------------------------------------------------


def test_each_change_is_told(hierarchy: ProfileServiceStub) -> None:
    """What was done to what, with what was there before and what is there now."""
    digests = [set_profile(hierarchy, GROUP, text).sha256 for text in (VALID, SECOND)]
    hierarchy.ClearProfile(pb.ClearProfileRequest(container=GROUP))
    named = pb.Container(name=SITE, display_name="Hospital")
    hierarchy.UpdateContainer(pb.UpdateContainerRequest(container=named))
    off = pb.Container(name=SITE, enforcement=pb.ENFORCEMENT_DISABLED)
    mask = FieldMask(paths=["enforcement"])
    hierarchy.UpdateContainer(pb.UpdateContainerRequest(container=off, update_mask=mask))
    hierarchy.DeleteContainer(pb.DeleteContainerRequest(name=PROJECT))

    found = [json.loads(event.event) for event in told(hierarchy, SITE)]

    assert [(event["action"], event["resource"]) for event in found] == [
        ("container.create", SITE),
        ("container.create", GROUP),
        ("container.create", PROJECT),
        ("container.create", "sites/s/devices/d"),
        ("profile.set", GROUP),
        ("profile.set", GROUP),
        ("profile.clear", GROUP),
        ("container.update", SITE),
        ("enforcement.update", SITE),
        ("container.delete", PROJECT),
    ]
    versions = [
        [event.get(side, {}).get("version") for side in ("before", "after")] for event in found[4:7]
    ]
    assert versions == [[None, 1], [1, 2], [2, None]]
    assert [event["after"]["sha256"] for event in found[4:6]] == digests
    assert [event["after"]["display_name"] for event in found[7:9]] == ["Hospital"] * 2
    switches = [found[8][side]["enforcement"] for side in ("before", "after")]
    assert switches == ["enforced", "disabled"]


def test_who_and_from_where_is_told(hierarchy: ProfileServiceStub) -> None:
    """An event says who called, how they were known, from where, and by which request."""
    event = told(hierarchy, SITE)[0]
    assert (event.credential, event.key_id) == ("api-key", "a" * 12)
    assert event.subject == "administrator"
    assert event.peer.startswith(("ipv4:127.0.0.1:", "ipv6:"))
    assert len(event.request_id) == 16
    actor = json.loads(event.event)["actor"]
    assert (actor["peer"], actor["request"]) == (event.peer, event.request_id)


def test_what_changes_nothing_is_not_told(hierarchy: ProfileServiceStub) -> None:
    """The same text again, and the display name that is there already, are no changes."""
    set_profile(hierarchy, SITE, VALID)
    before = told(hierarchy, SITE)
    set_profile(hierarchy, SITE, VALID)
    same = pb.Container(name=SITE, enforcement=pb.ENFORCEMENT_ENFORCED)
    hierarchy.UpdateContainer(pb.UpdateContainerRequest(container=same))
    with refused("NOT_FOUND", "PROFILE_NOT_FOUND"):
        hierarchy.ClearProfile(pb.ClearProfileRequest(container=GROUP))
    assert told(hierarchy, SITE) == before


def test_events_outlive_their_container(hierarchy: ProfileServiceStub) -> None:
    """What was done to a container is told when it is gone, also a site and one made anew."""
    for name in (PROJECT, "sites/s/devices/d", GROUP, SITE):
        hierarchy.DeleteContainer(pb.DeleteContainerRequest(name=name))
    hierarchy.CreateContainer(pb.CreateContainerRequest(container=pb.Container(name=SITE)))
    assert [event.action for event in told(hierarchy, PROJECT)] == [
        "container.create",
        "container.delete",
    ]
    assert [event.number for event in told(hierarchy, SITE)] == list(range(1, 10))
    assert troubles(hierarchy) == {}


def test_a_change_that_cannot_be_told_is_not_made(
    database: str, hierarchy: ProfileServiceStub
) -> None:
    """Without its event there is no change."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("ALTER FUNCTION audit_append RENAME TO gone")
        with refused("INTERNAL", "INTERNAL"):
            set_profile(hierarchy, SITE, VALID)
    with refused("NOT_FOUND", "PROFILE_NOT_FOUND"):
        hierarchy.GetProfile(pb.GetProfileRequest(container=SITE))


MALLORY = Actor("mallory\x00\n" + 500 * "x", Credential.TOKEN, peer="ipv4:10.0.0.7:5")


def test_what_was_denied_is_told(database: str, hierarchy: ProfileServiceStub) -> None:
    """An attempt that was denied is an event; of a site that never was, in the chain of none."""
    store = Store(database, readers=1, writers=1)
    store.database.open()
    for resource in (GROUP, "sites/guessed/groups/g"):
        entry = Entry(Action.SET_PROFILE, resource, MALLORY, denied="PERMISSION_DENIED")
        store.audit.record(entry)
    store.database.close()
    event = told(hierarchy, GROUP)[-1]
    assert (event.denied_reason, event.credential) == ("PERMISSION_DENIED", "token")
    assert event.subject.startswith("mallory\N{REPLACEMENT CHARACTER}")
    assert len(event.subject) < 500
    assert told(hierarchy, "")[-1].resource == "sites/guessed/groups/g"
    assert told(hierarchy, "sites/guessed") == []


# --- Lists ----------------------------------------------------------------------------------


@pytest.fixture
def many(database: str, hierarchy: ProfileServiceStub) -> ProfileServiceStub:
    """A client of a service with events of two people, on three containers."""
    store = Store(database, readers=1, writers=1)
    store.database.open()
    for number in range(30):
        actor = Actor(("alice", "bob")[number % 2], Credential.API_KEY, "k1")
        resource = (SITE, GROUP, PROJECT)[number % 3]
        store.audit.record(Entry(Action.CLEAR_PROFILE, resource, actor, denied="NO"))
    store.database.close()
    return hierarchy


FILTERS: list[tuple[dict[str, object], int]] = [
    ({}, 34),
    ({"parent": GROUP}, 22),
    ({"parent": PROJECT}, 11),
    ({"subject": "alice"}, 15),
    ({"subject": "ali"}, 0),
    ({"action": "container.create"}, 4),
    ({"subject": "bob", "parent": PROJECT, "action": "profile.clear"}, 5),
    ({"since": Timestamp(seconds=0)}, 34),
    ({"until": Timestamp(seconds=1)}, 0),
    ({"since": Timestamp(seconds=4102444800)}, 0),
]


@pytest.mark.parametrize("page_size", [4, 20])
@pytest.mark.parametrize("stretch", [3, 20_000])
def test_pages_hold_what_fits_once(
    many: ProfileServiceStub, monkeypatch: pytest.MonkeyPatch, stretch: int, page_size: int
) -> None:
    """Whatever is filtered, and however much is looked at for a page, nothing is missed."""
    monkeypatch.setattr(stored, "STRETCH", stretch)
    for filters, count in FILTERS:
        for oldest_first in (True, False):
            request = pb.ListAuditEventsRequest(page_size=page_size, oldest_first=oldest_first)
            wanted = {"parent": SITE} | filters
            request.MergeFrom(pb.ListAuditEventsRequest(**wanted))  # type: ignore[arg-type]
            numbers = []
            while True:
                page = many.ListAuditEvents(request)
                assert len(page.events) <= page_size
                numbers += [event.number for event in page.events]
                request.page_token = page.next_page_token
                if not page.next_page_token:
                    break
            assert len(numbers) == count, filters
            assert numbers == sorted(set(numbers), reverse=not oldest_first)


def test_long_events_come_in_pages_that_fit(database: str, hierarchy: ProfileServiceStub) -> None:
    """However long they are, a client with gRPC's default settings receives every page."""
    batch = pb.FileBatch(files=500 * [pb.FileEvent(reason="A" * 64, tag="(0010,0010)")])
    store = Store(database, readers=1, writers=1)
    store.database.open()
    for number in range(80):
        batch.id = f"{number:032x}"
        request = pb.RecordFilesRequest(target=PROJECT, batches=[batch])
        (entry,) = file_events.entries(request, MALLORY)
        store.audit.record(entry)
    store.database.close()
    pages: list[pb.ListAuditEventsResponse] = []
    request_page = pb.ListAuditEventsRequest(parent=SITE, page_size=1000)
    while not pages or request_page.page_token:
        pages.append(hierarchy.ListAuditEvents(request_page))
        request_page.page_token = pages[-1].next_page_token
    assert sum(len(page.events) for page in pages) == 84
    assert max(page.ByteSize() for page in pages) < 3 << 20


def test_malformed_lists_are_refused(many: ProfileServiceStub) -> None:
    """Filters, tokens and sizes that cannot be are refused by the name of their field."""
    first = many.ListAuditEvents(pb.ListAuditEventsRequest(parent=SITE, page_size=1))
    for reason, field, request in (
        ("INVALID_NAME", "parent", pb.ListAuditEventsRequest(parent="sites/s/profile")),
        ("INVALID_FILTER", "subject", pb.ListAuditEventsRequest(subject="a\nb")),
        ("INVALID_FILTER", "action", pb.ListAuditEventsRequest(action=500 * "a")),
        ("INVALID_FILTER", "since", pb.ListAuditEventsRequest(since=Timestamp(seconds=-1))),
        ("INVALID_FILTER", "until", pb.ListAuditEventsRequest(until=Timestamp(seconds=2**60))),
        ("INVALID_PAGE_SIZE", "page_size", pb.ListAuditEventsRequest(page_size=-1)),
        ("INVALID_PAGE_TOKEN", "page_token", pb.ListAuditEventsRequest(page_token="x")),  # noqa: S106
        (
            "INVALID_PAGE_TOKEN",
            "page_token",
            pb.ListAuditEventsRequest(parent=GROUP, page_token=first.next_page_token),
        ),
    ):
        with refused("INVALID_ARGUMENT", reason) as refusal:
            many.ListAuditEvents(request)
        assert refusal.fields == [field]


# --- Chains ---------------------------------------------------------------------------------


def test_changes_at_once_make_one_chain(hierarchy: ProfileServiceStub) -> None:
    """Each change has one place in the chain of its site, whoever else changes something."""

    def change(number: int) -> None:
        set_profile(hierarchy, (SITE, GROUP, PROJECT)[number % 3], f"{VALID}# {number}\n")

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(change, range(24)))
    assert [event.number for event in told(hierarchy, SITE)] == list(range(1, 29))
    assert troubles(hierarchy) == {}


def test_sites_do_not_wait_for_each_other(
    database: str, hierarchy: ProfileServiceStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change that is not yet committed holds up no other site."""
    monkeypatch.setattr(writers, "LOCK_SECONDS", 0.2)
    with psycopg.connect(database) as connection:
        event = '{"action":"x","actor":{"subject":""},"resource":"sites/s"}'
        connection.execute("SELECT audit_append('sites/s', %s)", (event,))
        other = pb.CreateContainerRequest(container=pb.Container(name="sites/other"))
        hierarchy.CreateContainer(other, timeout=10)
        with refused("UNAVAILABLE", "STORE_BUSY"):
            set_profile(hierarchy, GROUP, VALID)


TAMPERINGS = {
    "an event says something else": (
        "UPDATE audit_event SET event = replace(event::text, 'sites/s', 'sites/x')::json "
        "WHERE number = 2",
        "event 2 does not follow",
    ),
    "an event has another time": (
        "UPDATE audit_event SET time = time + interval '1 s' WHERE number = 3",
        "event 3 does not follow",
    ),
    "an event is gone": (
        "DELETE FROM audit_event WHERE site = 'sites/s' AND number = 2",
        "after event 1 comes 3",
    ),
    "the first is gone": (
        "DELETE FROM audit_event WHERE site = 'sites/s' AND number = 1",
        "begins with event 2",
    ),
    "the last is gone": ("DELETE FROM audit_event WHERE number = 4", "there was an event 4"),
    "two have changed places": (
        "UPDATE audit_event SET number = 5 - number WHERE site = 'sites/s' AND number IN (2, 3)",
        "event 2 does not follow",
    ),
    "all is gone": ("DELETE FROM audit_event WHERE site = 'sites/s'", "there was an event 4"),
}


@pytest.mark.parametrize("what", TAMPERINGS)
def test_it_is_told_where_a_chain_breaks(
    database: str, hierarchy: ProfileServiceStub, what: str
) -> None:
    """Whatever a superuser of the database changes is found, and where."""
    statement, expected = TAMPERINGS[what]
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("ALTER TABLE audit_event DROP CONSTRAINT audit_event_pkey")
        connection.execute(statement)
    found = troubles(hierarchy)
    assert list(found) == [SITE]
    assert expected in found[SITE]


def rewrite(connection: psycopg.Connection, site: str, links: list[Link], before: bytes) -> None:
    """Writes a chain as a superuser can: whole, with hashes that fit."""
    connection.execute("SET session_replication_role = replica")
    connection.execute("DELETE FROM audit_event WHERE site = %s", (site,))
    for link in links:
        before = link.hash_after(site, before)
        connection.execute(
            "INSERT INTO audit_event (site, number, time, hash, event) VALUES (%s, %s, "
            "timestamptz 'epoch' + %s * interval '1 microsecond', %s, %s)",
            (site, link.number, link.microseconds, before, link.event),
        )
    connection.execute(
        "UPDATE audit_chain SET number = %s, hash = %s WHERE site = %s",
        (links[-1].number if links else 0, before, site),
    )
    connection.execute("SET session_replication_role = origin")


def test_a_chain_made_anew_is_found_by_a_head_that_was_kept(
    database: str, hierarchy: ProfileServiceStub
) -> None:
    """A chain that is whole again is not what it was: a head says so, also a shorter chain."""
    head = hierarchy.ListAuditHeads(pb.ListAuditHeadsRequest(site=SITE)).heads[0]
    kept = kept_heads([json.dumps({"site": SITE, "number": head.number, "hash": head.hash})])
    assert troubles(hierarchy, kept[SITE], SITE) == {}
    links = [
        Link(event.number, event.time.ToMicroseconds(), event.event, b"")
        for event in told(hierarchy, SITE)
    ]
    for made in (links[:-1], [*links[:-1], links[-1]._replace(microseconds=1)]):
        with psycopg.connect(database, autocommit=True) as connection:
            rewrite(connection, SITE, made, BEGINNING)
        assert troubles(hierarchy) == {}
        assert list(troubles(hierarchy, kept[SITE], SITE)) == [SITE]


def test_an_export_is_verified_without_a_service(hierarchy: ProfileServiceStub) -> None:
    """The lines of an export hold all that the chain is made of."""
    named = pb.Container(name=SITE, display_name='Spital "Süd" \\ 東')
    hierarchy.UpdateContainer(pb.UpdateContainerRequest(container=named))
    lines = [json.dumps(line_of(event)) for event in told(hierarchy, SITE)]
    known = kept_heads([])
    assert [trouble for _, trouble in verified_file(lines, known)] == [""]
    changed = [line.replace("disp", "Disp") for line in lines]
    assert "event 1 was changed" in verified_file(changed, known)[0][1]
    assert "begins with event 2" in verified_file(lines[1:], known)[0][1]
    assert "after event 1 comes 3" in verified_file([lines[0], *lines[2:]], known)[0][1]


# --- Rights ---------------------------------------------------------------------------------


@pytest.fixture
def served(databases: Databases) -> Iterator[str]:
    """The conninfo of the role that serves a database which its owner has set up."""
    with databases.clone("template0") as owner:
        served = make_conninfo(owner, user="audit_server")
        roles.set_up(owner, served)
        yield served
        with psycopg.connect(owner, autocommit=True) as connection:
            connection.execute("DROP OWNED BY audit_server; DROP ROLE audit_server")


CHANGES = [
    "UPDATE audit_event SET time = now()",
    "DELETE FROM audit_event",
    "TRUNCATE audit_event",
    "INSERT INTO audit_event (site, number, time, hash, event) VALUES ('', 1, now(), '', '{}')",
    "UPDATE audit_chain SET number = 0",
    "DELETE FROM audit_chain",
    "INSERT INTO audit_retention (keep) VALUES ('1 day')",
    "DROP TABLE audit_event",
    "ALTER TABLE audit_event DISABLE TRIGGER ALL",
    "CREATE OR REPLACE FUNCTION audit_append(about text, what json) RETURNS bigint "
    "LANGUAGE sql AS 'SELECT 1::bigint'",
]


def test_the_role_of_the_service_cannot_change_the_audit(
    served: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It serves everything, adds events, and has no right to do anything else with them."""
    with running_profile_service(served) as address, callers.channel(address) as channel:
        service = ProfileServiceStub(channel)
        for name in (SITE, GROUP):
            service.CreateContainer(pb.CreateContainerRequest(container=pb.Container(name=name)))
        set_profile(service, GROUP, VALID)
        service.ClearProfile(pb.ClearProfileRequest(container=GROUP))
        service.DeleteContainer(pb.DeleteContainerRequest(name=GROUP))
        assert len(told(service, SITE)) == 5
        assert troubles(service) == {}
    assert "event=database_rights" not in caplog.text
    assert "append_only=false" not in caplog.text
    for change in CHANGES:
        with (
            psycopg.connect(served) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute(change)


def test_a_right_too_many_is_told(served: str, databases: Databases) -> None:
    """A role that could change the audit, or what its functions call, is known as such."""
    name = conninfo_to_dict(served)["dbname"]
    assert isinstance(name, str)
    store = Store(served, readers=1, writers=1)
    assert not store.database.may_change_audit()
    with psycopg.connect(databases.of(name), autocommit=True) as owner:
        for right in ("UPDATE ON audit_chain", "INSERT ON audit_event", "CREATE ON SCHEMA public"):
            owner.execute(f"GRANT {right} TO audit_server")
            assert store.database.may_change_audit(), right
            owner.execute(f"REVOKE {right} FROM audit_server")
    assert not store.database.may_change_audit()
    store.database.close()


def test_no_table_stands_in_the_place_of_the_audit(served: str) -> None:
    """What the role of the service makes for itself is not what its events go to."""
    with psycopg.connect(served, autocommit=True) as connection:
        connection.execute("CREATE TEMP TABLE audit_event (LIKE public.audit_event)")
        connection.execute("CREATE TEMP TABLE audit_chain (LIKE public.audit_chain)")
        event = '{"action":"x","actor":{"subject":""},"resource":""}'
        connection.execute("SELECT audit_append('', %s)", (event,))
        counts = connection.execute(
            "SELECT (SELECT count(*) FROM pg_temp.audit_event), "
            "(SELECT count(*) FROM public.audit_event)"
        ).fetchone()
    assert counts == (0, 1)


@pytest.mark.parametrize("change", CHANGES[:3])
def test_also_the_owner_is_stopped(
    database: str, hierarchy: ProfileServiceStub, change: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The database refuses who owns it to change or delete events; the log tells of the role."""
    del hierarchy
    with (
        psycopg.connect(database) as connection,
        pytest.raises(psycopg.IntegrityError) as caught,
    ):
        connection.execute(change)
    assert caught.value.diag.constraint_name == "audit_event_immutable"
    assert "event=audit_rights append_only=false" in "\n".join(
        record.getMessage() for record in caplog.get_records("setup")
    )


# --- Retention ------------------------------------------------------------------------------

DAY = 86_400_000_000


@pytest.fixture
def removes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes services of this process remove nothing: one may be about to look."""
    monkeypatch.setattr(Retention, "_run", lambda _: None)


@pytest.mark.usefixtures("removes_nothing")
def test_the_service_removes_what_has_expired(database: str, hierarchy: ProfileServiceStub) -> None:
    """It does so by itself when it starts, and says so in its log."""
    event = told(hierarchy, SITE)[0]
    link = Link(1, event.time.ToMicroseconds() - 3 * DAY, event.event, b"")
    with psycopg.connect(database, autocommit=True) as connection:
        rewrite(connection, SITE, [link], BEGINNING)
        connection.execute("INSERT INTO audit_retention (keep) VALUES ('2 days')")
    arguments = ("--database", database, "--workers", "1")
    with service_process(*arguments, module="profile_service") as service:
        service.wait_for("event=audit_expired site=sites/s count=1")
    assert [event.action for event in told(hierarchy, SITE)] == ["audit.expire"]
    assert troubles(hierarchy) == {}


def test_what_has_expired_goes_and_the_rest_verifies(
    database: str, hierarchy: ProfileServiceStub
) -> None:
    """The rest goes on from a hash that an event tells; without that event it is broken."""
    found = told(hierarchy, SITE)
    now = found[0].time.ToMicroseconds()
    old = [
        Link(event.number, now - days * DAY, event.event, b"")
        for event, days in zip(found, (40, 35, 20, 0), strict=True)
    ]
    with psycopg.connect(database, autocommit=True) as connection:
        rewrite(connection, SITE, old, BEGINNING)
        head = told(hierarchy, SITE)[1]
        kept = {head.number: bytes.fromhex(head.hash)}
        assert connection.execute("SELECT audit_expire('sites/s')").fetchone() == (0,)
        connection.execute("INSERT INTO audit_retention (keep) VALUES ('30 days')")
        assert connection.execute("SELECT audit_expire('sites/s')").fetchone() == (2,)
        assert connection.execute("SELECT audit_expire('sites/s')").fetchone() == (0,)
        left = told(hierarchy, SITE)
        assert [(event.number, event.action) for event in left] == [
            (3, "container.create"),
            (4, "container.create"),
            (5, "audit.expire"),
        ]
        assert troubles(hierarchy, kept, SITE) == {}
        kept[2] = bytes(32)
        assert list(troubles(hierarchy, kept, SITE)) == [SITE]
        connection.execute("UPDATE audit_retention SET keep = '10 days'")
        assert connection.execute("SELECT audit_expire('sites/s')").fetchone() == (1,)
        assert troubles(hierarchy) == {}
        connection.execute("SET session_replication_role = replica")
        connection.execute("DELETE FROM audit_event WHERE number = 4")
    assert "no event says" in troubles(hierarchy)[SITE]
