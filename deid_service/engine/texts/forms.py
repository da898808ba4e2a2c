"""The forms in which people write names, addresses and institutions, as words.

A form is the words of it, as they are compared (see `spelling`); what stands between them in
a text makes no difference.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from itertools import pairwise, permutations, product
from typing import Final

from deid_service.engine.texts.spelling import plain, spellings

MIN_NAME: Final = 3

# A word of an address or institution that says which it is; in scripts that leave no spaces.
_MIN_WORD: Final = 5
_MIN_UNSPACED: Final = 3

# CJK radicals, and what comes behind: Chinese, Japanese, Korean.
FIRST_UNSPACED: Final = "\u2e80"
_BEFORE_UNSPACED: Final = "\u2e7f"

# A name that is told with digits at it: smith2.
MIN_TOUCHED: Final = 5

# Of a name, as many words are looked for in every order.
MAX_PARTS: Final = 3

# Of a form, as many words or groups of digits; what is longer is found by how it begins.
MAX_WORDS_OF_FORM: Final = 8

# More words than a name or an address has; of more, the first are looked for.
_MAX_WORDS: Final = 16

# Words of letters, with the apostrophes in them, and runs of digits; what is written without spaces
# ends where other letters stand.
TOKEN: Final = re.compile(
    rf"[^\W\d_{FIRST_UNSPACED}-\U0010ffff]+(?:['\u2019\u00b4`][^\W\d_]{{2,}})*"
    rf"|[^\W\d_\0-{_BEFORE_UNSPACED}]+|\d+"
)
APOSTROPHES: Final = str.maketrans("", "", "'\u2019\u00b4`")

# Parts of names that many share, and what stands before and behind names.
SHARED: Final = frozenset(
    ["van", "von", "der", "den", "del", "della", "des", "dos", "das", "las", "los", "bin", "ibn",
     "abu", "the", "and", "und"]
)  # fmt: skip

# What stands before names, and in every sentence of their languages: by itself it says nothing.
PARTICLES: Final = frozenset(
    ["af", "al", "av", "bin", "da", "das", "de", "del", "della", "den", "der", "des", "di", "do",
     "dos", "du", "e", "el", "het", "i", "in", "la", "las", "le", "les", "los", "of", "op", "te",
     "ten", "ter", "van", "von", "y", "zu", "zum", "zur"]
)  # fmt: skip

TITLES: Final = frozenset(
    ["dr", "prof", "professor", "mr", "mrs", "ms", "miss", "hr", "herr", "fr", "frau", "mme", "sr",
     "sra", "sig", "med", "md", "phd", "jr"]
)  # fmt: skip

# What nothing but a name stands behind.
_BEFORE_NAMES: Final = ("mrs", "miss", "herr", "frau", "mme", "sra")
# And what has other meanings before a word.
_BEFORE_OTHERS_TOO: Final = ("mr", "ms", "patient", "pt")

# What institutions are.
_KINDS: Final = frozenset(
    ["hospital", "clinic", "university", "universitaetsklinikum", "klinikum", "klinik",
     "krankenhaus", "medical", "center", "centre", "orthopedics", "orthopaedics", "associates"]
)  # fmt: skip

# Ways of writing a word of an address.
_ALIKE: Final = {
    "street": "st", "avenue": "ave", "road": "rd", "drive": "dr", "boulevard": "blvd",
    "strasse": "str", "saint": "st", "sankt": "st",
}  # fmt: skip

# Words that towns begin with, and that are in no vocabulary.
_IN_TOWNS: Final = frozenset(
    ["bad", "el", "fort", "la", "lake", "las", "los", "mount", "new", "north", "port", "saint",
     "san", "sankt", "santa", "santo", "sao", "south", "st", "ste", "west", "east"]
)  # fmt: skip

# Of a postal code in the Netherlands.
_POSTAL_DIGITS: Final = 4
_POSTAL_LETTERS: Final = 2

# Of a name, as many words are misspelled.
_MAX_MISSPELLED: Final = 2

# Shorter ones are looked for as they stand, and not in groups or as a part of more.
LONG_NUMBER: Final = 6


def forms_of_name(name: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yields the forms of a name, given in its words in lower case."""
    words = [word for word in name if not word.isdigit()][:_MAX_WORDS]
    for word in words:
        if len(word) >= MIN_NAME and word not in SHARED and word not in TITLES:
            for each in _written(word):
                yield (each,)
                if len(each) >= _MIN_WORD:
                    # A genitive, and the name of a woman in Russian.
                    yield (each + ("s" if each.isascii() else "\u0430"),)
                if each.startswith("mac") and len(each) > LONG_NUMBER:
                    yield "mac", each[3:]
    told = [word for word in words if word not in TITLES]
    for first, second in pairwise(told):
        # An apostrophe stood between them, as in O'Brien.
        if len(first) == 1 and len(second) > MIN_NAME:
            for other in _written(second):
                yield (first + other,)
                yield (first + other + "s",)
    # Names of one syllable, as in Chinese, tell somebody when they stand together.
    for first, second in permutations(telling(told), 2):
        for one in _written(first):
            for other in _written(second):
                yield one, other
                yield (one + other,)
        if len(second) >= MIN_NAME:
            for other, letter in product(_written(second), initials_of(first)):
                yield (letter + other,)
                yield (other + letter,)
    for words in (told, told[1:] + told[:1]):
        spelled = [plain(word) for word in words]
        for end in range(2, min(len(spelled), MAX_WORDS_OF_FORM) + 1):
            if not PARTICLES.issuperset(spelled[:end]):
                yield tuple(spelled[:end])
                yield ("".join(spelled[:end]),)


