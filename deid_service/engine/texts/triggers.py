"""Patterns that are tried only where one of their words stands in a text.

So most of a text is passed by one look at its words, however many patterns there are. The words
are those that a pattern is written with (see `said`, `sign`): what it finds has one of them.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cached_property
from typing import Final

# Without these some forms are none.
_SIGNS: Final = "@\\:.,^/&"

# Kana, Han and Hangul: written without spaces, so that a word of them stands within others.
_UNSPACED: Final = "\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_IS_UNSPACED: Final = re.compile(f"[{_UNSPACED}]")

# A letter of what is written with spaces: there a word ends at all others, and at `_`.
# Case says nothing of it, and asked for both cases its ranges take milliseconds to compile.
LETTER: Final = rf"(?-i:[^\W\d_{_UNSPACED}])"

# No letter or digit stands before what a pattern finds: of `_` nobody knows what it joins.
ALONE: Final = r"(?<![^\W_])"

_WORD: Final = re.compile(rf"{LETTER}+|[{_UNSPACED}{re.escape(_SIGNS)}]")
_WORD_IN_ASCII: Final = re.compile(rf"[a-z]+|[{re.escape(_SIGNS)}]")
_LETTERS: Final = re.compile(r"[^\W\d_]+")

_GREEK: Final = re.compile("[\u0370-\u03ff]")

# Letters that a pattern takes for each other where capitals say nothing, although each has a lower
# case of its own: YA\u015eINDA is Turkish, too.
_THE_SAME: Final = (("\u0131", "i"), ("\u017f", "s"), ("\u03c2", "\u03c3"), ("\u00b5", "\u03bc"))


def words_in(text: str) -> set[str]:
    """Returns the words of a text, in lower case, and the signs that patterns need.

    Of what is written without spaces nothing tells where a word ends: each letter is one.
    """
    if text.isascii():
        return set(_WORD_IN_ASCII.findall(text.lower()))
    return set(_WORD.findall(_lower(text)))


def _lower(text: str) -> str:
    """Returns a text in lower case, as patterns compare it."""
    lower = text.lower()
    for letter, other in _THE_SAME:
        if letter in lower:
            lower = lower.replace(letter, other)
    return lower


class Form:
    """A pattern, and words of which one stands in whatever it finds.

    With more of a pattern added before or behind it is another form of the same words. What is
    added has no alternatives but in parentheses: see `either`.

    Attributes:
        pattern: as it is written.
        words: in lower case, and signs.
    """

    __slots__ = ("pattern", "words")

    def __init__(self, pattern: str, words: frozenset[str]) -> None:
        """Takes both; see `said` and `sign` for what makes them of one."""
        self.pattern = pattern
        self.words = words

    def __radd__(self, before: str) -> Form:
        """Returns it with a pattern before it."""
        return Form(before + self.pattern, self.words)

    def __add__(self, behind: str) -> Form:
        """Returns it with a pattern behind it."""
        return Form(self.pattern + behind, self.words)


def said(words: str) -> Form:
    """Returns what finds any of some words, but not as parts of longer ones.

    Args:
        words: between spaces. Those that are written without spaces are found anywhere; Greek
            ones as they are in capitals, too.

    Raises:
        ValueError: one has more than letters, or a sign in it.
    """
    each = list(dict.fromkeys(one for word in words.split() for one in (word, _capitals(word))))
    if not all(_LETTERS.fullmatch(word) for word in each):
        raise ValueError(f"Not words of letters alone: {words}")
    unspaced = [word for word in each if _IS_UNSPACED.match(word)]
    patterns = list(unspaced)
    told_by = {word[0] for word in unspaced}
    if spaced := [word for word in each if word not in unspaced]:
        patterns.append(f"(?<!{LETTER})(?:{'|'.join(spaced)})(?!{LETTER})")
        told_by.update(map(_lower, spaced))
    return Form(f"(?:{'|'.join(patterns)})", frozenset(told_by))


def _capitals(word: str) -> str:
    """Returns a word as it is in capitals: Greek ones have no accent then."""
    if not _GREEK.match(word):
        return word
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", word).replace("\u0301", ""))


def sign(signs: str) -> Form:
    """Returns what finds any of some signs, wherever they stand.

    Raises:
        ValueError: texts are not searched for one of them.
    """
    if not set(signs) <= set(_SIGNS):
        raise ValueError(f"Not signs that are looked for: {signs}")
    return Form(f"[{re.escape(signs)}]", frozenset(signs))


def either(*forms: Form) -> Form:
    """Returns what finds each of some forms, the first of them first."""
    words = frozenset[str]().union(*(form.words for form in forms))
    return Form(f"(?:{'|'.join(form.pattern for form in forms)})", words)


class Forms:
    """Patterns, in their order: forms, and such as are tried in any text.

    Attributes:
        written: all of them.
    """

    def __init__(self, *forms: Form | str) -> None:
        """Takes them; capitals say nothing, unless a pattern says so itself."""
        self.written: Final = forms
        # Each from when it is first tried: few profiles search any text, and most texts try few.
        self._compiled: list[re.Pattern[str] | None] = [None] * len(forms)
        self._anywhere = [at for at, form in enumerate(forms) if isinstance(form, str)]
        self._by_word: dict[str, list[int]] = {}
        for at, form in enumerate(forms):
            for word in () if isinstance(form, str) else form.words:
                self._by_word.setdefault(word, []).append(at)
        self._words = frozenset(self._by_word)

    def of(self, words: set[str]) -> list[re.Pattern[str]]:
        """Returns the patterns that may find something in a text of some words."""
        if self._words.isdisjoint(words):
            return self._in_any_text
        told = set(self._anywhere)
        for word in self._words & words:
            told.update(self._by_word[word])
        compiled = self._compiled
        return [compiled[at] or self._compile(at) for at in sorted(told)]

    @cached_property
    def _in_any_text(self) -> list[re.Pattern[str]]:
        return [self._compiled[at] or self._compile(at) for at in self._anywhere]

    def _compile(self, at: int) -> re.Pattern[str]:
        form = self.written[at]
        written = form if isinstance(form, str) else form.pattern
        pattern = self._compiled[at] = re.compile(written, re.IGNORECASE)
        return pattern
