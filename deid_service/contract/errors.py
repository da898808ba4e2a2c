"""Why a stream as a whole is refused or ends. Knows no transport.

A file that is rejected is not among these: the stream goes on after it.
"""

from __future__ import annotations

from dataclasses import dataclass


class DeidServiceError(Exception):
    """The stream cannot go on."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or type(self).__doc__)

    @property
    def message(self) -> str:
        """The reason in a sentence; holds no value from a file."""
        return str(self)


class ProtocolError(DeidServiceError):
    """A message came out of order or is not what the contract says."""


class InvalidNameError(DeidServiceError):
    """The target is not the name of a project or a device."""


class UnauthenticatedError(DeidServiceError):
    """The stream needs a credential that is accepted: `authorization: Bearer ...`."""


class PermissionDeniedError(DeidServiceError):
    """The caller may not upload there, whether or not it exists."""


class TargetNotFoundError(DeidServiceError):
    """The target does not exist."""


class ProfileNotSupportedError(DeidServiceError):
    """The profile that applies cannot be applied by this build."""


class TableMissingError(DeidServiceError):
    """The profile needs a table that is not there, or lacks a column."""

    def __init__(self, table: str, column: str = "") -> None:
        lacks = f"which has no column {column}" if column else "and there is none of that name here"
        super().__init__(f"The profile needs the table {table}, {lacks}.")


class ProfileServiceUnavailableError(DeidServiceError):
    """ProfileService does not answer, so nobody can say which profile applies.

    Attributes:
        cause: what is known of why, for the log alone.
    """

    def __init__(self, cause: str = "") -> None:
        self.cause = cause
        super().__init__("ProfileService does not answer, so nobody can say which profile applies.")


class AuditUnavailableError(DeidServiceError):
    """The site lets no file out that the audit is not told of, and it cannot be told."""

    def __init__(self) -> None:
        super().__init__(
            "The site lets no file out that the audit is not told of, and it cannot be told now."
        )


class TooManyPreviewsError(DeidServiceError):
    """As many previews are under way as this worker may have."""


class PreviewTooLargeError(DeidServiceError):
    """The file is larger than what is shown."""


class PreviewNotShownError(DeidServiceError):
    """The file can be de-identified, but not shown."""

    def __init__(self, why: str) -> None:
        super().__init__(f"The file can be de-identified, but not shown: {why}.")


class ShuttingDownError(DeidServiceError):
    """The service is shutting down and takes no new streams and files."""


class TooManyStreamsError(DeidServiceError):
    """As many streams are open as this worker may have."""


class StreamIdleError(DeidServiceError):
    """Nothing was sent or read on the stream for too long."""


@dataclass(frozen=True, slots=True)
class ProfileProblem:
    """One violation of a profile that the cascade skipped.

    Attributes:
        code: stable.
        path: where in the document.
        line: from 1; 0 when there is no place.
        column: from 1; 0 when there is no place.
        message: what is wrong, in a sentence.
        suggestion: what was probably meant, or the empty text.
    """

    code: str
    path: str
    line: int
    column: int
    message: str
    suggestion: str


@dataclass(frozen=True, slots=True)
class LevelVerdict:
    """What the cascade made of one level.

    Attributes:
        container: the resource name of the level.
        verdict: SELECTED, ABSENT, INVALID or NOT_CONSULTED.
        version: the profile version that it is about; 0 when there is none.
        problems: why the profile is invalid.
    """

    container: str
    verdict: str
    version: int
    problems: tuple[ProfileProblem, ...]

    def __str__(self) -> str:
        """The verdict in words, with the first problem."""
        text = f"{self.container}: {self.verdict}"
        if not self.problems:
            return text
        first = self.problems[0]
        count = len(self.problems)
        return (
            f"{text} (version {self.version}, {count} violation{'s' if count > 1 else ''}, "
            f"the first in line {first.line}, column {first.column}: {first.code})"
        )


class NoValidProfileError(DeidServiceError):
    """No level of the cascade has a valid profile.

    Attributes:
        verdicts: each level, nearest first.
    """

    def __init__(self, verdicts: tuple[LevelVerdict, ...]) -> None:
        self.verdicts = verdicts
        levels = "; ".join(map(str, verdicts))
        super().__init__(f"No level has a valid profile: {levels}.")


class ProfileInvalidError(DeidServiceError):
    """The profile that was sent is invalid.

    Attributes:
        problems: all violations.
    """

    def __init__(self, problems: tuple[ProfileProblem, ...]) -> None:
        self.problems = problems
        count = len(problems)
        first = problems[0]
        super().__init__(
            f"The profile has {count} violation{'s' if count > 1 else ''}, the first in line "
            f"{first.line}, column {first.column}: {first.code}. {first.message}"
        )
