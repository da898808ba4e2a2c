"""The preamble and the file meta information of the output."""

from __future__ import annotations

import struct
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest

from profile_service.language.model import Settings
from tests.support.engine.build import SYNTAXES, dicom, el, encode, sq
from tests.support.engine.every_way import (
    deidentified,
    every_way,
    plan_of,
    rejected,
    values_of,
)
from tests.support.engine.expectation import hashed_uid
from tests.support.engine.walk import EXPLICIT, IMPLICIT, read_file

if TYPE_CHECKING:
    from tests.support.engine.build import Part
    from tests.support.engine.walk import Syntax

UID = "1.2.3.4.5.6"
CLASS = el(0x00020002, "1.2.840.10008.5.1.4.1.1.7")
HASHED = hashed_uid(UID, Settings())


def meta_of(output: bytes) -> dict[int, str]:
    """Returns the file meta as text, and checks its group length."""
    meta = read_file(output).meta
    (length,) = struct.unpack("<I", meta[0].value)
    assert meta[0].tag == 0x00020000
    assert length == sum(len(each.raw) for each in meta[1:])
    assert [each.tag for each in meta] == sorted(each.tag for each in meta)
    return {each.tag: each.value.decode("latin-1").rstrip("\0 ") for each in meta}


def instance_uid(*rules: str, data: bytes | None = None) -> str | None:
    """Returns (0002,0003) after some rules."""
    file = dicom(el("SOPInstanceUID", UID), el("PatientName", "A")) if data is None else data
    return meta_of(deidentified(file, plan_of(*rules))).get(0x00020003)


@pytest.mark.parametrize(
    ("rules", "wanted"),
    [
        (["name: PatientName, remove: true"], UID),
        (["name: SOPInstanceUID, hashuid: true"], HASHED),
        (["name: SOPInstanceUID, replace-with: 1.9"], "1.9"),
        (["name: SOPInstanceUID, keep: true"], UID),
        (["name: SOPInstanceUID, hashuid: true", "name: SOPInstanceUID, replace-with: 1.8"], "1.8"),
        (["regex: '.*InstanceUID', hashuid: true"], HASHED),
    ],
)
def test_the_instance_uid_follows_the_data_set(rules: list[str], wanted: str) -> None:
    """Media Storage SOP Instance UID is the SOP Instance UID of the output."""
    assert instance_uid(*rules) == wanted


def test_the_instance_uid_follows_an_inserted_one() -> None:
    """A SOP Instance UID that a rule inserts counts for the file meta, too."""
    data = dicom(el("PatientName", "A"), meta=[CLASS, el(0x00020003, UID)])

    assert instance_uid("name: SOPInstanceUID, replace-with: 1.9", data=data) == "1.9"


@pytest.mark.parametrize(
    "rule",
    ["name: SOPInstanceUID, remove: true", "name: SOPInstanceUID, replace-with: ''",
     "regex: 'SOPInstance', remove: true"],
)  # fmt: skip
def test_a_removed_instance_uid_does_not_survive_in_the_file_meta(rule: str) -> None:
    """Where the data set loses its instance UID, another one stands for it."""
    uid = instance_uid(rule)

    assert uid is not None
    assert uid.startswith("2.25.")
    assert UID not in uid


def test_an_absent_instance_uid_does_not_survive_where_a_rule_acts_on_it() -> None:
    """A file meta whose UID the data set does not have is changed like one that it had."""
    data = dicom(el("PatientName", "A"), meta=[CLASS, el(0x00020003, UID)])

    uid = instance_uid("name: SOPInstanceUID, hashuid: true", data=data)

    assert uid is not None
    assert uid != UID


def test_a_rule_can_act_on_the_file_meta_itself() -> None:
    """Elements of group 2 are replaced, removed and inserted by rules of their own."""
    title, info = el(0x00020016, "SECRET"), el(0x00020102, b"xx", "OB")
    data = dicom(el("SOPInstanceUID", UID),
                 meta=[CLASS, el(0x00020003, UID), title, info])  # fmt: skip
    plan = plan_of(
        "name: SourceApplicationEntityTitle, replace-with: ANON",
        "name: PrivateInformation, remove: true",
        "name: SendingApplicationEntityTitle, replace-with: ME",
    )

    meta = meta_of(deidentified(data, plan))

    assert meta[0x00020016] == "ANON"
    assert 0x00020102 not in meta
    assert meta[0x00020017] == "ME"
    assert meta[0x00020003] == UID


