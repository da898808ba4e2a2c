"""Rules select by VR, and what no rule before selects; a dummy is a legal value."""

from __future__ import annotations

import pytest

from profile_service.language.vr import VRS, problem
from tests.support.engine.build import SYNTAXES, El, Part, dicom, el, sq
from tests.support.engine.every_way import every_way, plan_of, run
from tests.support.engine.values import OF_VR as VALUES
from tests.support.engine.walk import EXPLICIT, IMPLICIT, Element, Syntax, read_file

CREATOR = el(0x00090010, "GEMS_IDEN_01", "LO")
UNKNOWN_CREATOR = el(0x00110010, "NOBODY KNOWS", "LO")
# (0009,xx02) of GEMS_IDEN_01 is SH, by the private dictionary.
PRIVATE = 0x00091002
PRIVATE_VR = "SH"

# For each VR an element of the dictionary that has it, and a value.
OF_VR = {
    vr: (tag, VALUES[vr])
    for vr, tag in {
        "AE": 0x00080054,
        "AS": 0x00101010,
        "AT": 0x00280009,
        "CS": 0x00080060,
        "DA": 0x00080020,
        "DS": 0x00101030,
        "DT": 0x0008002A,
        "FD": 0x00189073,
        "FL": 0x00089459,
        "IS": 0x00200013,
        "LO": 0x00081030,
        "LT": 0x00104000,
        "OB": 0x00420011,
        "OD": 0x00720073,
        "OF": 0x00720067,
        "OL": 0x00720075,
        "OV": 0x00720081,
        "OW": 0x00281201,
        "PN": 0x00100010,
        "SH": 0x00200010,
        "SL": 0x00186020,
        "SS": 0x00189219,
        "ST": 0x00080081,
        "SV": 0x00720082,
        "TM": 0x00080030,
        "UC": 0x00080119,
        "UI": 0x0020000D,
        "UL": 0x00186016,
        "UN": 0x00200999,
        "UR": 0x00080120,
        "US": 0x001021C0,
        "UT": 0x0040A160,
        "UV": 0x00720083,
    }.items()
}


def read(data: bytes) -> list[Element]:
    """Returns the elements of the top level."""
    return list(read_file(data).elements)


def values(data: bytes, tag: int) -> list[bytes]:
    """Returns the values of an element at the top level and in items."""

    def inside(elements: list[Element]) -> list[bytes]:
        found = []
        for each in elements:
            if each.tag == tag:
                found.append(each.value)
            for item in each.items or ():
                found += inside(list(item.elements))
        return found

    return inside(read(data))


def test_every_vr_is_tried() -> None:
    """The table of this module has all VRs that hold values."""
    assert sorted(OF_VR) == sorted(set(VRS) - {"SQ"})


@pytest.mark.parametrize("vr", OF_VR)
@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT], ids=["explicit", "implicit"])
def test_removed(vr: str, syntax: Syntax) -> None:
    """Elements of a VR go at every depth, and those of all others stay as they are."""
    parts: list[Part] = [El(tag, each, value) for each, (tag, value) in sorted(OF_VR.items())]
    parts.sort(key=lambda part: part.tag if isinstance(part, El) else 0)
    data = dicom(*parts, sq(0x30060010, parts), syntax=syntax)

    found = every_way(data, plan_of(f"vr: {vr}, remove: true"), byte_by_byte=False)

    assert found.error is None
    assert found.actions == (("remove", 2),)
    assert values(found.output, OF_VR[vr][0]) == []
    for each, (tag, value) in OF_VR.items():
        if each != vr:
            assert values(found.output, tag) == [value, value]


@pytest.mark.parametrize("vr", OF_VR)
@pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=SYNTAXES)
def test_dummy(vr: str, syntax: Syntax) -> None:
    """A dummy is a legal value of the VR, says nothing of the value, and is the same again."""
    tag, value = OF_VR[vr]
    data = dicom(
        *sorted([El(tag, vr, value), el("InstanceNumber", "7")], key=lambda part: part.tag)
        if tag != 0x00200013
        else [El(tag, vr, value)],
        sq(0x30060010, [El(tag, vr, value)]),
        syntax=syntax,
    )

    found = every_way(data, plan_of(f"vr: [{vr}], dummy: true"))

    assert found.error is None
    assert found.actions == (("dummy", 2),)
    first, second = values(found.output, tag)
    assert first == second != value
    assert len(first) > 0
    assert len(first) % 2 == 0
    text = first.rstrip(b" \0").decode("ascii")
    if text:
        assert problem(vr, text) is None
        assert text.count("\\") == value.count(b"\\") * (vr == "DS")
    else:
        assert len(first) == len(value)


