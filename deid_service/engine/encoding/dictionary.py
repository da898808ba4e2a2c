"""The data dictionary (PS3.6), as the engine asks it."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from profile_service.language.dictionaries import PRIVATE, Public, private_vr, public

# A dictionary has some ten thousand entries; private tags come on top.
_CACHED: Final = 65_536


# What `vr_of` answers for an element that is a sequence, or may be one.
PERHAPS_SEQUENCES: Final = frozenset({"SQ", "UN"})


@lru_cache(maxsize=_CACHED)
def vr_of(tag: int) -> str:
    """Returns the VR of a public element, `UN` for one that is not in the dictionary.

    Where the dictionary offers several (US or SS, OB or OW), the first that
    is written without knowing the rest of the data set: PS3.5 A.1 makes OW the
    VR of implicit VR pixel data, and for US or SS an empty value has no sign.
    """
    if tag >> 16 & 1:
        # PS3.5 7.8.1: a private creator is LO; the rest needs its creator.
        return "LO" if 0x10 <= tag & 0xFFFF <= 0xFF else "UN"
    if not tag & 0xFFFF:
        return "UL"  # PS3.5 7.2: group length
    found = _public(tag)
    if found is None:
        return "UN"
    vr = found[0]
    if " or " in vr:
        return "OW" if "OW" in vr else vr[:2]
    return vr


def is_private_creator(creator: str) -> bool:
    """Whether the dictionary has elements of a private creator."""
    return creator in PRIVATE


def private_vr_of(group: int, creator: str, offset: int) -> str | None:
    """Returns the VR of a private element, or None where no dictionary has it."""
    # A file can name any creator: only those of the dictionary are remembered.
    return _private_vr_of(group, creator, offset) if creator in PRIVATE else None


@lru_cache(maxsize=_CACHED)
def _private_vr_of(group: int, creator: str, offset: int) -> str | None:
    vr = private_vr(group << 16 | 0x1000 | offset, creator)
    return None if vr is None else vr[:2]


@lru_cache(maxsize=_CACHED)
def keyword_of(tag: int) -> str | None:
    """Returns the keyword of an element; all groups of a repeating range share theirs."""
    found = _public(tag)
    return found[4] or None if found is not None else None


def _public(tag: int) -> Public | None:
    # No private group is one of a range.
    return None if tag >> 16 & 1 else public(tag)
