"""Runs the whole system under mixed load and faults, and says whether it held.

Usage: python -m tests.tools.soak [--minutes N]

Callers upload good and bad files without a pause and check all that comes back;
others vanish, send garbage or do not read. Every few seconds something goes wrong: a
process is killed, hangs or cannot be started, rows are locked, connections are dropped,
nobody reads the log. One worker is spared, and its memory is watched, with that of the
supervisor. The exit code is 0
if every file was complete with a receipt or reported, nothing that identifies came
out, nothing partial was left, and memory was flat.
"""

from __future__ import annotations

import tests.support.environment  # isort: skip  # noqa: F401
import argparse
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from tests.integration.faults.system import System, running_system
from tests.support.memory import in_memory
from tests.tools.soak.load import Load

SECONDS_BETWEEN_FAULTS = 8.0
SECONDS_BETWEEN_SAMPLES = 1.0
SECONDS_OF_SHORTAGE = 4.0

# The first part of a run fills caches and the allocator's pools: those come to their level with
# the largest files that meet in a worker, of which some hundred have come after five minutes.
WARM_UP = 1 / 2

# Above what sampling a moving load leaves as noise over minutes, and far below what a
# leak of a few hundred bytes per file comes to.
MAX_SLOPE_MIB_PER_MINUTE = 1.0


class Memory:
    """The memory of one process over time.

    Attributes:
        samples: seconds since the start, and MiB.
    """

    def __init__(self, process: psutil.Process) -> None:
        """Begins with no samples."""
        self.samples: list[tuple[float, float]] = []
        self._process = process
        self._began = time.monotonic()

    def sample(self) -> None:
        """Takes a sample."""
        size = self._process.memory_info().rss / 2**20
        self.samples.append((time.monotonic() - self._began, size))

    def slope(self) -> float:
        """Returns how it grows after the warm-up, in MiB per minute."""
        settled = self.samples[int(len(self.samples) * WARM_UP) :]
        seconds, sizes = zip(*settled, strict=True)
        return 60 * statistics.linear_regression(seconds, sizes).slope


class Faults:
    """Kills and restarts, one after the other."""

    def __init__(self, system: System, spared: psutil.Process) -> None:
        """Takes the system, and the worker that is not killed."""
        self.counts: Counter[str] = Counter()
        self._system = system
        self._spared = spared
        self._draw = random.Random(1)  # noqa: S311 - no secret
        self._faults = {
            "a worker killed": self._kill_worker,
            "ProfileService killed": self._kill_profile_service,
            "PostgreSQL killed": self._kill_postgres,
            "PostgreSQL restarted": system.restart_postgres,
            "a process of PostgreSQL killed": system.kill_postgres_backend,
            "a worker hung": self._hang_worker,
            "a worker killed and none to be started": self._prevent_worker,
            "the log unread": self._leave_log,
            "rows locked": self._lock_rows,
            "idle connections dropped": system.drop_idle_connections,
        }

    def one(self) -> None:
        """Lets one fault happen, and what is not replaced by itself start again."""
        name = self._draw.choice(list(self._faults))
        self._faults[name]()
        self.counts[name] += 1

    def _kill_worker(self) -> None:
        for worker in self._others():
            worker.kill()

    def _hang_worker(self) -> None:
        # Its supervisor ends it.
        for worker in self._others():
            worker.suspend()

    def _prevent_worker(self) -> None:
        """Lets the supervisor have no descriptor for another worker, for a while."""
        supervisor = self._spared.parent()
        if supervisor is None:
            raise RuntimeError("DeidService has ended.")
        before = supervisor.rlimit(psutil.RLIMIT_NOFILE)
        supervisor.rlimit(psutil.RLIMIT_NOFILE, (supervisor.num_fds(), before[1]))
        try:
            self._kill_worker()
            time.sleep(SECONDS_OF_SHORTAGE)
        finally:
            supervisor.rlimit(psutil.RLIMIT_NOFILE, before)

    def _leave_log(self) -> None:
        with self._system.deid_service.unread():
            time.sleep(SECONDS_OF_SHORTAGE)

    def _lock_rows(self) -> None:
        with self._system.locked_rows():
            time.sleep(SECONDS_OF_SHORTAGE)

    def _others(self) -> list[psutil.Process]:
        supervisor = self._spared.parent()
        children = supervisor.children() if supervisor else []
        return [worker for worker in children if worker.pid != self._spared.pid]

    def _kill_profile_service(self) -> None:
        self._system.kill_profile_service()
        self._system.start_profile_service()

    def _kill_postgres(self) -> None:
        self._system.kill_postgres()
        self._system.restart_postgres()


def main(arguments: list[str]) -> int:
    """Soaks, prints what happened, and returns the exit code."""
    parser = argparse.ArgumentParser(prog="./dev soak", description="Load and faults for minutes.")
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (default: 10)")
    minutes: float = parser.parse_args(arguments).minutes
    with (
        tempfile.TemporaryDirectory(prefix="soak-", dir=in_memory()) as name,
        running_system(Path(name)) as system,
    ):
        spared = psutil.Process(system.deid_service.workers(times=2)[0])
        supervisor = spared.parent()
        if supervisor is None:
            raise RuntimeError("DeidService has ended.")
        memory = {"the spared worker": Memory(spared), "the supervisor": Memory(supervisor)}
        faults = Faults(system, spared)
        load = Load(system.deid_service.address, Path(name))
        load.start()
        try:
            _watch(minutes * 60, faults, memory)
        finally:
            load.stop()
        system.assert_logs_are_clean()
    return _report(load, faults, memory)


def _watch(seconds: float, faults: Faults, memory: dict[str, Memory]) -> None:
    pause = threading.Event()
    ends = time.monotonic() + seconds
    next_fault = time.monotonic() + SECONDS_BETWEEN_FAULTS
    while time.monotonic() < ends:
        pause.wait(SECONDS_BETWEEN_SAMPLES)
        for one in memory.values():
            one.sample()
        if time.monotonic() >= next_fault:
            faults.one()
            next_fault = time.monotonic() + SECONDS_BETWEEN_FAULTS


def _report(load: Load, faults: Faults, memory: dict[str, Memory]) -> int:
    console = Console(width=100)
    table = Table("", "", title="Soak")
    for what, number in sorted(load.counts.items()):
        table.add_row(what, f"{number:,}")
    table.add_section()
    for what, number in sorted(faults.counts.items()):
        table.add_row(what, f"{number:,}")
    table.add_section()
    flat = True
    for what, one in memory.items():
        slope, sizes = one.slope(), [size for _, size in one.samples]
        flat = flat and slope <= MAX_SLOPE_MIB_PER_MINUTE
        # A slope alone does not show whether it levels off.
        curve = " ".join(f"{size:.0f}" for size in sizes[:: max(1, len(sizes) // 8)])
        table.add_row(f"memory of {what}", f"{slope:+.2f} MiB per minute: {curve} MiB")
    console.print(table)
    for violation in load.violations:
        console.print(violation, markup=False, style="red")
    if not flat:
        console.print("Memory is not flat.", style="red")
    return 0 if flat and not load.violations else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
