"""Where the files of databases and uploads are that nobody needs afterwards."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

# A file system in memory, where there is one: each test makes and drops hundreds of small
# files. The databases of a run take a fraction of this.
MEMORY = Path("/dev/shm")  # noqa: S108 -- a folder of its own is made in it
ROOM = 2 << 30


def in_memory() -> Path | None:
    """Returns a folder in memory with enough room, if there is one."""
    roomy = os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM
    return MEMORY if roomy else None
