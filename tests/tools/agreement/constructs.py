"""Profiles that use every deterministic construct of the language."""

from __future__ import annotations

from profile_service.language import ProfileInvalid, parse_profile
from profile_service.language.model import (
    IncrementDate,
    IncrementDateTime,
    Jitter,
    Profile,
)
from tests.golden import CORPUS

_ALL_DATES = """
  fields:
    - {name: StudyDate, increment-date: true}
    - {name: SeriesDate, increment-date: true}
    - {name: AcquisitionDate, increment-date: true}
    - {name: ContentDate, increment-date: true}
    - {name: InstanceCreationDate, increment-date: true}
    - {name: PatientBirthDate, increment-date: true}
    - {name: PerformedProcedureStepStartDate, increment-date: true}
"""
_UIDS = """
  fields:
    - {name: SOPInstanceUID, hashuid: true}
    - {name: StudyInstanceUID, hashuid: true}
    - {name: SeriesInstanceUID, hashuid: true}
    - {name: FrameOfReferenceUID, hashuid: true}
    - {name: InstanceCreatorUID, hashuid: true}
"""
_TEXTS = """
  fields:
    - {name: PatientName, hash: true}
    - {name: PatientID, hash: true}
    - {name: AccessionNumber, hash: true}
    - {name: StudyDescription, hash: true}
    - {name: Manufacturer, hash: true}
    - {name: InstitutionName, hash: true}
    - {name: Modality, hash: true}
    - {name: ImageComments, hash: true}
    - {name: StationName, hash: true}
    - {name: NameOfPhysiciansReadingStudy, hash: true}
"""
_MIXED = """
  fields:
    - {name: PatientName, replace-with: ANON}
    - {name: PatientID, hash: true}
    - {name: StudyDate, increment-date: true}
    - {name: ReferencedSOPInstanceUID, hashuid: true}
    - {name: CodeMeaning, replace-with: MEANING}
    - {name: TextValue, remove: true}
    - {name: ConceptNameCodeSequence, keep: true}
    - {name: 00080104, keep: true}
"""

