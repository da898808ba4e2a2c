"""What people paste from the README and from `up` works as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pydicom

from tests.acceptance.conftest import PATIENCE_SECONDS, ROOT, Up, dicom_files

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.conftest import Installation

CT, *_ = dicom_files("CT_small.dcm")


def blocks(page: str, language: str) -> list[str]:
    """Returns the code blocks of a page in a language."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def shell(installation: Installation, up: Up, folder: Path, script: str) -> str:
    """Runs a script as a person would, in a folder, and returns what it printed."""
    environment = installation.environment(**up.addresses)
    environment["PATH"] = f"{installation.site / 'bin'}:{environment['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_three_steps_and_client(installation: Installation, up: Up, tmp_path: Path) -> None:
    """The steps of the README lead to a de-identified file, and so does its client."""
    describe, upload = blocks("README.md", "sh")
    upload = re.sub(r"\S+/CT_small\.dcm", str(CT), upload)

    shell(installation, up, tmp_path, describe)
    shell(installation, up, tmp_path, upload)

    (output,) = (tmp_path / "deidentified").glob("*.dcm")
    assert pydicom.dcmread(output).PatientName == "REDACTED"

    (client,) = blocks("docs/clients.md", "python")
    (tmp_path / "CT_small.dcm").write_bytes(CT.read_bytes())
    done = subprocess.run(
        [sys.executable, "-c", client.replace("localhost:50052", up.deid_service)],
        cwd=tmp_path,
        env=installation.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "received" / output.name).read_bytes() == output.read_bytes()


def test_what_up_prints(installation: Installation, tmp_path: Path) -> None:
    """The commands that `up` prints work when they are pasted."""
    with Up(installation, tmp_path / "data") as fresh:
        _, _, pasted = fresh.introduction().partition("In another terminal:\n")
        # grpcurl is not part of what a test may expect on a machine.
        commands, _, by_grpcurl = pasted.partition("  grpcurl ")

        shell(installation, fresh, tmp_path, commands)

    assert fresh.profile_service in by_grpcurl
    (output,) = (tmp_path / "deidentified").glob("*.dcm")
    assert "PatientName" not in pydicom.dcmread(output)
