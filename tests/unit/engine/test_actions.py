"""What each action does to the values of each VR, in every encoding."""

from __future__ import annotations

import struct
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest

from profile_service.language.vr import problem
from tests.support.engine.build import SYNTAXES, dicom, el, encode, sq, tag_of
from tests.support.engine.every_way import deidentified, every_way, plan_of, rejected, values_of

if TYPE_CHECKING:
    from tests.support.engine.build import Part, Value
    from tests.support.engine.walk import Syntax

LONG_PRIVATE = 0x00091002

# An element of each VR, with a value.
OF_EVERY_VR: dict[str, tuple[str, Value]] = {
    "AE": ("RetrieveAETitle", "STORE"),
    "AS": ("PatientAge", "042Y"),
    "AT": ("FrameIncrementPointer", (0x00181063,)),
    "CS": ("PatientSex", "M"),
    "DA": ("StudyDate", "20040119"),
    "DS": ("SliceThickness", "5.0000"),
    "DT": ("AcquisitionDateTime", "20040119072736"),
    "FD": ("RealWorldValueSlope", (1.5,)),
    "FL": ("ExaminedBodyThickness", (2.5,)),
    "IS": ("InstanceNumber", "007"),
    "LO": ("PatientID", "1CT1"),
    "LT": ("AdditionalPatientHistory", "back\\slash"),
    "OB": ("ICCProfile", b"\1\2\3\4"),
    "OD": ("DoubleFloatPixelData", bytes(8)),
    "OF": ("VectorGridData", bytes(4)),
    "OL": ("TrackPointIndexList", bytes(4)),
    "OV": ("ExtendedOffsetTable", bytes(8)),
    "OW": ("RedPaletteColorLookupTableData", bytes(4)),
    "PN": ("PatientName", "Doe^John"),
    "SH": ("AccessionNumber", "A1"),
    "SL": ("ReferencePixelX0", (-5,)),
    "SS": ("TagAngleSecondAxis", (-5,)),
    "ST": ("InstitutionAddress", "1 Road"),
    "SV": ("SelectorSVValue", (-5,)),
    "TM": ("StudyTime", "072730"),
    "UC": ("LongCodeValue", "code"),
    "UI": ("StudyInstanceUID", "1.2.3"),
    "UL": ("SimpleFrameList", (5,)),
    "UR": ("RetrieveURL", "http://a/b"),
    "US": ("Rows", (5,)),
    "UT": ("TextValue", "text"),
    "UV": ("SelectorUVValue", (5,)),
}

# Values that each VR can be given, and how they stand in little and big endian.
REPLACEMENTS = [
    ("AE", "OTHER", b"OTHER "),
    ("AS", "001D", b"001D"),
    ("AT", "'00100020'", {"<": b"\x10\0\x20\0", ">": b"\0\x10\0\x20"}),
    ("CS", "O", b"O "),
    ("DA", "'19000101'", b"19000101"),
    ("DS", "'1.5'", b"1.5 "),
    ("DT", "'2004'", b"2004"),
    ("FD", "'0.1'", {"<": struct.pack("<d", 0.1), ">": struct.pack(">d", 0.1)}),
    ("FL", "'-0.5'", {"<": struct.pack("<f", -0.5), ">": struct.pack(">f", -0.5)}),
    ("IS", "'12'", b"12"),
    ("LO", "ANON", b"ANON"),
    ("LT", "a", b"a "),
    ("PN", "Anon^", b"Anon^ "),
    ("SH", "x", b"x "),
    ("SL", "'-2'", {"<": struct.pack("<i", -2), ">": struct.pack(">i", -2)}),
    ("SS", "'-2'", {"<": struct.pack("<h", -2), ">": struct.pack(">h", -2)}),
    ("ST", "b", b"b "),
    ("SV", "'-2'", {"<": struct.pack("<q", -2), ">": struct.pack(">q", -2)}),
    ("TM", "'00'", b"00"),
    ("UC", "abc", b"abc "),
    ("UI", "1.2.3.4.5.6", b"1.2.3.4.5.6\0"),
    ("UL", "'9'", {"<": struct.pack("<I", 9), ">": struct.pack(">I", 9)}),
    ("UR", "http://x", b"http://x"),
    ("US", "'9'", {"<": struct.pack("<H", 9), ">": struct.pack(">H", 9)}),
    ("UT", "c", b"c "),
    ("UV", "'9'", {"<": struct.pack("<Q", 9), ">": struct.pack(">Q", 9)}),
]


