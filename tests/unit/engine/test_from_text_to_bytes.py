"""What the text of a profile says is what happens to the bytes of a file."""

from __future__ import annotations

import pytest

from deid_service.engine import compile_plan
from profile_service.language import parse_profile
from tests.support.engine.build import SYNTAXES, dicom, el, encode, sq
from tests.support.engine.every_way import deidentified, every_way, plan_of, rejected, values_of
from tests.support.engine.walk import Syntax

PATIENT_ID = 0x00100020


@pytest.mark.parametrize(
    "name", ["00100020", "0x00100020", "'(0010,0020)'", "PatientID", "patientid"]
)
def test_a_tag_is_what_is_written(name: str) -> None:
    """A tag without quotes is the tag, not the octal number that YAML could make of it."""
    plan = compile_plan(
        parse_profile(f"dicom:\n  fields:\n    - name: {name}\n      remove: true\n")
    )

    assert PATIENT_ID not in values_of(deidentified(dicom(el("PatientID", "secret")), plan))


def test_identity_leaves_the_value() -> None:
    """The action identity does what keep does."""
    data = dicom(el("PatientID", "A"), el("PatientName", "B"))
    plan = plan_of("name: PatientID, identity: true", remove_undefined="true")

    assert values_of(deidentified(data, plan)) == {PATIENT_ID: b"A "}


@pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=SYNTAXES)
@pytest.mark.parametrize(
    "untouched",
    [
        el("SliceThickness", "80.0000"),
        el("SliceThickness", "+1.50E+00\\ 2.0 "),
        el("InstanceNumber", "  007 "),
        el("StudyDescription", b"odd"),
        el("StudyDescription", b"nul padded\0\0"),
        el("StudyDescription", b"spaces      "),
        el("StudyInstanceUID", b"1.2.3 "),
        el("PatientSex", "not a code string, and much longer than one"),
        el("StudyDate", "1995.06.26"),
        el("PatientName", b"\xff\xfe\x1b$B"),
        el("Rows", b"\1", "US"),
        el(0x00101234, "unknown", "LO"),
        sq("ReferencedStudySequence", [el("SliceThickness", "80.0000")], undefined=True),
        sq("ReferencedStudySequence", [], [el("PatientSex", "x")]),
    ],
    ids=repr,
)
def test_what_is_not_named_stays_as_it_came(untouched: object, syntax: Syntax) -> None:
    """Numbers, padding, lengths and the slips of other writers go through byte for byte."""
    encoded = encode([untouched], syntax)  # type: ignore[list-item]
    data = dicom(el(0x00080001, (0,), "UL"), syntax=syntax) + encoded
    plan = plan_of("name: PatientComments, replace-with: X", "name: PatientID, hash: true")

    assert encoded in deidentified(data, plan)


def test_text_for_what_is_a_sequence_in_the_file_rejects() -> None:
    """Where a file has a sequence, a text cannot take its place; emptying and removing can."""
    data = dicom(sq(0x00101234, [el("PatientID", "A")]))

    assert rejected(data, plan_of("name: '00101234', replace-with: X"))[:4] == (
        "VALUE_NOT_TRANSFORMABLE",
        "replace-with: the element is a sequence, which has no value",
        "(0010,1234)",
        "SQ",
    )
    assert deidentified(data, plan_of("name: '00101234', replace-with: ''")).endswith(
        encode([sq(0x00101234)])
    )
    assert 0x00101234 not in values_of(
        deidentified(data, plan_of("name: '00101234', remove: true"))
    )


def test_a_file_without_file_meta_is_read_and_a_truncated_one_is_not() -> None:
    """What can be told is de-identified; what ends too early is refused."""
    data_set = encode([el("SOPClassUID", "1.2"), el("PatientID", "secret")])
    plan = plan_of("name: PatientID, replace-with: X")

    assert deidentified(data_set, plan) == encode([el("SOPClassUID", "1.2"), el("PatientID", "X")])
    assert rejected(data_set[:-1], plan)[0] == "TRUNCATED"


def test_references_still_match_with_recursion() -> None:
    """The same UID at the top level, in an item and in the file meta becomes the same new one."""
    data = dicom(
        el("SOPInstanceUID", "1.2.3.4.5"),
        sq("ReferencedImageSequence", [el("SOPInstanceUID", "1.2.3.4.5")]),
    )

    outcome = every_way(
        data, plan_of("name: SOPInstanceUID, hashuid: true", recurse_sequence="true")
    )

    new = values_of(outcome.output)[0x00080018]
    assert outcome.output.count(new.rstrip(b"\0")) == 3
    assert b"1.2.3.4.5" not in outcome.output
    assert outcome.filename.startswith(new.rstrip(b"\0").decode())
