"""Shows what the cascade made of each level."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deid_service.cli.terminal import cell, table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.table import Table

    from deid_service.contract.errors import LevelVerdict, ProfileProblem

STYLES = {"SELECTED": "green", "INVALID": "red", "ABSENT": "yellow"}


def verdict_table(verdicts: Iterable[LevelVerdict]) -> Table:
    """Returns a table with a row for each level, nearest first."""
    return table(
        ("LEVEL", "VERDICT", "WHY"),
        (
            (
                verdict.container,
                cell(verdict.verdict.replace("_", " ").lower(), STYLES.get(verdict.verdict, "dim")),
                reason(verdict),
            )
            for verdict in verdicts
        ),
    )


def reason(verdict: LevelVerdict) -> str:
    """Returns why the cascade came to its verdict on a level."""
    match verdict.verdict:
        case "SELECTED":
            return f"version {verdict.version} is the nearest valid profile"
        case "ABSENT":
            return "has no profile"
        case "INVALID":
            problems = "\n".join(problem_line(problem) for problem in verdict.problems)
            return f"version {verdict.version} is invalid:\n{problems}"
        case "OVERRIDDEN_BY_LOCK":
            return "a level above is locked"
        case _:
            return ""


def problem_line(problem: ProfileProblem) -> str:
    """Returns a violation in one line, with its place in the text."""
    place = f"line {problem.line}, column {problem.column}: " if problem.line else ""
    guess = f" Did you mean '{problem.suggestion}'?" if problem.suggestion else ""
    return f"{place}{problem.code}: {problem.message}{guess}"
