"""Uploads that are interrupted again and again, and what must be there in the end.

Usage: python -m tests.tools.interrupt [--files N] [--times N] [--seed S]

By default 5,000 files, loose and in archives, some broken and some that are none; and for each
kind of interruption ten of them: signals to the client, a worker or all of the service killed,
the line cut, and a disk that takes files of a size at most. When what was interrupted has been
run to its end, each file must be there once, complete, and the report tell of all. The exit code
is 0 if it is so. As root, a disk that is really full, too: a small file system in memory, that
grows a little each time.
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
from contextlib import ExitStack
from pathlib import Path

from tests.integration.faults.interruptions import (
    EVERYWHERE,
    Interrupted,
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
    given = parser.parse_args()
    draw = random.Random(given.seed)  # noqa: S311 - no secret
    failed = False
    with tempfile.TemporaryDirectory(prefix="deidcascade-") as made:
        folder = Path(made)
        sources = make_sources(folder / "files", given.files)
        print(
            f"{given.files} files: {len(sources.outputs)} good, {sources.broken} broken, "
            f"{sources.junk} none.",
            flush=True,
        )
        kinds = Kind if os.geteuid() == 0 else EVERYWHERE
        with (
            running_system(folder / "system") as system,
            line(system.deid_service.address) as between,
        ):
            for kind in kinds:
                with ExitStack() as ending:
                    began = time.monotonic()
                    out, grow = folder / kind.name, nothing
                    if kind is Kind.FULL:
                        disk = SmallDisk(out, sources.bytes // given.times)
                        ending.callback(disk.close)
                        grow = disk.grow
                    upload = Interrupted(system, between, sources, out, draw, grow)
                    try:
                        upload.interrupt([kind] * given.times)
                        upload.finish()
                    except AssertionError as error:
                        print(f"{kind.value}: FAILED: {error}", flush=True)
                        failed = True
                    print(
                        f"{kind.value}: {upload.happened[kind]} times in {upload.runs} runs, "
                        f"{time.monotonic() - began:.0f} s",
                        flush=True,
                    )
            system.assert_logs_are_clean()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
