"""Files that are told by what was learned from others come out as without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deid_service.engine import compile_plan
from deid_service.engine.encoding.headers import VRS
from deid_service.engine.layouts import learning
from profile_service.language import parse_profile
from tests.support.engine.build import dicom, el, encode, sq
from tests.support.engine.every_way import (
    deidentified,
    every_way,
    plan_of,
    rejected,
    run,
    values_of,
)
from tests.support.engine.files import DICOM_FILES, name_of
from tests.support.engine.profiles import PROFILES
from tests.support.engine.series import series
from tests.support.engine.walk import BIG, EXPLICIT, IMPLICIT, UnreadableError, read_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from deid_service.engine import Plan
    from tests.support.engine.build import Part
    from tests.support.engine.walk import Syntax

# Enough for lengths to be seen, learned and met again.
FILES = 12

_MAX_BYTES = 100_000


def _usable(path: Path) -> bool:
    data = path.read_bytes()
    if not 0 < len(data) <= _MAX_BYTES:
        return False
    try:
        file = read_file(data)
    except UnreadableError:
        return False
    return bool(file.meta and file.elements and not file.deflated)


USABLE = [path for path in DICOM_FILES if _usable(path)]


def _beginnings(plan: Plan) -> int:
    """Returns how many kinds of data sets a plan can tell by their beginning."""
    return sum(len(each.beginnings) for each in plan.metas.layouts())


# Fewer elements are not worth a layout.
_MIN_ELEMENTS = 10
_PRIVATE_INFORMATION = 0x00020102


def _is_learned_from(data: bytes) -> bool:
    """Whether files like this are learned from: no directory, little endian, a plain file meta."""
    file = read_file(data)
    meta = {each.tag: each.value for each in file.meta}
    return (
        {0x00020000, 0x00020003} <= meta.keys()
        and _PRIVATE_INFORMATION not in meta
        and meta[0x00020002].rstrip(b"\0") != b"1.2.840.10008.1.3.10"
        and file.elements[0].syntax is not BIG
        and len(file.elements) >= _MIN_ELEMENTS
    )


@pytest.mark.parametrize("profile_name", PROFILES)
@pytest.mark.parametrize("path", USABLE, ids=name_of)
def test_a_series_comes_out_as_its_files_alone(path: Path, profile_name: str) -> None:
    """The files of a series come out the same whether or not others came before them."""
    profile = parse_profile(PROFILES[profile_name])
    taught, untaught = compile_plan(profile), compile_plan(profile, learn=False)
    original = path.read_bytes()
    applied = 0
    ended = set()
    for data in series(original, FILES, seed=1):
        outcome = run(taught, [data])
        alone = run(untaught, [data])

        assert outcome == alone
        assert alone.applied_bytes == 0
        applied += outcome.applied_bytes
        # A file that is encoded otherwise than its file meta says has a warning.
        ended.add((outcome.error, outcome.warnings))
    assert applied > 0 or not _is_learned_from(original) or ended != {(None, ())}
    assert refused(taught) == 0


def refused(plan: Plan) -> int:
    """Returns how many layouts were not as the walk when they were tried."""
    return sum(each.refused for each in plan.metas.layouts())


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm", "MR_small_implicit.dcm"])
@pytest.mark.parametrize("profile_name", ["twelve rules", "three hundred emptied"])
def test_a_series_is_learned(name: str, profile_name: str) -> None:
    """After some files of a series its beginning is known, whatever lengths its values have."""
    plan = compile_plan(parse_profile(PROFILES[profile_name]))
    path = next(each for each in DICOM_FILES if each.name == name)
    files = list(series(path.read_bytes(), 80, seed=2))
    for data in files:
        run(plan, [data])
    told = [data for data in files if _is_told(plan, data)]

    assert len(told) > len(files) / 2


def _is_told(plan: Plan, data: bytes) -> bool:
    (known,) = plan.metas.layouts()
    start = read_file(data).start
    return known.apply_at_beginning(data, start, plan.rules, plan.memo) is not None


def test_what_comes_later_is_walked() -> None:
    """Behind a beginning that is known, the rest may come in any pieces, or be cut off."""
    plan = plan_of("name: PatientName, replace-with: A", "name: SOPInstanceUID, hashuid: true")
    data = dicom(
        el("SOPInstanceUID", "1.2.3"),
        el("Modality", "CT"),
        el("PatientName", "Doe^John"),
        el("Rows", (1.0,)),
        el("Columns", (1.0,)),
        el("PixelData", bytes(70_000), vr="OW"),
        el(0xFFFCFFFC, bytes(10), vr="OB"),
    )
    for _ in range(3):
        deidentified(data, plan)
    assert _beginnings(plan)
    middle = data.index(bytes(70_000)) + 100

    whole = run(plan, [data])

    assert values_of(whole.output)[0x00100010] == b"A "
    assert run(plan, [data[:middle], data[middle:]]) == whole
    assert run(plan, [data[:-22]]).error is None
    assert run(plan, [data[:-4]]).error is not None
    assert run(plan, [data[:-4]]) == run(plan, [data[:500], data[500:-4]])


def test_a_value_that_stands_twice_is_seen_behind_what_is_known() -> None:
    """A second SOP Instance UID, out of order, rejects the file as it does without learning."""
    plan = plan_of("name: SOPInstanceUID, hashuid: true")
    elements = [
        el("SOPInstanceUID", "1.2.3"),
        el("Modality", "CT"),
        el("PatientName", "Doe^John"),
        el("Rows", (1.0,)),
        el("Columns", (1.0,)),
    ]
    for _ in range(3):
        deidentified(dicom(*elements), plan)
    assert _beginnings(plan)

    error = rejected(dicom(*elements, el("SOPInstanceUID", "1.2.4")), plan)

    assert error[0] == "MALFORMED"


def test_an_element_out_of_order_is_not_told_by_what_was_learned() -> None:
    """Behind the place where it was inserted an element is dropped, also where it is known."""
    plan = plan_of("name: PatientName, replace-with: A", "name: Rows, remove: true")
    group_length = el(0x00100000, (0.0,), vr="UL")
    patient = [
        el("PatientName", "Doe^John"),
        el("PatientID", "1"),
        el("PatientSex", "O"),
        el("PatientAge", "042Y"),
    ]
    first = [el("SOPInstanceUID", "1.2.3"), el("Modality", "CT")]
    for _ in range(3):
        deidentified(dicom(*first, group_length, *patient), plan)
    (known,) = plan.metas.layouts()
    assert set(known.known) == {b"\x10\0\x10\0"}

    output = deidentified(dicom(*first, el("StudyID", "7"), group_length, *patient), plan)

    assert [each.tag for each in read_file(output).elements].count(0x00100010) == 1


def test_a_value_that_cannot_be_changed_rejects_a_file_of_a_known_kind() -> None:
    """In a file that is laid out as known, a value that a rule cannot read rejects it."""
    plan = plan_of("name: StudyDate, increment-date: true", date_increment=3)

    def file(date: str) -> bytes:
        return dicom(
            el("SOPInstanceUID", "1.2.3"),
            el("StudyDate", date),
            el("Modality", "CT"),
            el("PatientName", "Doe^John"),
            el("Rows", (1.0,)),
        )

    for _ in range(3):
        deidentified(file("20240101"), plan)
    assert _beginnings(plan)

    assert rejected(file("20241301"), plan)[0] == "VALUE_NOT_TRANSFORMABLE"
    assert values_of(deidentified(file("20240102"), plan))[0x00080020] == b"20240105"


def test_an_unknown_sequence_is_not_taken_for_a_value() -> None:
    """An unknown element that holds items is looked into, where in known files it held none."""
    plan = plan_of("name: PatientName, replace-with: A", recurse_sequence="true")

    def file(value: bytes) -> bytes:
        return dicom(
            el("SOPInstanceUID", "1.2.3"),
            el("Modality", "CT"),
            el(0x00111001, value, vr="UN"),
            el("Rows", (1.0,)),
            el("Columns", (1.0,)),
        )

    item = b"\xfe\xff\x00\xe0\x0c\0\0\0" + b"\x10\0\x10\0\x04\0\0\0DOE^"
    for _ in range(3):
        deidentified(file(bytes(len(item))), plan)
    assert _beginnings(plan)

    assert b"DOE^" not in deidentified(file(item), plan)


def test_lengths_that_differ_widely_are_left_to_the_walk() -> None:
    """An element that is short in one file and long in the next does not keep others from use."""
    plan = plan_of("name: PatientName, replace-with: A")

    def file(length: int) -> bytes:
        return dicom(
            el("SOPInstanceUID", "1.2.3"),
            el("Modality", "CT"),
            el("Manufacturer", "M"),
            el("PatientName", "Doe^John"),
            el("PatientComments", "C" * length),
            el("Rows", (1.0,)),
            el("Columns", (1.0,)),
        )

    for length in (2, 2000, 4, 900, 2, 2, 2, 2):
        deidentified(file(length), plan)

    (known,) = plan.metas.layouts()
    assert {each.last_tag for each in known.beginnings} == {0x00100010}
    assert deidentified(file(3000), plan)


def test_what_is_learned_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """When too much was learned all of it is forgotten, and learned anew."""
    monkeypatch.setattr(learning, "MAX_PARTS", 100)
    plan = plan_of("name: PatientName, replace-with: A")

    def files() -> Iterator[bytes]:
        for number in range(200):
            yield dicom(
                el("SOPInstanceUID", "1.2.3"),
                el("Modality", "CT"),
                el("PatientName", "Doe^John"),
                el("Rows", (1.0,)),
                el(0x00290010 + number % 7, "CREATOR", vr="LO"),
            )

    alone = [run(plan_of("name: PatientName, replace-with: A"), [data]) for data in files()]

    assert [run(plan, [data]) for data in files()] == alone


def test_sequences_of_undefined_length_are_part_of_what_is_known() -> None:
    """A file whose sequences end with delimiters is told as a whole."""
    plan = plan_of("name: PatientName, replace-with: A", "name: SOPInstanceUID, hashuid: true")
    data = dicom(
        el("SOPInstanceUID", "1.2.3"),
        el("Modality", "CT"),
        sq("ReferencedStudySequence", [el("ReferencedSOPInstanceUID", "1.2")], undefined=True),
        el("PatientName", "Doe^John"),
        el("Rows", (1.0,)),
    )
    for _ in range(3):
        deidentified(data, plan)

    (known,) = plan.metas.layouts()
    assert {each.last_tag for each in known.beginnings} == {0x00280010}


def test_there_are_files_for_this() -> None:
    """The package has files that series can be made of, of the kinds that matter."""
    names = {path.name for path in USABLE}

    assert {"CT_small.dcm", "MR_small_implicit.dcm", "rtplan.dcm", "reportsi.dcm"} <= names


def test_a_sequence_that_differs_in_length_keeps_nothing_else_from_use() -> None:
    """Where lengths inside of a sequence differ, what stands around it is told all the same."""
    plan = plan_of("name: PatientName, replace-with: A", recurse_sequence="true")

    def file(uid: str) -> bytes:
        return dicom(
            el("SOPInstanceUID", "1.2.3"),
            el("Modality", "CT"),
            el("Manufacturer", "M"),
            el("InstitutionName", "I"),
            sq("ReferencedImageSequence", [el("ReferencedSOPInstanceUID", uid)]),
            el("PatientName", "Doe^John"),
            el("PatientID", "1"),
            el("Rows", (1.0,)),
            el("Columns", (1.0,)),
        )

    for length in (1, 5, 9, 3, 7, 11, 13):
        run(plan, [file("1." + "2" * length)])

    (known,) = plan.metas.layouts()
    assert {each.last_tag for each in known.beginnings} == {0x00080080}
    assert set(known.known) == {b"\x08\0\x18\0", b"\x10\0\x10\0"}


@pytest.mark.parametrize("undefined", [False, True], ids=["lengths", "delimiters"])
@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT], ids=["explicit", "implicit"])
def test_what_is_changed_inside_of_sequences_is_part_of_what_is_known(
    syntax: Syntax, undefined: bool
) -> None:
    """A file is told as a whole, and the lengths around what was changed are right."""
    plan = plan_of(
        "name: PatientName, replace-with: A",
        "name: SOPInstanceUID, hashuid: true",
        "name: ReferencedSOPInstanceUID, hashuid: true",
        "name: CodeMeaning, replace-with: 'Something longer'",
        "name: CodeValue, remove: true",
        recurse_sequence="true",
    )
    code: list[Part] = [el("CodeValue", "1234"), el("CodeMeaning", "Chest")]
    study: list[Part] = [
        el("ReferencedSOPInstanceUID", "1.2.840.99"),
        sq("PurposeOfReferenceCodeSequence", code, [], undefined=undefined),
    ]
    data = dicom(
        el("SOPInstanceUID", "1.2.3"),
        el("Modality", "CT"),
        sq("ProcedureCodeSequence", [el("CodingSchemeVersion", "1")], undefined=undefined),
        sq("ReferencedStudySequence", study, study, undefined=undefined),
        el("PatientName", "Doe^John"),
        el("Rows", (1.0,)),
        syntax=syntax,
    )
    alone = run(plan, [data[:200], data[200:]])
    for _ in range(3):
        assert deidentified(data, plan) == alone.output

    (known,) = plan.metas.layouts()
    assert {each.last_tag for each in known.beginnings} == {0x00280010}
    assert alone.output.count(b"Something longer") == 3
    assert run(plan, [data]) == alone


# --- what was learned holds for what is read as it was ---


def _taught(plan: Plan, files: Iterable[bytes]) -> None:
    for data in files:
        run(plan, [data])


def _named(syntax: Syntax, text: str) -> bytes:
    """Returns a data set with a description that differs, and a name behind it."""
    return encode(
        [
            el("SOPClassUID", "1.2"),
            el("SOPInstanceUID", "1.2"),
            el("Modality", "CT"),
            el("Manufacturer", "MAN"),
            el("StudyDescription", text),
            el("PatientName", "Doe^John"),
            el("PixelData", bytes(40_000), vr="OW"),
        ],
        syntax,
    )


@pytest.mark.parametrize("uid", [None, ""], ids=["absent", "empty"])
def test_nothing_is_learned_where_the_encoding_is_guessed(uid: str | None) -> None:
    """Without a transfer syntax, files of several encodings come under one file meta."""
    fields = ["name: PatientName, replace-with: ANON", "name: SOPInstanceUID, hashuid: true"]
    plan = plan_of(*fields)

    def file(data_set: bytes) -> bytes:
        meta = [el(0x00020002, "1.2"), el(0x00020003, "1.2")]
        meta += [] if uid is None else [el(0x00020010, uid)]
        body = encode(meta)
        start = bytes(128) + b"DICM" + encode([el(0x00020000, (len(body),))]) + body
        return start + data_set

    def other(number: int) -> bytes:
        elements = [el("SOPClassUID", "1.2"), el("SOPInstanceUID", "1.2")]
        return file(encode([*elements, el(0x00100020 + number, "x", "LO")], IMPLICIT))

    files = [file(_named(EXPLICIT, text)) for text in ("", "", "B" * 200, "", "")]
    files += [other(1), other(2), *(file(_named(each, "")) for each in (EXPLICIT, IMPLICIT, BIG))]
    for data in files * 2:
        outcome = run(plan, [data])

        assert outcome == run(plan_of(*fields), [data])
        assert b"Doe" not in outcome.output
        assert outcome.error is None
    assert all(not each.known for each in plan.metas.layouts())


@pytest.mark.parametrize("declared", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"])
def test_what_was_learned_is_not_for_files_that_are_encoded_otherwise_than_they_say(
    declared: str,
) -> None:
    """Whether a file is encoded as its transfer syntax says is told before it is recognized."""
    fields = ["name: PatientName, replace-with: ANON", "name: SOPInstanceUID, hashuid: true"]
    plan = plan_of(*fields)
    files = [
        dicom(_named(syntax, text), transfer_syntax=declared, meta=[el(0x00020003, "1.2")])
        for text in ("", "B" * 10, "", "x")
        for syntax in (EXPLICIT, IMPLICIT, BIG)
    ]
    for data in files * 3:
        assert run(plan, [data]) == run(plan_of(*fields), [data])
    assert _beginnings(plan)


@pytest.mark.parametrize("vr", sorted(VRS))
def test_a_length_that_looks_like_a_vr_is_a_length(vr: str) -> None:
    """In implicit VR a first value of 16,708 bytes is none of the VR DA, learned or alone."""
    length = int.from_bytes(vr.encode(), "little")
    first = el(0x00080001, b"text" * (length // 4) + b"te"[: length % 4], "UT")
    parts = [first, el("SOPInstanceUID", "1.2"), el("PatientName", "Doe"), el("Rows", (1,))]
    plan = plan_of("name: PatientName, replace-with: A")
    data = dicom(*parts, syntax=IMPLICIT)
    _taught(plan, [data] * 4)

    outcome = every_way(data, plan, byte_by_byte=False)

    assert outcome.output.endswith(encode([el("PatientName", "A"), el("Rows", (1,))], IMPLICIT))
    assert not outcome.warnings


def test_an_empty_first_value_shows_its_vr() -> None:
    """A data set in explicit VR may begin with an empty value, whatever its file meta says."""
    data_set = encode([el("SpecificCharacterSet", ""), el("PatientName", "Doe")])
    data = dicom(transfer_syntax="1.2.840.10008.1.2") + data_set

    outcome = every_way(data, plan_of("name: PatientName, replace-with: A"))

    assert outcome.output.endswith(encode([el("PatientName", "A")]))
    assert len(outcome.warnings) == 1


def test_character_sets_are_part_of_what_is_known() -> None:
    """The same text in two character sets, under one file meta, is told by neither's layout."""
    fields = ["name: PatientName, hash: true", "name: SOPInstanceUID, hashuid: true"]
    plan = plan_of(*fields)

    def file(charset: str, name: bytes) -> bytes:
        return dicom(
            el("SpecificCharacterSet", charset),
            el("SOPInstanceUID", "1.2"),
            el("Modality", "CT"),
            el("PatientName", name),
            el("Rows", (1,)),
            meta=[el(0x00020003, "1.2")],
        )

    name = "Größe^Ä ".encode()
    files = [file(charset, name) for charset in ("ISO_IR 100", "ISO_IR 192", "ISO_IR 144")]
    for data in files * 6:
        assert run(plan, [data]) == run(plan_of(*fields), [data])
    assert len({values_of(run(plan, [data]).output)[0x00100010] for data in files}) == len(files)
    assert _beginnings(plan)


