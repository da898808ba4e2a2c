"""The base of a profile does what table E.1-1 says, row by row, whatever the option."""

from __future__ import annotations

import re
from datetime import date, timedelta
from functools import cache
from typing import TYPE_CHECKING

import pytest
from pydicom.datadict import dictionary_VR

from deid_service.engine import DicomError, compile_plan, deidentify
from deid_service.engine.errors import Reason
from profile_service.language import parse_profile
from profile_service.language.base import NOT_IMPLEMENTED
from profile_service.language.model import Element as Tag
from profile_service.language.model import RepeaterElement
from profile_service.language.standard import OPTIONS, attributes, iod_needs, safe_private
from tests.support.engine.build import El, Part, dicom, el, sq
from tests.support.engine.every_way import every_way
from tests.support.engine.keys import with_keys
from tests.support.engine.values import OF_VR
from tests.support.engine.walk import Element, read_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deid_service.engine import Plan
    from profile_service.language.standard import Attribute

NAMED = [option for option in OPTIONS if option not in NOT_IMPLEMENTED]
FULL, MODIFIED = "retain-longitudinal-full-dates", "retain-longitudinal-modified-dates"

# One that the table of IODs does not have, and some that need much, and little.
CLASSES = {
    "unknown": "1.2.840.10008.5.1.4.99.1",
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "enhanced MR": "1.2.840.10008.5.1.4.1.1.4.1",
    "secondary capture": "1.2.840.10008.5.1.4.1.1.7",
    "comprehensive SR": "1.2.840.10008.5.1.4.1.1.88.33",
    "RT plan": "1.2.840.10008.5.1.4.1.1.481.5",
    "presentation state": "1.2.840.10008.5.1.4.1.1.11.1",
}

# A sequence that the table does not name; and what stands in sequences here.
CARRIER = 0x0040A043
INSIDE = el("CodeMeaning", "INSIDE")


def profile(*options: str, fields: str = "", more: str = "") -> str:
    """Returns the text of a profile on the base of the standard."""
    return (
        f"name: test\ndicom:\n  base: ps3.15-2026c-basic\n  options: [{', '.join(options)}]\n"
        f"  date-increment: -1\n  salt: long and secret\n{more}"
        + (f"  fields:\n    - {fields}\n" if fields else "")
    )


def vr_of(tag: int) -> str:
    """Returns the VR of an element of the dictionary, or SQ, DT or LO by what it is called."""
    try:
        vr = dictionary_VR(tag)
    except KeyError:
        name = next(each.name for each in attributes() if each.element == Tag(tag))
        return "SQ" if name.endswith("Sequence") else "DT" if name.endswith("Time") else "LO"
    return vr.split(" or ")[0]


@cache
def parts() -> tuple[Part, ...]:
    """Returns an element for each row, in the order of their tags."""
    made: list[El] = []
    for each in attributes():
        if isinstance(each.element, Tag) and each.element.tag >> 16 > 4:
            made.append(El(each.element.tag, vr_of(each.element.tag), b""))
        elif isinstance(each.element, RepeaterElement):
            made.append(El(each.element.value | 0x00021000 & ~each.element.mask, "OB", b""))
    made.sort(key=lambda part: part.tag)
    return tuple(
        sq(part.tag, [INSIDE]) if part.vr == "SQ" else El(part.tag, part.vr, value_of(part))
        for part in made
    )


def value_of(part: El) -> bytes:
    """Returns a value that no other element has, as far as texts go: they are compared."""
    word = "".join(chr(ord("G") + int(digit, 16)) for digit in f"{part.tag:08X}")
    match part.vr:
        case "LO" | "LT" | "SH" | "ST" | "UC" | "UT":
            return f"CHEST {word}".encode()
        case "AE" | "CS":
            return word.encode()
        case "PN":
            return f"{word}^JOE".encode()
        case vr:
            return OF_VR[vr]


def a_file(sop_class: str) -> bytes:
    """Returns a file with all rows at the top level, and in an item."""
    top = [part for part in parts() if not isinstance(part, bytes)]
    carrier = sq(CARRIER, top)
    meta = [el(0x00020002, sop_class), el(0x00020003, "1.2.3.4")]
    return dicom(*sorted([*top, carrier], key=lambda part: part.tag), meta=meta)


def outcome(before: Part, after: Mapping[int, Element]) -> str:
    """Returns what became of an element, in one word."""
    assert not isinstance(before, bytes)
    found = after.get(before.tag)
    if found is None:
        return "gone"
    if not isinstance(before, El):
        if not found.items:
            return "empty"
        inner = found.items[0].elements[0].value
        return {b"INSIDE": "kept", b"ANONYMIZED": "dummy"}[inner]
    if not found.value:
        return "empty"
    if found.value == before.value:
        return "kept"
    if before.vr == "UI":
        return "another UID" if found.value.startswith(b"2.25.") else "wrong"
    text = found.value.rstrip(b" ").decode("latin-1")
    if text in {"20200101", "20200101030405"}:
        return "moved"
    if text == "CHEST":
        return "cleaned"
    is_dummy = re.fullmatch(r"ANONYMIZED|19000101(000000)?|0+Y?|about:blank|0(\\0)*|\0+", text)
    return "dummy" if is_dummy else "wrong"


