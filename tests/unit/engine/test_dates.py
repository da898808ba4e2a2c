"""Dates and times that move, and ages that are computed from them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.support.engine.build import Part, dicom, el, encode, tag_of
from tests.support.engine.every_way import (
    deidentified,
    every_way,
    plan_of,
    rejected,
    run,
    values_of,
)

DATE = 0x00080020
MOMENT = 0x0008002A


def date_after(value: str, rule: str = "", **settings: object) -> str:
    """Returns Study Date after increment-date."""
    plan = plan_of(f"name: StudyDate, increment-date: true{rule}", **settings)
    return values_of(deidentified(dicom(el(DATE, value)), plan))[DATE].decode().strip()


def moment_after(value: str, rule: str = "", **settings: object) -> str:
    """Returns Acquisition DateTime after increment-datetime."""
    plan = plan_of(f"name: AcquisitionDateTime, increment-datetime: true{rule}", **settings)
    return values_of(deidentified(dicom(el(MOMENT, value)), plan))[MOMENT].decode().strip()


@pytest.mark.parametrize(
    ("value", "days", "wanted"),
    [
        ("20040119", -17, "20040102"),
        ("20040101", -1, "20031231"),
        ("20040228", 1, "20040229"),
        ("20040229", 365, "20050228"),
        ("19000228", 1, "19000301"),
        ("20000228", 1, "20000229"),
        ("20040119", 0.5, "20040119"),
        ("20040119", -0.5, "20040118"),
        ("20040119", 1.5, "20040120"),
        ("00990101", 1, "00990102"),
        ("2004.01.19", -17, "2004.01.02"),
        ("2004.02.29\\20040229", 1, "2004.03.01\\20040301"),
    ],
)
def test_dates_move(value: str, days: float, wanted: str) -> None:
    """A date moves by days, over ends of months and leap days, and stays a date."""
    assert date_after(value, date_increment=days) == wanted


@pytest.mark.parametrize(
    "value",
    ["2004011", "20040231", "2004.02.31", "2004-01-19", "2004.1.19", "200.01.019", "20041",
     "00000101", "abc",
     "20040119-20040120", "\u0662\u0660\u0660\u0664\u0660\u0661\u0661\u0669", "+2004119"],
)  # fmt: skip
def test_what_is_no_date_rejects(value: str) -> None:
    """A date that cannot be read rejects the file, and is not passed on."""
    error = rejected(
        dicom(el(DATE, value)), plan_of("name: StudyDate, increment-date: true", date_increment=1)
    )

    assert error[0] == "VALUE_NOT_TRANSFORMABLE"
    assert error[2:4] == ("(0008,0020)", "DA")


@pytest.mark.parametrize(("value", "days"), [("99991231", 1), ("00010101", -1)])
def test_a_date_does_not_leave_the_calendar(value: str, days: int) -> None:
    """A result beyond the years 1 to 9999 rejects the file."""
    plan = plan_of("name: StudyDate, increment-date: true", date_increment=days)

    assert rejected(dicom(el(DATE, value)), plan)[0] == "VALUE_NOT_TRANSFORMABLE"


@pytest.mark.parametrize(
    ("value", "days", "wanted"),
    [
        ("2004", 366, "2005"),
        ("2004", 1, "2004"),
        ("200401", 31, "200402"),
        ("20040119", -17, "20040102"),
        ("2004011907", 0.25, "2004011913"),
        ("200401190727", -17, "200401020727"),
        ("20040119072736", -17, "20040102072736"),
        ("20040119072736.1", -17, "20040102072736.1"),
        ("20040119072736.123456", -17, "20040102072736.123456"),
        ("20040119072736.120", 0.5, "20040119192736.120"),
        ("20040119072736+0100", -17, "20040102072736+0100"),
        ("20040119072736.5-1200", -17, "20040102072736.5-1200"),
        ("2004+0100", -17, "2003+0100"),
        ("20040229", 1, "20040301"),
        ("2004.01.19", -17, "2004.01.02"),
        ("20161231235960", -17, "20161214235960"),
        ("20161231235960.5+0000", -17, "20161214235960.5+0000"),
        ("20161231235960", -0.5, "20161231115960"),
    ],
)
def test_every_form_of_a_datetime_keeps_its_form(value: str, days: float, wanted: str) -> None:
    """Offsets, fractions and missing parts stay as they are when a moment moves."""
    assert moment_after(value, date_increment=days) == wanted


@pytest.mark.parametrize(
    "value", ["200", "20041", "20040119072736.", "20040119072736.1234567", "20041319", "2004011925",
              "20040119072761", "20040119 07", "20040119072736+01", "20040119T07"]
)  # fmt: skip
def test_what_is_no_datetime_rejects(value: str) -> None:
    """A moment that cannot be read rejects the file."""
    plan = plan_of("name: AcquisitionDateTime, increment-datetime: true", date_increment=1)

    assert rejected(dicom(el(MOMENT, value)), plan)[:1] == ("VALUE_NOT_TRANSFORMABLE",)


@pytest.mark.parametrize("unit", ["days", "weeks", "years", "hours", "minutes", "seconds"])
def test_every_unit_of_a_jitter(unit: str) -> None:
    """A moment moves by one of each unit at the most, and never by nothing."""
    days = {"days": 1, "weeks": 7, "years": 365.25, "hours": 1 / 24, "minutes": 1 / 1440,
            "seconds": 1 / 86400}[unit]  # fmt: skip
    form = "%Y%m%d%H%M%S"
    start = datetime(2004, 1, 19, 7, 27, 36, tzinfo=UTC)
    rule = (
        "name: AcquisitionDateTime, increment-datetime: true, jitter-date: true, "
        f"jitter-range: 1, jitter-unit: {unit}"
    )
    data = dicom(el(MOMENT, start.strftime(form)))

    moved = {run(plan_of(rule), [data]).output for _ in range(40)}

    step = timedelta(days=days)
    wanted = {dicom(el(MOMENT, (start + sign * step).strftime(form))) for sign in (-1, 1)}
    assert {values_of(each)[MOMENT] for each in moved} == {
        values_of(each)[MOMENT] for each in wanted
    }


def test_each_of_several_dates_moves() -> None:
    """Each value moves on its own, and an empty one stays empty."""
    data = dicom(el("DateOfSecondaryCapture", "20040119\\\\20040120"))
    plan = plan_of("name: DateOfSecondaryCapture, increment-date: true", date_increment=1)

    assert values_of(deidentified(data, plan))[0x00181012] == b"20040120\\\\20040121"


@pytest.mark.parametrize(
    ("rule", "value", "wanted"),
    [
        (", date-format: '%Y-%m-%d'", "2004-01-19", "2004-01-20"),
        (", date-format: '%d.%m.%Y'", "19.01.2004", "20.01.2004"),
        (", date-format: '%d %b %Y'", "19 Jan 2004", "20 Jan 2004"),
        (", date-format: '%y%m%d'", "040119", "040120"),
    ],
)
def test_custom_date_formats(rule: str, value: str, wanted: str) -> None:
    """A date in the format of the rule is written in the same format."""
    assert date_after(value, rule, date_increment=1) == wanted


@pytest.mark.parametrize(
    ("form", "value", "wanted"),
    [
        ("%Y-%m-%d %H:%M:%S", "2004-01-19 07:27:36", "2004-01-20 07:27:36"),
        ("%Y-%m-%d %H:%M:%S", "2004-01-19 07:27:36+01:00", "2004-01-20 07:27:36+01:00"),
        ("%Y%m%d%H%M%S.%f", "20040119072736.123", "20040120072736.123"),
        ("%Y/%m/%d %H:%M:%S.%f", "2004/01/19 07:27:36.12", "2004/01/20 07:27:36.12"),
        ("%Y/%m/%d %H:%M:%S.%f", "2004/01/19 07:27:36", "2004/01/20 07:27:36"),
    ],
)
def test_custom_datetime_formats(form: str, value: str, wanted: str) -> None:
    """A moment in a format of its own keeps its offset and its fraction."""
    assert moment_after(value, date_increment=1, datetime_format=f"'{form}'") == wanted


@pytest.mark.parametrize(
    ("rule", "value", "wanted"),
    [
        (", datetime-min: '20040201'", "20040119", "20040201"),
        (", datetime-min: '20040101'", "20040119", "20040120"),
        (", datetime-max: '20040101'", "20040119", "20040101"),
        (", datetime-max: '20050101', datetime-min: '20040601'", "20040119", "20040601"),
        (", datetime-min: '-10days'", "19000119", "today-10"),
        (", datetime-max: '+3weeks'", "29000119", "today+21"),
        (", datetime-min: '-2years'", "19000119", "today-730.5"),
    ],
)
@pytest.mark.parametrize("after", [date_after, moment_after])
def test_results_are_clamped(after: object, rule: str, value: str, wanted: str) -> None:
    """A result stays between datetime-min and datetime-max, for dates and for moments."""
    assert callable(after)
    before = datetime.now(UTC).astimezone()

    result = after(value, rule, date_increment=1)

    if wanted.startswith("today"):
        bounds = (before, datetime.now(UTC).astimezone())
        days = float(wanted.removeprefix("today"))
        assert result in {(each + timedelta(days=days)).strftime("%Y%m%d") for each in bounds}
    else:
        assert result == wanted


def test_an_override_counts_for_its_rule_alone() -> None:
    """date-increment-override replaces date-increment on its rule."""
    data = dicom(el(DATE, "20040119"), el("SeriesDate", "20040119"))
    plan = plan_of(
        "name: StudyDate, increment-date: true, date-increment-override: 5",
        "name: SeriesDate, increment-date: true",
        date_increment=-1,
    )

    values = values_of(deidentified(data, plan))

    assert values[DATE] == b"20040124"
    assert values[0x00080021] == b"20040118"


@pytest.mark.parametrize(
    ("unit", "reach", "seconds"), [("days", 3, 86400), ("weeks", 2, 604800), ("hours", 5, 3600),
                                   ("minutes", 7, 60), ("seconds", 9, 1)]
)  # fmt: skip
def test_jittered_moments_stay_in_reach_and_always_move(
    unit: str, reach: int, seconds: int
) -> None:
    """A jitter adds a whole number of units within its range, and never nothing."""
    data = dicom(el(MOMENT, "20040119072736"))
    plan = plan_of(
        "name: AcquisitionDateTime, increment-datetime: true, jitter-date: true, "
        f"jitter-range: {reach}, jitter-unit: {unit}",
        date_increment=10,
    )
    start = datetime(2004, 1, 29, 7, 27, 36)
    for _ in range(50):
        new = values_of(run(plan, [data]).output)[MOMENT].decode()
        moved = (datetime.strptime(new, "%Y%m%d%H%M%S") - start).total_seconds()
        assert moved % seconds == 0
        assert 1 <= abs(moved / seconds) <= reach


@pytest.mark.parametrize(
    ("born", "studied", "units", "wanted"),
    [
        ("20040101", "20040119", "D", "018D"),
        ("20040119", "20040119", "D", "000D"),
        ("20010606", "20040119", "D", "957D"),
        ("20010601", "20040119", "D", "031M"),
        ("19240101", "20040119", "D", "080Y"),
        ("19240120", "20040119", "D", "959M"),
        ("19240119", "20040119", "Y", "080Y"),
        ("19240120", "20040119", "Y", "079Y"),
        ("19240120", "20040119", "M", "959M"),
        ("20040131", "20040229", "M", "000M"),
        ("00990119", "20040119", "Y", "960Y"),
    ],
)
def test_ages_are_computed(born: str, studied: str, units: str, wanted: str) -> None:
    """PatientAge is the finest unit below 960, in three digits; present or absent before."""
    plan = plan_of(
        "name: PatientName, replace-with: X",
        patient_age_from_birthdate="true",
        patient_age_units=units,
    )
    dates = el(DATE, studied), el("PatientName", "A"), el("PatientBirthDate", born)

    for parts in (dates, (*dates, el("PatientAge", "001Y")), (*dates, el("PatientAge", ""))):
        assert values_of(deidentified(dicom(*parts), plan))[0x00101010] == wanted.encode()


def test_ages_come_from_the_original_dates_before_any_rule() -> None:
    """Rules that move or remove the dates do not change the age; one on the age acts on it."""
    data = dicom(el(DATE, "20040119"), el("PatientBirthDate", "19640119"))
    settings = {
        "patient_age_from_birthdate": "true",
        "patient_age_units": "Y",
        "date_increment": 900,
    }

    moved = plan_of(
        "name: StudyDate, increment-date: true", "name: PatientBirthDate, remove: true", **settings
    )
    removed = plan_of("name: PatientAge, remove: true", **settings)

    assert values_of(deidentified(data, moved))[0x00101010] == b"040Y"
    assert 0x00101010 not in values_of(deidentified(data, removed))


AGE = 0x00101010
NOT_COMPUTED = ("PatientAge was not computed: a date that it needs is none",)


@pytest.mark.parametrize("parts", [[], [el(DATE, ""), el("PatientBirthDate", "19640119")],
                                   [el(DATE, "20040119")]])  # fmt: skip
def test_without_both_dates_the_age_stays(parts: list[Part]) -> None:
    """An age stays where a date is absent or empty."""
    plan = plan_of(patient_age_from_birthdate="true")

    for age in (el("PatientAge", "042Y"), el("PatientAge", "")):
        outcome = every_way(dicom(*parts, age), plan)
        assert outcome.output.endswith(encode([age]))
        assert outcome.warnings == ()


@pytest.mark.parametrize("born", ["00000000", "1980", "unknown", "1950.02.30", "x" * 300])
@pytest.mark.parametrize("age", [[], [el("PatientAge", "")], [el("PatientAge", " ")]])
def test_an_age_that_is_not_there_is_not_computed_from_what_is_no_date(
    born: str, age: list[Part]
) -> None:
    """Where no age stands, one that cannot be computed stays absent; the receipt says so."""
    plan = plan_of("name: PatientBirthDate, remove: true", patient_age_from_birthdate="true")

    outcome = every_way(dicom(el(DATE, "20040119"), el("PatientBirthDate", born), *age), plan)

    assert outcome.output.endswith(encode([el(DATE, "20040119"), *age]))
    assert outcome.warnings == NOT_COMPUTED
    assert outcome.actions == (("remove", 1),)


@pytest.mark.parametrize("age", [[], [el("PatientAge", "042Y")]])
@pytest.mark.parametrize(
    ("studied", "born", "at_fault", "message"),
    [
        ("20040119", "1964", "PatientBirthDate", "not a legal date"),
        ("2004", "19640119", "StudyDate", "not a legal date"),
        ("20040119", "20050119", "PatientBirthDate", "the study date is before the birth date"),
    ],
)
def test_an_age_that_contradicts_its_dates_rejects(
    studied: str, born: str, at_fault: str, message: str, age: list[Part]
) -> None:
    """An age that stands and cannot be computed rejects the file, and so do dates in disorder."""
    plan = plan_of(patient_age_from_birthdate="true")
    data = dicom(el(DATE, studied), el("PatientBirthDate", born), *age)
    if not age and "legal" in message:
        assert every_way(data, plan).warnings == NOT_COMPUTED
        return

    tag = tag_of(at_fault)

    assert rejected(data, plan) == (
        "VALUE_NOT_TRANSFORMABLE", f"the age cannot be computed: {message}",
        f"({tag >> 16:04X},{tag & 0xFFFF:04X})", "DA",
        data.index(encode([el(at_fault, born if at_fault != "StudyDate" else studied)])),
    )  # fmt: skip


def test_an_age_is_computed_from_dates_of_the_older_form() -> None:
    """Dates with dots are dates."""
    plan = plan_of(patient_age_from_birthdate="true", patient_age_units="Y")
    data = dicom(el(DATE, "2004.01.19"), el("PatientBirthDate", "1964.01.20"))

    assert values_of(deidentified(data, plan))[AGE] == b"039Y"


def test_an_increment_date_acts_once_with_recursion() -> None:
    """With recurse-sequence a top-level date moves by the increment, not by twice as much."""
    plan = plan_of(
        "name: StudyDate, increment-date: true", date_increment=1, recurse_sequence="true"
    )

    outcome = every_way(dicom(el(DATE, "20040119")), plan)

    assert values_of(outcome.output)[DATE] == b"20040120"
    assert outcome.actions == (("increment-date", 1),)
