"""What tells somebody by its form alone: e-mail addresses, URLs, phone numbers, addresses.

Nobody needs to be known for that. In texts that are cleaned more goes by its form than in
those that stay: in these stand numbers of protocols, sizes and versions, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import Final

from deid_service.engine.texts.called import CALLED
from deid_service.engine.texts.forms import FIRST_UNSPACED
from deid_service.engine.texts.labelled import LABELLED, LABELLED_WITH_DIGITS
from deid_service.engine.texts.signs import (
    ANNOUNCED,
    BEHIND_DAYS,
    DAYS,
    IN_ANY_TEXT,
    IN_CLEANED,
    LISTED,
    NUMBERS,
    STATES,
    WITH_DIGITS_IN_ANY_TEXT,
    WITH_DIGITS_IN_CLEANED,
)
from deid_service.engine.texts.triggers import LETTER, Forms, words_in

_DIGIT: Final = re.compile(r"\d")

# Both at once: which patterns may find something is asked of each text.
_CALLED_IN_CLEANED: Final = Forms(*CALLED.written, *LABELLED.written)

# Letters of a word in a script that leaves no spaces.
_MAX_UNSPACED: Final = 5

# Digits in groups, seven and more together; where a text stays, as nothing else is written.
_PHONE: Final = re.compile(r"\+?\d[\d()/ -]{5,40}\d")
_CERTAIN_PHONE: Final = re.compile(
    r"(?<![^\W_])(?<!\+)\+\d{1,3}[ ()/.-]{1,2}\d[\d ()/.-]{5,20}\d"
    r"|\(0?\d{2,5}\) ?\d{3,4}[ -]?\d{3,5}"
    r"|(?<![\d.-])(?:1[-. ])?\d{3}([-.])\d{3}\1\d{4}(?![\d-]|\.\d)"
    r"|\b(?:tel|telephone|telefon|telefono|teléfono|telefone|tél|téléphone|tlf|tfno|phone|ph|fax|cell"
    r"|mobile|mobil|handy|pager|call|callback|puh|тел|τηλ|טל|هاتف|تلفن|โทร|電話|电话|전화|đt)"
    rf"(?!{LETTER})[.:_]? {{0,2}}[+(]?\d[\d ()/.-]{{5,20}}\d",
    re.IGNORECASE,
)
_MIN_PHONE: Final = 7

# Nothing but a number, with no more than two letters before it and one behind: of a state, an
# insurance, an archive. Versions have points, and a day, which they are called after, too, is none.
_NUMBER_ALONE: Final = re.compile(
    r"(?!(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[0-2]\d(?:[0-5]\d){1,2})?\Z)"
    r"(?:[A-Z]{1,2})?(?!(\d)\1*\Z)(?:\d{8,18}[A-Z]?|(?<=[A-Z])\d{7}[A-Z]|\d{7}[A-W][A-IW])"
    r"|[1-9]\d?(?:\.\d{3}){2}(?:-[\dK])?"
)
_NUMBER_IN_GROUPS: Final = re.compile(r"(\d{3}([ -])\d{3}\2\d{3}\d?)")
_MAX_NUMBER: Final = 21

# A number among words, with nothing joined to it, as people are given one; no day, and not round.
_AMONG_WORDS: Final = re.compile(
    r"(?:([^\W\d_]+)[. :#]{0,2})?(?<![^\s(\[,;])"
    r"((?!(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?!\d))"
    r"(?:\d{7,10}|[A-Z]{1,3}\d{6,10})(?<!000))(?![^\s)\],;])"
)
_LONG: Final = re.compile(r"\d{6}")
# Longer texts are those of machines, which say all of themselves; behind these it is a thing's.
_MAX_AMONG_WORDS: Final = 256
_OF_THINGS: Final = frozenset(
    ["n", "no", "p", "pn", "s", "sn", "part", "serial", "model", "rev", "revision", "ver", "v",
     "version", "build", "release", "sw", "fw", "kit", "coil", "type", "voxels", "pixels"]
)  # fmt: skip
# Digests of something, in hexadecimal digits.
_DIGEST: Final = re.compile("(?:[0-9a-f]+|[0-9A-F]+)")
_DIGESTS: Final = frozenset({32, 40, 64})
# What stands in fourth place of both.
_FOURTH: Final = frozenset("0123456789 -")
# Of nine digits with a check digit, and of ten: of Canada, Israel, the Netherlands, Portugal and
# the National Health Service. The last is what makes the sum a multiple.
_WEIGHTS: Final = {
    9: ((9, 8, 7, 6, 5, 4, 3, 2, -1), (9, 8, 7, 6, 5, 4, 3, 2, 1)),
    10: ((10, 9, 8, 7, 6, 5, 4, 3, 2, 1),),
}

# PS3.5 9.1. Those of the standard say what something is.
_UID: Final = re.compile(
    r"(?<![\d.])(?!1\.2\.840\.10008\.)(?=[\d.]{16})[0-2](?:\.\d{1,39}){4,31}(?!\d|\.\d)"
)


def spans(
    text: str, *, with_uids: bool, harmless: AbstractSet[str] = frozenset()
) -> Iterator[tuple[int, int]]:
    """Yields where a text that stays tells somebody by its form.

    Args:
        text: one value.
        with_uids: UIDs do, too: elsewhere they become others.
        harmless: words that say nothing by themselves; none where they are not known.
    """
    words = words_in(text)
    if harmless:
        yield from _of_people(text, words, harmless)
        for pattern in CALLED.of(words):
            for found in pattern.finditer(text):
                yield from _groups(found)
    for pattern in IN_ANY_TEXT.of(words):
        yield from (found.span() for found in pattern.finditer(text))
    if _DIGIT.search(text) is None:
        return
    for pattern in WITH_DIGITS_IN_ANY_TEXT.of(words):
        yield from (found.span() for found in pattern.finditer(text))
    if harmless and len(text) <= _MAX_AMONG_WORDS and "=" not in text and _LONG.search(text):
        yield from _among_words(text)
    yield from (
        found.span() for found in _CERTAIN_PHONE.finditer(text) if _has_digits_of_phone(found[0])
    )
    if with_uids:
        yield from (found.span() for found in _UID.finditer(text))


def is_of_somebody(text: str) -> bool:
    """Whether a word that is no text has a number as states give them, or an address."""
    if _DIGIT.search(text) is None:
        return False
    return any(pattern.search(text) for pattern in STATES.of(words_in(text)))


def is_long_number(text: str) -> bool:
    """Whether a value that stays is nothing but a number as people are given one.

    In eight digits and more, or with a check digit where it stands in groups, as sizes do.
    """
    text = text.strip()
    if len(text) in _DIGESTS and _DIGEST.fullmatch(text):
        return True
    # Most texts are passed here.
    if len(text) > _MAX_NUMBER or text[3:4] not in _FOURTH:
        return False
    if _NUMBER_ALONE.fullmatch(text):
        return True
    found = _NUMBER_IN_GROUPS.fullmatch(text)
    return found is not None and _is_checked([int(each) for each in found[1] if each.isdecimal()])


def _is_checked(digits: list[int]) -> bool:
    """Whether the last of nine or ten digits is one that the others ask for."""
    for weights in _WEIGHTS[len(digits)]:
        products = (digit * weight for digit, weight in zip(digits, weights, strict=True))
        if sum(products) % 11 == 0:
            return True
    doubled = (digit * (1 + at % 2) for at, digit in enumerate(digits))
    return len(digits) % 2 == 1 and sum(each // 10 + each % 10 for each in doubled) % 10 == 0


def without(text: str, instead: str, of_days: str = "") -> str:
    """Returns a text that is cleaned, with something else for what tells somebody by its form.

    Args:
        text: one value.
        instead: stands for what is gone.
        of_days: stands for days, ages and numbers that are labelled; the same unless given.
    """
    words = words_in(text)
    for pattern in IN_CLEANED.of(words):
        text = pattern.sub(instead, text)
    for pattern in _CALLED_IN_CLEANED.of(words):
        text = pattern.sub(lambda found: _without_groups(found, instead), text)
    if _DIGIT.search(text) is None:
        return text
    text = _UID.sub(instead, text)
    for pattern in LABELLED_WITH_DIGITS.of(words):
        text = pattern.sub(lambda found: _without_groups(found, of_days or instead), text)
    for pattern in WITH_DIGITS_IN_CLEANED.of(words):
        text = pattern.sub(instead, text)
    for pattern in DAYS.of(words):
        text = pattern.sub(of_days or instead, text)
    for pattern in BEHIND_DAYS.of(words):
        text = pattern.sub(instead, text)
    text = _CERTAIN_PHONE.sub(
        lambda found: instead if _has_digits_of_phone(found[0]) else found[0], text
    )
    text = _PHONE.sub(lambda found: instead if _is_phone(found[0]) else found[0], text)
    for pattern in NUMBERS.of(words):
        text = pattern.sub(instead, text)
    return text


def _of_people(text: str, words: set[str], harmless: AbstractSet[str]) -> Iterator[tuple[int, int]]:
    """Yields words that nobody knows, and that stand as names do."""
    for pattern in ANNOUNCED.of(words):
        for found in pattern.finditer(text):
            if found[0].lower() not in harmless:
                for group, name in enumerate(found.groups(), 1):
                    known = _known_before(name or "", harmless)
                    rest = (name or "")[known:].lower()
                    if rest and rest not in harmless:
                        yield found.start(group) + known, found.end(group)
    for pattern in LISTED.of(words):
        for found in pattern.finditer(text):
            if not any(name.lower() in harmless for name in found.groups()):
                yield found.span()


def _among_words(text: str) -> Iterator[tuple[int, int]]:
    """Yields numbers among words, of which none says that they are those of a thing."""
    for found in _AMONG_WORDS.finditer(text):
        start, end = found.span(2)
        has_words = any(map(str.isalpha, text[:start])) or any(map(str.isalpha, text[end:]))
        if has_words and (found[1] or "").lower() not in _OF_THINGS:
            yield start, end


def _groups(found: re.Match[str]) -> Iterator[tuple[int, int]]:
    """Yields where the groups of a pattern are that found something."""
    yield from (span for span in found.regs[1:] if span[0] >= 0)


def _without_groups(found: re.Match[str], instead: str) -> str:
    """Returns what a pattern found, with something else for each of its groups."""
    kept, reached = "", found.start()
    for start, end in _groups(found):
        kept, reached = kept + found.string[reached:start] + instead, end
    return kept + found.string[reached : found.end()]


def _known_before(name: str, harmless: AbstractSet[str]) -> int:
    """Returns how many letters of words stand before a name that nothing separates from it."""
    at = 0
    while name[at : at + 1] >= FIRST_UNSPACED:
        ends = range(min(at + _MAX_UNSPACED, len(name)), at + 1, -1)
        end = next((end for end in ends if name[at:end] in harmless), at)
        if end == at:
            break
        at = end
    return at


def _has_digits_of_phone(text: str) -> bool:
    return sum(char.isdecimal() for char in text) >= _MIN_PHONE


def _is_phone(text: str) -> bool:
    """Whether somebody may be called by a number: b-values are in steps."""
    groups = re.findall(r"\d+", text)
    return _has_digits_of_phone(text) and any(
        int(group) % 50 or group.startswith("00") for group in groups
    )