def expected(row: Attribute, vr: str, option: str, need: int | None, *, top: bool) -> set[str]:
    """Returns what may become of an element: what the table says, and what types allow.

    Args:
        row: of the table.
        vr: of the element.
        option: that is named.
        need: 1 where the IOD needs a value, 2 where it needs the element, 0 where it needs
            nothing; None where that is not known.
        top: whether it stands at the top level.
    """
    code = row.options.get(option, "")  # type: ignore[call-overload]
    dummy = {"another UID"} if vr == "UI" else {"dummy"}
    if code == "K":
        return {"kept"}
    if code == "C" and option == MODIFIED and vr in {"DA", "DT"}:
        return {"moved"}
    if code == "C" and option == MODIFIED and vr in {"TM", "SH"}:
        return {"kept"}
    if code == "C" and option != MODIFIED:
        if vr == "SQ":
            return {"kept"}
        if vr in {"LO", "LT", "SH", "ST", "UC", "UT"}:
            return {"cleaned"}
        if vr in {"AE", "CS"}:
            # Nothing is left of a word that nobody knows.
            return dummy if need in {1, None} else {"empty"}
    match row.basic:
        case "X":
            needed = {1: dummy, 2: {"empty"}} if top else {2: {"empty"}}
            return needed.get(need or 0, {"gone"})
        case "U":
            return {"another UID"}
        case "D":
            return dummy
        case "X/Z/U*":
            return {"kept"}
        case "Z":
            return dummy if need == 1 else {"empty"}
        case "X/Z":
            return {1: dummy, 2: {"empty"}, 0: {"gone"}, None: {"empty"}}[need]
        case "X/D":
            return {1: dummy, 2: dummy, 0: {"gone"}, None: dummy}[need]
        case "Z/D":
            return {1: dummy, 2: {"empty"}, 0: {"empty"}, None: dummy}[need]
        case "X/Z/D":
            return {1: dummy, 2: {"empty"}, 0: {"gone"}, None: dummy}[need]
        case _:
            raise AssertionError(row.basic)


@pytest.mark.parametrize("sop_class", CLASSES)
@pytest.mark.parametrize("option", ["", *NAMED])
def test_every_row(option: str, sop_class: str) -> None:
    """Each row of the table is done as the option and the IOD of the file say."""
    uid = CLASSES[sop_class]
    needs = iod_needs().get(uid)
    rows = {
        each.element.tag if isinstance(each.element, Tag) else each.element.value: each
        for each in attributes()
        if each.element is not None
    }
    plan = compile_plan(parse_profile(profile(*[option] * bool(option))))

    output = read_file(deidentify(a_file(uid), plan))

    top = {each.tag: each for each in output.elements}
    carrier = top[CARRIER].items
    assert carrier is not None
    below = {each.tag: each for each in carrier[0].elements}
    wrong = []
    for part in parts():
        assert not isinstance(part, bytes)
        row = rows.get(part.tag) or next(
            each
            for each in attributes()
            if isinstance(each.element, RepeaterElement)
            and part.tag & each.element.mask == each.element.value
        )
        vr = part.vr
        for place, after in enumerate((top, below)):
            need = None if needs is None else needs[place].get(part.tag, 0)
            allowed = expected(row, vr, option, need, top=after is top)
            if (found := outcome(part, after)) not in allowed:
                wrong.append((f"{part.tag:08X}", place, vr, row.basic, need, found, allowed))
    assert wrong == []


def test_the_table_is_all_tried() -> None:
    """The files of these tests have an element for each row, but for group 0, 2 and 4."""
    tried = len(parts())
    left_out = [
        each
        for each in attributes()
        if each.element is None or (isinstance(each.element, Tag) and each.element.tag >> 16 <= 4)
    ]
    assert tried + len(left_out) == len(attributes())


def texts(data: bytes, tag: int) -> list[bytes]:
    """Returns the values of an element at every depth."""

    def inside(elements: list[Element]) -> list[bytes]:
        found = []
        for each in elements:
            if each.tag == tag:
                found.append(each.value)
            for item in each.items or ():
                found += inside(list(item.elements))
        return found

    return inside(list(read_file(data).elements))


def run(data: bytes, *options: str, fields: str = "", more: str = "") -> bytes:
    """De-identifies a file in every way with a profile on the base."""
    text = profile(*options, fields=fields, more=more)
    found = every_way(data, compile_plan(parse_profile(text)), byte_by_byte=False)
    assert found.error is None, found.error
    return found.output


