"""What a process that serves does before anything else, whatever its environment."""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from contextlib import suppress

# linux/prctl.h
_PR_SET_DUMPABLE = 4


def forbid_core_dumps() -> None:
    """Sees to it that no image of this process's memory, and of its children's, is written.

    A worker that aborts has files in its memory, with the patients in them. The limit is
    inherited and holds where core dumps are files; where the kernel pipes them to a
    program (core(5)), only a process that cannot be dumped is left alone.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def open_standard_streams() -> None:
    """Opens what is closed of standard input, output and error, on the null device.

    The next file or socket would get its number otherwise, and with it what is said to
    people, or be closed in children in its place.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # The lowest number that is free.


def announce(text: str) -> None:
    """Says something to a parent process on standard output, if that takes it."""
    _say(1, text)


def complain(text: str) -> None:
    """Says something to people on standard error, if that takes it."""
    _say(2, text)


def _say(descriptor: int, text: str) -> None:
    # What Python buffers would be tried again at the end, and fail with a traceback.
    with suppress(OSError):
        os.write(descriptor, f"{text}\n".encode(errors="backslashreplace"))
