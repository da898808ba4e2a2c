"""The one place where errors of a stream become gRPC statuses, and back.

Every status carries a google.rpc.ErrorInfo with a stable reason; a refusal for
want of a valid profile also carries the verdict on every level.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import grpc
from deidcascade.v1 import profile_service_pb2 as profile_pb
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from deid_service.contract import errors
from deid_service.contract.errors import LevelVerdict, ProfileProblem

if TYPE_CHECKING:
    from google.protobuf.any_pb2 import Any

DOMAIN = "deidcascade"

# Details travel in HTTP/2 trailers, which gRPC refuses beyond 8 KiB by default
# on the caller's side. The message is sent twice, percent-encoded the second
# time, and details once, in base64.
MAX_DETAIL_BYTES = 3072
MAX_MESSAGE_CHARACTERS = 1024

STATUSES: dict[type[errors.DeidServiceError], tuple[grpc.StatusCode, str]] = {
    errors.ProtocolError: (grpc.StatusCode.INVALID_ARGUMENT, "PROTOCOL_ERROR"),
    errors.InvalidNameError: (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_NAME"),
    errors.UnauthenticatedError: (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED"),
    errors.PermissionDeniedError: (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED"),
    errors.TargetNotFoundError: (grpc.StatusCode.NOT_FOUND, "TARGET_NOT_FOUND"),
    errors.NoValidProfileError: (grpc.StatusCode.FAILED_PRECONDITION, "NO_VALID_PROFILE"),
    errors.ProfileNotSupportedError: (
        grpc.StatusCode.FAILED_PRECONDITION,
        "PROFILE_NOT_SUPPORTED",
    ),
    errors.TableMissingError: (grpc.StatusCode.FAILED_PRECONDITION, "TABLE_MISSING"),
    errors.ProfileInvalidError: (grpc.StatusCode.INVALID_ARGUMENT, "PROFILE_INVALID"),
    errors.PreviewNotShownError: (grpc.StatusCode.FAILED_PRECONDITION, "NOT_SHOWN"),
    errors.PreviewTooLargeError: (grpc.StatusCode.INVALID_ARGUMENT, "PREVIEW_TOO_LARGE"),
    errors.TooManyPreviewsError: (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_PREVIEWS"),
    errors.AuditUnavailableError: (grpc.StatusCode.UNAVAILABLE, "AUDIT_UNAVAILABLE"),
    errors.ProfileServiceUnavailableError: (
        grpc.StatusCode.UNAVAILABLE,
        "PROFILE_SERVICE_UNAVAILABLE",
    ),
    errors.ShuttingDownError: (grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN"),
    errors.TooManyStreamsError: (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_STREAMS"),
    errors.StreamIdleError: (grpc.StatusCode.RESOURCE_EXHAUSTED, "STREAM_IDLE"),
    # What is not foreseen: its text says nothing but that.
    errors.DeidServiceError: (grpc.StatusCode.INTERNAL, "INTERNAL"),
}

# What passes by itself, and after how many milliseconds it may be asked again at the earliest:
# time for a restart, or for others to end.
RETRY_AFTER: dict[type[errors.DeidServiceError], int] = {
    errors.ProfileServiceUnavailableError: 1000,
    errors.ShuttingDownError: 1000,
    errors.AuditUnavailableError: 1000,
    errors.TooManyStreamsError: 1000,
    errors.TooManyPreviewsError: 1000,
    errors.StreamIdleError: 0,
}
# The same of a connection that broke, or where nobody is there.
BROKEN_RETRY_MS = 1000

# What gRPC says of these where no service says why. CANCELLED without the caller's doing is what
# becomes of a call that reached a service just when it stopped.
BROKEN = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}


def code_and_reason(error: errors.DeidServiceError) -> tuple[grpc.StatusCode, str]:
    """Returns the status code and the stable reason of an error."""
    return STATUSES[type(error)]


def to_status(error: errors.DeidServiceError) -> grpc.Status:
    """Returns what a call is aborted with."""
    code, reason = code_and_reason(error)
    number: int = code.value[0]
    status = Status(code=number, message=error.message[:MAX_MESSAGE_CHARACTERS])
    status.details.add().Pack(ErrorInfo(reason=reason, domain=DOMAIN))
    if type(error) in RETRY_AFTER:
        retry = RetryInfo()
        retry.retry_delay.FromMilliseconds(RETRY_AFTER[type(error)])
        status.details.add().Pack(retry)
    if isinstance(error, errors.NoValidProfileError):
        status.details.add().Pack(_cascade_verdicts(error.verdicts))
    if isinstance(error, errors.ProfileInvalidError):
        status.details.add().Pack(_violations(error.problems))
    return rpc_status.to_status(status)


def _cascade_verdicts(verdicts: tuple[LevelVerdict, ...]) -> profile_pb.CascadeVerdicts:
    """Every level; of the problems as many as fit, each level's first ones first."""
    detail = profile_pb.CascadeVerdicts()
    for verdict in verdicts:
        detail.levels.add(
            container=verdict.container,
            verdict=profile_pb.Verdict.Value(f"VERDICT_{verdict.verdict}"),
            version=verdict.version,
        )
    budget = MAX_DETAIL_BYTES - detail.ByteSize()
    most = max((len(verdict.problems) for verdict in verdicts), default=0)
    for rank in range(most):
        for level, verdict in zip(detail.levels, verdicts, strict=True):
            if rank >= len(verdict.problems):
                continue
            violation = _violation(verdict.problems[rank])
            # Its tag and its length take up to five bytes more, and so may the
            # growing length of the level.
            budget -= violation.ByteSize() + 8
            if budget < 0:
                return detail
            level.violations.append(violation)
    return detail