@pytest.mark.parametrize("vr", ["PN", "DA", "DT", "TM", "UI"])
def test_by_vr(vr: str) -> None:
    """Names, dates, times and UIDs go or change wherever they stand, known or not."""
    value = OF_VR[vr]
    data = dicom(
        El(0x00180050, vr, value),
        El(0x00189999, vr, value),
    )

    output = run(data)

    assert value not in output
    assert texts(output, 0x00189999) == []


def test_unknown_elements_go() -> None:
    """What no dictionary knows goes, at every depth, whatever its VR says."""
    unknown = [El(0x00189998, "LO", b"DOE^JANE"), El(0x00189999, "OB", b"DOE^JANE")]
    data = dicom(el("CodeValue", "7"), sq(CARRIER, [el("CodeValue", "7"), *unknown]), *unknown)

    output = run(data)

    assert b"DOE" not in output
    assert texts(output, 0x00080100) == [b"7 ", b"113100", b"7 "]


def test_uids_of_standards_stay() -> None:
    """UIDs of the standard, and those that say what something is, stay as they are."""
    data = dicom(
        el("SOPClassUID", "1.2.840.113619.4.26"),
        el("SOPInstanceUID", "1.2.3"),
        el("CodingSchemeUID", "1.2.826.0.1"),
        el("ReferencedColorPaletteInstanceUID", "1.2.840.10008.1.5.1"),
        el("StudyInstanceUID", "1.2.3"),
    )

    output = run(data)

    assert texts(output, 0x00080016) == [b"1.2.840.113619.4.26\0"]
    assert texts(output, 0x0008010C) == [b"1.2.826.0.1\0"]
    assert b"1.2.840.10008.1.5.1" in output
    instance, study = (texts(output, tag)[0] for tag in (0x00080018, 0x0020000D))
    assert instance == study != b"1.2.3\0"


PRIVATE_GROUP = [
    El(0x00190010, "LO", b"GEMS_ACQU_01"),
    El(0x00190011, "LO", b"DOE MEDICAL "),
    El(0x00191002, "SL", b"\1\0\0\0"),
    El(0x00191003, "PN", b"DOE^JANE"),
    El(0x00191102, "LO", b"DOE^JANE"),
]


def test_private_elements_go() -> None:
    """Without the option all private elements go, with their creators, at every depth."""
    output = run(dicom(el("CodeValue", "7"), *PRIVATE_GROUP))

    assert b"DOE" not in output
    assert b"GEMS" not in output


def test_safe_private_elements_stay() -> None:
    """With the option those stay that are safe, at every depth, and not those of other blocks."""
    inner = sq(CARRIER, PRIVATE_GROUP)
    data = dicom(inner, *PRIVATE_GROUP)

    output = run(data, "retain-safe-private")

    assert b"DOE" not in output
    assert texts(output, 0x00190010) == [b"GEMS_ACQU_01"] * 2
    assert texts(output, 0x00191002) == [b"\1\0\0\0"] * 2
    assert texts(output, 0x00190011) == []


def test_safe_private_treatments() -> None:
    """Each private element that is safe as it is stays, and UIDs and dates do not."""
    wrong = []
    plan = compile_plan(parse_profile(profile("retain-safe-private")))
    for element, safe in safe_private().items():
        tag = element.group << 16 | 0x1000 | element.offset
        creator = El(element.group << 16 | 0x10, "LO", padded(element.creator))
        # A number, which is not looked for letters in those that a dictionary calls numbers.
        value = b"1.25" if safe.treatment == "keep" else b"1.2.3.44"
        data = dicom(creator, El(tag, "LO", value))
        found = texts(deidentify(data, plan), tag)
        match safe.treatment:
            case "keep":
                is_right = found == [value]
            case "uid":
                is_right = len(found) == 1 and found[0].startswith(b"2.25.")
            case "date":
                is_right = found == []
        if not is_right:
            wrong.append(element)
    assert wrong == []


def padded(text: str) -> bytes:
    """Returns a text of an even length."""
    return (text + " " * (len(text) % 2)).encode()


@pytest.mark.parametrize(
    ("age", "capped"),
    [
        ("089Y", b"089Y"),
        ("090Y", b"090Y"),
        ("091Y", b"090Y"),
        ("120Y", b"090Y"),
        ("999D", b"999D"),
        ("DOE!", None),
    ],
)
def test_ages(age: str, capped: bytes | None) -> None:
    """Ages over 89 are one category, and what is no age goes."""
    output = run(dicom(el("PatientAge", age)), "retain-patient-characteristics")

    assert texts(output, 0x00101010) == ([] if capped is None else [capped])


@pytest.mark.parametrize("value", [b"DOE^JANE", b"2020", b"20201399"])
def test_dates_that_are_none(value: bytes) -> None:
    """A date that cannot be moved goes, is emptied or gets a dummy, by what the IOD needs."""
    data = dicom(
        El(0x00080020, "DA", value),
        El(0x00080021, "DA", value),
        el("StudyInstanceUID", "1.2.3"),
        meta=[el(0x00020002, CLASSES["CT"]), el(0x00020003, "1.2.3")],
    )

    output = run(data, MODIFIED)

    assert texts(output, 0x00080020) == [b""]
    assert texts(output, 0x00080021) == []


