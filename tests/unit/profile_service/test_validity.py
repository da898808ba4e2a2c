"""Whether a text is valid on a kind of container."""

from __future__ import annotations

import pytest

from profile_service.hierarchy import Kind
from profile_service.language import VALIDATOR_VERSION
from profile_service.validity import decide, is_outdated

BLANK = "dicom:\n  fields: []\n"
REAL = "dicom:\n  fields:\n  - {name: PatientName, remove: true}\n"


@pytest.mark.parametrize("kind", [Kind.PROJECT, Kind.DEVICE, None])
def test_a_blank_profile_is_valid_on_projects_and_devices(kind: Kind | None) -> None:
    """There it means: do not de-identify; its author is warned."""
    decision = decide(BLANK, kind)
    assert (decision.valid, decision.blank) == (True, True)
    assert [warning.code for warning in decision.warnings] == ["BLANK_PROFILE"]


@pytest.mark.parametrize("kind", [Kind.GROUP, Kind.SITE])
def test_a_blank_profile_is_a_violation_above_projects(kind: Kind) -> None:
    """On a group or site it would switch de-identification off for everything below."""
    decision = decide(BLANK, kind)
    assert (decision.valid, decision.blank) == (False, True)
    found = [(each.code, each.path, each.line, each.column) for each in decision.violations]
    assert found == [("BLANK_PROFILE_HERE", "dicom.fields", 2, 3)]
    assert decision.warnings == ()


@pytest.mark.parametrize("kind", list(Kind))
def test_other_profiles_are_valid_everywhere(kind: Kind) -> None:
    """A profile that does something can be attached to every kind of container."""
    decision = decide(REAL, kind)
    assert (decision.valid, decision.blank, decision.violations) == (True, False, ())


@pytest.mark.parametrize("text", ["", "dicom:\n", "name: x\n", "dicom: {fields: [}\n"])
def test_an_empty_profile_is_never_blank(text: str) -> None:
    """What says nothing about DICOM is invalid, on every kind of container."""
    decision = decide(text, Kind.PROJECT)
    assert (decision.valid, decision.blank) == (False, False)


@pytest.mark.parametrize(
    ("version", "outdated"), [("0", True), ("0.9.10", True), (VALIDATOR_VERSION, False)]
)
def test_a_newer_validator_decides_again(version: str, *, outdated: bool) -> None:
    """A decision of an older validator is outdated, one of this version is not."""
    assert is_outdated(decide(REAL, None)._replace(validator_version=version)) is outdated


def test_what_a_newer_build_decided_stands() -> None:
    """Replicas of two builds side by side do not overrule each other."""
    newer = str(int(VALIDATOR_VERSION.split(".")[0]) + 1)
    assert not is_outdated(decide(REAL, None)._replace(validator_version=newer))
