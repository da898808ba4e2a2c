"""What the values of one file may cost: numbers of values and actions, and what is written."""

from __future__ import annotations

import pytest

from deid_service.engine.limits import MAX_VALUE_CHARACTERS, MAX_VALUES
from deid_service.engine.rules import budget
from tests.support.engine.build import El, dicom, el, encode, sq
from tests.support.engine.every_way import (
    deidentified,
    every_way,
    plan_of,
    rejected,
    run,
    values_of,
)

CODE = 0x00080119  # LongCodeValue, UC
TEXT = 0x0040A160  # TextValue, UT
TOO_MANY = f"an element that a rule needs has more than {MAX_VALUES} values"


def code(count: int, value: str = "1") -> El:
    """Returns an element of so many values, in a VR without a limit of its own."""
    return el(CODE, "\\".join([value] * count))


@pytest.mark.parametrize(
    "action",
    ["hash: true", "hashuid: true", "jitter: true", "increment-date: true",
     "regex-sub: [{input-regex: '.*', output: ''}]"],
)  # fmt: skip
def test_values_are_changed_up_to_a_number(action: str) -> None:
    """An element with more values than are changed in one go rejects the file."""
    plan = plan_of(f"name: '00080119', {action}", date_increment=1)

    for count in (MAX_VALUES + 1, 60_000):
        assert rejected(dicom(code(count)), plan)[:3] == (
            "LIMIT_EXCEEDED", TOO_MANY, "(0008,0119)",
        )  # fmt: skip


@pytest.mark.parametrize(("tag", "size"), [(0x00189073, 8), (0x00281101, 2)])
def test_numbers_are_changed_up_to_a_number(tag: int, size: int) -> None:
    """The same is so for numbers in binary."""
    many, most = (el(tag, bytes(size * count), "UN") for count in (MAX_VALUES + 1, MAX_VALUES))
    plan = plan_of(f"name: '{tag:08x}', jitter: true")

    assert rejected(dicom(many), plan)[:2] == ("LIMIT_EXCEEDED", TOO_MANY)
    assert run(plan, [dicom(most)]).error is None


def test_all_values_that_may_be_changed_are() -> None:
    """The longest list is changed, value by value."""
    values = values_of(
        deidentified(dicom(code(MAX_VALUES)), plan_of("name: '00080119', hash: true"))
    )

    assert values[CODE].strip().split(b"\\") == [b"6b86b273ff34fce1"] * MAX_VALUES


@pytest.mark.parametrize("action", ["replace-with: X", "remove: true", "keep: true"])
def test_values_that_are_not_read_have_no_number(action: str) -> None:
    """A value that is kept, removed or replaced may have any number of parts."""
    output = deidentified(dicom(code(60_000)), plan_of(f"name: '00080119', {action}"))

    wanted = {"replace-with: X": b"X ", "keep: true": b"1\\" * 60_000}.get(action)
    assert (values_of(output).get(CODE) or b"")[:100] == (wanted or b"")[:100]


def test_one_long_text_is_one_value() -> None:
    """Backslashes of a text separate nothing, and are not counted."""
    output = deidentified(dicom(el(TEXT, "a\\" * 30_000)), plan_of("name: TextValue, hash: true"))

    assert len(values_of(output)[TEXT]) == 16


