"""What ProfileService says of a database that it cannot use, or not for everything."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from deidcascade.v1 import profile_service_pb2 as pb
from deidcascade.v1.profile_service_pb2_grpc import ProfileServiceStub
from psycopg.conninfo import make_conninfo

from profile_service.errors import (
    InvalidConninfoError,
    StoreFaultError,
    StoreUnavailableError,
)
from profile_service.store.conninfo import with_password
from profile_service.store.database import Database
from profile_service.store.migrate import migrate, migrations
from profile_service.store.roles import set_up
from tests.integration.profile_service.test_faults import SITE, watched
from tests.support import callers
from tests.support.audit import told, troubles
from tests.support.processes import service_process
from tests.support.refusals import refused
from tests.support.services import running_profile_service

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.databases import Databases

PATIENCE_SECONDS = 20
SERVING, NOT_SERVING = 1, 2

VALID = "dicom:\n  fields:\n  - name: PatientName\n    remove: true\n"
TARGET = "sites/s/groups/g/projects/p"

# A row of every table, as a build with that migration wrote it.
DATA = Path(__file__).parent / "data"


# --- The schema -----------------------------------------------------------------------------


def test_an_empty_database_is_not_served(database: str, caplog: pytest.LogCaptureFixture) -> None:
    """One that has lost its schema is not healthy, and the log says why, until it is back."""
    with (
        running_profile_service(database) as address,
        callers.channel(address) as channel,
        watched(address) as states,
        psycopg.connect(database, autocommit=True) as connection,
    ):
        service = ProfileServiceStub(channel)
        assert next(states) == SERVING
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        assert next(states) == NOT_SERVING
        with refused("UNAVAILABLE", "STORE_UNAVAILABLE"):
            service.CreateContainer(SITE, timeout=PATIENCE_SECONDS)
        # Nothing stands in the way of what is restored.
        schema = resources.files("profile_service.store").joinpath("schema.sql")
        connection.execute(schema.read_bytes())
        connection.execute(
            "CREATE TABLE schema_migration (number integer PRIMARY KEY, apply_time timestamptz)"
        )
        for number in migrations():
            connection.execute("INSERT INTO schema_migration VALUES (%s, now())", (number,))
        assert next(states) == SERVING
        service.CreateContainer(SITE)
    told = r'event=database answers=false cause="there is no table .*\bcontainer\b'
    assert re.search(told, caplog.text)


@pytest.mark.parametrize("number", list(migrations()))
def test_data_of_each_migration_is_served(
    databases: Databases, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """A database that an older build has filled is migrated, and answers as it did."""
    older = {each: text for each, text in migrations().items() if each <= number}
    with databases.clone("template0") as database:
        with monkeypatch.context() as patched:
            patched.setattr("profile_service.store.migrate.migrations", lambda: older)
            migrate(database)
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute((DATA / f"{number:03d}.sql").read_bytes())
        with (
            running_profile_service(database) as address,
            callers.channel(address) as channel,
        ):
            service = ProfileServiceStub(channel)
            found = service.ResolveProfile(pb.ResolveProfileRequest(target=TARGET))
            verdicts = [(one.container, one.verdict, one.version) for one in found.levels]
            assert verdicts == [
                (TARGET, pb.VERDICT_INVALID, 2),
                ("sites/s/groups/g", pb.VERDICT_SELECTED, 1),
                ("sites/s", pb.VERDICT_NOT_CONSULTED, 0),
            ]
            assert found.profile.source == VALID
            stored = service.SetProfile(pb.SetProfileRequest(container=TARGET, source=VALID))
            assert stored.profile.version == 3
            (event,) = told(service, TARGET, action="profile.set")
            assert json.loads(event.event)["before"]["version"] == 2
            assert troubles(service) == {}


def test_a_verdict_of_no_known_version_is_decided_again(database: str) -> None:
    """What stands in the place of the validator's version is no number: the text is checked."""
    with (
        running_profile_service(database) as address,
        callers.channel(address) as channel,
        psycopg.connect(database, autocommit=True) as connection,
    ):
        service = ProfileServiceStub(channel)
        service.CreateContainer(SITE)
        set_request = pb.SetProfileRequest(container="sites/s", source=VALID)
        version = service.SetProfile(set_request).profile.validator_version
        connection.execute("UPDATE profile_version SET validator_version = 'latest'")
        found = service.GetProfile(pb.GetProfileRequest(container="sites/s"))
        assert found.profile.validator_version == version


