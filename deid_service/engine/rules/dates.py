"""Dates and times that move by a number of days, and the ages between them."""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta
from random import SystemRandom
from typing import Final

from profile_service.language.model import AgeUnit, DateBound, DateShift, RelativeDate
from profile_service.language.vr import BINARY_NUMBERS, BYTES_OR_ITEMS

DICOM_DATE_FORMAT: Final = "%Y%m%d"
DICOM_DATETIME_FORMAT: Final = "%Y%m%d%H%M%S.%f"

# PS3.5 6.2: DT is YYYYMMDDHHMMSS.FFFFFF&ZZXX, from the year on as far as known.
_DATETIME: Final = re.compile(
    r"(\d{4})(?:(\d{2})(?:(\d{2})(?:(\d{2})(?:(\d{2})(?:(\d{2})(?:\.(\d{1,6}))?)?)?)?)?)?([+-]\d{4})?",
    re.ASCII,
)
_DATE: Final = re.compile(r"\d{8}", re.ASCII)
# PS3.5 6.2, DA: the form of ACR-NEMA 300, which readers take as well.
_DOTTED_DATE: Final = re.compile(r"(\d{4})\.(\d{2})\.(\d{2})", re.ASCII)
# Year, month and day, then hours, minutes and seconds, as names of files have them.
_DATE_IN_NAME: Final = re.compile(r"(\d{4})([-_.])(\d{2})\2(\d{2})", re.ASCII)
_TIME_IN_NAME: Final = re.compile(r"[T _-](\d{2})[-:._]?(\d{2})(?:[-:._]?(\d{2}))?", re.ASCII)
# A date of which the month or the day may not be known.
_PLAIN_DATE: Final = re.compile(r"\d{4}(?:\d{2}(?:\d{2})?)?", re.ASCII)
# PS3.5 6.2, TM, with the colons of ACR-NEMA 300 and without.
_TIME: Final = re.compile(
    r"(?:[01]\d|2[0-3])(?:(:?)[0-5]\d(?:\1(?:[0-5]\d|60)(?:\.\d{1,6})?)?)?", re.ASCII
)
_HYPHEN: Final = re.compile("-")
# VRs that hold neither a date nor a text that may be one.
_NO_DATES: Final = (
    BYTES_OR_ITEMS | BINARY_NUMBERS | {"AE", "AS", "CS", "DS", "IS", "PN", "UI", "UR"}
)
_OFFSET: Final = re.compile(r"(.+)([+-]\d{2}:?\d{2})", re.ASCII | re.DOTALL)
_FRACTION: Final = ".%f"

# Of a date in any format; the longest that is written out has half as many.
_MAX_CHARACTERS: Final = 256
_LEAP_SECOND: Final = 60

# PS3.5 6.2: AS has three digits; from 960 on the next coarser unit is taken.
_MAX_AGE: Final = 960

# The mean year of the Julian calendar, as in the bounds of a date.
_DAYS_PER_YEAR: Final = 365.25

# What a jitter adds must not be guessed from other outputs.
_RANDOM: Final = SystemRandom()


def shift_date(text: str, strptime_format: str, shift: DateShift) -> str:
    """Moves a date that is written in a strptime format.

    Raises:
        ValueError: the text is not in the format, or the result is not in the
            years 1 to 9999. The message holds no part of the text.
    """
    _check_length(text)
    if strptime_format == DICOM_DATE_FORMAT:
        separator = "." if "." in text else ""
        moment = _parse_date(text)
        return _move(moment, shift).date().isoformat().replace("-", separator)
    moment = _parse(text, strptime_format)
    return _write(_move(moment, shift), strptime_format)


def shift_datetime(text: str, strptime_format: str, shift: DateShift) -> str:
    """Moves a date and time; an offset from UTC and the form of the text stay.

    Raises:
        ValueError: as in `shift_date`.
    """
    _check_length(text)
    if strptime_format == DICOM_DATETIME_FORMAT:
        if _DOTTED_DATE.fullmatch(text):
            return shift_date(text, DICOM_DATE_FORMAT, shift)
        return _shift_dicom_datetime(text, shift)
    suffix = ""
    try:
        return _shift_with_fraction(text, strptime_format, shift)
    except ValueError:
        match = _OFFSET.fullmatch(text)
        if match is None:
            raise
        text, suffix = match.groups()
    return _shift_with_fraction(text, strptime_format, shift) + suffix


