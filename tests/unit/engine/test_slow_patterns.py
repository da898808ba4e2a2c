"""Regular expressions that take too long reject the file, and hold no worker."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from time import thread_time

import pytest
from pydicom.data import get_testdata_file

from deid_service.engine import (
    Deidentifier,
    DicomError,
    Plan,
    Reason,
    compile_plan,
    deidentify,
)
from deid_service.engine.limits import MAX_MATCHING_SECONDS, MAX_MATCHING_SECONDS_OF_ELEMENT
from deid_service.engine.rules import budget as budget_module
from deid_service.engine.rules.budget import Budget, begin_element, match, spend_from
from profile_service.language import parse_profile
from profile_service.language.model import PatternTimeoutError, RegexSub
from profile_service.language.patterns import PatternCompiler
from tests.support.engine.build import dicom, el

# Takes time that grows by half with every character of a path or a value. The names
# and the value below have some forty.
_SLOW = "(.|..)+(?<=[!])$"

_PROFILES = {
    "selector": f"""
dicom:
  fields:
    - {{regex: '{_SLOW}', remove: true}}
    - {{name: ReferringPhysicianIdentificationSequence, replace-with: ''}}
""",
    "regex-sub": f"""
dicom:
  fields:
    - name: SOPInstanceUID
      regex-sub: [{{input-regex: '{_SLOW}', output: '1.2'}}]
""",
}


@pytest.mark.parametrize("name", _PROFILES)
def test_a_pattern_without_an_end_rejects_the_file(name: str) -> None:
    """A profile with such a pattern compiles; each file is rejected, with the reason."""
    plan = compile_plan(parse_profile(_PROFILES[name]))
    data = Path(str(get_testdata_file("CT_small.dcm"))).read_bytes()

    for _ in range(2):
        with pytest.raises(DicomError) as raised:
            deidentify(data, plan)
        assert raised.value.reason is Reason.LIMIT_EXCEEDED


class _Laborious:
    """A pattern whose every match takes some milliseconds of work."""

    source = "laborious"
    group_names: frozenset[str] = frozenset()

    def __init__(self, seconds: float, most: float = math.inf) -> None:
        self.matches = 0
        self._seconds = seconds
        self._most = most

    def most_seconds(self, text: str) -> float:  # noqa: ARG002
        """As long as it works."""
        return self._most

    def match(self, text: str) -> dict[str, str | None] | None:
        """Works."""
        self.matches += 1
        started = thread_time()
        while thread_time() - started < self._seconds:
            text = text[::-1]
        return {}


@pytest.mark.parametrize("seconds", [0.001, 0.02])
@pytest.mark.parametrize(
    ("per_element", "limit"),
    [(1, MAX_MATCHING_SECONDS), (1_000_000, MAX_MATCHING_SECONDS_OF_ELEMENT)],
)
def test_matches_add_up(seconds: float, per_element: int, limit: float) -> None:
    """Matches, however short, end at the bound for an element, or at that for a file."""
    pattern = _Laborious(seconds)
    spend_from(Budget())

    with pytest.raises(PatternTimeoutError):
        _match_often(pattern, per_element)

    assert limit * 0.5 < pattern.matches * seconds < limit * 1.1 + 2 * seconds


def _match_often(pattern: _Laborious, per_element: int) -> None:
    for number in range(10_000):
        if number % per_element == 0:
            begin_element()
        match(pattern, "text")


def test_what_a_match_cannot_have_taken_is_not_counted() -> None:
    """A machine that stands still during a short match rejects no file."""
    spend_from(budget := Budget())
    begin_element()

    match(_Laborious(MAX_MATCHING_SECONDS_OF_ELEMENT * 2, most=0.01), "text")

    assert match(PatternCompiler().compile("text"), "text") == {}
    assert 0 < budget.seconds < MAX_MATCHING_SECONDS_OF_ELEMENT / 2


def test_ordinary_matches_do_not_add_up() -> None:
    """A file may have any number of values that are matched in microseconds."""
    pattern = PatternCompiler().compile(r".*(?P<all>InstanceUID)")
    spend_from(budget := Budget())
    started = thread_time()

    for _ in range(20_000):
        begin_element()
        match(pattern, "ReferencedStudySequence.0.ReferencedSOPInstanceUID")

    assert budget.seconds < (thread_time() - started) / 2


def _laborious_plan() -> Plan:
    """Returns a plan that takes two milliseconds for every value of two elements."""
    rules = "".join(
        f"  - name: {name}\n    regex-sub: [{{input-regex: '.*', output: X}}]\n"
        for name in ("OtherPatientIDs", "OtherPatientNames")
    )
    profile = parse_profile(f"dicom:\n  fields:\n{rules}")
    slow = []
    for rule in profile.rules:
        assert isinstance(rule.action, RegexSub)
        case = replace(rule.action.cases[0], pattern=_Laborious(0.002))
        slow.append(replace(rule, action=RegexSub((case,))))
    return compile_plan(replace(profile, rules=tuple(slow)))


def test_each_file_has_its_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What matches took for a file is held against it, and against no file between."""
    monkeypatch.setattr(budget_module, "MAX_MATCHING_SECONDS", 0.045)
    plan = _laborious_plan()
    values = "\\".join("A" * 16)
    data = dicom(
        el("SOPInstanceUID", "1.2.3"),
        el("OtherPatientIDs", values),
        el("OtherPatientNames", values),
    )
    middle = data.index(b"\x10\0\x01\x10PN")
    first, second = Deidentifier(plan), Deidentifier(plan)
    first.receive(data[:middle])
    second.receive(data[:middle])

    with pytest.raises(DicomError) as raised:
        first.receive(data[middle:])

    assert raised.value.reason is Reason.LIMIT_EXCEEDED
    assert deidentify(data[:middle], plan)
    assert second.finish().actions == {"regex-sub": 1}
