"""Whether a profile text is valid on a kind of container."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from profile_service.hierarchy import Kind
from profile_service.language import VALIDATOR_VERSION, Profile, Violation, check_profile
from profile_service.language.codes import Code
from profile_service.model import Decision, KeyUse

# Where a blank profile would switch de-identification off for everything below.
NEVER_BLANK = frozenset({Kind.SITE, Kind.GROUP})

# Of very many warnings some are left out, which may be the one that tells.
_LETTING_THROUGH = {Code.CHANGES_NOTHING.name, Code.TOO_MANY_WARNINGS.name}

_NOWHERE = Violation(code="", path="dicom.fields", line=0, column=0, message="")


def decide(source: str, kind: Kind | None) -> Decision:
    """Checks a profile text by the language, and by the rules of the level.

    Args:
        source: the YAML text.
        kind: what the profile is attached to, or None for the language alone.
    """
    checked = check_profile(source)
    blank = checked.profile is not None and checked.profile.blank
    violations, warnings = checked.violations, checked.warnings
    if blank and kind in NEVER_BLANK:
        # What is said of a blank profile elsewhere also tells where it stands.
        said = [warning for warning in warnings if warning.code == Code.BLANK_PROFILE.name]
        violations = (_blank_here(kind, said[0] if said else _NOWHERE),)
        warnings = tuple(warning for warning in warnings if warning not in said)
    key_use = None if violations else _key_use(checked.profile)
    return Decision(VALIDATOR_VERSION, blank, violations, warnings, key_use)


def _key_use(profile: Profile | None) -> KeyUse | None:
    if profile is None:
        return None
    columns = tuple(sorted({*profile.columns, *profile.settings.words.lists}))
    if not (profile.key_purposes or columns):
        return None
    wanted = profile.settings.pseudonyms
    purposes = tuple(sorted(profile.key_purposes))
    return KeyUse(wanted.scope, wanted.generation or 0, purposes, columns)


def lets_through(decision: Decision) -> bool:
    """Tells whether a valid profile lets data through as it is: it is blank, or as good as."""
    return decision.valid and (
        decision.blank or any(warning.code in _LETTING_THROUGH for warning in decision.warnings)
    )


def is_outdated(decision: Decision) -> bool:
    """Tells whether this build has a newer validator than the one that decided.

    What a newer validator decided stands: while replicas of two builds run side by
    side, they would otherwise overrule each other again and again.
    """
    decided_by = decision.validator_version
    return decided_by != VALIDATOR_VERSION and _order(decided_by) < _order(VALIDATOR_VERSION)


# There are as many versions as there were builds.
@lru_cache(maxsize=64)
def _order(version: str) -> tuple[int, ...]:
    """Returns what versions are compared by; what is no version is before all of them."""
    numbers = version.split(".")
    if not all(number.isascii() and number.isdigit() and len(number) < 10 for number in numbers):
        return ()
    return tuple(map(int, numbers))


def _blank_here(kind: Kind, place: Violation) -> Violation:
    return replace(
        place,
        code="BLANK_PROFILE_HERE",
        message=f"A blank profile on a {kind.name.lower()} would switch de-identification off "
        "for everything below it. Attach it to a project or a device; for all of a site there "
        "is the enforcement switch of the site.",
    )