def test_unknown_character_set() -> None:
    """A name in a character set that nobody knows is not read, and goes all the same."""
    data = dicom(
        el("SpecificCharacterSet", "ISO_IR 999"),
        el("PatientName", "DOE^JANE"),
        el("VerifyingObserverName", "DOE^JANE"),
    )

    output = run(data)

    assert b"DOE" not in output
    assert texts(output, 0x0040A075) == [b"ANONYMIZED"]


def test_fields_come_first() -> None:
    """What a rule selects is as the rule says, and the base does nothing to it."""
    data = dicom(
        el("PatientID", "7"),
        el("PatientComments", "TEXT"),
        el("StudyID", "7"),
    )

    output = run(data, fields="{name: PatientComments}")

    assert texts(output, 0x00104000) == [b"TEXT"]
    assert texts(output, 0x00200010) == [b""]


def test_a_path_keeps_what_it_leads_through() -> None:
    """A rule for an element in a sequence keeps the sequence, and the base does the rest."""
    data = dicom(
        sq("OtherPatientIDsSequence", [el("PatientID", "7"), el("IssuerOfPatientID", "DOE")])
    )

    output = run(data, fields="{name: OtherPatientIDsSequence.*.PatientID, replace-with: X}")

    assert texts(output, 0x00100020) == [b"X "]
    assert b"DOE" not in output


def test_file_meta() -> None:
    """Who sent the file, and what vendors add to its meta, goes; the instance follows."""
    data = dicom(
        el("SOPInstanceUID", "1.2.3"),
        meta=[
            el(0x00020002, CLASSES["CT"]),
            el(0x00020003, "1.2.3"),
            el(0x00020016, "DOE_STATION"),
            el(0x00020100, "1.2.99"),
            el(0x00020102, b"DOE^JANE", "OB"),
        ],
    )

    output = run(data)

    assert b"DOE" not in output
    assert b"1.2.99" not in output
    assert texts(output, 0x00080018)[0].rstrip(b"\0") in output[:400]


def test_pixels_stay() -> None:
    """Pixel data and geometry are as they came."""
    pixels = bytes(range(256)) * 4
    data = dicom(
        el("ImagePositionPatient", "1\\2\\3"), el("Rows", (16,)), el("PixelData", pixels, "OW")
    )

    output = run(data)

    assert texts(output, 0x7FE00010) == [pixels]
    assert texts(output, 0x00200032) == [b"1\\2\\3 "]


def test_what_was_done_is_said() -> None:
    """Files say by which profile and options they were de-identified, with the standard's codes."""
    data = dicom(
        sq("DeidentificationMethodCodeSequence", [el("CodeMeaning", "OF DOE")]),
    )

    output = run(data, MODIFIED, "retain-safe-private")

    assert b"DOE" not in output
    assert texts(output, 0x00080100) == [b"113100", b"113107", b"113111"]
    assert texts(output, 0x00120062) == [b"YES "]
    assert texts(output, 0x00280303) == [b"MODIFIED"]
    kept = run(data, fields="{name: StudyDescription}")
    assert texts(kept, 0x00120062) == [b"YES "]
    assert texts(kept, 0x00080100) == []


def test_series_are_learned() -> None:
    """Files of a series go by what was learned of the first, those of another class by theirs."""
    plan = compile_plan(parse_profile(profile(MODIFIED)))

    def one(sop_class: str, number: int) -> bytes:
        return dicom(
            el("StudyDate", "20200102"),
            el("SeriesDate", "20200102"),
            el("PatientName", "DOE^JANE"),
            el("PatientID", "7"),
            el("StudyInstanceUID", "1.2.3"),
            el("InstanceNumber", str(number)),
            meta=[el(0x00020002, sop_class), el(0x00020003, f"1.2.{number}")],
        )

    for sop_class in (CLASSES["CT"], CLASSES["unknown"]):
        for number in range(10, 20):
            found = every_way(one(sop_class, number), plan, byte_by_byte=False)
        assert found.applied_bytes > 0
        again = every_way(
            one(sop_class, 19), compile_plan(parse_profile(profile(MODIFIED)), learn=False)
        )
        assert again == found


