"""DeidService beside a bare gRPC echo service with the same messages: time, CPU, memory.

The echo is written as gRPC's documentation has it: generated stubs, `grpc.aio`,
default settings. Two more show what its time is made of: one with the settings of
the allocator and of gRPC that our workers run with, and one that also takes the
SHA-256 of what it sends, which every receipt holds. All run at the same time and are
asked one after the other, round after round; of each the best round counts. Each load
has fresh servers: what the allocator learnt from other messages would decide otherwise.
The clients are processes of their own and share the cores with the servers, so the CPU
time of the server says more than the time on the wall.
"""

from __future__ import annotations

import os
import platform
import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.table import Table

from deid_service.client.batches import BATCH_BYTES
from profile_service.keys.files import write_secret
from profile_service.serving.supervisor import TUNING
from tests.benchmarks._processes import (
    Server,
    answer_of,
    postgres,
    run_client,
    serving,
    start_client,
)
from tests.benchmarks._profiles import PROJECT, add_project, set_up
from tests.benchmarks.engine import keyed_pair, profiles

ROUNDS = 4
GIB = 1 << 30
FILES, FILE_BYTES = 2000, 512 * 1024
# A stream for each file takes longer, and the rate is the same with fewer.
SINGLES = 500

# The different files that a client sends again and again. As many of them go into a message
# as our own client puts there.
SERIES = 160

# Of a series of one patient, and each of a patient of its own, whom nobody has seen before.
KEYED_BYTES, KEYED_FILES, NEW_PATIENTS = 32 * 1024, 8000, 2000

CLIENTS = 4
CLIENT_ROUNDS = 5

# 500 streams: these, and as many as fill it up that hardly move.
BUSY_CHANNELS, BUSY_PER_CHANNEL = 4, 25
IDLE, SLOW = 200, 200
BUSY_SECONDS = 8.0

# The rules by a key, and a code as the patient's ID.
CODES = keyed_pair()[1].replace(
    "PatientID, keyed-hash: true", "PatientID, assign: 'LUNG-{0000000}'"
)

LoadedT = TypeVar("LoadedT")

LOAD, CROWD = "tests.benchmarks._load", "tests.benchmarks._slow"


@dataclass(frozen=True)
class Cost:
    """What a load took: seconds on the wall, and CPU seconds of the server."""

    wall: float
    cpu: float


def main() -> int:
    """Prints the tables."""
    console = Console(width=110)
    with ExitStack() as running:
        database = running.enter_context(postgres())
        master_key = Path(running.enter_context(tempfile.TemporaryDirectory())) / "master.key"
        write_secret(master_key)
        profile_service = running.enter_context(
            serving(
                *("profile_service", "--listen", "127.0.0.1:0", "--database", database),
                *("--master-key-file", str(master_key)),
            )
        )
        set_up(profile_service.address, profiles()["12 rules"])
        console.print(_throughput(profile_service.address))
        for size, files, three in ((32 * 1024, 20_000, 4_000), (FILE_BYTES, FILES, FILES)):
            console.print(_batches(profile_service.address, size, files, three))
        console.print(_pseudonyms(profile_service.address))
        with _service(profile_service.address, workers=2) as service:
            console.print(_balance(service))
        with _service(profile_service.address, workers=1) as service:
            console.print(_crowd(service))
    console.print(
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    )
    return 0


@contextmanager
def _echo(*arguments: str, tuned: bool = False) -> Iterator[Server]:
    environment = TUNING if tuned else {}
    with serving("tests.benchmarks._echo", *arguments, "", environment=environment) as server:
        yield server


@contextmanager
def _service(profile_service: str, *, workers: int) -> Iterator[Server]:
    with serving(
        "deid_service",
        *("--listen", "127.0.0.1:0", "--workers", str(workers)),
        *("--profile-service", profile_service),
    ) as server:
        yield server


@contextmanager
def _servers(profile_service: str) -> Iterator[dict[str, Server]]:
    with ExitStack() as running:
        yield {
            "echo": running.enter_context(_echo()),
            "echo, tuned": running.enter_context(_echo(tuned=True)),
            "echo, tuned, SHA-256": running.enter_context(_echo("--digest", tuned=True)),
            "deid_service": running.enter_context(_service(profile_service, workers=1)),
        }