def telling(words: list[str]) -> list[str]:
    """Returns the words of a name that are looked for in every order: of many, no particles."""
    if len(words) > MAX_PARTS:
        # An apostrophe stands behind a single letter.
        words = re.sub(r"\b(\w) (?=\w)", r"\1", " ".join(words)).split()
        long = [word for word in words if len(word) >= MIN_NAME and word not in SHARED]
        words = long if len(long) > 1 else words
    return words[:MAX_PARTS]


def initials_of(word: str) -> Iterable[str]:
    """Returns the letters that a word begins with, in its own script and in Latin letters."""
    return dict.fromkeys(each[0] for each in _written(plain(word)) if each)


# Syllables of Japanese in Latin letters (ISO 3602, and as passports have it).
_ROMANISED: Final = re.compile(
    r"(?:(?:[kgnhbpmr]y?|sh?|j|z|ts?|ch|d|f|w|y)?(?:oh(?![aeiouy])|[aiueo])"
    r"|n(?![aeiouy])|m(?=[bpm])|([kstp])(?=\1)|t(?=ch))+"
)
_LONG: Final = re.compile(r"o(?:u|o|h(?![aeiouy]))|uu")
_VOWEL: Final = re.compile(r"[ou]")

# As many vowels of a word are written in every way together; of more, each by itself.
_MAX_VOWELS: Final = 2


def long_vowels(name: tuple[str, ...], harmless: AbstractSet[str]) -> Iterator[tuple[str, ...]]:
    """Yields the forms of a Japanese name in Latin letters whose long vowels are written otherwise.

    Taro is Tarou, Taroh, Taroo and Tar\u014d.

    Args:
        name: in its words in lower case.
        harmless: words that say nothing by themselves, which no form is; without them, there
            is no form.
    """
    for word in map(plain, name[:_MAX_WORDS] if harmless else ()):
        if len(word) < MIN_NAME or word in SHARED | TITLES or not _ROMANISED.fullmatch(word):
            continue
        short = _LONG.sub(lambda found: found[0][0], word)
        vowels = [found.start() for found in _VOWEL.finditer(short)]
        at_once = [vowels] if len(vowels) <= _MAX_VOWELS else [[at] for at in vowels]
        written = {form for some in at_once for form in _lengthened(short, some)} - {word}
        yield from _telling_alone(written, MIN_NAME, harmless)


