"""What remains although it looks identifying is found at every depth, and nothing that changed."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from pydicom import Dataset, data, dcmread

from deid_service.engine import compile_plan, deidentify
from deid_service.engine.rules.rules import Rules
from deid_service.preview.changes import differences
from deid_service.preview.elements import elements
from deid_service.preview.hits import lines_of_rules, treatments
from deid_service.preview.remaining import Why, remaining
from profile_service.language import parse_profile

FOLDER = Path(data.__file__).parent / "test_files"

PROFILE = """\
dicom:
  fields:
    - {name: PatientName, replace-with: REDACTED}
    - {name: PatientID, remove: true}
    - {regex: "Study.*UID", remove: true}
"""


def found(profile: str, **values: object) -> dict[str, Why]:
    """Returns what remains of a CT with some elements set, by path."""
    dataset = dcmread(FOLDER / "CT_small.dcm")
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    buffer = BytesIO()
    dataset.save_as(buffer)
    before = buffer.getvalue()
    after = deidentify(before, compile_plan(parse_profile(profile)))
    return {each.element.path: each.why for each in remaining(elements(before), elements(after))}


def inner(**values: object) -> Dataset:
    """Returns an item of a sequence."""
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def test_kinds_of_what_remains() -> None:
    """Names, dates, UIDs, free text, and what the standard names, stand out by what they are."""
    left = found(
        PROFILE,
        OperatorsName="Miller^Ann",
        ImageComments="looks fine",
        BurnedInAnnotation="YES",
        EncapsulatedDocument=b"%PDF",
    )

    assert left["OperatorsName"] is Why.NAME
    assert left["StudyDate"] is Why.DATE
    assert left["SeriesInstanceUID"] is Why.UID
    assert left["ImageComments"] is Why.TEXT
    assert left["InstitutionName"] is Why.STANDARD
    assert left["PixelData"] is Why.BURNED_IN
    assert left["EncapsulatedDocument"] is Why.DOCUMENT
    assert Why.PRIVATE in left.values()
    # Neither what changed or went, nor what says nothing of anybody.
    assert left.keys().isdisjoint({"PatientName", "PatientID", "StudyInstanceUID"})
    assert left.keys().isdisjoint({"SOPClassUID", "TransferSyntaxUID", "Modality", "Rows"})


@pytest.mark.parametrize("text", ["see MEIER there", "4711-0815"])
def test_a_value_that_stands_elsewhere(text: str) -> None:
    """What repeats a value that a rule changes is found wherever it stands, at every depth."""
    left = found(
        PROFILE,
        PatientName="Meier^Eva",
        PatientID="4711-0815",
        RequestAttributesSequence=[inner(ScheduledProcedureStepID=text)],
    )

    assert left["RequestAttributesSequence[0].ScheduledProcedureStepID"] is Why.COPY


def test_a_part_of_a_word_is_no_copy() -> None:
    """A name within another word is not told: it would be in too many."""
    left = found(PROFILE, PatientName="Stud^Eva", StationName="STUDIO")

    assert left["StationName"] is Why.STANDARD


def test_nothing_remains_of_a_file_of_which_all_goes() -> None:
    """Where every rule has done its work, nothing is pointed at."""
    everything = """\
dicom:
  remove-private-tags: true
  fields:
    - {regex: "(?!SOPClassUID|Rows|Columns|Bits|Pixel|High|Samples|Photo|Modality).*", remove: true}
"""
    assert found(everything) == {}


def test_what_changed_it() -> None:
    """Each change names the action, and the lines of the rules that are about the element."""
    profile = parse_profile(PROFILE)
    before = (FOLDER / "CT_small.dcm").read_bytes()
    old = elements(before)
    by, lines = treatments(Rules.of(profile), old.values()), lines_of_rules(profile, old.values())

    changed = {
        each.element.path: (by(each.element), lines.get(each.element.steps, []))
        for each in differences(old, elements(deidentify(before, compile_plan(profile))))
    }

    assert changed["PatientName"] == ("replace-with", [3])
    assert changed["PatientID"] == ("remove", [4])
    assert changed["StudyInstanceUID"] == ("remove", [5])
