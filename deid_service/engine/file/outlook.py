"""What the data set of a file says about it further on, looked at before it is walked.

Conditions of a profile depend on elements that stand behind those that they decide
about. They are few, and stand in the first groups: input is held until the last of them
has passed, which is looked for by the headers of elements alone.

Only the top level is looked at, in the order of its tags: an element that stands behind
one with a higher tag than all that are wanted is not seen.
"""

from __future__ import annotations

from collections.abc import Collection, Generator
from typing import Final

from deid_service.engine.encoding.headers import (
    DELIMITER_GROUP,
    HEADER,
    IMPLICIT_LITTLE,
    ITEM,
    ITEM_DELIMITER,
    LONG_HEADER,
    SEQUENCE_DELIMITER,
    UNDEFINED_LENGTH,
    Encoding,
)
from deid_service.engine.encoding.tags import PIXEL_DATA
from deid_service.engine.rules.facts import Facts

# What is looked at before others have their turn.
_BYTES_AT_ONCE: Final = 128 * 1024

# As many levels as the walk lets through.
_MAX_LEVELS: Final = 200


def look(
    buffer: bytes, encoding: Encoding, wanted: Collection[int], *, ended: bool
) -> Generator[None, None, Facts | None]:
    """Looks for elements at the top level, in steps of some ten milliseconds.

    Args:
        buffer: how the data set begins.
        encoding: of the data set.
        wanted: the tags of the elements.
        ended: no more input comes.

    Returns:
        In the end what is said; None where more of the input must be there for that.
    """
    last = max(wanted, default=0)
    position = 0
    size = len(buffer)
    found: dict[int, tuple[str, ...]] = {}
    # Sequences and items of undefined length that are open: their encodings, and whether
    # they are items. The others are passed by their lengths.
    opened: list[tuple[Encoding, bool]] = []
    top = encoding
    pause = _BYTES_AT_ONCE
    while size - position >= HEADER:
        if position > pause:
            yield None
            pause = position + _BYTES_AT_ONCE
        group, element, code, length = encoding.quad(buffer, position)
        tag = group << 16 | element
        start = position + HEADER
        if opened and group == DELIMITER_GROUP:
            length = encoding.long(buffer, position + HEADER - 4)[0]
            _, is_item = opened[-1]
            if tag == ITEM and not is_item:
                position = start if length == UNDEFINED_LENGTH else start + length
                if length == UNDEFINED_LENGTH:
                    opened.append((encoding, True))
            elif tag == (ITEM_DELIMITER if is_item else SEQUENCE_DELIMITER):
                opened.pop()
                position = start
            else:
                break
            encoding = opened[-1][0] if opened else top
            continue
        if not opened and (tag > last or group == DELIMITER_GROUP):
            return Facts(found)
        if opened and not opened[-1][1]:
            break
        vr = encoding.vr_names.get(code, "UN") if encoding.explicit else ""
        if not encoding.explicit:
            length = code | length << 16
        elif code not in encoding.short_codes:
            start = position + LONG_HEADER
            if start > size:
                break
            length = encoding.long(buffer, position + HEADER)[0]
        if length == UNDEFINED_LENGTH:
            if not opened and tag in wanted:
                found[tag] = ()
            if tag == PIXEL_DATA and not opened:
                return Facts(found)
            if tag == PIXEL_DATA or len(opened) >= _MAX_LEVELS:
                break
            encoding = IMPLICIT_LITTLE if vr == "UN" else encoding
            opened.append((encoding, False))
            position = start
            continue
        end = start + length
        if not opened and tag in wanted:
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
