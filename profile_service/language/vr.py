"""What each value representation can hold (PS3.5, table 6.2-1).

Values are given as text, as they stand in `replace-with`: a backslash separates
values where the VR may have several, and is an ordinary character in the others.
"""

from __future__ import annotations

import re
import struct
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# PS3.5 table 6.2-1: the most characters of one value; for PN, of one component
# group. UC, UR and UT have no limit but that of the element.
MAX_CHARACTERS = {
    "AE": 16,
    "AS": 4,
    "CS": 16,
    "DA": 8,
    "DS": 16,
    "DT": 26,
    "IS": 12,
    "LO": 64,
    "LT": 10240,
    "PN": 64,
    "SH": 16,
    "ST": 1024,
    "TM": 14,
    "UI": 64,
}

# The binary integers, each with its least and greatest value.
INTEGER_RANGES = {
    "SS": (-(2**15), 2**15 - 1),
    "US": (0, 2**16 - 1),
    "SL": (-(2**31), 2**31 - 1),
    "UL": (0, 2**32 - 1),
    "SV": (-(2**63), 2**63 - 1),
    "UV": (0, 2**64 - 1),
}

# What has no text at all: bytes, words, items, and what nobody knows.
BYTES_OR_ITEMS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "UN"})

# Numbers and tags as bytes.
BINARY_NUMBERS = frozenset({"AT", "FD", "FL", *INTEGER_RANGES})

# All of them.
VRS = tuple(sorted({*MAX_CHARACTERS, *BYTES_OR_ITEMS, *BINARY_NUMBERS, "UC", "UR", "UT"}))

# PS3.5 6.4: the VRs whose values a backslash separates, and the binary ones,
# which take several values by length. In LT, ST, UT and UR it is a character.
MULTI_VALUED = frozenset({*MAX_CHARACTERS, *BINARY_NUMBERS, "UC"} - {"LT", "ST"})

# A hash is hex text: what holds a UID, items, bytes or numbers cannot take it.
NOT_HASHABLE = BYTES_OR_ITEMS | BINARY_NUMBERS | {"DS", "IS", "UI"}

# C0, DEL and C1 (PS3.5 6.1.3). ESC belongs to the encoding (ISO 2022), never to
# the text of a value. Text VRs also hold tab, line feed, form feed and return.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CONTROL_IN_TEXT = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f]")

_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[Ee][+-]?[0-9]+)?", re.ASCII)
_AGE = re.compile(r"[0-9]{3}[DWMY]", re.ASCII)
_CODE_STRING = re.compile(r"[A-Z0-9 _]*", re.ASCII)
_TAG = re.compile(r"(?:0[xX])?[0-9A-Fa-f]{8}", re.ASCII)
_TITLE = re.compile(r"[\x20-\x5b\x5d-\x7e]*")
_UID = re.compile(r"(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))*", re.ASCII)
# RFC 3986 2.2 and 2.3: reserved and unreserved characters, and percent-encoding.
_URI = re.compile(r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})*")
_DATE = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})", re.ASCII)
# Seconds go to 60 for a leap second.
_TIME_OF_DAY = r"(?:[01][0-9]|2[0-3])(?:[0-5][0-9](?:(?:[0-5][0-9]|60)(?:\.[0-9]{1,6})?)?)?"
_TIME = re.compile(_TIME_OF_DAY, re.ASCII)
_DATE_TIME = re.compile(
    rf"(?P<year>[0-9]{{4}})(?:(?P<month>[0-9]{{2}})(?:(?P<day>[0-9]{{2}})(?:{_TIME_OF_DAY})?)?)?"
    r"(?P<offset>[+-][0-9]{4})?",
    re.ASCII,
)
# PS3.5 table 6.2-1, DT: -1200 to +1400; -0000 is not used.
_OFFSET = re.compile(r"\+(?:0[0-9]|1[0-3])[0-5][0-9]|\+1400|-(?:0[0-9]|1[01])[0-5][0-9]|-1200")

# PS3.5 9.1, ITU-T X.660: the first node is 0, 1 or 2; below 0 and 1 there are 40.
UID_ROOT = re.compile(
    r"(?:[01](?!\.(?:[4-9][0-9]|[0-9]{3,})(?:\.|$))|2)(?:\.(?:0|[1-9][0-9]*))*", re.ASCII
)


def problem(vr: str, text: str) -> str | None:
    """Says why a VR cannot hold a text as its value.

    Args:
        vr: two letters.
        text: the value or values; the empty text is the empty value, which every
            VR can hold. AT takes eight hex digits, with or without `0x`; the
            other binary numbers take decimal digits.

    Returns:
        A sentence that does not hold the text, or None where the VR can hold it.
    """
    if not text:
        return None
    if vr in BYTES_OR_ITEMS:
        return f"{vr} holds no text; it can only be emptied."
    check = _CHECKS.get(vr)
    if check is None:
        return f"{vr} is not a known VR."
    for value in text.split("\\") if vr in MULTI_VALUED else (text,):
        found = check(value) if value else None
        if found is not None:
            return found
    return None


def _too_long(vr: str, value: str) -> str | None:
    limit = MAX_CHARACTERS[vr]
    if len(value) > limit:
        return f"{vr} holds at most {limit} characters, not {len(value)}."
    return None


def _application_entity(value: str) -> str | None:
    if _TITLE.fullmatch(value) is None:
        return "AE holds printable ASCII characters only."
    if not value.strip(" "):
        return "AE does not consist of spaces alone."
    return _too_long("AE", value)


def _age_string(value: str) -> str | None:
    if _AGE.fullmatch(value) is None:
        return "AS is three digits and one of D, W, M and Y."
    return None


