"""Dummies: values that say nothing, and that a VR allows (PS3.5 table 6.2-1)."""

from __future__ import annotations

from typing import Final

from deid_service.engine.encoding.numbers import NUMBER_SIZES
from deid_service.engine.encoding.values import NUMBER_VRS, OPAQUE_VRS

_WORD: Final = "ANONYMIZED"

# Of the VRs that are not here it is the word.
_TEXTS: Final = {
    "AS": "000Y",
    "AT": "00000000",
    "DA": "19000101",
    "DS": "0",
    "DT": "19000101000000",
    "IS": "0",
    "TM": "000000",
    "UR": "about:blank",
    **dict.fromkeys(NUMBER_VRS - {"AT"}, "0"),
}

# How many bytes one value has, where it is no number.
_SIZES: Final = {"OD": 8, "OF": 4, "OL": 4, "OV": 8, "OW": 2} | NUMBER_SIZES

# What is longer becomes one value: nobody needs so many zeros.
_MAX_ZEROS: Final = 1024

# Values of these are not read for a dummy, however long they are.
WITHOUT_TEXT: Final = OPAQUE_VRS | NUMBER_VRS


def dummy_text(vr: str) -> str:
    """Returns the dummy of a VR that holds text or numbers, but no UID."""
    return _TEXTS.get(vr, _WORD)


def dummy_bytes(vr: str, length: int) -> bytes:
    """Returns what stands for so many bytes of a VR without text, as zeros.

    There are as many where they may be values of the VR, and not too many; else there
    is one value.
    """
    size = _SIZES.get(vr, 2)
    return bytes(length if length <= _MAX_ZEROS and length % max(size, 2) == 0 else max(size, 2))
