"""A value for every VR (PS3.5 table 6.2-1), as bytes in little endian."""

from __future__ import annotations

from typing import Final

OF_VR: Final[dict[str, bytes]] = {
    "AE": b"TITLE ",
    "AS": b"030Y",
    "AT": b"\x18\0\x63\x10",
    "CS": b"CT",
    "DA": b"20200102",
    "DS": b"70\\71 ",
    "DT": b"20200102030405",
    "FD": bytes(range(8)),
    "FL": bytes(range(4)),
    "IS": b"7 ",
    "LO": b"CHEST OF DOE",
    "LT": b"LONG\\TEXT ",
    "OB": b"%PDF-1",
    "OD": bytes(range(8)),
    "OF": bytes(range(4)),
    "OL": bytes(range(8)),
    "OV": bytes(range(8)),
    "OW": b"\1\2\3\4",
    "PN": b"DOE^JANE",
    "SH": b"STUDY7",
    "SL": b"\1\2\3\4",
    "SS": b"\1\2",
    "ST": b"STREET 1",
    "SV": bytes(range(8)),
    "TM": b"101112",
    "UC": b"LONG CODE ",
    "UI": b"1.2.3.4\0",
    "UL": b"\1\2\3\4",
    "UN": b"SECRET",
    "UR": b"http://doe",
    "US": b"\1\0",
    "UT": b"A TEXT",
    "UV": bytes(range(8)),
}
