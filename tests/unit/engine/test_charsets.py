"""Text in the character sets of Specific Character Set."""

from __future__ import annotations

from hashlib import sha256
from io import BytesIO
from typing import TYPE_CHECKING

import pydicom
import pytest

from tests.support.engine.build import dicom, el, encode, sq
from tests.support.engine.every_way import deidentified, plan_of, rejected, values_of
from tests.support.engine.files import ALL_FILES, name_of

if TYPE_CHECKING:
    from pathlib import Path

CHARSET_FILES = [path for path in ALL_FILES if path.parent.name == "charset_files"
                 and path.suffix == ".dcm"]  # fmt: skip
NAME = 0x00100010


def name_after(charset: str, name: bytes, rule: str) -> bytes:
    """Returns PatientName after a rule, with a character set in force."""
    data = dicom(el("SpecificCharacterSet", charset), el("PatientName", name))
    return values_of(deidentified(data, plan_of(f"name: PatientName, {rule}")))[NAME]


def digest(text: str) -> bytes:
    """Returns the hash of a text."""
    return sha256(text.encode()).hexdigest()[:16].encode()


@pytest.mark.parametrize("path", CHARSET_FILES, ids=name_of)
def test_hashes_are_of_the_text_not_of_its_bytes(path: Path) -> None:
    """A name has one hash, in whatever character set it is written, at every depth."""
    before = pydicom.dcmread(path)
    plan = plan_of("name: PatientName, hash: true", recurse_sequence="true")

    after = pydicom.dcmread(BytesIO(deidentified(path.read_bytes(), plan)))

    # pydicom does not show an empty last component group.
    texts = [str(each.value) for each in before.iterall() if each.tag == NAME]
    hashes = [str(each.value).encode() for each in after.iterall() if each.tag == NAME]
    assert texts
    for text, new in zip(texts, hashes, strict=True):
        assert new in {digest(text), digest(f"{text}=")}


@pytest.mark.parametrize("path", CHARSET_FILES, ids=name_of)
def test_characters_are_written_where_the_character_set_has_them(path: Path) -> None:
    """A replacement is written in the character set in force, or the file is rejected."""
    before = pydicom.dcmread(path)
    text = {"chrFren.dcm": "Bézier", "chrGerm.dcm": "Äneas", "chrRuss.dcm": "Люк",
            "chrGreek.dcm": "Διονυσιος", "chrX1.dcm": "王小東", "chrX2.dcm": "王小东",
            "chrH31.dcm": "山田", "chrI2.dcm": "김희중",
            "chrSQEncoding.dcm": "山田"}.get(path.name)  # fmt: skip
    if text is None:
        plan = plan_of("name: PatientName, replace-with: '\N{ETHIOPIC SYLLABLE HA}'")
        assert rejected(path.read_bytes(), plan)[0] == "VALUE_NOT_ENCODABLE"
        return
    plan = plan_of(f"name: PatientName, replace-with: '{text}^Ascii'")

    after = pydicom.dcmread(BytesIO(deidentified(path.read_bytes(), plan)))

    assert str(after.PatientName) == f"{text}^Ascii"
    assert after.SpecificCharacterSet == before.SpecificCharacterSet


def test_without_a_character_set_there_is_ascii_alone() -> None:
    """The default repertoire does not take other characters; undeclared ones are read."""
    plan = plan_of("name: PatientName, replace-with: 'Ä'")

    assert rejected(dicom(el("PatientName", "A")), plan)[0] == "VALUE_NOT_ENCODABLE"
    assert name_after("", b"\xc4neas ", "hash: true") == digest("Äneas")


def test_a_backslash_byte_of_a_chinese_character_separates_nothing() -> None:
    r"""The second byte 0x5C of a character of GB18030 or GBK is a part of it."""
    for charset, encoding in (("GB18030", "gb18030"), ("GBK", "gbk")):
        text = next(
            f"{character}^x"
            for character in map(chr, range(0x4E00, 0x9FA5))
            if character.encode(encoding)[1:] == b"\\"
        )
        assert name_after(charset, text.encode(encoding), "hash: true") == digest(text)


def test_utf_8() -> None:
    """With ISO_IR 192 any character is read and written."""
    assert name_after("ISO_IR 192", "Ŝtěfan".encode(), "hash: true") == digest("Ŝtěfan")
    new = name_after("ISO_IR 192", b"A ", "replace-with: 'Ŝtěfan'")
    assert new.decode().strip() == "Ŝtěfan"


def test_utf_8_that_is_cut_rejects() -> None:
    """Bytes that are not in the character set in force cannot be transformed."""
    data = dicom(el("SpecificCharacterSet", "ISO_IR 192"), el("PatientName", b"\xc5\xc5"))

    assert rejected(data, plan_of("name: PatientName, hash: true"))[:3] == (
        "VALUE_NOT_TRANSFORMABLE", "the value is not in the specific character set", "(0010,0010)",
    )  # fmt: skip


