"""The action regex-sub: what it makes, and of which values."""

from __future__ import annotations

import pytest

from tests.support.engine.build import dicom, el, encode, sq
from tests.support.engine.every_way import deidentified, every_way, plan_of, rejected, values_of

NAME = 0x00100010
NUMBER = 0x00100020

# Study Description from elements that come later, and from itself.
LATER = (
    "name: StudyDescription, regex-sub: [{input-regex: '(?P<first>\\w+).*', "
    "output: '{first}-{PatientID}-{PatientSex}', "
    "groups: [{name: first}, {name: PatientID, hash: true}, {name: PatientSex}]}]"
)


def name_after(value: str, cases: str, *rules: str) -> str:
    """Returns PatientName after a regex-sub."""
    data = dicom(el("PatientName", value), el("PatientID", "1CT1"))
    output = deidentified(data, plan_of(f"name: PatientName, regex-sub: [{cases}]", *rules))
    return values_of(output)[NAME].decode().strip()


@pytest.mark.parametrize(
    ("value", "cases", "wanted"),
    [
        ("Doe^John", "{input-regex: 'Doe', output: X}", "X"),
        ("Doe^John", "{input-regex: 'John', output: X}, {input-regex: '.*', output: Y}", "Y"),
        ("Doe^John", "{input-regex: '(?P<a>.*)\\^(?P<b>.*)', output: '{b}^{a}', "
         "groups: [{name: a}, {name: b}]}", "John^Doe"),
        ("1CT1^x", "{input-regex: '(?P<a>.*)\\^', output: 'p{a}', groups: [{name: a, hash: true}]}",
         "p1c3ee9adf6f95ec4"),
        ("A", "{input-regex: '(?P<a>B)?.*', output: '<{a}>', groups: [{name: a, hash: true}]}",
         "<>"),
        ("A", "{input-regex: '.*', output: '{PatientID}', groups: [{name: PatientID, hash: true}]}",
         "1c3ee9adf6f95ec4"),
        ("A", "{input-regex: '.*', output: '{StudyID}x', groups: [{name: StudyID}]}",
         "x"),
        ("Doe^John", "{input-regex: 'Doe', output: ''}, {input-regex: '.*', output: Y}", ""),
    ],
)  # fmt: skip
def test_the_first_case_that_matches_gives_the_value(value: str, cases: str, wanted: str) -> None:
    """Groups and other elements are filled in, each put through its action."""
    assert name_after(value, cases) == wanted


def test_no_match_rejects() -> None:
    """A value that no case matches rejects the file."""
    data = dicom(el("PatientName", "A"))
    plan = plan_of("name: PatientName, regex-sub: [{input-regex: B, output: x}]")

    assert rejected(data, plan)[:2] == (
        "VALUE_NOT_TRANSFORMABLE", "regex-sub: no input-regex matches the value",
    )  # fmt: skip


def test_other_elements_count_with_their_original_values() -> None:
    """What other rules do to an element does not change what a regex-sub takes from it."""
    cases = "{input-regex: '.*', output: '{PatientID}', groups: [{name: PatientID, hash: true}]}"

    for rule in ("replace-with: Z", "remove: true", "hash: true"):
        assert name_after("A", cases, f"name: PatientID, {rule}") == "1c3ee9adf6f95ec4"


@pytest.mark.parametrize("value", ["", " "])
def test_empty_values_stay(value: str) -> None:
    """An element without a value is left as it is."""
    assert name_after(value, "{input-regex: '.*', output: X}") == ""


@pytest.mark.parametrize("between", [0, 500])
@pytest.mark.parametrize("has_number", [False, True])
def test_values_that_come_later(between: int, has_number: bool) -> None:
    """An element waits for another that comes after it, or for its absence."""
    number = [el("PatientID", "1CT1")] if has_number else []
    filler = [el("InstitutionalDepartmentName", "x" * between)]
    data = dicom(el("StudyDescription", "some text"), *filler, *number, el("PatientSex", "F"))

    output = deidentified(data, plan_of(LATER), max_held=1000)

    digest = "1c3ee9adf6f95ec4" if has_number else ""
    new = el("StudyDescription", f"some-{digest}-F")
    assert output.endswith(encode([new, *filler, *number, el("PatientSex", "F")]))


def test_a_value_that_comes_too_late_rejects() -> None:
    """What must be held to wait for another element has a limit."""
    data = dicom(
        el("StudyDescription", "some"), el("PatientComments", "x" * 4000), el("PatientID", "A")
    )
    plan = plan_of(LATER.replace("PatientSex", "AccessionNumber").replace("PatientID", "StudyID"))

    assert rejected(data, plan, max_held=1000)[:3] == (
        "LIMIT_EXCEEDED", "what the element needs does not come within 1000 bytes", "(0008,1030)",
    )  # fmt: skip


@pytest.mark.parametrize("undefined", [False, True])
def test_waiting_inside_of_a_sequence(undefined: bool) -> None:
    """Lengths around a value that waits are right once it is known."""
    rule = "name: ReferencedStudySequence.*." + LATER.removeprefix("name: ")

    def data(description: str) -> bytes:
        item = [el("StudyDescription", description), el("PatientName", "x")]
        sequence = sq("ReferencedStudySequence", item, item, undefined=undefined)
        return encode([sequence, el("PatientID", "1CT1"), el("PatientSex", "F")])

    output = deidentified(dicom() + data("some"), plan_of(rule))

    assert output.endswith(data("some-1c3ee9adf6f95ec4-F"))


def test_a_chain_with_a_regex_sub_in_it() -> None:
    """What a regex-sub makes goes on to the rules that follow."""
    data = dicom(el("PatientID", "1"), el("PatientSex", "F"))
    plan = plan_of(
        "name: PatientID, hash: true",
        "name: PatientID, regex-sub: [{input-regex: '1', output: 1CT1}]",
    )

    outcome = every_way(data, plan)

    assert values_of(outcome.output)[NUMBER] == b"1c3ee9adf6f95ec4"
    assert dict(outcome.actions) == {"regex-sub": 1, "hash": 1}


def test_a_result_that_the_vr_cannot_hold_rejects() -> None:
    """A text that is made of parts is checked as any other."""
    data = dicom(el("StudyDate", "20040119"))
    plan = plan_of("name: StudyDate, regex-sub: [{input-regex: '2004', output: '2004'}]")

    assert rejected(data, plan)[0] == "VALUE_NOT_ENCODABLE"