def test_regexes_and_settings_leave_the_file_meta_alone() -> None:
    """remove-undefined and regular expressions act on the data set only."""
    data = dicom(el("SOPInstanceUID", UID), meta=[CLASS, el(0x00020003, UID), el(0x00020016, "AE")])
    plan = plan_of("regex: '.*', remove: true", remove_undefined="true")

    output = deidentified(data, plan)

    assert read_file(output).elements == []
    assert meta_of(output)[0x00020016] == "AE"


def test_the_writer_is_named_and_the_preamble_zeroed() -> None:
    """The output says what wrote it, and carries nothing in its preamble."""
    data = dicom(el("PatientName", "A"), preamble=b"\x89PNG" * 32)

    output = deidentified(data, plan_of("name: PatientName, remove: true"))

    meta = meta_of(output)
    assert output[:132] == bytes(128) + b"DICM"
    assert meta[0x00020013] == f"DEIDCASC_{version('deid-cascade')}"[:16]
    assert meta[0x00020012] == "2.25.233829574871923654381299106533180461847"


@pytest.mark.parametrize("parts", [[], [el(0x00020010, "1.2.840.10008.1.2.1")]])
def test_a_group_length_that_is_missing_is_written(parts: list[Part]) -> None:
    """A file meta without or with a wrong length has the right one afterwards."""
    file_meta = (
        encode([el(0x00020000, (9999,)), *parts])
        if parts
        else encode([el(0x00020010, "1.2.840.10008.1.2.1")])
    )
    data = bytes(128) + b"DICM" + file_meta + encode([el("PatientName", "A")])

    meta = meta_of(deidentified(data, plan_of("name: PatientName, replace-with: X")))

    assert meta[0x00020010] == "1.2.840.10008.1.2.1"


def test_files_without_preamble_or_without_file_meta() -> None:
    """What a file does not have is not made; the data set is de-identified."""
    data_set, wanted = encode([el("PatientName", "A")]), encode([el("PatientName", "X")])
    plan = plan_of("name: PatientName, replace-with: X")
    padding = el("SOPClassUID", "1.2")
    start = encode([padding])

    assert deidentified(start + data_set, plan) == start + wanted
    assert deidentified(b"DICM" + dicom(padding, el("PatientName", "A"))[132:], plan).endswith(
        wanted
    )
    assert deidentified(dicom(padding, el("PatientName", "A"))[132:], plan).endswith(wanted)


@pytest.mark.parametrize(
    ("uid", "reason"),
    [
        ("1.2.840.10008.1.2.9", "UNKNOWN_TRANSFER_SYNTAX"),
        ("1.3.6.1.4.1", "UNKNOWN_TRANSFER_SYNTAX"),
        ("1.2.840.10008.1.2.4.50", None),
        ("1.2.840.10008.1.2.4.201", None),
        ("1.2.840.10008.1.2.4.110", None),
        ("1.2.840.10008.1.2.4.112", None),
        ("1.2.840.10008.1.2.4.999", None),
        ("1.2.840.10008.1.2.5", None),
        ("1.2.840.10008.1.2.7.3", None),
        ("1.2.840.10008.1.2.8.1", None),
        ("1.2.840.10008.1.2.1.98", None),
        ("1.2.840.10008.1.2.4.", "UNKNOWN_TRANSFER_SYNTAX"),
        ("1.2.840.10008.1.2.40.1", "UNKNOWN_TRANSFER_SYNTAX"),
    ],
)
def test_transfer_syntaxes(uid: str, reason: str | None) -> None:
    """Those of the standard are read, with new ones of their kinds; another is refused."""
    data = dicom(el("PatientName", "A"), transfer_syntax=uid)

    outcome = every_way(data, plan_of("name: PatientName, remove: true"))

    assert (outcome.error and outcome.error[0]) == reason


