"""`deidcascade apply` where there are files for several processes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import psutil
import pytest

from deid_service.cli import cores
from deid_service.cli.apply import Settings, Work
from deid_service.cli.cores import Processes
from deid_service.client import find_sources
from profile_service.language import parse_profile
from tests.support.deid_service import PROFILE, ct

FILES = 100

# More than are done before a signal that is sent at the first output.
MANY = 20_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of good files and a bad one."""
    made = tmp_path / "in"
    made.mkdir()
    for number in range(FILES):
        (made / f"{number:03}.dcm").write_bytes(ct())
    (made / "050.dcm").write_bytes(ct()[:-100])
    return made


def prepare(out: Path) -> partial[Work]:
    """Returns what makes the work of a process."""
    out.mkdir()
    return partial(Work, Settings(parse_profile(PROFILE), learn=True, out=out, keep_names=False))


def test_reports_come_in_the_order_of_the_files(folder: Path, tmp_path: Path) -> None:
    """Two processes do what one does: each file once, in order, whole or not at all."""
    out = tmp_path / "out"
    read: list[int] = []

    reports = list(
        Processes(2, prepare(out), read.append, preload=__name__).run(list(find_sources([folder])))
    )

    assert [one.source for one in reports] == [f"{number:03}.dcm" for number in range(FILES)]
    assert [one.source for one in reports if one.output is None] == ["050.dcm"]
    assert len({one.output for one in reports if one.output}) == FILES - 1
    assert sorted(out.iterdir()) == sorted(one.output for one in reports if one.output)
    assert read[-1] == sum(path.stat().st_size for path in folder.iterdir())


def test_a_process_that_dies_takes_nothing_along(folder: Path, tmp_path: Path) -> None:
    """What it had is reported as failed, and the rest is done by another one."""
    out = tmp_path / "out"
    processes = Processes(1, prepare(out), lambda _: None, preload=__name__)
    running = processes.run(list(find_sources([folder])))

    reports = [next(running)]
    for child in psutil.Process().children():
        if "spawn_main" in " ".join(child.cmdline()):
            child.kill()
    reports += running

    assert [one.source for one in reports] == [f"{number:03}.dcm" for number in range(FILES)]
    failed = [one for one in reports if one.problem == cores.DIED]
    assert len(failed) < FILES
    assert reports[0].output is not None


def test_the_command_ends_in_order_on_a_signal(tmp_path: Path) -> None:
    """A signal leaves nothing partial, and no process behind."""
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(MANY):
        (folder / f"{number}.dcm").write_bytes(ct())
    profile = tmp_path / "profile.yaml"
    profile.write_text(PROFILE)
    out = tmp_path / "out"
    command = [str(Path(sys.executable).with_name("deidcascade")), "apply", "--json"]
    with subprocess.Popen(
        [*command, "--profile", str(profile), str(folder), "--out", str(out)],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        while not out.exists() or not any(out.iterdir()):
            assert process.poll() is None
        children = psutil.Process(process.pid).children(recursive=True)

        process.send_signal(signal.SIGINT)

        said, _ = process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGINT
    assert len(json.loads(said)) < MANY
    assert not [path for path in out.iterdir() if path.suffix != ".dcm"]
    assert psutil.wait_procs(children, timeout=20)[1] == []
