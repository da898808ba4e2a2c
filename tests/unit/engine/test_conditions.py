"""Rules can be for some files only, and a profile can reject files, by what they say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deid_service.engine import compile_plan
from profile_service.language import parse_profile
from tests.support.engine.build import SYNTAXES, Part, dicom, el, sq
from tests.support.engine.every_way import every_way, run
from tests.support.engine.walk import read_file

if TYPE_CHECKING:
    from deid_service.engine import Plan
    from tests.support.engine.walk import Syntax

CT = "1.2.840.10008.5.1.4.1.1.2"
SC = "1.2.840.10008.5.1.4.1.1.7"

FILE: dict[str, str] = {
    "ImageType": "DERIVED\\SECONDARY",
    "SOPClassUID": CT,
    "Modality": "CT",
    "Manufacturer": "SIEMENS Healthineers",
    "BurnedInAnnotation": "YES",
}

# Conditions, and whether each holds for the file.
CONDITIONS = [
    ("modality: CT", True),
    ("modality: [MR, CT]", True),
    ("modality: ct", True),
    ("modality: MR", False),
    (f"sop-class: {CT}", True),
    ("sop-class: CT Image Storage", True),
    ("sop-class: [CTImageStorage, MRImageStorage]", True),
    ("sop-class: SecondaryCaptureImageStorage", False),
    ("manufacturer: siemens", True),
    ("manufacturer: [GE, Siemens Health]", True),
    ("manufacturer: Healthineers", False),
    ("image-type: SECONDARY", True),
    ("image-type: ORIGINAL", False),
    ("burned-in-annotation: YES", True),
    ("burned-in-annotation: NO", False),
    ("present: Modality", True),
    ("present: [Modality, RequestAttributesSequence]", True),
    ("present: [Modality, StudyID]", False),
    ("absent: StudyID", True),
    ("absent: PixelData", False),
    ("present: PixelData", True),
    ("modality: CT, absent: PixelData", False),
    ("modality: CT, burned-in-annotation: YES, present: Rows", True),
]


def a_file(syntax: Syntax, *, deflated: bool = False, **values: str) -> bytes:
    """Returns a file that says some things of itself."""
    said = FILE | values
    parts = [el(keyword, value) for keyword, value in said.items() if value]
    others: list[Part] = [
        el("StudyDate", "20200102"),
        el("PatientName", "DOE"),
        el("Rows", (1,)),
        sq("RequestAttributesSequence", [el("StudyID", "7")], undefined=True),
        sq("ReferencedStudySequence", [el("StudyID", "7")]),
        el("PixelData", b"\1\2\3\4", "OW"),
    ]
    tags = {id(part): part.tag for part in (*parts, *others) if not isinstance(part, bytes)}
    meta = [el(0x00020002, said["SOPClassUID"]), el(0x00020003, "1.2.3")]
    ordered = sorted([*parts, *others], key=lambda part: tags[id(part)])
    return dicom(*ordered, syntax=syntax, deflated=deflated, meta=meta)


def plan_of(text: str) -> Plan:
    """Compiles a profile of some rules."""
    return compile_plan(parse_profile(f"dicom:\n  fields:\n{text}"))


def dates(data: bytes) -> list[bytes]:
    """Returns the study date."""
    return [each.value for each in read_file(data).elements if each.tag == 0x00080020]


@pytest.mark.parametrize(("condition", "holds"), CONDITIONS)
@pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=SYNTAXES)
def test_rule(condition: str, holds: bool, syntax: Syntax) -> None:
    """A rule acts where its condition holds, also before what the condition depends on."""
    plan = plan_of(f"  - {{name: StudyDate, replace-with: '', when: {{{condition}}}}}")

    found = every_way(a_file(syntax), plan, byte_by_byte=syntax is SYNTAXES["explicit"])

    assert found.error is None
    assert dates(found.output) == [b"" if holds else b"20200102"]


@pytest.mark.parametrize(("condition", "holds"), CONDITIONS)
def test_deflated(condition: str, holds: bool) -> None:
    """The same in a deflated data set."""
    plan = plan_of(f"  - {{name: StudyDate, replace-with: '', when: {{{condition}}}}}")
    data = a_file(SYNTAXES["explicit"], deflated=True)

    found = every_way(data, plan, byte_by_byte=False)

    assert found.error is None
    assert found.actions == ((("replace-with", 1),) if holds else ())


@pytest.mark.parametrize(("condition", "holds"), CONDITIONS)
def test_rejection(condition: str, holds: bool) -> None:
    """A file is rejected where the condition holds, with the reason of the profile."""
    plan = plan_of(f"  - {{when: {{{condition}}}, reject: No such files here}}")

    found = every_way(a_file(SYNTAXES["explicit"]), plan, byte_by_byte=False)

    if holds:
        assert found.error is not None
        assert found.error[:2] == ("REJECTED_BY_PROFILE", "No such files here")
    else:
        assert found.error is None


def test_absent_elements_have_no_values() -> None:
    """What is not there is none of what a condition asks for."""
    plan = plan_of(
        "  - {name: StudyDate, replace-with: A, when: {burned-in-annotation: [YES, NO]}}\n"
        "  - {name: PatientName, replace-with: B, when: {manufacturer: S}}\n".replace(
            "replace-with: A", "remove: true"
        )
    )

    found = every_way(a_file(SYNTAXES["explicit"], BurnedInAnnotation="", Manufacturer=""), plan)

    assert found.actions == ()


def test_class_of_the_data_set() -> None:
    """The SOP class is known without a file meta, too."""
    data = dicom(el("SOPClassUID", SC), el("StudyDate", "20200102"), meta=[])
    data = data[data.index(b"\x08\0\x16\0") :]
    plan = plan_of("  - {when: {sop-class: SecondaryCaptureImageStorage}, reject: Captured}")

    found = every_way(data, plan)

    assert found.error is not None
    assert found.error[1] == "Captured"


def test_series_are_learned_by_what_they_say() -> None:
    """What was learned of files for which a condition holds is not done to others."""
    plan = plan_of("  - {name: StudyDate, replace-with: '', when: {modality: CT}}")
    ct, mr = (a_file(SYNTAXES["explicit"], Modality=modality) for modality in ("CT", "MR"))

    for _ in range(6):
        assert dates(run(plan, [ct]).output) == [b""]
        assert dates(run(plan, [mr]).output) == [b"20200102"]
    assert run(plan, [ct]).applied_bytes > 0
    assert run(plan, [mr]).applied_bytes > 0


def test_too_far_away() -> None:
    """What a condition depends on comes within what may be held, or the file is rejected."""
    plan = plan_of("  - {name: StudyDate, replace-with: '', when: {burned-in-annotation: YES}}")
    data = dicom(
        el("StudyDate", "20200102"),
        el("ImageComments", "x" * 2000),
        el("BurnedInAnnotation", "YES"),
    )

    assert every_way(data, plan).error is None
    found = every_way(data, plan, max_held=1000)
    assert found.error is not None
    assert found.error[0] == "LIMIT_EXCEEDED"


def test_cut_short() -> None:
    """A file that ends too early is rejected as such."""
    plan = plan_of("  - {name: StudyDate, replace-with: '', when: {burned-in-annotation: YES}}")
    data = a_file(SYNTAXES["explicit"])

    for end in (len(data) - 2, data.index(b"DOE"), data.index(b"20200102") + 2):
        found = every_way(data[:end], plan, byte_by_byte=False)
        assert found.error is not None
        assert found.error[0] == "TRUNCATED"


def test_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for a condition at the end of the input is read to its end at once."""
    monkeypatch.setattr("deid_service.engine.deidentifier._TURN_SECONDS", -1)
    plan = plan_of("  - {when: {present: [Modality, ImageComments]}, reject: Commented}")

    found = every_way(a_file(SYNTAXES["explicit"]), plan, byte_by_byte=False)

    assert found.error is None
