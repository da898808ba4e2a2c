"""The CSV texts of tables: what they say, and everything that is wrong with them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profile_service.language import parse_profile, sheets
from profile_service.language.lookups import Use, uses_of
from profile_service.language.sheets import (
    MAX_PROBLEMS,
    Row,
    Sheet,
    SheetCode,
    SheetInvalidError,
    rows_by_patient,
)

PAGE = Path(__file__).parents[3] / "docs" / "pseudonyms.md"
PROFILE = """\
dicom:
  pseudonyms: {shift-from: {table: trial, column: days}}
  fields:
    - {name: PatientID, lookup: {table: trial, column: code}}
    - {name: PatientAge, lookup: {table: other, column: age}}
    - {vr: SH, lookup: {table: trial, column: arm}, on-missing: hash}
    - {name: StudyDate, keyed-shift: true}
"""


def read(text: bytes, size: int = 1 << 20, uses: frozenset[Use] = frozenset()) -> list[Row]:
    """Reads a table that comes in pieces."""
    sheet = Sheet((text[at : at + size] for at in range(0, len(text), size)), uses)
    return list(rows_by_patient(sheet, lambda row: row).values())


def faults(text: bytes, uses: frozenset[Use] = frozenset()) -> list[tuple[str, int]]:
    """Returns what is wrong with a table: codes with their lines."""
    found = []
    for size in (1, 7, 1 << 20):
        with pytest.raises(SheetInvalidError) as caught:
            read(text, size, uses)
        found.append([(each.code, each.line) for each in caught.value.violations])
    assert found[0] == found[1] == found[2]
    return found[0]


@pytest.mark.parametrize(
    "text",
    [
        b"original,code,arm\n4711,L-1,A\n 12 ,L-2,\n",
        b"\xef\xbb\xbforiginal,code,arm\r\n4711,L-1,A\r\n12,L-2,\r\n",
        b"original;code;arm\r\r4711;L-1;A\r12;L-2;",
        b"original\tcode\tarm\n4711\tL-1\tA\n\n12\tL-2\t\n\n",
        b'"original","code","arm"\n"4711","L-1","A"\n"12","L-2",""\n',
    ],
)
@pytest.mark.parametrize("size", [1, 3, 1 << 20])
def test_rows(text: bytes, size: int) -> None:
    """Rows are what a spreadsheet shows, however it has written them and they come."""
    expected = [(("4711",), ("L-1", "A")), (("12",), ("L-2", ""))]

    assert [row[1:] for row in read(text, size)] == expected


def test_who_the_patient_is() -> None:
    """Who the patient is, is what the engine makes of the elements that say it."""
    rows = read(
        "code,issuer,original,original-3\nL-1,HERE,4711,\nL-2,,12,\nL-3,,7,u\u0308\n".encode()
    )

    assert [row.known_by for row in rows] == ["4711\0HERE", "12", "7\0\0\u00fc"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", [("HEADER", 0)]),
        (b"\n1,2\n", [("HEADER", 1)]),
        (b"patient,code\n1,2\n", [("HEADER", 1)]),
        (b"original\n1\n", [("HEADER", 1)]),
        (b"original,issuer\n1,2\n", [("HEADER", 1)]),
        (b"original,code,code\n1,2,3\n", [("HEADER", 1)]),
        (b"original,issuer,original-2,code\n1,2,3,4\n", [("HEADER", 1)]),
        (b"original,original-3,code\n1,2,3\n", [("HEADER", 1)]),
        (b"original,4711\n1,2\n", [("HEADER", 1)]),
        (b"original,,code\n1,2,3\n", [("HEADER", 1)]),
        (b"original" + b"".join(b",c%d" % n for n in range(40)), [("HEADER", 1)]),
        (b'original,"code\n1,2\n', [("CSV_SYNTAX", 1)]),
        (b"original,code\n", [("NO_ROWS", 0)]),
        (b"original,code\n1,2,3\n4,5\n6\n", [("ROW_WIDTH", 2), ("ROW_WIDTH", 4)]),
        (b"original,code\n,2\n \t,3\n", [("EMPTY_ORIGINAL", 2), ("ILLEGAL_CHARACTER", 3)]),
        (b"original,code\n1,a\n2,b\n1,c\n", [("DUPLICATE_ORIGINAL", 4)]),
        (b"original,code\na1,a\nA1,b\n", [("DUPLICATE_ORIGINAL", 3)]),
        (b"original,issuer,code\n1,X,a\n1,Y,b\n1,x,c\n", [("DUPLICATE_ORIGINAL", 4)]),
        (b"original,code\n1,a\n2,b\n3,a\n", [("DUPLICATE_CODE", 4)]),
        (b"original,code\n1,\n2,\n3,a\n4,3\nx,X\n", [("CODE_IS_ORIGINAL", 6)]),
        (b"original,code\n1,a\\b\n2,\x85\n", [("ILLEGAL_CHARACTER", 2), ("NOT_UTF8", 3)]),
        (b"original,code\n1,\x00\n2,c\n", [("ILLEGAL_CHARACTER", 2)]),
        (b'original,code\n1,"a\nb"\n2,c\n', [("CSV_SYNTAX", 2)]),
        (b'original,code\n1,"a\n', [("CSV_SYNTAX", 2)]),
        (b'original,code\n1,"a"b\n', [("CSV_SYNTAX", 2)]),
        ("original,code\nM\u00fcller,1\n".encode("latin-1"), [("NOT_UTF8", 2)]),
        ("original,code\n1,2\n".encode("utf-16"), [("NOT_UTF8", 1)]),
        (b"original,code\n1," + b"x" * 1025, [("TOO_LARGE", 2)]),
        (b"word\nMayo\nMAYO\n\n", [("DUPLICATE_ORIGINAL", 3)]),
        (b"name\nx\n-.-\n" + b"y" * 65 + b"\n", [("NOT_LISTABLE", n) for n in (2, 3, 4)]),
        (b"word,name\na,b\n", [("HEADER", 1)]),
        (b"original,word\n1,x\n2,\n", [("NOT_LISTABLE", 2)]),
        (b"original,code\n1," + b"x" * 100_000, [("TOO_LARGE", 2)]),
    ],
)  # fmt: skip
def test_faults(text: bytes, expected: list[tuple[str, int]]) -> None:
    """Whatever is wrong is said with its line, all at once where the rest can be read."""
    assert faults(text) == expected


@pytest.mark.parametrize("column", ["word", "name"])
def test_lists(column: str) -> None:
    """A list has one column, and of each row that is the value as well as who it is about."""
    sheet = Sheet([f'{column}\nSt. Mary\'s\n"Doe, Jane"\n'.encode()])
    rows = list(sheet.rows())

    assert (sheet.columns, sheet.originals, sheet.is_list) == ((column,), 1, True)
    assert [row.values for row in rows] == [("St. Mary's",), ("Doe, Jane",)]
    assert [row.originals for row in rows] == [row.values for row in rows]


def test_bounds_of_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list has no more than are looked for, together with what it is added to."""
    monkeypatch.setattr(sheets, "MAX_LISTED", 5)
    text = b"word\nab\nac\nad\n"

    def rows(there: int) -> int:
        return len(list(Sheet([text], there=there).rows()))

    assert rows(2) == 3
    with pytest.raises(SheetInvalidError) as caught:
        rows(3)
    assert [each.code for each in caught.value.violations] == ["TOO_LARGE"]


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text that is too long, has too many rows or too many faults is not read to its end."""
    text = b"original,code\n" + b"".join(b"%d,c%d\n" % (n, n) for n in range(100))
    monkeypatch.setattr(sheets, "MAX_ROWS", 50)
    rows = faults(text)
    monkeypatch.setattr(sheets, "MAX_BYTES", 100)

    assert rows == [("TOO_LARGE", 52)]
    with pytest.raises(SheetInvalidError):
        read(text)
    monkeypatch.undo()
    many = faults(b"original,code\n" + b",1\n" * 2000)
    assert [*many[:-1]] == [("EMPTY_ORIGINAL", n + 2) for n in range(MAX_PROBLEMS)]
    assert many[-1] == ("TOO_MANY_PROBLEMS", 0)


def test_uses() -> None:
    """What is illegal where a profile uses it is said with its line, for that column alone."""
    uses = uses_of(parse_profile(PROFILE), "trial")
    text = (
        b"original,code,arm,days,age\n"
        b"1,a,b,10,x\n"
        b"2," + b"c" * 65 + b",b,-36525,x\n"
        b"3,d," + b"e" * 17 + b",0,x\n"
        b"4,f,,1.5,x\n"
        b"5,,,,\n"
    )

    assert uses == {
        Use("code", ("LO",)),
        Use("arm", ("SH",)),
        next(use for use in uses if use.days),
    }
    assert faults(text, uses) == [
        ("VALUE_NOT_FOR_VR", 3),
        ("VALUE_NOT_FOR_VR", 4),
        ("NOT_DAYS", 4),
        ("NOT_DAYS", 5),
    ]


@given(st.binary(max_size=200))
def test_any_bytes(text: bytes) -> None:
    """Any bytes are a table, or an error that repeats nothing of them."""
    try:
        read(b"original,code\n" + text)
    except SheetInvalidError as error:
        messages = " ".join(each.message + each.path for each in error.violations)
        assert re.sub(r"[0-9]+", "", messages).isascii()


def test_values_are_in_no_message() -> None:
    """What is wrong is said without what stands there, also where a header is a patient's row."""
    secrets = ("4711SECRET", "JANE", "1947-02-03")
    texts = (
        "4711SECRET,JANE,1947-02-03\n1,2,3\n",
        "original,code\n4711SECRET,JANE,1947-02-03\n",
        'original,code\n4711SECRET,"JANE"x\n',
        "original,code\n4711SECRET,4711secret\n",
    )
    for text in texts:
        with pytest.raises(SheetInvalidError) as caught:
            read(text.encode())
        said = f"{caught.value} {caught.value.violations}"
        assert not any(secret.lower() in said.lower() for secret in secrets)


def test_documentation() -> None:
    """The table of codes is that of the code, in its order."""
    expected = [f"| `{code.name}` | {code.value} |" for code in SheetCode]

    table = PAGE.read_text("utf-8").partition("## Tables")[2].partition("\n## ")[0]

    assert expected == re.findall(r"^\| `[A-Z_0-9]+` \|.*$", table, re.MULTILINE)
