"""Dates in texts, in the forms in which people write them.

A date is found by what it says, not by how: day, month and year in any common order, as
digits or with the name of the month, with years of four digits or of two, by the day of the
year, or all digits together.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import Final

# English, German, French, Spanish, Italian, Portuguese, Dutch; without accents.
_NAMES: Final = (
    "jan january januar jaenner janner janv janvier ene enero gen gennaio janeiro januari",
    "feb february februar fev fevr fevrier febrero febbraio fevereiro februari",
    "mar march marz maerz mrz mars marzo marco maart mrt",
    "apr april avr avril abr abril aprile",
    "may mai mayo mag maggio maio mei",
    "jun june juni juin junio giu giugno junho",
    "jul july juli juil juillet julio lug luglio julho",
    "aug august aout ago agosto augustus",
    "sep sept september septembre septiembre set settembre setembro",
    "oct october okt oktober octobre octubre ott ottobre out outubro",
    "nov november novembre noviembre novembro",
    "dec december dez dezember decembre dic diciembre dicembre dezembro",
)
MONTHS: Final = {name: month for month, names in enumerate(_NAMES, 1) for name in names.split()}

# What may stand between the parts of a date, and behind them.
BETWEEN: Final = frozenset(
    ["th", "st", "nd", "rd", "er", "of", "de", "del", "the", "den", "le", "il", "年", "月", "日"]
)

# Of these a month is not told unless a year stands there, too: they are words of imaging.
_WITH_YEAR: Final = frozenset(["ago", "gen", "mag", "mai", "out", "set"])

# A date that is all digits, in three parts, or in a year and its day. Each looks no further
# than a bound, and goes on behind what it has found.
_DIGITS: Final = re.compile(
    r"(?<!\d)(\d{1,4})(?:([-./_ ])(\d{1,2})\2(\d{1,4})|\u5e74(\d{1,2})\u6708(\d{1,2})\u65e5?"
    r"|[-./](\d{3}))(?!\d)"
)

# How far behind and before a month the other parts of a date stand, in tokens; and how many
# characters are between two of them.
_REACH: Final = 4
_MAX_BETWEEN: Final = 4

# Years in which others begin to count, by one less than they call it: of the eras of Japan, and of
# the republic of Taiwan.
_ERAS: Final = (1867, 1911, 1925, 1988, 2018)

# A part of a date: of digits, or (a month) of its name.
_Part = tuple[int, bool]


class Dates:
    """Some dates, to be found in texts.

    Attributes:
        months: names of their months.
        digits: they, all digits together.
        years: theirs, in four digits.
    """

    def __init__(self, dates: Iterable[str]) -> None:
        """Takes them as YYYYMMDD."""
        self.digits: set[str] = set()
        self.years: set[str] = set()
        self._parts: set[tuple[_Part, ...]] = set()
        self._in_eras: set[tuple[_Part, ...]] = set()
        for each in dates:
            self._add(each[:4], each[4:6], each[6:])
        told = {month for parts in self._parts for month, is_named in parts if is_named}
        self.months = {name for name, month in MONTHS.items() if month in told}

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Yields where those stand that are all digits."""
        for match in _DIGITS.finditer(text):
            digits = [group for group in match.groups() if group and group.isdecimal()]
            parts = tuple((int(group), False) for group in digits)
            has_year = match[2] != " " or any(len(group) == 4 for group in digits)
            if (parts in self._parts and has_year) or (match[5] and parts in self._in_eras):
                yield match.span()

    def are(self, token: str) -> bool:
        """Whether digits are a date, or one with a time."""
        return token in self.digits or (len(token) > 8 and token[:8] in self.digits)

    def around(self, tokens: Sequence[re.Match[str]], at: int) -> tuple[int, int] | None:
        """Returns from where to where a date stands around the name of its month.

        Args:
            tokens: words and runs of digits of a text.
            at: which of them the name is.
        """
        before = self._beside(tokens, range(at - 1, max(at - _REACH, -1), -1))[:1]
        behind = self._beside(tokens, range(at + 1, min(at + _REACH + 1, len(tokens))))
        month = (MONTHS[tokens[at][0]], True)
        choices: tuple[tuple[list[int], list[int]], ...] = (
            (before, behind[:1]),
            ([], behind[:2]),
            (before, []),
            ([], behind[:1]),
        )
        for first, last in sorted(choices, key=lambda each: -sum(map(len, each))):
            some = [*first, *last]
            values = tuple((int(tokens[each][0]), False) for each in some)
            parts = (*values[: len(first)], month, *values[len(first) :])
            has_year = any(len(tokens[each][0]) == 4 for each in some)
            is_told = len(some) > 1 or has_year or tokens[at][0] not in _WITH_YEAR
            if some and parts in self._parts and is_told:
                return tokens[min(at, *some)].start(), tokens[max(at, *some)].end()
        return None

    @staticmethod
    def _beside(tokens: Sequence[re.Match[str]], places: range) -> list[int]:
        """Returns which tokens are digits of a date, the nearest first."""
        found: list[int] = []
        for place in places:
            other = place - places.step
            first, second = sorted((place, other))
            if tokens[second].start() - tokens[first].end() > _MAX_BETWEEN:
                break
            token = tokens[place][0]
            if token.isdecimal() and len(token) <= 4:
                found.append(place)
            elif token not in BETWEEN:
                break
        return found

    def _add(self, year: str, month: str, day: str) -> None:
        self.years.add(year)
        for some in (year, year[2:]):
            self.digits.update((some + month + day, day + month + some, month + day + some))
        y, m, d = int(year), int(month), int(day)
        for some_year in (y, y % 100):
            for is_named in (False, True):
                self._parts.update(_orders((some_year, False), (m, is_named), (d, False)))
        for era in _ERAS:
            self._in_eras.add(((y - era, False), (m, False), (d, False)))
        self._parts.update((((m, True), (d, False)), ((d, False), (m, True))))
        self._parts.add(((m, True), (y, False)))
        try:
            of_year = date(y, m, d).timetuple().tm_yday
        except ValueError:
            return
        self.digits.add(f"{year}{of_year:03}")
        self._parts.add(((y, False), (of_year, False)))


def _orders(year: _Part, month: _Part, day: _Part) -> Iterator[tuple[_Part, ...]]:
    yield year, month, day
    yield day, month, year
    yield month, day, year
