"""The name that is suggested for the output."""

from __future__ import annotations

import unicodedata
from typing import Literal

import pytest

from tests.support.engine.build import dicom, el
from tests.support.engine.every_way import Outcome, every_way, plan_of

UID = "1.2.3"


def name_of(*rules: str, original: str = "", filenames: str = "", **values: str) -> str:
    """Returns the name for a file."""
    parts = {"SOPInstanceUID": UID, "Modality": "CT"} | values
    elements = sorted((el(name, value) for name, value in parts.items()), key=lambda e: e.tag)
    plan = plan_of(
        *(rules or ["name: PatientName, remove: true"]),
        **({"filenames": f"[{filenames}]"} if filenames else {}),
    )
    return _ended(every_way(dicom(*elements), plan, filename=original)).filename


def _ended(outcome: Outcome) -> Outcome:
    assert outcome.error is None, outcome.error
    return outcome


def test_the_usual_name() -> None:
    """A file is named by its de-identified instance UID and its modality."""
    assert name_of() == "1.2.3.CT.dcm"
    assert name_of("name: SOPInstanceUID, replace-with: 1.9") == "1.9.CT.dcm"
    assert name_of("name: SOPInstanceUID, remove: true") == "unnamed.CT.dcm"
    assert name_of("name: Modality, remove: true") == "1.2.3.NA.dcm"
    assert name_of("name: Modality, replace-with: ''") == "1.2.3.NA.dcm"


def test_the_original_name_does_not_count_without_a_rule() -> None:
    """An original name can carry an identity."""
    assert "Doe" not in name_of(original="Doe_John.dcm")


def test_an_unchanged_file_has_no_suggested_name() -> None:
    """With a blank profile the name is empty."""
    assert every_way(dicom(el("PatientName", "A")), plan_of()).filename == ""


@pytest.mark.parametrize(
    ("filenames", "original", "wanted"),
    [
        ("{output: '{PatientID}.dcm'}", "", "NEW.dcm"),
        ("{output: '{PatientID}_{SeriesNumber}_{Modality}.dcm'}", "", "NEW_7_CT.dcm"),
        ("{input-regex: '(?P<stem>.*)\\.dcm', output: '{stem}-{PatientID}'}", "a.dcm", "a-NEW"),
        ("{input-regex: 'b', output: x}, {output: y}", "abc", "y"),
        ("{input-regex: 'a', output: x}, {output: y}", "abc", "x"),
        ("{input-regex: 'b', output: x}", "abc", "1.2.3.CT.dcm"),
        ("{input-regex: '(?P<id>\\w+)', output: '{id}', groups: [{name: id, hash: true}]}",
         "1CT1.dcm", "1c3ee9adf6f95ec4"),
        ("{output: '{StudyDescription}'}", "", "_"),
    ],
)  # fmt: skip
def test_names_by_rules(filenames: str, original: str, wanted: str) -> None:
    """The first rule whose regex matches the original name makes the new one."""
    name = name_of(
        "name: PatientID, replace-with: NEW",
        original=original,
        filenames=filenames,
        PatientID="OLD",
        SeriesNumber="7",
    )

    assert name == wanted


DATED = "{input-regex: '\\w+-(?P<day>.*)\\.dcm', output: '{day}.dcm', groups: [{name: day, %s}]}"


@pytest.mark.parametrize(
    ("action", "original", "wanted"),
    [
        ("increment-date: true", "acquisition-20200220.dcm", "20200203"),
        ("increment-date: true", "acquisition-2020-02-20.dcm", "20200203"),
        ("increment-date: true", "acquisition-2020_02_20.dcm", "20200203"),
        ("increment-date: true", "acquisition-2020.02.20.dcm", "20200203"),
        ("increment-date: true, date-format: '%Y-%m-%d'", "a-2020-02-20.dcm", "2020-02-03"),
        ("increment-date: true, date-format: '%d%m%Y'", "a-2020-02-20.dcm", "03022020"),
        ("increment-datetime: true", "a-2020-02-20_10-11-12.dcm", "20200203101112"),
        ("increment-datetime: true", "a-2020-02-20T1011.dcm", "202002031011"),
        ("increment-datetime: true", "a-2020-02-20.dcm", "20200203"),
        ("increment-datetime: true, datetime-format: '%Y%m%d %H%M'", "a-2020-02-20 10.11.dcm",
         "20200203 1011"),
    ],
)  # fmt: skip
def test_dates_of_original_names(action: str, original: str, wanted: str) -> None:
    """A date of the original name is moved in other forms, too, and written as the rule says."""
    plan = plan_of(filenames=f"[{DATED % action}]", date_increment=-17)

    assert _ended(every_way(dicom(), plan, filename=original)).filename == f"{wanted}.dcm"


