"""The files that both engines de-identify: those of pydicom's package, and some made here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.support.engine.build import Part, dicom, el, sq
from tests.support.engine.files import PACKAGE

if TYPE_CHECKING:
    from pathlib import Path

# The forms that a date and time may have (PS3.5 6.2), and some that it may not.
_DATETIMES: Final = (
    "20040119072730.123456",
    "20040119072730.5",
    "20040119072730",
    "20040119072730.123456+0100",
    "20040119072730-0500",
    "200401190727",
    "2004011907",
    "20040119",
    "200401",
    "2004",
    "20040119072760",
    "2004-01-19",
)

# What stands where a date should, and several dates at once.
_DATES: Final = ("2004.01.19", "200401", "2004119", "19000101 ", "20040119\\20040229", "00010101")

_UIDS: Final = (
    "1",
    "1.2",
    "1.2.3",
    "1.2.3.4.5.6.7.8.9.10",
    "1.2.840.113619.2.55.3.1234567890.123.1234567890.1234567",
    "2.25.329800735698586629295641978511506172918",
    "1.2.826.0.1.3680043.10.511.3.11111111111111111111111111111111111",
    "1.2.3\\1.2.4",
)

# In other formats than DICOM's, for rules that say so: dates, and dates with times.
_COMMENTS: Final = (
    "19-Jan-2004",
    "2004-01-19 07:27:30",
    "2004-01-19 07:27:30+01:00",
    "2004-01-19 07:27:30-0500",
)
_STUDY_COMMENTS: Final = ("2004/01/19-07:27:30.250000", "2004/01/19-07:27:30.25+0100")

# Birth dates, and the dates of the studies.
_AGES: Final = (
    ("20040101", "20040110"),
    ("20000229", "20040228"),
    ("19700615", "20200614"),
    ("18900101", "20200101"),
    ("10000101", "20200101"),
    ("20050101", "20040101"),
    ("20040101", "2004"),
)


def write_made_files(folder: Path) -> None:
    """Writes files with what those of pydicom's package lack."""
    folder.mkdir()
    for number, text in enumerate(_DATETIMES):
        _write(folder, f"datetime-{number}", el(0x0008002A, text))
    for number, text in enumerate(_DATES):
        _write(folder, f"date-{number}", el(0x00080020, text))
    for number, text in enumerate(_UIDS):
        _write(folder, f"uid-{number}", el(0x00080014, text), el(0x0020000D, text))
    for number, text in enumerate(_COMMENTS):
        _write(folder, f"comments-{number}", el(0x00104000, text))
    for number, text in enumerate(_STUDY_COMMENTS):
        _write(folder, f"study-comments-{number}", el(0x00324000, text))
    for number, (birth, study) in enumerate(_AGES):
        _write(folder, f"age-{number}", el(0x00080020, study), el(0x00100030, birth))
    _write(
        folder,
        "nested",
        el(0x00080050, "A1"),
        sq(0x00081115, [sq(0x00081199, _reference("1.2.3.1"), _reference("1.2.3.2"))], []),
        el(0x00100020, "ID"),
        sq(
            0x00101002,
            [el(0x00100020, "ID0")],
            [el(0x00100010, "Name^1"), el(0x00100020, "ID1")],
        ),
        sq(0x00400275, [el(0x00400007, "step"), el(0x00400009, "S0")], [el(0x00400009, "S1")]),
    )
    _write(
        folder,
        "private",
        # The blocks are not the first ones, and one creator has two.
        el(0x00090011, "GEMS_IDEN_01", "LO"),
        el(0x00090012, "OTHER", "LO"),
        el(0x00091102, "SUITE", "SH"),
        el(0x00091104, "PRODUCT", "SH"),
        el(0x00091202, "OTHER", "SH"),
        el(0x00190020, "GEMS_ACQU_01", "LO"),
        el(0x00192018, "FIRST SCAN", "LO"),
        sq(
            0x00081140,
            [
                el(0x00090010, "GEMS_IDEN_01", "LO"),
                el(0x00091002, "NESTED", "SH"),
                el(0x00990010, "MADE", "LO"),
                el(0x00991001, "VALUE", "LO"),
                el(0x00991002, "GONE", "LO"),
            ],
        ),
    )
    _write(
        folder,
        "repeating",
        el(0x50000005, (1,), "US"),
        el(0x50000010, (2,), "US"),
        el(0x50020005, (1,), "US"),
        el(0x60000022, "one", "LO"),
        el(0x60003000, b"\1\0", "OW"),
        el(0x60020022, "two", "LO"),
        el(0x60023000, b"\2\0", "OW"),
        el(0x60023001, b"\2\0", "OW"),
    )


def files(made: Path) -> dict[str, Path]:
    """Returns all files by their names.

    Args:
        made: where `write_made_files` has written.
    """
    package = sorted(
        path for path in PACKAGE.rglob("*") if path.is_file() and path.suffix not in {".py", ".pyc"}
    )
    return {path.relative_to(PACKAGE).as_posix(): path for path in package} | {
        f"made/{path.name}": path for path in sorted(made.iterdir())
    }


def _write(folder: Path, name: str, *parts: Part) -> None:
    usual = [el(0x00080016, "1.2.840.10008.5.1.4.1.1.7"), el(0x00080018, "1.2.3.4.5")]
    every = sorted([*usual, *parts], key=lambda part: getattr(part, "tag", 0))
    (folder / f"{name}.dcm").write_bytes(dicom(*every))


def _reference(uid: str) -> list[Part]:
    return [el(0x00081150, "1.2.840.10008.5.1.4.1.1.7"), el(0x00081155, uid)]
