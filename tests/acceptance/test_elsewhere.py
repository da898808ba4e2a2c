"""The client's commands run where there is no POSIX: every module of it is blocked here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.acceptance.conftest import PATIENCE_SECONDS, dicom_files

if TYPE_CHECKING:
    from tests.acceptance.conftest import Installation, Up

ROOT = Path(__file__).resolve().parents[2]

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

# The modules of the standard library that are on Unix alone, by its documentation.
BLOCKED = """
import importlib.abc, os, runpy, signal, sys
UNIX = {"fcntl", "grp", "pwd", "resource", "syslog", "termios", "tty", "pty"}
class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name in UNIX:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocked())
for name in UNIX:
    sys.modules.pop(name, None)
for module, names in {
    signal: ["SIGHUP", "SIGKILL", "SIGQUIT", "SIGCHLD", "SIGALRM", "pthread_sigmask", "sigwait"],
    os: ["fork", "geteuid", "killpg", "setuid", "chown", "statvfs", "mkfifo"],
}.items():
    for name in names:
        delattr(module, name)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def run(
    installation: Installation, *arguments: object, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Runs the command without POSIX."""
    return subprocess.run(
        [sys.executable, "-c", BLOCKED, installation.command, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
        env=installation.environment(**variables),
    )


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    """A file with a valid profile."""
    path = tmp_path / "profile.yaml"
    path.write_text(PROFILE)
    return path


def test_help(installation: Installation) -> None:
    """All commands are listed."""
    done = run(installation, "--help")

    assert (done.returncode, done.stderr) == (0, "")
    assert "upload" in done.stdout


def test_commands_that_need_no_server(
    installation: Installation, profile: Path, tmp_path: Path
) -> None:
    """Checking a profile, trying it out and applying it work."""
    (ct,) = dicom_files("CT_small.dcm")
    for arguments in (
        ("profile", "validate", profile),
        ("profile", "explain", profile, "--on", ct),
        ("profile", "coverage", profile),
        ("preview", "--profile", profile, ct),
        ("apply", "--profile", profile, ct, "--out", tmp_path / "out"),
    ):
        done = run(installation, *arguments)

        assert (done.returncode, done.stderr) == (0, ""), arguments
    assert len(list((tmp_path / "out").glob("*.dcm"))) == 1


def test_the_recipe_for_real_machines(installation: Installation, tmp_path: Path) -> None:
    """What CI runs on machines of each system succeeds."""
    recipe = yaml.safe_load((ROOT / ".github" / "workflows" / "client.yml").read_text())
    (script,) = (
        step["run"]
        for step in recipe["jobs"]["client"]["steps"]
        if "deidcascade apply" in step.get("run", "")
    )
    programs = [str(Path(installation.command).parent), str(Path(sys.executable).parent)]

    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=tmp_path,
        env=installation.environment(PATH=os.pathsep.join([*programs, os.environ["PATH"]])),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )

    # Its profile is a short one, of which it is warned.
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("1 de-identified. Output is in out.\n")


def test_commands_that_need_servers(
    installation: Installation, up: Up, profile: Path, tmp_path: Path
) -> None:
    """Containers, profiles, resolutions and uploads work."""
    (ct,) = dicom_files("CT_small.dcm")
    device = "sites/elsewhere/devices/d"
    for arguments in (
        ("health", up.deid_service),
        ("container", "create", "sites/elsewhere"),
        ("container", "create", device),
        ("profile", "set", device, profile),
        ("profile", "resolve", device),
        ("upload", ct, "--to", device, "--out", tmp_path / "out"),
        ("upload", ct, "--to", device, "--out", tmp_path / "out"),
    ):
        done = run(installation, *arguments, **up.addresses)

        assert (done.returncode, done.stderr) == (0, ""), arguments
    assert done.stdout.startswith("1 done earlier.")


@pytest.mark.parametrize("command", ["up", "demo"])
def test_what_serves_says_what_it_needs(installation: Installation, command: str) -> None:
    """The embedded mode says in a sentence that it needs Linux or macOS."""
    done = run(installation, command)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "deidcascade: the embedded mode runs on Linux and macOS only.\n"