def _throughput(profile_service: str) -> Table:
    table = Table(
        "server", "per s", "of the echo", "CPU", "of the echo's", title="One stream, one worker"
    )
    with _servers(profile_service) as servers:
        loads = {name: (server, True) for name, server in servers.items()}
        loads["deid_service, no digest"] = servers["deid_service"], False
        costs = _best(loads, lambda load: _cost(load[0], size=GIB, digest=load[1]))
    table.add_row("1 GiB in one file")
    for name, cost in costs.items():
        table.add_row(
            f"  {name}",
            f"{1024 / cost.wall:,.0f} MiB",
            f"{costs['echo'].wall / cost.wall:.2f} x",
            f"{cost.cpu:.2f} s / GiB",
            f"{cost.cpu / costs['echo'].cpu:.2f} x",
        )
    with _servers(profile_service) as servers:
        costs = _best(servers, lambda server: _cost(server, size=FILE_BYTES, files=FILES))
        ours = {"": servers["deid_service"]}
        single = _best(ours, lambda server: _cost(server, size=FILE_BYTES, streams=SINGLES))[""]
    table.add_section()
    table.add_row("2,000 files of 512 KiB")
    for name, cost in costs.items():
        table.add_row(
            f"  {name}",
            f"{FILES / cost.wall:,.0f} files",
            f"{costs['echo'].wall / cost.wall:.2f} x",
            f"{cost.cpu * 1000 / FILES:.2f} s / 1,000",
            f"{cost.cpu / costs['echo'].cpu:.2f} x",
        )
    ratio = (single.wall / SINGLES) / (costs["deid_service"].wall / FILES)
    table.add_section()
    table.add_row(
        "deid_service, a stream per file",
        f"{SINGLES / single.wall:,.0f} files",
        f"{ratio:.1f} x slower than one stream",
        f"{single.cpu * 1000 / SINGLES:.2f} s / 1,000",
    )
    return table


def _batches(profile_service: str, size: int, files: int, three: int) -> Table:
    """Measures files of a series in batches, beside three messages for each."""
    table = Table(
        *("server, and how files travel", "files per s", "of the echo", "of three messages"),
        *("server CPU per file", "of three messages"),
        title=f"One stream, one worker, a series of files of {size // 1024} KiB, 12 rules",
    )
    load: dict[str, object] = {"size": size, "series": SERIES}
    batched = load | {"files": files, "batch_bytes": BATCH_BYTES}
    loads: dict[str, tuple[str, int, dict[str, object]]] = {
        "echo, tuned: batches": ("echo, tuned", files, batched),
        "echo, tuned, SHA-256: batches": ("echo, tuned, SHA-256", files, batched),
        "deid_service: three messages": ("deid_service", three, load | {"files": three}),
        "deid_service: batches": ("deid_service", files, batched),
        "deid_service: batches, no digest": ("deid_service", files, batched | {"digest": False}),
    }
    with _servers(profile_service) as servers:
        rounds = [
            {name: _cost(servers[server], **what) for name, (server, _, what) in loads.items()}
            for _ in range(ROUNDS)
        ]
    best = {
        name: Cost(
            min(one[name].wall for one in rounds) / count,
            min(one[name].cpu for one in rounds) / count,
        )
        for name, (_, count, _) in loads.items()
    }
    echo, plain = best["echo, tuned, SHA-256: batches"], best["deid_service: three messages"]
    for name, cost in best.items():
        table.add_row(
            name,
            f"{1 / cost.wall:,.0f}",
            f"{echo.wall / cost.wall:.2f} x",
            f"{plain.wall / cost.wall:.2f} x",
            f"{cost.cpu * 1e6:,.0f} us",
            f"{cost.cpu / plain.cpu:.2f} x",
        )
    return table


