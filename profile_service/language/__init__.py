"""The profile language: YAML text -> Profile, or every violation with line and column."""

from __future__ import annotations

from profile_service.language.compiler import (
    VALIDATOR_VERSION,
    CheckedProfile,
    check_profile,
    parse_profile,
)
from profile_service.language.errors import LanguageError, ProfileInvalid
from profile_service.language.model import Profile, Violation

__all__ = [
    "VALIDATOR_VERSION",
    "CheckedProfile",
    "LanguageError",
    "Profile",
    "ProfileInvalid",
    "Violation",
    "check_profile",
    "parse_profile",
]
