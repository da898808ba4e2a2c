"""How many cores this process may use, which can be fewer than the machine has.

The system may have bound it to some of them (sched_setaffinity(2)), and a container or a
unit of systemd may have a share: a quota of time in a period, of its control group and of
each one above (Linux: admin-guide/cgroup-v2 `cpu.max`, scheduler/sched-bwc for version 1).
Python knows the first from 3.13 on, and not the second; libraries that know it look at
the topmost group alone.
"""

from __future__ import annotations

import math
import os
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator


def cores(root: Path = Path("/")) -> int:
    """Returns how many cores may be used, at least 1; a part of one counts as one.

    Args:
        root: of the file system.
    """
    return max(1, min(math.ceil(share) for share in (_bound_to(), *_quotas(root))))


def _bound_to() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    # macOS and Windows have no control groups, either.
    return os.cpu_count() or 1


class _Mount(NamedTuple):
    """Where control groups are mounted.

    Attributes:
        version_2: whether they are those of version 2.
        top: the group that is mounted.
        folder: where.
    """

    version_2: bool
    top: str
    folder: str


def _quotas(root: Path) -> Iterator[float]:
    """Gives the quotas of the group of this process, and of those above, in cores."""
    # Where there are no control groups, or none that are known, there is no quota.
    with suppress(OSError, ValueError):
        groups = dict(_groups((root / "proc/self/cgroup").read_text()))
        for mount in _mounts((root / "proc/self/mountinfo").read_text()):
            group, top = PurePosixPath(groups.get(mount.version_2, "/")), root / mount.folder[1:]
            # Where a container sees only its own group, that is the topmost one, whatever it is
            # called outside.
            below = group.relative_to(mount.top) if group.is_relative_to(mount.top) else ""
            folder = top / below
            yield from _quota(folder, version_2=mount.version_2)
            while folder != top:
                folder = folder.parent
                yield from _quota(folder, version_2=mount.version_2)


def _groups(text: str) -> Iterator[tuple[bool, str]]:
    """Reads cgroups(7), /proc/[pid]/cgroup: `4:cpu,cpuacct:/path`; in version 2, `0::/path`."""
    for line in text.splitlines():
        _, names, path = line.split(":", 2)
        if not names or "cpu" in names.split(","):
            yield not names, path


def _mounts(text: str) -> Iterator[_Mount]:
    """Reads proc_pid_mountinfo(5); gives the mounts of groups that have to do with time."""
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        _, _, _, top, folder, *_ = before.split(" ")
        kind, _, options = after.split(" ")
        if kind == "cgroup2" or (kind == "cgroup" and "cpu" in options.split(",")):
            yield _Mount(kind == "cgroup2", top, folder)


def _quota(folder: Path, *, version_2: bool) -> Iterator[float]:
    """Gives the quota of a group, if it has one, in cores."""
    with suppress(OSError, ValueError):
        if version_2:
            quota, period = (folder / "cpu.max").read_text().split()
        else:
            quota = (folder / "cpu.cfs_quota_us").read_text()
            period = (folder / "cpu.cfs_period_us").read_text()
        # "max", and -1, stand for no quota.
        if quota != "max" and int(quota) > 0:
            yield int(quota) / int(period)
