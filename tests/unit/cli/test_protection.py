"""What `profile coverage` says that a profile does is what the engine does."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import pydicom
import pytest
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from deid_service.cli.coverage import summary
from deid_service.cli.protection import Extent, Treatment, measure
from deid_service.engine import compile_plan, deidentify
from deid_service.engine.rules.ops import Effect
from profile_service.language import parse_profile
from profile_service.language.model import Element, RepeaterElement
from profile_service.language.standard import attributes
from tests.golden import CORPUS

if TYPE_CHECKING:
    from profile_service.language.standard import Attribute

# A sequence that no profile here names.
ITEMS = 0x00080006

VALUES = {
    "AE": "STATION",
    "AS": "010Y",
    "AT": 0x00100010,
    "CS": "A",
    "DA": "20200101",
    "DS": "1",
    "DT": "20200101101010",
    "FD": 1.0,
    "FL": 1.0,
    "IS": "1",
    "OB": b"\1\0",
    "OW": b"\1\0",
    "PN": "Doe^Jane",
    "SS": 1,
    "TM": "101010",
    "UI": "1.2.3.4.5.6.7",
    "UL": 1,
    "UN": b"\1\0",
    "US": 1,
}

PROFILES = {
    "short list": (CORPUS / "penn-bsc-v4.0.yaml").read_text("utf-8"),
    "long list": (CORPUS / "penn-prototype.yaml").read_text("utf-8"),
    "every depth": """
        dicom:
          recurse-sequence: true
          remove-private-tags: true
          date-increment: -3
          fields:
            - {name: PatientID, hash: true}
            - {name: SOPInstanceUID, hashuid: true}
            - {name: StudyDate, increment-date: true}
            - {name: OtherPatientIDsSequence, replace-with: ''}
            - {name: 60xx3000, remove: true}
    """,
    "regex": """
        dicom:
          fields:
            - {regex: '.*InstanceUID', hashuid: true}
            - {regex: '.*(Name|Comments)', replace-with: ''}
            - {regex: 'Referenced.*Sequence$', remove: true}
    """,
    "only what is named": """
        dicom:
          remove-undefined: true
          fields:
            - {name: PatientSex, keep: true}
            - {name: SOPInstanceUID, hashuid: true}
            - {name: PatientID, replace-with: NOBODY}
    """,
    "only what is named, at every depth": """
        dicom:
          remove-undefined: true
          recurse-sequence: true
          fields:
            - {name: PatientSex, keep: true}
            - {name: PatientID, replace-with: NOBODY}
    """,
    "nothing": """
        dicom:
          date-increment: 0
          fields:
            - {name: StudyDate, increment-date: true}
    """,
}


def tags_of(attribute: Attribute) -> list[int]:
    """Returns elements of files that an attribute is about, but those of the file meta."""
    match attribute.element:
        case Element(tag):
            # Command elements stand in messages, and group 2 has a place of its own.
            return [tag] if tag >> 16 > 2 else []
        case RepeaterElement(value, mask):
            elements = [value] if mask & 0xFFFF else [value | 0x0010, value | 0x3000]
            return [tag | group for tag in elements for group in (0, 0x00040000)]
        case None:
            return [0x00991001]


def value_of(tag: int) -> DataElement:
    """Returns an element with a value that every reader takes."""
    try:
        vr = dictionary_VR(tag).split(" or ")[0]
    except KeyError:
        # Of a later edition than the dictionary.
        name = next((each.name for each in attributes() if each.element == Element(tag)), "")
        vr = "SQ" if name.endswith(" Sequence") else "LO"
    if vr == "SQ":
        item = Dataset()
        item.add_new(0x00080100, "SH", "CODE")
        return DataElement(tag, "SQ", [item])
    return DataElement(tag, vr, VALUES.get(vr, "TEXT"))


def everything() -> Dataset:
    """Returns a data set with every attribute of the table."""
    dataset = Dataset()
    for attribute in attributes():
        for tag in tags_of(attribute):
            dataset.add(value_of(tag))
    dataset.add_new(0x00990010, "LO", "NOBODY KNOWS")
    return dataset


def file_with_everything() -> bytes:
    """Returns a file with every attribute of the table, at the top level and in an item."""
    dataset = everything()
    dataset.add_new(ITEMS, "SQ", [everything()])
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    written = BytesIO()
    dataset.save_as(written, enforce_file_format=True)
    return written.getvalue()


def is_treated(tags: list[int], before: Dataset, after: Dataset | None) -> bool:
    """Whether none of some elements has come out as it was."""
    return after is None or all(tag not in after or after[tag] != before[tag] for tag in tags)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("profile", PROFILES)
def test_coverage_is_what_the_engine_does(profile: str) -> None:
    """Of each attribute, in either place, it says whether the value comes out as it was."""
    parsed = parse_profile(PROFILES[profile])
    data = file_with_everything()
    before = pydicom.dcmread(BytesIO(data))
    after = pydicom.dcmread(BytesIO(deidentify(data, compile_plan(parsed))))
    items = after.get(ITEMS)

    for measured in measure(parsed):
        if not (tags := tags_of(measured.attribute)):
            continue
        item = items.value[0] if items is not None and items.value else None
        found = is_treated(tags, before, after), is_treated(tags, before[ITEMS][0], item)

        assert found == (measured.top.protects, measured.items.protects), measured.attribute.name


def treatment(profile: str, name: str) -> Treatment:
    """Returns what a profile does to an attribute at the top level."""
    found = {each.attribute.name: each for each in measure(parse_profile(PROFILES[profile]))}
    return found[name].top


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Patient ID", Treatment(Effect.CHANGES, ("hash",))),
        ("Overlay Data", Treatment(Effect.GOES, ("remove",))),
        ("Other Patient IDs Sequence", Treatment(Effect.CHANGES, ("replace-with",))),
        ("Private Attributes", Treatment(Effect.GOES, ("remove-private-tags",))),
        ("Media Storage SOP Instance UID", Treatment(Effect.CHANGES, ("hashuid",))),
        ("Institution Name", Treatment(Effect.STAYS, ())),
    ],
)
def test_what_does_it(name: str, expected: Treatment) -> None:
    """Each effect comes with the action or the setting that has it."""
    assert expected == treatment("every depth", name)


def test_a_shift_by_nothing_keeps() -> None:
    """An action that changes no value is no treatment."""
    assert treatment("nothing", "Study Date") == Treatment(Effect.STAYS, ())


def test_summary() -> None:
    """The counts of a profile that does nothing are those of the table."""
    counts = summary(measure(parse_profile(PROFILES["nothing"])))

    assert counts[Extent.NOWHERE.value] == len(attributes())
    assert counts["retain-patient-characteristics"] == 14
