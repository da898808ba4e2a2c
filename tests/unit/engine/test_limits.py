"""What is held, for how long, and what is refused."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pydicom.data import get_testdata_file

import deid_service.engine.deidentifier as deidentifier_module
from deid_service.engine import Deidentifier, DicomError, deidentify
from deid_service.engine.encoding.dictionary import _private_vr_of
from deid_service.engine.file.deflate import Inflater
from deid_service.engine.limits import MAX_CREATOR_BYTES
from deid_service.engine.walk import creators, notes
from deid_service.engine.walk.notes import Notes
from deid_service.engine.walk.output import Output, Slot
from deid_service.engine.walk.sequences import MAX_SEQUENCE_DEPTH
from profile_service.language import parse_profile
from tests.support.engine.build import SYNTAXES, dicom, el, encode, header, item_header, sq
from tests.support.engine.every_way import (
    deidentified,
    every_way,
    plan_of,
    rejected,
    run,
    values_of,
)
from tests.support.engine.keys import compiled_with_keys
from tests.support.engine.walk import read_file

if TYPE_CHECKING:
    from deid_service.engine.walk.output import Buffer
    from tests.support.engine.build import Part
    from tests.support.engine.walk import Syntax

HELD = 2000
PIXELS = 0x7FE00010
DEEP = {"recurse_sequence": "true"}


def items(count: int, value: str) -> list[list[Part]]:
    """Returns items of some 30 bytes each."""
    return [[el("PatientID", value), el("Rows", (1,))] for _ in range(count)]


@pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=SYNTAXES)
def test_a_long_sequence_streams_with_an_undefined_length(syntax: Syntax) -> None:
    """A changed sequence that is longer than may be held ends with a delimiter."""
    data = dicom(sq("OtherPatientIDsSequence", *items(200, "a")), el("Rows", (1,)), syntax=syntax)
    plan = plan_of("name: PatientID, replace-with: LONGER", **DEEP)

    output = deidentified(data, plan, max_held=HELD)

    content = b"".join(
        item_header(0xFFFEE000, len(encode(item, syntax)), syntax) + encode(item, syntax)
        for item in items(200, "LONGER")
    )
    start = header(0x00101002, "SQ", 0xFFFFFFFF, syntax) + content
    end = item_header(0xFFFEE0DD, 0, syntax) + encode([el("Rows", (1,))], syntax)
    assert start + end in output


def test_a_long_sequence_is_released_while_it_comes() -> None:
    """Output of a long sequence does not wait for its end."""
    data = dicom(sq("OtherPatientIDsSequence", *items(400, "a")))
    deidentifier = Deidentifier(
        plan_of("name: PatientID, replace-with: LONGER", **DEEP), max_held_bytes=HELD
    )

    released = sum(len(buffer) for buffer in deidentifier.receive(data[: len(data) // 2]))

    assert released > len(data) // 2 - 3 * HELD


@pytest.mark.parametrize("rule", ["PixelData, remove: true", "PatientName, remove: true"])
def test_what_lies_in_a_long_value_is_neither_read_nor_copied(rule: str) -> None:
    """A piece of pixel data comes back as the same object, or not at all."""
    data = dicom(el("SOPInstanceUID", "1.2"), el("PixelData", bytes(5000), "OW"))
    deidentifier = Deidentifier(plan_of(f"name: {rule}"))
    deidentifier.receive(data[:-4000])
    while deidentifier.pending:
        deidentifier.go_on()
    pieces: list[bytes | memoryview] = [data[-4000:-3000], memoryview(data)[-3000:-2000]]
    changeable = bytearray(data[-2000:])

    released = [
        deidentifier.receive(piece) for piece in [*pieces, changeable[:1000], changeable[1000:]]
    ]
    deidentifier.finish()

    if rule.startswith("PixelData"):
        assert released == [[]] * 4
    else:
        assert released[0][0] is pieces[0]
        assert released[1][0] is pieces[1]
        assert b"".join(released[2] + released[3]) == bytes(2000)


def test_a_long_item_streams_with_an_undefined_length() -> None:
    """The same is done to an item that is longer than may be held."""
    filler = [el("InstitutionalDepartmentName", "x" * 50)] * 100
    inside = [el("PatientID", "a"), *filler]
    data = dicom(sq("OtherPatientIDsSequence", inside))

    output = deidentified(data, plan_of("name: PatientID, remove: true", **DEEP), max_held=HELD)

    assert output.endswith(encode([sq("OtherPatientIDsSequence", filler, undefined=True)]))


def test_an_unchanged_long_sequence_keeps_its_elements() -> None:
    """What no rule touches in a long sequence is as it came."""
    data = dicom(sq("OtherPatientIDsSequence", *items(200, "a")))

    output = deidentified(data, plan_of("name: PatientName, remove: true", **DEEP), max_held=HELD)

    before, after = (read_file(each).elements[-1] for each in (data, output))
    assert [item.raw for item in after.items or ()] == [item.raw for item in before.items or ()]


@pytest.mark.parametrize("rule", ["hash: true", "hashuid: true", "increment-date: true"])
def test_a_value_that_is_needed_and_too_long_rejects(rule: str) -> None:
    """A value that a rule must see has a limit; what it says names the element."""
    data = dicom(el("TextValue", "1" * (HELD + 2)))
    plan = plan_of(f"name: '0040A160', {rule}", date_increment=1)

    assert rejected(data, plan, max_held=HELD)[:3] == (
        "LIMIT_EXCEEDED", f"a value that a rule needs is longer than {HELD} bytes", "(0040,A160)",
    )  # fmt: skip


@pytest.mark.parametrize("rule", ["replace-with: x", "remove: true", "keep: true"])
def test_a_long_value_that_is_not_needed_has_no_limit(rule: str) -> None:
    """A value that is kept, removed or replaced can have any length."""
    data = dicom(el("TextValue", "1" * 50_000), el("PatientComments", "2" * 50_000))

    values = values_of(deidentified(data, plan_of(f"name: TextValue, {rule}"), max_held=HELD))

    wanted = {"replace-with: x": b"x ", "keep: true": b"1" * 50_000}.get(rule)
    assert values.get(0x0040A160) == wanted
    assert values[0x00104000] == b"2" * 50_000


def test_the_file_meta_has_a_limit() -> None:
    """A file meta that does not end is not held for ever."""
    data = dicom(meta=[el(0x00020003, "1.2"), el(0x00020102, bytes(HELD), "OB")])

    assert rejected(data, plan_of("name: PatientID, hash: true"), max_held=HELD)[0] == (
        "LIMIT_EXCEEDED"
    )


def test_a_private_creator_waits_only_so_long() -> None:
    """A creator whose block does not come in time stays: it names no patient."""
    creator = el(0x00090010, "GEMS_IDEN_01", "LO")
    data = dicom(creator, el(0x00091010, b"x" * 5000, "OB"), el(0x00091102, "a", "SH"))
    plan = plan_of("name: '(0009, \"GEMS_IDEN_01\", 02)', keep: true", remove_private_tags="true")

    values = values_of(deidentified(data, plan, max_held=HELD))

    assert set(values) <= {0x00090010}


@pytest.mark.parametrize("undefined", [False, True])
def test_nesting_has_a_limit(undefined: bool) -> None:
    """Sequences nest so deep and no deeper."""

    def nested(depth: int) -> bytes:
        part: Part = el("PatientID", "a")
        for _ in range(depth):
            part = sq("OtherPatientIDsSequence", [part], undefined=undefined)
        return dicom(part)

    plan = plan_of("name: PatientID, replace-with: b", **DEEP)

    assert b"LO\x02\0b " in deidentified(nested(MAX_SEQUENCE_DEPTH), plan)
    assert rejected(nested(MAX_SEQUENCE_DEPTH + 1), plan)[0] == "LIMIT_EXCEEDED"


JPEG, RLE = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.5"
NO_FRAGMENTS = item_header(0xFFFEE000, 0) + item_header(0xFFFEE0DD, 0)


@pytest.mark.parametrize(
    "fragments", [[b""], [b"", b"ab" * 100], [bytes(8), b"\xfe\xff\xdd\xe0" * 50]]
)
@pytest.mark.parametrize(
    ("rule", "wanted"),
    [("keep: true", "same"), ("remove: true", None), ("replace-with: ''", NO_FRAGMENTS)],
)
def test_encapsulated_pixel_data(
    fragments: list[bytes], rule: str, wanted: str | bytes | None
) -> None:
    """Fragments are passed on, removed or emptied as one element."""
    content = b"".join(item_header(0xFFFEE000, len(each)) + each for each in fragments)
    content += item_header(0xFFFEE0DD, 0)
    pixels = header(PIXELS, "OB", 0xFFFFFFFF) + content
    after = el("DataSetTrailingPadding", b"ab")
    data = dicom(el("Rows", (1,)), pixels, after, transfer_syntax="1.2.840.10008.1.2.4.50")

    output = deidentified(data, plan_of(f"name: PixelData, {rule}"))

    values = values_of(output)
    assert values.get(PIXELS) == (content if wanted == "same" else wanted)
    assert values[0xFFFCFFFC] == b"ab"


@pytest.mark.parametrize("pixels", [None, b"", bytes(8), bytes(3000)], ids=repr)
@pytest.mark.parametrize(
    "rule",
    ["name: PixelData, replace-with: ''", "name: 7FE00010, replace-with: ''"],
)
def test_emptied_pixel_data_is_as_the_transfer_syntax_wants_it(
    rule: str, pixels: bytes | None
) -> None:
    """Encapsulated pixel data has an undefined length (PS3.5 A.4), native one has none."""
    plan = plan_of(rule)
    start: list[Part] = [el("SOPInstanceUID", "1.2"), el("Modality", "CT"), el("Rows", (1,))]
    start += [] if pixels is None else [el(PIXELS, pixels, "OB")]
    for _ in range(3):
        for uid, vr in (("", "OW" if pixels is None else "OB"), (JPEG, "OB"), (RLE, "OB")):
            length = 0xFFFFFFFF if uid else 0
            wanted = header(PIXELS, vr, length) + (NO_FRAGMENTS if uid else b"")

            output = deidentified(dicom(*start, transfer_syntax=uid), plan)

            assert output.endswith(wanted)


def test_emptied_pixel_data_of_an_icon_stays_encapsulated() -> None:
    """What was encapsulated in an item is so without fragments, and the item fits around it."""
    fragments = header(PIXELS, "OB", 0xFFFFFFFF) + item_header(0xFFFEE000, 4) + b"abcd"
    icon: list[Part] = [el("Rows", (1,)), fragments + item_header(0xFFFEE0DD, 0)]
    data = dicom(sq("IconImageSequence", icon), el("PatientID", "1"), transfer_syntax=JPEG)
    empty = header(PIXELS, "OB", 0xFFFFFFFF) + NO_FRAGMENTS
    plan = plan_of("name: IconImageSequence.0.PixelData, replace-with: ''")

    output = deidentified(data, plan)

    emptied: list[Part] = [el("Rows", (1,)), empty]
    wanted: list[Part] = [sq("IconImageSequence", emptied), el("PatientID", "1")]
    assert output.endswith(encode(wanted))


def test_transforming_encapsulated_pixel_data_rejects() -> None:
    """Fragments have no value that could be transformed."""
    pixels = header(PIXELS, "OB", 0xFFFFFFFF) + item_header(0xFFFEE0DD, 0)
    data = dicom(pixels, transfer_syntax="1.2.840.10008.1.2.4.50")

    assert rejected(data, plan_of("regex: PixelData, hash: true"))[0] == "VALUE_NOT_TRANSFORMABLE"


@pytest.mark.parametrize("kept", [1, 7, 8, 15, 17, 23, 24, 31])
def test_a_truncated_file_rejects(kept: int) -> None:
    """A file that ends in an element is refused, wherever it ends."""
    elements = encode([el("StudyDate", "20040119"), el("PatientName", "Doe^John")])

    error = rejected(dicom() + elements[:kept], plan_of("name: PatientID, hash: true"))

    assert error[0] == "TRUNCATED"


@pytest.mark.parametrize(
    "data",
    [b"", b"x", b"DICM", bytes(128), bytes(132), bytes(128) + b"DICM", b"\x89PNG\r\n\x1a\n" * 40,
     b"{}" * 200, b"\xff" * 300],
)  # fmt: skip
def test_what_is_not_dicom_rejects(data: bytes) -> None:
    """Bytes that are not a DICOM file are refused as such, or as having no transfer syntax."""
    reasons = {"NOT_DICOM", "UNKNOWN_TRANSFER_SYNTAX"}

    assert rejected(data, plan_of("name: PatientID, hash: true"))[0] in reasons


@pytest.mark.parametrize("deflated_twice", [False, True])
def test_deflated_files(deflated_twice: bool) -> None:
    """A deflated data set is de-identified, and deflated again."""
    long = el("TextValue", "0123456789" * 20_000)
    data = dicom(el("PatientName", "A"), long, el(0x0040A161, "x", "LO"), deflated=True)
    plan = plan_of("name: PatientName, replace-with: X")

    output = deidentified(data, plan)
    if deflated_twice:
        output = deidentified(output, plan)

    file = read_file(output)
    assert file.deflated
    assert b"".join(each.raw for each in file.elements) == encode(
        [el("PatientName", "X"), long, el(0x0040A161, "x", "LO")]
    )
    assert len(output) % 2 == 0


@pytest.mark.parametrize(
    ("end", "reason"),
    [(slice(0, -10), "TRUNCATED"), (slice(0, -300), "TRUNCATED")],
)
def test_truncated_deflated_files_reject(end: slice, reason: str) -> None:
    """A deflated data set that ends early is refused."""
    text = "".join(str(number) for number in range(500))
    data = dicom(el("TextValue", text), deflated=True)

    assert rejected(data[end], plan_of("name: PatientID, hash: true"))[0] == reason


@pytest.mark.parametrize("more", range(0, 300, 20))
def test_deflated_data_of_any_length_is_inflated_to_its_end(more: int) -> None:
    """Where the last of the input has been read, there can be more of the output."""
    size = (1 << 20) + more
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    data = deflater.compress(bytes(size)) + deflater.flush()
    inflater = Inflater()

    assert sum(map(len, inflater.pieces(data))) == size
    inflater.finish()


def test_what_inflates_hugely_is_taken_little_by_little() -> None:
    """A few bytes that inflate to many are not all taken in one call."""
    data = dicom(el("Rows", (1,)), el("PixelData", bytes(20 << 20), "OB"), deflated=True)
    plan = plan_of("name: PatientName, remove: true")
    deidentifier = Deidentifier(plan)

    released = deidentifier.receive(data)
    calls = 1
    while deidentifier.pending:
        released += deidentifier.go_on()
        calls += 1
    result = deidentifier.finish()

    assert calls > 10
    assert b"".join([*released, *result.tail]) == deidentified(data, plan)


def dense(items: int) -> bytes:
    """A file of references that each want something done."""
    references = [[el("ReferencedSOPInstanceUID", f"1.2.{number}")] for number in range(items)]
    return dicom(el("SOPInstanceUID", "1.2"), sq("ReferencedImageSequence", *references))


@pytest.mark.parametrize("size", [1 << 20, 100_000])
def test_what_takes_long_is_taken_in_turns(size: int) -> None:
    """However much there is to do in a piece of input, a call returns after some of it."""
    data = dense(5_000)
    plan = plan_of("regex: '.*UID$', hashuid: true")
    whole = deidentify(data, plan)
    deidentifier = Deidentifier(plan)
    released: list[Buffer] = []
    calls = 0

    for start in range(0, len(data), size):
        released += deidentifier.receive(data[start : start + size])
        while deidentifier.pending:
            released += deidentifier.go_on()
            calls += 1
    result = deidentifier.finish()

    assert calls > 5
    assert b"".join([*released, *result.tail]) == whole


def going_on(deidentifier: Deidentifier, released: list[Buffer]) -> int:
    """Takes all that waits, and returns in how many turns."""
    turns = 0
    while deidentifier.pending:
        released += deidentifier.go_on()
        turns += 1
    return turns


def test_new_tags_are_taken_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done to a tag is worked out in turns, too, where no other file had it before."""
    monkeypatch.setattr(deidentifier_module, "_TURN_SECONDS", 0.0)
    data = dicom(*[el(tag, b"", "LO") for tag in range(0x00111001, 0x00111001 + 500)])
    rule = "regex: '.*Name', remove: true"
    deidentifier = Deidentifier(plan_of(rule))

    released = deidentifier.receive(data)
    turns = going_on(deidentifier, released)

    assert turns >= 499
    assert b"".join([*released, *deidentifier.finish().tail]) == deidentify(data, plan_of(rule))


