"""Guesses which known word was meant by an unknown one."""

from __future__ import annotations

from collections import Counter
from difflib import get_close_matches
from functools import cache, lru_cache
from heapq import nlargest
from typing import TYPE_CHECKING

from profile_service.language.dictionary import all_keywords, known_creators

if TYPE_CHECKING:
    from collections.abc import Iterable

# Candidates that share the most groups of letters; the best guess is among them.
_CANDIDATES = 12

# Votes are counted until there are so many.
_MAX_VOTES = 600

# Below this likeness (difflib's ratio) a guess would rather mislead.
_ENOUGH = 0.7

# The same for private creators, of which some are alike: a letter or two of a dozen.
_ENOUGH_FOR_CREATORS = 0.9


def nearest(word: str, known: Iterable[str]) -> str:
    """Finds the most similar of a few words; the empty text when none is similar."""
    by_lower = {candidate.lower(): candidate for candidate in known}
    found = get_close_matches(word.lower()[:64], by_lower, n=1, cutoff=_ENOUGH)
    return by_lower[found[0]] if found else ""


def nearest_keyword(word: str) -> str:
    """Finds the most similar keyword of the DICOM dictionary, or the empty text.

    Comparing with each of some 5,000 keywords takes too long for a text full of
    slips, so only those that share groups of three letters are compared.
    """
    votes: Counter[str] = Counter()
    index = _keywords_by_trigram()
    # The rare groups tell most; that of "Sequence" are in a thousand keywords.
    groups = sorted((index.get(trigram, ()) for trigram in _trigrams(word[:64])), key=len)
    counted = 0
    for keywords in groups:
        if counted > _MAX_VOTES:
            break
        votes.update(keywords)
        counted += len(keywords)
    # The number shared says little about a long keyword: it is put in relation.
    ranked = nlargest(
        _CANDIDATES, votes, key=lambda keyword: votes[keyword] / (len(keyword) + len(word))
    )
    return nearest(word, ranked)


@lru_cache(maxsize=1024)
def nearest_creator(creator: str) -> str:
    """Finds the known private creator that was probably meant by an unknown one.

    Creators of a maker differ in their numbers, and often in a word: only what differs
    in spaces, signs and letter case, or in a letter or two of a long name, is a slip.

    Returns:
        The known one, or the empty text where it is known or like none.
    """
    if creator in known_creators():
        return ""
    letters = _letters(creator)
    digits = _digits(creator)
    alike = {_letters(known): known for known in known_creators() if _digits(known) == digits}
    if letters in alike:
        return alike[letters]
    close = [known for known in alike if known[:1] == letters[:1]]
    found = get_close_matches(letters, close, n=1, cutoff=_ENOUGH_FOR_CREATORS)
    return alike[found[0]] if found else ""


def _letters(creator: str) -> str:
    return "".join(char for char in creator.lower() if char.isalnum())


def _digits(creator: str) -> str:
    return "".join(char for char in creator if char.isdigit())


@cache
def _keywords_by_trigram() -> dict[str, list[str]]:
    index: dict[str, list[str]] = {}
    for keyword in all_keywords():
        for trigram in _trigrams(keyword):
            index.setdefault(trigram, []).append(keyword)
    return index


def _trigrams(word: str) -> set[str]:
    padded = f"^{word.lower()}$"
    return {padded[start : start + 3] for start in range(len(padded) - 2)}
