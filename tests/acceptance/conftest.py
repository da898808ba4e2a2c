"""An installed copy of the package, and a pair of services that `deidcascade up` started."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest

ROOT = Path(__file__).resolve().parents[2]

# What a distribution is built from.
DISTRIBUTED = (
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "protos",
    "profile_service",
    "deid_service",
)

# Far above what anything takes here; reached, it ends a test that hangs.
PATIENCE_SECONDS = 90


@dataclass(frozen=True)
class Installation:
    """A copy of the package, installed apart from the source tree.

    Attributes:
        site: the folder that it is installed in.
    """

    site: Path

    @property
    def command(self) -> str:
        """The `deidcascade` command."""
        return str(self.site / "bin" / "deidcascade")

    def environment(self, **variables: str) -> dict[str, str]:
        """Returns an environment in which this copy is imported, and no other setting counts."""
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith("DEIDCASCADE_")
        }
        return inherited | {"PYTHONPATH": str(self.site), "PYTHONSAFEPATH": "1"} | variables

    def run(
        self, *arguments: str | Path, stdin: str | bytes = "", **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Runs the command to its end."""
        given = stdin.encode() if isinstance(stdin, str) else stdin
        done = subprocess.run(
            [self.command, *map(str, arguments)],
            input=given,
            capture_output=True,
            check=False,
            timeout=PATIENCE_SECONDS,
            env=self.environment(**variables),
        )
        return subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
        )


class Up:
    """A running `deidcascade up`."""

    def __init__(self, installation: Installation, data: Path, *arguments: str) -> None:
        self.data = data
        self._errors: list[str] = []
        self._heard = threading.Condition()
        self._said: list[str] = []
        self.process = subprocess.Popen(
            [
                installation.command,
                "up",
                "--data",
                str(data),
                "--profile-port=0",
                "--deid-port=0",
                *arguments,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=installation.environment(PYTHONUNBUFFERED="1"),
        )
        self._reader = threading.Thread(target=self._read_errors, daemon=True)
        self._reader.start()
        self.profile_service = self._address("ProfileService")
        self.deid_service = self._address("DeidService")

    @property
    def addresses(self) -> dict[str, str]:
        """The environment variables that lead the command to it."""
        return {
            "DEIDCASCADE_PROFILE_SERVICE": self.profile_service,
            "DEIDCASCADE_DEID_SERVICE": self.deid_service,
            "DEIDCASCADE_KEY_FILE": str(self.data / "admin.key"),
        }

    @property
    def key(self) -> str:
        """The key of an administrator."""
        return (self.data / "admin.key").read_text().strip()

    def introduction(self) -> str:
        """Returns all that it says when it has started."""
        for line in self.process.stdout or ():
            self._said.append(line)
            if line.startswith("Ctrl-C"):
                break
        return "".join(self._said)

    def signal(self, number: signal.Signals) -> None:
        """Sends it a signal."""
        self.process.send_signal(number)

    def said_on_error(self, text: str) -> None:
        """Waits until it has said something on standard error."""
        with self._heard:
            assert self._heard.wait_for(
                lambda: any(text in line for line in self._errors), PATIENCE_SECONDS
            ), self._errors

    def end(self) -> tuple[int, str]:
        """Waits for its end; returns the exit code and what it said on standard error."""
        code = self.process.wait(PATIENCE_SECONDS)
        self._reader.join(PATIENCE_SECONDS)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        return code, "".join(self._errors)

    def __enter__(self) -> Self:
        """Nothing is left to do: it has started."""
        return self

    def __exit__(self, *_: object) -> None:
        """Ends it if the test has not."""
        if self.process.poll() is None:
            self.signal(signal.SIGINT)
            self.end()

    def _read_errors(self) -> None:
        for line in self.process.stderr or ():
            with self._heard:
                self._errors.append(line)
                self._heard.notify_all()

    def _address(self, service: str) -> str:
        for line in self.process.stdout or ():
            self._said.append(line)
            if match := re.match(rf"{service} +listens on (\S+)", line):
                return match[1]
        code, errors = self.end()
        raise AssertionError(f"`deidcascade up` ended with {code}: {errors}")


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """The package, built and installed from a copy of what a distribution holds."""
    source = tmp_path_factory.mktemp("source")
    for name in DISTRIBUTED:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, source / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, source)
    site = tmp_path_factory.mktemp("site")
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
            *("--no-deps", "--no-build-isolation", "--no-index", "--target", site, source),
        ],
        check=True,
        timeout=PATIENCE_SECONDS,
    )
    return Installation(site)


@pytest.fixture(scope="session")
def up(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A pair of services for tests that do not disturb each other."""
    with Up(installation, tmp_path_factory.mktemp("data")) as started:
        yield started


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(installation: Installation, up: Up) -> Run:
    """Runs the command against the running pair."""

    def run_it(*arguments: str | Path, stdin: str | bytes = "") -> subprocess.CompletedProcess[str]:
        return installation.run(*arguments, stdin=stdin, **up.addresses)

    return run_it


def dicom_files(*names: str) -> Sequence[Path]:
    """Returns real files that pydicom's package carries."""
    from pydicom import data

    folder = Path(data.__file__).parent / "test_files"
    return [folder / name for name in names]
