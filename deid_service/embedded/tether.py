"""Runs a module as a program that ends when the process that started it ends.

Usage: python -m deid_service.embedded.tether MODULE [ARGUMENT...]

The starter keeps the writing end of this process's standard input and never
writes to it. However the starter ends, killed too, the system closes that end;
the reading end then sees it, and this process asks itself to stop, as SIGTERM
would. This works on every POSIX system and needs nothing of MODULE.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading

STANDARD_INPUT = 0


def main() -> None:
    """Runs the module that the arguments name."""
    if len(sys.argv) < 2:
        raise SystemExit("Usage: python -m deid_service.embedded.tether MODULE [ARGUMENT...]")
    threading.Thread(target=stop_with_starter, name="tether", daemon=True).start()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def stop_with_starter() -> None:
    """Waits for the end of standard input, and then sends this process SIGTERM."""
    while os.read(STANDARD_INPUT, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
