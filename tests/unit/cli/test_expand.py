"""`deidcascade profile expand`, for people and for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from click.testing import CliRunner

from deid_service.cli.profiles import profile_group

if TYPE_CHECKING:
    from click.testing import Result

PROFILE = """
dicom:
  base: ps3.15-2026c-basic
  options: [retain-safe-private]
"""


def expand(*arguments: str, profile: str = PROFILE) -> Result:
    """Runs the command on a profile."""
    return CliRunner().invoke(profile_group, ["expand", "-", *arguments], input=profile)


def test_programs_get_every_element() -> None:
    """JSON has what is done to each element, by what the IOD needs."""
    answer = json.loads(expand("--json").stdout)

    rows = {row["tag"]: row for row in answer["elements"]}
    assert (answer["base"], answer["options"]) == ("ps3.15-2026c-basic", ["retain-safe-private"])
    assert answer["safePrivate"] > 2000
    assert rows["(0008,0080)"] == {
        "tag": "(0008,0080)",
        "name": "InstitutionName",
        "valued": "dummy",
        "present": "empty",
        "free": "remove",
        "unknown": "dummy",
        "items": "as at the top",
    }
    assert rows["UI"]["free"] == "replace-uid, or dummy"


def test_people_get_a_table() -> None:
    """The table names each element, and sentences say the rest."""
    found = expand().stdout

    assert "StudyInstanceUID" in found
    assert "(60xx,3000)" in found
    assert "with retain-safe-private." in found


def test_without_a_base() -> None:
    """A profile without a base stands for nothing but its rules."""
    profile = "dicom: {fields: [{name: PatientID, hash: true}]}"

    assert "no base" in expand(profile=profile).stdout
    assert json.loads(expand("--json", profile=profile).stdout) == {"base": None}