def misspelled(name: tuple[str, ...], harmless: AbstractSet[str]) -> Iterator[tuple[str, ...]]:
    """Yields the first words of a name with two letters that have changed places, or one gone.

    Args:
        name: in its words in lower case.
        harmless: words that say nothing by themselves, which no form is; without them, there
            is no form.
    """
    for word in map(plain, name[:_MAX_MISSPELLED] if harmless else ()):
        if len(word) < LONG_NUMBER or not word.isalpha() or word in harmless:
            continue
        # The first letter is right.
        swapped = (
            word[:at] + word[at + 1] + word[at] + word[at + 2 :] for at in range(1, len(word) - 1)
        )
        shorter = (word[:at] + word[at + 1 :] for at in range(1, len(word)))
        yield from _telling_alone({*swapped, *shorter} - {word}, LONG_NUMBER, harmless)


def beside_short(name: tuple[str, ...], harmless: AbstractSet[str]) -> Iterator[tuple[str, ...]]:
    """Yields words of two letters with what tells that they are a name: an initial or a title.

    Args:
        name: in its words in lower case.
        harmless: words that say nothing by themselves, of which nothing tells them so; without
            them, there is no form.
    """
    told = [word for word in name[:_MAX_WORDS] if word not in TITLES] if harmless else []
    for word in map(plain, told):
        if len(word) != MIN_NAME - 1 or word >= FIRST_UNSPACED or word in PARTICLES:
            continue
        yield from ((title, word) for title in _BEFORE_NAMES)
        if word in harmless:
            continue
        yield from ((title, word) for title in _BEFORE_OTHERS_TOO)
        for other in told:
            if plain(other) != word:
                for letter in initials_of(other):
                    yield letter, word
                    yield word, letter
                    yield from _telling_alone((letter + word, word + letter), MIN_NAME, harmless)


# What Hebrew and Arabic write at the begin of a word: and, the, in, to, like, from, that.
_HEBREW: Final = re.compile("[\u05d0-\u05ea]")
_HEBREW_PREFIXES: Final = (*"והבלכמש", "וה", "וב", "ול", "ומ", "שה")
_ARABIC: Final = re.compile("[\u0621-\u064a]")
_ARABIC_PREFIXES: Final = (*"وبلكف", "وب", "ول", "وك")
_ARTICLE: Final = "ال"


def with_prefixes(name: tuple[str, ...], harmless: AbstractSet[str]) -> Iterator[tuple[str, ...]]:
    """Yields the words of a Hebrew or Arabic name with what is written at their begin.

    Args:
        name: in its words in lower case.
        harmless: words that say nothing by themselves, which no form is; without them, there
            is no form.
    """
    for word in map(plain, name[:_MAX_WORDS] if harmless else ()):
        if word.isascii() or len(word) < MIN_NAME or word in harmless:
            continue
        forms: set[str] = set()
        if _HEBREW.match(word):
            forms.update(prefix + word for prefix in _HEBREW_PREFIXES)
        elif _ARABIC.match(word):
            bare = word.removeprefix(_ARTICLE)
            forms.update(prefix + word for prefix in _ARABIC_PREFIXES)
            # The article; and of it, behind `to`, one letter is left.
            forms.update((_ARTICLE + bare, "لل" + bare, bare))
            forms.update(prefix + _ARTICLE + bare for prefix in _ARABIC_PREFIXES)
        yield from _telling_alone(forms, MIN_NAME, harmless)


def _telling_alone(
    words: Iterable[str], least: int, harmless: AbstractSet[str]
) -> Iterator[tuple[str, ...]]:
    """Yields as forms those of some words that have so many letters, and say something."""
    return ((word,) for word in words if len(word) >= least and word not in harmless)


def _lengthened(short: str, vowels: list[int]) -> Iterator[str]:
    """Yields a word with each of some vowels, by their places, in all ways to write it."""
    ways = [("o", "ou", "oo", "oh") if short[at] == "o" else ("u", "uu") for at in vowels]
    starts = [0, *(at + 1 for at in vowels)]
    ends = [*vowels, len(short)]
    parts = [short[start:end] for start, end in zip(starts, ends, strict=True)]
    for chosen in product(*ways):
        yield parts[0] + "".join(way + part for way, part in zip(chosen, parts[1:], strict=True))