def moved_by_days(text: str, vr: str, days: int) -> str:
    """Moves a date, a time or a range of them by whole days; its form stays.

    A time of day stays as it is, and so do the offset from UTC, the time and the precision of
    a date with a time. A date of which the month or the day is not known moves as the first of
    those that it may be.

    Args:
        text: the value, in a form of PS3.5 6.2 or of ACR-NEMA 300, or a range of them.
        vr: of the value.
        days: by how many.

    Raises:
        ValueError: as in `shift_date`, or the VR holds no date.
    """
    text = text.strip(" ")
    _check_length(text)
    if vr == "TM":
        if not _is_time(text):
            raise ValueError("not a legal time")
        return text
    if vr in _NO_DATES:
        raise ValueError(f"the VR {vr} holds no date")
    if vr == "DA" and "+" in text:
        raise ValueError("not a legal date")
    move = _moved_date if vr == "DA" else _moved_moment
    moved = move(text, days)
    if moved is not None:
        return moved
    # PS3.5 6.2: a range has a hyphen between its ends, of which one may be open.
    for match in _HYPHEN.finditer(text):
        ends = [text[: match.start()], text[match.end() :]]
        moved_ends = [move(end, days) if end else "" for end in ends]
        written = [end for end in moved_ends if end is not None]
        if len(written) == len(ends) and any(written):
            return "-".join(written)
    raise ValueError("not a legal date")


def _moved_date(text: str, days: int) -> str | None:
    if _PLAIN_DATE.fullmatch(text):
        return _moved_moment(text, days)
    if _DOTTED_DATE.fullmatch(text):
        return shift_date(text, DICOM_DATE_FORMAT, DateShift(days, None, None, None))
    return None


def _moved_moment(text: str, days: int) -> str | None:
    match = _DATETIME.fullmatch(text)
    if match is None:
        return _moved_date(text, days) if _DOTTED_DATE.fullmatch(text) else None
    offset = match[8]
    if offset is not None and not _is_offset(offset):
        return None
    return _shift_dicom_datetime(text, DateShift(days, None, None, None))


def _is_offset(text: str) -> bool:
    # PS3.5 6.2, DT: -1200 to +1400.
    hours, minutes = int(text[1:3]), int(text[3:])
    return minutes < 60 and hours * 60 + minutes <= (840 if text[0] == "+" else 720)


def _is_time(text: str) -> bool:
    ends = text.split("-")
    return 0 < len(ends) <= 2 and any(ends) and all(_TIME.fullmatch(end) for end in ends if end)


def date_in_format(text: str, strptime_format: str) -> str:
    """Writes a date from the name of a file, such as 2004-01-19, in a strptime format.

    Only what begins with the year is certain; anything else is returned as it is.
    """
    date_part = _DATE_IN_NAME.match(text)
    if date_part is None:
        return text
    digits = "".join(date_part.group(1, 3, 4))
    if date_part.end() < len(text):
        time_part = _TIME_IN_NAME.fullmatch(text, date_part.end())
        if time_part is None:
            return text
        digits += "".join(part for part in time_part.groups() if part is not None)
    if strptime_format in {DICOM_DATE_FORMAT, DICOM_DATETIME_FORMAT}:
        return digits
    try:
        moment = datetime.strptime(digits, "%Y%m%d%H%M%S"[: len(digits) - 2])
    except ValueError:
        return text
    return _write(moment, strptime_format)


def read_date(text: str, strptime_format: str) -> datetime:
    """Reads a date that is written in a strptime format.

    Raises:
        ValueError: the text is not in the format. The message holds no part of it.
    """
    _check_length(text)
    if strptime_format == DICOM_DATE_FORMAT:
        return _parse_date(text)
    return _parse(text, strptime_format)


