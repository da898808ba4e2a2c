"""A value that an action cannot work on has a declared outcome."""

from __future__ import annotations

import pytest

from tests.support.engine.build import SYNTAXES, El, Sq, dicom, el, sq
from tests.support.engine.every_way import every_way, plan_of, run
from tests.support.engine.walk import Syntax, read_file

SHIFT = "name: '**.StudyDate', increment-date: true"
ACTIONS: dict[str, tuple[str, str, str | tuple[float, ...]]] = {
    "increment-date": (SHIFT, "StudyDate", "the day before"),
    "increment-datetime": (
        "name: '**.AcquisitionDateTime', increment-datetime: true",
        "AcquisitionDateTime",
        "yesterday",
    ),
    "hashuid": ("name: '**.StudyInstanceUID', hashuid: true", "StudyInstanceUID", "none"),
    "jitter": ("name: '**.PatientWeight', jitter: true", "PatientWeight", "heavy"),
    "regex-sub": (
        r"name: '**.StudyID', regex-sub: [{input-regex: '\d+$', output: '{PatientID}', "
        "groups: [{name: PatientID, hash: true}]}]",
        "StudyID",
        "none",
    ),
    "hash": ("regex: '.*SelectorULValue', hash: true", "SelectorULValue", (7,)),
}


def texts(data: bytes, keyword_tag: int) -> list[bytes]:
    """Returns the values of an element, at the top level and in the items of the first sequence."""
    elements = read_file(data).elements
    found = [each.value for each in elements if each.tag == keyword_tag]
    for each in elements:
        for item in each.items or ():
            found += [inner.value for inner in item.elements if inner.tag == keyword_tag]
    return found


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=SYNTAXES)
@pytest.mark.parametrize(("outcome", "left"), [("empty", [b"", b""]), ("remove", [])])
def test_outcome(action: str, syntax: Syntax, outcome: str, left: list[bytes]) -> None:
    """The element is emptied or goes, at every depth, and the receipt counts it."""
    rule, keyword, value = ACTIONS[action]
    bad = el(keyword, value)
    parts: list[El | Sq] = [bad, el("PatientID", "7"), sq("RequestAttributesSequence", [bad])]
    parts.sort(key=lambda part: part.tag)
    data = dicom(*parts, syntax=syntax)

    found = every_way(data, plan_of(f"{rule}, on-error: {outcome}", date_increment=-1))

    assert found.error is None
    assert texts(found.output, bad.tag) == left
    assert found.actions == (("on-error", 2),)


@pytest.mark.parametrize("option", ["", ", on-error: reject"])
@pytest.mark.parametrize("action", ACTIONS)
def test_rejected(action: str, option: str) -> None:
    """Without another outcome the file is rejected."""
    rule, keyword, value = ACTIONS[action]

    found = every_way(dicom(el(keyword, value)), plan_of(f"{rule}{option}", date_increment=-1))

    assert found.error is not None
    assert found.error[0] == "VALUE_NOT_TRANSFORMABLE"


def test_good_values() -> None:
    """What can be worked on is, beside what cannot."""
    data = dicom(
        el("StudyDate", "20200102"), sq("RequestAttributesSequence", [el("StudyDate", "never")])
    )

    found = every_way(data, plan_of(f"{SHIFT}, on-error: empty", date_increment=-1))

    assert texts(found.output, 0x00080020) == [b"20200101", b""]
    assert found.actions == (("increment-date", 1), ("on-error", 1))


def test_after_good_files() -> None:
    """What was learned from files whose values are good is not done to one whose is not."""
    plan = plan_of(f"{SHIFT}, on-error: remove", date_increment=-1)
    other = el("StudyID", "7")
    good = dicom(el("StudyDate", "20200102"), other)
    for _ in range(8):
        assert run(plan, [good]).actions == (("increment-date", 1),)

    found = every_way(dicom(el("StudyDate", "2020010A"), other), plan)

    assert texts(found.output, 0x00080020) == []
    assert found.actions == (("on-error", 1),)


def test_one_of_several_values() -> None:
    """An element with several values has one outcome."""
    data = dicom(el("DateOfSecondaryCapture", "20200102\\never"))
    rule = "name: DateOfSecondaryCapture, increment-date: true, on-error: empty"

    found = every_way(data, plan_of(rule, date_increment=-1))

    assert texts(found.output, 0x00181012) == [b""]


def test_stricter_rule() -> None:
    """Where a rule rejects, another one that would not does not help."""
    plan = plan_of(
        "name: StudyDate, increment-date: true, on-error: empty",
        "regex: StudyDate, increment-date: true",
        date_increment=-1,
    )

    assert every_way(dicom(el("StudyDate", "never")), plan).error is not None


def test_bytes_that_are_no_text() -> None:
    """A value that cannot be read at all has the same outcome."""
    data = dicom(el("SpecificCharacterSet", "ISO_IR 192"), el("StudyID", b"\xff\xfe"))

    found = every_way(data, plan_of("name: StudyID, hash: true, on-error: empty"))

    assert texts(found.output, 0x00200010) == [b""]


def test_instance_uid() -> None:
    """The file meta follows an instance UID that was given up."""
    data = dicom(el("SOPInstanceUID", "no uid"))

    found = every_way(data, plan_of("name: SOPInstanceUID, hashuid: true, on-error: empty"))

    assert found.error is None
    assert b"no uid" not in found.output


def test_limits_stay() -> None:
    """What is too large rejects the file all the same."""
    data = dicom(el("StudyID", "1" * 200))

    found = every_way(data, plan_of("name: StudyID, hash: true, on-error: empty"), max_held=100)

    assert found.error is not None
    assert found.error[0] == "LIMIT_EXCEEDED"


@pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=SYNTAXES)
@pytest.mark.parametrize(
    ("outcome", "left"),
    [("empty", b""), ("remove", None), ("dummy", b"2.25.0")],
)
def test_file_meta(outcome: str, left: bytes | None, syntax: Syntax) -> None:
    """An element of the file meta has the same outcomes, once and again, and is counted."""
    creator = el("PrivateInformationCreatorUID", "none")
    uid = el("MediaStorageSOPInstanceUID", "1.2.3")
    data = dicom(el("PatientID", "7"), meta=[uid, creator], syntax=syntax)
    rule = f"name: PrivateInformationCreatorUID, hashuid: true, on-error: {outcome}"

    found = every_way(data, plan_of(rule))

    meta = {each.tag: each.value for each in read_file(found.output).meta}
    assert meta.get(0x00020100) == left
    assert found.actions == (("on-error", 1),)


@pytest.mark.parametrize("outcome", ["remove", "empty", "dummy"])
def test_what_no_file_can_do_without(outcome: str) -> None:
    """An instance UID of the file meta that cannot be changed rejects the file, come what may."""
    uid = el("MediaStorageSOPInstanceUID", "no uid")
    rule = f"name: MediaStorageSOPInstanceUID, hashuid: true, on-error: {outcome}"

    found = every_way(dicom(el("PatientID", "7"), meta=[uid]), plan_of(rule))

    assert found.error is not None
    assert found.error[2] == "(0002,0003)"
