"""Numbers and days behind a word that says of what they are, as patterns.

The word says nothing of anybody, and stays; what is in the groups goes. This is for texts that are
cleaned: elsewhere the same may be a size, a version or a step of a protocol.
"""

from __future__ import annotations

from typing import Final

from deid_service.engine.texts.triggers import ALONE, Forms, either, said

# A day without its year, in either order; no fraction of what was taken, no size.
_MONTH: Final = r"(?:0?[1-9]|1[0-2])"
_DAY: Final = r"(?:0?[1-9]|[12]\d|3[01])"
_SHORT_DAY: Final = (
    rf"(?!(?:1/[2-4]|2/3|3/4) [a-z])((?:{_MONTH}/{_DAY}|{_DAY}/{_MONTH}))"
    r"(?![\d/]|\.\d| ?%| ?[cm]m(?![^\W_]))"
)

# Rooms of wards, with the bed; and what is no room behind the same words.
_ROOM: Final = (
    r"([1-9]\d{2,3}-?[a-z]?|[1-9]\d?[nsew]-?\d{2,3}[a-d]?)(?![^\W_]|[.,]\d)"
    r"(?! ?(?:x|by|matrix|kvp?|ma|mas|ms|mm|cm|ml|gy|days?|hours?|min|minutes|patients|views?)\b)"
)

LABELLED: Final = Forms(
    # Days on which something began or was.
    either(
        said("onset") + " of [a-z]{2,20}",
        said("began begun started starting onset injury injured doi accident surgery"),
        said("last") + " (?:seen|known|dose|chemo|period|visit)(?: well)?",
    )
    + rf"(?: on)?:? {_SHORT_DAY}",
    # Where somebody lies.
    either(said("bedside ward floor icu micu sicu ccu"), said("pt patient") + " (?:is )?in")
    + rf"[:,]? {_ROOM}",
    r"(?<![^\W_])(?<![-.,/])([1-9]\d{2,3}[a-z]?),? " + said("bed") + r" ([a-z\d])(?![^\W_])",
    # Of a specimen, which a pathologist has: S13-9984.
    said("path pathology cytology histology histopathology histo specimen biopsy")
    + r"(?: (?:no|nr|number|report))?[ .:#-]{0,3}"
    + r"([a-z]{0,3}-?\d\d-[a-z]{0,2}-?\d{3,6}[a-z]?)(?![^\W_]|-\d)",
    "(?-i:" + ALONE + "(" + said("NS SP SS SU S") + r"\d\d-\d{4,6}))(?![^\W_]|-\d)",
)
