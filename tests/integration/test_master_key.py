"""Another master key: all that the one before has encrypted stays what it was."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import psycopg
import pytest
from click.testing import CliRunner
from deidcascade.v1 import profile_service_pb2 as pb
from deidcascade.v1 import table_service_pb2 as table_pb
from psycopg.conninfo import make_conninfo

from deid_service.cli import command
from profile_service.errors import StoreFaultError
from profile_service.keys.files import read_secret, write_secret
from profile_service.keys.sealing import MasterKey, Sealed
from profile_service.store import resealing
from profile_service.store.resealing import seal_again
from tests.integration import test_codes, test_keys, test_tables
from tests.integration.test_keys import pair, project
from tests.integration.test_tables import Services

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.test_keys import Pair

HASHED_PROJECT, CODED_PROJECT = project("a", "g", "1"), project("a", "g", "2")
LISTED_PROJECT = project("b", "g", "1")

# As whom the service serves; the command makes it.
ROLE = "sealed_again"


class _Broken(MasterKey):
    """Breaks off when it has encrypted one secret."""

    __slots__ = ("_count",)

    def seal(self, secret: bytes, what: str) -> Sealed:
        self._count = getattr(self, "_count", 0) + 1
        if self._count > 1:
            raise InterruptedError
        return super().seal(secret, what)


def what_it_makes(both: Pair) -> list[object]:
    """Returns what depends on secrets of each kind."""
    services = Services(both)
    return [
        both.upload(HASHED_PROJECT).patient,
        test_codes.codes(both.deid_address, CODED_PROJECT, ["p", "q"]),
        services.codes(LISTED_PROJECT, "p", "q"),
        services.rows("sites/b"),
        test_codes.subjects(both, CODED_PROJECT),
    ]


def under(database: str) -> dict[bytes, int]:
    """Returns how many secrets are encrypted with which master key."""
    query = (
        "SELECT master_key, count(*) FROM (SELECT master_key FROM site_key UNION ALL"
        " SELECT master_key FROM patient_table UNION ALL"
        " SELECT master_key FROM subject_code) AS sealed GROUP BY 1"
    )
    with psycopg.connect(database) as connection:
        return dict(connection.execute(query).fetchall())


def filled(both: Pair) -> list[object]:
    """Makes secrets of each kind; returns what depends on them."""
    both.make_containers()
    both.set(HASHED_PROJECT, test_keys.profile("project"))
    both.set(CODED_PROJECT, test_codes.profile("LUNG-{0000}"))
    both.set(LISTED_PROJECT, test_tables.profile())
    Services(both).set("sites/b", test_tables.TRIAL)
    return what_it_makes(both)


def test_another_master_key(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes the place of the one before, at once or when it was broken off; nothing changes."""
    old, new, third = (tmp_path / f"{name}.key" for name in ("old", "new", "third"))
    for each in (old, new, third):
        write_secret(each)
    with pair(database, tmp_path, master="old") as both:
        before = filled(both)
    with pair(database, tmp_path, master="new") as both:
        refused = both.refusal(HASHED_PROJECT)[0]
    with pair(database, tmp_path, master="new", previous="old") as both:
        meanwhile = what_it_makes(both)
        rotated = both.service.RotateSiteKey(pb.RotateSiteKeyRequest(site="sites/b")).key
    old_id, new_id = (MasterKey(read_secret(each)).id for each in (old, new))
    olds = under(database)[old_id]

    monkeypatch.setattr(resealing, "AT_ONCE", 1)
    with pytest.raises(InterruptedError):
        seal_again(database, _Broken(read_secret(new), read_secret(old)))
    broken_off = under(database)
    with pytest.raises(StoreFaultError):
        seal_again(database, MasterKey(read_secret(new), read_secret(third)))
    count = seal_again(database, MasterKey(read_secret(new), read_secret(old)))
    with pair(database, tmp_path, master="new") as both:
        after = what_it_makes(both)
    with pair(database, tmp_path, master="old") as both:
        useless = both.refusal(LISTED_PROJECT)[0]

    assert before == meanwhile == after
    assert refused == useless == "PROFILE_NOT_SUPPORTED"
    assert rotated.generation == 1
    assert broken_off[old_id] == olds - 1 == count
    assert under(database).keys() == {new_id}


