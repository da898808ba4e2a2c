"""Tables in files: what `apply` and `preview` look patients up in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pydicom
import pytest
from pydicom.data import get_testdata_file

from tests.unit.cli.test_keys import run

if TYPE_CHECKING:
    from pathlib import Path

CT = str(get_testdata_file("CT_small.dcm"))
PROFILE = """\
dicom:
  pseudonyms: {SETTINGS}
  fields:
    - {name: PatientID, lookup: {table: trial, column: code}}
    - {name: PatientName, lookup: {table: others, column: arm}, on-missing: remove}
    - {name: StudyDate, keyed-shift: true}
"""
DAYS = "shift-from: {table: trial, column: days}"
TRIAL = "original,code,days\n1CT1,LUNG-0001,-3\n"
OTHERS = "original,arm\nsomebody,A\n"


class Files:
    """A profile and its tables."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def apply(
        self, trial: str = TRIAL, *more: str, settings: str = DAYS, command: str = "apply"
    ) -> tuple[int, str]:
        """Applies the profile to a file."""
        for name, text in (
            ("p.yaml", PROFILE.replace("SETTINGS", settings)),
            ("trial.csv", trial),
            ("others.csv", OTHERS),
        ):
            (self.folder / name).write_text(text)
        arguments = more or [
            *("--table", f"trial={self.folder / 'trial.csv'}"),
            *("--table", f"others={self.folder / 'others.csv'}"),
        ]
        out: list[str | Path] = ["--out", self.folder / "out"] if command == "apply" else []
        return run(command, "--profile", self.folder / "p.yaml", *arguments, CT, *out)

    @property
    def output(self) -> pydicom.Dataset:
        """What has been written."""
        (found,) = (self.folder / "out").glob("*.dcm")
        return pydicom.dcmread(found)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Files in a folder of their own."""
    return Files(tmp_path)


def test_apply(files: Files) -> None:
    """A file has what the tables say of its patient; no key is needed for that."""
    code, told = files.apply()

    made = files.output
    assert code == 0, told
    assert (made.PatientID, made.StudyDate, "PatientName" in made) == (
        "LUNG-0001",
        "20040116",
        False,
    )


@pytest.mark.parametrize(
    ("original", "settings", "found"),
    [
        ("1CT2", DAYS, False),
        ("1ct1", DAYS, False),
        ("1ct1", f"ignore-case: true, {DAYS}", True),
    ],
)
def test_who_is_found(files: Files, original: str, settings: str, *, found: bool) -> None:
    """A patient is found by the identifier as it is written, or in any case where that is said."""
    code, told = files.apply(TRIAL.replace("1CT1", original), settings=f"{settings}")

    assert ("NOT_IN_TABLE" in told, code) == (not found, 0 if found else 1)


@pytest.mark.parametrize(
    ("trial", "expected"),
    [
        ("original,code\n1,2\n", "no column days"),
        (
            "original,code,days\n7,a,1\n7,b,2\n8,c,x\n",
            "trial.csv:3: DUPLICATE_ORIGINAL: The patient stands in line 2 already.",
        ),
        ("original,code,days\n7,a,x\n", "trial.csv:2: column days: NOT_DAYS: A number of days"),
    ],
)
def test_invalid_tables(files: Files, trial: str, expected: str) -> None:
    """What is wrong with a table is said with its line, and nothing is written."""
    code, told = files.apply(trial)

    assert (code, expected in told) == (1, True), told
    assert not (files.folder / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--table", "trial=trial.csv"], "--table others=FILE"),
        (["--table", "a=trial.csv"], "in a table a"),
        (["--table", "trial=a", "--table", "trial=b"], "named twice"),
        (["--table", "trial"], "NAME=FILE"),
        (["--table", "Trial=x"], "NAME=FILE"),
    ],
)
def test_wrong_tables(files: Files, arguments: list[str], expected: str) -> None:
    """A table that is needed is named once, and none that is not needed."""
    code, told = files.apply(TRIAL, *arguments)

    assert (code != 0, expected in told) == (True, True), told


def test_preview(files: Files) -> None:
    """A preview shows what the tables say."""
    code, told = files.apply(command="preview")

    assert (code, "LUNG-0001" in told) == (0, True)
