"""What no rule addresses is in the output byte for byte; what one does is what it says."""

from __future__ import annotations

import struct
from functools import cache
from typing import TYPE_CHECKING

import pytest
from pydicom._dicom_dict import DicomDictionary

from deid_service.engine import Plan, compile_plan
from profile_service.language import parse_profile
from tests.engine_support.every_way import every_way, plan_of
from tests.engine_support.expectation import assert_equals, expected
from tests.engine_support.files import ALL_FILES, DICOM_FILES, name_of
from tests.engine_support.walk import UnreadableError, read_file

if TYPE_CHECKING:
    from pathlib import Path

    from profile_service.language.model import Profile
    from tests.engine_support.walk import Element

# Elements of one value each, as hundreds of them are emptied in real profiles.
_EMPTIED = [
    entry[4]
    for tag, entry in sorted(DicomDictionary.items())
    if entry[1] == "1" and entry[0] != "SQ" and " or " not in entry[0] and entry[4] and not entry[3]
    and 0x8 <= tag >> 16 < 0x60 and tag & 0xFFFF
][:300]  # fmt: skip

PROFILES = {
    "twelve rules": """
dicom:
  date-increment: -17
  fields:
    - {name: PatientName, replace-with: REDACTED}
    - {name: PatientID, hash: true}
    - {name: AccessionNumber, hash: true}
    - {name: PatientBirthDate, increment-date: true}
    - {name: StudyDate, increment-date: true}
    - {name: SeriesDate, increment-date: true}
    - {name: SOPInstanceUID, hashuid: true}
    - {name: StudyInstanceUID, hashuid: true}
    - {name: SeriesInstanceUID, hashuid: true}
    - {name: ReferringPhysicianName, remove: true}
    - {name: InstitutionName, remove: true}
    - {name: PatientComments, replace-with: ''}
""",
    "three hundred emptied": "dicom:\n  fields:\n"
    + "".join(f"    - {{name: {keyword}, replace-with: ''}}\n" for keyword in _EMPTIED),
    "every depth": """
dicom:
  recurse-sequence: true
  remove-private-tags: true
  fields:
    - {name: PatientName, replace-with: A name that is longer than most}
    - {name: PatientID, hash: true}
    - {name: SOPInstanceUID, hashuid: true}
    - {name: ReferencedSOPInstanceUID, hashuid: true}
    - {name: CodeMeaning, replace-with: ''}
    - {name: ROIName, remove: true}
    - {name: BeamName, replace-with: B}
    - {name: '(0009, "GEMS_IDEN_01", 02)', keep: true}
    - {name: '(0043, "GEMS_PARM_01", 39)', replace-with: '1'}
""",
    "regular expressions": """
dicom:
  fields:
    - {regex: '.*UID$', hashuid: true}
    - {regex: '.*(Description|Comments)$', replace-with: R}
    - {regex: '.*Sequence\\.1\\.', remove: true}
    - {regex: '0019', remove: true}
    - {name: PatientName, replace-with: ''}
""",
    "remove what is undefined": """
dicom:
  remove-undefined: true
  fields:
    - {name: Modality}
    - {name: SOPInstanceUID, hashuid: true}
    - {name: SOPClassUID}
    - {name: Rows}
    - {name: PixelData}
    - {name: ContentSequence.*.RelationshipType}
    - {name: ContentSequence.1.ValueType}
    - {name: '(0009, "GEMS_IDEN_01", 04)'}
""",
    "nested paths": """
dicom:
  fields:
    - {name: ContentSequence.0.ConceptNameCodeSequence.0.CodeMeaning, replace-with: made}
    - {name: ContentSequence.*.TextValue, replace-with: x}
    - {name: OtherPatientIDsSequence.1.PatientID, replace-with: made}
    - {name: StructureSetROISequence.*.ROIName, remove: true}
    - {name: ROIContourSequence.0.ContourSequence.*.NumberOfContourPoints, replace-with: '7'}
    - {name: BeamSequence.*.ControlPointSequence.*.GantryAngle, replace-with: '1.5'}
    - {name: RequestAttributesSequence, replace-with: ''}
    - {name: ReferencedStudySequence, remove: true}
""",
}

# Files that a profile cannot be applied to, and why.
REJECTED = {
    # Its Study Date is in the form of ACR-NEMA, with dots.
    ("ExplVR_BigEnd.dcm", "twelve rules"): "VALUE_NOT_TRANSFORMABLE",
}

# Media directories have offsets that must change: their tests are elsewhere.
FILES = [path for path in DICOM_FILES if not path.name.startswith("DICOMDIR")]

_OWN_META = {0x00020000, 0x00020012, 0x00020013}


@cache
def compiled(name: str) -> tuple[Profile, Plan]:
    """Returns a profile, and the plan that it compiles to."""
    profile = parse_profile(PROFILES[name])
    return profile, compile_plan(profile)


@pytest.mark.parametrize("path", ALL_FILES, ids=name_of)
def test_a_blank_profile_changes_nothing(path: Path) -> None:
    """With a blank profile any bytes come out as they came in."""
    data = path.read_bytes()

    outcome = every_way(data, plan_of())

    assert outcome.output == data
    assert outcome.error is None


@pytest.mark.parametrize("profile_name", PROFILES)
@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_only_what_a_rule_addresses_changes(path: Path, profile_name: str) -> None:
    """At every depth the output has what the profile says, and else what the input has."""
    data = path.read_bytes()
    profile, plan = compiled(profile_name)
    outcome = every_way(data, plan)
    if outcome.error is not None:
        assert outcome.error[0] == _expected_rejection(path, data, profile_name), outcome.error
        return
    before = read_file(data)

    after = read_file(outcome.output)

    assert_equals(expected(before.elements, before.syntax, profile), after.elements)
    assert after.preamble == _cleared(before.preamble)
    assert after.syntax == before.syntax or not after.elements
    _assert_meta(before.meta, after.meta)


def _cleared(preamble: bytes) -> bytes:
    return preamble and preamble[-4:].rjust(len(preamble), b"\0")


def _assert_meta(before: list[Element], after: list[Element]) -> None:
    if not before:
        assert not after
        return
    old = {each.tag: each for each in before}
    new = {each.tag: each for each in after}
    assert sorted(new) == sorted(old.keys() | _OWN_META)
    for tag in new.keys() - _OWN_META - {0x00020003}:
        assert new[tag].raw == old[tag].raw
    (length,) = struct.unpack("<I", new[0x00020000].value)
    assert length == sum(len(each.raw) for each in after) - len(new[0x00020000].raw)


def _expected_rejection(path: Path, data: bytes, profile_name: str) -> str | None:
    try:
        read_file(data)
    except UnreadableError:
        return "TRUNCATED" if "truncated" in path.name else "NOT_DICOM"
    return REJECTED.get((path.name, profile_name))
