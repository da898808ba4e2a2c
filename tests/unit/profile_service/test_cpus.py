"""As many cores as may be used, whoever says so."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from profile_service.serving.cpus import cores

if TYPE_CHECKING:
    from pathlib import Path

V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n"
V1 = "33 32 0:29 /docker/a /sys/fs/cgroup/cpu,cpuacct ro master:9 - cgroup cgroup rw,cpu,cpuacct\n"
OTHER = "31 23 0:28 / /proc rw shared:1 - proc proc rw\n"
QUOTA, PERIOD = "cpu.cfs_quota_us", "cpu.cfs_period_us"

# What files say, the quotas in hundredths of a core, and what follows from that.
CASES = {
    "a container": ("0::/\n", V2, {"sys/fs/cgroup/cpu.max": "{0} 10000"}, [100]),
    "without a quota": ("0::/\n", V2, {"sys/fs/cgroup/cpu.max": "max 10000"}, []),
    "a unit": (
        "0::/system.slice/deid.service\n",
        V2,
        {"sys/fs/cgroup/system.slice/deid.service/cpu.max": "{0} 10000"},
        [100],
    ),
    "the slice of a unit": (
        "0::/system.slice/deid.service\n",
        V2,
        {
            "sys/fs/cgroup/system.slice/deid.service/cpu.max": "{0} 10000",
            "sys/fs/cgroup/system.slice/cpu.max": "{1} 10000",
        },
        [1000, 100],
    ),
    "version 1 in a container": (
        "5:memory:/docker/a\n4:cpu,cpuacct:/docker/a\n",
        V1,
        {
            f"sys/fs/cgroup/cpu,cpuacct/{QUOTA}": "{0}",
            f"sys/fs/cgroup/cpu,cpuacct/{PERIOD}": "10000",
        },
        [100],
    ),
    "version 1, below what is mounted": (
        "4:cpu,cpuacct:/docker/a/b\n",
        V1,
        {
            f"sys/fs/cgroup/cpu,cpuacct/b/{QUOTA}": "{0}",
            f"sys/fs/cgroup/cpu,cpuacct/b/{PERIOD}": "10000",
        },
        [100],
    ),
    "version 1 without a quota": (
        "4:cpu,cpuacct:/docker/a\n",
        V1,
        {
            f"sys/fs/cgroup/cpu,cpuacct/{QUOTA}": "-1",
            f"sys/fs/cgroup/cpu,cpuacct/{PERIOD}": "10000",
        },
        [],
    ),
    "both versions": (
        "4:cpu,cpuacct:/docker/a\n0::/\n",
        V1 + V2,
        {
            f"sys/fs/cgroup/cpu,cpuacct/{QUOTA}": "{0}",
            f"sys/fs/cgroup/cpu,cpuacct/{PERIOD}": "10000",
        },
        [100],
    ),
    "what nobody understands": ("what\n", "ever\n", {"sys/fs/cgroup/cpu.max": "1"}, []),
    "a quota that nobody understands": ("0::/\n", V2, {"sys/fs/cgroup/cpu.max": "a b c"}, []),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("percent", [1, 100, 150])
def test_the_smallest_quota_counts(
    tmp_path: Path,
    case: tuple[str, str, dict[str, str], list[int]],
    percent: int,
) -> None:
    """A quota of this group or of one above bounds the cores, and a part of one is one."""
    group, mounts, files, quotas = case
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(group)
    (tmp_path / "proc/self/mountinfo").write_text(OTHER + mounts)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text.format(*(each * percent for each in quotas)) + "\n")

    here = len(os.sched_getaffinity(0))
    expected = min(here, -(-percent // 100)) if quotas else here

    assert cores(tmp_path) == expected


def test_without_control_groups_the_affinity_counts(tmp_path: Path) -> None:
    """A process that is bound to one core uses one, whatever the machine has."""
    code = "import os, sys; os.sched_setaffinity(0, {int(sys.argv[1])})"
    code += "; from profile_service.serving.cpus import cores; print(cores())"
    one = min(os.sched_getaffinity(0))

    bound = subprocess.run(
        [sys.executable, "-c", code, str(one)],
        capture_output=True,
        text=True,
        check=True,
    )

    assert bound.stdout == "1\n"
    assert cores(tmp_path) == len(os.sched_getaffinity(0))
