"""The environment with the engines that the benchmarks compare with."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".dev" / "peers"
REQUIREMENTS = ("flywheel-migration", "fw-file-rs", "dcmanon")


def peers_python() -> Path:
    """Returns the Python that has the peers, installing them when they are not there."""
    python = FOLDER / "bin" / "python"
    stamp = FOLDER / ".set-up"
    wanted = hashlib.sha256(repr((REQUIREMENTS, sys.version)).encode()).hexdigest()
    if not stamp.is_file() or stamp.read_text() != wanted:
        print(f"Installing {', '.join(REQUIREMENTS)} into an environment of their own ...")
        venv.create(FOLDER, clear=True, with_pip=True)
        subprocess.run(
            [
                python,
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                *REQUIREMENTS,
            ],
            check=True,
        )
        stamp.write_text(wanted)
    return python


def ask_peer(script: Path, request: dict[str, Any]) -> Any:
    """Runs a script with the peers' Python, and returns what it answers as JSON."""
    finished = subprocess.run(
        [peers_python(), script],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        input=json.dumps(request),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    return json.loads(finished.stdout.splitlines()[-1])