# --- Rights ---------------------------------------------------------------------------------


@pytest.fixture
def limited(database: str) -> Iterator[str]:
    """The conninfo of a role that may read and insert, and nothing else."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "CREATE ROLE limited; GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO limited; "
            "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO limited"
        )
        yield make_conninfo(database, options="-c role=limited")
        connection.execute("DROP OWNED BY limited; DROP ROLE limited")


def test_a_right_that_is_missing_is_named(limited: str, caplog: pytest.LogCaptureFixture) -> None:
    """The log says at the start which right is missing on what, and again where a call fails."""
    with (
        running_profile_service(limited) as address,
        callers.channel(address) as channel,
    ):
        service = ProfileServiceStub(channel)
        service.CreateContainer(SITE)
        with refused("INTERNAL", "INTERNAL"):
            service.SetProfile(pb.SetProfileRequest(container="sites/s", source=VALID))
    told = re.findall(r"GRANT .* TO limited", caplog.text)
    assert len(told) == 2
    for grant in ("UPDATE ON container", "DELETE ON container", "UPDATE ON profile_version"):
        assert all(grant in one for one in told)


def test_a_role_that_owns_its_database_needs_no_more(databases: Databases) -> None:
    """No superuser is needed: it migrates an empty database, and serves it."""
    with databases.clone("template0") as database:
        with psycopg.connect(database, autocommit=True) as connection:
            name = connection.info.dbname
            connection.execute(
                f"CREATE ROLE owner_of_it; ALTER DATABASE {name} OWNER TO owner_of_it"
            )
        with (
            running_profile_service(
                make_conninfo(database, options="-c role=owner_of_it")
            ) as address,
            callers.channel(address) as channel,
        ):
            assert ProfileServiceStub(channel).CreateContainer(SITE).container.name == "sites/s"


def test_a_role_that_may_not_migrate_is_told_what_may(limited: str) -> None:
    """A missing migration asks for the owner of the tables, in a sentence."""
    with psycopg.connect(limited.replace("limited", "none"), autocommit=True) as connection:
        connection.execute("DELETE FROM schema_migration")
    with pytest.raises(StoreFaultError) as caught:
        migrate(limited)
    assert "need the owner of the tables" in caught.value.cause


def test_a_role_that_may_not_read_is_not_healthy(
    limited: str, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A service that could not answer a resolution says so, and which right it lacks."""
    with (
        psycopg.connect(database, autocommit=True) as connection,
        running_profile_service(limited) as address,
        watched(address) as states,
    ):
        assert next(states) == SERVING
        connection.execute("REVOKE SELECT ON profile_version FROM limited")
        assert next(states) == NOT_SERVING
    assert re.search("may not read .*SELECT ON profile_version.* TO limited", caplog.text)


# --- The connection string ------------------------------------------------------------------

SECRET = "s3cr3t"  # noqa: S105 -- what must not be seen

# What people write who did not encode, quote or close something.
SLIPS = [
    f"postgresql://user:{SECRET}@127.0.0.1:1/db",
    f"postgresql://user:p@{SECRET}@127.0.0.1:1/db",
    f"postgresql://user:{SECRET}/x@127.0.0.1/db",
    f"postgresql://user:p#{SECRET}@127.0.0.1/db",
    f"postgresql://user:%{SECRET}@127.0.0.1/db",
    f"postgresql://user:[{SECRET}@127.0.0.1/db",
    f"postgresql:/user:{SECRET}@127.0.0.1/db",
    f"host=127.0.0.1 password=my {SECRET}",
    f"host=127.0.0.1 password='{SECRET}",
    f"host=127.0.0.1 pasword={SECRET}",
    f"host=127.0.0.1 port={SECRET}",
    f"host={SECRET}",
    f"host=127.0.0.1 sslmode={SECRET}",
    f"host=127.0.0.1 sslrootcert=/{SECRET} sslmode=verify-full",
    f"service={SECRET}",
    SECRET,
]


