"""What a command loads before it begins."""

from __future__ import annotations

import subprocess
import sys


def test_apply_starts_without_grpc() -> None:
    """What speaks to no service does not load what that takes, a quarter of the time to start."""
    said = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, deid_service.cli.apply; print({'grpc', 'asyncio'} & sys.modules.keys())",
        ],
        check=True,
        capture_output=True,
        text=True,
    )

    assert said.stdout == "set()\n"
