"""`deidcascade apply` on folders of files, disk to disk, beside two engines in Rust on all cores.

Ours is the command as a person runs it, its start included. The peers are given the same
cores: a pool of processes that read, de-identify and write, timed once they have started.
Each of them in turn, several times; the fastest run counts.
"""

from __future__ import annotations

import os
import platform
import shutil
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
ROUNDS = 3


def main() -> int:
    """Prints the table."""
    console = Console(width=110)
    peers_python()
    table = Table("folder", "ours", *PEERS, title="Files per second, and how often ours fits")
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
        folder, out, profile = Path(name, "in"), Path(name, "out"), Path(name, "profile.yaml")
        folder.mkdir()
        profile.write_text(profiles()["12 rules"])
        for number, data in enumerate(slices(count, size)):
            (folder / f"{number:05}.dcm").write_bytes(data)
        request: dict[str, object] = {
            "folder": str(folder),
            "out": str(out),
            "profile": str(profile),
            "actions": DCMANON_ACTIONS,
        }
        for _ in range(ROUNDS):
            for which in ("ours", *PEERS):
                shutil.rmtree(out, ignore_errors=True)
                out.mkdir()
                seconds = (
                    _ours(folder, profile, out)
                    if which == "ours"
                    else _peers(request | {"peer": which})
                )
                made = len(list(out.glob("*.dcm")))
                if seconds and made != count:
                    raise SystemExit(f"{which} made {made} of {count} files.")
                fastest[which] = min(seconds or float("inf"), fastest.get(which, float("inf")))
    ours = fastest["ours"]
    cells = [f"{count / ours:,.0f}"]
    for peer in PEERS:
        seconds = fastest[peer]
        rate = "failed" if seconds == float("inf") else f"{count / seconds:,.0f}"
        cells.append(rate if rate == "failed" else f"{rate} ({seconds / ours:.2f} x)")
    return cells


def _ours(folder: Path, profile: Path, out: Path) -> float:
    started = time.perf_counter()
    subprocess.run(
        [
            *(sys.executable, "-c", "from deid_service.cli import main; main()", "apply"),
            *("--profile", str(profile), "--out", str(out), str(folder)),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return time.perf_counter() - started


def _peers(request: dict[str, object]) -> float | None:
    answer = ask_peer(PEER_SCRIPT, request)
    return None if "error" in answer else float(answer["seconds"])
