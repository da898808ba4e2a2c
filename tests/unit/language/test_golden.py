"""Every construct and every code, as pairs of a profile and the answer to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from profile_service.language.codes import Code
from tests.golden import PROFILES, VERDICTS, answer, verdicts

if TYPE_CHECKING:
    from pathlib import Path

# Shown by tests of their own: they need texts of many pages.
LARGE = {"TOO_LARGE", "TOO_MANY_PROBLEMS", "TOO_MANY_WARNINGS"}


@pytest.mark.parametrize("profile", sorted(PROFILES.glob("*.yaml")), ids=lambda path: path.stem)
def test_answer(profile: Path) -> None:
    """The answer to a profile is the one that was approved."""
    expected = profile.with_suffix(".expected").read_text("utf-8")

    assert expected == answer(profile.read_bytes())


def test_every_profile_has_an_answer() -> None:
    """No answer stands without a profile, and no profile without an answer."""
    profiles = {path.stem for path in PROFILES.glob("*.yaml")}

    assert profiles == {path.stem for path in PROFILES.glob("*.expected")}


def test_every_code_is_shown() -> None:
    """Each code is in at least one of the answers."""
    answers = "\n".join(path.read_text("utf-8") for path in PROFILES.glob("*.expected"))
    shown = {code.name for code in Code if f" {code.name}\n" in answers}

    assert {code.name for code in Code} - LARGE == shown


def test_verdicts_belong_to_a_version() -> None:
    """A verdict that has changed has another VALIDATOR_VERSION, so that stored ones are renewed.

    `python -m tests.golden` writes the file, and refuses to while the version is the same.
    """
    assert VERDICTS.read_text("utf-8") == verdicts()