def cleaned(*parts: Part, options: tuple[str, ...] = ("clean-descriptors",)) -> bytes:
    """De-identifies a CT image of Jane Doe with a profile that cleans texts."""
    about = [
        el("StudyDate", "20200102"),
        el("AccessionNumber", "ACC-4711"),
        el("InstitutionName", "St. Mary Hospital"),
        el("ReferringPhysicianName", "Kowalski^Adam"),
        el("PatientName", "Doe^Jane^^Dr"),
        el("PatientID", "PAT12345"),
        el("PatientBirthDate", "19700203"),
    ]
    ordered = sorted([*about, *parts], key=lambda part: 0 if isinstance(part, bytes) else part.tag)
    meta = [el(0x00020002, CLASSES["CT"]), el(0x00020003, "1.2.3")]
    return run(dicom(*ordered, meta=meta), *options)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("CT CHEST W/O CONTRAST 5mm", "CT CHEST W/O CONTRAST 5mm"),
        ("t2_tse_sag_384", "t2_tse_sag_384"),
        ("HEAD^ROUTINE (Adult)", "HEAD^ROUTINE (Adult)"),
        ("Thorax nativ B30f 1.25mm", "Thorax nativ B30f 1.25mm"),
        ("CT CHEST for Jane DOE", "CT CHEST for"),
        ("CT CHEST for Doe, Jane (PAT12345)", "CT CHEST for"),
        ("CHEST acc-4711 of J.D.", "CHEST of"),
        ("born 3 Feb 1970 CHEST", "CHEST"),
        ("03.02.1970 CHEST 02/03/70", "CHEST"),
        ("CHEST 2020-01-02", "CHEST"),
        ("CHEST, call 555-123-4567", "CHEST"),
        ("CHEST mail jane@doe.org www.doe.org", "CHEST mail"),
        ("CHEST Dr. Smith", "CHEST"),
        ("CHEST 12 Main Street", "CHEST"),
        ("CHEST at St. Mary Hospital", "CHEST at"),
        ("CHEST 123456789", "CHEST"),
        ("Xyzzyqwertz", ""),
    ],
)
def test_descriptions(text: str, left: str) -> None:
    """Of a description stays what is known to be harmless, and nothing that identifies."""
    output = cleaned(el("StudyDescription", text))

    assert [each.decode().strip() for each in texts(output, 0x00081030)] == [left]


def test_descriptors_that_the_table_does_not_name() -> None:
    """Descriptions of later editions are cleaned like those of the table; code meanings stay.

    Where nothing is left, a dummy stands: the IOD may need a value (PS3.3 C.8.20.2).
    """
    data = dicom(
        sq("SegmentSequence", [el("SegmentLabel", "Liver of Kowalski"), el("TrackingID", "Roe 7")]),
        el("StrainDescription", "Kowalski"),
        sq("ConceptNameCodeSequence", [el("CodeMeaning", "Kowalski")]),
        el("DocumentTitle", "Letter to Kowalski, chest"),
    )

    cleaned, swept = (
        every_way(data, compile_plan(parse_profile(profile(*options))), byte_by_byte=False).output
        for options in (["clean-descriptors"], [])
    )

    assert texts(cleaned, 0x00620005) == [b"Liver of"]
    assert texts(cleaned, 0x00620020) == [b"7 "]
    assert texts(cleaned, 0x00100212) == [b"ANONYMIZED"]
    assert texts(cleaned, 0x00420010) == [b"Letter to chest "]
    assert b"Kowalski" in texts(cleaned, 0x00080104)
    assert texts(swept, 0x00620005) == [b"Liver of Kowalski "]


@pytest.mark.parametrize("leftovers", ["remove", "reject"])
def test_what_an_option_keeps_is_told_by_no_form(leftovers: str) -> None:
    """The address of an institution that stays is no secret, whatever it looks like."""
    address = "Hauptstr. 5, Tel. 089 1234567"
    data = dicom(el("InstitutionAddress", address), el("ConvolutionKernel", "Kern"))
    text = profile("retain-institution-identity", more=f"  leftovers: {leftovers}\n")

    found = every_way(data, compile_plan(parse_profile(text)), byte_by_byte=False)

    assert found.error is None, found.error
    assert [each.strip() for each in texts(found.output, 0x00080081)] == [address.encode()]


def test_dates_of_devices_move_with_the_others() -> None:
    """A date that stayed with its device would tell by how much the others have moved."""
    options = ("retain-device-identity", "retain-longitudinal-modified-dates")
    data = dicom(el("DateOfLastCalibration", "20200102"), el("StationName", "CT1"))

    output = deidentify(data, compile_plan(parse_profile(profile(*options))))

    assert texts(output, 0x00181200) == [b"20200101"]
    assert texts(output, 0x00081010) == [b"CT1 "]


@pytest.mark.parametrize("option", ["", "retain-uids"])
def test_where_instances_are_to_be_had(option: str) -> None:
    """URLs of archives go; those of coding schemes stay; escapes hide no identifier."""
    data = dicom(
        el("RetrieveURL", "http://pacs/7"),
        sq(
            "CodingSchemeIdentificationSequence",
            [el("CodingSchemeURL", "http://loinc.org")],
            [el("CodingSchemeURL", "http://loinc.org/%20471199")],
        ),
        el("PatientID", "471199"),
    )
    plan = compile_plan(parse_profile(profile(*[option] * bool(option))))

    output = every_way(data, plan, byte_by_byte=False).output

    assert 0x00081190 not in {each.tag for each in read_file(output).elements}
    assert texts(output, 0x0008010E)[0] == b"http://loinc.org"
    assert not any(b"471199" in each for each in texts(output, 0x0008010E))


