"""Texts in values whose VR holds none are not left, and numbers stay as they are."""

from __future__ import annotations

import re
from operator import attrgetter
from typing import TYPE_CHECKING

import pytest

from deid_service.engine import compile_plan, deidentify
from deid_service.engine.rules.fits import FITS, MAX_BYTES, is_numbers
from deid_service.engine.rules.in_bytes import blanked
from deid_service.engine.texts.identity import Identity
from profile_service.language import parse_profile
from tests.support.engine.build import El, dicom, el
from tests.support.engine.every_way import every_way
from tests.support.engine.walk import EXPLICIT, IMPLICIT, read_file
from tests.unit.engine.test_base import profile

if TYPE_CHECKING:
    from deid_service.engine import Plan
    from tests.support.engine.walk import Syntax

SAID = (
    b"evenoux", b"miller", b"8072589", b"haugesund", b"572", "evenoux".encode("utf-16-be"),
)  # fmt: skip

GEMS_RELA = El(0x00210010, "LO", b"GEMS_RELA_01")
GEIIS = El(0x09030010, "LO", b"GEIIS PACS")
WHO = (
    el("AccessionNumber", "A8072589"),
    el("PatientName", "THEVENOUX^GAETAN"),
    el("PatientBirthDate", "19520707"),
    el("PresentationLUTShape", "IDENTITY"),
)

# Tag, VR, and value: a text that must not stay.
TEXTS = [
    (0x0021105C, "DS", b"Thevenoux_Gaetan"),
    (0x0021105C, "DS", b"A8072589"),
    (0x0021105C, "SH", b"THEVENOUX "),
    (0x0021105C, "SH", b"Miller knee "),
    (0x09031010, "US", b"from Haugesund"),
    (0x09031010, "LO", b"SSN 572-31-7674 "),
    (0x09031010, "UL", b"Miller, Sue\0"),
    (0x09031010, "FL", b"THEVENOUX G."),
    (0x09031010, "OW", b"\1\2\3THEVENOUX\4\5"),
    (0x09031010, "UN", b"THEVENOUX "),
    (0x00180050, "DS", b"THEVENOUX "),
    (0x00180050, "DS", b"Miller"),
    (0x00200013, "IS", b"Miller"),
    (0x00181020, "US", b"THEVENOUX "),
    (0x00282000, "OB", b"\0\0desc\0\0\0\0THEVENOUX^GAETAN A8072589\0\1"),
    (0x00281201, "OW", "\3THEVENOUX".encode("utf-16-be")),
]

# The same of what must stay.
NUMBERS = [
    (0x0021105C, "DS", b"1.5\\-2e3 "),
    (0x0021105C, "SH", b"12.5"),
    (0x09031010, "US", b"\1\0\2\0\3\0"),
    (0x09031010, "SS", b"\x9c\xff8\xff\xd4\xff"),
    (0x09031010, "FL", b"\0\0\x80?ff*@"),
    (0x00180050, "DS", b"0.488281"),
    (0x00180050, "DS", b"nan "),
    (0x00280030, "DS", b"19520707.0\\1"),
    (0x00282000, "OB", b"\0\0desc\0\0\0\0sRGB built in 1998\0\1"),
]


def a_file(tag: int, vr: str, value: bytes, syntax: Syntax = EXPLICIT) -> bytes:
    """Returns a file of somebody with one element, behind the creator of its block."""
    parts = [*WHO, El(tag, vr, value)]
    if tag >> 16 & 1:
        parts.append(GEMS_RELA if tag >> 16 == 0x21 else GEIIS)
    return dicom(*sorted(parts, key=attrgetter("tag")), syntax=syntax)


def a_plan() -> Plan:
    """Returns what is done by the base with two options."""
    return compile_plan(parse_profile(profile("retain-safe-private", "clean-descriptors")))


@pytest.mark.parametrize(("tag", "vr", "value"), TEXTS)
@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_texts_go(tag: int, vr: str, value: bytes, syntax: Syntax) -> None:
    """What is no number goes from among numbers, and who the file is about from among bytes."""
    output = every_way(a_file(tag, vr, value, syntax), a_plan(), byte_by_byte=False).output

    for said in SAID:
        assert said not in output.lower()


@pytest.mark.parametrize(("tag", "vr", "value"), NUMBERS)
@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_numbers_stay(tag: int, vr: str, value: bytes, syntax: Syntax) -> None:
    """Numbers, and bytes that say nobody, are as they came."""
    output = every_way(a_file(tag, vr, value, syntax), a_plan(), byte_by_byte=False).output

    assert [each.value for each in read_file(output).elements if each.tag == tag] == [value]


def test_days_and_numbers_of_the_file_in_implicit_vr() -> None:
    """Where a dictionary alone says that it is a number, a day is none, and an ID is looked for."""
    for value, stays in ((b"07.07.1952", False), (b"80725891", False), (b"80725892", True)):
        parts = [WHO[2], el("PatientID", "80725891"), GEMS_RELA, El(0x0021105C, "DS", value)]
        data = dicom(*sorted(parts, key=attrgetter("tag")), syntax=IMPLICIT)
        assert (value in every_way(data, a_plan(), byte_by_byte=False).output) is stays


