"""Hashes of values, and which values have the same one."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Final

from profile_service.language.model import Settings
from profile_service.language.vr import MAX_CHARACTERS

# PS3.5 6.2: the VRs in which spaces before a value say as little as those behind it.
_PADDED_BEFORE: Final = frozenset({"AE", "CS", "LO", "SH"})


def hasher(settings: Settings) -> Callable[[str, str], str]:
    """Returns what makes the hash of a value that has no padding behind it, and its VR."""
    salted = sha256(settings.salt.encode())
    digits = settings.hash_digits
    written = normalized if settings.hash_normalize else _as_written
    ignores_case = settings.hash_ignore_case

    def hash_of(value: str, vr: str) -> str:
        value = written(value, vr)
        if not value:
            return value
        if ignores_case:
            value = value.casefold()
        digest = salted.copy()
        digest.update(value.encode("utf-8", "surrogatepass"))
        return digest.hexdigest()[: min(digits, MAX_CHARACTERS.get(vr, digits))]

    return hash_of


def _as_written(value: str, vr: str) -> str:
    """Returns what is hashed of a value where its author's spelling counts."""
    if vr == "PN":
        return value.rstrip("=")
    return value.lstrip(" ") if vr == "AE" else value


def normalized(value: str, vr: str) -> str:
    """Returns one spelling for all values that PS3.5 6.2 takes for the same."""
    if vr == "PN":
        # PS3.5 6.2.1: empty components and groups at the end may be left out.
        return "=".join(map(_normalized_group, value.split("="))).rstrip("=")
    return value.lstrip(" ") if vr in _PADDED_BEFORE else value


def _normalized_group(group: str) -> str:
    return "^".join(component.strip(" ") for component in group.split("^")).rstrip("^")
