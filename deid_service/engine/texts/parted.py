"""Names that some write in one word and others in parts, and families of one letter.

a name       is also
----------   ------------------------------------------------------
VanHorn      Van Horn, Van-Horn
Vandermeer   van der Meer, v. d. Meer
McDonald     Mc Donald, MacDonald
Al-Khatib    El Khatib, ElKhatib
St. John     Saint John
李, 김       李医生, 김씨, 김**, and by itself where it is no word
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from itertools import pairwise
from typing import Final

from deid_service.engine.texts.forms import FIRST_UNSPACED, MIN_NAME, PARTICLES
from deid_service.engine.texts.spelling import plain

# What names begin with in one word, and in which words it is written too.
_PREFIXES: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "vander": (("vander",), ("van", "der"), ("vd",), ("v", "d")),
    "vanden": (("vanden",), ("van", "den"), ("vd",), ("v", "d")),
    "vande": (("vande",), ("van", "de")),
    "van": (("van",),),
    "von": (("von",),),
    "delos": (("de", "los"),),
    "della": (("della",),),
    "dela": (("dela",), ("de", "la")),
    "del": (("del",),),
    "fitz": (("fitz",),),
    "saint": (("st",), ("saint",)),
    **{each: ((each,),) for each in ("da", "de", "di", "du", "la", "le", "st")},
}
_SAINT: Final = ("st", "saint", "sankt")
_ARTICLE: Final = ("al", "el")
_SON: Final = ("mac", "mc")

# Letters behind them: of a name that only begins alike, what is behind is seldom a word.
_MIN_REST: Final = 4
_TWO: Final = 2

# What stands behind a family of one letter, and before it; what stands for the rest of a name.
_BEHIND: Final = (
    *(
        "医生",
        "醫生",
        "医师",
        "醫師",
        "医師",
        "大夫",
        "先生",
        "女士",
        "小姐",
        "太太",
        "主任",
        "教授",
    ),
    *("护士", "護士", "看護師", "技師", "氏", "某", "様", "さま", "さん", "殿", "くん", "ちゃん"),
    *("씨", "님", "선생", "교수", "과장", "의사", "간호사", "환자", "원장", "기사"),
    *("oo", "xx", "**", "\u25cb\u25cb", "\u3007\u3007", "\u25ef\u25ef"),
)
_BEFORE: Final = ("患者", "病人", "老", "小", "환자")


def parted(name: tuple[str, ...], harmless: AbstractSet[str]) -> Iterator[tuple[str, ...]]:
    """Yields the forms of a name with parts in other words than its own.

    Args:
        name: in its words in lower case.
        harmless: words that say nothing by themselves, which no form is; without them, there
            is no form.
    """
    words = [plain(word) for word in name] if harmless else []
    forms: set[tuple[str, ...]] = set()
    for word in words:
        if word.isascii():
            forms.update(_in_parts(word, harmless))
    for first, second in pairwise(words):
        forms.update(_otherwise(first, second))
    for at in range(len(words) - _TWO):
        *particles, last = words[at : at + _TWO + 1]
        if PARTICLES.issuperset(particles) and len(last) >= MIN_NAME:
            letters = "".join(each[0] for each in particles)
            forms.update([(letters, last), (*letters, last), (letters + last,)])
            forms.add(("".join(particles), last))
    yield from (form for form in forms if len(form) > 1 or form[0] not in harmless)


def _in_parts(word: str, harmless: AbstractSet[str]) -> Iterator[tuple[str, ...]]:
    """Yields the parts of what stands in one word."""
    for prefix, ways in _PREFIXES.items():
        rest = word.removeprefix(prefix)
        is_certain = len(prefix) > _TWO
        if len(rest) == len(word) or len(rest) < (MIN_NAME if is_certain else _MIN_REST):
            continue
        # La Porte may be any door.
        if is_certain or rest not in harmless:
            yield from ((*way, rest) for way in ways)
    for prefixes in (_ARTICLE, _SON):
        for prefix in prefixes:
            rest = word.removeprefix(prefix)
            if len(rest) < len(word) and len(rest) >= _MIN_REST and rest not in harmless:
                yield from _otherwise(prefix, rest)
                break
    if word[0] == "o" and len(word) > _MIN_REST and word[1:] not in harmless:
        yield "o", word[1:]


def _otherwise(first: str, second: str) -> Iterator[tuple[str, ...]]:
    """Yields two words of a name with another first one that means the same."""
    for alike in (_SAINT, _ARTICLE, _SON):
        if first in alike and len(second) >= MIN_NAME:
            for other in alike:
                yield other, second
                yield (other + second,)


def in_capitals(words: list[str]) -> list[str]:
    """Returns words with those apart that stand in one, as their capitals tell: VanHorn.

    Args:
        words: of a name, as they are written.
    """
    parts: list[str] = []
    for word in words:
        inner = (at for at in range(1, len(word)) if word[at].isupper() and word[at - 1].islower())
        each = [word[start:end] for start, end in pairwise([0, *inner, len(word)])]
        are_words = all(
            part.istitle() and (len(part) >= MIN_NAME or part.lower() in PARTICLES) for part in each
        )
        parts += each if are_words and each[0].lower() not in _SON else [word]
    return parts


def of_family(family: str) -> Iterator[str]:
    """Yields how somebody is written by her family alone, of one letter: 李医生."""
    yield from (family + each for each in _BEHIND)
    yield from (each + family for each in _BEFORE)


def is_of_one_letter(word: str) -> bool:
    """Whether a family has one letter of what is written without spaces."""
    return len(word) == 1 and word >= FIRST_UNSPACED
