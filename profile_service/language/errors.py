"""The errors of the profile language."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from profile_service.language.model import Violation

# As many as a person reads on a screen or in a log; the attribute holds all.
MAX_SHOWN = 50


class LanguageError(Exception):
    """The profile language cannot do what it was asked."""


class ProfileInvalid(LanguageError):  # noqa: N818 - a verdict, named like the one it states
    """The profile is invalid.

    The message lists the violations with line and column.

    Attributes:
        violations: every violation, in the order of the text; never empty.
        warnings: what the author should know besides, in the order of the text.
    """

    def __init__(self, violations: tuple[Violation, ...], warnings: tuple[Violation, ...]) -> None:
        self.violations = violations
        self.warnings = warnings
        lines = [_line(violation) for violation in violations[:MAX_SHOWN]]
        if len(violations) > MAX_SHOWN:
            lines.append(f"... and {len(violations) - MAX_SHOWN} more")
        super().__init__("The profile is invalid:\n" + "\n".join(lines))


def _line(violation: Violation) -> str:
    place = f"line {violation.line}, column {violation.column}" if violation.line else "document"
    path = f" {violation.path}" if violation.path else ""
    guess = f" Did you mean '{violation.suggestion}'?" if violation.suggestion else ""
    return f"{place}{path} {violation.code}: {violation.message}{guess}"
