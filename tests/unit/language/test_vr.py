"""What each value representation can hold."""

from __future__ import annotations

import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import config
from pydicom.valuerep import VR, validate_value

from profile_service.language.vr import MAX_CHARACTERS, MULTI_VALUED, NOT_HASHABLE, problem

LEGAL = {
    "AE": ["SCANNER 1", "A" * 16, "a-b", "A\\\\B"],
    "AS": ["045Y", "000D", "012M", "001W", "045Y\\046Y"],
    "AT": ["00100020", "0x00100020", "7FE00010\\00100010"],
    "CS": ["ORIGINAL", "A_B 1", "ORIGINAL\\PRIMARY\\", "A" * 16],
    "DA": ["20240229", "19000101\\20000101", "00010101"],
    "DS": ["1", "-1.5E-03", ".5", "1.", " 80.0 ", "1\\2\\3", "1234567890123456"],
    "DT": ["2024", "202402", "20240229", "2024022910", "20240229103059.123456+0100", "2024-1200"],
    "FD": ["1e308", "-.5"],
    "FL": ["3.4e38", "1\\2"],
    "IS": ["12", "-2147483648", "+2147483647", " 7 ", "000000000007"],
    "LO": ["Köln", "A" * 64, "ä" * 64, "a\\b"],
    "LT": ["a\\b", "two\r\nlines", "A" * 10240],
    "OB": [],
    "PN": ["Doe^John^^^", "=山田^太郎", "A=B=C", "A" * 64 + "=" + "B" * 64],
    "SH": ["ä" * 16],
    "SL": ["-2147483648"],
    "SQ": [],
    "SS": ["-32768", "32767"],
    "ST": ["a\\b\tc", "A" * 1024],
    "SV": ["-9223372036854775808"],
    "TM": ["10", "1030", "103059", "103059.1", "235960", "103059.123456\\10"],
    "UC": ["A" * 1000],
    "UI": ["1.2.840", "0", "2.25.0", "1.2\\1.3"],
    "UL": ["4294967295"],
    "UN": [],
    "UR": ["https://example.org/a?b=%20#c ", "relative/path"],
    "US": ["0", "65535", "1\\2"],
    "UT": ["a\\b\n", "A" * 20000],
    "UV": ["18446744073709551615", "0" * 5000 + "1"],
}

ILLEGAL = {
    "AE": ["A" * 17, "   ", "ä", "a\nb"],
    "AS": ["45Y", "045y", "045", "0045Y", "\u0660\u0664\u0665Y"],
    "AT": ["0010", "(0010,0020)", "0010002G"],
    "CS": ["original", "A-B", "A" * 17, "Ä", "A\\b"],
    "DA": ["2024-02-29", "20230229", "202402", "20240229 ", "00000101", "2024\\20240229"],
    "DS": ["abc", "1e", "nan", "12345678901234567", "1,5", "1 1"],
    "DT": ["24", "202413", "20230229", "2024+1401", "2024-0000", "20240229 10", "2024+2500"],
    "FD": ["1e309", "inf", "x"],
    "FL": ["3.5e38"],
    "IS": ["2147483648", "1.0", "1" * 13, "0x10"],
    "LO": ["A" * 65, "a\nb", "\x1b$B", "a\\" + "A" * 65],
    "LT": ["A" * 10241, "\x00"],
    "OB": ["00"],
    "OW": ["00"],
    "PN": ["A=B=C=D", "A^B^C^D^E^F", "A" * 65, "a\nb"],
    "QQ": ["a"],
    "SH": ["A" * 17],
    "SL": ["2147483648"],
    "SQ": ["a"],
    "SS": ["32768", "-32769", "1.0"],
    "ST": ["A" * 1025, "\x7f"],
    "TM": ["24", "1060", "10:30", "103059.1234567", " 10", "103061"],
    "UC": ["a\tb"],
    "UI": ["1..2", "1.02", ".1", "1.", "1.2.a", "1" * 65, "1.2 "],
    "UN": ["a"],
    "UR": [" https://example.org", "a b", "a\\b", "%zz"],
    "US": ["-1", "65536", "9" * 5000],
    "UV": ["18446744073709551616"],
}


@pytest.mark.parametrize(
    ("vr", "text"), [(vr, text) for vr, texts in LEGAL.items() for text in texts]
)
def test_legal(vr: str, text: str) -> None:
    """A VR holds what PS3.5 6.2 allows it."""
    assert problem(vr, text) is None


@pytest.mark.parametrize(
    ("vr", "text"), [(vr, text) for vr, texts in ILLEGAL.items() for text in texts]
)
def test_illegal(vr: str, text: str) -> None:
    """A VR does not hold what PS3.5 6.2 does not allow it, and why it does not is said."""
    assert problem(vr, text)


@pytest.mark.parametrize("vr", sorted(LEGAL))
def test_empty(vr: str) -> None:
    """Every VR can be empty."""
    assert problem(vr, "") is None


@pytest.mark.parametrize("vr", sorted(MULTI_VALUED))
def test_empty_values_among_others(vr: str) -> None:
    """Of several values some may be empty."""
    assert problem(vr, "\\\\") is None


@pytest.mark.parametrize("vr", sorted(ILLEGAL))
def test_the_reason_does_not_repeat_the_value(vr: str) -> None:
    """A reason may stand in a log, so it holds no part of the value."""
    parts = ["Qq\x00", "Zz^7.8.9e5"]

    reason = problem(vr, "\\".join(parts))

    assert reason
    assert [part for part in ("Qq", "Zz", "7.8", "9e5") if part in reason] == []


@given(
    st.sampled_from(sorted({"AE", "AS", "CS", "DA", "DS", "IS", "LO", "PN", "SH", "TM", "UI"})),
    st.text("0123456789.+-eE^= ABYZaz_:\\é", max_size=20),
)
def test_never_laxer_than_another_implementation(vr: str, text: str) -> None:
    """What is legal here is legal for pydicom, but for trailing spaces of a time."""
    if problem(vr, text) is not None:
        return
    for value in text.split("\\"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            validate_value(VR(vr), value.rstrip(" ") if vr == "TM" else value, config.RAISE)


def test_tables_agree() -> None:
    """What is cut to a length or split into values is a VR that is known."""
    assert MAX_CHARACTERS.keys() <= LEGAL.keys()
    assert LEGAL.keys() >= MULTI_VALUED
    assert {"LT", "ST", "UR", "UT"} == MULTI_VALUED ^ (LEGAL.keys() - {"OB", "SQ", "UN"})


def test_not_hashable() -> None:
    """A hash, which is hex text, fits exactly into the VRs that hold free text or words."""
    hashable = {"AE", "AS", "CS", "DA", "DT", "LO", "LT", "PN", "SH", "ST"}
    hashable |= {"TM", "UC", "UR", "UT"}

    assert LEGAL.keys() - hashable == NOT_HASHABLE - {"OD", "OF", "OL", "OV", "OW"}
