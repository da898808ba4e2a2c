"""Runs a program as another user: for programs that refuse to run as root.

Usage: python unprivileged.py UID PROGRAM [ARGUMENT...]

Must be started by root. The program replaces this process, so it keeps its process
id. It keeps no privilege: the files and folders that it may use are handed to it
open (see `deid_service.embedded.postgres`).

A program of its own, run by its path: between fork and exec of a process that has
threads nothing as long as this may run.
"""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Becomes the user, and then the program that the arguments name."""
    if len(sys.argv) < 3:
        raise SystemExit("Usage: python unprivileged.py UID PROGRAM [ARGUMENT...]")
    user = int(sys.argv[1])
    try:
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
        os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 -- becoming that program is the purpose
    except OSError as error:
        raise SystemExit(
            f"{sys.argv[2]} cannot be run as the user {user}: {error.strerror}."
        ) from None


if __name__ == "__main__":
    main()