def test_what_stands_only_beside_what_goes() -> None:
    """No role of nobody stays, and no calendar without its dates (PS3.3 C.7.1.1)."""
    data = dicom(
        el("PatientBirthDateInAlternativeCalendar", "S47.1.5"),
        el("PatientDeathDateInAlternativeCalendar", "H30.2.6"),
        el("PatientAlternativeCalendar", "JAPANESE"),
        el("ResponsiblePerson", "DOE^JOE"),
        el("ResponsiblePersonRole", "PARENT"),
    )

    output = run(data, "retain-patient-characteristics")

    found = {each.tag for each in read_file(output).elements}
    assert not found & {0x00100033, 0x00100034, 0x00100035, 0x00102298}
    assert texts(output, 0x00102297) == [b""]


def test_nothing_left_where_a_value_is_needed() -> None:
    """A dummy stands where the IOD needs a value, and nothing is left of the text."""
    data = dicom(
        el("SeriesDescription", "QWERTZ"),
        el("RTPlanLabel", "QWERTZ"),
        meta=[el(0x00020002, CLASSES["RT plan"]), el(0x00020003, "1.2.3")],
    )

    output = run(data, "clean-descriptors")

    assert texts(output, 0x0008103E) == [b""]
    assert texts(output, 0x300A0002) == [b"ANONYMIZED"]


@pytest.mark.parametrize("of", ["2", "4", "12.1", "12.2"], ids=["CT", "MR", "XA", "XRF"])
def test_each_value_of_an_image_type_has_its_place(of: str) -> None:
    """Where an IOD needs value 3 (PS3.3 C.8.3.1.1.1, C.8.7.1.1.1), none of them is left empty."""
    data = dicom(
        el("ImageType", "ORIGINAL\\PRIMARY\\HQWERTZ"),
        el("PatientName", "Qwertz^Hans"),
        meta=[el(0x00020002, f"1.2.840.10008.5.1.4.1.1.{of}"), el(0x00020003, "1.2.3")],
    )

    assert texts(run(data), 0x00080008) == [b"ORIGINAL\\PRIMARY\\ANONYMIZED "]


@pytest.mark.parametrize(
    ("charset", "name", "others"),
    [
        ("ISO_IR 100", "Müller^Hans", ["MÜLLER", "Mueller", "Muller", "Hans Müller"]),
        ("ISO_IR 192", "Łukáš^Eva", ["ŁUKÁŠ", "lukas"]),
        ("ISO_IR 192", "Yamada^Tarou=山田^太郎", ["山田太郎", "YAMADA", "Taro", "taroh", "Tarō"]),
        ("ISO_IR 192", "Ono^Ryotaro", ["OHNO", "Ryoutarou", "Ryohtaroh", "Ōno", "Ryōtarō"]),
        ("ISO_IR 192", "Satoh^Yuuko", ["Sato", "SATOU", "Satō", "Yuko", "Yūko"]),
        ("ISO_IR 192", "Hattori^Kenichiro", ["Kenichirou", "Ken'ichiroh"]),
        ("ISO_IR 144", "Иванов^Пётр", ["ИВАНОВ"]),
    ],
)
def test_leftovers(charset: str, name: str, others: list[str]) -> None:
    """What identifies is found in texts that stay, as people write it, at every depth."""
    codec = {"ISO_IR 100": "latin-1", "ISO_IR 192": "utf-8", "ISO_IR 144": "iso8859_5"}[charset]
    for other in others:
        text = f"CT {other} CT".encode(codec)
        text += b" " * (len(text) % 2)
        data = dicom(
            el("SpecificCharacterSet", charset),
            El(0x00080070, "LO", text),
            El(0x00100010, "PN", padded_in(name, codec)),
            sq("ConceptNameCodeSequence", [El(0x00080104, "LO", text)]),
        )
        output = run(data)
        assert b"CT CT" in b" ".join(texts(output, 0x00080070)).replace(b"  ", b" "), other
        assert other.encode(codec) not in output


def padded_in(text: str, codec: str) -> bytes:
    """Returns a text of an even length in an encoding."""
    value = text.encode(codec)
    return value + b" " * (len(value) % 2)


def test_leftovers_in_private_elements() -> None:
    """Private elements that are safe are not, where they hold what identifies."""
    data = dicom(
        el("PatientName", "DOE^JANE"),
        El(0x00190010, "LO", b"GEMS_ACQU_01"),
        El(0x00190011, "LO", b"LORAD Selenia "),
        El(0x00191011, "LO", b"JANE'S SERIES "),
        El(0x00191106, "OB", b"\1\2"),
        El(0x00191107, "OB", "J DOE ".encode("utf-16-le")),
    )

    output = run(data, "retain-safe-private")

    assert b"JANE" not in output
    assert "DOE".encode("utf-16-le") not in output
    assert texts(output, 0x00191106) == [b"\1\2"]


