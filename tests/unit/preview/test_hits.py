"""What `explain --on` says a rule is about is what the engine acts on."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pydicom import data

from deid_service.engine import DicomError, deidentify
from deid_service.preview.changes import sequences_around
from deid_service.preview.elements import elements
from deid_service.preview.hits import hits
from profile_service.language import ProfileInvalid, parse_profile
from profile_service.language.model import (
    Clean,
    Dummy,
    IncrementDate,
    Keep,
    KeyedShift,
    KeyedUid,
    ReplaceWith,
)
from tests import golden
from tests.support.engine.files import DICOM_FILES, name_of
from tests.support.engine.keys import compiled_with_keys

if TYPE_CHECKING:
    from deid_service.preview.elements import Shown
    from profile_service.language.model import Profile, Rule

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
    "name: 60xxxxxx",
    "name: 0010xxxx",
    "name: '**.PatientName'",
    "name: '**.ReferencedSOPInstanceUID'",
    'name: (0009, "GEMS_IDEN_01", *)',
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
    new = elements(deidentify(before, compiled_with_keys(profile)))

    told = {shown.steps for shown in hits(profile.rules[0], profile, old.values())}

    # What is in a sequence that went, went with it.
    outermost = {steps for steps in told if told.isdisjoint(sequences_around(steps))}
    gone = old.keys() - new.keys()
    assert outermost == {steps for steps in gone if gone.isdisjoint(sequences_around(steps))}


def test_each_selector_hits_something() -> None:
    """The comparison above has something to compare for each selector."""
    found = [shown for file in FILES for shown in elements((FOLDER / file).read_bytes()).values()]
    for selector in SELECTORS:
        profile = parse_profile(f"dicom:\n  fields:\n    - {selector}\n      remove: true\n")
        assert hits(profile.rules[0], profile, found), selector


def test_what_changes_values_is_about_no_sequence() -> None:
    """A regex rule that changes values passes over sequences."""
    profile = parse_profile("dicom:\n  fields:\n    - {regex: Content, hash: true}\n")
    found = elements((FOLDER / "reportsi.dcm").read_bytes()).values()

    hit = hits(profile.rules[0], profile, found)

    assert "ContentDate" in {shown.path for shown in hit}
    assert "SQ" not in {shown.vr for shown in hit}


def test_what_empties_is_about_sequences_too() -> None:
    """A regex rule that empties what it matches leaves a sequence without items, and says so."""
    profile = parse_profile("dicom:\n  fields:\n    - {regex: Content, replace-with: ''}\n")
    before = (FOLDER / "reportsi.dcm").read_bytes()

    hit = {shown.path for shown in hits(profile.rules[0], profile, elements(before).values())}
    after = {
        shown.path: shown.text
        for shown in elements(deidentify(before, compiled_with_keys(profile))).values()
    }

    assert {"ContentDate", "ContentSequence"} <= hit
    assert after["ContentSequence"] == "0 items"


def _profiles() -> dict[str, Profile]:
    """Returns the valid profiles at hand that act on files."""
    folder = Path(golden.__file__).parent
    found = {}
    for path in sorted([*folder.glob("corpus/*.yaml"), *folder.glob("profiles/*.yaml")]):
        with suppress(ProfileInvalid, UnicodeDecodeError):
            profile = parse_profile(path.read_text(encoding="utf-8"))
            # What settings remove, and what the base does, is not said of a rule.
            settings = replace(
                profile.settings,
                remove_private_tags=False,
                remove_undefined=False,
                age_from_birthdate=None,
            )
            if profile.rules:
                found[path.stem] = replace(profile, settings=settings, base=None)
    return found


GOLDEN = _profiles()

# Larger files say nothing that smaller ones do not, and take longer.
MAX_BYTES = 50_000

# Each file meets every eighth profile, another eighth from file to file.
SHARE = 8
FILES_AND_TURNS = [
    pytest.param(path, number % SHARE, id=name_of(path))
    for number, path in enumerate(DICOM_FILES)
    if path.stat().st_size < MAX_BYTES
]

# Written whatever the rules say: the length of the file meta, the instance, the writer.
WRITTEN = {0x00020000, 0x00020003, 0x00020012, 0x00020013}

# Where the records of a directory begin (PS3.3 F.3).
OFFSETS_GROUP = 0x0004


@pytest.mark.parametrize(("path", "turn"), FILES_AND_TURNS)
def test_hits_are_what_the_engine_changes(path: Path, turn: int) -> None:
    """With the profiles at hand, what is said of a file is what becomes of it."""
    before = path.read_bytes()
    try:
        old = elements(before)
    except ValueError:
        assert_no_dicom(before)
        return
    for name, profile in list(GOLDEN.items())[turn::SHARE]:
        try:
            new = elements(deidentify(before, compiled_with_keys(profile)))
        except DicomError:
            continue
        said = {
            shown.steps: rule
            for rule in profile.rules
            if not isinstance(rule.action, Keep)
            for shown in hits(rule, profile, old.values())
        }
        for steps, shown in old.items():
            if _follows(shown) or any(
                way in said or way not in new for way in sequences_around(steps)
            ):
                continue
            is_changed = steps not in new or new[steps].content != shown.content
            may_stay = steps in said and _may_stay(said[steps], shown)
            assert is_changed == (steps in said) or may_stay, (name, shown.path)


def assert_no_dicom(data: bytes) -> None:
    """What pydicom cannot read, the engine refuses."""
    with pytest.raises(DicomError):
        deidentify(data, compiled_with_keys(GOLDEN["actions_simple"]))


def _follows(shown: Shown) -> bool:
    """Whether an element is written by what becomes of others."""
    tag = shown.steps[-1].tag
    return tag in WRITTEN or tag >> 16 == OFFSETS_GROUP or not tag & 0xFFFF


def _may_stay(rule: Rule, shown: Shown) -> bool:
    """Whether a rule that acts on an element can leave it what it was."""
    action = rule.action
    match action:
        case IncrementDate():
            is_same = not action.shift.days
        case ReplaceWith():
            is_same = action.text == shown.content
        case Dummy() | Clean():
            # It may have been one, or harmless.
            is_same = True
        case KeyedShift():
            is_same = shown.vr == "TM"
        case KeyedUid():
            is_same = str(shown.content).startswith("1.2.840.10008.")
        case _:
            is_same = False
    return not shown.content or is_same
