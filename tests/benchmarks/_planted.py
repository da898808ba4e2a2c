"""Synthetic studies with identifiers where real sites have them, and what is asked of each.

Nobody's: names, numbers and texts are made up, the same for the same seed. Each check says
what must have become of one element; the categories are those of the MIDI-B challenge.
"""

from __future__ import annotations

import io
import random
from dataclasses import dataclass, field
from typing import Final

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

_ROOT: Final = "1.2.840.10008.5.1.4.1.1."

# Modalities with their SOP classes.
_CLASSES: Final = {
    "CR": "1", "DX": "1.1", "MG": "1.2", "CT": "2", "MR": "4", "US": "6.1", "SC": "7", "XA": "12.1",
    "RF": "12.2", "NM": "20", "PT": "128", "RTDOSE": "481.2", "RTPLAN": "481.5", "SR": "88.33",
    "PR": "11.1",
}  # fmt: skip

_SYNTAXES: Final = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    DeflatedExplicitVRLittleEndian,
)

# Family and given names with the character set that they are written in.
_NAMES: Final = (
    ("ISO_IR 100", "Qvistgaard", "Annelie"), ("ISO_IR 100", "Rübezahl", "Jörg"),
    ("ISO_IR 192", "Dvořáková", "Věra"), ("ISO_IR 144", "Жданович", "Пётр"),
    ("ISO_IR 192", "Yamanobe", "Kiyoshi"), ("ISO_IR 101", "Szczepaniak", "Łucja"),
    ("ISO_IR 126", "Παπαδοπούλου", "Ελένη"), ("ISO_IR 100", "O'Shaughnessy", "Fionn"),
)  # fmt: skip
_DOCTORS: Final = ("Kowalczyk^Zbigniew", "Thistlethwaite^Una", "Vandersloot^Pim")
_TEXTS: Final = ("CHEST WITH CONTRAST", "BRAIN T1 AXIAL", "ABDOMEN ARTERIAL PHASE", "KNEE LEFT")


@dataclass(frozen=True)
class Check:
    """What must have become of an element.

    Attributes:
        category: `removed`, `text removed`, `text retained`, `date moved`, `uid changed`,
            `uid retained` or `retained`.
        path: keywords, or tags as numbers, and items, from the top level.
        value: the original; for texts, what must be gone or must be there.
    """

    category: str
    path: tuple[str | int, ...]
    value: str


@dataclass
class Planted:
    """A file with its answer key.

    Attributes:
        data: the file.
        checks: what must have become of its elements.
        secrets: what must be nowhere in the output.
    """

    data: bytes
    checks: list[Check] = field(default_factory=list)
    secrets: set[str] = field(default_factory=set)


def studies(seed: int, count: int) -> list[Planted]:
    """Returns the files of some studies, one of each modality."""
    files = []
    for number in range(count):
        chance = random.Random(f"{seed} {number}")  # noqa: S311
        charset, family, given = _NAMES[number % len(_NAMES)]
        person = _Person(chance, charset, family, given)
        files += [
            _file(person, modality, _ROOT + ending, index, chance)
            for index, (modality, ending) in enumerate(_CLASSES.items())
        ]
    return files


class _Person:
    def __init__(self, chance: random.Random, charset: str, family: str, given: str) -> None:
        self.charset = charset
        self.name = f"{family}^{given}"
        self.words = (family, given)
        self.id = f"MRN{chance.randrange(10**6, 10**7)}"
        self.accession = f"A{chance.randrange(10**7, 10**8)}"
        self.born = f"19{chance.randrange(30, 99)}0{chance.randrange(1, 9)}1{chance.randrange(9)}"
        self.studied = f"202{chance.randrange(5)}0{chance.randrange(1, 9)}2{chance.randrange(8)}"
        self.doctor = chance.choice(_DOCTORS)
        self.study = f"1.3.6.1.4.1.99999.{chance.randrange(10**9)}"


