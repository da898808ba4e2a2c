"""Texts cleaned: what is known to be harmless stays, and the rest goes.

Kept are words and phrases of a vocabulary, numbers, numbers with units, short codes, what is
put together of these (`recon2`, `AbdRoutine`, `t2map`), and what stands between them. Never
kept is a word that identifies somebody in the same file, a date, a phone number, an e-mail
address, a URL, a long number; nor, beside what is not known, a word that many are called by.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import unescape
from typing import Final
from urllib.parse import unquote

from deid_service.engine.encoding.dummies import dummy_text
from deid_service.engine.texts import by_form
from deid_service.engine.texts.abbreviations import UNITS
from deid_service.engine.texts.endings import ends_as_medicine
from deid_service.engine.texts.forms import FIRST_UNSPACED
from deid_service.engine.texts.identity import Identity, without
from deid_service.engine.texts.spelling import UNSEEN, plain
from deid_service.engine.texts.unspaced import is_made_of, runs_of, words_in
from profile_service.language.model import LINKS, Vocabulary

# Longer texts are none that a person reads before it is sent on; of them nothing stays.
MAX_CHARACTERS: Final = 16_384

# Stand for what is gone while the rest is looked at; no text has them. The latter for days, ages
# and numbers: a word beside them is no more somebody's name than elsewhere.
_GONE: Final = "\0"
_NUMBER_GONE: Final = "\1"
_IS_GONE: Final = re.compile(f"[{_GONE}{_NUMBER_GONE}]")

# Numbers, and dates as they stand in Chinese, Japanese and Korean, too.
_NUMBER: Final = re.compile(r"[\d\W_年月日년월일]+")

# A word with its digits, or what stands between words.
_TOKEN: Final = re.compile(r"[^\W_]+|[\W_]+")

# Short codes: b1000, T1, L5, B30f, 3D, 2d4, C7T1, fl3d; sequences as their makers name them:
# tfl3d1, 16ns, b1000t, 2i21s; times and angles with their numbers, matrices, stages, weeks and
# days of a pregnancy: TR2000, Sn100kV, 256x192, pT2N0M0, 37w2d.
_CODE: Final = re.compile(
    r"b\d{2,4}t?|\d{1,2}[05]0b|[ct]id\d{2,5}|(?:ct|mr)\d{3}w?|[a-z]{1,3}\d{1,2}[a-z]?|\d{1,2}[a-z]{1,2}\d?|[a-z]{1,2}\d[a-z]{1,2}\d?"
    r"|[a-z]{2,5}[23]d\d{0,2}|[23]d[a-z]{2,4}|\d{1,3}(?:ns|b\d{1,4}|i\d{1,2}s?|it(?:\d{1,3}s(?:ub)?)?|s\d{1,2}i)"
    r"|(?:te|tr|ti|td|fa|sn)\d{1,4}(?:kv)?|\d{1,4}(?:mm)?x\d{1,4}(?:x\d{1,4})?(?:mm|cm|avg|mip|mpr)?"
    r"|[cpry]{0,2}t(?:[0-4][a-d]?|is|x)(?:n[0-3x][a-c]?)?(?:m[01x][a-d]?)?|[1-4]?\d(?:w\d?)?d",
    re.IGNORECASE,
)

# Isotopes that people are examined or treated with: Tc99m, 18F, Lu-177.
_NUCLIDE: Final = "(?:Ac|At|Br|C|Cu|F|Ga|Ho|I|In|Kr|Lu|N|O|P|Pb|Ra|Rb|Re|Sc|Sm|Sr|Tb|Tc|Tl|Xe|Y|Zr)"
_ISOTOPE: Final = re.compile(rf"\d{{1,3}}m?{_NUCLIDE}|{_NUCLIDE}\d{{1,3}}m?", re.IGNORECASE)
_UNITS: Final = (
    "mm|cm|m|ml|l|mg|g|kg|kv|kvp|ma|mas|s|sec|ms|min|h|hz|mhz|t|deg|x|bq|mbq|gy|mgy|kev|mev|mci|gbq"
    "|mgi|mmol|msec|secs|mins|hr|hrs|wk|wks|fps|bpm|hu|px|dir|ch|fr|cc|lb|lbs|um|nm|sl|dl"
)
_UNIT_WORDS: Final = frozenset(_UNITS.split("|"))
_QUANTITY: Final = re.compile(rf"\d{{1,4}}(?:{_UNITS})?", re.IGNORECASE)

# What a token is put together of: digits, and words as their capitals show them (AbdRoutine, or
# PTVboost), or all letters.
_PART: Final = re.compile(r"\d+|[A-Z]+(?![^\W\d_A-Z])|[A-Z]?[^\W\d_A-Z]+")
_BY_CASE: Final = re.compile(r"\d+|[A-Z]+|[a-z]+")
_LETTERS: Final = re.compile(r"\d+|[^\W\d_]+")
_MAX_PARTS: Final = 4
_MAX_DIGITS: Final = 3
_DIGITS: Final = re.compile(r"\d+")
_MIN_PART: Final = 3

# Letters of a word that is put together. Of stems these may be anything where two stand beside
# each other.
_MIN_COMPOUND: Final = 5
_MAX_COMPOUND: Final = 40
_SHORT_STEMS: Final = frozenset(
    "ac ax bh bx ct dw fb fs hd hr lr lt mr nd nm pd pt sd wb xr".split()  # noqa: SIM905
)

# Calculated, enhanced, modified, in single shots; sides, as structures of plans have them.
_KINDS: Final = frozenset("cdems")
_SIDES: Final = frozenset(("l", "r", "lt", "rt"))
_WEIGHTED: Final = frozenset(("T1", "T2"))

# Digits of an extension, and of a postal code; longer numbers stay nowhere, and values of a
# diffusion are in steps.
_EXTENSION: Final = 4

# With these begin names of people that are written as one.
_PARTICLES: Final = frozenset(
    ["mac", "van", "von", "fitz", "del", "della", "des", "dos", "san", "der", "den", "las", "saint"]
)

# Sides and directions, and the letters of `w/o`: they stay beside what goes.
_SINGLE: Final = frozenset("acfhilnoprstw")

# Before names of people, and behind them; and what stands in them.
_DOES: Final = frozenset(
    [
        "attending", "by", "fellow", "operator", "pcp", "physician", "pt", "radiologist",
        "referring", "resident", "sonographer", "surgeon", "tech", "technologist", "under",
    ]
)  # fmt: skip
_ANNOUNCING: Final = (_DOES - {"under"}) | frozenset(
    [
        "attn", "call", "called", "caregiver", "cc", "contact", "dr", "employee", "interpreter",
        "miss", "mr", "mrs", "ms", "name", "np", "nurse", "ordering", "patient", "per", "reader",
        "rn", "technician", "to",
    ]
)  # fmt: skip
_DEGREES: Final = frozenset(("do", "md", "np", "phd", "rn"))
_IN_NAMES: Final = frozenset((" ", ", "))
_BESIDE: Final = 2

# Modalities and the like; before a name they are titles.
_TITLES: Final = frozenset(("dr", "fr", "hr", "mr", "ms", "sr"))

# Quoted-printable: letters beyond ASCII, in their bytes.
_QUOTED: Final = re.compile(r"(?:=[89A-F][\dA-F])+")

# Words of a phrase at the most, and what may stand between them.
_MAX_WORDS: Final = 4
_GENITIVE: Final = frozenset("'\u2019")
_JOINED: Final = re.compile(r"(?:['\u2019]s?)?[ _/-]|['\u2019]")


def clean(text: str, vocabulary: Vocabulary, identity: Identity) -> str:
    """Returns what of a text is known to be harmless.

    Args:
        text: one value.
        vocabulary: what may stay.
        identity: what identifies somebody in the same file.
    """
    if len(text) > MAX_CHARACTERS:
        return ""
    text = _meant(text)
    left = without(text, spans, _gone) if (spans := identity.spans(text)) else text
    left = by_form.without(left, _GONE, _NUMBER_GONE)
    tokens = _TOKEN.findall(left)
    stays = _Sieve(tokens, vocabulary, identity).stays()
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
    return _NUMBER_GONE if _NUMBER.fullmatch(text) else _GONE


class _Sieve:
    """Which tokens of a text stay; words and what stands between them, in turns."""

    def __init__(self, tokens: list[str], vocabulary: Vocabulary, identity: Identity) -> None:
        self._tokens = tokens
        self._terms = vocabulary.terms
        self._names = vocabulary.names
        self._stems = vocabulary.stems
        self._parts = vocabulary.parts
        self._never = identity.words
        self._listed = identity.listed.words

    def stays(self) -> list[bool]:
        """Tells of each token whether it stays; takes time by their number alone."""
        tokens = self._tokens
        stays = [not token[0].isalnum() or self._is_harmless(token) for token in tokens]
        for run in self._dotted():
            if not self._is_harmless("".join(tokens[at] for at in run)):
                for at in run:
                    stays[at] = False
        words = [at for at, token in enumerate(tokens) if token[0].isalnum()]
        for at in words:
            if not stays[at] and self._is_unit(at, stays):
                stays[at] = True
        gone = {at for at in words if not stays[at]}
        known = self._in_phrases(words, gone) if gone else set()
        for at in known:
            stays[at] = True
        for at in list(self._other_halves(words, gone - known)) if gone else ():
            stays[at] = False
        weak = [at for at in words if stays[at] and at not in known and self._is_weak(at)]
        for at in (*weak, *reversed(weak)):
            if (
                self._is_beside_what_went(at, stays)
                or self._has_an_initial(at)
                or self._is_announced(at)
            ):
                stays[at] = False
        # A phrase stays as a whole: X-ray, key images.
        gone = {at for at in weak if not stays[at]}
        for at in self._in_phrases(words, gone) if gone else ():
            stays[at] = True
        if not all(stays):
            self._drop_numbers(words, stays)
        return stays

    def _other_halves(self, words: list[int], gone: set[int]) -> Iterator[int]:
        """Yields words that are half of a name of which nobody knows the other: Stacey Main.

        Both are written as names, and announced, before what somebody is, or parted by a comma
        at the begin.
        """
        for place, (first, second) in enumerate(itertools.pairwise(words)):
            if (first in gone) != (second in gone) and second - first == _BESIDE:
                between, halves = self._tokens[first + 1], self._tokens[first : second + 1 : 2]
                if between in _IN_NAMES and (
                    all(map(str.istitle, halves)) or all(map(str.isupper, halves))
                ):
                    before = self._tokens[words[place - 1]].lower() if place else ""
                    behind = self._tokens[second + 2 : second + 3]
                    if (
                        (before in _ANNOUNCING and len(self._tokens[first - 1]) <= _BESIDE)
                        or (not before and between != " ")
                        or (behind and behind[0].lower() in _DEGREES)
                    ):
                        yield first if second in gone else second

    def _drop_numbers(self, words: list[int], stays: list[bool]) -> None:
        """Drops long numbers beside words that went: of a phone, or a postal code."""
        tokens = self._tokens
        for before, at, behind in zip([-1, *words], words, [*words[1:], -1], strict=False):
            token = tokens[at]
            if len(token) != _EXTENSION or not token.isdecimal() or int(token) % 50 == 0:
                continue
            has_unit = behind >= 0 and tokens[behind].lower() in _UNIT_WORDS
            if not has_unit and not all(stays[each] for each in (before, behind) if each >= 0):
                stays[at] = False

    def _dotted(self) -> Iterator[list[int]]:
        """Yields where single letters stand with points between them: initials, and `p.a.`."""
        run: list[int] = []
        for at, token in enumerate(self._tokens):
            if len(token) == 1 and token.isalpha():
                run.append(at)
            elif token not in {".", ". "}:
                if len(run) > 1:
                    yield run
                run = []
        if len(run) > 1:
            yield run

    def _is_harmless(self, token: str) -> bool:
        word = token.lower()
        if self._identifies(word):
            return False
        if word in self._terms or (len(word) == 1 and plain(word).isascii()):
            return True
        if self._has_its_form(token, word) or self._is_put_together(word):
            return True
        if word.isascii():
            return False
        # In Latin letters an accent tells words apart: `Åse` is no `ase`.
        compared = plain(word)
        return not compared.isascii() and (
            compared in self._terms or ends_as_medicine(compared) or self._is_unspaced(compared)
        )

    def _has_its_form(self, token: str, word: str) -> bool:
        return (
            _QUANTITY.fullmatch(word) is not None
            or _CODE.fullmatch(word) is not None
            or _ISOTOPE.fullmatch(word) is not None
            or ends_as_medicine(word)
            or self._is_composed(token)
        )

    def _is_put_together(self, word: str) -> bool:
        """Whether it is the name of a sequence, or a word of German and the like."""
        if not _MIN_COMPOUND <= len(word) <= _MAX_COMPOUND:
            return False
        # In stems a digit stands for any number: of T1, of 3D, of a series.
        sequence = word
        if not word.isalpha():
            digits = _DIGITS.findall(word)
            if sum(map(len, digits)) > _MAX_DIGITS:
                return False
            sequence = _DIGITS.sub("0", word)
        return (
            is_made_of(sequence, self._stems, _SHORT_STEMS)
            and self._says_nothing(sequence, self._stems)
        ) or (
            is_made_of(word, self._parts, LINKS, at_ends=False)
            and self._says_nothing(word, self._parts)
        )

    def _is_unspaced(self, word: str) -> bool:
        """Whether it is made of words of languages that are written without spaces."""
        runs, others = runs_of(word)
        return (
            bool(runs)
            and all(map(self._is_harmless, others))
            and all(
                is_made_of(run, self._terms, self._names) and self._says_nothing(run, self._terms)
                for run in runs
            )
        )

    def _says_nothing(self, run: str, words: frozenset[str]) -> bool:
        """Whether no word of those in a run is one of the file's names."""
        return not any(map(self._identifies, words_in(run, words)))

    def _identifies(self, word: str) -> bool:
        if word in self._never:
            return True
        compared = plain(word)
        return compared in self._never or compared in self._listed

    def _is_composed(self, token: str) -> bool:
        parts = _PART.findall(token)
        if self._are_words(parts):
            return True
        if token.isascii() and self._are_words(_BY_CASE.findall(token)):
            return True
        letters = [] if token.isalpha() else _LETTERS.findall(token)
        return len(letters) < len(parts) and self._are_words(letters)

    def _are_words(self, parts: list[str]) -> bool:
        digits = sum(len(part) for part in parts if part.isdigit())
        words = _words_of(parts)
        return (
            1 < len(parts) <= _MAX_PARTS
            and digits <= _MAX_DIGITS
            and len(words) > 0
            and all(
                len(word) >= _MIN_PART and word in self._terms and word not in self._names
                for word in words
            )
            and _PARTICLES.isdisjoint(words)
            and not any(self._identifies(part.lower()) for part in parts)
        )

    def _in_phrases(self, words: list[int], gone: set[int]) -> set[int]:
        """Returns which words are those of a phrase that has one of those that would go."""
        tokens = self._tokens
        # The s of a genitive is no word.
        words = [
            at for at in words if tokens[at] != "s" or at == 0 or tokens[at - 1] not in _GENITIVE
        ]
        lower = [tokens[at].lower() for at in words]
        found: set[int] = set()
        for unknown, at in enumerate(words):
            if at not in gone:
                continue
            for first in range(max(0, unknown - _MAX_WORDS + 1), unknown + 1):
                for end in range(
                    max(first + 2, unknown + 1), min(first + _MAX_WORDS, len(lower)) + 1
                ):
                    phrase = lower[first:end]
                    if (
                        " ".join(phrase) in self._terms
                        and not any(self._identifies(word) for word in phrase)
                        and self._are_joined(words[first:end])
                    ):
                        last = words[min(end, len(words)) - 1]
                        found.update(range(words[first], last + 1))
        return found

    def _are_joined(self, words: list[int]) -> bool:
        between = (
            "".join(self._tokens[first + 1 : second]) for first, second in itertools.pairwise(words)
        )
        return all(_JOINED.fullmatch(each) for each in between)

    def _is_weak(self, at: int) -> bool:
        """Whether a word stays only where what is beside it is known."""
        word = self._tokens[at].lower()
        return (
            (word in self._names and not self._is_counted(at))
            or (
                len(word) == 1
                and "a" <= word < FIRST_UNSPACED
                and word not in _SINGLE
                and not self._is_joined(at)
            )
            or (not word.isascii() and plain(word) in self._names)
        )

    def _is_joined(self, at: int) -> bool:
        """Whether a letter is joined to a word that nobody is called by: X-knie, J-pouch."""
        behind = [token.lower() for token in self._tokens[at + 1 : at + 3]]
        return behind[:1] == ["-"] and behind[-1] in self._terms and behind[-1] not in self._names

    def _is_counted(self, at: int) -> bool:
        """Whether a word says what a number before it counts: 3 weeks."""
        if at < 2 or not self._tokens[at].islower():
            return False
        number, between = self._tokens[at - 2 : at]
        return between in {" ", "-"} and number.isdecimal() and len(number) <= _MAX_DIGITS

    def _is_unit(self, at: int, stays: list[bool]) -> bool:
        """Whether it is the unit of a number before it, and so nobody's initials: 10 kg, mg/dL."""
        token = self._tokens[at]
        word = token.lower()
        if word not in _UNIT_WORDS:
            return False
        if word in UNITS and not token.isupper():
            return True
        if at < 2:
            return False
        before, between = self._tokens[at - 2 : at]
        if between == "/":
            return before.lower() in _UNIT_WORDS and stays[at - 2]
        return between in {" ", "-"} and before.isdecimal() and len(before) <= _EXTENSION

    def _has_an_initial(self, at: int) -> bool:
        """Whether a capitalised word stands behind a word and a letter with a point: by B. Young.

        Not where the letter begins a text or a sentence: of a list.
        """
        if at < 4 or not self._tokens[at][0].isupper():
            return False
        before, letter, point = self._tokens[at - 3 : at]
        return point in {".", ". "} and len(letter) == 1 and letter.isupper() and before == " "

    def _is_announced(self, at: int) -> bool:
        """Whether a word that many are called by is written as a name behind who did something."""
        word, before = self._tokens[at], self._tokens[max(at - 2, 0) : at]
        return (
            len(before) == _BESIDE
            and len(before[1]) <= _BESIDE
            and len(word) > 1
            and (word.istitle() or (word.isupper() and before[0].lower() == "by"))
            and before[0].lower() in _DOES
        )

    def _is_beside_what_went(self, at: int, stays: list[bool]) -> bool:
        tokens = self._tokens
        before, behind = tokens[max(at - 2, 0) : at], tokens[at + 1 : at + 3]
        between = "".join((*before[-1:], *behind[:1]))
        if _GONE in between or (_NUMBER_GONE in between and tokens[at][0].isupper()):
            return True
        # A number that is gone stands between it and the next word.
        if len(before) == 2 and _NUMBER_GONE in before[1]:
            before = []
        if len(before) == 2 and (not stays[at - 2] or before[0].lower() in _TITLES):
            return True
        return len(behind) == 2 and not stays[at + 2] and _NUMBER_GONE not in behind[0]


