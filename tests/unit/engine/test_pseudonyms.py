"""What is done by a key: hashes, UIDs, one shift per patient, and who the patient is."""

from __future__ import annotations

import hmac
import pickle
import re
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deid_service.engine import Deidentifier, DicomError, compile_plan, deidentify
from deid_service.engine.rules.dates import moved_by_days
from profile_service.language import parse_profile
from profile_service.language.model import ShiftRange
from tests.support.engine.build import SYNTAXES, El, Sq, dicom, el, sq, tag_of
from tests.support.engine.every_way import deidentified, every_way, plan_of, rejected, run
from tests.support.engine.keys import made_keys, with_keys
from tests.support.engine.walk import read_file

if TYPE_CHECKING:
    from deid_service.engine import Plan
    from tests.support.engine.walk import Syntax

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
SHIFT = "{shift-days: [-365, -30]}"
HASHED = "name: '**.PatientID', keyed-hash: true"
DATES = "regex: '.*(Date|DateTime|Time)$', keyed-shift: true"


def hashed(text: str, length: int = 16, alphabet: str = ALPHABET) -> str:
    """Returns what a text becomes, worked out apart from the engine."""
    number = int(hmac.new(b"key hash", text.encode(), "sha256").hexdigest(), 16)
    digits = []
    for _ in range(length):
        digits.append(alphabet[number % len(alphabet)])
        number //= len(alphabet)
    return "".join(digits)


def days_of(patient: str, key: str = "key", first: int = -365, last: int = -30) -> int:
    """Returns by how many days the dates of a patient move, worked out apart from the engine."""
    number = int(hmac.new(f"{key} shift".encode(), patient.encode(), "sha256").hexdigest(), 16)
    return first + number % (last - first + 1)


def values(output: bytes, name: str) -> list[str]:
    """Returns the values of an element, at every depth, in the order of the file."""

    def found(elements: list) -> list[str]:  # type: ignore[type-arg]
        texts = []
        for each in elements:
            if each.tag == tag_of(name):
                texts.append(each.value.decode("latin-1").rstrip(" \0"))
            for item in each.items or ():
                texts += found(item.elements)
        return texts

    return found(read_file(output).elements)


def file(*parts: El | Sq, syntax: Syntax | None = None, patient: str = "7") -> bytes:
    """Returns a file of a patient."""
    every = [*parts, el("PatientID", patient)]
    every.sort(key=lambda part: part.tag)
    return dicom(*every, syntax=syntax or SYNTAXES["explicit"])


# --- hashes ---


@pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=SYNTAXES)
def test_hash(syntax: Syntax) -> None:
    """A value becomes its HMAC in the characters that the rule says, the same at every depth."""
    data = file(sq("OtherPatientIDsSequence", [el("PatientID", "8 ")]), syntax=syntax)
    plan = plan_of(f"{HASHED}, alphabet: '0123456789', length: 20")

    output = deidentified(data, plan)

    expected = [hashed(text, 20, "0123456789") for text in ("7", "8")]
    assert values(output, "PatientID") == expected


@pytest.mark.parametrize(
    ("name", "vr", "pattern"),
    [
        ("AccessionNumber", "SH", "[0-9A-Z]{16}"),
        ("InstitutionName", "LO", "[0-9A-Z]{16}"),
        ("PatientName", "PN", "[0-9A-Z]{16}"),
        ("StationAETitle", "AE", "[0-9A-Z]{16}"),
        ("Modality", "CS", "[0-9A-Z]{16}"),
        ("PatientComments", "LT", "[0-9A-Z]{16}"),
        ("FrameOfReferenceUID", "UI", r"2\.25\.[1-9][0-9]{1,38}"),
    ],
)
def test_hash_is_legal(name: str, vr: str, pattern: str) -> None:
    """A hash is a legal value of every VR that can hold one."""
    output = deidentified(file(el(name, "1.2", vr)), plan_of(f"name: {name}, keyed-hash: true"))

    assert re.fullmatch(pattern, values(output, name)[0])