LEFT = (
    el("Manufacturer", "GE of Jane Doe"),
    el("PatientName", "DOE^JANE"),
    El(0x00190011, "LO", b"LORAD Selenia "),
    El(0x00191106, "OB", b"DOE "),
    El(0x00191107, "OB", b"\1\2"),
)


@pytest.mark.parametrize("more", ["", "  fields: [{name: Manufacturer, keep: true}]\n"])
def test_leftovers_counted(more: str) -> None:
    """With `leftovers: count` what identifies stays as it came, and is counted."""
    text = profile("retain-safe-private", more=f"  leftovers: count\n{more}")
    plan = compile_plan(parse_profile(text))

    for _ in range(6):
        result = every_way(dicom(*LEFT), plan, byte_by_byte=False)
        assert texts(result.output, 0x00080070) == [b"GE of Jane Doe"]
        assert texts(result.output, 0x00191106) == [b"DOE "]
        assert dict(result.actions)["leftover"] == 2 - bool(more)
        assert b"YES" not in result.output
    about = (*LEFT[:2], el("PatientID", "7"), el("StudyInstanceUID", "1.2.3"))
    for _ in range(6):
        learned = every_way(dicom(*about), plan, byte_by_byte=False)
    assert learned.applied_bytes > 0
    assert dict(learned.actions).get("leftover", 0) == 1 - bool(more)


def test_words() -> None:
    """Words of the institution stay in cleaned texts, or in no text."""
    more = "  words: {keep: [Qwertz, ABC Foo], remove: [Mayo, Knee Köln Center, Chest]}\n"
    plan = compile_plan(parse_profile(profile("clean-descriptors", more=more)))
    data = dicom(
        el("StudyDescription", "QWERTZ abc-foo foo chest"),
        el("Manufacturer", "GE of MAYO, knee-koeln center"),
        el("PatientName", "DOE^JANE"),
    )

    output = every_way(data, plan, byte_by_byte=False).output

    assert texts(output, 0x00081030) == [b"QWERTZ abc-foo"]
    assert texts(output, 0x00080070) == [b"GE of "]


def test_leftovers_reject() -> None:
    """With `leftovers: reject` a text or bytes that identify somebody reject the file."""
    plan = compile_plan(parse_profile(profile("retain-safe-private", more="  leftovers: reject\n")))

    def rejection(*parts: Part) -> tuple[Reason, str | None]:
        with pytest.raises(DicomError) as raised:
            deidentify(dicom(*parts), plan)
        return raised.value.reason, str(raised.value.tag)

    assert rejection(*LEFT) == (Reason.REJECTED_BY_PROFILE, "(0008,0070)")
    assert rejection(*LEFT[1:]) == (Reason.REJECTED_BY_PROFILE, "(0019,1106)")
    assert deidentify(dicom(LEFT[0], el("PatientName", "ROE^RICHARD")), plan)


def test_what_says_nothing_is_as_it_came() -> None:
    """Texts in which nothing is found keep every byte, padding and all."""
    output = run(dicom(El(0x00080070, "LO", b" GE  \0"), el("PatientName", "DOE^JANE")))

    assert texts(output, 0x00080070) == [b" GE  \0"]


def test_others_than_in_this_file() -> None:
    """What was learned of one patient's files is not done to those of another."""
    plan = compile_plan(parse_profile(profile("clean-descriptors")))

    def one(name: str) -> bytes:
        return dicom(
            el("Manufacturer", "DOE AND ROE"),
            el("StudyDescription", "CHEST"),
            el("PatientName", name),
            el("PatientID", "7"),
            el("StudyInstanceUID", "1.2.3"),
        )

    for _ in range(6):
        doe = every_way(one("DOE^JANE"), plan, byte_by_byte=False)
        roe = every_way(one("ROE^JANE"), plan, byte_by_byte=False)
    assert doe.applied_bytes > 0
    assert texts(doe.output, 0x00080070) == [b"AND ROE "]
    assert texts(roe.output, 0x00080070) == [b"DOE AND "]


def keyed(patient: str, plan: Plan, sop_class: str = CLASSES["CT"]) -> bytes:
    """De-identifies a file of a patient in every way."""
    data = dicom(
        el("StudyDate", "20200102"),
        el("AcquisitionDateTime", "20200103101112"),
        el("StudyTime", "101112"),
        el("PatientID", patient),
        el("StudyInstanceUID", "1.2.3"),
        el("SeriesInstanceUID", "1.2.840.10008.1"),
        sq("RequestAttributesSequence", [el("StudyInstanceUID", "1.2.3")]),
        meta=[el(0x00020002, sop_class), el(0x00020003, "1.2.3")],
    )
    found = every_way(data, plan, byte_by_byte=False)
    assert found.error is None, found.error
    return found.output