def test_a_long_file_meta_is_taken_in_turns() -> None:
    """Elements of the file meta are not all read in one call either."""
    meta = encode([el(0x00020016, "", "AE")] * 30_000)
    deidentifier = Deidentifier(plan_of("name: PatientID, hash: true"))

    deidentifier.receive(bytes(128) + b"DICM" + meta)

    assert deidentifier.pending


LOOKING_AHEAD = {
    "people": "dicom: {base: ps3.15-2026c-basic, options: [clean-descriptors], salt: nobody's}",
    "conditions": "dicom: {fields: [{name: PatientName, remove: true, "
    "when: {present: [ImageComments]}}]}",
    "the patient": "dicom: {pseudonyms: {shift-days: [1, 9]}, "
    "fields: [{name: StudyDate, keyed-shift: true}]}",
}


@pytest.mark.parametrize("pixels", [True, False])
@pytest.mark.parametrize("what", LOOKING_AHEAD)
def test_what_is_looked_for_is_looked_for_in_turns(
    what: str, pixels: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What rules depend on may stand behind very many elements, or nowhere: others have turns."""
    monkeypatch.setattr(deidentifier_module, "_TURN_SECONDS", 0.0)
    item = [el("StudyDate", "20040119"), el("ReferencedSOPInstanceUID", "1.2.3")]
    data = dicom(
        el("SOPInstanceUID", "1.2.3"),
        el("StudyDate", "20040119"),
        sq("ReferencedStudySequence", *[item] * 20_000, undefined=True),
        *([el("PatientID", "1"), el("PixelData", bytes(64), "OW")] if pixels else []),
    )
    plan = compiled_with_keys(parse_profile(LOOKING_AHEAD[what]))
    if what == "the patient" and not pixels:
        with pytest.raises(DicomError, match="who the patient is"):
            deidentify(data, plan)
        return
    deidentifier = Deidentifier(plan)

    # Before all is found there is no output.
    released, turns = deidentifier.receive(data), 0
    while deidentifier.pending and not released:
        released += deidentifier.go_on()
        turns += 1
    going_on(deidentifier, released)
    deidentifier.end()
    while deidentifier.pending and not released:
        released += deidentifier.go_on()
        turns += 1
    going_on(deidentifier, released)

    assert turns >= 3
    assert b"".join([*released, *deidentifier.finish().tail]) == deidentify(data, plan)


@pytest.mark.parametrize("name", ["CT_small.dcm", "test-SR.dcm", "image_dfl.dcm"])
@pytest.mark.parametrize("what", LOOKING_AHEAD)
def test_turns_of_looking_ahead_change_nothing(
    what: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file comes out the same where looking ahead pauses as often as it can."""
    data = Path(str(get_testdata_file(name, download=False))).read_bytes()
    plan = compiled_with_keys(parse_profile(LOOKING_AHEAD[what]))
    whole = every_way(data, plan, byte_by_byte=False)
    monkeypatch.setattr(deidentifier_module, "_TURN_SECONDS", 0.0)
    for place in ("file.people", "file.outlook", "walk.patient"):
        monkeypatch.setattr(f"deid_service.engine.{place}._BYTES_AT_ONCE", 64)

    assert every_way(data, plan, byte_by_byte=False) == whole


@pytest.mark.parametrize("name", ["CT_small.dcm", "test-SR.dcm", "DICOMDIR", "image_dfl.dcm"])
def test_turns_change_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file comes out the same where every call ends as soon as it can."""
    data = Path(str(get_testdata_file(name, download=False))).read_bytes()
    plan = plan_of("regex: '.*InstanceUID$', hashuid: true", "regex: '.*Name$', remove: true")
    whole = every_way(data, plan, byte_by_byte=False)
    assert whole.error is None
    monkeypatch.setattr(deidentifier_module, "_TURN_SECONDS", 0.0)

    assert every_way(data, plan, byte_by_byte=False) == whole


def test_the_offsets_of_a_directory_are_written_in_turns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A directory is read again once it has ended, and others have their turn meanwhile."""
    monkeypatch.setattr(deidentifier_module, "_TURN_SECONDS", 0.0)
    meta = [el(0x00020002, "1.2.840.10008.1.3.10"), el(0x00020003, "1.2")]
    record = [el(0x00041400, (0,)), el("PatientComments", "x" * 1000)]
    data = dicom(el("FileSetID", "A"), sq("DirectoryRecordSequence", *[record] * 300), meta=meta)
    plan = plan_of("name: FileSetID, replace-with: LONGER")
    deidentifier = Deidentifier(plan)
    released = deidentifier.receive(data)
    going_on(deidentifier, released)

    deidentifier.end()
    turns = going_on(deidentifier, released)

    assert turns > 10
    assert b"".join([*released, *deidentifier.finish().tail]) == deidentify(data, plan)
    with pytest.raises(RuntimeError):
        deidentifier.receive(b"more")


def test_what_follows_a_deflated_data_set_rejects() -> None:
    """Bytes behind the end of the deflated data are not passed on unseen."""
    data = dicom(el("PatientName", "A"), deflated=True)

    error = rejected(data + b"PatientName=Doe", plan_of("name: PatientID, hash: true"))

    assert error[:2] == ("MALFORMED", "something follows the deflated data set")


def test_errors_say_where() -> None:
    """An error has the tag, the VR and the offset of the element that it is about."""
    first = el("PatientName", "A")
    data = dicom(first, el("PatientBirthDate", "x"))
    plan = plan_of("name: PatientBirthDate, increment-date: true", date_increment=1)

    reason, _, tag, vr, offset = rejected(data, plan)

    assert (reason, tag, vr) == ("VALUE_NOT_TRANSFORMABLE", "(0010,0030)", "DA")
    assert offset == data.index(struct.pack("<HH", 0x10, 0x30))


# --- zero bytes behind the data set ---

LEFT_OUT = ("zero bytes behind the data set were left out",)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 6, 7, 8, 9, 12, 16, 100, 512, 5000])
@pytest.mark.parametrize(
    ("syntax", "deflated"),
    [*((syntax, False) for syntax in SYNTAXES.values()), (SYNTAXES["explicit"], True)],
    ids=[*SYNTAXES, "deflated"],
)
def test_zero_bytes_behind_the_last_element_are_left_out(
    syntax: Syntax, deflated: bool, count: int
) -> None:
    """Whatever a medium was padded with is no element; the receipt says that it is gone."""
    plan = plan_of("name: PatientName, replace-with: A", "name: StudyID, replace-with: '1'")
    parts: list[Part] = [
        el("SOPInstanceUID", "1.2"), el("Modality", "CT"), el("PatientName", "Doe"),
    ]  # fmt: skip
    wanted = every_way(dicom(*parts, syntax=syntax, deflated=deflated), plan)
    if syntax == SYNTAXES["big endian"] and count == 1:
        # It could be half of a group number.
        assert rejected(dicom(*parts, b"\0", syntax=syntax), plan)[0] == "TRUNCATED"
        return

    outcome = every_way(dicom(*parts, bytes(count), syntax=syntax, deflated=deflated), plan)

    assert (outcome.output, outcome.actions) == (wanted.output, wanted.actions)
    assert outcome.warnings == LEFT_OUT


@pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=SYNTAXES)
def test_what_follows_zero_bytes_rejects(syntax: Syntax) -> None:
    """Zero bytes with something behind them are no padding, and neither are those of an item."""
    plan = plan_of("name: PatientName, replace-with: A", recurse_sequence="true")
    name = el("PatientName", "Doe")

    for between in (8, 16, 512):
        data = dicom(el("Modality", "CT"), bytes(between), name, syntax=syntax)
        assert rejected(data, plan)[0] == "MALFORMED"
    item = sq("OtherPatientIDsSequence", [name, bytes(5)])
    assert rejected(dicom(item, syntax=syntax), plan)[0] == "MALFORMED"


def test_zero_bytes_behind_a_media_directory_are_left_out() -> None:
    """The offsets of a directory are right without them."""
    meta = [el(0x00020002, "1.2.840.10008.1.3.10"), el(0x00020003, "1.2")]
    plan = plan_of("name: FileSetID, replace-with: LONGER")
    parts: list[Part] = [
        el("FileSetID", "A"),
        sq("DirectoryRecordSequence", [el("PatientID", "7")]),
    ]
    wanted = every_way(dicom(*parts, meta=meta), plan)

    outcome = every_way(dicom(*parts, bytes(100), meta=meta), plan)

    assert (outcome.output, outcome.warnings) == (wanted.output, LEFT_OUT)


