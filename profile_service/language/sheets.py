"""Reads the CSV text of a table of patients: its rows, or everything that is wrong with it.

    original,issuer,code,days
    4711,CITY HOSPITAL,LUNG-0001,-213

A list has one column, `word` or `name`, whose values are looked for in texts; of each it is
what the others call the patient, too.

RFC 4180 in UTF-8, with or without a byte order mark; with semicolons or tabs where the header
has them. The header names the columns: those that say who the patient is (`ORIGINALS`), and
those that hold what is known of the patient. Spaces around a value say nothing.

A text is read as it comes, in memory that does not grow with it. Messages say the line and
the column, never a value: a value may be a patient's.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
import unicodedata
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from profile_service.language.lookups import COLUMN_NAME, ISSUER, ORIGINALS
from profile_service.language.model import LISTED_WORDS, NAMES, Violation
from profile_service.language.words import MAX_CHARACTERS, is_fit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from profile_service.language.lookups import Use

_T = TypeVar("_T")

MAX_BYTES: Final = 256 << 20
MAX_ROWS: Final = 2_000_000
MAX_COLUMNS: Final = 32
MAX_VALUE_CHARACTERS: Final = 1024

# Of all lists of a profile: more than a large hospital has staff, and an area streets. Looked
# for, each takes some kilobytes at the most.
MAX_LISTED: Final = 20_000

# Of all columns with the longest values that there may be, and their quotes, in characters.
_MAX_LINE: Final = (MAX_VALUE_CHARACTERS + 3) * MAX_COLUMNS

# Of more, who reads them mends the first ones.
MAX_PROBLEMS: Final = 100

# No two patients of a table have the same value in it.
CODE: Final = "code"

_DELIMITERS: Final = re.compile(r"[,;\t]")
# Control characters, and the backslash, which parts the values of an element (PS3.5 6.4).
# And what stands for bytes that are no UTF-8.
_NOT_TEXT: Final = re.compile(r"[\udc80-\udcff]")
_ILLEGAL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\\\u2028\u2029\ufeff\udc80-\udcff]")
_TAB: Final = re.compile(r"\t")
_SEPARATOR: Final = "\0"


class SheetCode(Enum):
    """What can be wrong with the text of a table; stable."""

    NOT_UTF8 = "The bytes are not UTF-8 text."
    TOO_LARGE = "The text, a line or a value is longer than may be, or there are too many rows."
    CSV_SYNTAX = "The quotes of a line do not match, or a value goes over several lines."
    HEADER = "The first line does not name the columns as it should."
    NO_ROWS = "There is no row."
    ROW_WIDTH = "A row has more or fewer values than the header has columns."
    ILLEGAL_CHARACTER = "A line has a control character or a backslash."
    EMPTY_ORIGINAL = "A row does not say who the patient is."
    DUPLICATE_ORIGINAL = (
        "A patient, or what a list has, is in the table already; letter case tells none apart."
    )
    DUPLICATE_CODE = "Another patient of the table has the same value in the column `code`."
    CODE_IS_ORIGINAL = "The value in the column `code` says who the patient is."
    VALUE_NOT_FOR_VR = "An element that a profile writes the value into cannot hold it."
    NOT_LISTABLE = "A word or name of a list is too short or too long to be looked for."
    NOT_DAYS = "A profile moves dates by the value, which is no number of days."
    TOO_MANY_PROBLEMS = "There is more wrong than is reported."


class Row(NamedTuple):
    """What a table says of a patient.

    Attributes:
        line: in the text, from 1.
        originals: what says who the patient is, as in `ORIGINALS`.
        values: in the order of the columns; empty where nothing is said.
    """

    line: int
    originals: tuple[str, ...]
    values: tuple[str, ...]

    @property
    def known_by(self) -> str:
        """What tells the patient from all others, as the engine makes it of a file."""
        return known_by(self.originals)


def known_by(originals: Sequence[str]) -> str:
    """Returns what tells a patient from all others."""
    return _SEPARATOR.join(originals).rstrip(_SEPARATOR)


def folded(patient: str) -> str:
    """Returns what patients have in common who differ in letter case alone."""
    return patient.casefold()


class SheetInvalidError(Exception):
    """The text is not that of a table.

    Attributes:
        violations: what is wrong, in the order of the text.
    """

    def __init__(self, violations: Sequence[Violation]) -> None:
        super().__init__("The table is not valid.")
        self.violations = tuple(violations)


class Sheet:
    """The text of a table, as it comes.

    Attributes:
        columns: the names of those that hold values, in their order.
        originals: how many columns say who the patient is.
        is_list: it is a list of words or names.
        violations: what was found to be wrong.
    """

    def __init__(
        self, chunks: Iterable[bytes], uses: Iterable[Use] = (), *, there: int = 0
    ) -> None:
        """Reads the header.

        Args:
            chunks: the text, in pieces of any size.
            uses: what profiles do with the columns.
            there: how many rows the table has that these are added to.

        Raises:
            SheetInvalidError: there is no header that says what the columns are.
        """
        self.columns: tuple[str, ...] = ()
        self.originals = 0
        self.is_list = False
        self._max_rows = MAX_ROWS
        self._there = there
        self.violations: list[Violation] = []
        self._line = 0
        # Lines that were read as rows, so that one that goes on is noticed.
        self._done = 0
        self._lines = self._split(chunks)
        self._places: tuple[int, ...] = ()
        self._value_places: tuple[int, ...] = ()
        self._width = 0
        header = next(self._lines, None)
        if header is None:
            self._fail(SheetCode.HEADER, "There is no header: the first line names the columns.")
        self._read_header(header or "")
        found = [
            (self.columns.index(use.column), use) for use in uses if use.column in self.columns
        ]
        self._uses = sorted(found, key=lambda each: (each[0], repr(each[1])))
        self._code = self.columns.index(CODE) if CODE in self.columns else None
        self._listed = _places_of_lists(self.columns)

    @property
    def code_place(self) -> int | None:
        """Which value no two patients share; None where all may be alike."""
        return self._code

    def rows(self) -> Iterator[Row]:
        """Yields the rows; what is wrong with one is noted, and it is left out.

        Raises:
            SheetInvalidError: the rest cannot be read, or there is more wrong than is reported.
        """
        count = 0
        reader = csv.reader(self._lines, delimiter=self._delimiter, strict=True)
        try:
            for fields in reader:
                self._done = self._line
                if not fields:
                    continue
                count += 1
                if count + self._there > self._max_rows:
                    self._fail(SheetCode.TOO_LARGE, f"There are more than {self._max_rows} rows.")
                row = self._row(fields)
                if row is not None:
                    yield row
        except csv.Error:
            self._fail(SheetCode.CSV_SYNTAX, "The quotes of the line do not match.")
        if not count:
            self.note(SheetCode.NO_ROWS, 0, "There is a header, and no row.")

    def note(self, code: SheetCode, line: int, message: str, column: str = "") -> None:
        """Notes something that is wrong.

        Raises:
            SheetInvalidError: that was more than is reported.
        """
        if len(self.violations) >= MAX_PROBLEMS:
            many = f"More than {MAX_PROBLEMS} faults; the rest of the text was not read."
            self.violations.append(Violation("TOO_MANY_PROBLEMS", "", 0, 0, many))
            raise SheetInvalidError(self.violations)
        self.violations.append(Violation(code.name, column, line, 0, message))

    def note_twice(self, line: int, first: int) -> None:
        """Notes a patient who stands in another line, or, where that is 0, in the table."""
        where = f"in line {first}" if first else "in the table"
        what = "What the list has" if self.is_list else "The patient"
        self.note(SheetCode.DUPLICATE_ORIGINAL, line, f"{what} stands {where} already.")

    def note_code_twice(self, line: int, first: int) -> None:
        """Notes a code that another line, or, where that is 0, the table has."""
        where = f"of line {first}" if first else "of the table"
        self.note(SheetCode.DUPLICATE_CODE, line, f"Another patient {where} has the code.", CODE)

    def check(self) -> None:
        """Raises SheetInvalidError where anything was noted."""
        if self.violations:
            raise SheetInvalidError(sorted(self.violations, key=lambda each: each.line or 1 << 40))

    def _fail(self, code: SheetCode, message: str) -> None:
        """Notes what keeps the rest from being read."""
        self.note(code, self._line, message)
        self.check()

    def _split(self, chunks: Iterable[bytes]) -> Iterator[str]:
        """Yields the lines of a text, without their ends."""
        decoder = io.IncrementalNewlineDecoder(
            codecs.getincrementaldecoder("utf-8-sig")("surrogateescape"), translate=True
        )
        rest = ""
        size = 0
        for chunk in chunks:
            size += len(chunk)
            if size > MAX_BYTES:
                self._fail(SheetCode.TOO_LARGE, f"The text is longer than {MAX_BYTES} bytes.")
            lines = (rest + decoder.decode(chunk)).split("\n")
            rest = lines.pop()
            for line in lines:
                yield self._next(line)
            if len(rest) > _MAX_LINE:
                self._next(rest)
        for line in (rest + decoder.decode(b"", final=True)).split("\n"):
            if line:
                yield self._next(line)

    def _next(self, line: str) -> str:
        """Takes the next line."""
        if self._done < self._line:
            self._fail(SheetCode.CSV_SYNTAX, "A value goes over several lines: its quote is open.")
        self._line += 1
        if len(line) > _MAX_LINE:
            self._fail(SheetCode.TOO_LARGE, f"The line is longer than {_MAX_LINE} characters.")
        if _ILLEGAL.search(line):
            if _NOT_TEXT.search(line):
                self._fail(
                    SheetCode.NOT_UTF8,
                    "The text is not UTF-8. Spreadsheets write it as 'CSV UTF-8'.",
                )
            self.note(
                SheetCode.ILLEGAL_CHARACTER,
                self._line,
                "The line has a control character, or a backslash, which parts the values of an "
                "element.",
            )
        return line

    def _read_header(self, header: str) -> None:
        """Reads what the columns are. What it holds may be a patient's, and is not repeated."""
        found = _DELIMITERS.search(header)
        self._delimiter = found[0] if found else ","
        try:
            names = next(csv.reader([header], delimiter=self._delimiter, strict=True), [])
        except csv.Error:
            self._fail(SheetCode.CSV_SYNTAX, "The quotes of the line do not match.")
            raise
        self._done = self._line
        names = [name.strip(" ") for name in names]
        names = [ORIGINALS[1] if name == ISSUER else name for name in names]
        self._width = len(names)
        wrong = next((n for n, name in enumerate(names, 1) if not COLUMN_NAME.fullmatch(name)), 0)
        twice = next((n for n, name in enumerate(names, 1) if name in names[: n - 1]), 0)
        patient = [name for name in ORIGINALS if name in names]
        if len(names) == 1 and names[0] in {LISTED_WORDS, NAMES}:
            self.originals = 1
            self._places = self._value_places = (0,)
            self.columns = tuple(names)
            self.is_list = True
            self._max_rows = MAX_LISTED
            return
        if ORIGINALS[0] not in names:
            message = (
                "No column is called 'original': the first line names the columns, and that one "
                f"says who the patient is. (A list has one column, {LISTED_WORDS!r} or {NAMES!r}.)"
            )
        elif wrong:
            message = (
                f"Column {wrong} is not named by letters, digits, and . _ - behind the first "
                "letter."
            )
        elif twice:
            message = f"Column {twice} is named like one before."
        elif patient != list(ORIGINALS[: len(patient)]):
            message = f"The columns {', '.join(ORIGINALS)} are there from the first on."
        elif len(names) == len(patient):
            message = "Beside who the patient is, there is a column that says something."
        elif len(names) > MAX_COLUMNS:
            message = f"There are more than {MAX_COLUMNS} columns."
        else:
            self.originals = len(patient)
            self._places = tuple(map(names.index, patient))
            self._value_places = tuple(n for n, name in enumerate(names) if name not in ORIGINALS)
            self.columns = tuple(names[n] for n in self._value_places)
            return
        self._fail(SheetCode.HEADER, message)

    def _row(self, fields: list[str]) -> Row | None:
        """Returns a row; None where something is wrong with it, which is noted."""
        if len(fields) != self._width:
            self.note(
                SheetCode.ROW_WIDTH,
                self._line,
                f"The row has {len(fields)} values, where there are {self._width} columns.",
            )
            return None
        fields = [field.strip(" ") for field in fields]
        originals = tuple([fields[place] for place in self._places])
        values = tuple([fields[place] for place in self._value_places])
        row = Row(self._line, tuple(map(_composed, originals)), values)
        before = len(self.violations)
        if not originals[0]:
            self.note(SheetCode.EMPTY_ORIGINAL, row.line, "The row does not say who it is about.")
        if max(map(len, fields)) > MAX_VALUE_CHARACTERS or _TAB.search("".join(fields)):
            self._note_form(row, fields)
        if self._code is not None and _is_said(values[self._code], row.originals):
            self.note(SheetCode.CODE_IS_ORIGINAL, row.line, "The code is the original.", CODE)
        if any(values[place] and not is_fit(values[place]) for place in self._listed):
            self.note(
                SheetCode.NOT_LISTABLE,
                row.line,
                f"A word or name has 2 to {MAX_CHARACTERS} characters, and letters or digits.",
            )
        wrong = -1
        for place, use in self._uses:
            if place == wrong or not values[place]:
                continue
            if (found := use.problem(values[place])) is not None:
                # Once for each value is enough.
                wrong = place
                code = SheetCode.NOT_DAYS if use.days is not None else SheetCode.VALUE_NOT_FOR_VR
                self.note(code, row.line, found, use.column)
        return row if len(self.violations) == before else None

    def _note_form(self, row: Row, fields: list[str]) -> None:
        if max(map(len, fields)) > MAX_VALUE_CHARACTERS:
            self.note(
                SheetCode.TOO_LARGE,
                row.line,
                f"A value is longer than {MAX_VALUE_CHARACTERS} characters.",
            )
        else:
            self.note(SheetCode.ILLEGAL_CHARACTER, row.line, "A value has a tab in it.")


