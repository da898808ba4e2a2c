"""What `explain --on` says a rule is about is what the engine acts on."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import data

from deid_service.cli.elements import elements
from deid_service.cli.hits import is_hit
from deid_service.cli.preview import sequences_around
from deid_service.engine import compile_plan, deidentify
from profile_service.language import parse_profile

FOLDER = Path(data.__file__).parent / "test_files"

# Recursion goes with selectors that name one element.
RECURSING = [
    "name: PatientName",
    "name: ReferencedSOPInstanceUID",
    "name: 0040a730",
    'name: (0009, "GEMS_IDEN_01", 02)',
]
SELECTORS = [
    "name: PatientName",
    "name: 00100020",
    "name: BeamSequence",
    'name: (0009, "GEMS_IDEN_01", 02)',
    "name: (60xx, 3000)",
    "name: RTROIObservationsSequence.0.ObservationNumber",
    "name: BeamSequence.*.ControlPointSequence.0.GantryAngle",
    "name: ContentSequence.*.RelationshipType",
    "regex: .*Date$",
    "regex: ContentSequence",
    "regex: 0040a730.0",
    "regex: (?!Patient).*Name",
]
FILES = ["CT_small.dcm", "reportsi.dcm", "rtplan.dcm", "rtstruct.dcm", "examples_overlay.dcm"]


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize(
    ("selector", "recurse"),
    [*((each, False) for each in SELECTORS), *((each, True) for each in RECURSING)],
)
def test_hits_are_what_the_engine_removes(file: str, selector: str, recurse: bool) -> None:
    """The elements that a `remove` rule is about are those that the engine removes."""
    profile = parse_profile(
        f"dicom:\n  recurse-sequence: {str(recurse).lower()}\n"
        f"  fields:\n    - {selector}\n      remove: true\n"
    )
    before = (FOLDER / file).read_bytes()
    old = elements(before)
    new = elements(deidentify(before, compile_plan(profile)))

    told = {
        steps for steps, shown in old.items() if is_hit(profile.rules[0], shown, recurse=recurse)
    }

    # What is in a sequence that went, went with it.
    outermost = {steps for steps in told if told.isdisjoint(sequences_around(steps))}
    gone = old.keys() - new.keys()
    assert outermost == {steps for steps in gone if gone.isdisjoint(sequences_around(steps))}


def test_each_selector_hits_something() -> None:
    """The comparison above has something to compare for each selector."""
    found = [shown for file in FILES for shown in elements((FOLDER / file).read_bytes()).values()]
    for selector in SELECTORS:
        rule = parse_profile(f"dicom:\n  fields:\n    - {selector}\n      remove: true\n").rules[0]
        assert any(is_hit(rule, shown, recurse=False) for shown in found), selector


def test_value_rules_pass_over_sequences() -> None:
    """A regex rule that changes values is about no sequence."""
    profile = parse_profile("dicom:\n  fields:\n    - {regex: Content, replace-with: ''}\n")
    found = elements((FOLDER / "reportsi.dcm").read_bytes()).values()

    hit = [shown for shown in found if is_hit(profile.rules[0], shown, recurse=False)]

    assert "ContentDate" in {shown.path for shown in hit}
    assert "SQ" not in {shown.vr for shown in hit}