@pytest.mark.parametrize("vr", ["IS", "DS", "DA", "US", "OB"])
def test_hash_that_is_not_legal_rejects(vr: str) -> None:
    """A VR that holds no pseudonym unlike 10 million others rejects the file."""
    value = {"US": (7,), "DA": "20200101"}.get(vr, "12")
    data = file(el("SelectorISValue", value, vr))  # type: ignore[arg-type]

    error = rejected(data, plan_of("regex: 'SelectorISValue', keyed-hash: true"))

    assert error[0] == "VALUE_NOT_TRANSFORMABLE"


def test_values_and_empty_ones() -> None:
    """Each of several values has its hash; an empty one stays, and an absent element too."""
    data = file(el("OtherPatientIDs", "A\\\\B"))

    output = deidentified(data, plan_of("name: OtherPatientIDs, keyed-hash: true"))

    assert values(output, "OtherPatientIDs") == [f"{hashed('A')}\\\\{hashed('B')}"]


@pytest.mark.parametrize(
    ("written", "settings", "same_as"),
    [
        (" a1 ", "{}", "a1"),
        ("a1", "{ignore-case: true}", "A1"),
        ("e\u0301", "{}", "\u00e9"),
    ],
)
def test_spelling(written: str, settings: str, same_as: str) -> None:
    """Padding says nothing, and letter case where the profile says so."""
    charset = el("SpecificCharacterSet", "ISO_IR 192")
    data = file(charset, patient=written)

    output = deidentified(data, plan_of(HASHED, pseudonyms=settings))

    text = same_as.casefold() if "ignore-case" in settings else same_as
    assert values(output, "PatientID") == [hashed(text)]


def test_no_key_leaves_nothing() -> None:
    """Without keys no file is begun, and neither keys nor patients are seen or written."""
    profile = parse_profile(f"dicom: {{fields: [{{{HASHED}}}]}}")
    keys = made_keys("secret")

    with pytest.raises(ValueError, match="keys"):
        Deidentifier(compile_plan(profile))
    with pytest.raises(ValueError, match="keys"):
        compile_plan(profile).for_stream()
    with pytest.raises(TypeError):
        pickle.dumps(keys)
    plan = compile_plan(profile).for_stream(keys)
    deidentify(file(patient="4711"), plan)
    for shown in (repr(keys), repr(plan.memo.pseudonyms), str(keys)):
        assert "hash" not in shown.lower().replace("pseudonyms", "")
        assert "4711" not in shown


# --- the patient ---


def test_the_patient_is_known_by_issuer_and_id() -> None:
    """The same number of two issuers is two patients; where it appears again, it is the same."""
    again: list[El | Sq] = [
        el("OtherPatientIDs", "7\\8"),
        sq("OtherPatientIDsSequence", [el("PatientID", "7")]),
    ]
    plan = plan_of(HASHED, "name: OtherPatientIDs, keyed-hash: true")
    outputs = {
        issuer: deidentified(file(el("IssuerOfPatientID", issuer), *again), plan)
        for issuer in ("", "HERE", "THERE")
    }

    expected = {"": hashed("7"), "HERE": hashed("7\0HERE"), "THERE": hashed("7\0THERE")}
    for issuer, output in outputs.items():
        assert values(output, "PatientID") == [expected[issuer]] * 2
        assert values(output, "OtherPatientIDs") == [f"{expected[issuer]}\\{hashed('8')}"]


@pytest.mark.parametrize("name", ["PatientName", "ReferringPhysicianName"])
@pytest.mark.parametrize("value", [None, "", "DOE^JANE"])
def test_pseudonym_is_the_patients(name: str, value: str | None) -> None:
    """Whatever the value was, it becomes what the ID becomes; where there was none, too."""
    data = file(*([] if value is None else [el(name, value)]))

    found = every_way(data, plan_of(f"name: {name}, pseudonym: true", HASHED))

    assert values(found.output, name) == values(found.output, "PatientID") == [hashed("7")]
    assert found.actions == (("keyed-hash", 1), ("pseudonym", 1))


