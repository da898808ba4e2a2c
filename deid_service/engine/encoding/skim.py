"""The short way through sequences and items in which there is nothing to do."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final

from deid_service.engine.encoding.dictionary import vr_of
from deid_service.engine.encoding.headers import (
    DELIMITER_GROUP,
    EXPLICIT_LITTLE,
    HEADER,
    ITEM,
    ITEM_DELIMITER,
    LONG_HEADER,
    SEQUENCE_DELIMITER,
    UNDEFINED_LENGTH,
    Encoding,
)
from deid_service.engine.encoding.tags import PIXEL_DATA

_ITEM: Final = ITEM & 0xFFFF
_ITEM_END: Final = ITEM_DELIMITER & 0xFFFF
_SEQUENCE_END: Final = SEQUENCE_DELIMITER & 0xFFFF

# The end of a level that a delimiter ends.
_DELIMITED: Final = -1

_NOTHING: Final[dict[int, None]] = {}


def skim_sequence(
    buffer: bytes, position: int, encoding: Encoding, max_levels: int, reach: int = sys.maxsize
) -> int:
    """Finds the end of a sequence of undefined length that no rule reaches into.

    Args:
        buffer: the input.
        position: of the first item.
        encoding: of the items.
        max_levels: how many sequences and items may be open at once.
        reach: how many bytes are looked at.

    Returns:
        The position behind the sequence delimiter; 0 where the sequence is not
        all there, goes on beyond the reach, or is not as it should be: the walk
        then goes the long way, and says what is wrong.
    """
    limits = (max_levels, len(buffer), reach)
    return _skim(buffer, position, encoding, _DELIMITED, False, None, *limits)


def skim_item(
    buffer: bytes,
    position: int,
    end: int | None,
    encoding: Encoding,
    lookup: Callable[[int], object],
    acts_on: Callable[[int, str], bool],
    max_levels: int,
    max_length: int,
    reach: int,
) -> int:
    """Finds the end of an item, if nothing is to be done to any element inside of it.

    Args:
        buffer: the input.
        position: of the first element.
        end: of the item, or None where a delimiter ends it.
        encoding: of the item.
        lookup: what is done to an element, at this depth and below: None where that is
            nothing, whatever its VR.
        acts_on: asked of an element and its VR where it is not None.
        max_levels: how many sequences and items may be open at once.
        max_length: of a sequence or item inside, in bytes.
        reach: how many bytes are looked at.

    Returns:
        The position behind the item, or 0 as in `skim_sequence`, and where
        there is something to do.
    """
    if end is None:
        end = _DELIMITED
    elif end > len(buffer):
        return 0
    limits = (max_levels, max_length, reach)
    return _skim(buffer, position, encoding, end, True, lookup, *limits, acts_on)


# Long for the same reason as `Walk._read_elements`: a call for each element costs a tenth.
def _skim(
    buffer: bytes,
    position: int,
    encoding: Encoding,
    end: int,
    in_item: bool,
    lookup: Callable[[int], object] | None,
    max_levels: int,
    max_length: int,
    reach: int,
    acts_on: Callable[[int, str], bool] | None = None,
) -> int:
    quad = encoding.quad
    long = encoding.long
    short = encoding.short_codes
    explicit = encoding.explicit
    inside = lookup is not None
    op_of = lookup or _NOTHING.get
    size = min(len(buffer), position + reach)
    last = size - HEADER
    # The levels around the innermost one, each with its end and whether it is
    # an item.
    around: list[tuple[int, bool]] = []
    # Whether the first element of an item comes.
    is_first = in_item
    while True:
        if position == end:
            if not around:
                return position
            end, in_item = around.pop()
            continue
        if position > last or 0 < end < position:
            return 0
        group, element, code, length = quad(buffer, position)
        opens = False
        header = HEADER
        if is_first:
            is_first = False
            if not explicit and code in EXPLICIT_LITTLE.vr_names:
                # It may be in explicit VR: the walk tells.
                return 0
        if in_item:
            if group == DELIMITER_GROUP:
                if element != _ITEM_END or end != _DELIMITED:
                    return 0
                position += HEADER
                if not around:
                    return position
                end, in_item = around.pop()
                continue
            tag = group << 16 | element
            if op_of(tag) is not None:
                known = encoding.vr_names.get(code) if explicit else vr_of(tag)
                if acts_on is None or known is None or known == "UN" or acts_on(tag, known):
                    return 0
            if code in short:
                position += HEADER + length
                continue
            if explicit:
                vr = encoding.vr_names.get(code)
                header = LONG_HEADER
                if vr is None or position + header > size:
                    return 0
            else:
                vr = vr_of(tag)
            length = long(buffer, position + header - 4)[0]
            if length == UNDEFINED_LENGTH:
                # Of the rest (UN, pixel data) the walk knows more.
                if (explicit and vr != "SQ") or tag == PIXEL_DATA:
                    return 0
                opens = True
            elif inside and vr == "SQ":
                opens = True
            elif inside and vr == "UN" and length:
                # It may hold items, or be known to.
                return 0
        else:
            if group != DELIMITER_GROUP:
                return 0
            if element == _SEQUENCE_END and end == _DELIMITED:
                position += HEADER
                if not around:
                    return position
                end, in_item = around.pop()
                continue
            if element != _ITEM:
                return 0
            length = long(buffer, position + 4)[0]
            opens = inside or length == UNDEFINED_LENGTH
        position += header
        if not opens:
            position += length
            continue
        around.append((end, in_item))
        if len(around) >= max_levels or (length != UNDEFINED_LENGTH and length > max_length):
            return 0
        if length == UNDEFINED_LENGTH:
            end = _DELIMITED
        elif 0 < end < position + length:
            return 0
        else:
            end = position + length
        in_item = is_first = not in_item