@pytest.mark.parametrize("held", [100, 250, 400, 2000])
def test_limits_hold_for_files_that_are_known(held: int) -> None:
    """What may be held of a file is not passed by what was learned from files with more room."""
    fields = [
        "name: PatientName, replace-with: ANON",
        "name: OtherPatientIDsSequence.0.PatientID, hash: true",
        "name: StudyDescription, hash: true",
    ]
    plan = plan_of(*fields)
    data = dicom(
        el("SOPInstanceUID", "1.2"),
        el("Modality", "CT"),
        el("StudyDescription", "d" * 60),
        el("PatientName", "Doe"),
        sq("OtherPatientIDsSequence", [el("PatientID", "7"), el("PatientName", "n" * 60)]),
        el("Rows", (1,)),
    )
    _taught(plan, [data] * 6)
    assert _beginnings(plan)

    known = run(plan, [data], max_held=held)

    assert known == run(plan_of(*fields), [data], max_held=held)


# --- the cut does not matter, nor what came before ---


def test_a_name_made_of_character_sets_is_the_same_once_they_are_known() -> None:
    """The values of (0008,0005) name an output, not the text that says them."""
    plan = plan_of(
        "name: PatientID, hash: true", filenames="[{output: '{SpecificCharacterSet}.dcm'}]"
    )
    charset = el("SpecificCharacterSet", "ISO 2022 IR 6 \\ISO 2022 IR 87")
    other = el("SpecificCharacterSet", "ISO 2022 IR 6\\ISO 2022 IR 87")
    rest: list[Part] = [el("SOPInstanceUID", "1.2"), el("Modality", "CT"), el("PatientID", "7")]
    for data in (dicom(charset, *rest), dicom(charset, *rest, charset), dicom(other, *rest)):
        for _ in range(4):
            outcome = every_way(data, plan)

            assert outcome.error is None
            assert outcome.filename == "ISO 2022 IR 6_ISO 2022 IR 87.dcm"


