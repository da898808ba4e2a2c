"""Slips that other engines of this language pass over in silence."""

from __future__ import annotations

import pytest

from profile_service.language import check_profile, parse_profile
from profile_service.language.model import (
    Element,
    IncrementDate,
    PathSelector,
    RelativeDate,
)


def codes(source: str) -> list[str]:
    """The codes of the violations of a text."""
    return [violation.code for violation in check_profile(source).violations]


def rule(text: str, settings: str = "") -> str:
    """A profile of one rule."""
    return f"dicom:\n{settings}  fields:\n    - {{{text}}}\n"


@pytest.mark.parametrize("name", ["00100020", "0x00100020", "'00100020'", "'(0010,0020)'"])
def test_tag_is_no_octal_number(name: str) -> None:
    """A tag means the same with and without quotes."""
    profile = parse_profile(rule(f"name: {name}, remove: true"))

    assert PathSelector((), Element(0x00100020)) == profile.rules[0].selector


@pytest.mark.parametrize("action", ["encrypt", "decrypt"])
def test_what_is_not_done_is_not_accepted(action: str) -> None:
    """An action that would leave the value in clear is a violation."""
    assert codes(rule(f"name: PatientName, {action}: true")) == ["NOT_IMPLEMENTED"]


@pytest.mark.parametrize("switch", ["false", "no", "off", "0", "", "~"])
def test_action_that_is_switched_off(switch: str) -> None:
    """`remove: false` neither removes nor keeps: it is a violation."""
    assert codes(rule(f"name: PatientName, remove: {switch}")) == ["SWITCH_NOT_TRUE"]


def test_date_without_increment() -> None:
    """A date action that has nothing to move by is a violation."""
    assert codes(rule("name: StudyDate, increment-date: true")) == ["DATE_NOT_SHIFTED"]


def test_override_of_zero_is_given() -> None:
    """An override of 0 days is an increment, with a warning that nothing moves."""
    checked = check_profile(
        rule("name: StudyDate, increment-date: true, date-increment-override: 0")
    )

    assert checked.violations == ()
    assert "DATE_NOT_MOVED" in [warning.code for warning in checked.warnings]


def test_bounds_of_dates_reach_the_action() -> None:
    """`datetime-min` and `datetime-max` of a rule or of the section bound the date."""
    profile = parse_profile(
        rule(
            "name: StudyDate, increment-date: true, datetime-min: -80years",
            "  date-increment: 1\n  datetime-max: 20301231\n",
        )
    )

    action = profile.rules[0].action
    assert isinstance(action, IncrementDate)
    assert RelativeDate(-80 * 365.25) == action.shift.minimum
    assert str(action.shift.maximum) == "2030-12-31"


@pytest.mark.parametrize(
    "source", ["", "\n", "# none\n", "{}", "dicom:\n", "dicom: ~\n", "json: {}"]
)
def test_nothing_is_no_profile(source: str) -> None:
    """A text that would de-identify nothing is never valid by saying nothing."""
    assert check_profile(source).profile is None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("name: PatientName, remove: true, hash: true", "SEVERAL_ACTIONS"),
        ("name: PatientName, remvoe: true", "UNKNOWN_RULE_KEY"),
        ("regex: 'Patient(', remove: true", "REGEX_INVALID"),
    ],
)
def test_what_is_wrong_is_not_accepted(text: str, code: str) -> None:
    """Two actions, unknown keys and broken patterns are violations."""
    assert codes(rule(text)) == [code]


def test_unknown_setting() -> None:
    """A misspelt setting must not switch a protection off."""
    source = "dicom:\n  remove-private-tag: true\n  fields: []\n"

    found = check_profile(source).violations

    assert [(violation.code, violation.suggestion) for violation in found] == [
        ("UNKNOWN_SETTING", "remove-private-tags")
    ]


@pytest.mark.parametrize(
    "text", ["name: PatientWeight, hash: true", "name: OtherPatientIDsSequence, replace-with: X"]
)
def test_what_cannot_be_done_is_told(text: str) -> None:
    """Hashing a number and replacing a sequence by text are violations, not accidents."""
    assert len(codes(rule(text))) == 1


def test_unclosed_blank_profile() -> None:
    """The blank profile that was copied without its last line is told what is missing."""
    (found,) = check_profile('"dicom": {\n"fields": []\n').violations

    assert (found.code, found.line, found.suggestion) == ("YAML_SYNTAX", 3, "}")
    assert "} is missing" in found.message


@pytest.mark.parametrize(
    "source", ["dicom: {fields: []}", "dicom:\n  fields: []", '{"dicom": {"fields": []}}']
)
def test_blank(source: str) -> None:
    """An empty list of rules and no other setting is the blank profile."""
    assert parse_profile(source).blank


@pytest.mark.parametrize("setting", ["salt: x", "decode: true", "filenames: []", "file-filter: a"])
def test_not_blank(setting: str) -> None:
    """With any other setting a profile without rules is not blank."""
    assert not parse_profile(f"dicom:\n  {setting}\n  fields: []\n").blank


def test_messages_do_not_repeat_values() -> None:
    """Values that a profile writes into files, and salts, stand in no message."""
    secret = "Zq7Secret"  # noqa: S105 - a marker
    source = (
        f"dicom:\n  salt: [{secret}]\n  fields:\n"
        f"    - {{name: StudyDate, replace-with: {secret}}}\n"
        f"    - {{name: PatientName, replace-with: [[{secret}]]}}\n"
    )

    found = check_profile(source).violations

    assert len(found) == 3
    assert not any(secret in violation.message + violation.suggestion for violation in found)