def test_the_actions_of_all_rules_on_an_element_are_counted() -> None:
    """Several rules are done to fewer values."""
    plan = plan_of("name: '00080119', hash: true", "name: '00080119', hash: true")

    assert rejected(dicom(code(MAX_VALUES // 2 + 1)), plan)[:3] == (
        "LIMIT_EXCEEDED", f"the rules do more than {MAX_VALUES} actions on the element",
        "(0008,0119)",
    )  # fmt: skip
    assert every_way(dicom(code(MAX_VALUES // 2)), plan, byte_by_byte=False).error is None


def test_the_pieces_of_an_output_are_counted() -> None:
    """A regex-sub that puts many pieces together is done to few values."""
    output = "{a}" * 1000
    plan = plan_of(
        f"name: '00080119', regex-sub: [{{input-regex: '(?P<a>.)', output: '{output}', "
        "groups: [{name: a}]}]"
    )

    assert values_of(deidentified(dicom(code(1)), plan))[CODE] == b"1" * 1000
    assert rejected(dicom(code(9)), plan)[:1] == ("LIMIT_EXCEEDED",)


def test_what_a_regex_sub_makes_of_a_value_has_a_length() -> None:
    """A captured text that is written a thousand times over rejects the file."""
    output = "{a}" * 1000
    plan = plan_of(
        f"name: TextValue, regex-sub: [{{input-regex: '(?P<a>.*)', output: '{output}', "
        "groups: [{name: a}]}]"
    )
    longest = MAX_VALUE_CHARACTERS // 1000

    assert (
        len(values_of(deidentified(dicom(el(TEXT, "x" * longest)), plan))[TEXT]) == longest * 1000
    )
    assert rejected(dicom(el(TEXT, "x" * (longest + 1))), plan)[:3] == (
        "LIMIT_EXCEEDED",
        f"regex-sub: the new value has more than {MAX_VALUE_CHARACTERS} characters",
        "(0040,A160)",
    )


@pytest.mark.parametrize(
    ("rule", "count"),
    [
        ("name: TextValue, replace-with: " + "y" * 1000, 9),
        ("name: TextValue, regex-sub: [{input-regex: '(?P<a>.*)', output: '"
         + "{a}" * 100 + "', groups: [{name: a}]}]", 9),
        ("name: '00080119', hash: true", 15),
    ],
)  # fmt: skip
def test_new_values_make_a_file_longer_by_so_much(
    rule: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What all new values add to a file has a limit, whichever action writes them."""
    monkeypatch.setattr(budget, "MAX_GROWTH", 9000)
    part = el(TEXT, "x" * 10) if "Text" in rule else code(40)
    plan = plan_of(rule, recurse_sequence="true")

    def data(items: int) -> bytes:
        return dicom(sq("ReferencedStudySequence", *[[part]] * items))

    assert every_way(data(count), plan).error is None
    assert rejected(data(count + 1), plan)[0] == "LIMIT_EXCEEDED"


def test_values_that_grow_shorter_make_no_room() -> None:
    """Short values are no part of it: a file with many of them has no limit."""
    data = dicom(sq("ReferencedStudySequence", *[[el("StudyID", "1")]] * 3000))

    output = deidentified(data, plan_of("name: StudyID, hash: true", recurse_sequence="true"))

    assert output.count(b"6b86b273ff34fce1") == 3000


LATER = (
    "name: ReferencedStudySequence.*.StudyDescription, regex-sub: [{input-regex: '.*', "
    "output: '{PatientID}{StudyID}', groups: [{name: PatientID}, {name: StudyID}]}]"
)


def test_what_waits_for_later_elements_is_counted() -> None:
    """Elements that wait for others have a number, as all of them are changed in one go."""
    plan = plan_of(LATER)
    items = [[el("StudyDescription", "x")]] * (MAX_VALUES // 3)
    late = [el("PatientID", "1"), *[el("PatientID", "1")] * 500, el("StudyID", "2")]

    data = dicom(sq("ReferencedStudySequence", *items), *late)
    output = every_way(data, plan, byte_by_byte=False).output

    new = sq("ReferencedStudySequence", *[[el("StudyDescription", "12")]] * len(items))
    assert output.endswith(encode([new, *late]))
    many = dicom(sq("ReferencedStudySequence", *items, items[0]), *late)
    error = every_way(many, plan, byte_by_byte=False).error
    assert error is not None
    assert error[:3] == (
        "LIMIT_EXCEEDED", f"more than {MAX_VALUES} actions wait for a later element",
        "(0008,1030)",
    )  # fmt: skip
