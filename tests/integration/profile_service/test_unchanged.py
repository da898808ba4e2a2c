"""What a resolution remembers of the database stands only while nothing has been committed."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psycopg
import pytest

from deid_service.embedded.postgres import EmbeddedPostgres
from profile_service.access.credentials import claims_of_key, new_key
from profile_service.access.judging import OF_PREVIEW
from profile_service.access.permissions import Permission
from profile_service.errors import (
    PermissionDeniedError,
    ProfileServiceError,
    ServiceRefusedError,
    TargetNotFoundError,
    UnauthenticatedError,
)
from profile_service.guard import Shown
from profile_service.hierarchy import ContainerName, parse_name
from profile_service.service import Profiles
from profile_service.store import Store, unchanged
from profile_service.store.migrate import migrate
from profile_service.store.readers import Readers
from profile_service.store.statement import nothing
from profile_service.store.unchanged import Moment, Unchanged
from tests.support.callers import SHOWN, THIS_MACHINE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from profile_service.store.rows import Row
    from profile_service.store.statement import Meanwhile, Parameter

VALID = "dicom:\n  fields:\n  - name: PatientName\n    remove: true\n"
SITE, GROUP, PROJECT, DEVICE = (
    parse_name(text, field="name")
    for text in ("sites/s", "sites/s/groups/g", "sites/s/groups/g/projects/p", "sites/s/devices/d")
)


@dataclass
class Resolver:
    """Resolves as a service does, and says what it asked the database for that."""

    profiles: Profiles
    asked: list[str] = field(default_factory=list)

    def resolve(self, target: ContainerName = PROJECT, shown: Shown = SHOWN) -> object:
        """Returns what applies, with its text and keys, or the error that is raised."""
        try:
            return self.profiles.answer(target, shown)
        except ProfileServiceError as error:
            return type(error), str(error)

    def statements(self, target: ContainerName = PROJECT, shown: Shown = SHOWN) -> list[str]:
        """Resolves, and returns the statements of that."""
        self.asked.clear()
        self.resolve(target, shown)
        return self.asked.copy()

    def remembers(self, target: ContainerName = PROJECT, shown: Shown = SHOWN) -> bool:
        """Resolves until it is known, and tells whether it then is."""
        for _ in range(3):
            self.resolve(target, shown)
        return self.statements(target, shown) == ["moment"]


@contextmanager
def resolver(conninfo: str) -> Iterator[Resolver]:
    """Gives one that knows nothing yet."""
    store = Store(conninfo, readers=1, writers=1)
    asked: list[str] = []
    read = store.database.read

    def listening(query: str, *parameters: Parameter, meanwhile: Meanwhile = nothing) -> list[Row]:
        asked.append(query)
        return read(query, *parameters, meanwhile=meanwhile)

    store.resolutions._read = listening
    store.resolutions._unchanged._read = listening
    profiles = Profiles(store.profiles, store.resolutions)
    try:
        yield Resolver(profiles, asked)
    finally:
        profiles.close()
        store.database.close()


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    """A store with a site, a group, a project and a device, which all have a profile."""
    store = Store(database, readers=2, writers=2)
    store.database.open()
    store.containers.create(SITE, "", enforced=True, actor=THIS_MACHINE)
    profiles = Profiles(store.profiles, store.resolutions)
    for each in (GROUP, PROJECT, DEVICE):
        store.containers.create(each, "", enforced=None, actor=THIS_MACHINE)
    for each in (SITE, GROUP, PROJECT, DEVICE):
        text = f"{VALID}# {each.text}\n"
        profiles.set(each, text, allow_invalid=False, etag="", actor=THIS_MACHINE)
    yield store
    profiles.close()
    store.database.close()


CHANGES = {
    "what a project has": """
        UPDATE container SET current_version = NULL WHERE name = 'sites/s/groups/g/projects/p'
    """,
    "what a group has": """
        UPDATE container SET current_version = NULL WHERE name = 'sites/s/groups/g/projects/p';
        UPDATE container SET current_version = NULL WHERE name = 'sites/s/groups/g'
    """,
    "a lock": "UPDATE container SET profile_locked = true WHERE name = 'sites/s/groups/g'",
    "enforcement": "UPDATE container SET enforced = false WHERE name = 'sites/s'",
    "the audit of files": "UPDATE container SET file_audit = 'required' WHERE name = 'sites/s'",
    "a revision": """
        UPDATE container SET profile_revision = 77 WHERE name = 'sites/s/groups/g/projects/p'
    """,
    "the decision on a version": """
        UPDATE profile_version SET blank = true
        WHERE container_id = (SELECT id FROM container WHERE name = 'sites/s/groups/g/projects/p')
    """,
    "a key of the site": """
        INSERT INTO site_key (site_id, generation, master_key, sealed)
        SELECT id, 9, '\\x0011223344556677', decode(repeat('00', 60), 'hex')
        FROM container WHERE name = 'sites/s'
    """,
    "the target itself": "DELETE FROM container WHERE name = 'sites/s/groups/g/projects/p'",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.usefixtures("store")
def test_whatever_changes_is_seen_at_once(database: str, change: str) -> None:
    """By whomever, with the commit and not before; a change that is taken back is none."""
    with (
        resolver(database) as remembering,
        resolver(database) as fresh,
        psycopg.connect(database) as connection,
        psycopg.connect(database, autocommit=True) as other,
    ):
        assert remembering.remembers()
        before = remembering.resolve()
        # That of a table whose rows go with the container, too.
        connection.execute("SET CONSTRAINTS ALL DEFERRED")
        connection.execute(change)
        assert remembering.resolve() == before
        connection.rollback()
        assert remembering.resolve() == before
        connection.execute(change)
        # Known from a time at which it was under way, and what began later had ended.
        other.execute("SELECT pg_current_xact_id()")
        assert remembering.remembers()
        assert remembering.resolve() == before
        connection.commit()

        after = remembering.resolve()
        assert after == fresh.resolve()
        assert after != before
        assert "resolve" in fresh.asked


@pytest.mark.usefixtures("store")
def test_nothing_else_is_asked_while_nothing_changes(database: str) -> None:
    """For a project and for a device; who asks anew is asked about."""
    with resolver(database) as one:
        first, again = one.statements(), [one.statements() for _ in range(3)]
        assert one.remembers(DEVICE)
        assert one.statements() == ["moment"]

    assert first == ["resolve"]
    # With the second answer the text was not sent any more.
    assert again == [["resolve"], ["moment"], ["moment"]]


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.usefixtures("store")
def test_whatever_changes_is_seen_by_who_asks_for_the_first_time(
    database: str, change: str
) -> None:
    """Though all but the target and its group was known: what changed may be of the site."""
    with (
        resolver(database) as knowing,
        resolver(database) as fresh,
        psycopg.connect(database) as connection,
    ):
        assert knowing.remembers(DEVICE)
        connection.execute("SET CONSTRAINTS ALL DEFERRED")
        connection.execute(change)
        assert knowing.statements() == ["resolve_below"]
        connection.commit()
        knowing.profiles._answers.clear()
        knowing.asked.clear()

        assert knowing.resolve() == fresh.resolve()
        assert knowing.asked[:2] == ["resolve_below", "resolve"]


def test_of_another_target_no_more_is_read_than_what_is_of_its_own(
    store: Store, database: str
) -> None:
    """Where the rest is known: the same comes of it, for whatever is in the site."""
    other = parse_name("sites/s/groups/other", field="name")
    names = ("sites/s/groups/g/projects/q", f"{other}/projects/p", "sites/s/devices/e")
    targets = [parse_name(each, field="name") for each in names]
    for each in (other, *targets):
        store.containers.create(each, "", enforced=None, actor=THIS_MACHINE)
    profiles = Profiles(store.profiles, store.resolutions)
    profiles.set(other, VALID, allow_invalid=False, etag="", actor=THIS_MACHINE)
    with resolver(database) as one, resolver(database) as fresh:
        assert one.remembers()
        for target in (*targets, DEVICE):
            fresh.profiles._resolutions._unchanged._kept.clear()
            one.asked.clear()
            first = one.resolve(target)
            assert one.asked == ["resolve_below"]
            assert first == fresh.resolve(target)
            assert first == one.resolve(target)
            assert one.remembers(target)
            assert first == one.resolve(target)
        elsewhere = parse_name("sites/t/devices/d", field="name")
        assert one.statements(elsewhere) == ["resolve"]
    profiles.close()


@contextmanager
def holder(
    store: Store,
    *,
    role: str = "viewer",
    ends: datetime | None = None,
    place: ContainerName | None = PROJECT,
) -> Iterator[Shown]:
    """Gives what the holder of a new key shows, for the project if no other place is given."""
    key = new_key()
    may = frozenset(Permission)
    store.access.create_key(place, key, "", ends, role, may, THIS_MACHINE)
    yield Shown(claims_of_key(key), None)
    store.access.revoke_key(place, key.id, THIS_MACHINE)


@pytest.mark.parametrize("place", [None, SITE, GROUP, PROJECT], ids=str)
def test_who_may_see_a_part_of_a_site_is_asked_about_in_each(
    store: Store, database: str, place: ContainerName | None
) -> None:
    """What somebody may do in all of the site is known; whether there is more is read."""
    sibling = parse_name("sites/s/groups/g/projects/q", field="name")
    store.containers.create(sibling, "", enforced=None, actor=THIS_MACHINE)
    with resolver(database) as one, holder(store, place=place) as shown:
        assert one.remembers(shown=shown)
        everywhere = place in {None, SITE}
        for target in (sibling, DEVICE):
            may = everywhere or (place is GROUP and target is sibling)
            assert one.statements(target, shown) == ["resolve_below" if everywhere else "resolve"]
            assert refusal(one.resolve(target, shown)) is (None if may else PermissionDeniedError)


def test_what_is_known_for_one_purpose_does_not_answer_for_another(
    store: Store, database: str
) -> None:
    """Who uploads anywhere in the site, and sees the profile of one project."""
    with (
        resolver(database) as one,
        holder(store, place=None, role="service") as service,
        holder(store, place=SITE, role="uploader") as uploader,
    ):
        both = Shown(service.claims, uploader.claims)
        may = frozenset(Permission)
        key = f"key:{uploader.claims.key_id}"
        store.access.grant(PROJECT, key, "viewer", may, THIS_MACHINE)
        assert one.remembers(DEVICE, both)
        assert one.statements(PROJECT, both) == ["resolve_below"]
        assert one.remembers(PROJECT, both)

        for _ in range(3):
            one.profiles.answer(PROJECT, both, OF_PREVIEW)
            with pytest.raises(PermissionDeniedError):
                one.profiles.answer(DEVICE, both, OF_PREVIEW)
            assert refusal(one.resolve(DEVICE, both)) is None
            # Nor in the name of the other.
            swapped = Shown(uploader.claims, service.claims)
            assert refusal(one.resolve(shown=swapped)) is ServiceRefusedError


def refusal(of: object) -> object:
    """Returns the class of the error in place of what applies; None where there is none."""
    return of[0] if isinstance(of, tuple) and isinstance(of[0], type) else None


@pytest.mark.parametrize("place", [SITE, PROJECT], ids=str)
@pytest.mark.parametrize("how", ["key", "role", "other key"])
def test_a_right_that_was_taken_is_gone_at_once(
    store: Store, database: str, how: str, place: ContainerName
) -> None:
    """Though the answer was known, or all but the target; the rights of others stay."""
    with (
        resolver(database) as one,
        holder(store, place=place) as shown,
        holder(store, place=place) as other,
    ):
        assert one.remembers(shown=shown)
        assert one.remembers(shown=other)
        gone = other if how == "other key" else shown
        key = f"key:{gone.claims.key_id}"
        if how == "role":
            store.access.revoke(place, key, "viewer", THIS_MACHINE)
        else:
            store.access.revoke_key(place, gone.claims.key_id, THIS_MACHINE)

        refused = PermissionDeniedError if how == "role" else UnauthenticatedError
        for target in (DEVICE, PROJECT):
            assert refusal(one.resolve(target, shown=gone)) is refused
        assert refusal(one.resolve(shown=shown if gone is other else other)) is None


def test_a_key_ends_in_time_though_nothing_changes(store: Store, database: str) -> None:
    """Not when the next change comes: at the time that was said when it was made."""
    with psycopg.connect(database) as connection:
        ((ends,),) = connection.execute("SELECT now() + interval '1 second'").fetchall()
    with (
        resolver(database) as one,
        holder(store, ends=ends, place=SITE) as shown,
        psycopg.connect(database, autocommit=True) as connection,
    ):
        assert one.remembers(shown=shown)
        while connection.execute("SELECT now() < %s", (ends,)).fetchall() == [(True,)]:
            one.resolve(shown=shown)

        assert one.statements(DEVICE, shown) == ["resolve_below", "resolve"]
        for target in (DEVICE, PROJECT):
            assert refusal(one.resolve(target, shown)) is UnauthenticatedError


def test_what_nobody_may_be_told_is_not_remembered(store: Store, database: str) -> None:
    """How long it takes to say no tells nobody whether there is such a target."""
    nowhere = parse_name("sites/s/groups/g/projects/none", field="name")
    with resolver(database) as one, holder(store, role="uploader") as shown:
        assert one.remembers()
        for target in (PROJECT, nowhere, DEVICE):
            assert refusal(one.resolve(target, shown)) is PermissionDeniedError
            assert [one.statements(target, shown) for _ in range(4)] == [["resolve"]] * 4
        assert refusal(one.resolve(nowhere)) is TargetNotFoundError
        assert [one.statements(nowhere) for _ in range(4)] == [["resolve_below"]] * 4


@pytest.mark.usefixtures("store")
def test_a_new_connection_knows_nothing(database: str) -> None:
    """Behind it may be another server, or the same one as it was some time ago."""
    with resolver(database) as one:
        assert one.remembers()
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        assert one.statements() == ["moment", "resolve"]
        assert one.remembers()
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        assert one.statements(DEVICE) == ["resolve_below", "resolve"]


@pytest.mark.usefixtures("store")
def test_it_is_bounded(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not asked for longest goes."""
    monkeypatch.setattr(unchanged, "MAX_ENTRIES", 1)
    with resolver(database) as one:
        assert one.remembers()
        assert one.remembers(DEVICE)

        assert one.statements() == ["resolve"]


def test_a_standby_is_always_asked(tmp_path: Path) -> None:
    """Of what is under way on the server that it follows, it does not say enough."""
    server = EmbeddedPostgres(tmp_path / "pg")
    with server as conninfo:
        migrate(conninfo)
    (tmp_path / "pg" / "data" / "standby.signal").touch()
    with server as conninfo:
        readers = Readers(conninfo, 1)
        ((committed, now),) = readers.rows("moment")
        ((said, *_),) = readers.rows("resolve", *ASKED)
        kept: Unchanged[list[Row]] = Unchanged(readers.rows, lambda: readers.connected)
        kept.keep(ASKED, [()], Moment(committed, readers.connected), None)
        rows = kept.said(ASKED, lambda _: None)
        readers.close()

    assert (committed, said, rows) == (None, None, None)
    assert isinstance(now, bytes)


ASKED = ("sites/s", "", "sites/s", b"", "", b"", "", b"", "")