def test_empty_stays_empty() -> None:
    """An empty value has no dummy."""
    parts = [El(tag, vr, b"") for vr, (tag, _) in OF_VR.items()]
    data = dicom(*sorted(parts, key=lambda part: part.tag))

    found = every_way(data, plan_of(f"vr: [{', '.join(OF_VR)}], dummy: true"))

    assert found.error is None
    assert found.actions == ()
    assert {value for each in parts for value in values(found.output, each.tag)} == {b""}


def test_vr_of_the_header() -> None:
    """In explicit VR the header says the VR, whatever a dictionary says."""
    data = dicom(El(0x00080060, "PN", b"DOE^JANE"), El(0x00100010, "LO", b"CT"))

    found = every_way(data, plan_of("vr: PN, replace-with: X"))

    assert values(found.output, 0x00080060) == [b"X "]
    assert values(found.output, 0x00100010) == [b"CT"]


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT], ids=["explicit", "implicit"])
def test_un_is_what_a_dictionary_says(syntax: Syntax) -> None:
    """UN, and implicit VR, are read with the VR of the dictionary, private elements too."""
    data = dicom(
        CREATOR,
        El(PRIVATE, "UN", b"CT01"),
        El(0x00100010, "UN", b"DOE^JANE"),
        syntax=syntax,
    )

    found = every_way(data, plan_of(f"vr: [PN, {PRIVATE_VR}], replace-with: ''"))

    assert values(found.output, PRIVATE) == [b""]
    assert values(found.output, 0x00100010) == [b""]
    assert values(found.output, 0x00090010) == [b"GEMS_IDEN_01"]


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT], ids=["explicit", "implicit"])
def test_unknown_elements_are_un(syntax: Syntax) -> None:
    """What no dictionary knows is UN: private and public; a sequence shows itself."""
    data = dicom(
        UNKNOWN_CREATOR,
        El(0x00111001, "UN", b"DOE^JANE"),
        sq(0x00111002, [el("PatientName", "DOE^JANE")], vr="UN"),
        El(0x00200999, "UN", b"DOE^JANE"),
        syntax=syntax,
    )

    found = every_way(data, plan_of("vr: UN, remove: true"))

    assert found.actions == (("remove", 2),)
    assert values(found.output, 0x00100010) == [b"DOE^JANE"]
    assert values(found.output, 0x00110010) == [b"NOBODY KNOWS"]


@pytest.mark.parametrize(
    ("rules", "left"),
    [
        (["name: PatientName", "vr: PN, replace-with: X"], b"X "),
        (["vr: PN, replace-with: X", "name: PatientName, replace-with: Y"], b"Y "),
        (["name: PatientName, replace-with: Y", "vr: PN, replace-with: X"], b"X "),
        (["name: PatientName, replace-with: Y", "others: true, remove: true"], b"Y "),
        (["others: true, replace-with: Z", "name: PatientName, replace-with: Y"], b"Y "),
    ],
)
def test_order(rules: list[str], left: bytes) -> None:
    """Rules by VR run in their order with all others."""
    data = dicom(El(0x00100010, "PN", b"DOE^JANE"))

    assert values(every_way(data, plan_of(*rules)).output, 0x00100010) == [left]


@pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=SYNTAXES)
def test_others_go(syntax: Syntax) -> None:
    """What no rule before names goes, at every depth; what leads to a named element stays."""
    data = dicom(
        el("SpecificCharacterSet", "ISO_IR 100"),
        el("StudyDate", "20200102"),
        sq("ReferencedStudySequence", [el("StudyID", "7")]),
        CREATOR,
        el(PRIVATE, "X", "SH"),
        el("StudyID", "7"),
        sq("RequestAttributesSequence", [el("StudyDate", "20200103"), el("StudyID", "7")]),
        syntax=syntax,
    )

    found = every_way(data, plan_of("name: '**.StudyDate'", "others: true, remove: true"))

    assert found.error is None
    assert [each.tag for each in read(found.output)] == [0x00080005, 0x00080020, 0x00400275]
    assert values(found.output, 0x00080020) == [b"20200102", b"20200103"]
    assert values(found.output, 0x00200010) == []


def test_others_after_a_path() -> None:
    """A path that leads into a sequence keeps the sequence, and there what it names."""
    data = dicom(
        sq("OtherPatientIDsSequence", [el("PatientID", "7"), el("TypeOfPatientID", "TEXT")]),
        el("PatientWeight", "70"),
    )

    found = every_way(
        data,
        plan_of(
            "name: OtherPatientIDsSequence.*.PatientID, hash: true", "others: true, remove: true"
        ),
    )

    assert [each.tag for each in read(found.output)] == [0x00101002]
    assert values(found.output, 0x00100022) == []
    assert len(values(found.output, 0x00100020)) == 1