def test_elements_that_the_profile_names_say_who_the_patient_is() -> None:
    """Name and birth date tell a patient with several numbers."""
    plan = plan_of(
        HASHED,
        "name: PatientBirthDate, keyed-shift: true",
        pseudonyms="{patient: [PatientName, PatientBirthDate], shift-days: [-365, -30]}",
    )
    person = [el("PatientName", "DOE^JANE^^ "), el("PatientBirthDate", "19700102")]

    outputs = [deidentified(file(*person, patient=number), plan) for number in ("1", "2")]

    known_by = "DOE^JANE\x0019700102"
    moved = date(1970, 1, 2) + timedelta(days=days_of(known_by))
    for output in outputs:
        assert values(output, "PatientID") == [hashed(known_by)]
        assert values(output, "PatientBirthDate") == [f"{moved:%Y%m%d}"]


@pytest.mark.parametrize("parts", [[], [el("PatientID", "")], [el("PatientID", "  ")]])
@pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=SYNTAXES)
def test_without_a_patient(parts: list[El], syntax: Syntax) -> None:
    """A file that does not say who the patient is, is rejected, or its study is the patient."""
    study = el("StudyInstanceUID", "1.2.3")
    data = dicom(el("StudyDate", "20200102"), *parts, study, syntax=syntax)

    error = rejected(data, plan_of(DATES, pseudonyms=SHIFT))
    output = deidentified(
        data, plan_of(DATES, pseudonyms="{missing: study, shift-days: [-365, -30]}")
    )

    assert error[:3] == (
        "VALUE_NOT_TRANSFORMABLE",
        "who the patient is, on which the pseudonyms depend, is not said",
        "(0010,0020)",
    )
    moved = date(2020, 1, 2) + timedelta(days=days_of("study\x001.2.3"))
    assert values(output, "StudyDate") == [f"{moved:%Y%m%d}"]


def test_without_a_patient_and_a_study_a_file_is_rejected() -> None:
    """Nothing is left that could stand for the patient."""
    data = dicom(el("StudyDate", "20200102"))
    plan = plan_of(DATES, pseudonyms="{missing: study, shift-days: [-365, -30]}")

    assert rejected(data, plan)[0] == "VALUE_NOT_TRANSFORMABLE"


@pytest.mark.parametrize("rule", ["name: PatientID, keyed-hash: true", "name: PatientName"])
def test_a_second_patient_rejects(rule: str) -> None:
    """An ID that stands out of order, and says another patient, is refused."""
    data = dicom(
        el("StudyDate", "20200102"), el("PatientID", "1"), el("StudyID", "1"), el("PatientID", "2")
    )

    error = rejected(data, plan_of(rule, DATES, pseudonyms=SHIFT))

    assert error[:3] == (
        "MALFORMED",
        "an element that says who the patient is stands out of order",
        "(0010,0020)",
    )


def test_what_stands_before_the_patient_is_held_within_the_bound() -> None:
    """The ID is waited for as far as may be held, whatever stands before it, and no further."""
    items = [[el("ReferencedSOPInstanceUID", f"1.2.{number}")] for number in range(40)]
    plan = plan_of(DATES, pseudonyms=SHIFT)
    for undefined in (False, True):
        sequence = sq("ReferencedImageSequence", *items, undefined=undefined)
        data = file(el("StudyDate", "20200102"), sequence)
        size = len(data) - data.index(b"\x08\0\x20\0DA")

        assert run(plan, [data], max_held=size).error is None
        error = rejected(data, plan, max_held=size - 1)
        assert error[0] == "LIMIT_EXCEEDED"


def test_deflated() -> None:
    """In a deflated file the patient is found in what it inflates to."""
    data = dicom(el("StudyDate", "20200102"), el("PatientID", "7"), deflated=True)

    output = deidentified(data, plan_of(DATES, pseudonyms=SHIFT))

    moved = date(2020, 1, 2) + timedelta(days=days_of("7"))
    assert values(output, "StudyDate") == [f"{moved:%Y%m%d}"]