def _places_of_lists(columns: tuple[str, ...]) -> tuple[int, ...]:
    """Returns which columns have what is looked for in texts."""
    return tuple(place for place, each in enumerate(columns) if each in {LISTED_WORDS, NAMES})


def _composed(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _is_said(code: str, originals: tuple[str, ...]) -> bool:
    return bool(code) and folded(code) == folded(originals[0])


def rows_by_patient(sheet: Sheet, keep: Callable[[Row], _T]) -> dict[str, _T]:
    """Returns what is kept of all rows, where there is memory for it.

    Args:
        sheet: the table.
        keep: returns what is kept of a row.

    Returns:
        It, by what the patient is known by, `folded`.

    Raises:
        SheetInvalidError: something is wrong with the table.
    """
    found: dict[str, _T] = {}
    lines: dict[str, int] = {}
    codes: dict[str, int] = {}
    for row in sheet.rows():
        key = folded(row.known_by)
        if (first := lines.setdefault(key, row.line)) != row.line:
            sheet.note_twice(row.line, first)
        found[key] = keep(row)
        code = "" if sheet.code_place is None else row.values[sheet.code_place]
        if code and codes.setdefault(code, row.line) != row.line:
            sheet.note_code_twice(row.line, codes[code])
    sheet.check()
    return found
