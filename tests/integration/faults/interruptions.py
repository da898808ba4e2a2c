"""Uploads and others that are interrupted again and again, and what must be there in the end.

Each file once, complete, under its name; nothing partial, nothing twice; and a report that
tells of all.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import signal
import subprocess
import sys
import tarfile
import zipfile
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

import psutil

from deid_service.client import LEDGER_NAME
from deid_service.engine import compile_plan, deidentify
from profile_service.language import parse_profile
from tests.integration.faults.files import (
    PROFILE,
    assert_nothing_identified,
    identified_file,
)
from tests.support.deid_service import TARGET
from tests.support.processes import child

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.faults.system import System
    from tests.support.between import Line

NO_LIMIT = -1

# Its first argument is how large files may be that it writes. What was started in the background
# inherits that nobody interrupts it so. It sees to both by itself: what runs between fork and exec
# does so beside the threads of gRPC, which may end it.
COMMAND = [
    *(sys.executable, "-c"),
    "import resource, signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
    " limit = int(sys.argv.pop(1));"
    " limit < 0 or resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit));"
    " from deid_service.cli import main; main()",
]

# Far above what a run takes.
PATIENCE_SECONDS = 600

SIZES = (8 * 1024, 64 * 1024, 512 * 1024)
IN_ARCHIVE = 25
JUNK = ("Thumbs.db", ".DS_Store", "notes.txt")


class Kind(Enum):
    """What interrupts an upload."""

    SIGINT = "SIGINT"
    SIGTERM = "SIGTERM"
    SIGKILL = "SIGKILL"
    WORKER = "a worker is killed"
    SERVICE = "the service is killed"
    LINE = "the line is cut"
    LIMIT = "the disk takes small files only"
    FULL = "the disk is full"


# What needs the right to make a file system is for `./dev interrupt`.
EVERYWHERE = tuple(kind for kind in Kind if kind is not Kind.FULL)

# More than one process does in a second.
WORTH_PROCESSES_BYTES = 1024 * 1024 * 1024

# What `apply` can be interrupted by.
OF_APPLY = (Kind.SIGINT, Kind.SIGTERM, Kind.SIGKILL, Kind.WORKER, Kind.LIMIT)

# What ends the upload by itself.
OF_DISK = {Kind.LIMIT, Kind.FULL}

OF_CLIENT = {
    Kind.SIGINT: signal.SIGINT,
    Kind.SIGTERM: signal.SIGTERM,
    Kind.SIGKILL: signal.SIGKILL,
}
EXIT_CODES = {
    Kind.SIGINT: 128 + signal.SIGINT,
    Kind.SIGTERM: 128 + signal.SIGTERM,
    Kind.SIGKILL: -signal.SIGKILL,
}


@dataclass
class Sources:
    """What is uploaded.

    Attributes:
        folder: where it lies.
        outputs: the digests of what must come of it.
        bytes: how many those have.
        broken: how many files must be rejected.
        junk: how many are none.
    """

    folder: Path
    outputs: set[str] = field(default_factory=set)
    bytes: int = 0
    broken: int = 0
    junk: int = 0


def make_sources(folder: Path, count: int) -> Sources:
    """Makes files, loose and in archives, some broken, and some that are none."""
    made = Sources(folder)
    plan = compile_plan(parse_profile(PROFILE))
    number_of_template = 10_000
    templates = [identified_file(number_of_template, size) for size in SIZES]
    uid = f".999.{number_of_template}".encode()
    archived: list[tuple[str, bytes]] = []
    for number in range(count):
        # One in twenty-five is large.
        size = 2 if number % 25 == 7 else number % 2
        data = templates[size].replace(uid, f".999.{number_of_template + 1 + number}".encode())
        place = folder / f"series-{number // 200}"
        place.mkdir(parents=True, exist_ok=True)
        if number % 25 == 3:
            (place / f"{number}.dcm").write_bytes(data[: len(data) // 2])
            made.broken += 1
            continue
        if number % 50 == 5:
            (place / f"{number}-{JUNK[number % 3]}").write_bytes(b"nothing of an image")
            made.junk += 1
            continue
        output = deidentify(data, plan)
        made.outputs.add(hashlib.sha256(output).hexdigest())
        made.bytes += len(output)
        if number % 3 == 0:
            archived.append((f"{number}.dcm", data))
        else:
            (place / f"{number}.dcm").write_bytes(data)
    for at in range(0, len(archived), IN_ARCHIVE):
        write_archive(folder, at // IN_ARCHIVE, archived[at : at + IN_ARCHIVE])
    return made


def write_archive(folder: Path, number: int, members: list[tuple[str, bytes]]) -> None:
    """Writes files as a zip, and every fourth time as a compressed tar."""
    if number % 4:
        with zipfile.ZipFile(folder / f"{number}.dicom.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in members:
                archive.writestr(name, data)
        return
    with tarfile.open(folder / f"{number}.tar.gz", "w:gz", compresslevel=1) as tar:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


class Interrupted:
    """An upload into a folder that is interrupted, and goes on.

    Attributes:
        happened: how often what interrupted it.
        runs: how often it was started.
    """

    def __init__(
        self,
        system: System,
        line: Line,
        sources: Sources,
        out: Path,
        draw: random.Random,
        grow: Callable[[], None] = lambda: None,
    ) -> None:
        """Begins with nothing.

        Args:
            system: what it goes through.
            line: what lies between.
            sources: what is uploaded.
            out: the folder.
            draw: says when.
            grow: gives more room, after a disk was full.
        """
        self.happened: Counter[Kind] = Counter()
        self.runs = 0
        self._system = system
        self._line = line
        self._sources = sources
        self._out = out
        self._report = out.with_name(f"{out.name}.jsonl")
        self._draw = draw
        self._grow = grow

    def interrupt(self, kinds: list[Kind]) -> None:
        """Uploads, and interrupts in the order of some kinds, spread over the whole."""
        every = int(self._sources.bytes * 0.8 / max(1, len(kinds)))
        left, in_vain = list(kinds), 0
        while left:
            before = len(left)
            with child(
                self._upload(self._limit() if left[0] is Kind.LIMIT else NO_LIMIT)
            ) as client:
                if left[0] in OF_DISK:
                    self.happened[left.pop(0)] += 1
                    client.wait(PATIENCE_SECONDS)
                while left and left[0] not in OF_DISK and self._goes_on(client, every):
                    kind = left.pop(0)
                    self.happened[kind] += 1
                    self._strike(kind, client)
                    if kind in OF_CLIENT:
                        break
                client.wait(PATIENCE_SECONDS)
            self._grow()
            in_vain = in_vain + 1 if len(left) == before else 0
            assert in_vain < 2, f"nothing is left that could be interrupted: {left}"

    def finish(self) -> None:
        """Uploads what is left, and checks what is there."""
        with child(self._upload()) as client:
            client.wait(PATIENCE_SECONDS)
        # Broken files are.
        assert client.returncode == 1, client.returncode
        check(self._sources, self._out, self._report)

    def _upload(self, limit: int = NO_LIMIT) -> subprocess.Popen[bytes]:
        self.runs += 1
        what = [*COMMAND, str(limit), "upload", "--to", TARGET]
        what += ["--deid-service", self._line.address]
        with self._report.with_suffix(".log").open("ab") as log:
            return subprocess.Popen(
                [*what, "--out", self._out, "--report", self._report, self._sources.folder],
                stdout=log,
                stderr=log,
            )

    def _limit(self) -> int:
        """Returns how large a file may be until the disk is full: for the smallest, or not even."""
        return self._draw.choice([SIZES[0] // 2, SIZES[1], SIZES[2] // 2, SIZES[2]])

    def _goes_on(self, client: subprocess.Popen[bytes], size: int) -> bool:
        """Lets so many bytes through, or fewer, and no more; False where the client ended."""
        self._line.hold_after(self._draw.randint(1, size))
        while not self._line.is_holding(0.05):
            if client.poll() is not None:
                self._line.release()
                return False
        return True

    def _strike(self, kind: Kind, client: subprocess.Popen[bytes]) -> None:
        if kind in OF_CLIENT:
            client.send_signal(OF_CLIENT[kind])
        elif kind is Kind.WORKER:
            self._system.kill_deid_worker(self._draw)
        elif kind is Kind.SERVICE:
            self._system.restart_deid_service()
            self._line.target = self._system.deid_service.address
        elif kind is Kind.LINE:
            self._line.cut()
        self._line.release()


def check(sources: Sources, out: Path, report: Path) -> None:
    """Checks that each file is there once, complete, and that the report tells of all."""
    rows = [json.loads(line) for line in report.read_text().splitlines()]
    outcomes = Counter(row["outcome"] for row in rows)
    done = [row for row in rows if row["output"]]
    assert len(done) == len(sources.outputs), outcomes
    assert outcomes["rejected"] == sources.broken, outcomes
    assert outcomes["skipped"] == sources.junk, outcomes
    assert len(rows) == len(done) + sources.broken + sources.junk, outcomes
    there = {}
    for path in out.rglob("*"):
        if path.is_file() and path.name != LEDGER_NAME:
            data = path.read_bytes()
            assert_nothing_identified(data)
            there[str(path)] = hashlib.sha256(data).hexdigest()
    # Nothing partial, nothing twice, and everything as the report has it.
    assert there == {row["output"]: row["sha256"] for row in done}
    assert set(there.values()) == sources.outputs
    assert len(there) == len(sources.outputs)


class InterruptedApply:
    """`deidcascade apply` into a folder that is interrupted, and goes on.

    Attributes:
        runs: how often it was started.
    """

    def __init__(
        self,
        sources: Sources,
        out: Path,
        draw: random.Random,
        grow: Callable[[], None] = lambda: None,
    ) -> None:
        """Begins with nothing.

        Args:
            sources: what is de-identified; gets a file that makes it look like much.
            out: the folder.
            draw: says when.
            grow: gives more room, after a disk was full.
        """
        self.runs = 0
        self._sources = sources
        self._out = out
        self._report = out.with_name(f"{out.name}.jsonl")
        self._profile = out.with_name(f"{out.name}.yaml")
        self._profile.write_text(PROFILE)
        self._draw = draw
        self._grow = grow
        # Without one byte on the disk; no DICOM, so that it is passed over.
        large = sources.folder / "large.bin"
        if not large.exists():
            with large.open("wb") as file:
                file.truncate(WORTH_PROCESSES_BYTES)
            sources.junk += 1
        # Nobody writes into it: what reads it does not end by itself.
        self._pipe = out.with_name(f"{out.name}.pipe")
        os.mkfifo(self._pipe)

    def interrupt(self, kinds: list[Kind]) -> None:
        """Begins once for each kind, and interrupts somewhere in what is left to do."""
        every = max(1, len(self._sources.outputs) // (len(kinds) + 1))
        for kind in kinds:
            limit = SIZES[1] // 2 if kind is Kind.LIMIT else NO_LIMIT
            with child(self._begin(() if kind in OF_DISK else (self._pipe,), limit)) as command:
                if kind not in OF_DISK:
                    self._wait_for_outputs(self._outputs() + self._draw.randint(1, every), command)
                    self._strike(kind, command)
                    self._end_of_pipe(command)
                command.wait(PATIENCE_SECONDS)
            assert command.returncode == EXIT_CODES.get(kind, 1), (kind, command.returncode)
            self._grow()

    def finish(self) -> None:
        """Does what is left, and checks what is there."""
        with child(self._begin()) as command:
            command.wait(PATIENCE_SECONDS)
        # Broken files are.
        assert command.returncode == 1, command.returncode
        check(self._sources, self._out, self._report)

    def _begin(self, more: tuple[Path, ...] = (), limit: int = NO_LIMIT) -> subprocess.Popen[bytes]:
        self.runs += 1
        what: list[str | Path] = [*COMMAND, str(limit), "apply", "--profile", self._profile]
        with self._report.with_suffix(".log").open("ab") as log:
            return subprocess.Popen(
                [*what, "--out", self._out, "--report", self._report, self._sources.folder, *more],
                stdout=log,
                stderr=log,
            )

    def _outputs(self) -> int:
        return len(list(self._out.glob("*.dcm")))

    def _wait_for_outputs(self, count: int, command: subprocess.Popen[bytes]) -> None:
        while self._outputs() < min(count, len(self._sources.outputs)):
            assert command.poll() is None

    def _strike(self, kind: Kind, command: subprocess.Popen[bytes]) -> None:
        if kind is Kind.WORKER:
            # Where all was done before, it comes to them later than to here.
            while not (workers := psutil.Process(command.pid).children()):
                assert command.poll() is None
            with suppress(psutil.NoSuchProcess):
                self._draw.choice(workers).kill()
        else:
            command.send_signal(OF_CLIENT[kind])

    def _end_of_pipe(self, command: subprocess.Popen[bytes]) -> None:
        """Lets go on what reads the pipe, once it does."""
        while command.poll() is None:
            # Nobody reads it, or not yet.
            with suppress(OSError):
                os.close(os.open(self._pipe, os.O_WRONLY | os.O_NONBLOCK))
            with suppress(subprocess.TimeoutExpired):
                command.wait(0.05)
