"""The store against a real database: migrations, immutability, concurrency, freshness."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from threading import Barrier
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from deid_service.embedded import programs
from profile_service import service, validity
from profile_service.audit import Action
from profile_service.errors import (
    EtagMismatchError,
    ProfileServiceError,
    SchemaTooNewError,
    StoreFaultError,
    VersionNotFoundError,
)
from profile_service.hierarchy import ContainerName, Kind, Outcome, Verdict, parse_name
from profile_service.keys.sealing import Sealed
from profile_service.language import VALIDATOR_VERSION
from profile_service.model import FileAudit
from profile_service.service import Profiles
from profile_service.store import Store
from profile_service.store.migrate import migrate, migrations
from profile_service.store.queries import QUERIES
from profile_service.store.resolutions import ResolutionStore
from profile_service.store.statement import ReadingConnection, nothing
from tests.support.callers import SHOWN, THIS_MACHINE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from profile_service.model import Decision, ProfileVersion
    from profile_service.store.resolutions import Found, Told
    from profile_service.store.rows import Row
    from profile_service.store.statement import Meanwhile
    from tests.support.databases import Databases

NEWER = str(int(VALIDATOR_VERSION) + 1)

VALID = "dicom:\n  fields:\n  - name: PatientName\n    remove: true\n"


def name(text: str) -> ContainerName:
    """Reads a name."""
    return parse_name(text, field="name")


SITE, GROUP, PROJECT = map(name, ("sites/s", "sites/s/groups/g", "sites/s/groups/g/projects/p"))
DEVICE = name("sites/s/devices/d")


@pytest.fixture
def empty_database(databases: Databases) -> Iterator[str]:
    """The conninfo of a database without a schema."""
    with databases.clone("template0") as conninfo:
        yield conninfo


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    """A store with a site, a group and a project."""
    store = Store(database, readers=2, writers=2)
    store.database.open()
    store.containers.create(SITE, "", enforced=True, actor=THIS_MACHINE)
    for each in (GROUP, PROJECT):
        store.containers.create(each, "", enforced=None, actor=THIS_MACHINE)
    yield store
    store.database.close()


def profiles_of(store: Store) -> Profiles:
    """Sets, reads and resolves the profiles of a store."""
    return Profiles(store.profiles, store.resolutions)


@pytest.fixture
def profiles(store: Store) -> Iterator[Profiles]:
    """The profiles of the store."""
    profiles = profiles_of(store)
    yield profiles
    profiles.close()


def dump(conninfo: str) -> str:
    """Returns the schema of a database as PostgreSQL writes it, but for the migrations' own."""
    finished = subprocess.run(
        [
            programs.program("pg_dump"),
            "--schema-only",
            "--no-owner",
            "--restrict-key=none",
            "--exclude-table=schema_migration",
            conninfo,
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    return finished.stdout


def at_once(*calls: Callable[[], object]) -> list[object]:
    """Begins calls at the same moment and returns what they return or raise."""
    barrier = Barrier(len(calls))

    def run(call: Callable[[], object]) -> object:
        barrier.wait()
        try:
            return call()
        except ProfileServiceError as error:
            return error

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(run, calls))


# --- Migrations -------------------------------------------------------------------------


def test_the_migrations_make_the_schema(databases: Databases) -> None:
    """Replayed from the first one on, they give what schema.sql describes."""
    schema = resources.files("profile_service.store").joinpath("schema.sql")
    with databases.clone() as migrated, databases.clone("template0") as described:
        with psycopg.connect(described, autocommit=True) as connection:
            connection.execute(schema.read_bytes())
        assert dump(migrated) == dump(described)


def test_instances_that_start_at_once_migrate_once(empty_database: str) -> None:
    """Of several instances one migrates, and the others find it done."""
    done = at_once(*4 * [lambda: migrate(empty_database)])
    assert sorted(done, key=str) == [list(migrations()), [], [], []]


def test_a_newer_database_is_refused(database: str) -> None:
    """A build does not touch what a newer one has made."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("INSERT INTO schema_migration (number) VALUES (999)")
    with pytest.raises(SchemaTooNewError, match="at migration 999, and this build knows"):
        Store(database, readers=2, writers=2).database.migrate()


def test_a_migration_that_fails_leaves_nothing(
    empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All missing migrations run in one transaction."""
    wrong = dict(migrations()) | {998: "SELECT no_such_column"}
    monkeypatch.setattr("profile_service.store.migrate.migrations", lambda: wrong)
    with pytest.raises(StoreFaultError) as caught:
        migrate(empty_database)
    assert caught.value.cause == "UndefinedColumn, SQLSTATE 42703"
    with psycopg.connect(empty_database) as connection:
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        assert tables.fetchone() == (0,)


# --- Immutability -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE profile_version SET source = 'x'",
        "UPDATE profile_version SET version = 9",
        "UPDATE profile_version SET create_time = now()",
        "UPDATE profile_version SET author = 'x'",
        "UPDATE profile_version SET note = 'x'",
        "DELETE FROM profile_version",
        "TRUNCATE profile_version CASCADE",
    ],
)
def test_versions_are_immutable(store: Store, database: str, statement: str) -> None:
    """The database itself refuses to change or delete a version, also a detached one."""
    profiles = profiles_of(store)
    profiles.set(PROJECT, VALID, allow_invalid=False, etag="", actor=THIS_MACHINE)
    store.profiles.clear(PROJECT, etag="", actor=THIS_MACHINE)
    with (
        psycopg.connect(database, autocommit=True) as connection,
        pytest.raises(psycopg.IntegrityError) as caught,
    ):
        connection.execute(statement)
    assert caught.value.diag.constraint_name == "profile_version_immutable"


