"""Profiles whose outputs are still images, plans and reports of their kinds."""

from __future__ import annotations

from functools import cache

from deid_service.engine import Plan, compile_plan
from profile_service.language import parse_profile

_EMPTIED = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID",
    "ReferringPhysicianName", "StudyDate", "StudyTime", "InstitutionName", "InstitutionAddress",
    "StudyDescription", "SeriesDescription", "OperatorsName", "StationName", "PatientComments",
    "RequestAttributesSequence", "ReferencedStudySequence",
)  # fmt: skip

PROFILES = {
    "values": """
dicom:
  date-increment: -17
  fields:
    - {name: PatientName, replace-with: REDACTED}
    - {name: PatientID, hash: true}
    - {name: AccessionNumber, hash: true}
    - {name: PatientBirthDate, replace-with: ''}
    - {name: SeriesDate, increment-date: true}
    - {name: SOPInstanceUID, hashuid: true}
    - {name: StudyInstanceUID, hashuid: true}
    - {name: SeriesInstanceUID, hashuid: true}
    - {name: FrameOfReferenceUID, hashuid: true}
    - {name: InstitutionName, remove: true}
    - {name: PatientWeight, jitter: true}
""",
    "emptied": "dicom:\n  replace-with-insert: false\n  fields:\n"
    + "".join(f"    - {{name: {name}, replace-with: ''}}\n" for name in _EMPTIED),
    "every depth": """
dicom:
  recurse-sequence: true
  uid-numeric-name: '1.2.826.0'
  replace-with-insert: false
  remove-private-tags: true
  fields:
    - {name: PatientName, replace-with: A name that is longer than most}
    - {name: PatientID, hash: true}
    - {name: SOPInstanceUID, hashuid: true}
    - {name: StudyInstanceUID, hashuid: true}
    - {name: SeriesInstanceUID, hashuid: true}
    - {name: ReferencedSOPInstanceUID, hashuid: true}
    - {name: ROIName, replace-with: R}
    - {name: BeamName, replace-with: B}
    - {name: TextValue, replace-with: T}
""",
    "regular expressions": """
dicom:
  uid-numeric-name: '1.2.826.0'
  fields:
    - {regex: '.*InstanceUID$', hashuid: true}
    - {regex: '.*(Description|Comments)$', remove: true}
    - {regex: '0019', remove: true}
""",
    "nested paths": """
dicom:
  fields:
    - {name: ContentSequence.*.ConceptNameCodeSequence.*.CodeMeaning, replace-with: longer}
    - {name: StructureSetROISequence.*.ROIName, replace-with: ''}
    - {name: BeamSequence.*.BeamDescription, remove: true}
    - {name: ReferencedStudySequence, remove: true}
""",
}


@cache
def compiled(name: str) -> Plan:
    """Returns the plan of a profile."""
    return compile_plan(parse_profile(PROFILES[name]))
