"""What a command loads before it begins."""

from __future__ import annotations

import subprocess
import sys

# Each takes longer to load than `apply` takes for a dozen files: what speaks to services, draws
# tables and bars, makes pseudonyms, guards patterns, and says what is installed.
SPARED = {"asyncio", "cryptography", "grpc", "importlib.metadata", "regex", "rich"}


def test_apply_starts_without_what_few_runs_need() -> None:
    """What a run may need is not loaded before it does."""
    said = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys, deid_service.cli.apply; print({SPARED} & sys.modules.keys())",
        ],
        check=True,
        capture_output=True,
        text=True,
    )

    assert said.stdout == "set()\n"