def test_versions_outlive_their_container(store: Store) -> None:
    """A version is found by its digest when its container is gone, or another has its name."""
    profiles = profiles_of(store)
    made = profiles.set(PROJECT, VALID, allow_invalid=False, etag="", actor=THIS_MACHINE)
    store.containers.delete(PROJECT, etag="", actor=THIS_MACHINE)
    assert profiles.get_by_digest(PROJECT, made.sha256).source == VALID
    store.containers.create(PROJECT, "", enforced=None, actor=THIS_MACHINE)
    assert store.profiles.page(PROJECT, before=99, limit=9, newest=9) == (0, [])
    found = profiles.get_by_digest(PROJECT, made.sha256)
    assert (found.version, found.create_time) == (1, made.create_time)
    with pytest.raises(VersionNotFoundError):
        profiles.get_by_digest(GROUP, made.sha256)


# --- Concurrency ------------------------------------------------------------------------


def test_versions_have_no_gaps(profiles: Profiles, store: Store) -> None:
    """Texts that are set at the same moment become versions one after the other."""

    def setting(number: int) -> Callable[[], object]:
        return lambda: (
            profiles.set(
                PROJECT, f"{VALID}# {number}\n", allow_invalid=False, etag="", actor=THIS_MACHINE
            ).version
        )

    assert sorted(at_once(*map(setting, range(12))), key=str) == sorted(range(1, 13), key=str)
    current, _ = store.profiles.page(PROJECT, before=99, limit=1, newest=9)
    assert current == 12


def test_the_same_text_at_once_is_one_version(profiles: Profiles) -> None:
    """Of equal texts that are set at the same moment the first makes the version."""
    made = at_once(
        *8
        * [lambda: profiles.set(PROJECT, VALID, allow_invalid=False, etag="", actor=THIS_MACHINE)]
    )
    assert len({each.etag for each in made}) == 1  # type: ignore[attr-defined]
    assert {each.version for each in made} == {1}  # type: ignore[attr-defined]


def test_no_update_is_lost(profiles: Profiles) -> None:
    """Of those who have seen the same etag, one replaces the profile."""
    seen = profiles.set(PROJECT, VALID, allow_invalid=False, etag="", actor=THIS_MACHINE).etag

    def replacing(number: int) -> Callable[[], object]:
        return lambda: profiles.set(
            PROJECT, f"{VALID}# {number}\n", allow_invalid=False, etag=seen, actor=THIS_MACHINE
        )

    answers = at_once(*map(replacing, range(8)))
    winners = [each for each in answers if not isinstance(each, EtagMismatchError)]
    assert len(winners) == 1
    assert profiles.get(PROJECT, 0) == winners[0]


def test_no_child_is_left_without_a_parent(store: Store) -> None:
    """A parent that is deleted while a child is created: one of the two happens."""
    store.containers.delete(PROJECT, etag="", actor=THIS_MACHINE)
    for _ in range(5):
        deleted, created = at_once(
            lambda: store.containers.delete(GROUP, etag="", actor=THIS_MACHINE),
            lambda: store.containers.create(PROJECT, "", enforced=None, actor=THIS_MACHINE),
        )
        assert isinstance(deleted, ProfileServiceError) != isinstance(created, ProfileServiceError)
        if deleted is None:
            store.containers.create(GROUP, "", enforced=None, actor=THIS_MACHINE)
        else:
            store.containers.delete(PROJECT, etag="", actor=THIS_MACHINE)


# --- A newer validator --------------------------------------------------------------------