def _pseudonyms(profile_service: str) -> Table:
    """Measures what keys and codes cost, beside the same rules without a key."""
    table = Table(
        *("files, and how they become pseudonyms", "per s", "of those without a key"),
        *("server CPU per file", "of those without a key"),
        title=f"One stream, one worker, files of {KEYED_BYTES // 1024} KiB in batches",
    )
    plain, keyed = keyed_pair()
    targets = {
        "without a key": (f"{PROJECT}-plain", plain),
        "by a key": (f"{PROJECT}-keyed", keyed),
        "codes": (f"{PROJECT}-codes", CODES),
    }
    for name, source in targets.values():
        add_project(profile_service, name, source)
    load: dict[str, object] = {"size": KEYED_BYTES, "batch_bytes": BATCH_BYTES}
    one = load | {"files": KEYED_FILES, "series": SERIES}
    many = load | {"files": NEW_PATIENTS, "series": NEW_PATIENTS, "new_patients": True}
    for title, ways, what, count in (
        ("of one patient", ("without a key", "by a key", "codes"), one, KEYED_FILES),
        ("of a new patient each", ("without a key", "by a key", "codes"), many, NEW_PATIENTS),
    ):
        with ExitStack() as running:
            servers = {
                way: running.enter_context(_service(profile_service, workers=1)) for way in ways
            }
            rounds = [
                {
                    way: _cost(server, **what, target=targets[way][0])
                    for way, server in servers.items()
                }
                for _ in range(ROUNDS)
            ]
        best = {
            way: Cost(min(r[way].wall for r in rounds), min(r[way].cpu for r in rounds))
            for way in ways
        }
        without = best["without a key"]
        table.add_row(title)
        for way, cost in best.items():
            table.add_row(
                f"  {way}",
                f"{count / cost.wall:,.0f}",
                f"{without.wall / cost.wall:.2f} x",
                f"{cost.cpu / count * 1e6:,.0f} us",
                f"{cost.cpu / without.cpu:.2f} x",
            )
    return table


def _best(servers: dict[str, LoadedT], load: Callable[[LoadedT], Cost]) -> dict[str, Cost]:
    """Returns the least of several rounds, in which the servers take turns."""
    rounds = [{name: load(server) for name, server in servers.items()} for _ in range(ROUNDS)]
    return {
        name: Cost(min(one[name].wall for one in rounds), min(one[name].cpu for one in rounds))
        for name in servers
    }


def _cost(server: Server, **load: object) -> Cost:
    before = server.cpu_seconds()
    answer = run_client(LOAD, **{"address": server.address, "target": PROJECT} | load)
    return Cost(answer["seconds"], server.cpu_seconds() - before)


def _balance(service: Server) -> Table:
    table = Table("round", "share of each worker", title="Four clients at once, two workers")
    for number in range(CLIENT_ROUNDS):
        before = service.cpu_by_process()
        clients = [
            start_client(
                LOAD, address=service.address, target=PROJECT, size=FILE_BYTES, files=SINGLES // 2
            )
            for _ in range(CLIENTS)
        ]
        for client in clients:
            answer_of(client)
        spent = {
            pid: seconds - before.get(pid, 0.0)
            for pid, seconds in service.cpu_by_process().items()
            if pid != service.process.pid
        }
        total = sum(spent.values())
        shares = sorted(seconds / total for seconds in spent.values())
        table.add_row(str(number + 1), ", ".join(f"{share:.0%}" for share in shares))
    return table


def _crowd(service: Server) -> Table:
    """Measures streams that send, alone and among many that hardly move."""
    table = Table("", "files per s", "memory", title=f"{IDLE + SLOW} streams hardly move, 1 worker")
    busy = BUSY_CHANNELS * BUSY_PER_CHANNEL

    def rate() -> float:
        answer = run_client(
            LOAD,
            address=service.address,
            target=PROJECT,
            size=FILE_BYTES,
            streams=BUSY_PER_CHANNEL,
            channels=BUSY_CHANNELS,
            seconds=BUSY_SECONDS,
        )
        return answer["files"] / answer["seconds"]

    idle_memory = service.memory_bytes()
    alone = statistics.mean([rate(), rate()])
    busy_memory = service.memory_bytes()
    crowd = start_client(CROWD, address=service.address, target=PROJECT, idle=IDLE, slow=SLOW)
    if crowd.stdout is None or crowd.stdout.readline() != "open\n":
        raise RuntimeError("The slow streams cannot be opened.")
    crowded_memory = service.memory_bytes()
    crowded = statistics.mean([rate(), rate()])
    most = service.memory_bytes()
    crowd.communicate()
    table.add_row("nothing open", "", _mib(idle_memory))
    table.add_row(f"{busy} streams that send, alone", f"{alone:,.0f}", _mib(busy_memory))
    table.add_row(f"with {IDLE} idle and {SLOW} that read 1 byte/s", "", _mib(crowded_memory))
    table.add_row(
        f"{busy} streams that send, among them",
        f"{crowded:,.0f}  {crowded / alone:.2f} x",
        f"{_mib(most)}  {(most - idle_memory) / (busy + IDLE + SLOW) / 2**20:.2f} per stream",
    )
    return table


def _mib(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB"