def forms_of_phrase(phrase: str, harmless: AbstractSet[str]) -> Iterator[tuple[str, ...]]:
    """Yields the forms of an address, or of the name of an institution.

    Args:
        phrase: as it stands, in lower case.
        harmless: words that say nothing by themselves; none where they are not known.
    """
    for part in (phrase, *re.split(r"[,;^\\/]", phrase)[:MAX_WORDS_OF_FORM]):
        for words in _variants(part):
            if len(words) > 1 or (len(words) == 1 and _is_long(words[0])):
                is_known = all(word in harmless or word.isdigit() for word in words)
                if part is phrase or not is_known:
                    yield words[:MAX_WORDS_OF_FORM]
            yield _told_by(words, harmless)
            yield from _postal_codes(words)
            without_numbers = tuple(word for word in words if not word.isdigit())
            if 1 < len(without_numbers) < len(words):
                yield without_numbers[:MAX_WORDS_OF_FORM]
    if not harmless:
        return
    if city := _IN_A_STATE.search(phrase):
        # Of two words and more it is told whatever they mean: Little Rock. Of one, where its state
        # stands behind it: Reading, PA.
        words = words_of(_STREET.split(city[1])[-1])
        if 0 < len(words) <= MAX_PARTS and not any(word.isdigit() for word in words):
            yield words if len(words) > 1 else (*words, city[2])
            yield *words, city[3]
        yield city[2], city[3]
    before = ""
    for word in words_of(phrase)[:_MAX_WORDS]:
        if _is_long(word) and word not in harmless and word not in _KINDS:
            yield from ((spelling,) for spelling in _written(word))
            if before in _IN_TOWNS:
                yield before, word
        before = word


# Cities before their state and postal code, as in the United States; the kinds of streets, with
# what is behind in them, as often no comma ends the street.
_IN_A_STATE: Final = re.compile(r"([^,;^\\]{3,64}),? ([a-z]{2})\.?,? {1,2}(\d{5})(?:-\d{4})?(?!\d)")
_STREET: Final = re.compile(
    r"\b(?:st|street|rd|road|ave|avenue|dr|drive|ln|lane|way|blvd|boulevard|ct|court|cir|circle|pl"
    r"|place|ter|terrace|trl|trail|pkwy|parkway|hwy|highway|sq|square|loop|run|pike|cv|xing)\b\.?"
    r"(?: (?:[nsew]{1,2}|(?:apt|unit|ste|suite|rm|fl)\.? ?[\w-]{1,6}|#\w{1,6})\b)*|\d+"
)


def _postal_codes(words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yields codes of digits and two letters, as in the Netherlands."""
    for digits, letters in pairwise(words):
        if len(digits) == _POSTAL_DIGITS and digits.isdecimal() and len(letters) == _POSTAL_LETTERS:
            yield digits, letters


def _is_long(word: str) -> bool:
    """Whether a word of an address or institution may say by itself which it is."""
    return len(word) >= (_MIN_UNSPACED if word[0] >= FIRST_UNSPACED else _MIN_WORD)


def _told_by(words: tuple[str, ...], harmless: AbstractSet[str]) -> tuple[str, ...]:
    """Returns what is left of a name without the words around it that are known; or nothing."""
    while words and (words[-1] in harmless or words[-1] in _KINDS):
        words = words[:-1]
    return words[:MAX_WORDS_OF_FORM] if harmless and len(words) > 1 else ()


def _variants(part: str) -> Iterator[tuple[str, ...]]:
    for spelled in dict.fromkeys(spellings(part)):
        words = words_of(spelled)
        yield words
        yield tuple(_ALIKE.get(word, word) for word in words)
        if words[:1] == ("st",):
            yield "saint", *words[1:]
            yield "sankt", *words[1:]
        yield tuple(re.sub(r"strasse$", "str", word) for word in words)
        yield tuple(word for word in words_of(spelled.replace("'s", " ")) if word != "s")
        yield words_of(spelled.replace("'s", "s"))


def _written(word: str) -> Iterable[str]:
    return dict.fromkeys(each for each in (word, *spellings(word)) if each)


def words_of(text: str) -> tuple[str, ...]:
    """Returns the words and runs of digits of a text, as they are compared."""
    return tuple(found.translate(APOSTROPHES) for found in TOKEN.findall(plain(text)))
