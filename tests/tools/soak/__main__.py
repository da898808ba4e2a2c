"""Runs the whole system under mixed load and faults, and says whether it held.

Usage: python -m tests.tools.soak [--minutes N]

Callers upload good and bad files without a pause and check all that comes back;
others vanish, send garbage or do not read. Every few seconds something goes wrong: a
process is killed, hangs or cannot be started, rows are locked, connections are dropped,
nobody reads the log. One worker is spared, and its memory is watched, with that of the
supervisor. For a tenth of the time at the end nothing goes wrong but by callers.

What the services have counted is compared with what the callers saw, stream by stream. While
things go wrong, DeidService has counted what was seen, as its counters outlive its workers, and
above that no more than what was begun and could not be seen. In the rest it has counted just
that, and ProfileService the resolutions; it is killed before, and its counters with it.

The exit code is 0 if every file was complete with a receipt or reported, nothing that
identifies came out, nothing partial was left, memory was flat, and the metrics were right
and held no value of a file.
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

from tests.integration.faults.files import IDENTIFIERS
from tests.integration.faults.system import System, running_system
from tests.support.deid_service import TARGET
from tests.support.memory import in_memory
from tests.support.metrics import Scrape, at_rest, metrics_of
from tests.support.witness import Seen, differences, values_in
from tests.tools.soak.load import Load

SECONDS_BETWEEN_FAULTS = 8.0
SECONDS_BETWEEN_SAMPLES = 1.0
SECONDS_OF_SHORTAGE = 4.0

# How much of a run nothing goes wrong in, at its end.
REST = 1 / 10

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


class Metrics:
    """What both services tell Prometheus, and what it must be.

    Attributes:
        compared: what was compared, for whoever reads the report.
        violations: what is not so.
    """

    def __init__(self, system: System) -> None:
        """Begins with what they tell now."""
        self.compared: list[tuple[str, str]] = []
        self.violations: list[str] = []
        self._system = system
        self._texts: list[str] = []
        self._before = self._scrapes()

    def compare(self, when: str, seen: Seen, *, broken: bool) -> None:
        """Compares what was counted since the last time with what callers saw."""
        before, now = self._before, self._scrapes()
        self._before = now
        told = now[0].since(before[0])
        found = differences(told, seen, broken=broken)
        if not broken:
            found += self._resolutions(told, now[1].since(before[1]))
        self.violations += [f"{when}: {each}" for each in found]
        for what, counted, receipts in (
            ("files", told.total("deidcascade_files_total"), seen.files.total()),
            (
                "bytes out of receipts",
                told.value("deidcascade_sent_bytes_total", result="COMPLETE"),
                seen.bytes_out,
            ),
            ("streams", told.total("deidcascade_streams_total"), seen.streams.total()),
        ):
            self.compared.append(
                (f"{what} {when}", f"{counted:,.0f} counted, {receipts:,} answered")
            )
        unseen = f"{seen.unanswered:,} files, {seen.begun + seen.unsure:,} streams"
        self.compared.append((f"begun and not answered {when}", unseen))

    def search(self, files: list[bytes]) -> None:
        """Searches all that was told for values of files."""
        told = "\n".join(self._texts)
        found = {tag for file in files for tag in values_in(told, file)}
        found |= {each.decode() for each in IDENTIFIERS if each.decode() in told}
        if TARGET in told:
            found.add("the target")
        self.violations += [f"metrics: the value of {each} was told" for each in sorted(found)]
        self.compared.append(("metrics searched for values", f"{len(told):,} characters"))

    def _resolutions(self, deid: Scrape, profiles: Scrape) -> list[str]:
        """Returns where ProfileService has not counted the resolutions of streams."""
        streams = deid.total("deidcascade_streams_total", outcome="PROFILE")
        asked = deid.value("deidcascade_resolve_seconds_count")
        answered = profiles.value("deidcascade_calls_total", method="ResolveProfile", code="OK")
        timed = profiles.value("deidcascade_call_seconds_count", method="ResolveProfile")
        # Whether callers may still upload is asked with the same call.
        if streams == asked <= answered == timed:
            return []
        return [
            f"metrics: {streams:.0f} streams, {asked:.0f} resolutions, of which ProfileService"
            f" counted {answered:.0f} and timed {timed:.0f}"
        ]

    def _scrapes(self) -> tuple[Scrape, Scrape]:
        both = (
            at_rest(metrics_of(self._system.deid_service)),
            Scrape(self._system.profile_metrics()),
        )
        self._texts += [each.text for each in both]
        return both


def main(arguments: list[str]) -> int:
    """Soaks, prints what happened, and returns the exit code."""
    parser = argparse.ArgumentParser(prog="./dev soak", description="Load and faults for minutes.")
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (default: 10)")
    minutes: float = parser.parse_args(arguments).minutes
    with (
        tempfile.TemporaryDirectory(prefix="soak-", dir=in_memory()) as name,
        running_system(Path(name)) as system,
    ):
        service = system.start_deid_service("--metrics", "127.0.0.1:0")
        system.deid_service = service
        spared = psutil.Process(service.workers(times=2)[0])
        supervisor = spared.parent()
        if supervisor is None:
            raise RuntimeError("DeidService has ended.")
        memory = {"the spared worker": Memory(spared), "the supervisor": Memory(supervisor)}
        faults = Faults(system, spared)
        metrics = Metrics(system)
        load = Load(service.address, Path(name))
        with load.running():
            _watch(minutes * 60 * (1 - REST), memory, faults)
        metrics.compare("while things went wrong", load.seen(), broken=True)
        resting = Load(service.address, Path(name))
        with resting.running():
            _watch(minutes * 60 * REST, memory)
        metrics.compare("in the rest", resting.seen(), broken=False)
        metrics.search(load.files())
        system.assert_logs_are_clean()
    counts = load.counts + resting.counts
    violations = [*load.violations, *resting.violations, *metrics.violations]
    return _report(counts, violations, faults, memory, metrics)


def _watch(seconds: float, memory: dict[str, Memory], faults: Faults | None = None) -> None:
    pause = threading.Event()
    ends = time.monotonic() + seconds
    next_fault = time.monotonic() + SECONDS_BETWEEN_FAULTS
    while time.monotonic() < ends:
        pause.wait(SECONDS_BETWEEN_SAMPLES)
        for one in memory.values():
            one.sample()
        if faults is not None and time.monotonic() >= next_fault:
            faults.one()
            next_fault = time.monotonic() + SECONDS_BETWEEN_FAULTS


def _report(
    counts: Counter[str],
    violations: list[str],
    faults: Faults,
    memory: dict[str, Memory],
    metrics: Metrics,
) -> int:
    console = Console(width=100)
    table = Table("", "", title="Soak")
    for what, number in sorted(counts.items()):
        table.add_row(what, f"{number:,}")
    table.add_section()
    for what, number in sorted(faults.counts.items()):
        table.add_row(what, f"{number:,}")
    table.add_section()
    for what, said in metrics.compared:
        table.add_row(what, said)
    table.add_section()
    flat = True
    for what, one in memory.items():
        slope, sizes = one.slope(), [size for _, size in one.samples]
        flat = flat and slope <= MAX_SLOPE_MIB_PER_MINUTE
        # A slope alone does not show whether it levels off.
        curve = " ".join(f"{size:.0f}" for size in sizes[:: max(1, len(sizes) // 8)])
        table.add_row(f"memory of {what}", f"{slope:+.2f} MiB per minute: {curve} MiB")
    console.print(table)
    for violation in violations:
        console.print(violation, markup=False, style="red")
    if not flat:
        console.print("Memory is not flat.", style="red")
    return 0 if flat and not violations else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
