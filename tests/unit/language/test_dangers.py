"""What is valid and dangerous is warned of; what is safe is not."""

from __future__ import annotations

import time

import pytest

from profile_service.language import check_profile

# Rules that treat what tells at once who the patient is.
SAFE = """
    - {name: PatientName, replace-with: ''}
    - {name: PatientID, replace-with: NOBODY}
    - {name: PatientBirthDate, replace-with: ''}
    - {regex: 'OtherPatientIDs', remove: true}
"""
ALL_DATES = "{regex: '.*Date(Time)?$', replace-with: ''}"


def warnings(*rules: str, settings: str = "", safe: str = SAFE) -> list[str]:
    """Returns the codes of the warnings of a profile of some rules."""
    lines = "".join(f"    - {rule}\n" for rule in rules)
    checked = check_profile(f"dicom:\n{settings}  fields:{safe or chr(10)}{lines}")
    assert checked.violations == ()
    return [warning.code for warning in checked.warnings]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (["{name: AccessionNumber, hash: true}"], ["HASH_WITHOUT_SALT"]),
        (["{regex: .*Number$, hash: true}"], ["HASH_WITHOUT_SALT"]),
        (["{name: ContextUID, hashuid: true}"], ["REGISTERED_UID_HASHED"]),
        (["{regex: '.*UID|0008.*', hashuid: true}"], ["REGISTERED_UID_HASHED"]),
        (["{regex: '.*InstanceUID', hashuid: true}"], []),
        (["{name: AccessionNumber, increment-date: true}"], ["SAME_SHIFT_FOR_ALL"]),
        (["{name: OperatorsName, increment-date: true}"], ["NOT_A_DATE", "SAME_SHIFT_FOR_ALL"]),
        (["{name: StudyTime, increment-datetime: true}"], ["NOT_A_DATE", "SAME_SHIFT_FOR_ALL"]),
        (["{name: SOPInstanceUID, remove: true}"], ["NEEDED_ELEMENT"]),
        (["{regex: 'Study(ID|Time)$', remove: true}"], ["NEEDED_ELEMENT"]),
        (["{name: StudyID, replace-with: ''}"], []),
        (["{name: Rows, replace-with: ''}"], ["INSERT_MISPLACED", "NEEDED_ELEMENT"]),
        (["{name: OperatorsName, remove: true}"], []),
        (["{name: RequestAttributesSequence.*.StudyInstanceUID, remove: true}"], []),
        (["{name: '(0019, \"SIEMENS MR HEADR\", 0C)', keep: true}"], ["CREATOR_LIKE_KNOWN"]),
        (["{name: '(0019, \"Siemens MR Header\", 0C)', keep: true}"], ["CREATOR_LIKE_KNOWN"]),
        (["{name: '(0019, \"SIEMENS MR HEADER\", 0C)', keep: true}"], []),
        (["{name: '(2001, \"Philips Imaging DD 999\", 0C)', keep: true}"], []),
    ],
)
def test_rule(rules: list[str], expected: list[str]) -> None:
    """A rule that leaks or breaks has a warning, and one that does not has none."""
    assert sorted(warnings(*rules, settings="  date-increment: -17\n")) == sorted(expected)


def test_salt() -> None:
    """With a salt a hash is no danger."""
    assert warnings("{name: StudyID, hash: true}", settings="  salt: long and secret\n") == []


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (["{name: StudyDate, increment-date: true}"], ["DATES_LEFT"]),
        (["{name: StudyDate, increment-date: true}", ALL_DATES], []),
        (["{name: PatientBirthDate, increment-date: true}"], []),
        (["{regex: '.*Date(Time)?$', increment-date: true}"], []),
        (
            ["{regex: 'Study.*', remove: true}", "{name: 00080021, increment-date: true}"],
            ["DATES_LEFT"],
        ),
    ],
)
def test_dates_of_an_examination(rules: list[str], expected: list[str]) -> None:
    """A date that moves beside one that stays tells by how much; what goes tells nothing."""
    found = warnings(*rules, settings="  date-increment: -17\n")

    assert [code for code in found if code == "DATES_LEFT"] == expected


def test_jitter() -> None:
    """A jitter is another danger than a shift that is the same for everybody."""
    shifts = "{name: ContentDate, increment-date: true, jitter-date: true}"

    assert warnings(shifts, ALL_DATES) == ["DATES_MOVED_APART"]


@pytest.mark.parametrize(
    ("rules", "settings", "left"),
    [
        (["{name: PatientName, keep: true}"], "", "PatientName, PatientID"),
        (["{name: 00100010, remove: true}"], "", "PatientID, PatientBirthDate"),
        (["{regex: 'Patient', replace-with: ''}"], "", "OtherPatientIDs and"),
        (["{regex: '0010', replace-with: ''}"], "", ""),
        (
            [
                "{regex: 'Patient|OtherPatientIDs$', replace-with: ''}",
                "{regex: '.*PatientID$', hash: true}",
            ],
            "",
            "",
        ),
        (["{name: PatientSex}"], "  remove-undefined: true\n", ""),
        (["{name: PatientName}"], "  remove-undefined: true\n", "PatientName:"),
    ],
)
def test_identifiers(rules: list[str], settings: str, left: str) -> None:
    """What tells at once who the patient is, and stays, is named."""
    lines = "".join(f"    - {rule}\n" for rule in rules)
    checked = check_profile(
        f"dicom:\n{settings}  fields:\n    - {{name: Rows, replace-with: 1}}\n{lines}"
    )

    (message,) = [
        warning.message for warning in checked.warnings if warning.code == "IDENTIFIER_LEFT"
    ] or [""]
    assert message.startswith(f"No rule changes {left}" if left else "")
    assert bool(message) == bool(left)


def test_undefined() -> None:
    """`remove-undefined` takes nothing that images need where rules name it."""
    kept = "{regex: '(?!Patient)(?!Other).*', keep: true}"

    assert warnings(kept, settings="  remove-undefined: true\n") == []
    assert warnings(settings="  remove-undefined: true\n") == ["UNDEFINED_NEEDED"]


def test_suggested_pattern() -> None:
    """The pattern that is suggested hashes no registered UID any more, and all others."""
    source = "dicom:\n  fields:\n    - {regex: '(?i).*uid|x', hashuid: true}\n"
    (warning,) = [
        each for each in check_profile(source).warnings if each.code == "REGISTERED_UID_HASHED"
    ]
    mended = f"dicom:\n  fields:\n    - regex: '{warning.suggestion}'\n      hashuid: true\n"

    assert "REGISTERED_UID_HASHED" not in {each.code for each in check_profile(mended).warnings}
    assert warning.suggestion.endswith("(?:.*uid|x)")


def test_many_patterns() -> None:
    """As many patterns as a profile may have are looked at within seconds."""
    rules = [f"{{regex: '(.*a)*{number}', hashuid: true}}" for number in range(900)]
    started = time.thread_time()

    warnings(*rules)

    assert time.thread_time() - started < 5
