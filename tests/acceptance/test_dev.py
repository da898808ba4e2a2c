"""`./dev` says what it can do, before it sets anything up."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.acceptance.conftest import ROOT


def dev(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs `./dev`."""
    return subprocess.run(
        [sys.executable, ROOT / "dev", *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("arguments", [(), ("help",), ("--help",)])
def test_help(arguments: tuple[str, ...]) -> None:
    """Each command is listed with what it does."""
    done = dev(*arguments)

    assert (done.returncode, done.stderr) == (0, "")
    for line in ("demo     Runs", "test     Runs", "lint     Checks"):
        assert line in done.stdout


def test_unknown_command() -> None:
    """A command that is not there is misuse, and the answer names those that are."""
    done = dev("deploy")

    assert (done.returncode, done.stdout) == (2, "")
    assert "It has: demo, test, lint" in done.stderr