def _words_of(parts: list[str]) -> list[str]:
    """Returns the words of what is put together.

    Without a letter for a kind (dADC, sCor), one side (ParotidR, LtLung), units behind a number
    (PTV54Gy), and the weighting of an image (ProstateT2).
    """
    words = [
        part.lower()
        for at, part in enumerate(parts)
        if not part.isdigit()
        and not (at > 0 and parts[at - 1].isdigit() and part.lower() in _UNIT_WORDS)
        and "".join(parts[at : at + 2]) not in _WEIGHTED
    ]
    if len(words) <= 1:
        return words
    if words[-1] in _SIDES and parts[-1][0].isupper():
        return words[:-1]
    # Before a word with a capital: Romero has none within.
    is_letter = parts[0] in _KINDS or (words[0] in _SIDES and parts[0][0].isupper())
    return words[1:] if is_letter and parts[1][0].isupper() else words


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
        hidden = _as_utf8(text)
        swept = hidden and sweep(hidden, identity, step)
        if swept != hidden:
            return swept.encode("utf-8").decode("latin-1")
        meant = _meant(text)
        swept = meant if meant == text else sweep(meant, identity, step)
        return text if swept == meant else swept
    return re.sub(r" {2,}", " ", without(text, found, lambda _: " ")).strip(" ^,;:-_/=")


