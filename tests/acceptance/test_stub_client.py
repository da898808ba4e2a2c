"""A client that knows the contract alone gets its files back."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING

import pydicom

from tests.acceptance.conftest import PATIENCE_SECONDS, Installation, Run, Up, dicom_files

FILES = 200

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
    """A program with only gRPC and the stubs gets 200 files back, changed where rules say."""
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
    program = Path(__file__).with_name("stub_client.py")

    done = subprocess.run(
        [sys.executable, program, up.deid_service, up.key, target, tmp_path, *sent],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
        env=installation.environment(),
    )

    assert (done.returncode, done.stderr) == (0, "")
    opened, *results = map(json.loads, done.stdout.splitlines())
    assert opened == {"opened": "sites/stubs/profile"}
    assert [str(number) for number in range(FILES)] == [result["file"] for result in results]
    for number, result in enumerate(results):
        output = (tmp_path / str(number)).read_bytes()
        assert result["sha256"] == hashlib.sha256(output).hexdigest()
    for number, path in enumerate(some):
        assert_changed_where_named(path, tmp_path / str(number))


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
