"""Regular expressions that cannot hold a worker."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profile_service.language import check_profile
from profile_service.language.model import PatternTimeoutError
from profile_service.language.patterns import (
    MAX_PATTERN_CHARACTERS,
    MAX_TEXT_CHARACTERS,
    MAX_TOTAL_WEIGHT,
    PatternCompiler,
    PatternError,
    match_anywhere,
)


def refused(source: str, compiler: PatternCompiler | None = None) -> str:
    """The code with which a pattern is refused; empty where it is not."""
    try:
        (compiler or PatternCompiler()).compile(source)
    except PatternError as error:
        return error.code.name
    return ""


def test_groups() -> None:
    """A match gives the named groups, with None for those that took no part."""
    pattern = PatternCompiler().compile(r"(?P<site>\w+)-(?P<number>\d+)?(?P<rest>x)?")

    assert pattern.match("A-1 and more") == {"site": "A", "number": "1", "rest": None}
    assert frozenset({"site", "number", "rest"}) == pattern.group_names


def test_matches_from_the_start_and_not_to_the_end() -> None:
    """A pattern is matched from the start of the text, not necessarily to its end."""
    pattern = PatternCompiler().compile("Patient")

    assert pattern.match("PatientName") == {}
    assert pattern.match("ReferencedPatientSequence") is None


@pytest.mark.parametrize(
    ("source", "text", "matches"),
    [
        ("Patient(?!Name)", "PatientID", True),
        ("Patient(?!Name)", "PatientName", False),
        (".*(?<!Study)InstanceUID", "SeriesInstanceUID", True),
        (".*(?<!Study)InstanceUID", "StudyInstanceUID", False),
        (r"(?i)patientid\Z", "PatientID", True),
        (r"(?P<a>.)(?P=a)", "xx", True),
        ("(?>a+)b", "aab", True),
        ("a{2}", "aa", True),
        ("[]x]", "]", True),
    ],
)
def test_python_syntax(source: str, text: str, matches: bool) -> None:
    """Python's syntax is understood, look-around included, and means the same."""
    pattern = PatternCompiler().compile(source)

    assert matches == (pattern.match(text) is not None)
    assert matches == (re.match(source, text) is not None)


@pytest.mark.parametrize("source", [r"(a|aa)+$", r"(.*a){20}$", r"(a|a?)+$"])
def test_catastrophic_match_is_stopped(source: str) -> None:
    """A match that would take years is stopped."""
    pattern = PatternCompiler().compile(source)

    with pytest.raises(PatternTimeoutError):
        pattern.match("a" * 5000 + "!")


@pytest.mark.parametrize("source", ["(a|aa)+$", "(?x)(a|aa) +$", "(?i)(?x:(a|aa) # one\n +$)"])
def test_catastrophic_match_on_a_short_text_is_stopped(source: str) -> None:
    """However a repeated group is written, it is watched where the text is short, too."""
    pattern = PatternCompiler().compile(source)

    with pytest.raises(PatternTimeoutError):
        pattern.match("a" * 60 + "!")


@pytest.mark.parametrize(
    ("source", "length"),
    [
        (".*Name", 64),
        ("50[0-9A-F]{2}0010", 64),
        ("(?i)patient(name|id|birthdate)", 128),
        ("(a+)+$", 0),
        ("(a|aa){30}$", 0),
        ("(?x)(a|aa) +$", 0),
        ("(?i)(?x:(a+) # comment\n +b)", 0),
        ("(a+)(?#comment)+$", 0),
        (".*" * 40 + "x", 0),
    ],
)
def test_only_what_cannot_take_long_is_not_watched(source: str, length: int) -> None:
    """Short texts of patterns without repeated groups are matched without a clock."""
    pattern = PatternCompiler().compile(source)

    assert (length == 0) == (pattern.unwatched_characters == 0)
    assert length <= pattern.unwatched_characters


def test_text_that_is_too_long_is_not_matched() -> None:
    """A text beyond the bound is not matched: its author learns so, and no worker is held."""
    pattern = PatternCompiler().compile("a*")

    assert pattern.match("a" * MAX_TEXT_CHARACTERS) is not None
    with pytest.raises(PatternTimeoutError):
        pattern.match("a" * (MAX_TEXT_CHARACTERS + 1))


@pytest.mark.parametrize(
    "source",
    [
        "((((((((a){9}){9}){9}){9}){9}){9}){9}){9}",
        "(?:" * 40 + "a" + ")+" * 40,
        "(?:" * 30 + "a" + "){1,1000}" * 30,
        "(?:ab){99999999999999999999}",
        "(" * 1000 + ")" * 1000,
        "a" * (MAX_PATTERN_CHARACTERS + 1),
        "(?i)" + "[\u0100-\uffff]" * 200,
    ],
)
def test_pattern_that_is_too_much_to_compile_is_refused(source: str) -> None:
    """A pattern that would take long to compile is refused before it is compiled."""
    assert refused(source) == "REGEX_UNGUARDED"


def test_patterns_of_a_profile_are_bounded_together() -> None:
    """However many patterns there are, the work to compile them is bounded."""
    compiler = PatternCompiler()
    sources = [f"{number:03}" + "a" * 400 for number in range(200)]

    answers = [refused(source, compiler) for source in sources]

    fitting = answers.count("")
    assert {"", "REGEX_UNGUARDED"} == set(answers)
    assert MAX_TOTAL_WEIGHT // 500 < fitting < MAX_TOTAL_WEIGHT // 400


def test_same_pattern_is_compiled_once() -> None:
    """A pattern that comes again costs nothing."""
    compiler = PatternCompiler()

    assert compiler.compile("Patient.*") is compiler.compile("Patient.*")


@pytest.mark.parametrize(
    "source", ["(?:foo){e<=1}", "a{,}", "[[:alpha:]]", "[a||b]", "[a~~b]", "[--a]", "a{1,2"]
)
def test_pattern_with_two_meanings_is_refused(source: str) -> None:
    """A pattern that regex modules read differently is refused."""
    assert refused(source) == "REGEX_AMBIGUOUS"


@given(st.text("ab(){}[]|*+?\\^$.,09-&~:<=!P>iN", max_size=30))
def test_any_pattern(source: str) -> None:
    """Any pattern compiles in both modules, which agree on what it matches, or is refused."""
    try:
        pattern = PatternCompiler().compile(source)
    except PatternError:
        return
    for text in ("", "a", "b", "aab(", "{0}", "[a-b]"):
        try:
            found = pattern.match(text)
        except PatternTimeoutError:
            continue
        reference = re.match(source, text)
        assert (None if reference is None else reference.groupdict()) == found


@pytest.mark.parametrize(
    ("source", "anywhere"),
    [("Date", ".*Date"), ("Date|Time", ".*(?:Date|Time)"), ("(?i)date", "(?i).*date")],
)
def test_match_anywhere(source: str, anywhere: str) -> None:
    """A pattern is rewritten so that it matches anywhere, and still compiles."""
    assert anywhere == match_anywhere(source)
    assert re.match(anywhere, "StudyDate") is not None


def test_validation_is_not_held() -> None:
    """A profile of catastrophic patterns is answered: none of them is tried for long."""
    rules = "".join(f"    - regex: '(.*.*)*(.*)*Q{n}$'\n      remove: true\n" for n in range(50))

    assert check_profile("dicom:\n  fields:\n" + rules).profile is not None