def test_what_became_of_an_element_is_known_by_its_encoding() -> None:
    """An element in big endian can have the bytes of another one in little endian."""
    rules = ["name: 20200101, replace-with: ''", "name: 01012020, replace-with: long"]
    plan = plan_of(*rules)
    for _ in range(3):
        for syntax in (EXPLICIT, BIG, IMPLICIT):
            parts: list[Part] = [el("Modality", "CT"), el(0x20200101, b"", "LO")]
            parts = [el(0x01012020, b"", "LO"), *parts] if syntax is BIG else parts
            data = dicom(*parts, syntax=syntax)

            assert every_way(data, plan) == run(plan_of(*rules), [data])


def test_an_element_is_not_written_twice_behind_a_group_out_of_order() -> None:
    """What was inserted stands for an element however the tags go up and down behind it."""
    plan = plan_of("name: BodyPartExamined, replace-with: X", "name: PatientID, hash: true")
    first: list[Part] = [el("SOPInstanceUID", "1.2"), el("Modality", "CT"), el("Rows", (1,))]
    back: list[Part] = [
        el(0x00100000, (10,), "UL"), el("PatientName", "A"), el("ClinicalTrialSponsorName", "B"),
        el("BodyPartExamined", "HEAD"), el("Columns", (1,)),
    ]  # fmt: skip
    for _ in range(4):
        run(plan, [dicom(*first, el("Columns", (1,)))])

    output = deidentified(dicom(*first, *back), plan)

    assert output.count(b"\x18\0\x15\0") == 1


