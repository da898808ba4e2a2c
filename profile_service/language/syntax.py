"""Says in an author's words why a text is not YAML, and what is probably missing.

The YAML parser names the place and the grammar rule that failed. The slips that
people make are few, and each is told here from the text around that place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import yaml

_CLOSERS = {"{": "}", "[": "]"}

# `name:PatientName`: a key, a colon, and no space. A web address is none.
_NO_SPACE = re.compile(r"\s*(?:-\s+)*([A-Za-z][\w-]*):([^\s:/].*)")

_MARKS = {
    "*": "an alias",
    "&": "an anchor",
    "!": "a tag",
    "%": "a directive",
    "@": "a reserved character",
    "`": "a reserved character",
}


@dataclass(frozen=True, slots=True)
class SyntaxProblem:
    """Where a text broke and why.

    Attributes:
        line: from 1.
        column: from 1, in characters.
        message: what is wrong, in a sentence.
        suggestion: what is missing or was meant, or the empty text.
    """

    line: int
    column: int
    message: str
    suggestion: str = ""


def explain_syntax_error(error: yaml.YAMLError, text: str) -> SyntaxProblem:
    """Explains an error of the YAML parser.

    Args:
        error: what the parser raised.
        text: what it was reading.
    """
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return SyntaxProblem(1, 1, "The text is not YAML.")
    return _Explainer(error, error.problem_mark, text).explain()


class _Explainer:
    """One error, with the text around it."""

    def __init__(self, error: yaml.MarkedYAMLError, mark: yaml.Mark, text: str) -> None:
        self._problem = error.problem or "it could not be read"
        self._context = error.context or ""
        self._context_mark = error.context_mark
        self._lines = re.split("\r\n|[\n\r\x85\u2028\u2029]", text)
        self._row = min(mark.line, len(self._lines) - 1)
        self._index = mark.column
        self._line = self._lines[self._row]
        self._rest = self._line[mark.column :]

    def explain(self) -> SyntaxProblem:
        """Tries each known slip, the most certain first."""
        return (
            self._unclosed_quote()
            or self._tab()
            or self._unclosed_bracket()
            or self._needs_quotes()
            or self._missing_space()
            or self._stray_closer()
            or self._second_colon()
            or self._indentation()
            or self._here(f"The text is not YAML: {self._problem}.")
        )

    def _here(self, message: str, suggestion: str = "") -> SyntaxProblem:
        return SyntaxProblem(self._row + 1, self._index + 1, message, suggestion)

    def _unclosed_quote(self) -> SyntaxProblem | None:
        mark = self._context_mark
        if "quoted scalar" not in self._context or mark is None:
            return None
        if "unexpected end" not in self._problem and "document indicator" not in self._problem:
            return None
        quote = self._lines[mark.line][mark.column : mark.column + 1]
        return SyntaxProblem(
            mark.line + 1,
            mark.column + 1,
            f"The quotation mark {quote} that opens here is never closed.",
            quote,
        )

    def _tab(self) -> SyntaxProblem | None:
        if not self._rest.startswith("\t"):
            return None
        return self._here("A tab stands here; YAML is indented with spaces only.")

    def _unclosed_bracket(self) -> SyntaxProblem | None:
        if "flow" not in self._context:
            return None
        opened = _open_brackets(self._lines, self._row, self._index)
        if not opened:
            return None
        row, column, bracket = opened[-1]
        place = f"the {bracket} of line {row + 1}, column {column + 1}"
        if self._at_end():
            missing = "".join(_CLOSERS[bracket] for _, _, bracket in reversed(opened))
            return self._here(f"The text ends inside {place}: {missing} is missing.", missing)
        closer = _CLOSERS[bracket]
        if self._rest[:1] in _CLOSERS.values() and self._rest[:1] != closer:
            return self._here(f"Here {place} is still open: {closer} is missing.", closer)
        return self._here(f"Between the entries of {place} a comma is missing, or {closer}.")

    def _at_end(self) -> bool:
        return not self._rest.strip() and not any(
            line.strip() for line in self._lines[self._row + 1 :]
        )

    def _needs_quotes(self) -> SyntaxProblem | None:
        mark = self._context_mark
        if mark is None or mark.line != self._row:
            return None
        start = self._line[mark.column :]
        meaning = _MARKS.get(start[:1])
        if meaning is None:
            return None
        value = start.rstrip()
        return SyntaxProblem(
            self._row + 1,
            mark.column + 1,
            f"A text that starts with {start[0]} must stand in quotes: it means {meaning} in YAML.",
            f'"{value}"' if '"' not in value and "\\" not in value else f"'{value}'",
        )

    def _missing_space(self) -> SyntaxProblem | None:
        for row in (self._row, self._row - 1):
            found = _NO_SPACE.fullmatch(self._lines[row]) if row >= 0 else None
            if found is not None:
                return SyntaxProblem(
                    row + 1,
                    found.start(2) + 1,
                    "A space is missing after the colon.",
                    f"{found[1]}: {found[2].rstrip()}",
                )
        return None

    def _stray_closer(self) -> SyntaxProblem | None:
        for opener, closer in _CLOSERS.items():
            if self._rest.startswith(closer):
                return self._here(f"This {closer} closes nothing: no {opener} is open.")
        return None

    def _second_colon(self) -> SyntaxProblem | None:
        if "mapping values" not in self._problem or ": " not in self._line[: self._index]:
            return None
        return self._here(
            "A second colon stands in this line; a text that holds a colon and a space "
            "must stand in quotes."
        )

    def _indentation(self) -> SyntaxProblem | None:
        expected = ("mapping values", "expected key", "expected '-'", "expected ':'")
        if not any(words in self._problem for words in expected):
            return None
        if self._line[: self._index].strip() and "mapping values" not in self._problem:
            return self._here("What stands before this is complete; nothing can follow it here.")
        return self._here("The line is not indented like the lines that it belongs with.")


def _open_brackets(lines: list[str], row: int, column: int) -> list[tuple[int, int, str]]:
    """Finds the brackets that are open at a place: row, column (from 0) and bracket."""
    opened: list[tuple[int, int, str]] = []
    quote = ""
    for at_row, line in enumerate(lines[: row + 1]):
        at_node = True  # a bracket in the middle of a text is a part of the text
        skip = False
        for at_column, char in enumerate(line if at_row < row else line[:column]):
            if skip:
                skip = False
            elif quote:
                skip = char == "\\" and quote == '"'
                quote = "" if char == quote else quote
            elif char == "#" and (at_column == 0 or line[at_column - 1].isspace()):
                break
            elif char in "\"'" and at_node:
                quote, at_node = char, False
            elif char in _CLOSERS and at_node:
                opened.append((at_row, at_column, char))
            elif opened and char == _CLOSERS[opened[-1][2]]:
                opened.pop()
                at_node = False
            elif char in ",:-" and (opened or line[at_column + 1 : at_column + 2].isspace()):
                at_node = True
            elif not char.isspace():
                at_node = False
    return opened
