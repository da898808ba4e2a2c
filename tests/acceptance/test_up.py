"""`deidcascade up`: starts, keeps its data, and leaves nothing running."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import psutil

from tests.acceptance.conftest import PATIENCE_SECONDS, Installation, Up, dicom_files

if TYPE_CHECKING:
    from pathlib import Path

# It has a word for whatever says who the patient is, so that nothing is warned of.
PROFILE = """\
dicom:
  fields:
    - {name: PatientName, replace-with: ANON}
    - {name: PatientID, replace-with: ANON}
    - {name: PatientBirthDate, replace-with: ''}
    - {name: OtherPatientIDs, remove: true}
    - {name: OtherPatientIDsSequence, remove: true}
"""

KEYED = """\
dicom:
  pseudonyms: {shift-days: [-365, -30]}
  recurse-sequence: true
  fields:
    - {name: PatientName, pseudonym: true}
    - {regex: '.*PatientID', keyed-hash: true}
    - {regex: '.*Date$', keyed-shift: true}
    - {regex: '.*UID$', keyed-uid: true}
"""


def test_data_survives_a_restart(installation: Installation, tmp_path: Path) -> None:
    """What was created before Ctrl-C is there after the next start, also on other ports."""
    with Up(installation, tmp_path / "data") as first:
        created = installation.run("container", "create", "sites/kept", **first.addresses)
        assert (created.returncode, created.stderr) == (0, "")
        done = installation.run(
            "profile", "set", "sites/kept", "-", stdin=PROFILE, **first.addresses
        )
        assert (done.returncode, done.stderr) == (0, "")
        first.signal(signal.SIGINT)
        code, errors = first.end()
        assert code == 0
        assert errors.endswith("Stopped.\n")

    with Up(installation, tmp_path / "data") as second:
        kept = installation.run("profile", "get", "sites/kept", **second.addresses)

    assert (kept.returncode, kept.stdout, kept.stderr) == (0, PROFILE, "")


def test_keys_survive_a_restart(installation: Installation, tmp_path: Path) -> None:
    """The same patient is the same after the next start; keys are read by their owner alone."""
    (ct,) = dicom_files("CT_small.dcm")
    project = "sites/s/groups/g/projects/p"
    receipts = []
    for number in range(2):
        with Up(installation, tmp_path / "data") as up:
            if not number:
                for name in ("sites/s", "sites/s/groups/g", project):
                    installation.run("container", "create", name, **up.addresses)
                keyed = installation.run(
                    "profile", "set", "sites/s", "-", stdin=KEYED, **up.addresses
                )
                assert keyed.returncode == 0, keyed.stderr
            done = installation.run(
                *("upload", ct, "--to", project, "--out", tmp_path / str(number), "--json"),
                **up.addresses,
            )
            assert done.returncode == 0, done.stderr
            ((report,)) = json.loads(done.stdout)
            receipts.append((report["receipt"]["sha256"], report["receipt"]["key_id"]))

    assert receipts[0] == receipts[1]
    assert len(receipts[0][1]) == 16
    for name in ("master.key", "service.key"):
        assert (tmp_path / "data" / name).stat().st_mode & 0o777 == 0o600


def test_nothing_runs_after_ctrl_c(installation: Installation, tmp_path: Path) -> None:
    """Ctrl-C ends every process that `up` started, PostgreSQL and workers too."""
    with Up(installation, tmp_path / "data") as started:
        family = psutil.Process(started.process.pid).children(recursive=True)
        assert {"postgres"} <= {process.name() for process in family}
        started.signal(signal.SIGINT)
        code, _ = started.end()

    assert code == 0
    assert [process for process in family if process.is_running()] == []


def test_nothing_runs_after_a_kill(installation: Installation, tmp_path: Path) -> None:
    """A killed `up` takes everything with it, and the next one on its data works."""
    with Up(installation, tmp_path / "data") as started:
        installation.run("container", "create", "sites/kept", **started.addresses)
        family = psutil.Process(started.process.pid).children(recursive=True)
        started.signal(signal.SIGKILL)
        started.end()
        _, alive = psutil.wait_procs(family, timeout=PATIENCE_SECONDS)
        assert alive == []

    with Up(installation, tmp_path / "data") as second:
        kept = installation.run("container", "get", "sites/kept", **second.addresses)

    assert (kept.returncode, kept.stderr) == (0, "")


def test_second_up_on_the_same_data(installation: Installation, up: Up) -> None:
    """A second `up` on data that is in use says so, and which process has it."""
    second = installation.run("up", "--data", up.data, "--profile-port=0", "--deid-port=0")

    assert second.returncode == 1
    assert f"is in use by process {up.process.pid}" in second.stderr
    assert "Traceback" not in second.stderr


def test_port_in_use(installation: Installation, up: Up, tmp_path: Path) -> None:
    """A port that something else listens on is named, and nothing is started."""
    port = up.deid_service.rpartition(":")[2]

    done = installation.run("up", "--data", tmp_path, "--profile-port=0", f"--deid-port={port}")

    assert done.returncode == 1
    assert f"port {port} is not to be had" in done.stderr
    assert not (tmp_path / "postgresql").exists()


def test_a_service_that_dies_ends_it_all(installation: Installation, tmp_path: Path) -> None:
    """When a service dies, `up` names it, stops the others and fails."""
    with Up(installation, tmp_path / "data") as started:
        family = psutil.Process(started.process.pid).children(recursive=True)
        (service,) = (
            process
            for process in family
            if "profile_service" in process.cmdline() and process.ppid() == started.process.pid
        )
        service.kill()
        code, errors = started.end()
        # Its workers end by themselves, a moment later.
        _, alive = psutil.wait_procs(family, timeout=PATIENCE_SECONDS)

    assert code == 1
    assert "profile-service ended by itself" in errors
    assert alive == []


def test_a_killed_database_is_started_again(installation: Installation, tmp_path: Path) -> None:
    """When PostgreSQL is killed, `up` says so, starts it again, and what was stored is there."""
    with Up(installation, tmp_path / "data") as started:
        installation.run("container", "create", "sites/kept", **started.addresses)
        pid_file = tmp_path / "data/postgresql/data/postmaster.pid"
        psutil.Process(int(pid_file.read_text().split()[0])).kill()

        started.said_on_error("PostgreSQL was ended by SIGKILL, and was started again.")
        # Connections that broke are found out one by one.
        kept = installation.run("container", "get", "sites/kept", **started.addresses)
        while "database" in kept.stderr:
            kept = installation.run("container", "get", "sites/kept", **started.addresses)

    assert (kept.returncode, kept.stderr) == (0, "")
