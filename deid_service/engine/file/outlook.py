"""What the data set of a file says about it further on, looked at before it is walked.

Conditions of a profile depend on elements that stand behind those that they decide
about. They are few, and stand in the first groups: input is held until the last of them
has passed, which is looked for by the headers of elements alone.

Only the top level is looked at, in the order of its tags: an element that stands behind
one with a higher tag than all that are wanted is not seen.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from deid_service.engine.encoding.headers import (
    DELIMITER_GROUP,
    HEADER,
    IMPLICIT_LITTLE,
    LONG_HEADER,
    UNDEFINED_LENGTH,
    Encoding,
)
from deid_service.engine.encoding.skim import skim_sequence
from deid_service.engine.encoding.tags import PIXEL_DATA
from deid_service.engine.rules.facts import Facts

# As many levels as the walk lets through.
_MAX_LEVELS: Final = 200


def look(
    buffer: bytes, encoding: Encoding, wanted: Collection[int], *, ended: bool
) -> Facts | None:
    """Looks for elements at the top level.

    Args:
        buffer: how the data set begins.
        encoding: of the data set.
        wanted: the tags of the elements.
        ended: no more input comes.

    Returns:
        What is said; None where more of the input must be there for that.
    """
    last = max(wanted, default=0)
    position = 0
    size = len(buffer)
    found: dict[int, tuple[str, ...]] = {}
    while size - position >= HEADER:
        group, element, code, length = encoding.quad(buffer, position)
        tag = group << 16 | element
        if tag > last or group == DELIMITER_GROUP:
            return Facts(found)
        vr = encoding.vr_names.get(code, "UN") if encoding.explicit else ""
        start = position + HEADER
        if not encoding.explicit:
            length = code | length << 16
        elif code not in encoding.short_codes:
            start = position + LONG_HEADER
            if start > size:
                break
            length = encoding.long(buffer, position + HEADER)[0]
        if length == UNDEFINED_LENGTH:
            if tag in wanted:
                found[tag] = ()
            if tag == PIXEL_DATA:
                return Facts(found)
            inside = IMPLICIT_LITTLE if vr == "UN" else encoding
            end = skim_sequence(buffer, start, inside, _MAX_LEVELS)
            if not end:
                break
            position = end
            continue
        end = start + length
        if tag in wanted:
            if end > size and tag != PIXEL_DATA:
                break
            found[tag] = _values(buffer[start:end]) if tag != PIXEL_DATA else ()
            if tag == last:
                return Facts(found)
        position = end
    return Facts(found) if ended else None


def _values(value: bytes) -> tuple[str, ...]:
    """Returns the values of a text; what is asked for is in the default repertoire."""
    text = value.rstrip(b" \0").decode("latin-1")
    return tuple(each.strip(" ") for each in text.split("\\")) if text else ()
