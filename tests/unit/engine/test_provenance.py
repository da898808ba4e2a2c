"""Files say what was done to them where a profile asks for it, and only what is true."""

from __future__ import annotations

from hashlib import sha256
from io import BytesIO

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

from deid_service.engine import compile_plan
from profile_service.language import check_profile, parse_profile
from tests.support.engine.every_way import every_way

TREATED = "    - {regex: '.*Patient', replace-with: ''}\n"
CT = str(get_testdata_file("CT_small.dcm"))


def profile(rules: str = "", settings: str = "", name: str = "lungs") -> str:
    """Returns the text of a profile that has what it does written into files."""
    return f"name: '{name}'\ndicom:\n  provenance: true\n{settings}  fields:\n{TREATED}{rules}"


def output(text: str, data: bytes) -> Dataset:
    """De-identifies a file in every way."""
    outcome = every_way(data, compile_plan(parse_profile(text)), byte_by_byte=False)
    assert outcome.error is None
    return pydicom.dcmread(BytesIO(outcome.output))


def ct(**values: object) -> bytes:
    """Returns a CT image with further elements."""
    dataset = pydicom.dcmread(CT)
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    written = BytesIO()
    dataset.save_as(written)
    return written.getvalue()


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("lungs", ["lungs"]),
        ("Lunge \\ Straße", ["Lunge / Strae"]),
        ("", []),
        ("x" * 70, ["x" * 64]),
    ],
)
def test_method(name: str, method: list[str]) -> None:
    """Files name the program, the profile, and the digest that its versions have."""
    text = profile(name=name)

    found = output(text, ct(DeidentificationMethod="before", SpecificCharacterSet="ISO_IR 100"))

    assert found.PatientIdentityRemoved == "YES"
    digest = sha256(text.encode()).hexdigest()
    assert list(found.DeidentificationMethod) == [*method, digest, "deid-cascade"]


@pytest.mark.parametrize(
    ("rules", "settings", "dates"),
    [
        ("", "", "UNMODIFIED"),
        ("    - {regex: '.*Date', replace-with: ''}\n", "", "REMOVED"),
        ("    - {name: StudyDate, replace-with: ''}\n", "", "MODIFIED"),
        ("    - {name: StudyDate, increment-date: true}\n", "  date-increment: -3\n", "MODIFIED"),
        ("    - {name: Rows}\n", "  remove-undefined: true\n", "REMOVED"),
        ("    - {name: 0008xxxx}\n", "  remove-undefined: true\n", "MODIFIED"),
    ],
)
def test_dates(rules: str, settings: str, dates: str) -> None:
    """Files say whether their dates are as they were, or others, or gone."""
    found = output(profile(rules, settings), ct())

    assert found.LongitudinalTemporalInformationModified == dates


def test_top_level_only() -> None:
    """It is said once, whatever the depth that rules apply at."""
    item = Dataset()
    item.StudyDate = "20200101"

    found = output(
        profile(settings="  recurse-sequence: true\n"), ct(ReferencedStudySequence=[item])
    )

    assert "PatientIdentityRemoved" in found
    assert "PatientIdentityRemoved" not in found.ReferencedStudySequence[0]


@pytest.mark.parametrize("switch", ["false", "no"])
def test_switched_off(switch: str) -> None:
    """Nothing is written where it is not asked for."""
    text = profile().replace("provenance: true", f"provenance: {switch}")

    assert "PatientIdentityRemoved" not in output(text, ct())


@pytest.mark.parametrize(
    "rule",
    ["{name: StudyDate, replace-with: ''}", "{name: PatientID, remove: true}", "{name: Rows}"],
)
def test_what_is_not_true_is_not_said(rule: str) -> None:
    """A profile that leaves the name of the patient cannot say that it was removed."""
    checked = check_profile(f"dicom:\n  provenance: true\n  fields:\n    - {rule}\n")

    assert [violation.code for violation in checked.violations] == ["PROVENANCE_UNTRUE"]


@pytest.mark.parametrize("said", ["YES", "NO", "", None])
@pytest.mark.parametrize(
    "text",
    [
        profile(settings="  remove-private-tags: true\n"),
        "dicom: {base: ps3.15-2026c-basic}\n",
        "dicom: {base: ps3.15-2026c-basic, options: [clean-descriptors, clean-graphics]}\n",
    ],
    ids=["provenance", "base", "options"],
)
def test_burned_in_annotation(text: str, said: str | None) -> None:
    """What a file says of names in its pixels is still said, and nothing is where it is silent."""
    item = Dataset()
    values: dict[str, object] = {"ReferencedImageSequence": [item]}
    if said is not None:
        item.BurnedInAnnotation = values["BurnedInAnnotation"] = said

    found = output(text, ct(**values))

    inside = found.get("ReferencedImageSequence") or [Dataset()]
    assert found.get("BurnedInAnnotation") == said
    assert inside[0].get("BurnedInAnnotation") == said
    assert found.PixelData == pydicom.dcmread(CT).PixelData