def value_after(
    part: Part, rule: str, syntax: Syntax = SYNTAXES["explicit"], **settings: object
) -> bytes | None:
    """Returns the value of an element after one rule, None where it has gone."""
    name = rule.partition(",")[0].removeprefix("name: ")
    output = deidentified(dicom(part, syntax=syntax), plan_of(rule, **settings))
    return values_of(output).get(tag_of(name))


@pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=SYNTAXES)
@pytest.mark.parametrize("vr", OF_EVERY_VR)
def test_keep_changes_nothing(vr: str, syntax: Syntax) -> None:
    """A kept element stays byte for byte."""
    name, value = OF_EVERY_VR[vr]
    part = el(name, value, vr)

    assert encode([part], syntax).endswith(value_after(part, f"name: {name}", syntax) or b"?")


@pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=SYNTAXES)
@pytest.mark.parametrize("vr", [*OF_EVERY_VR, "UN"])
def test_remove_takes_any_vr_away(vr: str, syntax: Syntax) -> None:
    """A removed element is gone, with a value or empty."""
    name, value = OF_EVERY_VR.get(vr, ("PatientID", b"ab"))

    assert value_after(el(name, value, vr), f"name: {name}, remove: true", syntax) is None
    assert value_after(el(name, b"", vr), f"name: {name}, remove: true", syntax) is None


@pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=SYNTAXES)
@pytest.mark.parametrize("vr", [*OF_EVERY_VR, "UN"])
def test_replacing_with_nothing_empties_any_vr(vr: str, syntax: Syntax) -> None:
    """An element that is replaced with the empty text has its VR and no value."""
    name, value = OF_EVERY_VR.get(vr, ("PatientID", b"ab"))
    part = el(name, value, vr)

    output = deidentified(dicom(part, syntax=syntax), plan_of(f"name: {name}, replace-with: ''"))

    assert output.endswith(encode([el(name, b"", vr)], syntax))


@pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=SYNTAXES)
@pytest.mark.parametrize(("vr", "text", "wanted"), REPLACEMENTS, ids=[r[0] for r in REPLACEMENTS])
def test_replace_with_writes_what_the_vr_holds(
    vr: str, text: str, wanted: bytes | dict[str, bytes], syntax: Syntax
) -> None:
    """A replaced value is encoded as its VR demands, whatever stood there before."""
    name, value = OF_EVERY_VR[vr]
    rule = f"name: {name}, replace-with: {text}"
    new = wanted if isinstance(wanted, bytes) else wanted[syntax.order]

    assert value_after(el(name, value, vr), rule, syntax) == new
    assert value_after(el(name, b"", vr), rule, syntax) == new


@pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=SYNTAXES)
@pytest.mark.parametrize(("vr", "text", "wanted"), REPLACEMENTS, ids=[r[0] for r in REPLACEMENTS])
def test_replace_with_inserts_what_is_absent(
    vr: str, text: str, wanted: bytes | dict[str, bytes], syntax: Syntax
) -> None:
    """An absent element is inserted with the dictionary's VR, in its place."""
    name = OF_EVERY_VR[vr][0]
    before, after = el("FileSetID", "FS"), el("DataSetTrailingPadding", bytes(2))
    new = wanted if isinstance(wanted, bytes) else wanted[syntax.order]

    output = deidentified(
        dicom(before, after, syntax=syntax), plan_of(f"name: {name}, replace-with: {text}")
    )

    assert output.endswith(encode([before, el(name, new, vr), after], syntax))


def test_replace_with_can_be_told_not_to_insert() -> None:
    """With replace-with-insert off an absent element stays absent."""
    rule = "name: PatientID, replace-with: X, replace-with-insert: false"

    assert value_after(el("PatientName", "A"), rule) is None
    assert value_after(el("PatientID", "A"), rule) == b"X "
    assert value_after(el("PatientName", "A"), "name: PatientID, replace-with: X",
                       replace_with_insert="false") is None  # fmt: skip


