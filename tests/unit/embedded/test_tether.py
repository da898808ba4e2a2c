"""A tethered process ends with the one that started it."""

from __future__ import annotations

import signal
import subprocess
import sys


def start(*arguments: str) -> subprocess.Popen[str]:
    """Starts a module tethered to this process."""
    return subprocess.Popen(
        [sys.executable, "-m", "deid_service.embedded.tether", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_ends_when_the_other_end_of_its_input_closes() -> None:
    """When nobody holds the other end of its standard input, it is sent SIGTERM."""
    with start("http.server", "--bind=127.0.0.1", "0") as process:
        assert process.stdin is not None
        process.stdin.close()

        assert process.wait(30) == -signal.SIGTERM


def test_runs_the_module_with_its_arguments() -> None:
    """The module sees its own arguments, and its exit code is the process's."""
    with start("json.tool", "--compact", "--no-such-option") as process:
        assert process.stdin is not None

        assert process.wait(30) == 2


def test_without_a_module() -> None:
    """Started without a module, it says how it is used."""
    done = subprocess.run(
        [sys.executable, "-m", "deid_service.embedded.tether"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert "Usage:" in done.stderr
