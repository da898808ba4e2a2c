"""Media directories: their records point to each other by byte offsets."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import TYPE_CHECKING

import pydicom
import pytest
from pydicom.fileset import FileSet

from tests.support.engine.build import SYNTAXES, dicom, el, sq
from tests.support.engine.every_way import deidentified, every_way, plan_of, rejected, run
from tests.support.engine.expectation import assert_equals, expected
from tests.support.engine.files import DICOM_FILES, name_of
from tests.support.engine.profiles import PROFILES, compiled
from tests.support.engine.walk import read_file

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.engine.walk import Element, File, Item, Syntax

# One of them has records that are not where its lengths say; it is rejected.
DIRECTORIES = [
    path
    for path in DICOM_FILES
    if path.name.startswith("DICOMDIR") and path.name != "DICOMDIR-nooffset"
]

RECORDS = 0x00041220
OFFSETS = {0x00041200, 0x00041202, 0x00041400, 0x00041420, 0x00041504}


def records_of(file: File) -> list[Item]:
    """Returns the directory records of a file."""
    return [item for each in file.elements if each.tag == RECORDS for item in each.items or ()]


def links_of(data: bytes) -> list[tuple[int, int, int | None]]:
    """Returns every offset as record, tag, and the record that it points to, -1 for none."""
    file = read_file(data)
    records = records_of(file)
    at: dict[int, int] = {record.start: index for index, record in enumerate(records)}
    at[0] = -1
    return [
        (index, each.tag, at.get(struct.unpack(each.syntax.order + "I", each.value)[0]))
        for index, elements in enumerate(
            [file.elements, *(record.elements for record in records)], -1
        )
        for each in elements
        if each.tag in OFFSETS
    ]


def _without_offsets(elements: list[Element]) -> list[Element]:
    for element in elements:
        if element.tag in OFFSETS:
            element.value = bytes(len(element.value))
        for item in element.items or ():
            _without_offsets(item.elements)
    return elements


@pytest.mark.parametrize("profile_name", PROFILES)
@pytest.mark.parametrize("path", DIRECTORIES, ids=name_of)
def test_offsets_point_to_the_same_records(path: Path, profile_name: str) -> None:
    """After any profile each offset points to the record it pointed to; the rest is as ever."""
    data = path.read_bytes()
    profile, plan = compiled(profile_name)
    before = read_file(data)
    wanted = expected(_without_offsets(before.elements), before.syntax, profile)

    output = deidentified(data, plan)

    assert_equals(wanted, _without_offsets(read_file(output).elements))
    assert set(links_of(output)) <= set(links_of(data))


def test_pydicom_opens_the_file_set() -> None:
    """The records of a de-identified directory are found by an independent reader."""
    (path,) = [each for each in DIRECTORIES if name_of(each).endswith("dicomdirtests/DICOMDIR")]
    plan = plan_of(
        "name: DirectoryRecordSequence.*.PatientName, replace-with: A name that is much longer",
        "name: DirectoryRecordSequence.*.PatientID, hash: true",
    )
    output = deidentified(path.read_bytes(), plan)
    copy = pydicom.dcmread(BytesIO(output))
    copy.filename = str(path)
    found = FileSet(copy)
    found._stage["t"].cleanup()

    files = [each for each in copy.DirectoryRecordSequence if "ReferencedFileID" in each]
    assert len(found) == len(files) > 0
    assert b"A name that is much longer" in output


def test_a_directory_keeps_its_name() -> None:
    """Whatever the profile says, a directory is called DICOMDIR."""
    (path,) = [each for each in DIRECTORIES if name_of(each).endswith("dicomdirtests/DICOMDIR")]

    assert (
        every_way(path.read_bytes(), plan_of("name: PatientID, hash: true")).filename == "DICOMDIR"
    )


def test_records_that_do_not_fit_reject() -> None:
    """A directory whose lengths contradict each other is not written anew."""
    (path,) = [each for each in DICOM_FILES if each.name == "DICOMDIR-nooffset"]

    assert rejected(path.read_bytes(), plan_of("name: PatientID, hash: true"))[0] == "MALFORMED"


@pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=SYNTAXES)
@pytest.mark.parametrize("undefined", [False, True])
def test_a_small_directory(syntax: Syntax, undefined: bool) -> None:
    """Offsets follow the records in every encoding, with lengths of either kind."""
    data = directory(syntax, undefined=undefined)
    plan = plan_of("name: DirectoryRecordSequence.*.PatientID, replace-with: LONGER")
    assert links_of(data) == [
        (-1, 0x00041200, 0), (-1, 0x00041202, 1), (0, 0x00041400, 1), (0, 0x00041420, -1),
        (1, 0x00041400, -1), (1, 0x00041420, -1),
    ]  # fmt: skip

    output = deidentified(data, plan)

    assert links_of(output) == links_of(data)
    assert len(output) > len(data)


def test_an_offset_to_nowhere_rejects() -> None:
    """An offset that points to no record cannot be written anew."""
    data = directory(SYNTAXES["explicit"], undefined=False, last=5)

    error = rejected(data, plan_of("name: PatientID, hash: true"))

    assert error[:3] == (
        "MALFORMED", "an offset of the directory points to no record", "(0004,1202)",
    )  # fmt: skip


def test_nothing_is_released_before_the_offsets_are_known() -> None:
    """A directory is held until its end, and refused when it is longer than may be held."""
    data = directory(SYNTAXES["explicit"], undefined=False)

    outcome = run(plan_of("name: PatientID, hash: true"), [data], max_held=100)

    assert outcome.error is not None
    assert outcome.error[0] == "LIMIT_EXCEEDED"


def directory(syntax: Syntax, *, undefined: bool, last: int = 0) -> bytes:
    """Returns a directory of two records, the first of which points to the second."""
    meta = [el(0x00020002, "1.2.840.10008.1.3.10"), el(0x00020003, "1.2.3")]

    def build(first: int, second: int) -> bytes:
        records = [
            [el(0x00041400, (after,)), el(0x00041420, (0,)), el("PatientID", "A")]
            for after in (second, 0)
        ]
        return dicom(
            el(0x00041200, (first,)),
            el(0x00041202, (last or second,)),
            sq(RECORDS, *records, undefined=undefined),
            syntax=syntax,
            meta=meta,
        )

    places = [record.start for record in records_of(read_file(build(0, 0)))]
    return build(places[0], places[1])


@pytest.mark.parametrize(
    "rules",
    [
        ["name: PatientID, hash: true"],
        ["name: FileSetID, hash: true"],
        ["name: DirectoryRecordSequence.0.PatientID, hash: true"],
        ["regex: '.*PatientID', hash: true"],
        ["name: DirectoryRecordSequence.*.PatientID, increment-date: true"],
    ],
)
@pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=SYNTAXES)
def test_records_that_do_not_fit_reject_with_every_profile_alike(
    rules: list[str], syntax: Syntax
) -> None:
    """Why a directory is rejected does not depend on what a rule looks at."""
    records = sq("DirectoryRecordSequence", [el("PatientID", "7"), el("PatientName", "Doe")])
    meta = [el(0x00020002, "1.2.840.10008.1.3.10"), el(0x00020003, "1.2")]
    data = bytearray(
        dicom(el("FileSetID", "A"), records, el("Rows", (1,)), syntax=syntax, meta=meta)
    )
    item = bytes.fromhex("fffee000" if syntax.big else "feff00e0")
    data[data.index(item) + (7 if syntax.big else 4)] += 2

    error = rejected(bytes(data), plan_of(*rules, date_increment="1"))

    assert error == (
        "MALFORMED", "the records of the directory do not fit together", "(0004,1220)", None, None,
    )  # fmt: skip