def age(born: datetime, studied: datetime, finest: AgeUnit) -> str:
    """Returns the age at a study as an Age String, in the finest unit that fits.

    Args:
        born: the birth date.
        studied: the study date, not before that.
        finest: days, months or years.
    """
    months = (studied.year - born.year) * 12 + studied.month - born.month
    if studied.day < born.day:
        months -= 1
    amounts = {"D": (studied - born).days, "M": months, "Y": months // 12}
    units = "DMY"[("DMY").index(finest) :]
    unit = next((unit for unit in units if amounts[unit] < _MAX_AGE), units[-1])
    return f"{min(amounts[unit], _MAX_AGE):03d}{unit}"


def _check_length(text: str) -> None:
    if len(text) > _MAX_CHARACTERS:
        raise ValueError("too long for a date")


def _shift_dicom_datetime(text: str, shift: DateShift) -> str:
    match = _DATETIME.fullmatch(text)
    if match is None:
        raise ValueError("not a legal date and time")
    *parts, fraction, offset = match.groups()
    known = [int(part) for part in parts if part is not None]
    year, month, day, hour, minute, second = known + [1, 1, 1, 0, 0, 0][len(known) :]
    # PS3.5 6.2: second 60 is a leap second. A calendar has no place for it: it is moved
    # as the second before it.
    is_leap_second = second == _LEAP_SECOND
    second -= is_leap_second
    microsecond = int((fraction or "0").ljust(6, "0"))
    try:
        moment = datetime(year, month, day, hour, minute, second, microsecond)
    except ValueError:
        raise ValueError("not a legal date and time") from None
    moved = _move(moment, shift)
    new_second = moved.second + (is_leap_second and moved.second == _LEAP_SECOND - 1)
    form = (
        f"{moved.year:04d}{moved.month:02d}{moved.day:02d}"
        f"{moved.hour:02d}{moved.minute:02d}{new_second:02d}"
    )
    kept = form[: 4 + 2 * (len(known) - 1)]
    if fraction is not None:
        kept += "." + f"{moved.microsecond:06d}"[: len(fraction)]
    return kept + (offset or "")


def _shift_with_fraction(text: str, strptime_format: str, shift: DateShift) -> str:
    digits = 0
    if strptime_format.endswith(_FRACTION):
        _, point, fraction = text.rpartition(".")
        if point and fraction.isdigit():
            digits = len(fraction)
        else:
            strptime_format = strptime_format[: -len(_FRACTION)]
    moment = _parse(text, strptime_format, digits)
    moved = _write(_move(moment, shift), strptime_format)
    return moved if not digits else moved[: len(moved) - 6 + digits]


def _parse_date(text: str) -> datetime:
    if dotted := _DOTTED_DATE.fullmatch(text):
        text = "".join(dotted.groups())
    elif not _DATE.fullmatch(text):
        raise ValueError("not a legal date")
    try:
        return datetime(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        raise ValueError("not a legal date") from None


def _parse(text: str, strptime_format: str, fraction_digits: int = 6) -> datetime:
    try:
        moment = datetime.strptime(text, strptime_format)
    except ValueError:
        raise ValueError("not in the date format of the rule") from None
    # strptime takes "2004119" for 2004-11-09: what is not written back as it
    # was read has not been understood.
    written = _write(moment, strptime_format)
    if strptime_format.endswith("%f"):
        written = written[: len(written) - 6 + fraction_digits]
    if written.casefold() != text.casefold():
        raise ValueError("not in the date format of the rule")
    return moment


def _write(moment: datetime, strptime_format: str) -> str:
    # strftime does not pad years below 1000 everywhere.
    return moment.strftime(strptime_format.replace("%Y", f"{moment.year:04d}"))


def _move(moment: datetime, shift: DateShift) -> datetime:
    moved = timedelta(days=shift.days)
    if shift.jitter is not None:
        amount = _RANDOM.randint(1, shift.jitter.reach) * _RANDOM.choice((-1, 1))
        moved += (
            timedelta(days=amount * _DAYS_PER_YEAR)
            if shift.jitter.unit == "years"
            else timedelta(**{shift.jitter.unit: amount})
        )
    try:
        result = moment + moved
        if shift.minimum is not None:
            result = max(result, _bound(shift.minimum, moment))
        if shift.maximum is not None:
            result = min(result, _bound(shift.maximum, moment))
    except OverflowError:
        raise ValueError("the moved date is not in the years 1 to 9999") from None
    return result


def _bound(bound: DateBound, moment: datetime) -> datetime:
    if isinstance(bound, RelativeDate):
        bound = (datetime.now().astimezone() + timedelta(days=bound.days)).date()
    return datetime.combine(bound, time(tzinfo=moment.tzinfo))