def test_a_media_directory_is_rejected_where_dates_move_by_the_patient() -> None:
    """It may be about several patients."""
    meta = [el(0x00020002, "1.2.840.10008.1.3.10"), el(0x00020003, "1.2")]
    data = dicom(el("FileSetID", "A"), meta=meta)

    assert rejected(data, plan_of(DATES, pseudonyms=SHIFT))[0] == "NOT_SUPPORTED"


# --- UIDs ---


def test_uids() -> None:
    """The same UID becomes the same everywhere, the file meta follows, the standard's stay."""
    data = dicom(
        el("SOPClassUID", "1.2.840.10008.5.1.4.1.1.2"),
        el("SOPInstanceUID", "1.2.3"),
        sq("ReferencedImageSequence", [el("ReferencedSOPInstanceUID", "1.2.3")], undefined=True),
        el("StudyInstanceUID", "1.2.840.10008.123456.7"),
    )

    found = every_way(data, plan_of("regex: '.*UID$', keyed-uid: true"))

    (new,) = set(values(found.output, "SOPInstanceUID"))
    assert re.fullmatch(r"2\.25\.[1-9][0-9]{1,38}", new)
    # RFC 9562 5.8: version 8, variant 10.
    number = int(new.rpartition(".")[2])
    assert (number >> 76 & 0xF, number >> 62 & 3) == (8, 2)
    assert values(found.output, "ReferencedSOPInstanceUID") == [new]
    assert new.encode() in found.output[: found.output.index(b"\x08\0\x16\0")]
    assert values(found.output, "SOPClassUID") == ["1.2.840.10008.5.1.4.1.1.2"]
    # Made up below the root of the standard: it may be about anybody.
    assert values(found.output, "StudyInstanceUID")[0].startswith("2.25.")
    assert found.actions == (("keyed-uid", 3),)


def test_uid_root() -> None:
    """UIDs are below the root that the profile names, and as long as may be."""
    plan = plan_of("name: StudyInstanceUID, keyed-uid: true", pseudonyms="{uid-root: 1.2.99}")

    output = deidentified(dicom(el("StudyInstanceUID", "1.2.3")), plan)

    assert re.fullmatch(r"1\.2\.99\.[1-9][0-9]{56}", values(output, "StudyInstanceUID")[0])


def test_the_file_meta_holds_no_original() -> None:
    """Where the data set has lost its instance UID, the file meta has a keyed one."""
    meta = [el(0x00020002, "1.2.840.10008.5.1.4.1.1.2"), el(0x00020003, "1.2.3")]
    plan = plan_of("name: SOPInstanceUID, remove: true", "name: StudyInstanceUID, keyed-uid: true")
    data = dicom(el("SOPInstanceUID", "1.2.3"), el("StudyInstanceUID", "1.2.3"), meta=meta)

    output = deidentified(data, plan)

    assert values(output, "StudyInstanceUID")[0].encode() in output[: output.index(b"\x20\0\r\0")]


def test_the_file_meta_of_one_stream_is_not_anothers() -> None:
    """What a key makes of the file meta is not remembered beyond its stream."""
    plan = compile_plan(
        parse_profile("dicom: {fields: [{name: SourceApplicationEntityTitle, keyed-hash: true}]}")
    )
    meta = [el(0x00020002, "1.2"), el(0x00020003, "1.2"), el(0x00020016, "SCANNER")]
    data = dicom(el("PatientID", "1"), meta=meta)

    outputs = [deidentify(data, with_keys(plan, name)) for name in "ABAB"]

    assert outputs[:2] == outputs[2:]
    assert outputs[0] != outputs[1]


# --- shifts ---


