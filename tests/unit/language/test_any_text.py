"""Any text and any bytes get an answer."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from profile_service.language import ProfileInvalid, check_profile, parse_profile
from profile_service.language.actions import OPTIONS
from profile_service.language.codes import Code, Severity
from profile_service.language.document import split_lines
from profile_service.language.explain import explain
from profile_service.language.report import render
from profile_service.language.settings import KNOWN_KEYS
from tests.golden import CORPUS, PROFILES

TEXTS = [
    path.read_bytes()
    for folder in (PROFILES, CORPUS)
    for path in sorted(folder.glob("*.yaml"))
    if path.stat().st_size < 5000
]

# What YAML and the language have a meaning for, to be put where it does not belong.
PIECES = [
    *sorted(KNOWN_KEYS),
    *OPTIONS,
    *("name", "regex", "groups", "output", "input-regex", "dicom", "true", "null", "~", "00100020"),
    *(
        "{",
        "}",
        "[",
        "]",
        ": ",
        "- ",
        "\n",
        "\n  ",
        "\t",
        "#",
        '"',
        "'",
        "|",
        ">",
        "&a ",
        "*a",
        "!",
    ),
    *("<<: ", "---", "...", "%", "?", ",", "\\", "\x00", "\ufeff", "\ud800", "\u2028", "é", "𝄞"),
    *("PatientName", "(0009, 'X', 02)", "60xx3000", "A.*.B", "{x}", "1e999", "-1", "(a+)+"),
]


def check(source: str | bytes) -> None:
    """Checks all that holds for every answer."""
    checked = check_profile(source)

    assert (checked.profile is None) == bool(checked.violations)
    text = source if isinstance(source, str) else source.decode(errors="replace")
    lines = split_lines(text)
    for problem in (*checked.violations, *checked.warnings):
        assert 0 <= problem.line <= len(lines)
        assert (problem.line == 0) == (problem.column == 0)
        assert problem.message.isprintable()
        assert problem.path.isprintable()
        assert problem.suggestion.isprintable()
    severities = [Code[problem.code].severity for problem in checked.violations]
    assert all(severity is Severity.VIOLATION for severity in severities)
    severities = [Code[problem.code].severity for problem in checked.warnings]
    assert all(severity is Severity.WARNING for severity in severities)
    assert render(text, checked.violations, checked.warnings) or checked.profile is not None
    if checked.profile is None:
        with pytest.raises(ProfileInvalid) as caught:
            parse_profile(source)
        assert checked.violations == caught.value.violations
    else:
        assert checked.warnings == checked.profile.warnings
        sentences = explain(checked.profile)
        assert sentences or not checked.profile.rules
        assert all(sentence.isprintable() for sentence in sentences)


@given(st.text())
@example("---")
@example("\ud800")
@example("\ufeff")
@example("a: \ufeff")
def test_any_text(text: str) -> None:
    """Any text at all is a profile or gets violations."""
    check(text)


@given(st.binary())
@example(b'"d\\ticom": 1')
@example(b"\xff\xfed\x00")
@example(b"\xef\xbb\xbf\xff")
def test_any_bytes(source: bytes) -> None:
    """Any bytes at all are a profile or get violations."""
    check(source)


@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
def test_any_pieces(text: str) -> None:
    """Pieces of the language in any order are a profile or get violations."""
    check(text)


@given(st.data())
@settings(max_examples=300)
def test_mutated_profiles(data: st.DataObject) -> None:
    """A profile into which something was cut, copied or put is a profile or gets violations."""
    source = data.draw(st.sampled_from(TEXTS))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(source)))
        until = data.draw(st.integers(at, min(len(source), at + 40)))
        piece = data.draw(st.sampled_from(PIECES)).encode("utf-8", "surrogatepass")
        source = source[:at] + piece + source[until:]
    check(source)


VALUES = st.recursive(
    st.sampled_from([piece for piece in PIECES if piece.isprintable()]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(PIECES), inner),
    max_leaves=6,
)
RULES = st.dictionaries(
    st.sampled_from(["name", "regex", *OPTIONS, *sorted(KNOWN_KEYS)]), VALUES, max_size=4
)


@given(st.dictionaries(st.sampled_from(sorted(KNOWN_KEYS)), VALUES, max_size=5), st.lists(RULES))
def test_any_values(section: dict[str, object], rules: list[dict[str, object]]) -> None:
    """Any values under the keys of the language are a profile or get violations."""
    check(json.dumps({"dicom": {**section, "fields": rules}}))


# For each option and action values that it takes, and some that it does not.
PLAUSIBLE: dict[str, list[object]] = {
    "date-format": ["%Y", "%d.%m.%Y", "%Q"],
    "datetime-format": ["%Y%m%d%H", ""],
    "date-increment-override": [0, -1.5, "x"],
    "jitter-date": [True, False, None],
    "jitter-range": [0, 0.5, 3, "7"],
    "jitter-unit": ["days", "weeks", "years"],
    "jitter-type": ["int", "float", "x"],
    "jitter-min": [1, "x"],
    "jitter-max": [0, 5],
    "datetime-min": ["20000101", "-3weeks", "x"],
    "datetime-max": ["19990101", "+3weeks"],
    "replace-with-insert": [True, False, "x"],
}
SUBSTITUTIONS = [
    [{"input-regex": "(?P<a>x)", "output": "{a}", "groups": [{"name": "a", "hash": True}]}],
    [{"input-regex": "x", "output": "{PatientID}", "groups": [{"name": "PatientID"}]}],
    [{"input-regex": "x"}],
    [],
]


@st.composite
def plausible_rules(draw: st.DrawFn) -> dict[str, object]:
    """A rule of one action with some of its options."""
    names = ["PatientName", "StudyDate", "PatientWeight", "(0009, X, 02)", "60xx3000", "00101111"]
    rule: dict[str, object] = {"name": draw(st.sampled_from(names))}
    action = draw(st.sampled_from(sorted(OPTIONS)))
    if action == "replace-with":
        rule[action] = draw(st.sampled_from(["", "1", "20200101", ["1", "2"], None]))
    elif action == "regex-sub":
        rule[action] = draw(st.sampled_from(SUBSTITUTIONS))
    else:
        rule[action] = draw(st.sampled_from([True, True, True, False]))
    for option in sorted(OPTIONS[action] & PLAUSIBLE.keys()):
        if draw(st.booleans()):
            rule[option] = draw(st.sampled_from(PLAUSIBLE[option]))
    return rule


@given(plausible_rules(), st.sampled_from([{}, {"date-increment": 3}, {"jitter-date": True}]))
@settings(max_examples=300)
def test_no_rule_is_lost(rule: dict[str, object], section: dict[str, object]) -> None:
    """A rule that is not in the profile is a violation: none is dropped in silence."""
    checked = check_profile(json.dumps({"dicom": {**section, "fields": [rule]}}))

    assert checked.violations or (checked.profile is not None and len(checked.profile.rules) == 1)
