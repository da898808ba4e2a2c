"""The services and the echo as processes, and what they use of the machine."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from deid_service.embedded.postgres import EmbeddedPostgres
from profile_service.serving.supervisor import TUNING
from tests.support.memory import in_memory

PATIENCE_SECONDS = 120.0


@dataclass(frozen=True)
class Server:
    """A process that serves, with its workers if it has any.

    Attributes:
        address: HOST:PORT.
        process: the process that was started.
    """

    address: str
    process: psutil.Process

    def cpu_seconds(self) -> float:
        """Returns the CPU time of all its processes so far, user and system."""
        return sum(self.cpu_by_process().values())

    def cpu_by_process(self) -> dict[int, float]:
        """Returns the CPU time of each of its processes so far, by their ids."""
        return {one.pid: sum(one.cpu_times()[:2]) for one in self._processes()}

    def memory_bytes(self) -> int:
        """Returns the memory that its processes have in the machine."""
        return sum(int(one.memory_info().rss) for one in self._processes())

    def _processes(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]


@contextmanager
def serving(
    module: str, *arguments: str, environment: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Runs a module that prints `listening on HOST:PORT`; ends it at the end.

    It has the settings of gRPC and of the allocator that are given here, and else the default
    ones: those of workers, which `tests.support.environment` gives this process, are for the
    supervisor of a service to hand out, and would make every echo a tuned one.
    """
    untuned = {name: value for name, value in os.environ.items() if name not in TUNING}
    with subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        env=untuned | dict(environment or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            match = re.fullmatch(r"listening on (\S+:\d+)\n", line)
            if match is None:
                raise RuntimeError(f"{module} does not start.")
            yield Server(match[1], psutil.Process(process.pid))
        finally:
            process.terminate()


@contextmanager
def postgres() -> Iterator[str]:
    """Runs a PostgreSQL server with an empty database, and gives its conninfo."""
    with ExitStack() as running:
        folder = running.enter_context(tempfile.TemporaryDirectory(prefix="pg-", dir=in_memory()))
        yield running.enter_context(EmbeddedPostgres(Path(folder), durable=False))


def start_client(module: str, **options: object) -> subprocess.Popen[str]:
    """Starts a client, a process of its own, that takes its options as JSON."""
    return subprocess.Popen(
        [sys.executable, "-m", module, json.dumps(options)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def answer_of(client: subprocess.Popen[str]) -> dict[str, float]:
    """Waits for a client's end, and returns the JSON that it printed."""
    output, _ = client.communicate(timeout=PATIENCE_SECONDS)
    if client.returncode != 0:
        raise RuntimeError("A client of the benchmark failed.")
    answer: dict[str, float] = json.loads(output)
    return answer


def run_client(module: str, **options: object) -> dict[str, float]:
    """Runs a client, and returns what it measured."""
    return answer_of(start_client(module, **options))