def _told(text: str, identity: Identity, step: TextStep) -> list[tuple[int, int]]:
    """Returns where a text that stays identifies somebody."""
    if not step.by_form:
        return identity.spans(text)
    if not step.is_code and by_form.is_long_number(text):
        return [(0, len(text))]
    told = by_form.spans(text, with_uids=identity.hides_uids, harmless=identity.harmless)
    return sorted([*identity.spans(text), *told])


def _as_utf8(text: str) -> str:
    """Returns what a text is that was read byte by byte, and is in UTF-8; "" for others."""
    if text.isascii():
        return ""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return ""


def _readings(text: str) -> Iterator[str]:
    """Yields a text, and what it may have been before somebody wrote it otherwise."""
    yield text
    if (meant := _meant(text)) != text:
        yield meant
    while text := _as_utf8(text):
        yield text


def _meant(text: str) -> str:
    """Returns a text without what nobody sees, and with the letters that entities stand for."""
    text = text.translate(UNSEEN)
    if "&" in text and ";" in text:
        text = unescape(text)
    return _QUOTED.sub(_unquoted, text) if "=" in text else text


def _unquoted(found: re.Match[str]) -> str:
    octets = bytes.fromhex(found[0].replace("=", ""))
    try:
        text = octets.decode("utf-8")
    except UnicodeError:
        text = octets.decode("latin-1")
    # Letters are written so, and values are not: `b=800`, `TE=85`.
    return text if any(map(str.isalpha, text)) else found[0]


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
        readings = (each for text in texts for each in _readings(text))
        return any(_told(each, self.identity, step) for each in readings)

    def is_harmless(self, text: str) -> bool:
        """Whether a text says nothing but what is known to be harmless."""
        values = [each.strip().lower() for each in text.split("\\")]
        return all(
            value.lstrip("+-") in _NO_NUMBERS
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
            for each in _readings(unquote(text))
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
