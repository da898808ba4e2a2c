"""What tables say of patients, in files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deid_service.engine import Given, knowing
from profile_service.language.model import Column
from tests.support.engine.build import dicom, el, sq
from tests.support.engine.every_way import deidentified, every_way, plan_of, rejected
from tests.unit.engine.test_pseudonyms import hashed, values

if TYPE_CHECKING:
    from deid_service.engine import Plan

CODE, DAYS, SEX, BORN = (Column("trial", name) for name in ("code", "days", "sex", "born"))
LISTED = {
    "7": {CODE: "LUNG-0042", DAYS: "-10", SEX: "F", BORN: "19500101"},
    "8": {CODE: "LUNG-0043", DAYS: "+20"},
    "0": {DAYS: "0"},
    "much": {CODE: "L" * 17, DAYS: "99999", SEX: "FEMALE", BORN: "1950"},
}


def looked_up(*fields: str, **settings: object) -> Plan:
    """Returns the plan of a profile whose table is at hand."""
    plan = plan_of(*fields, **settings)
    return knowing(plan, lambda known_by: Given(said=LISTED.get(known_by, {})))


def lookup(column: str, name: str = "PatientID", options: str = "") -> str:
    """Returns a rule that looks a patient up."""
    return f"name: {name}, lookup: {{table: trial, column: {column}}}{options}"


def file(patient: str, *, with_sex: bool = True) -> bytes:
    """Returns a file of a patient."""
    sex = [el("PatientSex", "M")] if with_sex else []
    return dicom(
        el("StudyDate", "20200615"),
        el("PatientName", "DOE^JANE"),
        el("PatientID", patient),
        el("PatientBirthDate", "19470203"),
        *sex,
        sq("OtherPatientIDsSequence", [el("PatientID", patient)]),
        el("Rows", (512,)),
    )


def test_values_of_a_table() -> None:
    """An element becomes what the table says of the patient, at every place that a rule names."""
    plan = looked_up(
        lookup("code", "'**.PatientID'"),
        lookup("code", "PatientName"),
        lookup("sex", "PatientSex"),
        lookup("born", "PatientBirthDate"),
        lookup("code", "ClinicalTrialSubjectID"),
    )

    output = deidentified(file("7"), plan)

    assert values(output, "PatientID") == ["LUNG-0042", "LUNG-0042"]
    assert values(output, "PatientName") == ["LUNG-0042"]
    assert values(output, "PatientSex") == ["F"]
    assert values(output, "PatientBirthDate") == ["19500101"]
    assert values(output, "ClinicalTrialSubjectID") == ["LUNG-0042"]


def test_patients_of_one_stream() -> None:
    """Each file has what the table says of its patient, whichever was before it."""
    plan = looked_up(lookup("code"), lookup("sex", "PatientSex", ", on-missing: remove"))

    found = [
        (values(output, "PatientID"), values(output, "PatientSex"))
        for patient in "78778878"
        if (output := deidentified(file(patient), plan))
    ]

    said: dict[str, tuple[list[str], list[str]]] = {
        "7": (["LUNG-0042"], ["F"]),
        "8": (["LUNG-0043"], []),
    }
    expected = [said[patient] for patient in "78778878"]
    assert [(ids[:1], sexes) for ids, sexes in found] == expected


@pytest.mark.parametrize("with_sex", [True, False])
def test_who_is_not_listed(*, with_sex: bool) -> None:
    """Who is not in the table, or without a value there, is rejected, hashed or left out."""
    data = file("8", with_sex=with_sex)
    hashes = looked_up(lookup("sex", "PatientSex", ", on-missing: hash"))
    removes = looked_up(lookup("sex", "PatientSex", ", on-missing: remove"))

    error = rejected(data, looked_up(lookup("sex", "PatientSex")))
    by_hash = values(deidentified(data, hashes), "PatientSex")
    removed = every_way(data, removes)

    assert error[0] == "NOT_IN_TABLE"
    assert "trial" in error[1]
    assert "sex" in error[1]
    assert by_hash == [hashed("8")]
    assert values(removed.output, "PatientSex") == []
    assert dict(removed.actions) == ({"on-missing": 1} if with_sex else {})


@pytest.mark.parametrize(
    ("rule", "settings"),
    [
        (lookup("code", "AccessionNumber"), {}),
        (lookup("code", "AccessionNumber", ", on-missing: remove"), {}),
        (lookup("sex", "PatientAge", ", on-missing: hash").replace("hash", "remove"), {}),
        (lookup("born", "PatientBirthDate"), {}),
        (
            "name: StudyDate, keyed-shift: true",
            {"pseudonyms": "{shift-from: {table: trial, column: days}}"},
        ),
    ],
)
def test_what_an_element_cannot_hold(rule: str, settings: dict[str, str]) -> None:
    """A value that is illegal where it is used rejects the file, also where others may miss."""
    error = rejected(file("much"), looked_up(rule, **settings))

    assert error[0] == "VALUE_NOT_ENCODABLE"
    assert "LLLL" not in error[1]


@pytest.mark.parametrize(
    ("patient", "settings", "expected"),
    [
        ("7", "{shift-from: {table: trial, column: days}}", "20200605"),
        ("8", "{shift-from: {table: trial, column: days}}", "20200705"),
        ("8", "{shift-from: {table: trial, column: days}, shift-days: [-365, -30]}", "20200705"),
        ("0", "{shift-from: {table: trial, column: days}, shift-zero: true}", "20200615"),
        ("0", "{shift-from: {table: trial, column: days}}", "VALUE_NOT_ENCODABLE"),
        ("nobody", "{shift-from: {table: trial, column: days}}", "NOT_IN_TABLE"),
    ],
)
def test_shift(patient: str, settings: str, expected: str) -> None:
    """The table says by how many days dates move; where it does not, the file is rejected."""
    plan = looked_up("regex: '.*Date$', keyed-shift: true", pseudonyms=settings)
    outcome = every_way(file(patient), plan)

    found = [outcome.error[0]] if outcome.error else values(outcome.output, "StudyDate")

    assert found == [expected]


def test_shift_of_who_is_not_listed() -> None:
    """With a range of days, the key says by how many the dates of all others move."""
    both = "{shift-from: {table: trial, column: days}, shift-days: [-365, -30]}"
    by_key = "{shift-days: [-365, -30]}"
    rule = "name: StudyDate, keyed-shift: true"

    found, expected = (
        values(deidentified(file("nobody"), looked_up(rule, pseudonyms=each)), "StudyDate")
        for each in (both, by_key)
    )

    assert expected == found != ["20200615"]


def test_part_of_a_value() -> None:
    """A part of a value can be what a table says."""
    plan = looked_up(
        "name: PatientName, regex-sub: [{input-regex: '(?P<all>.*)', output: 'T-{all}', "
        "groups: [{name: all, lookup: {table: trial, column: code}}]}]"
    )

    assert values(deidentified(file("7"), plan), "PatientName") == ["T-LUNG-0042"]


def test_without_keys() -> None:
    """A plan that looks patients up does nothing before it has what finds them."""
    with pytest.raises(ValueError, match="keys"):
        plan_of(lookup("code")).for_stream()