# By names that are file names.
_WRITTEN = {
    "keep": "\n  fields:\n    - {name: PatientName, keep: true}\n    - {name: PatientID}\n",
    "replace": r"""
  fields:
    - {name: PatientName, replace-with: REDACTED^NAME}
    - {name: patientid, replace-with: '12345'}
    - {name: StudyDescription, replace-with: a description of odd length}
    - {name: ImageType, replace-with: [DERIVED, SECONDARY]}
    - {name: PixelSpacing, replace-with: [1, 2.5]}
    - {name: SliceThickness, replace-with: 3}
    - {name: SoftwareVersions, replace-with: 'one\two'}
    - {name: InstanceNumber, replace-with: 7}
    - {name: PatientWeight, replace-with: 70.5}
    - {name: StudyDate, replace-with: '20000101'}
    - {name: SeriesInstanceUID, replace-with: 1.2.3}
    - {name: '0x00080050', replace-with: A1}
    - {name: '(0008, 0090)', replace-with: Doctor}
    - {name: '00081010', replace-with: STATION}
""",
    "replace-numbers": """
  fields:
    - {name: Rows, replace-with: 16}
    - {name: TagAngleSecondAxis, replace-with: -3}
    - {name: ReferencedFrameNumbers, replace-with: [1, 2]}
    - {name: RecommendedDisplayFrameRateInFloat, replace-with: 2.5}
    - {name: FrameIncrementPointer, replace-with: '00181063'}
""",
    "replace-empty": """
  fields:
    - {name: PatientName, replace-with: ''}
    - {name: PatientBirthDate, replace-with: ''}
    - {name: StudyInstanceUID, replace-with: ''}
    - {name: SliceThickness, replace-with: ''}
    - {name: ImageType, replace-with: ''}
    - {name: InstanceNumber, replace-with: ''}
    - {name: Rows, replace-with: ''}
    - {name: PatientComments, replace-with: ''}
    - {name: LastMenstrualDate, replace-with: ''}
    - {name: '00181060', replace-with: ''}
""",
    "replace-empty-pixels": "\n  fields:\n    - {name: PixelData, replace-with: ''}\n",
    "replace-null": "\n  fields:\n    - {name: PatientName, replace-with: ~}\n",
    "replace-sequence": """
  fields:
    - {name: SourceImageSequence, replace-with: ''}
    - {name: ContentSequence, replace-with: ''}
    - {name: DerivationCodeSequence, replace-with: []}
    - {name: OtherPatientIDsSequence, replace-with: ''}
    - {name: '00081140', replace-with: ''}
""",
    "replace-only-present": """
  replace-with-insert: false
  fields:
    - {name: PatientName, replace-with: X}
    - {name: AccessionNumber, replace-with: A1}
    - {name: PatientComments, replace-with: ''}
    - {name: DeidentificationMethod, replace-with: M, replace-with-insert: true}
    - {name: StationName, replace-with: STATION}
    - {name: SourceImageSequence, replace-with: ''}
""",
    "replace-insert-option": """
  fields:
    - {name: PatientName, replace-with: X, replace-with-insert: false}
    - {name: PatientComments, replace-with: X, replace-with-insert: false}
    - {name: DeidentificationMethod, replace-with: M}
""",
    "file-meta": """
  fields:
    - {name: SourceApplicationEntityTitle, replace-with: NODE}
    - {name: PrivateInformation, remove: true}
    - {name: PrivateInformationCreatorUID, remove: true}
""",
    "file-meta-hash": """
  fields:
    - {name: SourceApplicationEntityTitle, hash: true}
    - {name: MediaStorageSOPInstanceUID, hashuid: true}
    - {name: SOPInstanceUID, hashuid: true}
""",
    "file-meta-remove": "\n  fields:\n    - {name: '00020016', remove: true}\n",
    "remove": """
  fields:
    - {name: PatientName, remove: true}
    - {name: '00100020', remove: true}
    - {name: '(0008,0020)', remove: true}
    - {name: ContentSequence, remove: true}
    - {name: SourceImageSequence, remove: true}
    - {name: PixelData, remove: true}
    - {name: PatientComments, remove: true}
    - {name: Rows, remove: true}
""",
    "unquoted-tags": """
  fields:
    - {name: 00100020, remove: true}
    - {name: 0x00100010, replace-with: X}
    - {name: 00080050, replace-with: A1}
""",
    "hash": _TEXTS,
    "hash-salt": f"\n  salt: pepper{_TEXTS}",
    "hash-digits": f"\n  hash-digits: 8{_TEXTS}",
    "hash-all-digits": f"\n  hash-digits: 0{_TEXTS}",
    "hash-multi-valued": """
  fields:
    - {name: ImageType, hash: true}
    - {name: SoftwareVersions, hash: true}
    - {name: OtherPatientNames, hash: true}
    - {name: OperatorsName, hash: true}
""",
    "hash-dates": """
  hash-digits: 8
  fields:
    - {name: StudyDate, hash: true}
    - {name: StudyTime, hash: true}
    - {name: AcquisitionDateTime, hash: true}
    - {name: PatientAge, hash: true}
""",
    "hash-other-vrs": """
  fields:
    - {name: AccessionNumber, hash: true}
    - {name: ScheduledStationAETitle, hash: true}
    - {name: RetrieveAETitle, hash: true}
    - {name: AdditionalPatientHistory, hash: true}
    - {name: TextValue, hash: true}
    - {name: InstitutionAddress, hash: true}
""",
    "hashuid": _UIDS,
    "hashuid-salt": f"\n  salt: pepper{_UIDS}",
    "hashuid-kept": f"\n  uid-prefix-fields: 2\n  uid-suffix-fields: 3{_UIDS}",
    "hashuid-none-kept": f"\n  uid-prefix-fields: 0\n  uid-suffix-fields: 0{_UIDS}",
    "hashuid-much-kept": f"\n  uid-prefix-fields: 12\n  uid-suffix-fields: 2{_UIDS}",
    "hashuid-root": f"\n  uid-numeric-name: 1.2.840.99999{_UIDS}",
    "hashuid-multi-valued": "\n  fields:\n    - {name: InstanceCreatorUID, hashuid: true}\n",
    "hashuid-not-uid": """
  fields:
    - {name: PatientID, hashuid: true}
""",
    "dates": f"\n  date-increment: -17{_ALL_DATES}",
    "dates-forward": f"\n  date-increment: 400{_ALL_DATES}",
    "dates-fractional": f"\n  date-increment: 1.75{_ALL_DATES}",
    "dates-format": """
  date-increment: 30
  date-format: '%Y.%m.%d'
  fields:
    - {name: StudyDate, increment-date: true}
    - {name: PatientComments, increment-date: true, date-format: '%d-%b-%Y'}
""",
    "dates-options": """
  date-increment: 5
  fields:
    - {name: StudyDate, increment-date: true, date-increment-override: -3}
    - {name: SeriesDate, increment-date: true, date-format: '%Y%m%d'}
    - {name: ContentDate, increment-date: true, date-increment-override: 0.5}
""",
    "dates-bounds": """
  date-increment: 10
  fields:
    - {name: StudyDate, increment-date: true, datetime-min: '20040101'}
    - {name: SeriesDate, increment-date: true, datetime-max: '20040101'}
    - {name: ContentDate, increment-date: true, datetime-min: '19000101', datetime-max: '21000101'}
""",
    "times": """
  date-increment: -17
  fields:
    - {name: AcquisitionDateTime, increment-datetime: true}
    - {name: FrameAcquisitionDateTime, increment-datetime: true}
    - {name: FrameReferenceDateTime, increment-datetime: true}
    - {name: RadiopharmaceuticalStartDateTime, increment-datetime: true}
    - {name: InstanceCoercionDateTime, increment-datetime: true}
    - {name: ScheduledProcedureStepStartDateTime, increment-datetime: true}
""",
    "times-fractional": """
  date-increment: 0.25
  fields:
    - {name: AcquisitionDateTime, increment-datetime: true}
    - {name: FrameReferenceDateTime, increment-datetime: true}
    - {name: DateTime, increment-datetime: true, date-increment-override: 31}
""",
    "times-format": """
  date-increment: 3
  datetime-format: '%Y%m%d%H%M%S'
  fields:
    - {name: AcquisitionDateTime, increment-datetime: true}
    - {name: DateTime, increment-datetime: true, datetime-format: '%Y'}
""",
    "times-other-format": """
  date-increment: 0.5
  fields:
    - {name: PatientComments, increment-datetime: true, datetime-format: '%Y-%m-%d %H:%M:%S'}
    - {name: StudyComments, increment-datetime: true, datetime-format: '%Y/%m/%d-%H:%M:%S.%f'}
""",
    "times-bounds": """
  date-increment: 3
  fields:
    - {name: AcquisitionDateTime, increment-datetime: true, datetime-min: '20100101'}
    - {name: DateTime, increment-datetime: true, datetime-max: '20010101'}
""",
    "private": """
  remove-private-tags: true
  fields:
    - {name: PatientName, replace-with: X}
""",
    "private-kept": """
  remove-private-tags: true
  fields:
    - {name: '(0009, "GEMS_IDEN_01", 02)', keep: true}
    - {name: '(0043, GEMS_PARM_01, 27)', hash: true}
    - {name: '(0019, "GEMS_ACQU_01", 18)', replace-with: X}
""",
    "private-rules": """
  fields:
    - {name: '(0009, "GEMS_IDEN_01", 02)', remove: true}
    - {name: '(0009, "GEMS_IDEN_01", 04)', hash: true}
    - {name: '(0019, "GEMS_ACQU_01", 18)', replace-with: X}
    - {name: '(0019, "GEMS_ACQU_01", 03)', replace-with: 5}
    - {name: '(0021, "GEMS_RELA_01", 91)', replace-with: 3}
    - {name: '(0029, "NO SUCH CREATOR", 10)', remove: true}
    - {name: '(0029, "NO SUCH CREATOR", 11)', hash: true}
""",
    "private-inserted": """
  fields:
    - {name: '(0009, "GEMS_IDEN_01", E3)', replace-with: 1.2.3}
    - {name: '(0043, "GEMS_PARM_01", 62)', replace-with: X}
""",
    "undefined": """
  remove-undefined: true
  fields:
    - {name: SOPInstanceUID}
    - {name: SOPClassUID, keep: true}
    - {name: PatientName, replace-with: X}
    - {name: PatientID, hash: true}
    - {name: Rows}
    - {name: Columns}
    - {name: PixelData}
    - {name: '00080060'}
""",
    "undefined-paths": """
  remove-undefined: true
  fields:
    - {name: SpecificCharacterSet}
    - {name: ContentSequence.*.RelationshipType}
    - {name: ContentSequence.0.ConceptNameCodeSequence.0.CodeMeaning}
    - {name: SourceImageSequence.*.ReferencedSOPInstanceUID, hashuid: true}
    - {name: '(0009, "GEMS_IDEN_01", 02)', keep: true}
    - {name: DerivationCodeSequence}
""",
    "undefined-regex": """
  remove-undefined: true
  fields:
    - {regex: '.*UID$', hashuid: true}
    - {regex: '^(Rows|Columns|Bits.*|Pixel.*)', keep: true}
    - {regex: '.*Code(Value|Meaning)$', keep: true}
""",
    "undefined-recursing": (
        f"\n  remove-undefined: true\n  recurse-sequence: true\n  date-increment: 2{_MIXED}"
    ),
    "undefined-private": """
  remove-undefined: true
  remove-private-tags: true
  fields:
    - {name: PatientName, keep: true}
    - {name: '(0009, "GEMS_IDEN_01", 02)', keep: true}
""",
    "recurse": f"\n  recurse-sequence: true\n  date-increment: -400{_MIXED}",
    "recurse-private": """
  recurse-sequence: true
  remove-private-tags: true
  fields:
    - {name: '(0009, "GEMS_IDEN_01", 02)', keep: true}
    - {name: '(0099, "MADE", 01)', hash: true}
    - {name: '(60xx, 3000)', remove: true}
    - {name: CodeValue, remove: true}
    - {name: SOPInstanceUID, hashuid: true}
""",
    "recurse-empty": """
  recurse-sequence: true
  fields:
    - {name: PatientID, replace-with: ''}
    - {name: CodeMeaning, replace-with: ''}
    - {name: ConceptNameCodeSequence, replace-with: ''}
    - {name: StudyDescription, replace-with: X}
""",
    "regex-remove": """
  fields:
    - {regex: '.*(Name|Description)$', remove: true}
    - {regex: '^Content.*', remove: true}
""",
    "regex-replace": r"""
  fields:
    - {regex: '.*Meaning', replace-with: M}
    - {regex: 'Patient(Name|ID)$', replace-with: P}
    - {regex: '0040a730\..*\.0040a160', replace-with: T}
""",
    "regex-hash": """
  fields:
    - {regex: 'Patient(Name|ID)', hash: true}
    - {regex: '.*\\.PatientID', hash: true}
    - {regex: '0008(0050|1030)$', hash: true}
""".replace("\\\\", "\\"),
    "regex-both-spellings": "\n  fields:\n    - {regex: '(PatientID|00100020)$', hash: true}\n",
    "regex-hashuid": "\n  fields:\n    - {regex: '.*InstanceUID.*', hashuid: true}\n",
    "regex-dates": """
  date-increment: 12
  fields:
    - {regex: '.*Date$', increment-date: true}
    - {regex: '0008002[0-9]$', increment-date: true}
""",
    "regex-lookaround": r"""
  fields:
    - {regex: '^(?!.*Patient).*Name$', replace-with: N}
    - {regex: '.*(?<!Study)Description$', remove: true}
    - {regex: '(?i)patient.*', keep: true}
""",
    "regex-private": """
  fields:
    - {regex: '^0009[0-9a-f]{4}$', remove: true}
    - {regex: '^0019', remove: true}
    - {regex: '.*OverlayComments', remove: true}
""",
    "regex-sub": r"""
  fields:
    - name: PatientID
      regex-sub:
        - input-regex: '(?P<head>\w{1,3})(?P<tail>.*)'
          output: '{tail}-{head}'
          groups:
            - {name: head, hash: true}
            - {name: tail, keep: true}
        - input-regex: '.*'
          output: 'other'
    - name: StudyDescription
      regex-sub:
        - input-regex: '(?P<word>[^ ]*).*'
          output: 'Study {word}'
          groups: [{name: word, keep: true}]
""",
    "regex-sub-elements": r"""
  date-increment: 100
  fields:
    - {name: PatientID, replace-with: NEW}
    - name: StudyDescription
      regex-sub:
        - input-regex: '.*'
          output: '{PatientID}{Modality}'
          groups:
            - {name: PatientID, hash: true}
            - {name: Modality, keep: true}
    - name: StudyID
      regex-sub:
        - input-regex: '(?P<all>.*)'
          output: '{all}{StudyDate}'
          groups:
            - {name: all, keep: true}
            - {name: StudyDate, increment-date: true}
    - name: StationName
      regex-sub:
        - input-regex: '.*'
          output: '{SOPInstanceUID}'
          groups: [{name: SOPInstanceUID, hash: true}]
""",
    "regex-sub-order": r"""
  fields:
    - {name: PatientID, hash: true}
    - name: PatientID
      regex-sub:
        - {input-regex: '.*', output: 'second'}
    - name: PatientName
      regex-sub:
        - {input-regex: '.*', output: 'A{PatientID}', groups: [{name: PatientID, keep: true}]}
    - {name: PatientName, hash: true}
""",
    "order": """
  fields:
    - {name: PatientName, replace-with: X}
    - {name: PatientName, hash: true}
    - {name: PatientID, remove: true}
    - {name: PatientID, replace-with: BACK}
    - {name: StudyDescription, hash: true}
    - {name: StudyDescription, remove: true}
    - {name: SOPInstanceUID, hashuid: true}
    - {name: '00080018', hashuid: true}
""",
    "nested": """
  fields:
    - {name: ContentSequence.0.ConceptNameCodeSequence.0.CodeMeaning, replace-with: MEANING}
    - {name: ContentSequence.*.RelationshipType, hash: true}
    - {name: SourceImageSequence.0.ReferencedSOPInstanceUID, hashuid: true}
    - {name: '00082112.*.00081150', remove: true}
    - {name: StructureSetROISequence.*.ROIName, replace-with: ROI}
    - {name: ROIContourSequence.0.ContourSequence.*.ContourData, remove: true}
    - {name: DirectoryRecordSequence.*.PatientName, replace-with: X}
""",
    "nested-created": """
  fields:
    - {name: RequestAttributesSequence.0.ScheduledProcedureStepID, replace-with: S1}
    - {name: OtherPatientIDsSequence.1.PatientID, replace-with: P1}
    - {name: DerivationCodeSequence.0.CodeMeaning, replace-with: MEANING}
""",
    "nested-absent": """
  fields:
    - {name: RequestAttributesSequence.0.ScheduledProcedureStepID, remove: true}
    - {name: RequestAttributesSequence.*.ScheduledProcedureStepID, replace-with: X}
    - {name: ContentSequence.9.RelationshipType, hash: true}
    - {name: SourceImageSequence.0.PatientName, hash: true}
""",
    "nested-emptied": """
  fields:
    - {name: ContentSequence.*.ConceptNameCodeSequence, replace-with: ''}
    - {name: SourceImageSequence.*.PurposeOfReferenceCodeSequence, remove: true}
""",
    "repeaters": """
  fields:
    - {name: '60XX3000', remove: true}
    - {name: '(60xx, 0022)', replace-with: OVERLAY}
    - {name: '(50XX, 0005)', remove: true}
    - {name: '50XX0010', replace-with: 1}
""",
    "repeater-keywords": "\n  fields:\n    - {name: OverlayData, remove: true}\n",
    "age-days": """
  patient-age-from-birthdate: true
  fields:
    - {name: PatientBirthDate, remove: true}
""",
    "age-months": """
  patient-age-from-birthdate: true
  patient-age-units: M
  fields:
    - {name: PatientBirthDate, replace-with: ''}
""",
    "age-years": """
  patient-age-from-birthdate: true
  patient-age-units: Y
  remove-undefined: true
  fields:
    - {name: StudyDate, hash: true}
    - {name: PatientAge, keep: true}
""",
    "age-removed": """
  patient-age-from-birthdate: true
  fields:
    - {name: PatientAge, remove: true}
""",
    "filenames": r"""
  fields:
    - {name: PatientID, hash: true}
    - {name: SOPInstanceUID, hashuid: true}
  filenames:
    - input-regex: '(?P<stem>MR.*)\.dcm'
      output: '{stem}-{PatientID}.dcm'
    - input-regex: '.*'
      output: '{Modality}_{SOPInstanceUID}.dcm'
""",
    "filenames-groups": r"""
  date-increment: 4
  fields:
    - {name: PatientName, replace-with: X}
  filenames:
    - input-regex: '(?P<word>\w+)_(?P<rest>.*)\.dcm'
      output: '{word}-{rest}.dcm'
      groups:
        - {name: word, hash: true}
    - input-regex: '(?P<all>.*)'
      output: 'other-{all}'
""",
    "character-sets": "\n  fields:\n    - {name: PatientName, replace-with: Buc^Jérôme}\n",
    "too-long": "\n  fields:\n    - {regex: StudyID, replace-with: more than 16 characters}\n",
}  # fmt: skip


def constructs() -> dict[str, str]:
    """Returns the profiles by names that are file names: ours, and those of other people."""
    found = {name: f"dicom:{text}" for name, text in _WRITTEN.items()}
    for path in sorted(CORPUS.glob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        try:
            profile = parse_profile(text)
        except ProfileInvalid:
            continue
        if _is_deterministic(profile):
            found[f"corpus-{path.stem}"] = text
    return found


def _is_deterministic(profile: Profile) -> bool:
    """Whether nothing is drawn by lot."""
    actions = [rule.action for rule in profile.rules]
    return not any(
        isinstance(action, Jitter)
        or (isinstance(action, IncrementDate | IncrementDateTime) and action.shift.jitter)
        for action in actions
    )
