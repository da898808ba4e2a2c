"""Prints problems the way a compiler does: place, code, sentence, the line and a caret."""

from __future__ import annotations

from typing import TYPE_CHECKING

from profile_service.language.document import split_lines
from profile_service.language.problems import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from profile_service.language.model import Violation

# What fits a terminal beside the line number.
_MAX_LINE = 90

# Characters that are shown before the place in a line that is cut.
_BEFORE = 30


def render(
    source: str, violations: Sequence[Violation], warnings: Sequence[Violation], name: str = ""
) -> str:
    """Prints problems with the lines that they are about.

    Args:
        source: the text that was checked.
        violations: what makes it invalid.
        warnings: what its author should know.
        name: of the file, put before each place; may be empty.

    Returns:
        The text without a line end after it; empty where there is no problem.
    """
    lines = split_lines(source.removeprefix("\ufeff"))
    prefix = f"{name}: " if name else ""
    found = [(violation, "") for violation in violations]
    found += [(warning, "warning ") for warning in warnings]
    return "\n\n".join(_block(problem, prefix, kind, lines) for problem, kind in found)


def describe(problem: Violation) -> str:
    """Says in a sentence or two what is wrong and what was probably meant."""
    if not problem.suggestion:
        return problem.message
    return f"{problem.message} Did you mean '{problem.suggestion}'?"


def _block(problem: Violation, prefix: str, kind: str, lines: list[str]) -> str:
    place = f"line {problem.line}, column {problem.column}" if problem.line else "document"
    heading = "  ".join(part for part in (place, problem.path, kind + problem.code) if part)
    block = [prefix + heading, f"  {describe(problem)}"]
    if 0 < problem.line <= len(lines):
        line, column = _cut(lines[problem.line - 1], problem.column - 1)
        number = str(problem.line)
        block.append(f"  {number} | {printable(line)}")
        block.append(f"  {' ' * len(number)} | {' ' * column}^")
    return "\n".join(block)


def _cut(line: str, column: int) -> tuple[str, int]:
    """Cuts a long line so that the place stays in sight; a tab is shown as one space."""
    line = line.replace("\t", " ")
    if len(line) <= _MAX_LINE:
        return line, column
    start = max(0, column - _BEFORE)
    before, after = "..." if start else "", line[start : start + _MAX_LINE]
    return f"{before}{after}...", column - start + len(before)