@pytest.mark.parametrize(
    "ahead",
    [
        [el("StudyInstanceUID", "1.2")],
        [el("PatientID", "1")],
        [el("StudyID", "1"), el(0x00100000, (10,), "UL")],
    ],
    ids=["another group", "the same group", "behind a group length"],
)
def test_that_an_element_was_inserted_before_it_is_not_learned(ahead: list[Part]) -> None:
    """One that is dropped for standing out of order is not dropped where it stands in order."""
    plan = plan_of("name: PatientName, replace-with: X")
    first: list[Part] = [el("SOPInstanceUID", "1.2"), el("Modality", "CT")]
    patient: list[Part] = [
        el("PatientName", "Doe"), el("PatientID", "1"), el("PatientSex", "O"),
        el("PatientAge", "042Y"), el("PatientComments", "abcdefgh"), el("Rows", (1,)),
    ]  # fmt: skip
    for _ in range(4):
        run(plan, [dicom(*first, *ahead, *patient)])

    output = deidentified(dicom(*first, *patient), plan)

    assert [each.tag for each in read_file(output).elements].count(0x00100010) == 1


@pytest.mark.parametrize("length", range(1, 12))
@pytest.mark.parametrize("tag", [0x00101002, 0x0072ABCD])
@pytest.mark.parametrize("vr", ["UN", "SQ"])
@pytest.mark.parametrize(
    ("rules", "settings"),
    [
        (["name: PatientID, hash: true"], {"remove_private_tags": "true"}),
        (["name: PatientName, hash: true"], {"recurse_sequence": "true"}),
        (["regex: '.*Name', hash: true"], {}),
        (["name: 0072ABCD, replace-with: X"], {}),
        (["name: 0072ABCD, replace-with: X"], {"recurse_sequence": "true"}),
    ],
)
def test_short_values_of_unknown_vr_are_the_same_in_pieces(
    rules: list[str], settings: dict[str, str], vr: str, tag: int, length: int
) -> None:
    """Whether a value holds items is told by the value, not by how much of it has come."""
    plan = plan_of(*rules, **settings)
    item = bytes.fromhex("feff00e000000000aabbcc")
    for value in (item[:length], b"a" * length):
        odd = el(tag, value, vr)
        item_of = sq("ReferencedStudySequence", [el("PatientID", "7"), odd, el("Rows", (1,))])
        for parts in ([el("PatientID", "7"), odd], [item_of, el("PatientID", "7")]):
            every_way(dicom(*parts), plan)


@pytest.mark.parametrize("first", [0, 4])
def test_an_unknown_value_that_was_too_short_to_hold_items_is_looked_at(first: int) -> None:
    """Of lengths that differ, those that could hold an item are guarded, whichever came first."""
    plan = plan_of("regex: '.*PatientName', replace-with: A")

    def file(value: bytes) -> bytes:
        return dicom(
            el("SOPInstanceUID", "1.2.3"),
            el("Modality", "CT"),
            el(0x00111001, value, vr="UN"),
            el("Rows", (1.0,)),
            el("Columns", (1.0,)),
        )

    item = b"\xfe\xff\x00\xe0\x0c\0\0\0" + b"\x10\0\x10\0\x04\0\0\0DOE^"
    for length in (first, first, 4, len(item), len(item) - 8, 4, len(item)):
        deidentified(file(bytes(length)), plan)
    assert run(plan, [file(bytes(len(item)))]).applied_bytes > 0

    assert b"DOE^" not in deidentified(file(item), plan)
