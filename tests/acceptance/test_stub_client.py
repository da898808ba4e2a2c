"""A client that knows the contract alone gets its files back."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING

import pydicom

from tests.acceptance.conftest import PATIENCE_SECONDS, ROOT, Installation, Run, Up, dicom_files

FILES = 200

EXAMPLE = ROOT / "examples" / "python" / "upload.py"
CT = dicom_files("CT_small.dcm")

if TYPE_CHECKING:
    from pydicom.tag import BaseTag

PROFILE = """\
dicom:
  fields:
    - {name: PatientName, replace-with: REDACTED}
    - {name: PatientID, hash: true}
    - {name: SOPInstanceUID, hashuid: true}
"""
CHANGED = {"PatientName", "PatientID", "SOPInstanceUID"}


def test_two_hundred_files_on_one_stream(
    installation: Installation, up: Up, run: Run, tmp_path: Path
) -> None:
    """The example, with only gRPC and the stubs, gets 200 files back, changed where rules say."""
    for name in (
        "sites/stubs",
        "sites/stubs/groups/g",
        target := "sites/stubs/groups/g/projects/p",
    ):
        assert run("container", "create", name).returncode == 0
    assert run("profile", "set", "sites/stubs", "-", stdin=PROFILE).returncode == 0
    some = dicom_files(
        "CT_small.dcm", "MR_small.dcm", "MR_small_implicit.dcm", "JPEG2000.dcm", "rtplan.dcm"
    )
    sent = list(islice(cycle(some), FILES))
    none = tmp_path / "none"
    none.write_bytes(b"no DICOM")

    done = subprocess.run(
        [sys.executable, EXAMPLE, up.deid_service, target, tmp_path / "out", *sent, none],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
        env=installation.environment(**up.addresses),
    )

    assert (done.returncode, done.stderr) == (1, "")
    *results, rejected = map(json.loads, done.stdout.splitlines())
    assert [result["file"] for result in results] == [str(each) for each in sent]
    for result in results:
        output = (tmp_path / "out" / result["output"]).read_bytes()
        assert result["sha256"] == hashlib.sha256(output).hexdigest()
    for result in results[: len(some)]:
        assert_changed_where_named(Path(result["file"]), tmp_path / "out" / result["output"])
    assert (rejected["file"], rejected["rejected"]) == (str(none), "REJECTION_REASON_NOT_DICOM")
    assert len(list((tmp_path / "out").iterdir())) == FILES


def test_an_example_that_is_refused_says_why(
    installation: Installation, up: Up, tmp_path: Path
) -> None:
    """It ends with the status of the call, and leaves nothing."""
    done = subprocess.run(
        [sys.executable, EXAMPLE, up.deid_service, "sites/none/devices/d", tmp_path / "out", *CT],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
        env=installation.environment(**up.addresses),
    )

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("NOT_FOUND: ")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_language_that_is_not_there_is_a_failure(tmp_path: Path) -> None:
    """`./dev examples` passes over no example that it was asked to run."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.tools.examples", "node", "go"],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
        cwd=ROOT,
        env=os.environ | {"PATH": str(tmp_path)},
    )

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        "node: FAILED: there is no node, npm",
        "go: FAILED: there is no go, protoc-gen-go, protoc-gen-go-grpc",
    ]


def assert_changed_where_named(before: Path, after: Path) -> None:
    """Compares, element by element as bytes, what pydicom reads."""
    old, new = pydicom.dcmread(before), pydicom.dcmread(after)
    assert list(old.keys()) == list(new.keys())
    for tag in old.keys():  # noqa: SIM118 -- a data set iterates over its elements
        is_named = pydicom.datadict.keyword_for_tag(tag) in CHANGED
        assert is_named == (as_it_stands(old, tag) != as_it_stands(new, tag)), tag
    assert new.file_meta.MediaStorageSOPInstanceUID == new.SOPInstanceUID


def as_it_stands(dataset: pydicom.Dataset, tag: BaseTag) -> object:
    """Returns an element as it stands in the file; sequences are parsed as they are read."""
    element = dataset.get_item(tag)
    return element.VR, getattr(element, "length", None), element.value
