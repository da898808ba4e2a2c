"""Pairs of a profile and the answer to it."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from pathlib import Path

from profile_service.language import VALIDATOR_VERSION, CheckedProfile, Profile, check_profile
from profile_service.language.explain import explain
from profile_service.language.model import Settings
from profile_service.language.report import render

PROFILES = Path(__file__).parent / "profiles"
CORPUS = Path(__file__).parent / "corpus"

# The validator that gave the verdicts, and a digest of the verdict on each profile.
VERDICTS = Path(__file__).parent / "verdicts.txt"


def answer(source: bytes) -> str:
    """Returns what an `.expected` file holds for a profile text."""
    checked = check_profile(source)
    problems = render(source.decode(errors="replace"), checked.violations, checked.warnings)
    blocks = [_validity(checked), problems]
    if checked.profile is not None:
        blocks += [dump(checked.profile), "\n".join(explain(checked.profile))]
    return "\n\n".join(block for block in blocks if block) + "\n"


def verdicts() -> str:
    """Returns what `verdicts.txt` holds: all that is stored of a verdict, as digests."""
    lines = [f"validator_version {VALIDATOR_VERSION}"]
    for profile in sorted((*PROFILES.glob("*.yaml"), *CORPUS.glob("*.yaml"))):
        checked = check_profile(profile.read_bytes())
        stored = repr((_validity(checked), checked.violations, checked.warnings))
        lines.append(f"{profile.stem} {hashlib.sha256(stored.encode()).hexdigest()[:16]}")
    return "\n".join(lines) + "\n"


def _validity(checked: CheckedProfile) -> str:
    if checked.profile is None:
        return "INVALID"
    return "BLANK" if checked.profile.blank else "VALID"


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