def test_replace_with_several_values() -> None:
    """A list, and a text with backslashes, stand for several values."""
    assert (
        value_after(el("OtherPatientIDs", "A"), "name: OtherPatientIDs, replace-with: [a, b]")
        == b"a\\b "
    )
    assert (
        value_after(el("ImageType", "A"), r"name: ImageType, replace-with: 'X\Y\Z'") == b"X\\Y\\Z "
    )
    rule = "name: SimpleFrameList, replace-with: [1, 2]"
    assert value_after(el("SimpleFrameList", (1,)), rule) == struct.pack("<II", 1, 2)


def test_replacing_a_vr_other_than_the_dictionarys_rejects_what_it_cannot_hold() -> None:
    """The VR in the file decides what a value may be."""
    data = dicom(el("PatientID", (1,), "US"))

    assert rejected(data, plan_of("name: PatientID, replace-with: ABC"))[:4] == (
        "VALUE_NOT_ENCODABLE", "the new value does not fit: US is a whole number.",
        "(0010,0020)", "US",
    )  # fmt: skip


def test_a_value_too_long_for_a_short_length_rejects() -> None:
    """A value that the length field of its VR cannot say is not written."""
    names = "\\".join(["A" * 64] * 1100)
    rule = f"name: OtherPatientIDs, replace-with: '{names}'"

    assert rejected(dicom(el("OtherPatientIDs", "A")), plan_of(rule))[0] == "VALUE_NOT_ENCODABLE"


@pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=SYNTAXES)
def test_the_examples_of_the_specification(syntax: Syntax) -> None:
    """The documented examples of hash and hashuid come out as documented."""
    hash_rule, uid_rule = "name: PatientID, hash: true", "name: StudyInstanceUID, hashuid: true"

    assert value_after(el("PatientID", "1CT1"), hash_rule, syntax) == b"1c3ee9adf6f95ec4"
    assert value_after(el("PatientID", "NESTED1"), hash_rule, syntax) == b"21cdd11d3e142c98"
    assert value_after(el("StudyInstanceUID", "1.2.3.4.5.6.7.8.9.10"), uid_rule, syntax) == (
        b"1.2.3.4.332841.251331.232102.333453.631732.362131.10"
    )
    assert value_after(el("StudyInstanceUID", "1.2.3"), uid_rule, syntax) == (
        b"1.2.196127.912418.416448.230152.185254.212293.3\0"
    )


@pytest.mark.parametrize(
    ("name", "value", "digits"),
    [
        ("PatientID", "some text", 20),
        ("AdditionalPatientHistory", "some text", 20),
        ("InstitutionAddress", "some text", 20),
        ("LongCodeValue", "some text", 20),
        ("TextValue", "some text", 20),
        ("RetrieveURL", "http://a", 20),
        ("PatientName", "some text", 20),
        ("AccessionNumber", "some text", 16),
        ("RetrieveAETitle", "some text", 16),
        ("PatientSex", "M", 16),
        ("StudyDate", "20040119", 8),
        ("StudyTime", "0727", 14),
        ("AcquisitionDateTime", "2004", 20),
        ("PatientAge", "042Y", 4),
    ],
)
def test_hash_is_cut_to_what_the_vr_holds(name: str, value: str, digits: int) -> None:
    """A hash has as many hex digits as are asked for, and the VR allows."""
    digest = sha256(b"salt" + value.encode()).hexdigest()

    new = value_after(el(name, value), f"name: {name}, hash: true", salt="salt", hash_digits=20)

    assert new == digest[:digits].encode()


def test_hash_of_several_values() -> None:
    """Each value is hashed on its own; an empty one among them stays empty."""
    first, last = (sha256(text).hexdigest()[:16] for text in (b"a", b"c"))

    new = value_after(el("OtherPatientIDs", "a\\\\c"), "name: OtherPatientIDs, hash: true")

    assert new == f"{first}\\\\{last}".encode()


