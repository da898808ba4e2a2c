"""Uploads and others that are interrupted again and again, and what must be there in the end.

Usage: python -m tests.tools.interrupt [--files N] [--times N] [--seed S] [COMMAND-KIND...]

By default 5,000 files, loose and in archives, some broken and some that are none; and for each
kind of interruption ten of them: signals to the client, a worker or all of the service killed,
the line cut, and a disk that takes files of a size at most. `deidcascade apply` is interrupted so,
too, and by one of its processes that is killed. Names, such as `upload-LINE` or `apply-WORKER`,
say which are tried; without any, all are.

When what was interrupted has been run to its end, each file must be there once, complete, and the
report tell of all. The exit code is 0 if it is so. As root, a disk that is really full, too: a
small file system in memory, that grows a little each time.
"""

from __future__ import annotations

import tests.support.environment  # isort: skip  # noqa: F401
import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.integration.faults.interruptions import (
    EVERYWHERE,
    OF_APPLY,
    Interrupted,
    InterruptedApply,
    Kind,
    make_sources,
)
from tests.integration.faults.system import running_system
from tests.support.between import line


def nothing() -> None:
    """Gives no more room: there is enough."""


class SmallDisk:
    """A file system in memory, with room for a part of what is to come; root alone can make one."""

    def __init__(self, folder: Path, step: int) -> None:
        """Mounts it.

        Args:
            folder: where.
            step: its size, in bytes, and by how much it grows each time.
        """
        folder.mkdir()
        self._folder = folder
        self._step = step
        self._size = step
        self._mount("-t", "tmpfs")

    def grow(self) -> None:
        """Gives more room."""
        self._size += self._step
        self._mount("-o", "remount")

    def close(self) -> None:
        """Ends it, with all that is in it."""
        subprocess.run(["umount", self._folder], check=True)

    def _mount(self, *how: str) -> None:
        size = f"size={self._size}"
        subprocess.run(["mount", *how, "-o", size, "tmpfs", self._folder], check=True)


def main() -> int:
    """Runs, and returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--files", type=int, default=5_000)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    everywhere = tuple(Kind) if os.geteuid() == 0 else EVERYWHERE
    known = [f"upload-{kind.name}" for kind in everywhere]
    known += [f"apply-{kind.name}" for kind in everywhere if kind in {*OF_APPLY, Kind.FULL}]
    parser.add_argument("names", metavar="COMMAND-KIND", nargs="*", help=", ".join(known))
    given = parser.parse_args()
    if unknown := set(given.names) - set(known):
        parser.error(f"not known: {', '.join(sorted(unknown))}")
    names = [name for name in known if name in (given.names or known)]
    draw = random.Random(given.seed)  # noqa: S311 - no secret
    failed = False
    with tempfile.TemporaryDirectory(prefix="deidcascade-") as made, ExitStack() as stack:
        folder = Path(made)
        sources = make_sources(folder / "files", given.files)
        print(
            f"{given.files} files: {len(sources.outputs)} good, {sources.broken} broken, "
            f"{sources.junk} none.",
            flush=True,
        )
        uploads = any(name.startswith("upload-") for name in names)
        system = stack.enter_context(running_system(folder / "system")) if uploads else None
        for name in names:
            kind = Kind[name.partition("-")[2]]
            with place(folder / name, kind, sources.bytes // given.times) as (out, grow):
                if name.startswith("apply-"):
                    apply = InterruptedApply(sources, out, draw, grow)
                    failed |= not holds(apply, kind, given.times, name)
                elif system is not None:
                    with line(system.deid_service.address) as between:
                        upload = Interrupted(system, between, sources, out, draw, grow)
                        failed |= not holds(upload, kind, given.times, name)
        if system is not None:
            system.assert_logs_are_clean()
    return 1 if failed else 0


@contextmanager
def place(out: Path, kind: Kind, step: int) -> Iterator[tuple[Path, Callable[[], None]]]:
    """Gives a folder for outputs, and what gives it more room.

    Args:
        out: the folder.
        kind: what interrupts.
        step: how much room there is on a small disk, and how much more each time, in bytes.
    """
    if kind is not Kind.FULL:
        yield out, nothing
        return
    disk = SmallDisk(out, step)
    try:
        yield out, disk.grow
    finally:
        disk.close()


def holds(interrupted: Interrupted | InterruptedApply, kind: Kind, times: int, name: str) -> bool:
    """Interrupts, tells how it went, and returns whether all is there in the end."""
    began = time.monotonic()
    failed = ""
    try:
        interrupted.interrupt([kind] * times)
        interrupted.finish()
    except AssertionError as error:
        failed = f", FAILED: {error}"
    print(
        f"{name} ({kind.value}): {times} times in {interrupted.runs} runs, "
        f"{time.monotonic() - began:.0f} s{failed}",
        flush=True,
    )
    return not failed


if __name__ == "__main__":
    sys.exit(main())
