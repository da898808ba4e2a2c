"""Runs a program as the user `nobody`: for programs that refuse to run as root.

Usage: python unprivileged.py PROGRAM [ARGUMENT...]

Must be started by root. The program replaces this process, so it keeps its
process id. Where Linux allows it, the program keeps one privilege of root,
CAP_DAC_OVERRIDE, as an ambient capability (capabilities(7)): what root has
installed and what it stores may lie below folders that are closed to everyone
else, such as /root, and opening those for `nobody` would open them for others.

A program of its own, run by its path: between fork and exec of a process that has
threads nothing as long as this may run.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import struct
import sys

USER = "nobody"

# linux/prctl.h, linux/capability.h
_PR_SET_KEEPCAPS = 8
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAPABILITY_VERSION_3 = 0x20080522
_CAP_DAC_OVERRIDE = 1


def main() -> None:
    """Becomes `nobody`, and then the program that the arguments name."""
    if len(sys.argv) < 2:
        raise SystemExit("Usage: python unprivileged.py PROGRAM [ARGUMENT...]")
    user = pwd.getpwnam(USER)
    if sys.platform == "linux":
        _prctl(_PR_SET_KEEPCAPS, 1)
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    if sys.platform == "linux":
        _keep(_CAP_DAC_OVERRIDE)
    os.execv(sys.argv[1], sys.argv[1:])  # noqa: S606 -- becoming that program is the purpose


def _keep(capability: int) -> None:
    """Keeps one capability across exec and lets all others go.

    Where the system withholds it, the program runs without: it then says itself
    which file it cannot reach.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    bit = 1 << capability
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    # Effective, permitted and inheritable: for the capabilities 0 to 31, then for
    # the others.
    data = struct.pack("=6I", bit, bit, bit, 0, 0, 0)
    if libc.capset(header, data) == 0:
        _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability)


def _prctl(option: int, *values: int) -> None:
    arguments = [ctypes.c_ulong(value) for value in (*values, 0, 0, 0, 0)[:4]]
    ctypes.CDLL(None, use_errno=True).prctl(option, *arguments)


if __name__ == "__main__":
    main()
