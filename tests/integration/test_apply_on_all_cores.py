"""`deidcascade apply` where there are files for several processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from deid_service.cli import cores
from deid_service.cli.apply import Settings, Work
from deid_service.cli.cores import Processes
from deid_service.cli.results import FileReport
from deid_service.client import LEDGER_NAME, Source, find_sources
from profile_service.language import parse_profile
from tests.support.deid_service import PROFILE, ct
from tests.support.processes import child

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deid_service.cli.cores import Prepare

FILES = 100

PATIENCE_SECONDS = 60

# So many processes, of those that two thousand files are for.
KILLED = 8


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
    return partial(Work, Settings(parse_profile(PROFILE), "p", "0" * 64, out))


def test_reports_come_in_the_order_of_the_files(folder: Path, tmp_path: Path) -> None:
    """Two processes do what one does: each file once, in order, whole or not at all."""
    out = tmp_path / "out"
    read: list[int] = []

    files = list(find_sources([folder]))
    with Processes(2, files, prepare(out), read.append) as processes:
        reports = list(processes.run())

    assert [one.source for one in reports] == [f"{number:03}.dcm" for number in range(FILES)]
    assert [one.source for one in reports if not one.output] == ["050.dcm"]
    assert len({one.output for one in reports if one.output}) == FILES - 1
    assert sorted(map(str, out.glob("*.dcm"))) == sorted(
        one.output for one in reports if one.output
    )
    assert read[-1] == sum(path.stat().st_size for path in folder.iterdir())


def workers() -> list[psutil.Process]:
    """Returns the processes that do the work and live; tests have other children, too."""
    return [child for child in psutil.Process().children() if is_worker(child)]


def is_worker(process: psutil.Process) -> bool:
    """Tells whether a child is a copy of this process, or was started anew to do work."""
    try:
        command = process.cmdline()
    except psutil.NoSuchProcess:  # It has ended.
        return False
    return command == psutil.Process().cmdline() or "spawn_main" in " ".join(command)


def test_a_process_that_dies_takes_nothing_along(folder: Path, tmp_path: Path) -> None:
    """What it had is reported as failed, and the rest is done by another one."""
    out = tmp_path / "out"
    files = list(find_sources([folder]))
    with Processes(1, files, prepare(out), lambda _: None) as processes:
        running = processes.run()

        reports = [next(running)]
        (worker,) = workers()
        worker.kill()
        worker.wait()
        reports += running

    assert [one.source for one in reports] == [f"{number:03}.dcm" for number in range(FILES)]
    failed = [one for one in reports if one.problem == cores.DIED]
    assert len(failed) < FILES
    assert reports[0].output


def work(prepare: Prepare, files: Sequence[Source], reports: list[FileReport]) -> None:
    """Does files by two processes."""
    with Processes(2, files, prepare, lambda _: None) as processes:
        reports.extend(processes.run())


def test_a_process_that_dies_does_not_leave_others_waiting(folder: Path, tmp_path: Path) -> None:
    """What another has in hand goes on, and what there is more of is done by a new one."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    out = tmp_path / "out"
    files = [Source.of_path(pipe), *find_sources([folder])]
    reports: list[FileReport] = []
    running = threading.Thread(target=work, args=(prepare(out), files, reports), daemon=True)
    running.start()
    # Goes on when one process reads from the other end.
    with pipe.open("wb", buffering=0) as writer:
        in_task = 32
        while len(list(out.glob("*.dcm"))) < len(files) - in_task - 1:
            assert running.is_alive()
        (idle,) = [each for each in workers() if str(pipe) not in open_paths(each)]

        idle.kill()

        writer.write(ct())
    running.join(PATIENCE_SECONDS)
    assert not running.is_alive()
    assert [one.source for one in reports] == [file.name for file in files]
    assert [one.source for one in reports if not one.output] == ["050.dcm"]
    assert workers() == []


def test_processes_may_be_killed_at_any_moment(folder: Path, tmp_path: Path) -> None:
    """However often that happens, each file has a report, in order, and what died had one task."""
    out = tmp_path / "out"
    files = list(find_sources([folder])) * 20
    reports: list[FileReport] = []
    running = threading.Thread(target=work, args=(prepare(out), files, reports), daemon=True)
    running.start()
    killed = 0
    while running.is_alive() and killed < KILLED:
        for worker in workers():
            # The run may be at its end, and they with it.
            with suppress(psutil.NoSuchProcess):
                worker.kill()
                killed += 1
    running.join(PATIENCE_SECONDS)

    assert not running.is_alive()
    assert [one.source for one in reports] == [file.name for file in files]
    failed = [one for one in reports if one.problem == cores.DIED]
    in_task = 32
    assert len(failed) <= killed * in_task
    assert killed >= KILLED


