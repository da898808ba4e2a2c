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


def test_an_undefined_term_rejects_when_a_rule_needs_text() -> None:
    """A character set that the standard does not define is not guessed."""
    data = dicom(el("SpecificCharacterSet", "KLINGON"), el("PatientName", "A"))

    error = rejected(data, plan_of("name: PatientName, hash: true"))

    assert error[0] == "NOT_SUPPORTED"
    assert error[2] == "(0008,0005)"


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


def test_escape_sequences_end_with_a_component() -> None:
    """ISO 2022 text is decoded component by component, as it is written."""
    raw = b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B"

    new = name_after("\\ISO 2022 IR 87", raw + b" " * (len(raw) % 2), "hash: true")

    assert new == digest("Yamada^Tarou=山田^太郎=やまだ^たろう")
