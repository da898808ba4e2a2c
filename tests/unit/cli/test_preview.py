"""`deidcascade preview`, for people."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from deid_service.cli.preview import preview
from tests.support.engine.build import dicom, el

if TYPE_CHECKING:
    from pathlib import Path

PROFILE = """
dicom:
  fields:
    - {name: StudyDate, replace-with: ''}
    - {name: SeriesDate, remove: true}
    - {name: PatientID, replace-with: X}
"""


@pytest.mark.parametrize(
    ("element", "before", "after"),
    [
        ("StudyDate", "20200101", "empty"),
        ("SeriesDate", "20200102", "removed"),
        ("PatientID", "empty", "X"),
    ],
)
def test_no_value_is_a_blank(tmp_path: Path, element: str, before: str, after: str) -> None:
    """What is empty, before or after, is said in a word, on the screen and on the page."""
    file, profile, page = (tmp_path / name for name in ("a.dcm", "p.yaml", "page.html"))
    values = {"StudyDate": "20200101", "SeriesDate": "20200102", "PatientID": ""}
    file.write_bytes(dicom(*(el(keyword, value) for keyword, value in values.items())))
    profile.write_text(PROFILE)
    given = ("--profile", str(profile), str(file), "--html", str(page))

    told = CliRunner(env={"COLUMNS": "200"}).invoke(preview, given)

    assert told.exit_code == 0, told.stderr
    (line,) = re.findall(rf"^{element} .*", told.stdout, re.MULTILINE)
    assert line.split()[3:5] == [before, after]
    (row,) = re.findall(rf"<tr><td[^>]*>{element}</td>.*</tr>", page.read_text())
    assert re.findall(r"<td[^>]*>([^<]*)</td>", row)[3:5] == [before, after]