def test_what_was_learned_of_numbers() -> None:
    """A text among numbers is seen in a file that is laid out as many before it."""
    plan = a_plan()
    for vr, tag, text in (
        ("DS", 0x00180050, b"Miller"), ("DS", 0x0021105C, b"Miller"), ("US", 0x09031010, b"Miller")
    ):  # fmt: skip
        for number in range(12):
            value = b"%d.250" % (10 + number) if vr == "DS" else bytes([number, 0]) * 3
            assert value in deidentify(a_file(tag, vr, value), plan)
        learned = every_way(a_file(tag, vr, value), plan, byte_by_byte=False)
        assert learned.applied_bytes > 0
        assert b"Miller" not in deidentify(a_file(tag, vr, text), plan)


@pytest.mark.parametrize(
    ("text", "stays"),
    [
        (b"1.2.276.0.7230010.3.9.12037.57639.1 ", False),
        (b"mail jo@example.org ", False),
        (b"LUNG-7", True),
        (b"lesion of 3.5 mm", True),
    ],
)
def test_texts_in_private_elements_that_are_safe(text: bytes, *, stays: bool) -> None:
    """That an element is safe says what belongs there, and not what somebody wrote."""
    for syntax in (EXPLICIT, IMPLICIT):
        parts = [*WHO, el(0x00130010, "CTP", vr="LO"), El(0x00131010, "LO", text)]
        data = dicom(*sorted(parts, key=attrgetter("tag")), syntax=syntax)
        assert (text.strip() in deidentify(data, a_plan())) is stays


def test_bytes_keep_their_length() -> None:
    """Only what says who it is becomes blanks; arrays are not searched, however long."""
    identity = Identity()
    identity.add_name("Thévenoux^Gaëtan")
    for codec in ("latin-1", "utf-8", "utf-16-be", "utf-16-le"):
        value = b"\1\2\0\0" + "by Gaëtan THÉVENOUX, ok".encode(codec) + b"\0\0\1\2"
        found = blanked(value, identity, "latin_1")
        assert len(found) == len(value)
        kept = "".join(found.decode(codec, "replace").split())
        assert "by,ok" in kept
    long = bytes(MAX_BYTES) + b"THEVENOUX "
    assert long in deidentify(a_file(0x00282000, "OB", long), a_plan())


@pytest.mark.parametrize(
    ("term", "codec", "name"),
    [
        ("ISO_IR 100", "latin_1", "Pääkkönen^André"),
        ("ISO_IR 101", "iso8859_2", "Šimunović^Željka"),
        ("ISO_IR 126", "iso8859_7", "Καραμπελιάς^Σταμάτης"),
        ("ISO_IR 127", "iso8859_6", "بوعزيز^يوسف"),
        ("ISO_IR 144", "iso8859_5", "Чорновол^Оксана"),
        ("GB18030", "gb18030", "皇甫^国强"),
    ],
)
def test_bytes_in_the_character_set_of_the_file(term: str, codec: str, name: str) -> None:
    """A name among bytes is one in the letters of the file, too; what is beside it stays."""
    value = b"\1\2\0by " + name.encode(codec) + b", ok\0\xae\xff\1"
    parts = [
        el("SpecificCharacterSet", term),
        El(0x00100010, "PN", name.encode(codec)),
        El(0x00282000, "OB", value + b"\0" * (len(value) % 2)),
    ]
    output = deidentify(dicom(*parts), a_plan())
    surname, given = name.split("^")
    assert surname.encode(codec) not in output
    assert given.encode(codec) not in output
    assert b"\1\2\0by " in output
    assert b", ok\0\xae\xff\1" in output


@pytest.mark.parametrize("vr", sorted(FITS))
def test_an_expression_is_as_its_look(vr: str) -> None:
    """What a layout lets through is what the walk does."""
    fit = FITS[vr]
    for value in (
        b"", b"12", b"Jo", b"1.25", b"Doe Jane", b"Doe Jan\0", b"\1\0\2\0\3\0", b"20200101",
        b"Dupr\xe9, Eva", b"1.5\\2.5 ", b"010203.25 ", b"\x9c\xff8\xff\xd4\xff", bytes(64),
    ):  # fmt: skip
        size = len(value)
        fits = fit.fits(b"Miller" + value + b"Miller", 6, 6 + size) is not None
        expression = fit.expression(size) if size else b""
        assert bool(re.compile(expression, re.DOTALL).match(value + b"Miller")) is fits


def test_numbers_are_told_at_once() -> None:
    """Spaces and digits that go on and on take no longer than their length."""
    for value in (b" " * 65_000 + b"x", b"1" * 65_000 + b"x", b"1 \\" * 20_000 + b"x"):
        assert not is_numbers(value)
    assert is_numbers(b" 1.5\\-.25E+3 ")


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
@pytest.mark.parametrize("tag", [0x00180022, 0x20051037])
def test_codes_in_letters_of_the_file(tag: int, syntax: Syntax) -> None:
    """A name that stands where a code does is read in the character set of the file's texts."""
    name, word = "Κολοβός^Αιμιλιανός".encode("iso8859_7"), "κοιλιά".encode("iso8859_7")
    for value, stays in ((name, False), (word, True)):
        parts = [
            el("SpecificCharacterSet", "ISO_IR 126"), El(0x00100010, "PN", name),
            El(tag, "CS", value), El(0x20050010, "LO", b"Philips MR Imaging DD 001 "),
        ]  # fmt: skip
        data = dicom(*sorted(parts, key=attrgetter("tag")), syntax=syntax)

        assert (value in every_way(data, a_plan(), byte_by_byte=False).output) is stays
