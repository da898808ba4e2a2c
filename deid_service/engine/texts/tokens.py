"""Words and runs of digits of a text, and how they stand beside each other."""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet
from typing import Final, NamedTuple

from deid_service.engine.texts.forms import (
    APOSTROPHES,
    FIRST_UNSPACED,
    LONG_NUMBER,
    MIN_NAME,
    MIN_TOUCHED,
)

# How much may stand between two tokens of one name.
MAX_BETWEEN: Final = 4

# Titles that are kinds of images, in capitals behind another word: CAD SR.
_OF_IMAGES: Final = frozenset(["dr", "mr", "ms", "sr"])


class Token(NamedTuple):
    """A word or a run of digits.

    Attributes:
        before: what stands between it and the one before.
        text: without apostrophes.
        touches: a letter or digit that is none of it stands at it.
        is_in_capitals: it is written in capitals.
    """

    before: str
    text: str
    touches: bool
    is_in_capitals: bool


def tokens_of(text: str, found: list[re.Match[str]], written: str = "") -> list[Token]:
    """Returns what was found in a text as tokens; `written` is the text in its own case."""
    tokens: list[Token] = []
    for at, each in enumerate(found):
        start = each.start()
        before = text[found[at - 1].end() : start] if at else ""
        word = each[0].translate(APOSTROPHES)
        is_in_capitals = written[start : each.end()].isupper()
        tokens.append(Token(before, word, touches(text, each), is_in_capitals))
    return tokens


def is_of_images(token: Token) -> bool:
    """Whether a title is a kind of images where it stands in capitals: KNEE MR."""
    return token.is_in_capitals and token.text in _OF_IMAGES


def touches(text: str, token: re.Match[str]) -> bool:
    """Whether a letter or digit that is none of it stands at a token."""
    start, end = token.span()
    before, behind = text[max(start - 1, 0) : start], text[end : end + 1]
    return (before.isalnum() and not _are_apart(before, text[start])) or (
        behind.isalnum() and not _are_apart(text[end - 1], behind)
    )


def touches_letter(text: str, token: re.Match[str]) -> bool:
    """Whether a letter that is none of it stands at a token."""
    start, end = token.span()
    return (text[max(start - 1, 0) : start] + text[end : end + 1]).isalpha()


def is_of_a_code(tokens: list[Token], harmless: AbstractSet[str]) -> bool:
    """Whether the first of two tokens is a letter at the second: C/A/P, V/Q, T2, C-spine."""
    if len(tokens) == 1 or len(tokens[0].text) > 1:
        return False
    between, word = tokens[1].before, tokens[1].text
    return between in {"", "/", "&"} or (
        between == "-" and len(word) >= MIN_NAME and word in harmless
    )


def ends_a_code(text: str, at: int) -> bool:
    """Whether a letter is no initial by what stands before it: that of W/O, mm2/s, B30f."""
    return at > 0 and (text[at - 1] == "/" or text[at - 1].isdecimal())


def _are_apart(one: str, other: str) -> bool:
    """Whether one of two letters is of what is written without spaces, and the other is not."""
    return (one < FIRST_UNSPACED) != (other < FIRST_UNSPACED) and (one + other).isalpha()


def is_before(years: AbstractSet[str], text: str, found: list[re.Match[str]], at: int) -> bool:
    """Whether one of some years stands at a token, and nothing else: JD1970."""
    if at + 1 == len(found) or found[at + 1][0] not in years:
        return False
    start, end = found[at].start(), found[at + 1].end()
    is_at = found[at].end() == found[at + 1].start()
    return is_at and not (text[max(start - 1, 0) : start] + text[end : end + 1]).isalnum()


def stands_at(words: AbstractSet[str], text: str, found: list[re.Match[str]], at: int) -> bool:
    """Whether a token stands at one of some words, without anything between, and ends there."""
    start, end = found[at].span()
    is_at = at > 0 and found[at - 1].end() == start and not text[end : end + 1].isalnum()
    return is_at and found[at - 1][0] in words


def literally(tokens: list[Token]) -> str:
    """Returns tokens with what stands between them; nothing where more stands at them."""
    if tokens[0].touches and len(tokens) == 1:
        return ""
    return tokens[0].text + "".join(token.before + token.text for token in tokens[1:])


def are_one(tokens: list[Token]) -> bool:
    """Whether words stand together, and no short one is a part of another."""
    if any(len(token.before) > MAX_BETWEEN for token in tokens[1:]):
        return False
    least = MIN_TOUCHED if tokens[0].text.isalpha() else LONG_NUMBER
    is_short = len(tokens) == 1 and len(tokens[0].text) < least
    return not (is_short and tokens[0].touches)