def test_others_by_vr() -> None:
    """What rules by VR select is named, and only that."""
    data = dicom(el("PatientName", "DOE^JANE"), el("PatientID", "7"), el("PatientWeight", "70"))

    found = every_way(data, plan_of("vr: [PN, LO], replace-with: X", "others: true, remove: true"))

    assert [each.tag for each in read(found.output)] == [0x00100010, 0x00100020]


def test_others_become_dummies() -> None:
    """Every element that no rule names becomes a dummy, in sequences, too; structure stays."""
    data = dicom(
        el("SpecificCharacterSet", "ISO_IR 100"),
        CREATOR,
        el(PRIVATE, "DOE", "SH"),
        el("PatientName", "DOE^JANE"),
        sq("RequestAttributesSequence", [el("StudyDate", "20200103")]),
    )

    found = every_way(
        data, plan_of("name: PatientName, replace-with: X", "others: true, dummy: true")
    )

    assert values(found.output, 0x00080005) == [b"ISO_IR 100"]
    assert values(found.output, 0x00090010) == [b"GEMS_IDEN_01"]
    assert values(found.output, PRIVATE) == [b"ANONYMIZED"]
    assert values(found.output, 0x00100010) == [b"X "]
    assert values(found.output, 0x00080020) == [b"19000101"]


@pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=SYNTAXES)
def test_dummy_of_a_sequence(syntax: Syntax) -> None:
    """The items of a sequence stay, their values become dummies, but what rules say otherwise."""
    inner: list[Part] = [
        el("StudyDate", "20200103"),
        el("CodeValue", "7"),
        el("ValueType", "TEXT"),
        sq("ContentSequence", [el("CodeMeaning", "DOE"), el("StudyID", "7")]),
    ]
    data = dicom(el("StudyDate", "20200102"), sq("ContentSequence", inner, inner), syntax=syntax)

    found = every_way(
        data, plan_of("name: ContentSequence, dummy: true", "name: '**.StudyID', hash: true")
    )

    assert found.error is None
    assert values(found.output, 0x00080020) == [b"20200102", b"19000101", b"19000101"]
    assert values(found.output, 0x00080100) == [b"ANONYMIZED"] * 2
    assert values(found.output, 0x0040A040) == [b"TEXT"] * 2
    assert values(found.output, 0x00080104) == [b"ANONYMIZED"] * 2
    assert values(found.output, 0x00200010) == [b"7902699be42c8a8e"] * 2


def test_dummy_uid() -> None:
    """A UID becomes one that depends on it, and on the salt, alone."""
    data = dicom(el("StudyInstanceUID", "1.2.3"), el("SeriesInstanceUID", "1.2.4"))
    plans = [plan_of("vr: UI, dummy: true", salt=salt) for salt in ("a", "a", "b")]

    first, again, other = (every_way(data, plan).output for plan in plans)

    assert first == again != other
    study, series = (values(first, tag)[0] for tag in (0x0020000D, 0x0020000E))
    assert study != series
    assert study.startswith(b"2.25.")


def test_no_dummy_of_pixels() -> None:
    """Pixel data has no dummy: the file is rejected."""
    data = dicom(el("PixelData", b"\1\2\3\4", "OW"))

    found = every_way(data, plan_of("vr: [OW, OB], dummy: true"))

    assert found.error is not None
    assert found.error[0] == "VALUE_NOT_TRANSFORMABLE"


def test_long_values_are_not_held() -> None:
    """A value without text becomes zeros however long it is."""
    data = dicom(el("StudyID", "7"), el("EncapsulatedDocument", bytes(range(256)) * 20, "OB"))

    found = every_way(data, plan_of("vr: OB, dummy: true"), max_held=600)

    assert values(found.output, 0x00420011) == [bytes(2)]


def test_learned() -> None:
    """A series is learned with rules by VR, too."""
    plan = plan_of("vr: [PN, DA], dummy: true", "vr: UI, hashuid: true")
    parts = [el("StudyDate", "20200102"), el("PatientName", "DOE^JANE"), el("PatientID", "7")]

    found = [
        run(plan, [dicom(*parts, el("StudyInstanceUID", f"1.2.{number}"))]) for number in range(9)
    ]

    assert found[-1].applied_bytes > 0
    assert len({len(each.output) for each in found}) == 1