def have_newer_validator(
    monkeypatch: pytest.MonkeyPatch, accepts: Callable[[str], bool]
) -> list[str]:
    """Gives this build a newer validator; returns the list of the texts that it decides."""
    decided: list[str] = []

    def decide_anew(source: str, kind: Kind | None) -> Decision:
        decided.append(source)
        decision = validity.decide(VALID if accepts(source) else "", kind)
        return decision._replace(validator_version=NEWER)

    monkeypatch.setattr(validity, "VALIDATOR_VERSION", NEWER)
    monkeypatch.setattr(service, "decide", decide_anew)
    return decided


def test_a_newer_validator_can_refuse(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A text that it refuses is skipped, and the next level applies, with its text."""
    older = profiles_of(store)
    refused = older.set(PROJECT, VALID + "# 1\n", allow_invalid=False, etag="", actor=THIS_MACHINE)
    accepted = older.set(GROUP, VALID + "# 2\n", allow_invalid=False, etag="", actor=THIS_MACHINE)
    decided = have_newer_validator(monkeypatch, lambda source: source == accepted.source)
    newer = profiles_of(store)
    found = newer.resolve(PROJECT, SHOWN)
    assert [level.verdict for level in found.levels] == [
        Verdict.INVALID,
        Verdict.SELECTED,
        Verdict.NOT_CONSULTED,
    ]
    assert found.profile is not None
    assert (found.profile.source, found.profile.version) == (accepted.source, accepted.version)
    assert decided == [refused.source, accepted.source]


def test_a_newer_validator_can_accept(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was stored as invalid applies once a newer validator accepts it."""
    older = profiles_of(store)
    older.set(PROJECT, "dicom: later", allow_invalid=True, etag="", actor=THIS_MACHINE)
    assert older.resolve(PROJECT, SHOWN).outcome is Outcome.NO_VALID_PROFILE
    have_newer_validator(monkeypatch, lambda _: True)
    found = profiles_of(store).resolve(PROJECT, SHOWN)
    assert found.profile is not None
    assert found.profile.source == "dicom: later"


def test_what_was_decided_again_is_kept(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new decision is written back: no instance decides it a second time."""
    stored = profiles_of(store).set(
        PROJECT, VALID, allow_invalid=False, etag="", actor=THIS_MACHINE
    )
    decided = have_newer_validator(monkeypatch, lambda _: False)
    newer = profiles_of(store)
    first = newer.get(PROJECT, 0)
    newer.close()
    second = profiles_of(store).resolve(PROJECT, SHOWN)
    assert decided == [stored.source]
    assert not first.decision.valid
    assert first.decision.violations == second.levels[0].violations
    assert first.decision.validator_version == NEWER


# --- One resolution -----------------------------------------------------------------------


@pytest.mark.parametrize(("holder", "target"), [(GROUP, PROJECT), (SITE, DEVICE)])
def test_a_text_is_read_once(
    store: Store,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
    holder: ContainerName,
    target: ContainerName,
) -> None:
    """The database sends it no second time, unless another one is attached, by anyone."""
    store.containers.create(DEVICE, "", enforced=None, actor=THIS_MACHINE)
    sent: list[bytes] = []
    execute = ReadingConnection.rows

    def listen(
        connection: ReadingConnection,
        query: str,
        *parameters: str | bytes,
        meanwhile: Meanwhile = nothing,
    ) -> list[Row]:
        rows = execute(connection, query, *parameters, meanwhile=meanwhile)
        if query in {"resolve", "resolve_below"}:
            sent.extend(row[-1] for row in rows if row[-1] is not None)
        return rows

    monkeypatch.setattr(ReadingConnection, "rows", listen)
    elsewhere = Store(database, readers=1, writers=1)
    elsewhere.database.open()
    profiles = profiles_of(store)
    first, second = VALID + "# 1\n", VALID + "# 2\n"
    found = []
    for text in (first, first, second):
        profiles_of(elsewhere).set(holder, text, allow_invalid=False, etag="", actor=THIS_MACHINE)
        for _ in range(2):
            profile = profiles.resolve(target, SHOWN).profile
            found.append(profile and profile.source)
    elsewhere.database.close()

    # A device has only its own.
    assert found == ([None] * 6 if target is DEVICE else [first] * 4 + [second] * 2)
    assert sent == [first.encode(), second.encode()]


CHANGES: dict[str, Callable[[Store], object]] = {
    "a profile of the project": lambda store: attach(store, PROJECT, "1"),
    "another one": lambda store: attach(store, PROJECT, "2"),
    "one of the site": lambda store: attach(store, SITE, "3"),
    "one of the group": lambda store: attach(store, GROUP, "4"),
    "an invalid one": lambda store: attach(store, PROJECT, "5", source="dicom: 5"),
    "none": lambda store: store.profiles.clear(PROJECT, etag="", actor=THIS_MACHINE),
    "a lock": lambda store: update(store, SITE, profile_locked=True),
    "what the audit is told": lambda store: update(store, SITE, file_audit=FileAudit.REQUIRED),
    "the switch": lambda store: update(store, SITE, enforced=False),
    "the switch again": lambda store: update(store, SITE, enforced=True),
    "a key of the site": lambda store: store.site_keys.add(
        SITE,
        0,
        lambda *_: Sealed(b"m" * 8, b"k" * 60),
        action=Action.CREATE_SITE_KEY,
        actor=THIS_MACHINE,
    ),
    "the project made anew": lambda store: remake(store, PROJECT),
}


def attach(store: Store, name: ContainerName, mark: str, source: str = VALID) -> None:
    """Attaches a text."""
    profiles_of(store).set(
        name, f"{source}# {mark}\n", allow_invalid=True, etag="", actor=THIS_MACHINE
    )


def update(store: Store, name: ContainerName, **change: Any) -> None:
    """Changes a container."""
    given = {"display_name": None, "enforced": None, "etag": "", "actor": THIS_MACHINE} | change
    store.containers.update(name, **given)


def remake(store: Store, name: ContainerName) -> None:
    """Deletes a container, and makes one of its name."""
    store.containers.delete(name, etag="", actor=THIS_MACHINE)
    store.containers.create(name, "", enforced=None, actor=THIS_MACHINE)


def test_what_is_remembered_is_what_is_there(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolution is read again when anything of it has changed, and only then."""
    profiles = profiles_of(store)
    read: list[Told] = []
    reading = ResolutionStore.read

    def listen(resolutions: ResolutionStore, told: Told) -> Found:
        read.append(told)
        return reading(resolutions, told)

    for change, make in CHANGES.items():
        make(store)
        with monkeypatch.context() as patched:
            first = profiles.answer(PROJECT, SHOWN)
            profiles.answer(PROJECT, SHOWN)
            patched.setattr(ResolutionStore, "read", listen)
            read.clear()
            assert profiles.answer(PROJECT, SHOWN) == first, change
            assert read == [], change
        assert profiles_of(store).answer(PROJECT, SHOWN) == first, change


def test_few_answers_are_remembered(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many targets the last ones are remembered; all are answered."""
    monkeypatch.setattr(service, "MAX_ANSWERS", 2)
    profiles = profiles_of(store)
    attach(store, GROUP, "1")
    targets = [name(f"{GROUP}/projects/p{number}") for number in range(4)]
    for target in targets:
        store.containers.create(target, "", enforced=None, actor=THIS_MACHINE)
        for _ in range(2):
            found = profiles.resolve(target, SHOWN).profile
            assert (found and found.source) == f"{VALID}# 1\n"
    assert list(profiles._answers) == [target.text for target in targets[-2:]]


def test_a_text_that_another_level_has_too_is_no_second_query(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was not sent, because it is known: from the other level."""
    queries: list[ProfileVersion] = []
    monkeypatch.setattr(store.profiles, "get_source", queries.append)
    profiles = profiles_of(store)
    for container in (GROUP, PROJECT):
        profiles.set(container, VALID, allow_invalid=False, etag="", actor=THIS_MACHINE)
        for _ in range(2):
            profile = profiles.resolve(PROJECT, SHOWN).profile
            assert profile is not None
            assert (profile.container, profile.source) == (container.text, VALID)
    assert not queries


def test_resolution_reads_by_index_only(database: str) -> None:
    """Among many containers a resolution scans no table."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            """
            WITH site AS (
                INSERT INTO container (name, display_name, enforced)
                VALUES ('sites/x', '', true) RETURNING id
            ), groups AS (
                INSERT INTO container (name, display_name, parent_id)
                SELECT 'sites/x/groups/g' || n, '', site.id
                FROM site, generate_series(1, 50) AS n RETURNING id, name
            )
            INSERT INTO container (name, display_name, parent_id)
            SELECT name || '/projects/p' || n, '', id FROM groups, generate_series(1, 100) AS n
            """
        )
        connection.execute("ANALYZE")
        plan = (
            psycopg.RawCursor(connection)
            .execute(
                "EXPLAIN " + QUERIES["resolve"],
                [
                    *("sites/x/groups/g7/projects/p7", "sites/x/groups/g7", "sites/x", b""),
                    *("aaaaaaaaaaaa", b"", "bbbbbbbbbbbb", b"", "key:aaaaaaaaaaaa"),
                ],
            )
            .fetchall()
        )
    text = "\n".join(line for (line,) in plan)
    assert "Seq Scan on container" not in text
    assert "container_name_key" in text
