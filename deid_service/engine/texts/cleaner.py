"""Texts cleaned: what is known to be harmless stays, and the rest goes.

Kept are words and phrases of a vocabulary, numbers, numbers with units, short codes, what is
put together of these (`recon2`, `AbdRoutine`, `t2map`), and what stands between them. Never
kept is a word that identifies somebody in the same file, a date, a phone number, an e-mail
address, a URL, a long number; nor, beside what is not known, a word that many are called by.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

from deid_service.engine.encoding.dummies import dummy_text
from deid_service.engine.texts import by_form
from deid_service.engine.texts.identity import Identity, without
from deid_service.engine.texts.readings import as_utf8, meant, readings
from deid_service.engine.texts.sieve import GONE, NUMBER_GONE, Sieve
from deid_service.engine.texts.words import Words
from profile_service.language.model import Vocabulary

# Longer texts are none that a person reads before it is sent on; of them nothing stays.
MAX_CHARACTERS: Final = 16_384

# Numbers, and dates as they stand in Chinese, Japanese and Korean, too.
_NUMBER: Final = re.compile(r"[\d\W_年月日년월일]+")

# A word with its digits, or what stands between words.
_TOKEN: Final = re.compile(r"[^\W_]+|[\W_]+")

_IS_GONE: Final = re.compile(f"[{GONE}{NUMBER_GONE}]")


def clean(text: str, vocabulary: Vocabulary, identity: Identity) -> str:
    """Returns what of a text is known to be harmless.

    Args:
        text: one value.
        vocabulary: what may stay.
        identity: what identifies somebody in the same file.
    """
    if len(text) > MAX_CHARACTERS:
        return ""
    text = meant(text)
    left = without(text, spans, _gone) if (spans := identity.spans(text)) else text
    left = by_form.without(left, GONE, NUMBER_GONE)
    tokens = _TOKEN.findall(left)
    stays = Sieve(tokens, Words(vocabulary, identity)).stays()
    if left == text and all(stays):
        return text
    kept: list[str] = []
    removed = False
    for token, is_kept in zip(tokens, stays, strict=True):
        if not token[0].isalnum():
            # What stands between two words that went is of no use.
            kept.append(" " if removed else _IS_GONE.sub(" ", token))
            removed = False
        elif is_kept:
            kept.append(token)
        else:
            removed = True
    result = "".join(kept)
    result = re.sub(r"[(\[{]\W*[)\]}]", " ", result)
    result = re.sub(r" {2,}", " ", result).strip(" ^,;:-_/.=").rstrip(" ([{").lstrip(")]} ")
    return result if any(char.isalnum() for char in result) else ""


def _gone(text: str) -> str:
    """Returns what stands for a part of a text that says who somebody is."""
    return NUMBER_GONE if _NUMBER.fullmatch(text) else GONE


def sweep(text: str, identity: Identity, step: TextStep | None = None) -> str:
    """Returns a text without what identifies somebody.

    Args:
        text: one value.
        identity: what identifies somebody in the same file.
        step: what goes beside that; what tells somebody by its form unless given.
    """
    step = step or ANY_TEXT
    found = _told(text, identity, step)
    if not found:
        # UTF-8 where another character set is declared: it is told by being valid.
        hidden = as_utf8(text)
        swept = hidden and sweep(hidden, identity, step)
        if swept != hidden:
            return swept.encode("utf-8").decode("latin-1")
        other = meant(text)
        swept = other if other == text else sweep(other, identity, step)
        return text if swept == other else swept
    return re.sub(r" {2,}", " ", without(text, found, lambda _: " ")).strip(" ^,;:-_/=")


def _told(text: str, identity: Identity, step: TextStep) -> list[tuple[int, int]]:
    """Returns where a text that stays identifies somebody."""
    if not step.by_form:
        return identity.spans(text)
    if not step.is_code and by_form.is_long_number(text):
        return [(0, len(text))]
    told = by_form.spans(text, with_uids=identity.hides_uids, harmless=identity.harmless)
    return sorted([*identity.spans(text), *told])


@dataclass(frozen=True, slots=True, eq=False)
class Cleaner:
    """Cleans the texts of a file.

    Attributes:
        vocabulary: what a cleaned text may keep.
        identity: what identifies somebody in the file.
    """

    vocabulary: Vocabulary = field(default_factory=Vocabulary)
    identity: Identity = field(default_factory=Identity)

    def texts(self, step: TextStep, texts: list[str], vr: str) -> list[str]:
        """Returns the values of an element, cleaned or swept; a dummy where it is needed."""
        identity = self.identity
        if step.whole:
            new = [text if self.is_harmless(text) else "" for text in texts]
        elif step.keeps_known:
            new = [text and clean(text, self.vocabulary, identity) for text in texts]
        elif vr in _WHOLE:
            new = ["" if text and self._says(text, step) else text for text in texts]
        else:
            new = [text and sweep(text, identity, step) for text in texts]
        if step.needs_value and any(texts) and not any(new):
            return [dummy_text(vr)]
        if step.needs_value and vr in _WHOLE:
            # Each has its place, and is needed there (PS3.3 C.8.7.1.1.1).
            return [each or (old and dummy_text(vr)) for old, each in zip(texts, new, strict=True)]
        return new

    def finds(self, texts: list[str], vr: str, step: TextStep) -> bool:
        """Whether the values of an element say who somebody is; by their form, too."""
        if vr in _WHOLE:
            return any(self._says(text, step) for text in texts)
        each_reading = (each for text in texts for each in readings(text))
        return any(_told(each, self.identity, step) for each in each_reading)

    def is_harmless(self, text: str) -> bool:
        """Whether a text says nothing but what is known to be harmless."""
        values = [each.strip() for each in text.split("\\")]
        return all(
            value.lower().lstrip("+-") in _NO_NUMBERS
            or clean(value, self.vocabulary, self.identity) == value
            for value in values
        )

    def _says(self, text: str, step: TextStep) -> bool:
        """Whether a word that is no text says who somebody is: HEAD is what it always is.

        Two letters are a code of the standard (`SK`), and nobody's initials.
        """
        if step.by_form and not step.is_code and by_form.is_long_number(text):
            return True
        return by_form.is_of_somebody(text) or any(
            each[start:end].lower() not in self.vocabulary.terms
            for each in readings(unquote(text))
            for start, end in self.identity.spans(each, with_initials=False)
        )


@dataclass(frozen=True, slots=True)
class TextStep:
    """A text is cleaned, by what identifies somebody in the same file.

    Attributes:
        name: as receipts count it.
        keeps_known: only what is known to be harmless stays; else all that does not
            identify.
        needs_value: a dummy stands where nothing is left.
        by_form: what tells somebody by its form goes, too.
        is_code: see `Sweep`.
        whole: see `Sweep`.
    """

    name: str
    keeps_known: bool
    needs_value: bool
    by_form: bool = True
    is_code: bool = False
    whole: bool = False

    @property
    def weight(self) -> int:
        """As how many actions it counts."""
        return 1


# What is looked for in a text of which nothing more is known.
ANY_TEXT: Final = TextStep("leftover", keeps_known=False, needs_value=False)


# What programs write where a number is none.
_NO_NUMBERS: Final = frozenset({"", "nan", "inf", "infinity", "none", "null", "n/a", "unknown"})

# Of these a part has no meaning, or may not be legal.
_WHOLE: Final = frozenset({"AE", "CS", "UR"})