def _violations(problems: tuple[ProfileProblem, ...]) -> profile_pb.ProfileViolations:
    """The first violations, as many as fit."""
    detail = profile_pb.ProfileViolations()
    budget = MAX_DETAIL_BYTES
    for violation in map(_violation, problems):
        # With its tag and its length.
        budget -= violation.ByteSize() + 4
        if budget < 0:
            break
        detail.violations.append(violation)
    return detail


def _violation(problem: ProfileProblem) -> profile_pb.Violation:
    return profile_pb.Violation(
        code=problem.code,
        path=problem.path,
        line=problem.line,
        column=problem.column,
        message=problem.message,
        suggestion=problem.suggestion,
    )


def verdicts_of(levels: profile_pb.CascadeVerdicts) -> tuple[LevelVerdict, ...]:
    """Returns the verdicts of a message as data."""
    return tuple(
        LevelVerdict(
            container=level.container,
            verdict=profile_pb.Verdict.Name(level.verdict).removeprefix("VERDICT_")
            if level.verdict in profile_pb.Verdict.values()
            else "UNSPECIFIED",
            version=level.version,
            problems=tuple(
                ProfileProblem(
                    violation.code,
                    violation.path,
                    violation.line,
                    violation.column,
                    violation.message,
                    violation.suggestion,
                )
                for violation in level.violations
            ),
        )
        for level in levels.levels
    )


class Details(NamedTuple):
    """What an error of a service carries.

    Attributes:
        reason: the stable reason; empty where there is none, as of a connection that broke.
        verdicts: on the levels, where no profile is valid.
        retry_after: after how many seconds it may be tried again, as the service says or as the
            contract has it; None where it does not pass by itself.
    """

    reason: str = ""
    verdicts: tuple[LevelVerdict, ...] = ()
    retry_after: float | None = None


def read_details(error: grpc.RpcError | grpc.Call) -> Details:
    """Returns what an error carries; what cannot be read is left out."""
    found = Details()
    for detail in _details(error):
        info, levels, retry = ErrorInfo(), profile_pb.CascadeVerdicts(), RetryInfo()
        try:
            if detail.Unpack(info) and info.domain == DOMAIN:
                found = found._replace(reason=info.reason)
            elif detail.Unpack(levels):
                found = found._replace(verdicts=verdicts_of(levels))
            elif detail.Unpack(retry):
                found = found._replace(retry_after=retry.retry_delay.ToMilliseconds() / 1000)
        except DecodeError:
            continue
    if found.retry_after is None:
        found = found._replace(retry_after=_retry_after(error, found.reason))
    return found


def _retry_after(error: grpc.RpcError | grpc.Call, reason: str) -> float | None:
    """Returns what the contract says of a status whose service says nothing."""
    if not reason and getattr(error, "code", lambda: None)() in BROKEN:
        return BROKEN_RETRY_MS / 1000
    kinds = (kind for kind in RETRY_AFTER if STATUSES[kind][1] == reason)
    return next((RETRY_AFTER[kind] / 1000 for kind in kinds), None)


def _details(error: grpc.RpcError | grpc.Call) -> list[Any]:
    metadata = getattr(error, "trailing_metadata", lambda: None)() or ()
    for key, value in metadata:
        if key == "grpc-status-details-bin":
            try:
                return list(Status.FromString(value).details)
            except DecodeError:
                return []
    return []