@pytest.mark.parametrize("padding", [b" ", b"\0", b"   ", b" \0"])
def test_padding_is_not_part_of_a_value(padding: bytes) -> None:
    """The same value with another padding has the same hash."""
    new = value_after(el("PatientID", b"1CT1" + padding), "name: PatientID, hash: true")

    assert new == b"1c3ee9adf6f95ec4"


@pytest.mark.parametrize("value", [b"", b"  ", b"\0\0", b"\\ "])
@pytest.mark.parametrize("action", ["hash", "hashuid", "increment-date", "jitter"])
def test_empty_values_stay_as_they_are(action: str, value: bytes) -> None:
    """An action that transforms leaves an element without a value byte for byte."""
    new = value_after(
        el("OtherPatientIDs", value, "LO"),
        f"name: OtherPatientIDs, {action}: true",
        date_increment=1,
    )

    assert new == value


@pytest.mark.parametrize(
    "action", ["hash", "hashuid", "increment-date", "increment-datetime", "jitter", "remove"]
)
def test_absent_elements_stay_absent(action: str) -> None:
    """No action but replace-with makes an element."""
    data = dicom(el("PatientName", "A"))
    plan = plan_of(f"name: OtherPatientIDs, {action}: true", date_increment=1)

    outcome = every_way(data, plan)

    assert outcome.output.endswith(encode([el("PatientName", "A")]))
    assert outcome.actions == ()


@pytest.mark.parametrize(
    "vr",
    ["AT", "DS", "FD", "FL", "IS", "OB", "OD", "OF", "OL", "OV", "OW", "SL", "SS", "SV", "UI", "UL",
     "US", "UV"],
)  # fmt: skip
def test_hash_rejects_a_vr_that_holds_no_text(vr: str) -> None:
    """Where the VR of the file cannot hold a hash, the file is rejected."""
    part = el("PatientID", bytes(8) if vr not in {"DS", "IS", "UI"} else "1", vr)

    reason, _, tag, found, _ = rejected(dicom(part), plan_of("name: PatientID, hash: true"))

    assert (reason, tag, found) == ("VALUE_NOT_TRANSFORMABLE", "(0010,0020)", vr)


def test_un_is_read_as_the_dictionary_knows_it() -> None:
    """An element of VR UN is transformed as what it is, and stays UN; an unknown one rejects."""
    known, unknown = el("PatientID", "1CT1", "UN"), el(0x00101234, "1CT1", "UN")

    output = deidentified(dicom(known), plan_of("name: PatientID, hash: true"))

    assert output.endswith(encode([el("PatientID", "1c3ee9adf6f95ec4", "UN")]))
    assert rejected(dicom(unknown), plan_of("name: '00101234', hash: true"))[:4] == (
        "VALUE_NOT_TRANSFORMABLE", "a value of the VR UN cannot be read as text",
        "(0010,1234)", "UN",
    )  # fmt: skip