def sealing(database: str, *arguments: str | Path) -> subprocess.Popen[str]:
    """Starts the command with which the owner of a database encrypts all of it again."""
    return subprocess.Popen(
        [sys.executable, "-m", "profile_service", *map(str, arguments)],
        env=os.environ
        | {
            "DEIDCASCADE_OWNER_DATABASE": database,
            "DEIDCASCADE_DATABASE": make_conninfo(database, user=ROLE),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def role(database: str) -> Iterator[None]:
    """Removes the role that the command makes for the service."""
    yield
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(f"DROP OWNED BY {ROLE}; DROP ROLE {ROLE}")


@pytest.mark.usefixtures("role")
def test_by_command(database: str, tmp_path: Path) -> None:
    """The commands of the page: one that is killed goes on; a key that is not the one is told."""
    old, new, third, missing = (tmp_path / f"{n}.key" for n in ("old", "new", "third", "missing"))
    for each in (old, new, third):
        write_secret(each)
    with pair(database, tmp_path, master="old") as both:
        before = filled(both)
    both_keys = ("--master-key-file", new, "--previous-master-key-file", old)
    old_id, new_id = (MasterKey(read_secret(each)).id for each in (old, new))
    all_of_them = sum(under(database).values())

    for arguments, said in (
        (("--master-key-file", new, "--previous-master-key-file", missing), f"{missing} cannot be"),
        (("--previous-master-key-file", old), "--master-key-file, the new one"),
        (("--master-key-file", third, "--previous-master-key-file", new), "a third master key"),
    ):
        done = sealing(database, *arguments)
        _, error = done.communicate()
        assert (done.returncode, said in error) == (1, True), error
        assert under(database) == {old_id: all_of_them}
    with psycopg.connect(database) as holding:
        holding.execute("SELECT FROM patient_table FOR UPDATE")
        broken = sealing(database, *both_keys)
        waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND transactionid IS NOT NULL"
        with psycopg.connect(database, autocommit=True) as watching:
            while broken.poll() is None and watching.execute(waits).fetchone() == (0,):
                pass
        broken.kill()
        broken.communicate()
        assert broken.returncode == -signal.SIGKILL
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )
    broken_off = under(database)
    with pair(database, tmp_path, master="new", previous="old") as both:
        meanwhile = what_it_makes(both)
    done = sealing(database, *both_keys)
    told, error = done.communicate()
    assert done.returncode == 0, error
    with pair(database, tmp_path, master="new") as both:
        after = what_it_makes(both)

    assert before == meanwhile == after
    assert set(broken_off) == {old_id, new_id}
    assert f"{broken_off[old_id]} secrets are encrypted with the new master key" in told
    assert under(database) == {new_id: all_of_them}


def test_the_key_of_a_site_by_command(database: str, tmp_path: Path) -> None:
    """`keys rotate` asks, makes another key and says which; `keys list` has both, and no key."""
    write_secret(tmp_path / "master.key")
    with pair(database, tmp_path) as both:
        both.make_containers()
        both.set("sites/a", test_keys.profile("site"))
        to = ["--profile-service", both.profile_address]

        def run(*arguments: str, answer: str = "") -> tuple[int, str]:
            result = CliRunner().invoke(command, ["keys", *arguments, *to], input=answer)
            return result.exit_code, result.output

        none = run("list", "sites/a")
        first = both.upload(HASHED_PROJECT)
        refused = run("rotate", "sites/a", answer="n\n")
        same = both.upload(HASHED_PROJECT)
        rotated = run("rotate", "sites/a", answer="y\n")
        second = both.upload(HASHED_PROJECT)
        again = run("rotate", "sites/a", "--yes")
        both.set("sites/a", test_keys.profile("site", "1"))
        linked = both.upload(HASHED_PROJECT)
        listed = run("list", "sites/a", "--json")
        missing = run("rotate", "sites/none", "--yes")
    with pair(database, tmp_path, master="") as both:
        to = ["--profile-service", both.profile_address]
        without = run("rotate", "sites/a", "--yes")

    assert none == (0, "sites/a has no key yet: it gets one when a profile needs it.\n")
    assert refused[0] == 1
    assert same.patient == first.patient == linked.patient != second.patient
    assert rotated[0] == 0
    assert rotated[1].endswith("sites/a has a new key: generation 2.\n")
    assert again == (0, "sites/a has a new key: generation 3.\n")
    assert [each["generation"] for each in json.loads(listed[1])] == [3, 2, 1]
    assert listed[1].count("generation") == 3
    assert set(json.loads(listed[1])[0]) == {"generation", "createTime"}
    assert (missing[0], without[0]) == (1, 1)
    assert "master key" in without[1]


def test_a_master_key_that_is_lost(database: str, tmp_path: Path) -> None:
    """With another one, a new key of the site and a table set anew make other pseudonyms."""
    for name in ("old", "new"):
        write_secret(tmp_path / f"{name}.key")
    with pair(database, tmp_path, master="old") as both:
        before = filled(both)
    with pair(database, tmp_path, master="new") as both:
        for site in "ab":
            both.service.RotateSiteKey(pb.RotateSiteKeyRequest(site=f"sites/{site}"))
        services = Services(both)
        request = table_pb.DeleteTableRequest(container="sites/b", table="trial")
        services.tables.DeleteTable(request)
        services.set("sites/b", test_tables.TRIAL)
        again = both.upload(HASHED_PROJECT).patient
        codes = test_codes.codes(both.deid_address, CODED_PROJECT, ["p"])
        listed = services.codes(LISTED_PROJECT, "p", "q")

    assert again != before[0]
    assert [before[1], codes] == [["LUNG-0001", "LUNG-0002"], ["LUNG-0003"]]
    assert listed == before[2]
