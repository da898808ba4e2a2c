"""Collects what is wrong with a profile, all of it, in the order of the text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from profile_service.language.codes import Code, Severity
from profile_service.language.model import Violation

if TYPE_CHECKING:
    from collections.abc import Callable

# More help nobody: past this a text is not a profile with slips. It bounds the
# work on hostile input as well.
MAX_PROBLEMS = 1000

# What all violations of a text may take as UTF-8, and all its warnings. An answer can
# hold those of three levels beside a text of 1 MiB, and a gRPC client refuses an answer
# of more than 4 MiB unless told otherwise.
MAX_PROBLEMS_BYTES = 256 * 1024

# What a problem takes beside its texts: numbers and tags.
_PROBLEM_BYTES = 32

# A longer one would be of no help; one that is cut would be wrong.
_MAX_SUGGESTION = 500

# A guess at what was meant compares with thousands of words; a text with more slips
# than this is answered without the further ones.
_MAX_GUESSES = 200

# Long enough for every keyword; a message stays a sentence.
_MAX_QUOTED = 60


class Place(Protocol):
    """Anything that stands somewhere in the text: lines and columns from 1, in characters."""

    @property
    def line(self) -> int:
        """The line."""
        ...

    @property
    def column(self) -> int:
        """The column."""
        ...


class Problems:
    """The violations and warnings found so far."""

    def __init__(self) -> None:
        self._found: dict[Severity, list[Violation]] = {severity: [] for severity in Severity}
        self._bytes = dict.fromkeys(Severity, 0)
        self._full: set[Severity] = set()
        self._guesses = 0

    @property
    def any_violation(self) -> bool:
        """Whether the profile is invalid."""
        return bool(self._found[Severity.VIOLATION])

    @property
    def full(self) -> bool:
        """Whether further violations are not collected, so that looking on is in vain."""
        return Severity.VIOLATION in self._full

    @property
    def violations(self) -> tuple[Violation, ...]:
        """What makes the profile invalid, in the order of the text."""
        return self._sorted(Severity.VIOLATION)

    @property
    def warnings(self) -> tuple[Violation, ...]:
        """What the author should know, in the order of the text."""
        return self._sorted(Severity.WARNING)

    def add(
        self, code: Code, place: Place | None, path: str, message: str, suggestion: str = ""
    ) -> None:
        """Notes a problem; its code says whether it is a violation or a warning."""
        if code.severity in self._full:
            return
        line, column = (place.line, place.column) if place is not None else (0, 0)
        if len(suggestion) > _MAX_SUGGESTION:
            suggestion = ""
        # Messages may repeat names and parts of patterns.
        texts = (printable(message), printable(suggestion))
        found = self._found[code.severity]
        self._bytes[code.severity] += _PROBLEM_BYTES + sum(
            len(text.encode()) for text in (code.name, path, *texts)
        )
        if len(found) < MAX_PROBLEMS and self._bytes[code.severity] <= MAX_PROBLEMS_BYTES:
            found.append(Violation(code.name, path, line, column, *texts))
            return
        self._full.add(code.severity)
        last = {
            Severity.VIOLATION: Code.TOO_MANY_PROBLEMS,
            Severity.WARNING: Code.TOO_MANY_WARNINGS,
        }[code.severity]
        found.append(Violation(last.name, "", 0, 0, f"Only {len(found)} are reported."))

    def guess(self, find: Callable[[str], str], word: str) -> str:
        """Guesses what a word was meant to be, within a bound on the work."""
        self._guesses += 1
        return find(word) if self._guesses <= _MAX_GUESSES else ""

    def _sorted(self, severity: Severity) -> tuple[Violation, ...]:
        # What has no place is about the whole document and stands last.
        return tuple(
            sorted(
                self._found[severity],
                key=lambda found: (found.line == 0, found.line, found.column),
            )
        )


def quoted(text: str) -> str:
    """Quotes a piece of the profile for a message: short, on one line, printable."""
    short = text if len(text) <= _MAX_QUOTED else text[: _MAX_QUOTED - 3] + "..."
    return "'" + printable(short) + "'"


def path_below(path: str, key: str) -> str:
    """The path of a key of the mapping at a path."""
    short = printable(key[:_MAX_QUOTED])
    return f"{path}.{short}" if path and short else path or short


def printable(text: str) -> str:
    """Replaces what a terminal would not show, or would obey."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