@pytest.mark.parametrize("day", ["02-20-2020", "2020-2-20", "2020-02_20", "2020-13-01", "20-02-20"])
def test_a_date_of_an_original_name_that_is_not_certain_rejects(day: str) -> None:
    """Which number is the day of a date is not guessed."""
    plan = plan_of(filenames=f"[{DATED % 'increment-date: true'}]", date_increment=-17)

    error = every_way(dicom(), plan, filename=f"a-{day}.dcm").error

    assert error is not None
    assert error[0] == "VALUE_NOT_TRANSFORMABLE"


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("../../etc/passwd", "_.._etc_passwd"),
        ("a/b\\c:d*e?f", "a_b_c_d_e_f"),
        ("con", "_con"),
        ("NUL.txt", "_NUL.txt"),
        (" . ", "_"),
        ("trailing. ", "trailing"),
    ],
)
def test_names_are_safe(value: str, wanted: str) -> None:
    """No name leaves its folder, or is one that a file system refuses."""
    name = name_of(filenames="{output: '{PatientComments}'}", PatientComments=value)

    assert name == wanted


@pytest.mark.parametrize(
    ("value", "end"), [("ab" * 500, "aba.dcm"), ("\u00e4" * 300, "\u00e4.dcm"), ("." * 300, ".dcm")]
)
def test_long_names_are_cut(value: str, end: str) -> None:
    """A name fits the common file systems, and keeps its extension."""
    name = name_of(
        filenames="{output: 'n{PatientComments}.dcm'}",
        SpecificCharacterSet="ISO_IR 192",
        PatientComments=value,
    )

    assert 230 < len(name.encode()) <= 255
    assert name.endswith(end)


def test_a_name_without_end_takes_no_time() -> None:
    """A value of megabytes in the place of a UID is cut like any other."""
    data = dicom(el("SOPInstanceUID", "1" * 3_000_000, "UT"), meta=[])

    outcome = _ended(every_way(data, plan_of("name: PatientName, remove: true")))

    assert len(outcome.filename) <= 255


def test_combining_characters_without_end_are_not_composed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of a long name only a part is put into its composed form, which takes long."""
    compose = unicodedata.normalize
    composed: list[int] = []

    def noting(form: Literal["NFC"], text: str) -> str:
        composed.append(len(text))
        return compose(form, text)

    monkeypatch.setattr("deid_service.engine.file.names.unicodedata.normalize", noting)
    data = dicom(
        el("SpecificCharacterSet", "ISO_IR 192"),
        el("SOPInstanceUID", UID),
        el("Modality", "a" + "\u0327\u0301" * 60_000, "UT"),
    )

    outcome = _ended(every_way(data, plan_of("name: PatientName, remove: true")))

    assert 200 < max(composed) <= 1024
    assert outcome.filename.startswith("1.2.3.\u00e1\u0327")
    assert 200 < len(outcome.filename.encode()) <= 240
    assert outcome.filename.endswith(".dcm")


def test_a_name_that_a_system_could_not_decode() -> None:
    """Bytes of an original name that are no text become something that is."""
    name = name_of(original="a\udcff", filenames="{input-regex: '(?P<all>.*)', output: '{all}'}")

    assert name == "a_"


@pytest.mark.parametrize("max_held", [100, 1000, 10_000])
def test_a_value_that_comes_too_late_is_an_empty_one(max_held: int) -> None:
    """A name does not hold back more output than may be held."""
    data = dicom(
        el("SOPInstanceUID", UID), el("StudyDescription", "x" * 3000), el("PatientID", "A")
    )
    plan = plan_of("name: PatientName, remove: true", filenames="[{output: 'n{PatientID}.dcm'}]")

    outcome = _ended(every_way(data, plan, max_held=max_held, filename="f"))

    assert outcome.filename == ("nA.dcm" if max_held > 3000 else "n.dcm")