def open_paths(process: psutil.Process) -> set[str]:
    """Returns the paths of what a process has open, pipes included."""
    return {str(each.readlink()) for each in Path(f"/proc/{process.pid}/fd").iterdir()}


def test_the_command_ends_in_order_on_a_signal(folder: Path, tmp_path: Path) -> None:
    """A signal leaves nothing partial, and no process behind; what is done is told."""
    # More than one process does in a second, and no DICOM.
    with (folder / "large.bin").open("wb") as file:
        file.truncate(1 << 30)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    profile = tmp_path / "profile.yaml"
    profile.write_text(PROFILE)
    out = tmp_path / "out"
    command = [str(Path(sys.executable).with_name("deidcascade")), "apply", "--json"]
    with child(
        subprocess.Popen(
            [*command, "--profile", str(profile), str(pipe), str(folder), "--out", str(out)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    ) as process:
        with pipe.open("wb", buffering=0) as writer:
            writer.write(ct()[:10_000])
            while not list(out.glob("*.dcm")):
                assert process.poll() is None
            children = psutil.Process(process.pid).children(recursive=True)

            process.send_signal(signal.SIGINT)
        said, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 128 + signal.SIGINT
    assert errors.endswith("Interrupted. The same command goes on where it stopped.\n")
    done = [one["output"] for one in json.loads(said) if one["output"]]
    assert set(done) <= {str(path) for path in out.glob("*.dcm")}
    assert {path.name for path in out.iterdir() if path.suffix != ".dcm"} == {LEDGER_NAME}
    assert psutil.wait_procs(children, timeout=PATIENCE_SECONDS)[1] == []


def test_processes_end_with_the_command(folder: Path, tmp_path: Path) -> None:
    """When the command is killed outright, nobody goes on with its work, nor waits for it."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    profile = tmp_path / "profile.yaml"
    profile.write_text(PROFILE)
    out = tmp_path / "out"
    for number in range(4000):
        (folder / f"link-{number}.dcm").symlink_to(folder / "001.dcm")
    program = [sys.executable, "-c", "from deid_service.cli import main; main()", "apply"]
    with child(
        subprocess.Popen(
            [*program, "--profile", str(profile), str(pipe), str(folder), "--out", str(out)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    ) as process:
        with pipe.open("wb", buffering=0) as writer:
            writer.write(ct()[:10_000])
            children = psutil.Process(process.pid).children(recursive=True)
            assert children

            process.kill()
        process.wait(PATIENCE_SECONDS)

    assert psutil.wait_procs(children, timeout=PATIENCE_SECONDS)[1] == []


@pytest.mark.parametrize("much", [False, True], ids=["in one process", "in several"])
@pytest.mark.parametrize("opened", [False, True], ids=["nobody opens", "nobody writes"])
def test_one_signal_ends_the_wait_for_a_pipe(
    folder: Path, tmp_path: Path, much: bool, opened: bool
) -> None:
    """Whatever a pipe keeps it waiting for, one signal ends it, and what was done is told."""
    with (folder / "large.bin").open("wb") as file:
        file.truncate((1 << 30) if much else 1)
    spoken, silent = tmp_path / "spoken", tmp_path / "silent"
    os.mkfifo(spoken)
    os.mkfifo(silent)
    profile, out = tmp_path / "profile.yaml", tmp_path / "out"
    profile.write_text(PROFILE)
    command = [str(Path(sys.executable).with_name("deidcascade")), "apply"]
    with child(
        subprocess.Popen(
            [
                *(*command, "--profile", str(profile), str(spoken), str(silent)),
                *(str(folder / "large.bin"), "--out", str(out)),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    ) as process:
        with spoken.open("wb") as writer:
            writer.write(ct())
        while not list(out.glob("*.dcm")):
            assert process.poll() is None
        # What comes next is the other pipe; it goes on when that is read.
        with silent.open("wb") if opened else nullcontext():
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=PATIENCE_SECONDS)

    assert process.returncode == 128 + signal.SIGINT
    assert errors == "Interrupted. The same command goes on where it stopped.\n"
    assert len(list(out.glob("*.dcm"))) == 1
