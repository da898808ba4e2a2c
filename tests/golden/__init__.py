"""Pairs of a profile and the answer to it."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from profile_service.language import Profile, check_profile
from profile_service.language.explain import explain
from profile_service.language.model import Settings
from profile_service.language.report import render

PROFILES = Path(__file__).parent / "profiles"
CORPUS = Path(__file__).parent / "corpus"


def answer(source: bytes) -> str:
    """Returns what an `.expected` file holds for a profile text."""
    checked = check_profile(source)
    verdict = "INVALID"
    if checked.profile is not None:
        verdict = "BLANK" if checked.profile.blank else "VALID"
    problems = render(source.decode(errors="replace"), checked.violations, checked.warnings)
    blocks = [verdict, problems]
    if checked.profile is not None:
        blocks += [dump(checked.profile), "\n".join(explain(checked.profile))]
    return "\n\n".join(block for block in blocks if block) + "\n"


def dump(profile: Profile) -> str:
    """Writes the model, one line per setting that is no default, rule and file name."""
    default = Settings()
    settings = (
        (field.name, getattr(profile.settings, field.name), getattr(default, field.name))
        for field in dataclasses.fields(Settings)
    )
    lines = [f"name = {profile.name!r}"] if profile.name else []
    lines += [f"description = {profile.description!r}"] if profile.description else []
    lines += [f"{name} = {value!r}" for name, value, usual in settings if value != usual]
    for rule in profile.rules:
        lines += [f"{rule.path}, line {rule.line}", f"  {rule.selector!r}", f"  {rule.action!r}"]
    lines += [f"{rule!r}" for rule in profile.filenames]
    return re.sub(
        r"\b(tag|value|mask|group|offset)=(\d+)",
        lambda found: f"{found[1]}=0x{int(found[2]):X}",
        "\n".join(lines),
    )