@pytest.mark.parametrize(
    ("vr", "text", "days", "expected"),
    [
        ("DA", "20040229", -60, "20031231"),
        ("DA", "2004.02.29", 1, "2004.03.01"),
        ("DA", "2004", 400, "2005"),
        ("DA", "200401", 31, "200402"),
        ("DA", "20040101-20040131", 1, "20040102-20040201"),
        ("DA", "20040101-", -1, "20031231-"),
        ("DA", "-20040101", -1, "-20031231"),
        ("DT", "20040101235959.123456+0100", -1, "20031231235959.123456+0100"),
        ("DT", "20040101-0500", 1, "20040102-0500"),
        ("DT", "2004-2006", 366, "2005-2007"),
        ("DT", "200401011200-0500-200402011200-0500", 1, "200401021200-0500-200402021200-0500"),
        ("DT", "20161231235960", 1, "20170101235960"),
        ("TM", "235959.99", 1, "235959.99"),
        ("TM", "12:30:00", 1, "12:30:00"),
        ("TM", "1000-1200", 1, "1000-1200"),
        ("LO", "20040101", 1, "20040102"),
    ],
)
def test_forms(vr: str, text: str, days: int, expected: str) -> None:
    """Every form of a date moves by the days and stays what it is; a time of day stays."""
    assert moved_by_days(text, vr, days) == expected


@pytest.mark.parametrize(
    ("vr", "text"),
    [
        ("DA", "DOE"),
        ("DA", "20040101+0100"),
        ("DA", "20041301"),
        ("DA", "20040101120000"),
        ("DA", "-"),
        ("DT", "20040101+9900"),
        ("DT", "-"),
        ("TM", "DOE"),
        ("TM", "2500"),
        ("TM", ""),
        ("DA", "00010101"),
        ("PN", "20040101"),
        ("LO", "x" * 300),
    ],
)
def test_what_is_no_date_does_not_move(vr: str, text: str) -> None:
    """What is no date is refused, and the message says nothing of it."""
    with pytest.raises(ValueError, match=r"^(?!.*(DOE|2004|2500)).*$"):
        moved_by_days(text, vr, -1)


@pytest.mark.parametrize(
    ("shift", "expected"),
    [
        (ShiftRange(-2, 2), [-2, -1, 1, 2]),
        (ShiftRange(-2, 2, zero=True), [-2, -1, 0, 1, 2]),
        (ShiftRange(-20, 20, weeks=True), [-14, -7, 7, 14]),
        (ShiftRange(3, 5), [3, 4, 5]),
        (ShiftRange(-15, -1, weeks=True), [-14, -7]),
        (ShiftRange(0, 1), [1]),
        (ShiftRange(2, 1), []),
    ],
)
def test_days_to_choose_from(shift: ShiftRange, expected: list[int]) -> None:
    """Each number of days in the range is chosen as often as the others; zero where allowed."""
    assert [shift.days(number) for number in range(shift.count)] == expected
    if expected:
        assert shift.days(shift.count) == expected[0]


PLAN = plan_of(DATES, "regex: '.*UID$', keyed-uid: true", HASHED, pseudonyms=SHIFT)
MOMENTS = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1))


@given(
    patient=st.text("ABC123", min_size=1, max_size=8),
    moments=st.lists(MOMENTS, min_size=2, max_size=6),
    depth=st.integers(0, 3),
)
def test_intervals_stay(patient: str, moments: list[datetime], depth: int) -> None:
    """The time between any two dates of a patient is the same before and after, across files."""
    found = []
    for moment in moments:
        inner: list[El | Sq] = [
            el("ContentDate", f"{moment:%Y%m%d}"),
            el("AcquisitionDateTime", f"{moment:%Y%m%d%H%M%S}+0100"),
            el("ContentTime", f"{moment:%H%M%S.%f}"),
        ]
        inner.sort(key=lambda part: part.tag)
        for level in range(depth):
            inner = [sq("ReferencedImageSequence", inner, undefined=level % 2 == 0)]
        output = deidentify(file(*inner, patient=patient), PLAN)
        day, time = values(output, "ContentDate"), values(output, "ContentTime")
        both = values(output, "AcquisitionDateTime")
        found.append(datetime.strptime(day[0] + time[0], "%Y%m%d%H%M%S.%f"))
        assert both == [f"{found[-1]:%Y%m%d%H%M%S}+0100"]

    for (before, after), (old, new) in zip(pairwise(found), pairwise(moments), strict=True):
        assert after - before == new - old
    assert (found[0] - moments[0]).days == days_of(patient)


