"""What each clever part gains: the services with it and without it, in one run.

The parts are those of `docs/decisions`. A service without one of them runs beside one
with all of them; both are asked in turns, round after round, and of each the best round
counts. The clients share the cores with the servers: where the machine does something
else, too, the CPU time of the server says more than the time on the wall.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from deid_service.client.batches import BATCH_BYTES
from deid_service.engine import compile_plan, deidentify
from profile_service.language import parse_profile
from tests.benchmarks._files import slices
from tests.benchmarks._processes import Server, postgres, run_client, serving
from tests.benchmarks._profiles import PROJECT, set_up
from tests.benchmarks.engine import profiles
from tests.benchmarks.resolve import load_hierarchy

ROUNDS = 4
PROJECTS, CALLS = 1000, 1000
# Of a series, which files in batches are.
SERIES = 160


@dataclass(frozen=True)
class Load:
    """What is asked of a service.

    Attributes:
        name: for the table.
        unit: of which `count` are done.
        count: how many.
        run: does it once, and returns the seconds on the wall.
    """

    name: str
    unit: str
    count: int
    run: Callable[[Server], float]


def _files(size: int, files: int, **more: int) -> Callable[[Server], float]:
    def run(server: Server) -> float:
        load = {"address": server.address, "target": PROJECT, "size": size, "files": files}
        return run_client("tests.benchmarks._load", **load, **more)["seconds"]

    return run


def _ask(server: Server, *, known: bool) -> float:
    answer = run_client(
        "tests.benchmarks._asking",
        address=server.address,
        groups=PROJECTS // 100,
        each=100,
        seed=1,
        calls=CALLS,
        callers=1,
        known=known,
    )
    return answer["median"] * CALLS


LARGE = Load("1 GiB in one file", "GiB", 1, _files(1 << 30, 1))
MEDIUM = Load("2,000 files of 512 KiB", "file", 2000, _files(512 * 1024, 2000))
BATCHED = Load(
    "2,000 files of 512 KiB, two in a message",
    *("file", 2000),
    _files(512 * 1024, 2000, batch_bytes=BATCH_BYTES, series=SERIES),
)
SMALL = Load("4,000 files of 32 KiB", "file", 4000, _files(32 * 1024, 4000))
SENT = Load("resolutions, text sent", "call", CALLS, lambda server: _ask(server, known=False))
KNOWN = Load("resolutions, text known", "call", CALLS, lambda server: _ask(server, known=True))

STREAMS = {
    "tuning": (LARGE, MEDIUM),
    "wire shortcuts": (LARGE, MEDIUM, SMALL),
    "digest thread": (LARGE, MEDIUM, BATCHED),
    "reading on": (BATCHED,),
    "gathered log lines": (SMALL,),
}
RESOLUTIONS = {
    "tuning": (KNOWN,),
    "statement path": (KNOWN,),
    "recent versions": (SENT, KNOWN),
    "unchanged answers": (KNOWN,),
    "gathered log lines": (KNOWN,),
}


def main() -> int:
    """Prints the table."""
    console = Console(width=130)
    table = Table("without", "load", "time", "CPU", "with it: time", "with it: CPU")
    with ExitStack() as running:
        database = running.enter_context(postgres())
        profile_service = running.enter_context(_service("nothing", "profile_service", database))
        set_up(profile_service.address, profiles()["12 rules"])
        for part, loads in STREAMS.items():
            _compare(table, part, loads, "deid_service", profile_service.address)
    with ExitStack() as running:
        database = running.enter_context(postgres())
        load_hierarchy(database, PROJECTS)
        for part, loads in RESOLUTIONS.items():
            _compare(table, part, loads, "profile_service", database)
    _compare_engines(table)
    console.print(table)
    console.print(
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    )
    return 0


@contextmanager
def _service(part: str, service: str, behind: str) -> Iterator[Server]:
    option = {"profile_service": "--database", "deid_service": "--profile-service"}[service]
    arguments = ("--listen", "127.0.0.1:0", "--workers", "1", option, behind)
    with serving("tests.benchmarks._without", part, service, *arguments) as server:
        yield server


def _compare_engines(table: Table) -> None:
    """Measures layouts that are learned, where nothing but the engine runs."""
    profile, datas = parse_profile(profiles()["12 rules"]), slices(1000)

    def run(*, learn: bool) -> tuple[float, float]:
        plan = compile_plan(profile, learn=learn)
        began, cpu_began = time.perf_counter(), time.process_time()
        for data in datas:
            deidentify(data, plan)
        return time.perf_counter() - began, time.process_time() - cpu_began

    load = Load("1,000 different slices of 39 KB", "file", len(datas), lambda _: 0.0)
    _add(
        table,
        "learned layouts",
        load,
        [[run(learn=learn) for learn in (True, False)] for _ in range(ROUNDS)],
    )


def _compare(table: Table, part: str, loads: tuple[Load, ...], service: str, behind: str) -> None:
    for load in loads:
        # Fresh ones: what the allocator learnt from other loads would decide otherwise.
        with _service("nothing", service, behind) as ours, _service(part, service, behind) as other:
            rounds = [[_cost(server, load) for server in (ours, other)] for _ in range(ROUNDS)]
        _add(table, part, load, rounds)


def _add(table: Table, part: str, load: Load, rounds: list[list[tuple[float, float]]]) -> None:
    """Adds the best of each way: of all parts, and without one."""
    (our_wall, our_cpu), (wall, cpu) = (
        (min(seconds for seconds, _ in of_one), min(spent for _, spent in of_one))
        for of_one in zip(*rounds, strict=True)
    )
    table.add_row(
        part,
        load.name,
        _each(wall, load),
        _each(cpu, load),
        f"{our_wall / wall:.2f} x",
        f"{our_cpu / cpu:.2f} x",
    )


def _cost(server: Server, load: Load) -> tuple[float, float]:
    before = server.cpu_seconds()
    return load.run(server), server.cpu_seconds() - before


def _each(seconds: float, load: Load) -> str:
    each = seconds / load.count
    return f"{each:.2f} s / {load.unit}" if each > 0.1 else f"{each * 1e6:,.0f} us / {load.unit}"
