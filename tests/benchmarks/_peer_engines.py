"""Times one peer engine on files. Runs in the peers' environment, with the timing of ours alone.

Reads {"peer", "folder", "profile", "actions", "seconds"} as JSON; answers with the
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
    datas = [path.read_bytes() for path in _files(request)]
    return lambda: [profile.deid_file("input.dcm", data) for data in datas]


def flywheel_migration(request: Request) -> Call:
    """The Python engine of the profile language; it works on folders."""
    from flywheel_migration.deidentify import load_profile
    from fs.osfs import OSFS

    logging.disable(logging.CRITICAL)
    profile = load_profile(request["profile"])
    source_folder = OSFS(request["folder"])
    target_folder = OSFS(tempfile.mkdtemp())
    dicom = profile.get_file_profile("dicom")
    names = [path.name for path in _files(request)]
    return lambda: dicom.process_files(source_folder, target_folder, names)


def dcmanon(request: Request) -> Call:
    """Another Rust engine, with a rule language of its own and rules that are always on."""
    from dcmanon import Anonymizer

    anonymizer = Anonymizer(tag_actions=request["actions"])
    datas = [path.read_bytes() for path in _files(request)]
    return lambda: [anonymizer.anonymize(io.BytesIO(data)) for data in datas]


def _files(request: Request) -> list[Path]:
    return sorted(Path(request["folder"]).glob("*.dcm"))


def main() -> None:
    """Answers one request."""
    request = json.loads(sys.stdin.read())
    peers = {"fw-file-rs": fw_file_rs, "flywheel-migration": flywheel_migration, "dcmanon": dcmanon}
    try:
        seconds = best(peers[request["peer"]](request), request["seconds"])
        answer: dict[str, object] = {"seconds": seconds / len(_files(request))}
    except Exception as error:  # noqa: BLE001
        answer = {"error": type(error).__name__}
    print(json.dumps(answer))


main()