# --- what one file can cost ---


@pytest.mark.parametrize("recursion", ["true", "false"])
@pytest.mark.parametrize("order", [1, -1], ids=["ascending", "descending"])
@pytest.mark.parametrize("what", ["creators", "elements"])
def test_blocks_of_private_elements_have_a_limit(
    what: str, order: int, recursion: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file holds so many private blocks and no more, at all of its open levels together."""
    monkeypatch.setattr(creators, "MAX_PRIVATE_BLOCKS", 40)
    plan = plan_of(
        "name: '(0009, \"GEMS_IDEN_01\", 02)', keep: true",
        remove_private_tags="true",
        recurse_sequence=recursion,
    )

    def blocks(count: int) -> list[Part]:
        places = [(group, number) for group in (9, 11, 13, 15) for number in range(0x10, 0x20)]
        tags = [
            group << 16 | (number if what == "creators" else number << 8)
            for group, number in places[:count]
        ]
        return [el(tag, b"", "LO") for tag in tags[::order]]

    outer, inner = blocks(30), blocks(10)
    item = sq("OtherPatientIDsSequence", inner)
    for over in (0, 1):
        flat = dicom(*blocks(40 + over))
        nested = dicom(*outer, item, sq("OtherPatientIDsSequence", blocks(10 + over)))
        for data in (flat, nested):
            outcome = every_way(data, plan)

            wanted = None if over == 0 else "LIMIT_EXCEEDED"
            assert (outcome.error and outcome.error[0]) == wanted


def test_a_private_creator_has_a_limit() -> None:
    """A creator is a short text, however long a private element may be."""
    plan = plan_of("name: '(0009, \"GEMS_IDEN_01\", 02)', keep: true", remove_private_tags="true")

    assert every_way(dicom(el(0x00090010, b"x" * MAX_CREATOR_BYTES, "LO")), plan).error is None
    assert rejected(dicom(el(0x00090010, b"x" * MAX_CREATOR_BYTES + b"  ", "LO")), plan)[0] == (
        "LIMIT_EXCEEDED"
    )


SUBSTITUTION = (
    "name: StudyDescription, regex-sub: [{input-regex: '.*', output: '{PatientSex}{StudyID}', "
    "groups: [{name: PatientSex}, {name: StudyID}]}]"
)


@pytest.mark.parametrize("depth", [0, 1, 5])
def test_values_that_wait_have_a_limit(depth: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many values may wait for one further on, the fewer the deeper they lie."""
    monkeypatch.setattr(notes, "MAX_WAITING", 180)
    plan = plan_of(SUBSTITUTION, recurse_sequence="true")

    def data(count: int) -> bytes:
        part: Part = encode([el("StudyDescription", "a")] * count)
        for _ in range(depth):
            part = sq("ReferencedStudySequence", [part])
        return dicom(part, el("PatientSex", "O"), el("StudyID", "1"))

    most = 180 // (8 + 2 * depth)

    assert every_way(data(most), plan).error is None
    assert rejected(data(most + 1), plan)[0] == "LIMIT_EXCEEDED"


def test_an_element_that_others_need_is_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often it stands there, what waits is gone through once for each such element."""
    calls: list[Notes] = []
    resolve = Notes.resolve_deferred

    def counted(notes: Notes) -> None:
        calls.append(notes)
        resolve(notes)

    monkeypatch.setattr(Notes, "resolve_deferred", counted)
    sex = [el("PatientSex", "O")] * 500
    data = dicom(*[el("StudyDescription", "a")] * 500, *sex, el("StudyID", "1"))

    assert run(plan_of(SUBSTITUTION), [data]).error is None
    assert len(calls) <= 2


def test_what_is_due_is_noted_once_for_a_block_or_a_group() -> None:
    """Creators and group lengths that stand again and again leave nothing behind."""
    plan = plan_of(
        "name: '(0009, \"GEMS_IDEN_01\", 02)', keep: true",
        "name: PatientName, replace-with: A",
        remove_private_tags="true",
    )
    again: list[Part] = [el(0x00090010, b"", "LO"), el(0x00110010, b"", "LO")]
    again += [el(0x00200000, (0,), "UL"), el(0x00100000, (0,), "UL")]
    deidentifier = Deidentifier(plan)
    deidentifier.receive(dicom(*again * 500))
    body = deidentifier._data_set.body
    assert body is not None

    assert len(body.walk.splicer.level._agenda) < 20


def test_a_group_length_that_is_none_is_not_held() -> None:
    """A group length of any other length than four bytes goes, without being waited for."""
    data = dicom(el(0x00100000, bytes(3000), "OB"), el("PatientName", "Doe"))
    plan = plan_of("name: PatientName, replace-with: A")

    output = deidentified(data, plan, max_held=HELD)

    assert output.endswith(dicom(el("PatientName", "A"))[-10:])
    assert 0x00100000 not in values_of(output)


def test_open_places_are_found_without_a_search() -> None:
    """The first place in the output that waits is known, however many have been filled."""
    output = Output()
    slots = [Slot(i) for i in range(1000)]
    for slot in slots:
        output.open(slot)
    for slot in slots[:-1]:
        output.fill(slot, [])

    assert output.first_open() is slots[-1]
    assert len(output._waiting) == 1
    output.cut(slots[-1])
    assert output.first_open() is None


def test_nothing_is_remembered_of_creators_that_no_dictionary_knows() -> None:
    """A private creator that a file makes up is forgotten with it."""
    plan = plan_of("name: '(0009, \"GEMS_IDEN_01\", 02)', remove: true")
    before = _private_vr_of.cache_info().currsize
    for number in range(50):
        parts = [el(0x00090010, f"made up {number}", "LO"), el(0x00091002, "x", "SH")]
        run(plan, [dicom(*parts, syntax=SYNTAXES["implicit"])])

    assert _private_vr_of.cache_info().currsize == before


def test_a_sequence_as_long_as_may_be_held_can_be_cut_at_its_end() -> None:
    """Its length is still open when more than may be held has passed; it ends in time."""
    plan = plan_of("name: PatientID, replace-with: A longer one", recurse_sequence="true")
    item = [el("PatientID", "1"), el("PatientComments", "C" * 274)]
    data = dicom(sq("OtherPatientIDsSequence", item))
    assert len(data) - data.index(b"\x10\0\x02\x10") == 12 + 300
    whole = run(plan, [data], max_held=300)

    assert whole.error is None
    for end in range(1, 20):
        assert run(plan, [data[:-end], data[-end:]], max_held=300) == whole