@pytest.mark.parametrize("action", ["hash", "increment-date", "jitter", "hashuid"])
def test_transforming_a_sequence_rejects(action: str) -> None:
    """A sequence has no value: an action that needs one rejects the file."""
    # Unknown to the profile language by its tag, so it cannot say so.
    plan = plan_of(f"name: '00101003', {action}: true", date_increment=1)
    data = dicom(sq(0x00101003, [el("PatientID", "1")]))

    assert rejected(data, plan)[:4] == (
        "VALUE_NOT_TRANSFORMABLE", f"{action}: the element is a sequence, which has no value",
        "(0010,1003)", "SQ",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("uid", "settings", "wanted"),
    [
        ("1.2.3.4.5", {"uid_prefix_fields": 2}, "1.2.{}.5"),
        ("1.2.3.4.5", {"uid_suffix_fields": 2}, "1.2.3.{}.4.5"),
        ("1.2.3.4.5", {"uid_suffix_fields": 0}, "1.2.3.4.{}"),
        ("1.2.3.4.5", {"uid_numeric_name": "'1.2.840.9'"}, "1.2.840.9.{}.5"),
        ("1.2.3.4.123456789", {}, "1.2.3.4.{}.456789"),
        ("1.2.3.4.9000120", {}, "1.2.3.4.{}.120"),
        ("1.2.3.4.9000000", {}, "1.2.3.4.{}.0"),
        ("5", {}, "{}.5"),
        ("1.2.3.4.5", {"salt": "pepper"}, "1.2.3.4.{}.5"),
        ("2.25.329800735698586629295641978511506172918.1.2.3", {}, "2.25.{}.3"),
        ("2.25.329800735698586629295641978511506172918", {}, "2.25.{}.172918"),
        ("2.25.329800735698586629295641978511506172918", {"uid_suffix_fields": 0}, "2.25.{}"),
        ("1.2.826.0.1.77049665218349567178321940418519172918.5",
         {"uid_prefix_fields": 9, "uid_suffix_fields": 0}, "1.2.826.0.1.{}"),
        ("01.002.3.4.5", {}, "1.2.3.4.{}.5"),
        ("..1.2.3.4", {}, "0.0.1.2.{}.4"),
        (".1.2", {}, "0.1.{}.2"),
        ("1.2.", {}, "1.2.{}.0"),
        ("1.2..00", {"uid_suffix_fields": 2}, "1.2.{}.0.0"),
    ],
)  # fmt: skip
def test_hashuid_settings(uid: str, settings: dict[str, Any], wanted: str) -> None:
    """The settings decide which nodes of a UID are kept, and what is hashed."""
    salt = str(settings.get("salt", ""))
    digits = "".join(map(str, sha256((salt + uid).encode()).digest()))
    nodes = [digits[i : i + 6] for i in range(0, 36, 6)]
    middle = ".".join("1" + node[1:] if node[0] == "0" else node for node in nodes)

    new = value_after(
        el("StudyInstanceUID", uid), "name: StudyInstanceUID, hashuid: true", **settings
    )

    assert new is not None
    assert new.rstrip(b"\0").decode() == wanted.format(middle)


def test_a_long_uid_is_cut_before_its_last_node() -> None:
    """A new UID has at most 64 characters, keeps its last node, and is a legal UID."""
    uid = ".".join(["1", "2", "840", "1" * 28, "55", "66", "77"])

    new = value_after(el("StudyInstanceUID", uid), "name: StudyInstanceUID, hashuid: true")

    assert new is not None
    text = new.rstrip(b"\0").decode()
    assert len(text) <= 64
    assert text.startswith("1.2.840." + "1" * 28 + ".")
    assert text.endswith(".77")
    assert all(node.isdigit() and (node == "0" or node[0] != "0") for node in text.split("."))


# Values that PS3.5 6.2 takes for the same, by VR: the element, the first spelling, others.
SAME_VALUES = {
    "PN": ("PatientName", "DOE^JANE", ["DOE^JANE^", "DOE^JANE^^^", "DOE^JANE^=", " DOE^JANE",
                                       "DOE ^ JANE", "DOE^JANE^^=^ "]),
    "PN groups": ("PatientName", "A^B=C", ["A^B=C=", "A^B=C^=^", "A ^B= C"]),
    "LO": ("PatientID", "123", [" 123", "  123 "]),
    "SH": ("AccessionNumber", "A 1", [" A 1"]),
    "CS": ("PatientSex", "M", [" M"]),
}  # fmt: skip


@pytest.mark.parametrize("vr", SAME_VALUES)
def test_spellings_of_one_value_have_one_hash_where_a_profile_wants_it(vr: str) -> None:
    """What says nothing in a value makes no difference with `hash-normalize`, and does without."""
    name, value, others = SAME_VALUES[vr]
    rule = f"name: {name}, hash: true"
    wanted = sha256(value.encode()).hexdigest()[:16].encode()

    for spelling in (value, *others):
        assert value_after(el(name, spelling), rule, hash_normalize="true") == wanted
        as_written = spelling.rstrip(" ").rstrip("=" if name == "PatientName" else "")
        assert value_after(el(name, spelling), rule) == (
            sha256(as_written.encode()).hexdigest()[:16].encode()
        )


