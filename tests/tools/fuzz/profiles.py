"""The profiles that the fuzzer draws from: together they reach every part of the engine."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from profile_service.language import parse_profile
from tests.support.engine.keys import compiled_with_keys

if TYPE_CHECKING:
    from deid_service.engine import Plan

PROFILES = {
    "values": """
dicom:
  date-increment: -17
  salt: s
  fields:
    - {name: PatientName, replace-with: REDACTED}
    - {name: PatientID, hash: true}
    - {name: PatientBirthDate, increment-date: true}
    - {name: StudyDate, increment-date: true}
    - {name: AcquisitionDateTime, increment-datetime: true}
    - {name: SOPInstanceUID, hashuid: true}
    - {name: StudyInstanceUID, hashuid: true}
    - {name: AccessionNumber, remove: true}
    - {name: InstitutionName, remove: true}
    - {name: ReferringPhysicianName, hash: true}
    - {name: SpecificCharacterSet, replace-with: ISO_IR 192}
    - {name: PixelData, remove: true}
""",
    "empties": "dicom:\n  fields:\n"
    + "".join(
        f"    - {{name: {name}, replace-with: ''}}\n"
        for name in (
            "AccessionNumber", "InstitutionName", "ReferringPhysicianName", "StudyDescription",
            "ReferencedStudySequence", "PatientName", "PatientID", "PatientBirthDate",
            "OtherPatientIDsSequence", "PatientComments", "ROIName", "StructureSetROISequence",
            "ContentSequence", "RequestAttributesSequence", "DigitalSignaturesSequence",
        )
    ),
    "deep": """
dicom:
  recurse-sequence: true
  remove-private-tags: true
  fields:
    - {name: PatientName, replace-with: X}
    - {name: ReferencedSOPInstanceUID, hashuid: true}
    - {name: CodeMeaning, replace-with: longer than what there was}
    - {name: TextValue, remove: true}
    - {name: ROIName, hash: true}
    - {name: '(0009, "GEMS_IDEN_01", 02)', keep: true}
    - {name: '(50xx, 3000)', remove: true}
    - {name: InstitutionName, remove: true}
""",
    "paths": """
dicom:
  fields:
    - {name: ContentSequence.0.ConceptNameCodeSequence.0.CodeMeaning, replace-with: made}
    - {name: ContentSequence.*.TextValue, hash: true}
    - {name: OtherPatientIDsSequence.1.PatientID, replace-with: made}
    - {name: StructureSetROISequence.*.ROIName, remove: true}
    - {name: ROIContourSequence.0.ContourSequence.*.ContourData, replace-with: 1}
    - {name: '(0043, "GEMS_PARM_01", 39)', replace-with: 1}
    - {name: '(0029, "NEW", 10)', remove: true}
    - {name: PatientName, replace-with: X}
    - {name: InstitutionName, remove: true}
""",
    "private": """
dicom:
  remove-private-tags: true
  fields:
    - {name: '(0009, "GEMS_IDEN_01", 02)', keep: true}
    - {name: '(0019, "GEMS_PARM_01", *)', keep: true}
    - {name: '(0029, "GEMS_IDEN_01", 04)', hash: true}
    - {name: '(0043, "GEMS_PARM_01", 05)', keep: true}
    - {name: PatientName, replace-with: X}
    - {name: InstitutionName, remove: true}
""",
    "by VR": """
dicom:
  fields:
    - {name: '(0009, "GEMS_IDEN_01", 02)', remove: true}
    - {vr: [SH, UI], remove: true}
    - {name: '(0043, "ACME", *)', keep: true}
    - {vr: [LO], hash: true, on-error: remove}
    - {name: PatientName, replace-with: X}
""",
    "base": """
dicom:
  base: ps3.15-2026c-basic
  options: [clean-descriptors, retain-safe-private]
""",
    "regex": """
dicom:
  fields:
    - {regex: '.*(Name|Description|Meaning)$', replace-with: R}
    - {regex: '.*UID$', hashuid: true}
    - {regex: '.*Time$', remove: true}
    - {name: InstitutionName, remove: true}
""",
    "undefined": """
dicom:
  remove-undefined: true
  patient-age-from-birthdate: true
  fields:
    - {name: SOPInstanceUID, hashuid: true}
    - {name: Modality}
    - {name: ContentSequence.*.RelationshipType}
    - {name: PatientName, replace-with: X}
    - {name: PixelData}
    - {regex: '.*CodeValue'}
    - {name: '(0009, "GEMS_IDEN_01", 02)', keep: true}
  filenames:
    - {input-regex: '(?P<stem>.*)\\.dcm', output: '{stem}-{StudyDate}.dcm'}
    - {output: '{PatientName}-{SOPInstanceUID}.dcm'}
""",
    "substitutions": """
dicom:
  remove-private-tags: true
  fields:
    - name: PatientName
      regex-sub:
        - input-regex: '(?P<first>[A-Za-z]+).*'
          output: '{first}{PatientID}'
          groups: [{name: first, hash: true}, {name: PatientID, hash: true}]
        - input-regex: '.*'
          output: 'other{SOPInstanceUID}'
          groups: [{name: SOPInstanceUID, hash: true}]
    - name: StudyDescription
      regex-sub:
        - input-regex: '.*'
          output: '{PatientSex}{Rows}{Manufacturer}'
          groups: [{name: PatientSex}, {name: Rows, hash: true}, {name: Manufacturer}]
    - {name: PatientID, hash: true}
    - {name: SOPInstanceUID, remove: true}
    - {name: InstitutionName, remove: true}
""",
    "keyed": """
dicom:
  pseudonyms: {missing: study, shift-days: [-99, -9], shift-weeks: true}
  recurse-sequence: true
  fields:
    - {name: PatientName, pseudonym: true}
    - {name: PatientID, keyed-hash: true}
    - {name: OtherPatientIDs, keyed-hash: true}
    - {name: StudyDate, keyed-shift: true}
    - {name: ContentDate, keyed-shift: true, on-error: empty}
    - {name: AcquisitionDateTime, keyed-shift: true, on-error: remove}
    - {name: StudyTime, keyed-shift: true}
    - {name: SOPInstanceUID, keyed-uid: true}
    - {name: ReferencedSOPInstanceUID, keyed-uid: true}
    - {name: StudyInstanceUID, keyed-uid: true}
    - {name: AccessionNumber, pseudonym: true, length: 14}
    - {name: InstitutionName, remove: true}
""",
}  # fmt: skip

# In files that one of these profiles lets through, this element is gone from the
# top level; a sequence of that tag can stay for what a rule names inside of it.
REMOVED_BY = frozenset({"values", "deep", "paths", "regex", "undefined", "substitutions", "keyed"})
REMOVED = 0x00080080


@cache
def plan(name: str) -> Plan:
    """Returns a compiled profile."""
    return compiled_with_keys(parse_profile(PROFILES[name]))
