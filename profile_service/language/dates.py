"""Date formats and bounds, as authors write them."""

from __future__ import annotations

import re
from datetime import date, datetime

from profile_service.language.model import DateBound, RelativeDate

# The span of the calendar (years 1 to 9999): no date can move further.
MAX_DAYS = (date.max - date.min).days

DAYS_PER_UNIT = {
    "days": 1.0,
    "weeks": 7.0,
    # The mean year of the Julian calendar, leap years included.
    "years": 365.25,
    "hours": 1 / 24,
    "minutes": 1 / 1440,
    "seconds": 1 / 86400,
}

# Trying a format out takes time that grows with its square, and far less than a
# millisecond up to this length. No date with its time of day needs half as many.
MAX_FORMAT_CHARACTERS = 128

# How many formats of one profile are tried out; others than DICOM's own are rare.
MAX_FORMATS = 200

# The directives that Python's strptime and strftime both know.
_DIRECTIVES = frozenset("aAwdbBmyYHIpMSfzZjUWcxXGuV%")

_RELATIVE = re.compile(r"([+-])([0-9]+)(years|weeks|days|hours|minutes|seconds)", re.ASCII)
_ABSOLUTE = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})", re.ASCII)

# Any moment whose every part shows when it is lost on the way.
_PROBE = datetime(2004, 1, 19, 7, 27, 36, 123456)


class DateFormats:
    """Tries out the strptime formats of one profile, within a bound for all of them."""

    def __init__(self) -> None:
        self._found: dict[str, str | None] = {}

    def problem(self, text: str) -> str | None:
        """Says why a format cannot be used, or None where it can.

        A format must be one that a date can be written with and read back.
        """
        if len(text) > MAX_FORMAT_CHARACTERS:
            return f"The format is longer than {MAX_FORMAT_CHARACTERS} characters."
        if text not in self._found:
            if len(self._found) >= MAX_FORMATS:
                return f"The profile has more than {MAX_FORMATS} different formats up to here."
            self._found[text] = _format_problem(text)
        return self._found[text]


def _format_problem(text: str) -> str | None:
    codes = re.findall("%(.?)", text, re.DOTALL)
    unknown = next((code for code in codes if code not in _DIRECTIVES or not code), None)
    if unknown is not None:
        return f"The format has an unknown code %{unknown}."
    if not any(code != "%" for code in codes):
        return "The format has no code for any part of a date."
    try:
        datetime.strptime(_PROBE.strftime(text), text)
    except (ValueError, re.error):
        return "A date written with the format could not be read back."
    return None


def parse_bound(text: str) -> DateBound | None:
    """Reads YYYYMMDD, or a time from today like `-80years`; None where it is neither."""
    relative = _RELATIVE.fullmatch(text)
    if relative is not None:
        sign, amount, unit = relative.groups()
        # More digits than this are beyond the calendar in every unit.
        if len(amount) > len(str(MAX_DAYS * 86400)):
            return None
        days = int(amount) * DAYS_PER_UNIT[unit]
        if days > MAX_DAYS:
            return None
        return RelativeDate(-days if sign == "-" else days)
    absolute = _ABSOLUTE.fullmatch(text)
    if absolute is None:
        return None
    try:
        return date(*(int(part) for part in absolute.groups()))
    except ValueError:
        return None


def are_reversed(minimum: DateBound | None, maximum: DateBound | None) -> bool:
    """Whether a minimum is above its maximum, where that can be told on any day."""
    match minimum, maximum:
        case date(), date():
            return minimum > maximum
        case RelativeDate(), RelativeDate():
            return minimum.days > maximum.days
        case _:
            return False