# --- group 2 elsewhere ---

EXPLICIT_UID, JPEG_UID = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.50"
LEFT_OUT = ("elements of the file meta in the data set were left out",)
HASHING = ["name: SOPInstanceUID, hashuid: true", "name: PatientName, replace-with: X"]


def with_misplaced(syntax: Syntax, *places: str) -> bytes:
    """Returns a file that holds its original UID as an element of group 2 in some places."""

    def misplaced(place: str, *more: Part) -> list[Part]:
        if place not in places:
            return []
        uid = el(0x00020003, UID)
        return [sq(0x00021234, [uid], undefined=True), uid, el(0x00025555, UID, "LO"), *more]

    item: list[Part] = [*misplaced("item"), el("PatientID", "7"), *misplaced("end of item")]
    inner = sq("OtherPatientIDsSequence", item, undefined=True)
    return dicom(
        *misplaced("first")[1:],
        el("SOPInstanceUID", UID),
        *misplaced("middle"),
        el("Modality", "CT"),
        el("PatientName", "Doe"),
        sq("OtherPatientIDsSequence", item, [inner]),
        el("Rows", (1,)),
        el("Columns", (1,)),
        *misplaced("last"),
        syntax=syntax,
    )


@pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=SYNTAXES)
@pytest.mark.parametrize("place", ["first", "middle", "last", "item", "end of item"])
@pytest.mark.parametrize(
    "rules",
    [
        [*HASHING, "name: OtherPatientIDsSequence.*.PatientID, hash: true",
         "name: OtherPatientIDsSequence.*.OtherPatientIDsSequence.*.PatientID, hash: true"],
        ["regex: '.*UID', hashuid: true"],
        ["name: SOPInstanceUID, hashuid: true", "recurse"],
        ["name: MediaStorageSOPInstanceUID, keep: true", *HASHING, "recurse"],
    ],
    ids=["paths", "regex", "recursion", "named"],
)  # fmt: skip
def test_elements_of_group_2_do_not_survive_in_the_data_set(
    rules: list[str], place: str, syntax: Syntax
) -> None:
    """Wherever a rule looks for elements, those of the file meta go; the receipt says so."""
    recurse = "true" if "recurse" in rules else "false"
    plan = plan_of(*(rule for rule in rules if rule != "recurse"), recurse_sequence=recurse)
    wanted = every_way(with_misplaced(syntax), plan)

    outcome = every_way(with_misplaced(syntax, place), plan)

    assert (outcome.output, outcome.warnings) == (wanted.output, LEFT_OUT)
    assert outcome.actions == wanted.actions
    assert UID.encode() not in outcome.output


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT], ids=["explicit", "implicit"])
def test_the_file_meta_ends_where_its_length_says(syntax: Syntax) -> None:
    """What the data set begins with is none of the file meta, in whatever encoding it is."""
    data = dicom(el(0x00020016, "Doe"), el("SOPInstanceUID", UID), syntax=syntax)

    outcome = every_way(data, plan_of(*HASHING))

    assert outcome.warnings == LEFT_OUT
    assert 0x00020016 not in meta_of(outcome.output)
    assert values_of(outcome.output).keys() == {0x00080018, 0x00100010}


def test_elements_behind_a_length_that_is_too_short_are_of_the_file_meta() -> None:
    """A group length that leaves out the transfer syntax is wrong, and read over."""
    good = dicom(el("SOPInstanceUID", UID), meta=[CLASS, el(0x00020003, UID), el(0x00020016, "A")])
    short = len(encode([CLASS]))
    data = good.replace(good[132:144], encode([el(0x00020000, (short,))]))

    outcome = every_way(data, plan_of(*HASHING))

    assert outcome == every_way(good, plan_of(*HASHING))
    assert not outcome.warnings


def two_metas(first: str, second: str, syntax: Syntax, *, second_syntax: Syntax) -> bytes:
    """Returns a file with two file metas, each with a transfer syntax."""
    again = [CLASS, el(0x00020003, "9.9"), el(0x00020010, second), el(0x00020016, "Doe")]
    length = el(0x00020000, (len(encode(again, second_syntax)),))
    file = dicom(encode([length, *again], second_syntax), transfer_syntax=first, syntax=syntax)
    return file + encode([el("SOPInstanceUID", UID), el("PatientName", "Doe")], syntax)


