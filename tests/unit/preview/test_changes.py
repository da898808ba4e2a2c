"""A preview lists what differs between two versions of a file, and nothing else."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from pydicom import data, dcmread

from deid_service.preview.changes import changes

FOLDER = Path(data.__file__).parent / "test_files"


def saved(name: str, **values: object) -> bytes:
    """Returns a file of pydicom's with some elements set; None deletes one."""
    dataset = dcmread(FOLDER / name)
    for keyword, value in values.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    buffer = BytesIO()
    dataset.save_as(buffer)
    return buffer.getvalue()


def test_equal_files_have_no_changes() -> None:
    """Two equal files differ in nothing."""
    assert list(changes(saved("CT_small.dcm"), saved("CT_small.dcm"))) == []


def test_changed_removed_and_inserted() -> None:
    """An element that changed, went or came is listed once, in the order of the file."""
    before = saved("CT_small.dcm")
    after = saved("CT_small.dcm", PatientName="X", PatientID=None, InstitutionAddress="Y")

    found = [change.as_json() for change in changes(before, after)]

    assert [(each["path"], each["before"], each["after"]) for each in found] == [
        ("InstitutionAddress", None, "Y"),
        ("PatientName", "CompressedSamples^CT1", "X"),
        ("PatientID", "1CT1", None),
    ]


def test_a_sequence_that_went_is_listed_alone() -> None:
    """Of a sequence that is gone, the elements of its items are not listed."""
    before = saved("rtplan.dcm")
    after = saved("rtplan.dcm", BeamSequence=None)

    found = [change.element.path for change in changes(before, after)]

    assert found == ["BeamSequence"]


def test_long_values_are_cut_only_when_shown() -> None:
    """Two long values that differ at their end alone are still a change."""
    before = saved("CT_small.dcm", StudyComments="x" * 500 + "a")
    after = saved("CT_small.dcm", StudyComments="x" * 500 + "b")

    (change,) = changes(before, after)

    assert change.before is not None
    assert change.element.path == "StudyComments"
    assert len(change.before.text) < 100


def test_what_pydicom_cannot_read_is_said_without_values() -> None:
    """A file that pydicom cannot read gives an error that quotes nothing of it."""
    # Deflated, and broken off in the middle.
    broken = (FOLDER / "image_dfl.dcm").read_bytes()[:1000] + b"Doe^Jane" * 100

    with pytest.raises(ValueError, match="pydicom cannot read it") as caught:
        list(changes(broken, broken))

    assert "Doe" not in str(caught.value)
