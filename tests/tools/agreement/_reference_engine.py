"""Runs the reference engine over files. Runs in the peers' environment, with nothing of ours.

Reads {"profiles": {name: path}, "files": [path], "folder": path} as JSON. For
each profile it writes FOLDER/NAME.json, {"refused", "answers"}: what its validation
says, and one answer for each file, {"output", "name"} or {"error"}; an output is
FOLDER/NAME/NUMBER.dcm. Each profile has a process of its own: the reference keeps
state from one to the next.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import shutil
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

Answer = dict[str, Any]


def main() -> None:
    """Answers one request."""
    warnings.simplefilter("ignore")
    # Imported once, before the processes are forked from this one.
    import flywheel_migration.deidentify  # noqa: F401

    logging.disable(logging.CRITICAL)
    request = json.loads(sys.stdin.read())
    folder = Path(request["folder"])
    tasks = [(name, path, request["files"], folder) for name, path in request["profiles"].items()]
    context = multiprocessing.get_context("fork")
    with context.Pool(os.cpu_count(), maxtasksperchild=1) as pool:
        pool.starmap(run, tasks, chunksize=1)


def run(name: str, path: str, files: list[str], folder: Path) -> None:
    """Runs one profile over all files, also one that its validation refuses."""
    import yaml
    from flywheel_migration.deidentify.deid_profile import DeIdProfile

    profile = DeIdProfile()
    profile.load_config(yaml.safe_load(Path(path).read_text(encoding="utf-8")))
    refused = profile.validate()
    dicom = profile.get_file_profile("dicom")
    outputs = folder / name
    outputs.mkdir()
    answers = [
        deidentify(dicom, Path(file), outputs / f"{number}.dcm")
        for number, file in enumerate(files)
    ]
    (folder / f"{name}.json").write_text(json.dumps({"refused": refused, "answers": answers}))


def deidentify(dicom: Any, file: Path, output: Path) -> Answer:
    """De-identifies one file."""
    from fs.osfs import OSFS

    names: list[str] = []
    with tempfile.TemporaryDirectory() as target, OSFS(str(file.parent)) as source:
        try:
            with OSFS(target) as target_folder:
                dicom.process_files(
                    source, target_folder, [file.name], callback=lambda _, name: names.append(name)
                )
        except (Exception, SystemExit) as error:  # noqa: BLE001
            return {"error": f"{type(error).__name__}: {error}"}
        if not names:
            # It writes a line into its log, and goes on with the next file.
            return {"error": "left out"}
        shutil.move(Path(target, names[0]), output)
    return {"output": str(output), "name": names[0]}


main()