@pytest.mark.parametrize("conninfo", SLIPS)
def test_no_part_of_a_connection_string_is_told(conninfo: str) -> None:
    """Whatever the slip, what is said of the database does not repeat it."""
    with pytest.raises((InvalidConninfoError, StoreUnavailableError, StoreFaultError)) as caught:
        Database(conninfo, readers=1, writers=1).migrate()
    said = f"{caught.value} {caught.value.cause}"
    assert SECRET not in said
    assert len(said) > 20


def test_the_log_tells_no_part_of_a_connection_string() -> None:
    """A service that cannot connect, or not even try, says so without the password."""
    with service_process(
        *("--database", SLIPS[1], "--workers", "1"), module="profile_service"
    ) as service:
        service.wait_for("event=database answers=false cause=.")
        assert not service.found(SECRET)
    malformed = subprocess.run(
        [sys.executable, "-m", "profile_service", "--listen=127.0.0.1:0", "--workers=1"],
        env={"DEIDCASCADE_DATABASE": SLIPS[7]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert malformed.returncode == 1
    assert "neither a URI" in malformed.stderr
    assert SECRET not in malformed.stderr


# --- Setting a database up ------------------------------------------------------------------


def test_a_database_is_set_up_with_two_roles(databases: Databases) -> None:
    """The role is made once, its password hashed before it is sent, and given what is new again."""
    with databases.clone("template0") as owner:
        served = make_conninfo(owner, user="set_up_once", password=SECRET)
        assert set_up(owner, served) == list(migrations())
        with psycopg.connect(owner, autocommit=True) as connection:
            hashes = "SELECT rolpassword FROM pg_authid WHERE rolname = 'set_up_once'"
            ((first,),) = connection.execute(hashes).fetchall()
            assert first.startswith("SCRAM-SHA-256$")
            connection.execute("REVOKE EXECUTE ON FUNCTION audit_append FROM set_up_once")
            other = make_conninfo(served, password="another")  # noqa: S106 -- of a test
            assert set_up(owner, other) == []
            assert connection.execute(hashes).fetchall() == [(first,)]
            database = Database(served, readers=1, writers=1)
            assert database.look() == ""
            assert not database.may_change_audit()
            database.close()
            connection.execute("DROP OWNED BY set_up_once; DROP ROLE set_up_once")


def test_passwords_come_from_files(databases: Databases, tmp_path: Path) -> None:
    """The role gets the one in its file; a file that is not there is named, and ends it."""
    file, missing = tmp_path / "password", tmp_path / "missing"
    file.write_text(f"{SECRET}\n")
    assert with_password("host=a", str(file)) == f"host=a password={SECRET}"
    assert with_password("host=a", "") == "host=a"
    command = [sys.executable, "-m", "profile_service", "--listen=127.0.0.1:0", "--workers=1"]
    with databases.clone("template0") as owner:
        served = make_conninfo(owner, user="set_up_by_file")
        variables = {
            "DEIDCASCADE_DATABASE": served,
            "DEIDCASCADE_DATABASE_PASSWORD_FILE": str(file),
        }
        of_owner = "DEIDCASCADE_OWNER_DATABASE"
        for more, code, said in (
            ({of_owner: owner}, 0, ""),
            ({of_owner: owner, f"{of_owner}_PASSWORD_FILE": str(missing)}, 1, str(missing)),
            ({"DEIDCASCADE_DATABASE_PASSWORD_FILE": str(missing)}, 1, str(missing)),
        ):
            done = subprocess.run(
                command, env=variables | more, capture_output=True, text=True, check=False
            )
            assert (done.returncode, said in done.stderr) == (code, True), done.stderr
            assert SECRET not in done.stderr
        with psycopg.connect(owner, autocommit=True) as connection:
            hashes = "SELECT rolpassword FROM pg_authid WHERE rolname = 'set_up_by_file'"
            ((found,),) = connection.execute(hashes).fetchall()
            assert found.startswith("SCRAM-SHA-256$")
            connection.execute("DROP OWNED BY set_up_by_file; DROP ROLE set_up_by_file")


def test_the_owner_is_no_role_to_serve_with(database: str) -> None:
    """Whoever sets up with one role for both is told that the service needs its own."""
    with pytest.raises(StoreFaultError) as caught:
        set_up(database, database)
    assert "a role of its own" in caught.value.cause