def _file(
    person: _Person, modality: str, sop_class: str, index: int, chance: random.Random
) -> Planted:
    syntax = _SYNTAXES[(index + int(person.id[-1])) % len(_SYNTAXES)]
    dataset = Dataset()
    made = Planted(b"")

    def put(
        keyword: str, value: object, category: str = "", said: str = "", at: Dataset | None = None,
        path: tuple[str | int, ...] = (),
    ) -> None:  # fmt: skip
        setattr(dataset if at is None else at, keyword, value)
        if category:
            made.checks.append(Check(category, (*path, keyword), said or str(value)))

    text = chance.choice(_TEXTS)
    surname = person.words[0]
    instance = f"{person.study}.{index}"
    put("SpecificCharacterSet", person.charset, "retained")
    put("SOPClassUID", sop_class, "uid retained")
    put("SOPInstanceUID", instance, "uid changed")
    put("StudyInstanceUID", person.study, "uid changed")
    put("SeriesInstanceUID", f"{person.study}.{index}.1", "uid changed")
    put("Modality", modality, "retained")
    put("StudyDate", person.studied, "date moved")
    put("SeriesDate", person.studied, "date moved")
    put("ContentDate", person.studied, "date moved")
    put("AcquisitionDateTime", f"{person.studied}101112", "date moved")
    put("StudyTime", "101112", "retained")
    put("AccessionNumber", person.accession, "removed")
    put("Manufacturer", "ACME MEDICAL", "retained")
    put("InstitutionName", "Hollowmere Infirmary", "removed")
    put("ReferringPhysicianName", person.doctor, "removed")
    put("OperatorsName", "Featherstonehaugh^Ida", "removed")
    put("StudyDescription", f"{text} {surname}", "text removed", surname)
    made.checks.append(Check("text retained", ("StudyDescription",), text))
    put("SeriesDescription", f"{text}, Dr. {person.doctor.split('^')[0]}", "text retained", text)
    made.checks.append(Check("text removed", ("SeriesDescription",), person.doctor.split("^")[0]))
    put("ImageComments", f"{text} of {person.id}, call 555-0199-321", "text removed", person.id)
    made.checks.append(Check("text removed", ("ImageComments",), "0199"))
    put("SoftwareVersions", f"v7 {person.id}", "text removed", person.id)
    put("PatientName", person.name, "removed")
    put("PatientID", person.id, "removed")
    put("PatientBirthDate", person.born, "removed")
    put("PatientSex", "F", "retained")
    put("PatientAge", "045Y", "retained")
    put("PatientWeight", "70", "retained")
    put("OtherPatientIDsSequence", Sequence([Dataset()]))
    put("PatientID", person.id, "removed", at=dataset.OtherPatientIDsSequence[0],
        path=("OtherPatientIDsSequence", 0))  # fmt: skip
    put("PatientAddress", "17 Larkspur Crescent", "removed")
    put("ProtocolName", text, "text retained", text)
    put("DeviceSerialNumber", f"SN{person.id[3:]}", "removed")
    put("PatientPosition", "HFS", "retained")
    put("RequestAttributesSequence", Sequence([Dataset()]))
    put("ScheduledProcedureStepDescription", text, at=dataset.RequestAttributesSequence[0])
    put("RequestedProcedureDescription", f"{text} {surname}", "text removed", surname,
        at=dataset.RequestAttributesSequence[0],
        path=("RequestAttributesSequence", 0))  # fmt: skip
    put("ReferencedStudySequence", Sequence([Dataset()]))
    item = dataset.ReferencedStudySequence[0]
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, person.study
    put("SourceImageSequence", Sequence([Dataset()]))
    put("ReferencedSOPClassUID", sop_class, "uid retained", at=dataset.SourceImageSequence[0],
        path=("SourceImageSequence", 0))  # fmt: skip
    put("ReferencedSOPInstanceUID", f"{person.study}.0", "uid changed",
        at=dataset.SourceImageSequence[0], path=("SourceImageSequence", 0))  # fmt: skip
    private = dataset.private_block(0x0019, "GEMS_ACQU_01", create=True)
    private.add_new(0x02, "SL", 512)
    made.checks.append(Check("retained", (0x00191002,), "512"))
    unknown = dataset.private_block(0x0031, "ACME NOTES", create=True)
    unknown.add_new(0x01, "LO", f"for {person.id}")
    made.checks.append(Check("removed", (0x00311001,), person.id))
    if modality == "SR":
        content = Dataset()
        content.ValueType, content.RelationshipType = "TEXT", "CONTAINS"
        content.TextValue = f"{text} seen in {surname}"
        put("ContentSequence", Sequence([content]))
        made.checks.append(Check("text removed", ("ContentSequence", 0, "TextValue"), surname))
    else:
        put("Rows", 4, "retained")
        put("Columns", 4, "retained")
    made.secrets = {
        *person.words, person.id, person.accession, person.doctor.split("^")[0], person.study,
        "Hollowmere", "Featherstonehaugh", "Larkspur", person.born,
    }  # fmt: skip
    made.data = _written(dataset, sop_class, instance, syntax)
    return made


def _written(dataset: Dataset, sop_class: str, instance: str, syntax: UID) -> bytes:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(sop_class)
    meta.MediaStorageSOPInstanceUID = UID(instance)
    meta.TransferSyntaxUID = syntax
    file = FileDataset("", dataset, file_meta=meta, preamble=bytes(128))
    written = io.BytesIO()
    file.save_as(written, enforce_file_format=True)
    return written.getvalue()
