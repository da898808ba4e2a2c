"""Numbers and days behind a word that says of what they are, as patterns.

The word says nothing of anybody, and stays; what is in the groups goes. This is for texts that are
cleaned: elsewhere the same may be a size, a version or a step of a protocol.
"""

from __future__ import annotations

from typing import Final

from deid_service.engine.texts.triggers import Forms, either, said

# A day without its year, in either order; no fraction of what was taken, no size.
_MONTH: Final = r"(?:0?[1-9]|1[0-2])"
_DAY: Final = r"(?:0?[1-9]|[12]\d|3[01])"
_SHORT_DAY: Final = (
    rf"(?!(?:1/[2-4]|2/3|3/4) [a-z])((?:{_MONTH}/{_DAY}|{_DAY}/{_MONTH}))"
    r"(?![\d/]|\.\d| ?%| ?[cm]m(?![^\W_]))"
)

LABELLED: Final = Forms(
    # Days on which something began or was.
    either(
        said("onset") + " of [a-z]{2,20}",
        said("began begun started starting onset injury injured doi accident surgery"),
        said("last") + " (?:seen|known|dose|chemo|period|visit)(?: well)?",
    )
    + rf"(?: on)?:? {_SHORT_DAY}",
)
