"""Profiles of the kinds that institutions use, for tests over many files."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from pydicom._dicom_dict import DicomDictionary

from deid_service.engine import Plan, compile_plan
from profile_service.language import parse_profile

if TYPE_CHECKING:
    from profile_service.language.model import Profile

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


@cache
def compiled(name: str) -> tuple[Profile, Plan]:
    """Returns a profile, and the plan that it compiles to."""
    profile = parse_profile(PROFILES[name])
    return profile, compile_plan(profile)
