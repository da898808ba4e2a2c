"""Whether a file is DICOM is told from its beginning as the engine tells it from the whole."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import data

from deid_service.engine import HEAD_BYTES, DicomError, Reason, compile_plan, deidentify, is_dicom
from profile_service.language import parse_profile

PLAN = compile_plan(parse_profile("dicom: {fields: [{name: PatientName, remove: true}]}"))
FILES = sorted(path for path in (Path(data.__file__).parent / "test_files").glob("*.dcm"))


def taken(content: bytes) -> bool:
    """Tells whether the engine takes a file for DICOM."""
    try:
        deidentify(content, PLAN)
    except DicomError as error:
        return error.reason is not Reason.NOT_DICOM
    return True


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_real_files(path: Path) -> None:
    """Real files, with and without preamble and prefix, are told as the engine tells them."""
    content = path.read_bytes()
    for whole in (content, content[128:], content[132:]):
        assert is_dicom(whole[:HEAD_BYTES]) == taken(whole)


@given(st.binary(max_size=200))
def test_any_bytes(content: bytes) -> None:
    """Any bytes at all are told as the engine tells them."""
    assert is_dicom(content[:HEAD_BYTES]) == taken(content)
