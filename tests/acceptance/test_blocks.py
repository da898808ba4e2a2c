"""The blocks of commands that pages show do what the page says, as they stand."""

from __future__ import annotations

import json
import re
import shutil
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from deid_service.embedded import programs
from profile_service.keys.files import kept_secret
from tests.acceptance.conftest import Up, dicom_files
from tests.acceptance.pages import PAGES, blocks, shell, shell_with
from tests.support.environment import ADMIN_KEY_FILE
from tests.support.services import running_profile_service

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.acceptance.conftest import Installation
    from tests.support.databases import Databases

# How many each page has; those that are not run here are in test_pages.
RUN = {
    "README.md": 3,
    "docs/audit.md": 1,
    "docs/cascade.md": 1,
    "docs/clients.md": 1,
    "docs/operations.md": 4,
    "docs/profile-language.md": 1,
    "docs/pseudonyms.md": 3,
}

PROFILE = "dicom:\n  fields:\n  - {{name: PatientName, replace-with: '{}'}}\n"


def test_each_block_is_run() -> None:
    """A page gets no block of commands that no test runs, in whatever shell."""
    found = {page: len(blocks(page, "(?:sh|bash|console|shell)")) for page in PAGES}

    assert {page: count for page, count in found.items() if count} == RUN


def made(installation: Installation, up: Up, folder: Path, site: str) -> str:
    """Makes a site with a project whose profile differs, and returns the name of the project."""
    project = f"{site}/groups/g/projects/p"
    script = [f"deidcascade container create --parents {project}"]
    for number, target in enumerate((site, site, site, project)):
        (folder / f"{number}.yaml").write_text(PROFILE.format(number))
        script.append(f"deidcascade profile set {target} {number}.yaml")
    shell(installation, up, folder, "\n".join(script))
    return project


def test_audit(installation: Installation, up: Up, tmp_path: Path) -> None:
    """What was done is listed and exported, and nobody has changed it."""
    made(installation, up, tmp_path, "sites/audited")
    (script,) = blocks("docs/audit.md", "sh")

    told = shell(installation, up, tmp_path, script.replace("sites/hospital", "sites/audited"))

    events = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    actions = [event["event"]["action"] for event in events]
    assert actions.count("profile.set") == 4
    assert actions.count("container.create") == 3
    assert told.count("profile.set") == 4
    heads = [json.loads(line) for line in (tmp_path / "heads.jsonl").read_text().splitlines()]
    assert "sites/audited" in [head["site"] for head in heads]
    assert told.count(f"sites/audited: verified, events 1 to {len(events)}.\n") == 2


def test_changing_a_profile(installation: Installation, up: Up, tmp_path: Path) -> None:
    """What would be different is shown, then it is set, and an earlier text comes back."""
    project = made(installation, up, tmp_path, "sites/changed")
    (tmp_path / "profile.yaml").write_text(PROFILE.format("new"))
    (script,) = blocks("docs/cascade.md", "sh")
    script = re.sub(r"\bSITE\b", "sites/changed", re.sub(r"\bPROJECT\b", project, script))
    # As `diff` ends where there is a difference.
    script = re.sub(r"(?m)^(\S+ profile diff .*?)(?=  )", r"\1 || test $? = 1", script)

    told = shell(installation, up, tmp_path, script)

    versions = shell(
        installation, up, tmp_path, "deidcascade profile versions sites/changed --json"
    )
    text = shell(installation, up, tmp_path, "deidcascade profile get sites/changed")
    assert told.count("PatientName") >= 3
    assert [one["version"] for one in json.loads(versions)["profiles"]] == list("54321")
    assert "Approved by the board on 3 March." in versions
    assert text == PROFILE.format(2)


