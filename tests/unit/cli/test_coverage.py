"""`deidcascade profile coverage`, for people and for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from click.testing import CliRunner

from deid_service.cli.profiles import profile_group
from profile_service.language.standard import EDITION, attributes

if TYPE_CHECKING:
    from click.testing import Result

PROFILE = """
dicom:
  remove-private-tags: true
  fields:
    - {name: PatientID, hash: true}
    - {name: PatientName, replace-with: ''}
"""


def coverage(*arguments: str, profile: str = PROFILE) -> Result:
    """Runs the command on a profile."""
    return CliRunner().invoke(profile_group, ["coverage", "-", *arguments], input=profile)


def test_programs_get_every_attribute() -> None:
    """JSON has each row of the table with what the standard and the profile do."""
    answer = json.loads(coverage("--json").stdout)

    rows = {row["tag"]: row for row in answer["attributes"]}
    assert (answer["edition"], len(rows)) == (EDITION, len(attributes()))
    assert rows["(0010,0020)"] == {
        "tag": "(0010,0020)",
        "name": "Patient ID",
        "since": "2024b",
        "basic": "Z/D",
        "options": {},
        "topLevel": {"effect": "changes", "by": ["hash"]},
        "items": {"effect": "stays", "by": []},
        "treated": "top level only",
    }
    assert rows["(50xx,xxxx)"]["options"] == {"clean-graphics": "C"}
    assert rows["private"]["treated"] == "everywhere"


def test_people_get_a_table_and_a_summary() -> None:
    """The table names each attribute, and the summary stands last."""
    answer = coverage()
    wanted = [
        "(0008,0022)",
        "K full-dates, C modified-dates",
        "goes (remove-private-tags)",
        f"-: {len(attributes())} attributes of PS3.15 E.1-1, edition {EDITION}.",
        "   2 at the top level only",
        "14 by retain-patient-characteristics",
    ]

    assert answer.exit_code == 0
    assert wanted == [line for line in wanted if line in answer.stdout]


def test_what_treats_the_rest_is_named_where_it_is_not_there() -> None:
    """Who has no base is told of the one that treats what the profile leaves; others are not."""
    told = "`base: ps3.15-"
    based = PROFILE.replace("dicom:", f"dicom:\n  base: ps3.15-{EDITION}-basic")

    assert told in coverage().stdout
    assert told not in coverage(profile=based).stdout


def test_invalid_profile() -> None:
    """An invalid profile has no coverage, and what is wrong with it is said."""
    answer = coverage(profile="dicom: {fields: [{name: PatientNme}]}")

    assert answer.exit_code == 1
    assert "UNKNOWN_KEYWORD" in answer.stderr
