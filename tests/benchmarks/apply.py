"""`deidcascade apply` on folders of files, disk to disk, beside two engines in Rust on all cores.

Ours is the command as a person runs it, its start included. The peers are given the same
cores: a pool of processes that read, de-identify and write. They are timed twice: once they have
started, and as the programs that they are, from start to end, as ours is. Each of them in turn,
several times, into folders of their own that go at the end (who creates files where others were
just removed waits for it); the fastest run counts. Before each run, memory for all that is
written is touched and freed: the host of a virtual machine hands memory out page by page as it is
touched first, and a run would take up to three times as long, by what ran before it.
"""

from __future__ import annotations

import mmap
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.benchmarks._files import slices
from tests.benchmarks._peers import ask_peer, peers_python
from tests.benchmarks.engine import DCMANON_ACTIONS, profiles

# How many files, and how long their pixel data are; 0 for those of a small slice.
FOLDERS = {"10,000 of 40 KB": (10_000, 0), "1,000 of 512 KB": (1000, 512 * 1024)}
PEERS = ("fw-file-rs", "dcmanon")
PEER_SCRIPT = Path(__file__).with_name("_peer_folders.py")
ROUNDS = 5
# More than a run writes and its processes need.
TOUCHED_BYTES = 2 << 30


def main() -> int:
    """Prints the table."""
    console = Console(width=110)
    peers_python()
    columns = [heading for peer in PEERS for heading in (f"{peer}, started", f"{peer}, whole")]
    table = Table("folder", "ours", *columns, title="Files per second, and how often ours fits")
    for name, (count, size) in FOLDERS.items():
        table.add_row(name, *_row(count, size))
    console.print(table)
    console.print(
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    )
    return 0


def _row(count: int, size: int) -> list[str]:
    fastest: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder, profile = Path(name, "in"), Path(name, "profile.yaml")
        folder.mkdir()
        profile.write_text(profiles()["12 rules"])
        for number, data in enumerate(slices(count, size)):
            (folder / f"{number:05}.dcm").write_bytes(data)
        request: dict[str, object] = {
            "folder": str(folder),
            "profile": str(profile),
            "actions": DCMANON_ACTIONS,
        }
        for number in range(ROUNDS):
            for which in ("ours", *PEERS):
                out = Path(name, f"{which}-{number}")
                out.mkdir()
                # What others have written is not written to the disk meanwhile.
                os.sync()
                _touch_memory()
                began = time.perf_counter()
                started = None
                if which == "ours":
                    _ours(folder, profile, out)
                else:
                    started = _peer(request | {"peer": which, "out": str(out)})
                took = {which: time.perf_counter() - began, f"{which}, started": started}
                made = len(list(out.glob("*.dcm")))
                if made != count:
                    raise SystemExit(f"{which} made {made} of {count} files.")
                for way, seconds in took.items():
                    if seconds is not None:
                        fastest[way] = min(seconds, fastest.get(way, seconds))
    ours = fastest["ours"]
    cells = [f"{count / ours:,.0f}"]
    for peer in PEERS:
        cells += [
            f"{count / fastest[way]:,.0f} ({fastest[way] / ours:.2f} x)"
            for way in (f"{peer}, started", peer)
        ]
    return cells


def _touch_memory() -> None:
    with mmap.mmap(-1, TOUCHED_BYTES) as memory:
        for start in range(0, TOUCHED_BYTES, mmap.PAGESIZE):
            memory[start] = 1


def _ours(folder: Path, profile: Path, out: Path) -> None:
    subprocess.run(
        [
            *(sys.executable, "-c", "from deid_service.cli import main; main()", "apply"),
            *("--profile", str(profile), "--out", str(out), str(folder)),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _peer(request: dict[str, object]) -> float:
    """Runs a peer, and returns the seconds once it had started."""
    answer = ask_peer(PEER_SCRIPT, request)
    if "error" in answer:
        raise SystemExit(f"{request['peer']} failed: {answer['error']}")
    return float(answer["seconds"])