def test_lists(installation: Installation, up: Up, tmp_path: Path) -> None:
    """A list is set, seen, used without a server, and deleted."""
    (tmp_path / "images").mkdir()
    shutil.copy(dicom_files("CT_small.dcm")[0], tmp_path / "images")
    (profile,) = [each for each in blocks("docs/profile-language.md", "yaml") if "staff" in each]
    (tmp_path / "profile.yaml").write_text(profile)
    (tmp_path / "staff.csv").write_text("name\nEdelweiss\n")
    (tmp_path / "towns.csv").write_text("word\nUlm\n")
    (script,) = blocks("docs/profile-language.md", "sh")

    told = shell(
        installation, up, tmp_path, f"deidcascade container create sites/demo || true\n{script}"
    )

    assert "staff" in told
    assert "1 de-identified" in told
    assert len(list((tmp_path / "deidentified").glob("*.dcm"))) == 1


class Machine:
    """A machine on which a person keeps a database, and runs what the page says."""

    def __init__(self, installation: Installation, databases: dict[str, str], folder: Path) -> None:
        self._installation = installation
        self._databases = databases
        self._folder = folder
        self._programs = folder / "programs"
        self._programs.mkdir()
        python = self._programs / "python"
        # A link would lose the environment that the program belongs to.
        python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        python.chmod(0o755)
        for name in ("pg_dump", "pg_restore"):
            (self._programs / name).symlink_to(programs.program(name))

    def connect(self, database: str, role: str) -> str:
        """Returns how a role connects to what the page calls a database."""
        owner = self._databases[database]
        return owner if role == "deidcascade" else make_conninfo(owner, user=role)

    def run(self, script: str, address: str = "") -> str:
        """Runs a script of the page."""
        script = re.sub(
            r"host=db user=(\w+) dbname=(\w+)",
            lambda found: self.connect(found[2], found[1]),
            script,
        )
        variables = {
            "DEIDCASCADE_PROFILE_SERVICE": address,
            "DEIDCASCADE_KEY_FILE": str(ADMIN_KEY_FILE),
        }
        return shell_with(self._installation, variables, self._folder, script, self._programs)

    @contextmanager
    def serving(self, database: str, *keys: Path) -> Iterator[str]:
        """Gives the address of a ProfileService with a master key, and the one before."""
        key, previous = (*map(str, keys), "")[:2]
        with running_profile_service(
            self.connect(database, "deidcascade_service"),
            master_key_file=key,
            previous_master_key_file=previous,
        ) as address:
            yield address


@pytest.fixture
def machine(installation: Installation, databases: Databases, tmp_path: Path) -> Iterator[Machine]:
    """A machine with two empty databases."""
    with databases.clone("template0") as one, databases.clone("template0") as other:
        yield Machine(installation, {"deidcascade": one, "restored": other}, tmp_path)
        for database in (one, other):
            with psycopg.connect(database, autocommit=True) as connection:
                connection.execute("DROP OWNED BY deidcascade_service")
        with psycopg.connect(one, autocommit=True) as connection:
            connection.execute("DROP ROLE deidcascade_service")


def test_operations(machine: Machine, tmp_path: Path) -> None:
    """The role is made, a backup comes back whole, and another master key takes its place."""
    roles, dump, restore, renewal = blocks("docs/operations.md", "sh")
    old, new = tmp_path / "master.key", tmp_path / "new-master.key"
    kept_secret(old)
    (tmp_path / "t.csv").write_text("original,code\np,A-1\n")
    export = "deidcascade table export sites/s t"

    machine.run(roles)
    with machine.serving("deidcascade", old) as address:
        made = "deidcascade container create sites/s\ndeidcascade table set sites/s t t.csv"
        machine.run(f"{made}\n{dump}", address)
    *bring_back, verify = restore.strip().splitlines()
    machine.run("\n".join(bring_back))
    with machine.serving("restored", old) as address:
        verified = machine.run(verify, address)
        before = machine.run(export, address)

    create, first, again = re.split(r"^# [12]\. .*\n", renewal, flags=re.MULTILINE)
    machine.run(create)
    with machine.serving("deidcascade", new, old) as address:
        meanwhile = machine.run(export, address)
        machine.run(again)
    with machine.serving("deidcascade", new) as address:
        after = machine.run(export, address)

    assert "sites/s" in verified
    assert "p,A-1" in before
    assert before == meanwhile == after
    assert first.split()[:3] == ["python", "-m", "profile_service"]
