"""The documentation of the language agrees with the code."""

from __future__ import annotations

import re
from pathlib import Path

from profile_service.language import parse_profile
from profile_service.language.actions import OPTIONS
from profile_service.language.codes import Code
from profile_service.language.settings import KNOWN_KEYS

PAGE = Path(__file__).parents[3] / "docs" / "profile-language.md"


def test_codes() -> None:
    """The table of codes is that of the code, in its order."""
    expected = [f"| `{code.name}` | {code.severity.value} | {code.meaning} |" for code in Code]

    table = PAGE.read_text("utf-8").partition("## Codes")[2]

    assert expected == re.findall(r"^\| `[A-Z_0-9]+` \|.*$", table, re.MULTILINE)


def test_settings() -> None:
    """Every setting is in the table of settings."""
    section = PAGE.read_text("utf-8").partition("## Settings")[2].partition("## Rules")[0]

    assert set(re.findall(r"`([a-z_-]+)`", section)) >= KNOWN_KEYS


def test_actions() -> None:
    """Every action is in the table of actions, and so are its options."""
    section = PAGE.read_text("utf-8").partition("### Actions")[2].partition("###")[0]
    words = set(re.findall(r"`([a-z-]+)`", section))

    assert words >= OPTIONS.keys()
    assert words >= OPTIONS["increment-date"] | OPTIONS["increment-datetime"]
    assert words >= OPTIONS["jitter"] | OPTIONS["replace-with"]


def test_example() -> None:
    """The example at the top is a valid profile."""
    example = re.search(r"```yaml\n(version: 1\n.*?)```", PAGE.read_text("utf-8"), re.DOTALL)

    assert example is not None
    assert len(parse_profile(example[1]).rules) == 5
