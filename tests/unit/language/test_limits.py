"""Hostile texts meet a limit: the work that they cause is bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from profile_service.language import ProfileInvalid, check_profile, parse_profile
from profile_service.language.dates import MAX_FORMAT_CHARACTERS, MAX_FORMATS
from profile_service.language.document import MAX_BYTES, MAX_DEPTH, MAX_NODES
from profile_service.language.errors import MAX_SHOWN
from profile_service.language.problems import MAX_PROBLEMS, MAX_PROBLEMS_BYTES

if TYPE_CHECKING:
    from profile_service.language import Violation

MEGABYTE = MAX_BYTES


def codes(source: str | bytes) -> list[str]:
    """The codes of the violations of a text."""
    return [violation.code for violation in check_profile(source).violations]


def rules(count: int, rule: str) -> str:
    """A profile of so many rules, each on a line."""
    return "dicom:\n  fields:\n" + "".join(f"  - {rule}\n" for _ in range(count))


@pytest.mark.parametrize("source", ["a" * (MAX_BYTES + 1), b"a" * (MAX_BYTES + 1), "ä" * MAX_BYTES])
def test_too_large(source: str | bytes) -> None:
    """A text of more than 1 MiB is not read, whether it comes as text or as bytes."""
    assert codes(source) == ["TOO_LARGE"]


def test_largest() -> None:
    """A text of exactly 1 MiB is read."""
    text = "dicom:\n  remove-undefined: true\n  fields: []\n# "

    assert codes(text + "x" * (MAX_BYTES - len(text))) == []


@pytest.mark.parametrize(
    "unit", ["[", "{", "{a: ", '{"a":', "- ", "? ", "- [", "a:\n  - "], ids=repr
)
def test_deep_nesting(unit: str) -> None:
    """A megabyte of nesting is refused at the depth that is allowed."""
    assert codes(unit * (MEGABYTE // len(unit))) in (["TOO_COMPLEX"], ["YAML_SYNTAX"])


def test_depth() -> None:
    """The depth is what is written: one level more than allowed is refused."""
    inside = MAX_DEPTH - 2

    assert codes("dicom: [" + "[" * inside + "]" * inside + "]") == ["WRONG_TYPE"]
    assert codes("dicom: [[" + "[" * inside + "]" * inside + "]]") == ["TOO_COMPLEX"]


@pytest.mark.parametrize("unit", ["[],", "a,", "{},", "{a: b},"])
def test_megabyte_of_flow_sequence(unit: str) -> None:
    """A megabyte of small nodes is refused at the number that is allowed."""
    assert codes("[" + unit * (MEGABYTE // len(unit) - 1) + "]") == ["TOO_COMPLEX"]


def test_ten_thousand_rules() -> None:
    """More rules than there are elements in DICOM are refused."""
    assert codes(rules(10_000, "{name: PatientName, remove: true}")) == ["TOO_COMPLEX"]


def test_rule_for_every_element() -> None:
    """A rule for every element that DICOM has is within the limit."""
    assert codes(rules(5_500, "{name: PatientName, remove: true}")) == []
    assert MAX_NODES > 5_500 * 5


def test_aliases_count_as_what_they_expand_to() -> None:
    """Nine anchors that hold nine of each other would be hundreds of millions of nodes."""
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    for before, name in zip("abcdefgh", "bcdefghi", strict=True):
        lines.append(f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]")

    assert codes("\n".join(lines)) == ["TOO_COMPLEX"]


def test_characters_of_aliases_count() -> None:
    """A long text under many aliases would be gigabytes."""
    values = ", ".join(["*x"] * 1000)
    rule = f"{{name: PatientName, replace-with: [{values}]}}"

    assert codes(f"x: &x {'y' * 100_000}\ndicom: {{fields: [{rule}]}}") == ["TOO_COMPLEX"]


def test_merges_count() -> None:
    """Merging large mappings again and again counts like writing them."""
    keys = ", ".join(f"k{n}: 1" for n in range(5000))

    assert codes(
        f"b: &b {{{keys}}}\nc: {{<<: [{', '.join(['*b'] * 10)}]}}\ndicom: {{fields: []}}"
    ) == ["TOO_COMPLEX"]


def test_problems_are_bounded() -> None:
    """Of very many violations the first are reported, and that there are more."""
    found = codes(rules(3_000, "{name: PatientNme, remvoe: true}"))

    assert len(found) == MAX_PROBLEMS + 1
    assert found[-1] == "TOO_MANY_PROBLEMS"


def test_warnings_are_bounded() -> None:
    """Of very many warnings the first are reported, and that there are more."""
    checked = check_profile(rules(3_000, "{name: 00101111, remove: true}"))

    assert checked.profile is not None
    assert len(checked.warnings) == MAX_PROBLEMS + 1
    assert checked.warnings[-1].code == "TOO_MANY_WARNINGS"


@pytest.mark.parametrize("length", [8000, 450])
def test_problems_are_bounded_in_size(length: int) -> None:
    """Aliases repeat one slip a thousand times: of long problems, fewer are reported."""
    slip = f'"name:{"v" * length}"'
    found = check_profile(f"dicom: {{fields: [&a {slip}{', *a' * 999}]}}").violations

    assert sum(map(size_of, found)) <= MAX_PROBLEMS_BYTES


def size_of(violation: Violation) -> int:
    """The bytes of the texts of a violation."""
    texts = (violation.code, violation.path, violation.message, violation.suggestion)
    return sum(len(text.encode()) for text in texts)


@pytest.mark.parametrize("key", ["date-format", "datetime-format"])
def test_length_of_a_date_format(key: str) -> None:
    """Trying out a format takes time that grows with its square, and so its length is bounded."""
    text = "%Y" + "x" * (MAX_FORMAT_CHARACTERS - 2)

    assert codes(f"dicom: {{{key}: '{text}', fields: []}}") == []
    assert codes(f"dicom: {{{key}: '{text}x', fields: []}}") == ["DATE_FORMAT"]
    assert codes(f"dicom: {{{key}: '{'%B' * 500_000}', fields: []}}") == ["DATE_FORMAT"]


def test_number_of_date_formats() -> None:
    """A profile has so many different formats, each as often as it likes."""
    formats = [f"%Y{number}" for number in range(MAX_FORMATS)]
    rule = "  - {{name: StudyDate, increment-date: true, date-increment-override: 1, {}}}\n"
    text = "dicom:\n  fields:\n" + "".join(
        rule.format(f"date-format: '{one}'") for one in [*formats, *formats]
    )

    assert codes(text) == []
    assert codes(text + rule.format("date-format: '%Y-one-more'")) == ["DATE_FORMAT"]


def test_error_shows_the_first_violations() -> None:
    """The error holds every violation; its text shows the first, and counts the rest."""
    with pytest.raises(ProfileInvalid) as caught:
        parse_profile(rules(MAX_SHOWN + 7, "{name: PatientNme, remove: true}"))

    lines = str(caught.value).splitlines()
    assert len(caught.value.violations) == MAX_SHOWN + 7
    assert len(lines) == 1 + MAX_SHOWN + 1
    assert "line 3, column 12 dicom.fields[0].name UNKNOWN_KEYWORD: " in lines[1]
    assert lines[1].endswith("Did you mean 'PatientName'?")
    assert lines[-1] == "... and 7 more"


@pytest.mark.parametrize(
    "value", ["9" * 500_000, "1e" + "9" * 500_000, "-" + "1" * 500_000], ids=["9", "e", "-"]
)
@pytest.mark.parametrize("key", ["date-increment", "hash-digits", "jitter-range", "datetime-min"])
def test_endless_numbers(key: str, value: str) -> None:
    """A number of half a megabyte is refused without being read as one."""
    assert len(codes(f"dicom:\n  {key}: {value}\n  fields: []\n")) == 1