@pytest.mark.parametrize(
    ("syntax", "second_syntax", "uid"),
    [
        (EXPLICIT, EXPLICIT, EXPLICIT_UID),
        (IMPLICIT, IMPLICIT, "1.2.840.10008.1.2"),
        (IMPLICIT, EXPLICIT, "1.2.840.10008.1.2"),
    ],
    ids=["explicit", "implicit", "explicit before implicit"],
)
def test_a_second_file_meta_goes(syntax: Syntax, second_syntax: Syntax, uid: str) -> None:
    """Of two file metas the first one counts; the second is left out."""
    data = two_metas(uid, uid, syntax, second_syntax=second_syntax)

    outcome = every_way(data, plan_of(*HASHING))

    assert outcome.warnings == LEFT_OUT
    assert meta_of(outcome.output)[0x00020003] == HASHED
    assert 0x00020016 not in meta_of(outcome.output)
    assert b"Doe" not in outcome.output


@pytest.mark.parametrize("second_syntax", [EXPLICIT, IMPLICIT], ids=["explicit", "implicit"])
@pytest.mark.parametrize("first", [EXPLICIT_UID, JPEG_UID])
def test_file_metas_that_contradict_each_other_reject(first: str, second_syntax: Syntax) -> None:
    """A second transfer syntax says otherwise how to read the file: which is right is not told."""
    second = JPEG_UID if first == EXPLICIT_UID else EXPLICIT_UID
    data = two_metas(first, second, second_syntax, second_syntax=second_syntax)

    error = rejected(data, plan_of(*HASHING))

    assert error[:3] == (
        "MALFORMED", "a second file meta contradicts the first", "(0002,0010)",
    )  # fmt: skip


def test_a_transfer_syntax_within_the_data_set_must_be_that_of_the_file_meta() -> None:
    """The same anywhere in the data set, but not in an item, which says nothing of the file."""
    plan = plan_of(*HASHING, "name: OtherPatientIDsSequence.*.PatientID, hash: true")
    syntax = el(0x00020010, JPEG_UID)
    name = el("PatientName", "Doe")
    item = [syntax, el("PatientID", "7")]

    assert rejected(dicom(name, syntax), plan)[0] == "MALFORMED"
    assert every_way(dicom(name, syntax, transfer_syntax=JPEG_UID), plan).warnings == LEFT_OUT
    assert every_way(dicom(sq("OtherPatientIDsSequence", item)), plan).warnings == LEFT_OUT


def test_a_data_set_that_is_not_encoded_as_it_says() -> None:
    """Where transfer syntax and data set disagree the data set is right, and one is told."""
    explicit = encode([el("SOPClassUID", "1.2"), el("PatientName", "A")])
    start = dicom(transfer_syntax="1.2.840.10008.1.2")

    outcome = every_way(start + explicit, plan_of("name: PatientName, replace-with: X"))

    assert outcome.output.endswith(encode([el("PatientName", "X")]))
    assert outcome.warnings == ("the data set is not encoded as its transfer syntax says",)


@pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=SYNTAXES)
def test_a_private_transfer_syntax_is_read_where_the_profile_lists_it(syntax: Syntax) -> None:
    """How the data set is encoded is told by its first elements, and is not learned from."""
    uid, name = "1.2.840.113619.5.2", el("PatientName", "Doe")
    data = dicom(el("SOPInstanceUID", UID), name, syntax=syntax, transfer_syntax=uid)
    rule = "name: PatientName, replace-with: X"
    listing = plan_of(rule, private_transfer_syntaxes=f"[1.2.3, {uid}]")

    output = deidentified(data, listing)

    assert output.endswith(encode([el("PatientName", "X")], syntax))
    assert meta_of(output)[0x00020010] == uid
    assert rejected(data, plan_of(rule, private_transfer_syntaxes="1.2.3"))[0] == (
        "UNKNOWN_TRANSFER_SYNTAX"
    )
