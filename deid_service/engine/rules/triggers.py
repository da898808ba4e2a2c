"""Patterns that are tried only where one of their words stands in a text.

So most of a text is passed by one look at its words, however many patterns there are. The words
are those that a pattern is written with (see `said`, `sign`): what it finds has one of them.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import Final

# Without these some forms are none. What counts years in Chinese, Japanese and Korean stands
# within words, as these are written without spaces.
_SIGNS: Final = "@\\:.,^/歳才岁歲세살"
_WORD: Final = re.compile(rf"[^\W\d_{re.escape(_SIGNS)}]+|[{re.escape(_SIGNS)}]")

# A letter.
_LETTER: Final = r"[^\W\d_]"


def words_in(text: str) -> set[str]:
    """Returns the words of a text, in lower case, and the signs that patterns need."""
    return set(_WORD.findall(text.lower()))


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
    """Returns what finds any of some words, between spaces, but not as parts of longer ones.

    Raises:
        ValueError: one has more than letters, or a sign in it.
    """
    each = words.split()
    if not all(_WORD.fullmatch(word) and word not in _SIGNS for word in each):
        raise ValueError(f"Not words of letters alone: {words}")
    pattern = f"(?<!{_LETTER})(?:{'|'.join(each)})(?!{_LETTER})"
    return Form(pattern, frozenset(word.lower() for word in each))


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
