"""Tables in files: what `apply` and `preview` look patients up in."""

from __future__ import annotations

from hashlib import sha256
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


LISTS = """\
dicom:
  base: ps3.15-2026c-basic
  words: {remove-from: [towns], remove-names-from: [staff]}
"""


@pytest.mark.parametrize(
    ("towns", "staff", "expected"),
    [
        ("word\nXyzzyville\n", "name\nMedical^George\n", "GE SYSTEMS"),
        ("word\nGE Medical\n", "original,name\n1,Nobody^Else\n2,\n", "SYSTEMS"),
    ],
    ids=["names", "words"],
)
def test_lists(tmp_path: Path, towns: str, staff: str, expected: str) -> None:
    """No text has what is listed in files; the report names the lists, and no word of them."""
    arguments: list[str | Path] = []
    for name, text in (("p.yaml", LISTS), ("towns.csv", towns), ("staff.csv", staff)):
        (tmp_path / name).write_text(text)
        if name != "p.yaml":
            arguments += ["--table", f"{name.removesuffix('.csv')}={tmp_path / name}"]
    profile, report, out = tmp_path / "p.yaml", tmp_path / "report.jsonl", tmp_path / "out"

    previewed = run("preview", "--profile", profile, *arguments, CT)
    told = run("apply", "--profile", profile, *arguments, CT, "--out", out, "--report", report)

    (made,) = out.glob("*.dcm")
    assert (previewed[0], told[0]) == (0, 0), (previewed, told)
    assert pydicom.dcmread(made).Manufacturer.split() == expected.split()
    assert f"towns@sha256:{sha256(towns.encode()).hexdigest()}" in report.read_text()
    assert "yzzy" not in report.read_text() + told[1]


def test_missing_list(tmp_path: Path) -> None:
    """No file is taken without a list, or with a table that is none."""
    (tmp_path / "p.yaml").write_text(LISTS)
    (tmp_path / "towns.csv").write_text(TRIAL)
    (tmp_path / "staff.csv").write_text("name\nNobody^Else\n")
    staff = ["--table", f"staff={tmp_path / 'staff.csv'}"]
    apply: list[str | Path] = ["apply", "--profile", tmp_path / "p.yaml", CT, *staff]
    apply += ["--out", tmp_path / "out"]

    without = run(*apply)
    another = run(*apply, "--table", f"towns={tmp_path / 'towns.csv'}")

    assert (without[0], "--table towns=FILE" in without[1]) == (1, True)
    assert (another[0], "no column word" in another[1]) == (1, True)
    assert not (tmp_path / "out").exists()


def test_preview(files: Files) -> None:
    """A preview shows what the tables say."""
    code, told = files.apply(command="preview")

    assert (code, "LUNG-0001" in told) == (0, True)
