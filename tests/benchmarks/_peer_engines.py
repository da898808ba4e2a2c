"""Times one peer engine on one file. Runs in the peers' environment, with the timing of ours alone.

Reads {"peer", "file", "profile", "actions", "seconds"} as JSON; answers with the
seconds per file, best of several rounds, or with an error.
"""

from __future__ import annotations

import io
import json
import logging
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.benchmarks._timing import best

Request = dict[str, Any]
Call = Callable[[], object]


def fw_file_rs(request: Request) -> Call:
    """The Rust engine of the profile language."""
    from fw_file_rs.dcm import DeidProfile

    profile = DeidProfile.from_yaml(Path(request["profile"]).read_text())
    data = Path(request["file"]).read_bytes()
    return lambda: profile.deid_file("input.dcm", data)


def flywheel_migration(request: Request) -> Call:
    """The Python engine of the profile language; it works on folders."""
    from flywheel_migration.deidentify import load_profile
    from fs.osfs import OSFS

    logging.disable(logging.CRITICAL)
    profile = load_profile(request["profile"])
    source = Path(request["file"])
    source_folder = OSFS(str(source.parent))
    target_folder = OSFS(tempfile.mkdtemp())
    dicom = profile.get_file_profile("dicom")
    return lambda: dicom.process_files(source_folder, target_folder, [source.name])


def dcmanon(request: Request) -> Call:
    """Another Rust engine, with a rule language of its own and rules that are always on."""
    from dcmanon import Anonymizer

    anonymizer = Anonymizer(tag_actions=request["actions"])
    data = Path(request["file"]).read_bytes()
    return lambda: anonymizer.anonymize(io.BytesIO(data))


def main() -> None:
    """Answers one request."""
    request = json.loads(sys.stdin.read())
    peers = {"fw-file-rs": fw_file_rs, "flywheel-migration": flywheel_migration, "dcmanon": dcmanon}
    try:
        answer: dict[str, object] = {
            "seconds": best(peers[request["peer"]](request), request["seconds"])
        }
    except Exception as error:  # noqa: BLE001
        answer = {"error": type(error).__name__}
    print(json.dumps(answer))


main()
