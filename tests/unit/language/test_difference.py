"""What two profiles treat differently."""

from __future__ import annotations

import pytest

from profile_service.language import check_profile
from profile_service.language import difference as module
from profile_service.language.difference import Difference, difference
from profile_service.language.model import PatternTimeoutError, Profile

REMOVED = "is removed"


def profile(fields: str, settings: str = "", after: str = "") -> Profile:
    """Returns the profile with some rules and settings."""
    text = f"dicom:\n  date-increment: 1\n  {settings}\n  fields: [{fields}]\n{after}"
    checked = check_profile(text)
    assert checked.profile is not None, checked.violations
    return checked.profile


SAME = {
    "order": ("{name: PatientID, remove: true}, {name: PatientAge, remove: true}",
              "{name: PatientAge, remove: true}, {name: PatientID, remove: true}"),
    "spelling": ("{name: PatientID, remove: true}", "{name: '(0010,0020)', remove: true}"),
    "what changes nothing": ("{name: PatientID, remove: true}",
                             "{name: PatientID, remove: true}, {name: Modality, keep: true}"),
}  # fmt: skip


@pytest.mark.parametrize("what", SAME)
def test_what_means_the_same_is_no_difference(what: str) -> None:
    """How a rule is written, and in which order, does not count where it changes nothing."""
    before, after = (profile(fields) for fields in SAME[what])
    assert difference(before, after) == []


def test_elements_that_are_treated_alike_stand_together() -> None:
    """Elements are named once for what became of them before and becomes of them now."""
    names = ("PatientID", "PatientName")
    before = profile(", ".join(f"{{name: {name}, remove: true}}" for name in (*names, "Modality")))
    after = profile(", ".join(f"{{name: {name}, replace-with: ''}}" for name in names))
    absent = "is emptied, and inserted where it is absent"
    assert difference(before, after) == [
        Difference(("Modality",), module.TOP, REMOVED, "stays"),
        Difference(("PatientName", "PatientID"), module.TOP, REMOVED, absent),
    ]


def test_the_depth_counts() -> None:
    """At the top level and in items are told apart, and together where it is the same."""
    top = profile("{name: PatientID, remove: true}")
    every = profile("{name: '**.PatientID', remove: true}")
    nowhere = profile("{name: Modality, remove: true}")
    assert difference(top, every) == [
        Difference(("PatientID",), module.ITEMS, "stays", REMOVED),
    ]
    recursing = profile("{name: PatientID, remove: true}", "recurse-sequence: true")
    assert difference(every, recursing) == []
    assert Difference(("PatientID",), module.EVERYWHERE, REMOVED, "stays") in difference(
        every, nowhere
    )


def test_patterns_and_kinds_of_values_are_told_by_their_elements() -> None:
    """What a pattern or a VR selects is told for each element of the dictionary."""
    named = profile("{name: '**.PatientBirthTime', remove: true}")
    by_pattern = profile("{regex: '(.*\\.)?PatientBirthTime', remove: true}")
    assert [each.where for each in difference(named, by_pattern)] == [module.UNKNOWN]
    found = difference(profile("{name: Modality, remove: true}"), profile("{vr: TM, remove: true}"))
    times = next(each.elements for each in found if each.after == REMOVED and each.where)
    assert "StudyTime" in times
    assert "StudyDate" not in times


def test_what_is_named_in_one_place_is_told() -> None:
    """Private elements, and those in one sequence, are told as they are described."""
    before = profile("{name: Modality, remove: true}")
    after = profile(
        "{name: Modality, remove: true},"
        "{name: 'RequestAttributesSequence.0.ScheduledProcedureStepID', replace-with: ''},"
        "{name: '(0029, \"SIEMENS CSA HEADER\", 10)', remove: true}"
    )
    found = {each.elements[0]: (each.before, each.after) for each in difference(before, after)}
    assert len(found) == 2
    private = next(said for named, said in found.items() if "SIEMENS CSA HEADER" in named)
    assert private == ("stays", REMOVED)


def test_settings_are_told_and_a_salt_is_not() -> None:
    """A setting is told with its values; of a salt, that it is another one."""
    before = profile("{name: PatientID, hash: true}", "salt: first-secret-salt")
    after = profile(
        "{name: PatientID, hash: true}", "salt: second-secret-salt\n  remove-private-tags: true"
    )
    found = difference(before, after)
    assert Difference(("the setting salt",), "", "has a value", "has another value") in found
    assert Difference(("the setting remove-private-tags",), "", "False", "True") in found
    assert "secret" not in str(found)


def test_earlier_files_are_told() -> None:
    """That texts are searched for what earlier files show is told as the setting that it is."""
    base = "base: ps3.15-2026c-basic\n  provenance: false"

    found = difference(profile("", base), profile("", f"{base}\n  earlier-files: true"))

    assert found == [Difference(("the setting earlier-files",), "", "False", "True")]


def test_everything_else_can_go() -> None:
    """What no rule names is told by its elements, too."""
    before = profile("{name: PatientID, keep: true}, {name: Modality, remove: true}")
    after = profile(
        "{name: PatientID, keep: true}, {name: Modality, remove: true}", "remove-undefined: true"
    )
    (everywhere, *rest) = difference(before, after)
    assert (everywhere.before, everywhere.after) == ("stays", REMOVED)
    assert len(everywhere.elements) > 4000
    assert "PatientID" not in everywhere.elements
    assert {each.where for each in rest} <= {module.ITEMS, module.TOP}


def test_a_first_profile_is_compared_with_none() -> None:
    """Without a profile everything stays."""
    found = difference(None, profile("{name: PatientID, remove: true}"))
    assert Difference(("PatientID",), module.TOP, "stays", REMOVED) in found


def test_patterns_that_take_long_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is a bound on the time of all patterns together."""
    monkeypatch.setattr(module, "SECONDS", 0.0)
    with pytest.raises(PatternTimeoutError):
        difference(None, profile("{regex: '.*Name', remove: true}"))