@pytest.mark.parametrize("term", ["KLINGON", "ISO 2022 IR 165", "ISO_IR 100\\X", "X" * 70_000])
@pytest.mark.parametrize("rule", ["hash: true", "replace-with: 'Ä'"])
def test_an_undefined_term_rejects_when_a_rule_needs_text(term: str, rule: str) -> None:
    """A character set that the standard does not define is not guessed."""
    charset = el("SpecificCharacterSet", term, "UT" if len(term) > 0xFFFF else "CS")
    data = dicom(charset, el("PatientName", "Ä" if "hash" in rule else "A"))
    plan = plan_of(f"name: PatientName, {rule}")

    assert rejected(data, plan) == (
        "NOT_SUPPORTED", "the specific character set is not a defined term", "(0008,0005)", "CS",
        data.index(encode([charset])[:8]),
    )  # fmt: skip


@pytest.mark.parametrize("term", ["KLINGON", "ISO 2022 IR 165", "\x1b$B", "Ä", "X" * 60_000])
def test_an_undefined_term_is_nothing_to_a_file_whose_text_stays_or_goes(term: str) -> None:
    """Elements that are removed, ASCII, and what no rule touches need no character set."""
    charset = el("SpecificCharacterSet", term)
    kept = [el("PatientSex", "M"), el("PatientComments", "ÄÄ", "LT")]
    name = el("PatientName", "ÄÖ")
    item = sq("ReferencedStudySequence", [name, el("PatientID", "1CT1")])
    plan = plan_of(
        "name: PatientName, remove: true", "name: PatientID, hash: true", recurse_sequence="true"
    )

    output = deidentified(dicom(charset, item, name, el("PatientID", "1CT1"), *kept), plan)

    number = el("PatientID", digest("1CT1"))
    item = sq("ReferencedStudySequence", [number])
    assert output.endswith(encode([charset, item, number, *kept]))


def test_an_item_has_a_character_set_of_its_own() -> None:
    """A character set counts for its item and what is below it, and ends with it."""
    data = dicom(
        el("SpecificCharacterSet", "ISO_IR 100"),
        sq(
            "ReferencedStudySequence",
            [el("SpecificCharacterSet", "ISO_IR 144"), el("PatientName", b"\xbb\xee")],
            [el("PatientName", b"\xc4 ")],
        ),
        el("PatientName", b"\xc4 "),
    )
    plan = plan_of("name: PatientName, hash: true", recurse_sequence="true")

    output = deidentified(data, plan)

    assert output.endswith(
        encode(
            [
                sq(
                    "ReferencedStudySequence",
                    [el("SpecificCharacterSet", "ISO_IR 144"), el("PatientName", digest("Лю"))],
                    [el("PatientName", digest("Ä"))],
                ),
                el("PatientName", digest("Ä")),
            ]
        )
    )


def test_a_replaced_character_set_counts_for_what_is_written() -> None:
    """What rules write after a new Specific Character Set is written in it."""
    data = dicom(el("SpecificCharacterSet", "ISO_IR 100"), el("PatientName", "A"))
    plan = plan_of(
        "name: SpecificCharacterSet, replace-with: ISO_IR 192",
        "name: PatientName, replace-with: 'Люк'",
    )

    assert values_of(deidentified(data, plan))[NAME] == "Люк".encode()


