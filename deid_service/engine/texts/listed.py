"""What a site lists: words and names that no text says, whoever a file is about.

Lists may be long, and are the same for all files of a stream: their forms are made once, and
a text is looked through at the same cost whether a list has ten words or thousands.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Final

from deid_service.engine.texts.forms import (
    FIRST_UNSPACED,
    MAX_WORDS_OF_FORM,
    MIN_NAME,
    forms_of_name,
    long_vowels,
    with_prefixes,
    words_of,
)
from deid_service.engine.texts.spelling import spellings
from profile_service.language.model import NAMES, Column

WORD: Final = re.compile(r"[^\W_]+")

_Form = tuple[str, ...]

# What follows a form of one word.
_ALONE: Final = frozenset({""})


class Listed:
    """The forms of what is listed.

    Attributes:
        forms: in the words of each.
        follow: what may follow the first word of a form; "" where it is a form by itself.
        shortest: how many letters the least of an own form of the profile has, `MIN_NAME` at
            the most.
        words: of lists: those that are kept in no cleaned text, whatever they stand in.
        has_lists: the lists that the profile names are in it.
    """

    def __init__(
        self,
        own: Collection[str] = (),
        lists: Mapping[Column, Iterable[str]] | None = None,
        harmless: AbstractSet[str] = frozenset(),
    ) -> None:
        """Makes the forms; of ten thousand names in a second.

        Args:
            own: words and phrases that stand in the profile.
            lists: what lists of the site say, by their columns; None where they are not there.
            harmless: words that say nothing by themselves.
        """
        self._harmless = harmless
        self.has_lists = lists is not None
        self.shortest = min(MIN_NAME, *map(len, own)) if own else MIN_NAME
        listed: set[_Form] = set()
        self._beside: dict[str, AbstractSet[str]] = {}
        for column, texts in (lists or {}).items():
            for text in texts:
                if column.name == NAMES:
                    for group in text.split("="):
                        listed.update(self._forms_of_name(group))
                else:
                    listed.update(_forms_of(text))
        # As they stand, they are looked for however short they are.
        forms = {form for each in own for form in _forms_of(each)}
        forms = {form for form in forms if len("".join(form)) >= self.shortest}
        forms |= {words_of(each)[:MAX_WORDS_OF_FORM] for each in own} | listed
        forms.discard(())
        self.forms = frozenset(forms)
        self.words = frozenset(form[0] for form in listed if len(form) == 1)
        self.follow: dict[str, AbstractSet[str]] = {}
        for form in self.forms:
            _add(self.follow, form[0], frozenset(form[1:2]) or _ALONE)
        # Scripts that leave no spaces between words: what is looked for by its first character,
        # in as many lengths, the longest first.
        self._unspaced = {joined for form in self.forms if _is_unspaced(joined := "".join(form))}
        lengths: dict[str, set[int]] = {}
        for joined in self._unspaced:
            lengths.setdefault(joined[0], set()).add(len(joined))
        self._lengths = {head: sorted(found)[::-1] for head, found in lengths.items()}

    def __bool__(self) -> bool:
        return bool(self.forms)

    def unspaced(self, text: str) -> Iterable[tuple[int, int]]:
        """Yields where a text as it is compared has a form within words.

        Takes time by the length of the text, times that of the longest form.
        """
        for at, char in enumerate(text if self._lengths else ""):
            for length in self._lengths.get(char, ()):
                if text[at : at + length] in self._unspaced:
                    yield at, at + length
                    break

    def beside(self, words: Iterable[str]) -> frozenset[str]:
        """Returns what belongs to a name of a list beside some of its words; nothing to others."""
        beside = self._beside
        return frozenset().union(*(beside[word] for word in words if word in beside))

    def _forms_of_name(self, text: str) -> Iterable[_Form]:
        """Returns the forms of a name of somebody, and remembers what belongs to it."""
        name = tuple(word.lower() for word in WORD.findall(text))
        forms = {form for form in forms_of_name(name) if len("".join(form)) >= MIN_NAME}
        forms.update(long_vowels(name, self._harmless))
        forms.update(with_prefixes(name, self._harmless))
        parts = {spelling for word in name for spelling in spellings(word) if spelling}
        beside = frozenset(parts | {part[0] for part in parts})
        for part in parts:
            _add(self._beside, part, beside)
        return forms


def _add(found: dict[str, AbstractSet[str]], key: str, more: frozenset[str]) -> None:
    """Adds to what stands at a key. Of thousands most have one set, which they share."""
    there = found.get(key)
    if there is None:
        found[key] = more
    elif isinstance(there, set):
        there |= more
    elif not more <= there:
        found[key] = {*there, *more}


def _forms_of(text: str) -> Iterable[_Form]:
    return {words_of(spelled)[:MAX_WORDS_OF_FORM] for spelled in spellings(text)}


def _is_unspaced(joined: str) -> bool:
    return len(joined) > 1 and joined[0] >= FIRST_UNSPACED


NOTHING_LISTED: Final = Listed()
