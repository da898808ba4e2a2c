"""The reference engine, run over all files in an environment of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks._peers import peers_python

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SCRIPT = Path(__file__).with_name("_reference_engine.py")


@dataclass(frozen=True)
class Answer:
    """What the reference made of one file.

    Attributes:
        output: the de-identified file; None where there is none.
        name: what it calls the output.
        error: why there is no output.
    """

    output: Path | None = None
    name: str = ""
    error: str = ""


@dataclass(frozen=True)
class Answers:
    """What the reference made of all files with one profile.

    Attributes:
        refused: why its validation refuses the profile; empty where it does not.
        files: one answer for each file.
    """

    refused: list[str]
    files: list[Answer]


def run_reference(profiles: Mapping[str, str], files: Sequence[Path], folder: Path) -> None:
    """Runs profiles over files.

    Args:
        profiles: the texts, by names that are file names.
        files: what is de-identified.
        folder: where the answers go.
    """
    paths = {}
    for name, text in profiles.items():
        paths[name] = folder / f"{name}.yaml"
        paths[name].write_text(text, encoding="utf-8")
    request = {
        "profiles": {name: str(path) for name, path in paths.items()},
        "files": [str(path) for path in files],
        "folder": str(folder),
    }
    finished = subprocess.run(
        [peers_python(), SCRIPT],
        input=json.dumps(request),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if finished.returncode != 0:
        print(finished.stderr, file=sys.stderr)
        raise SystemExit("The reference engine does not run.")


def read_answers(name: str, folder: Path) -> Answers:
    """Returns what `run_reference` left for one profile."""
    found = json.loads((folder / f"{name}.json").read_text())
    return Answers(
        found["refused"],
        [
            Answer(error=each["error"])
            if "error" in each
            else Answer(Path(each["output"]), each["name"])
            for each in found["answers"]
        ],
    )
