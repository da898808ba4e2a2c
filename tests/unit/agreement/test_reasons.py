"""The reasons for differences from the reference engine: documented, narrow, and needed."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from deid_service.engine import DicomError, compile_plan, deidentify
from profile_service.language import parse_profile
from tests.support.engine.build import Part, dicom, el, sq
from tests.tools.agreement.comparison import Case, Difference, Reader, compare
from tests.tools.agreement.constructs import constructs
from tests.tools.agreement.reasons import REASONS
from tests.tools.agreement.reference import Answer

DOCUMENT = Path(__file__).parents[3] / "docs" / "differences.md"
_ENTRY = re.compile(r"^- \*\*(.+?)\*\*: (.+?)(?=^- |^$|\Z)", re.MULTILINE | re.DOTALL)


def case_of(text: str, data: bytes) -> Case:
    """A profile and a file, as they are compared."""
    profile = parse_profile(text)
    return Case("made", profile, compile_plan(profile), "made.dcm", data)


def differences(case: Case, theirs: bytes, folder: Path) -> list[Difference]:
    """What differs where the reference has a certain output, and passes on what it must not touch.

    The names of the outputs are the same.
    """
    paths = []
    for name, data in (("theirs", theirs), ("passed", case.data)):
        (folder / name).write_bytes(data)
        paths.append(folder / name)
    answer = Answer(paths[0], "1.2.3.NA.dcm")
    return list(compare(case, answer, Answer(paths[1]), Reader()))


def reasons_for(difference: Difference) -> list[str]:
    """The names of the reasons that explain a difference."""
    return [reason.name for reason in REASONS if reason.explains(difference)]


def a_file(*parts: Part) -> bytes:
    """A small file."""
    return dicom(el(0x00080018, "1.2.3"), *parts)


def test_documented() -> None:
    """The document lists the reasons of the code, in their order and words."""
    found = [
        (name, " ".join(sentence.split()))
        for name, sentence in _ENTRY.findall(DOCUMENT.read_text(encoding="utf-8"))
    ]

    assert [(reason.name, reason.sentence) for reason in REASONS] == found


def test_names_are_unique() -> None:
    """No two reasons share a name."""
    names = [reason.name for reason in REASONS]

    assert len(set(names)) == len(names)


def test_constructs_are_valid() -> None:
    """Every profile of the comparison is valid, and its name is a file name."""
    profiles = constructs()

    assert [name for name, text in profiles.items() if parse_profile(text).blank] == []
    assert [name for name in profiles if not re.fullmatch(r"[\w.-]+", name)] == []


def test_agreement(tmp_path: Path) -> None:
    """Outputs that differ in padding, in lengths and in the writer's own elements agree."""
    case = case_of(
        "dicom: {fields: [{name: PatientID, remove: true}]}",
        a_file(sq(0x00081140, [el(0x00081155, "1.2")]), el(0x00100010, "A^B")),
    )
    theirs = a_file(
        sq(0x00081140, [el(0x00081155, b"1.2")], undefined=True), el(0x00100010, "A^B ")
    )

    assert differences(case, theirs, tmp_path) == []


def test_value_without_reason(tmp_path: Path) -> None:
    """A value that the reference transforms otherwise has no reason, at any depth."""
    case = case_of(
        "dicom: {fields: [{regex: '.*PatientID', replace-with: X}]}",
        a_file(
            el(0x00100020, "ID"), sq(0x00101002, [el(0x00100020, "ID")], [el(0x00100020, "ID")])
        ),
    )
    theirs = a_file(
        el(0x00100020, "Y"), sq(0x00101002, [el(0x00100020, "X")], [el(0x00100020, "ID")])
    )

    found = differences(case, theirs, tmp_path)

    assert [each.described().partition("\n")[0] for each in found] == [
        "(0010,0020)",
        "(0010,1002).1.(0010,0020)",
    ]
    assert [reasons_for(each) for each in found] == [[], []]


def test_file_without_reason(tmp_path: Path) -> None:
    """A rejection of a good file that the reference takes has no reason."""
    data = a_file(el(0x00100020, "ID"))
    case = case_of("dicom: {fields: [{name: PatientID, remove: true}]}", data)
    rejecting = replace(case, data=data[:132])
    with pytest.raises(DicomError):
        deidentify(rejecting.data, rejecting.plan)

    (found,) = differences(rejecting, data, tmp_path)

    assert reasons_for(found) == []


def test_hash_of_each_value(tmp_path: Path) -> None:
    """A hash of the values that are joined by commas has its reason, another hash has none."""
    case = case_of(
        "dicom: {hash-digits: 8, fields: [{name: ImageType, hash: true}]}",
        a_file(el(0x00080008, "A\\B")),
    )

    (joined,) = differences(case, a_file(el(0x00080008, "b17c8419")), tmp_path)
    (other,) = differences(case, a_file(el(0x00080008, "00000000")), tmp_path)

    assert (reasons_for(joined), reasons_for(other)) == (["hash-of-each-value"], [])


def test_untouched(tmp_path: Path) -> None:
    """What the reference repairs without a rule has its reason, what it changes by one has none."""
    case = case_of(
        "dicom: {fields: [{name: PatientID, remove: true}]}",
        a_file(el(0x00101010, "7Y")),
    )
    repaired = a_file(el(0x00101010, "007Y"))
    for name, data in (("theirs", repaired), ("passed", repaired), ("other", case.data)):
        (tmp_path / name).write_bytes(data)
    answer = Answer(tmp_path / "theirs", "1.2.3.NA.dcm")

    (known,) = compare(case, answer, Answer(tmp_path / "passed"), Reader())
    (unknown,) = compare(case, answer, Answer(tmp_path / "other"), Reader())

    assert (reasons_for(known), reasons_for(unknown)) == (["untouched"], [])