def _attribute_tag(value: str) -> str | None:
    if _TAG.fullmatch(value) is None:
        return "AT is a tag of eight hex digits."
    return None


def _code_string(value: str) -> str | None:
    if _CODE_STRING.fullmatch(value) is None:
        return "CS holds upper case letters, digits, spaces and underscores only."
    return _too_long("CS", value)


def _date(value: str) -> str | None:
    parts = _DATE.fullmatch(value)
    if parts is None or not _is_date(parts[1], parts[2], parts[3]):
        return "DA is a date as YYYYMMDD."
    return None


def _date_time(value: str) -> str | None:
    trimmed = value.rstrip(" ")
    parts = _DATE_TIME.fullmatch(trimmed)
    if parts is None or not _is_date(parts["year"], parts["month"] or "01", parts["day"] or "01"):
        return "DT is a date and time as YYYYMMDDHHMMSS.FFFFFF&ZZXX, cut from the right."
    if parts["offset"] and (
        _OFFSET.fullmatch(parts["offset"]) is None or parts["offset"] == "-0000"
    ):
        return "The offset of a DT lies between -1200 and +1400, and is not -0000."
    return _too_long("DT", value)


def _is_date(year: str, month: str, day: str) -> bool:
    try:
        date(int(year), int(month), int(day))
    except ValueError:
        return False
    return True


def _time(value: str) -> str | None:
    if _TIME.fullmatch(value.rstrip(" ")) is None:
        return "TM is a time as HHMMSS.FFFFFF, cut from the right."
    return _too_long("TM", value)


def _decimal_string(value: str) -> str | None:
    if _DECIMAL.fullmatch(value.strip(" ")) is None:
        return "DS is a decimal number."
    return _too_long("DS", value)


def _integer_string(value: str) -> str | None:
    digits = value.strip(" ")
    if _INTEGER.fullmatch(digits) is None:
        return "IS is a whole number."
    # The length first: it bounds the work of reading the number.
    return _too_long("IS", value) or _out_of_range("IS", int(digits), INTEGER_RANGES["SL"])


def _integer(vr: str) -> Callable[[str], str | None]:
    def check(value: str) -> str | None:
        if _INTEGER.fullmatch(value) is None:
            return f"{vr} is a whole number."
        # No number of the widest range has more digits but for leading zeros.
        digits = value.lstrip("+-").lstrip("0")
        if len(digits) > len(str(INTEGER_RANGES["UV"][1])):
            return _range_sentence(vr, INTEGER_RANGES[vr])
        number = int(digits or "0")
        return _out_of_range(vr, -number if value[0] == "-" else number, INTEGER_RANGES[vr])

    return check


def _out_of_range(vr: str, number: int, bounds: tuple[int, int]) -> str | None:
    return None if bounds[0] <= number <= bounds[1] else _range_sentence(vr, bounds)


def _range_sentence(vr: str, bounds: tuple[int, int]) -> str:
    return f"{vr} lies between {bounds[0]} and {bounds[1]}."


def _floating(vr: str, layout: str) -> Callable[[str], str | None]:
    def check(value: str) -> str | None:
        if _DECIMAL.fullmatch(value) is None:
            return f"{vr} is a decimal number."
        number = float(value)
        try:
            struct.pack(layout, number)
        except OverflowError:
            return f"The number is too large for {vr}."
        return f"The number is too large for {vr}." if abs(number) == float("inf") else None

    return check


def _characters(vr: str) -> Callable[[str], str | None]:
    def check(value: str) -> str | None:
        if _CONTROL.search(value) is not None:
            return f"{vr} holds no control characters."
        return _too_long(vr, value) if vr in MAX_CHARACTERS else None

    return check


def _text(vr: str) -> Callable[[str], str | None]:
    def check(value: str) -> str | None:
        if _CONTROL_IN_TEXT.search(value) is not None:
            return f"{vr} holds no control characters but tabs and line ends."
        return _too_long(vr, value) if vr in MAX_CHARACTERS else None

    return check


def _person_name(value: str) -> str | None:
    if _CONTROL.search(value) is not None:
        return "PN holds no control characters."
    # PS3.5 6.2.1: up to three groups (alphabetic, ideographic, phonetic) of up to
    # five components.
    groups = value.split("=")
    if len(groups) > 3:
        return "PN has at most three component groups."
    for group in groups:
        if group.count("^") > 4:
            return "A component group of a PN has at most five components."
        if (found := _too_long("PN", group)) is not None:
            return found
    return None


def _uid(value: str) -> str | None:
    if _UID.fullmatch(value) is None:
        return "UI is a UID: numbers without leading zeros, separated by dots."
    return _too_long("UI", value)


def _uri(value: str) -> str | None:
    # Trailing spaces are ignored; leading ones are not allowed.
    if _URI.fullmatch(value.rstrip(" ")) is None:
        return "UR holds the characters of a URI only."
    return None


_CHECKS: dict[str, Callable[[str], str | None]] = {
    "AE": _application_entity,
    "AS": _age_string,
    "AT": _attribute_tag,
    "CS": _code_string,
    "DA": _date,
    "DS": _decimal_string,
    "DT": _date_time,
    "FD": _floating("FD", "<d"),
    "FL": _floating("FL", "<f"),
    "IS": _integer_string,
    "LO": _characters("LO"),
    "LT": _text("LT"),
    "PN": _person_name,
    "SH": _characters("SH"),
    "ST": _text("ST"),
    "TM": _time,
    "UC": _characters("UC"),
    "UI": _uid,
    "UR": _uri,
    "UT": _text("UT"),
    **{vr: _integer(vr) for vr in INTEGER_RANGES},
}