def test_by_a_key() -> None:
    """With a key, UIDs, the patient's ID and the days that dates move by are the key's."""
    text = (
        "dicom:\n  base: ps3.15-2026c-basic\n  options: [retain-longitudinal-modified-dates]\n"
        "  pseudonyms: {shift-days: [-300, -30]}\n"
    )
    plan = compile_plan(parse_profile(text))

    one, again, other = (with_keys(plan, name) for name in ("a", "a", "b"))
    first, second, third = (keyed("7", each) for each in (one, again, other))
    another = keyed("8", one)

    assert first == second
    for tag in (0x00100020, 0x0020000D):
        assert texts(first, tag) != texts(third, tag)
    assert texts(first, 0x00100020) != texts(another, 0x00100020)
    assert texts(first, 0x0020000D) == texts(another, 0x0020000D)
    assert texts(first, 0x0020000E) == [b"1.2.840.10008.1\0"]
    moved = [
        date.fromisoformat(texts(first, tag)[0].decode()[:8]) for tag in (0x00080020, 0x0008002A)
    ]
    assert moved[1] - moved[0] == timedelta(days=1)
    assert texts(first, 0x0008002A)[0][8:] == b"101112"
    assert texts(first, 0x00280303) == [b"MODIFIED"]


@pytest.mark.parametrize("options", ["", "retain-uids"])
def test_references_in_a_content_that_becomes_dummies(options: str) -> None:
    """What a report or a selection refers to stays what its evidence lists (PS3.3 C.17.2)."""
    text = (
        f"dicom:\n  base: ps3.15-2026c-basic\n  options: [{options}]\n"
        "  pseudonyms: {shift-days: [-300, -30]}\n"
    )
    instance = [
        el("ReferencedSOPClassUID", "1.2.840.10008.5.1.4.1.1.2"),
        el("ReferencedSOPInstanceUID", "1.2.3.4.5"),
    ]
    data = dicom(
        el("PatientID", "7"),
        sq("CurrentRequestedProcedureEvidenceSequence", [sq("ReferencedSOPSequence", instance)]),
        sq("ContentSequence", [sq("ReferencedSOPSequence", instance), el("TextValue", "JOE")]),
    )
    plan = with_keys(compile_plan(parse_profile(text)))

    found = every_way(data, plan, byte_by_byte=False)

    evidence, content = texts(found.output, 0x00081155)
    assert evidence == content
    assert (evidence == b"1.2.3.4.5\0") is (options == "retain-uids")
    assert texts(found.output, 0x00081150) == [b"1.2.840.10008.5.1.4.1.1.2\0"] * 2
    assert texts(found.output, 0x0040A160) == [b"ANONYMIZED"]


@pytest.mark.parametrize(
    ("more", "field", "has_output"),
    [
        ("", "", True),
        ("missing: reject, ", "", False),
        ("", "{name: PatientName, assign: 'LUNG-{0000}'}", False),
    ],
)
def test_a_file_without_a_patient(more: str, field: str, has_output: bool) -> None:
    """A study stands for a patient who is not said, unless patients are told one by one."""
    keyed = f"  pseudonyms: {{{more}shift-days: [-365, -30]}}\n"
    text = profile(MODIFIED, more=keyed, fields=field)
    plan = with_keys(compile_plan(parse_profile(text.replace("  date-increment: -1\n", ""))))
    about = (el("StudyDate", "20200102"), el("StudyInstanceUID", "1.2.3"))

    first, second = (
        every_way(dicom(*about, el("Rows", (number,))), plan, byte_by_byte=False)
        for number in (1, 2)
    )

    assert (first.error is None) is has_output
    if has_output:
        assert texts(first.output, 0x00080020) == texts(second.output, 0x00080020)
        assert texts(first.output, 0x00080020) != [b"20200102"]


def test_more_people_than_a_file_has() -> None:
    """A file that was made to be about thousands of people is rejected, within a bound."""
    items = [[el("PatientName", f"DOE{number}^JANE")] for number in range(2001)]
    data = dicom(sq("ReferencedPatientSequence", *items), el("StudyID", "7"))

    found = every_way(data, compile_plan(parse_profile(profile())), byte_by_byte=False)

    assert found.error is not None
    assert found.error[0] == "LIMIT_EXCEEDED"


def test_clean_without_a_base() -> None:
    """A rule cleans texts in a profile without a base; the others stay."""
    text = (
        "dicom:\n  fields:\n    - {name: '**.StudyDescription', clean: true}\n"
        "    - {name: PatientName, replace-with: ''}\n"
    )
    data = dicom(
        el("StudyDescription", "CHEST of Jane Doe, Kowalski"),
        el("SeriesDescription", "of Jane Doe"),
        el("PatientName", "DOE^JANE"),
        sq("RequestAttributesSequence", [el("StudyDescription", "Qwertz")]),
    )

    found = every_way(data, compile_plan(parse_profile(text)), byte_by_byte=False)

    assert texts(found.output, 0x00081030) == [b"CHEST of", b"ANONYMIZED"]
    assert texts(found.output, 0x0008103E) == [b"of Jane Doe "]
    assert found.actions == (("clean", 2), ("replace-with", 1))