def test_letter_case_makes_no_difference_where_a_profile_wants_it() -> None:
    """With `hash-ignore-case` a name has one hash, however it is typed."""
    rule = "name: PatientName, hash: true"
    wanted = sha256(b"doe^jane").hexdigest()[:16].encode()

    for name in ("DOE^JANE", "Doe^Jane", "doe^jane"):
        assert value_after(el("PatientName", name), rule, hash_ignore_case="true") == wanted
        assert value_after(el("PatientName", name), rule) == (
            sha256(name.encode()).hexdigest()[:16].encode()
        )


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [("PatientName", "A=B", "A=B="), ("PatientName", "A", "A=="), ("RetrieveAETitle", "X", " X")],
)
def test_what_no_engine_tells_apart_has_one_hash(name: str, one: str, other: str) -> None:
    """Empty groups of a name and spaces before a title say nothing by default, too."""
    rule = f"name: {name}, hash: true"

    assert value_after(el(name, one), rule) == value_after(el(name, other), rule)


@pytest.mark.parametrize("name", ["=", "=="])
@pytest.mark.parametrize("normalize", ["true", "false"])
def test_a_name_of_empty_groups_is_an_empty_one(name: str, normalize: str) -> None:
    """A name in which there is none has no hash."""
    rule = "name: PatientName, hash: true"

    assert value_after(el("PatientName", name), rule, hash_normalize=normalize) == b""


@pytest.mark.parametrize("uid", ["1" * 60_000, "1.2." + "3" * 60_000, ".".join("1" * 30_000)])
def test_a_uid_of_any_length_becomes_a_legal_one(uid: str) -> None:
    """A new UID is legal whatever the old one was; how it is cut takes no time."""
    new = value_after(el("StudyInstanceUID", uid, "UI"), "name: StudyInstanceUID, hashuid: true")

    assert new is not None
    assert problem("UI", new.rstrip(b"\0").decode()) is None


def test_hashuid_of_several_uids_and_of_something_else() -> None:
    """Each UID of several gets its own; a text that is none rejects without showing it."""
    rule = "name: RelatedGeneralSOPClassUID, hashuid: true"
    one = value_after(el("RelatedGeneralSOPClassUID", "1.2.3"), rule)
    assert one is not None

    new = value_after(el("RelatedGeneralSOPClassUID", "1.2.3\\1.2.3"), rule)

    assert new is not None
    assert new.rstrip(b"\0") == one.rstrip(b"\0") + b"\\" + one.rstrip(b"\0")
    error = rejected(
        dicom(el("PatientID", "Doe^Jane.12")), plan_of("name: PatientID, hashuid: true")
    )
    assert error[:2] == ("VALUE_NOT_TRANSFORMABLE", "hashuid: the value is not a UID")


def test_actions_are_counted() -> None:
    """A result says how many elements each action changed, by its name in the language."""
    data = dicom(
        el("PatientName", "A"),
        el("PatientID", "B"),
        el("PatientBirthDate", ""),
        el("PatientSex", "M"),
    )
    plan = plan_of(
        "name: PatientName, replace-with: X", "name: PatientID, replace-with: ''",
        "name: PatientSex, remove: true", "name: PatientBirthDate, hash: true",
        "name: StudyID, replace-with: ''",
    )  # fmt: skip

    assert every_way(data, plan).actions == (("remove", 1), ("replace-with", 3))


def test_no_error_shows_a_value() -> None:
    """What an error says holds nothing of the value that it is about."""
    private = "PRIVATE"
    for rule, part in (
        ("name: PatientID, hashuid: true", el("PatientID", private)),
        ("name: StudyDate, increment-date: true", el("StudyDate", private)),
        ("name: StudyDate, increment-datetime: true", el("StudyDate", private)),
        ("name: PatientWeight, jitter: true", el("PatientWeight", private)),
        ("name: PatientID, regex-sub: [{input-regex: 'no', output: x}]", el("PatientID", private)),
        ("name: PatientID, replace-with: ä", el("PatientID", private)),
        ("name: PatientID, replace-with: ä", el("SpecificCharacterSet", private)),
        ("name: PatientID, hash: true", el("PatientID", private, "UI")),
    ):
        error = rejected(dicom(part), plan_of(rule, date_increment=1))
        assert private not in str(error), rule