# A name of three groups and several components in each set that escape sequences invoke,
# as PS3.5 6.1.2.5.3 has it: designated again after every delimiter.
NAMES = {
    "\\ISO 2022 IR 149": ("Hong^Gildong=洪^吉洞=홍^길동",
                          b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7"
                          b"=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf"),
    "ISO 2022 IR 6\\ISO 2022 IR 149": ("홍^a길", b"\x1b$)C\xc8\xab^\x1b$)Ca\xb1\xe6"),
    "\\ISO 2022 IR 58": ("Zhang^XiaoDong=张^小东",
                         b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab"),
    "\\ISO 2022 IR 87": ("Yamada^Tarou=山田^太郎=やまだ^たろう",
                         b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B"
                         b"=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B"),
    "ISO 2022 IR 13\\ISO 2022 IR 87": (
        "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
        b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J"
        b"=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J"),
    "ISO_IR 13": ("ﾔﾏﾀﾞ^ﾀﾛｳ", b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3"),
    "\\ISO 2022 IR 87\\ISO 2022 IR 159": ("丂山^b丂", b"\x1b$(D0!\x1b$B;3\x1b(B^b\x1b$(D0!\x1b(B"),
    "ISO 2022 IR 100\\ISO 2022 IR 101": ("Böll^Łódź", b"B\xf6ll^\x1b-B\xa3\xf3d\xbc"),
    "\\ISO 2022 IR 144": ("Люк^a=Б", b"\x1b-L\xbb\xee\xda^a=\x1b-L\xb1"),
    "\\ISO 2022 IR 127": ("قباني^لنزار", b"\x1b-G\xe2\xc8\xc7\xe6\xea^\x1b-G\xe4\xe6\xd2\xc7\xd1"),
    "\\ISO 2022 IR 166": ("นาย^ก", b"\x1b-T\xb9\xd2\xc2^\x1b-T\xa1"),
    "ISO 2022 IR 144\\ISO 2022 IR 126": ("Лα^β", b"\xbb\x1b-F\xe1^\x1b-F\xe2"),
    "ISO 2022 IR 6\\ISO 2022 IR 203": ("œ^€", b"\x1b-b\xbd^\x1b-b\xa4"),
    "ISO_IR 203": ("œ^€", b"\xbd^\xa4"),
}  # fmt: skip


@pytest.mark.parametrize("charset", NAMES)
def test_names_in_sets_that_escape_sequences_invoke(charset: str) -> None:
    """Sets are designated again after each delimiter of a person name, both ways."""
    text, raw = NAMES[charset]
    raw += b" " * (len(raw) % 2)

    assert name_after(charset, b"A ", f"replace-with: '{text}'") == raw
    assert name_after(charset, raw, "hash: true") == digest(text)
    if not charset.endswith((" 58", "203")):
        # pydicom does not know these two.
        file = dicom(el("SpecificCharacterSet", charset), el("PatientName", raw))
        assert str(pydicom.dcmread(BytesIO(file)).PatientName) == text


def test_lines_of_a_text_begin_with_the_first_set() -> None:
    """Control characters and the delimiter of values end what an escape sequence began."""
    text = "Люк\r\nЖ\tA"
    plan = plan_of(
        f"name: PatientComments, replace-with: {text!r}".replace("'", '"'),
        "name: OtherPatientNames, replace-with: ['Люк', 'Ж']",
    )
    data = dicom(
        el("SpecificCharacterSet", "\\ISO 2022 IR 144"),
        el("OtherPatientNames", "A"),
        el("PatientComments", "A"),
    )

    values = values_of(deidentified(data, plan))

    assert values[0x00104000] == b"\x1b-L\xbb\xee\xda\r\n\x1b-L\xb6\tA"
    assert values[0x00101001] == b"\x1b-L\xbb\xee\xda\\\x1b-L\xb6 "


@pytest.mark.parametrize(
    ("charset", "text", "codec"),
    [
        ("ISO_IR 149", "홍^길동", "euc_kr"), ("ISO-IR 100", "Ä^B", "latin_1"),
        ("iso_ir_100", "Ä^B", "latin_1"), ("ISO 2022-IR 144", "Л^Ю", "iso8859_5"),
        ("UTF-8", "Ä^王", "utf_8"), ("utf8", "Ä^王", "utf_8"), ("ISO_IR_192", "Ä^王", "utf_8"),
        ("GB2312", "王^小", "gb2312"), ("ISO_IR 58", "王^小", "gb2312"),
        ("gb18030", "王^ä", "gb18030"), ("ISO_IR 13", "ﾔA^b", "shift_jis"),
        ("ISO-8859-1", "Ä^B", "latin_1"), ("ISO_IR 192\\ISO 2022 IR 87", "Ä^王", "utf_8"),
    ],
)  # fmt: skip
def test_other_spellings_of_terms(charset: str, text: str, codec: str) -> None:
    """Terms are understood in the spellings that other readers take."""
    raw = text.encode(codec)
    raw += b" " * (len(raw) % 2)

    assert name_after(charset, b"A ", f"replace-with: '{text}'") == raw
    assert name_after(charset, raw, "hash: true") == digest(text)


@pytest.mark.parametrize(
    ("charset", "text"),
    [
        ("\\ISO 2022 IR 149", "Ä"),
        ("ISO_IR 13", "¥"),
        ("ISO_IR 13", "山"),
        ("\\ISO 2022 IR 87", "é"),
    ],
)
def test_what_the_sets_do_not_have_rejects(charset: str, text: str) -> None:
    """No character is written that a reader would take for another."""
    data = dicom(el("SpecificCharacterSet", charset), el("PatientName", "A"))

    error = rejected(data, plan_of(f"name: PatientName, replace-with: '{text}'"))

    assert error[:2] == (
        "VALUE_NOT_ENCODABLE", "the specific character set cannot hold the new value",
    )  # fmt: skip


def test_escape_sequences_end_with_a_component() -> None:
    """ISO 2022 text is decoded component by component, as it is written."""
    raw = b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B"

    new = name_after("\\ISO 2022 IR 87", raw + b" " * (len(raw) % 2), "hash: true")

    assert new == digest("Yamada^Tarou=山田^太郎=やまだ^たろう")