def test_one_patient_has_one_shift_and_two_keys_have_two() -> None:
    """The shift is the same in every file and stream of a key, and another one by another key."""
    plan = compile_plan(parse_profile(f"dicom: {{pseudonyms: {SHIFT}, fields: [{{{DATES}}}]}}"))
    data = file(el("StudyDate", "20200601"))

    def shift(name: str) -> str:
        return values(deidentify(data, with_keys(plan, name)), "StudyDate")[0]

    for name in ("A", "B", "C"):
        moved = date(2020, 6, 1) + timedelta(days=days_of("7", name))
        assert {shift(name) for _ in range(6)} == {f"{moved:%Y%m%d}"}


# --- series ---


def slices(patients: str, count: int) -> list[bytes]:
    """Returns files that are laid out alike, of several patients in turn."""
    return [
        file(
            el("SpecificCharacterSet", "ISO_IR 100"),
            el("SOPClassUID", "1.2.840.10008.5.1.4.1.1.2"),
            el("SOPInstanceUID", f"1.2.3.{number:04}"),
            el("StudyDate", "20200601"),
            el("ContentDate", f"202006{number % 28 + 1:02}"),
            el("Modality", "CT"),
            el("PatientName", "DOE^JANE"),
            el("StudyInstanceUID", "1.2.4"),
            el("Rows", (512,)),
            patient=patients[number % len(patients)],
        )
        for number in range(count)
    ]


@pytest.mark.parametrize("patients", ["A", "AB", "ABCDEFG"])
def test_a_series_is_learned(patients: str) -> None:
    """Files of a series go by what was learned, of several patients and keys, as they do alone."""
    profile = parse_profile(
        f"dicom:\n  pseudonyms: {SHIFT}\n  fields:\n"
        f"  - {{{DATES}}}\n  - {{{HASHED}}}\n  - {{name: PatientName, pseudonym: true}}\n"
        "  - {name: SOPInstanceUID, keyed-uid: true}\n"
    )
    taught, untaught = compile_plan(profile), compile_plan(profile, learn=False)
    streams = {name: with_keys(taught, name) for name in "XY"}
    learned = 0
    for number, data in enumerate(slices(patients, 30)):
        name = "XY"[number % 3 == 0]

        outcome = run(streams[name], [data])

        assert outcome == run(with_keys(untaught, name), [data])
        learned += outcome.applied_bytes == len(data) - data.index(b"\x08\0\5\0CS")
    assert learned > 20
    assert [each.refused for each in taught.metas.layouts()] == [0]


def test_what_was_learned_says_that_a_patient_is_missing() -> None:
    """A file that is laid out as others, and says no patient, is rejected as alone."""
    plan: Plan = plan_of(DATES, HASHED, pseudonyms=SHIFT)
    for data in slices("A", 10):
        run(plan, [data])

    with pytest.raises(DicomError, match="who the patient is"):
        deidentify(slices(" ", 1)[0], plan)


def test_a_text_that_a_rule_rewrites_has_the_same_pseudonym() -> None:
    """The ID within another text becomes what it becomes elsewhere."""
    rule = (
        "name: StudyDescription, regex-sub: [{input-regex: '(?P<id>[0-9]+) (?P<rest>.*)', "
        "output: '{id}: {rest} {PatientName}', groups: [{name: id, keyed-hash: true}, "
        "{name: rest}, {name: PatientName, pseudonym: true}]}]"
    )
    data = file(el("StudyDescription", "7 thorax"), el("PatientName", "DOE"))

    output = deidentified(data, plan_of(rule))

    assert values(output, "StudyDescription") == [f"{hashed('7')}: thorax {hashed('7')}"]
