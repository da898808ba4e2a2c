"""The one place where domain errors become gRPC statuses.

Every status carries a google.rpc.ErrorInfo with a stable reason; one that is about a
field of the request a google.rpc.BadRequest; that of an invalid profile the violations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import grpc
from deidcascade.v1 import profile_service_pb2 as pb
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from profile_service import errors, messages

if TYPE_CHECKING:
    from collections.abc import Iterable

    from profile_service.language import Violation

DOMAIN = "deidcascade"

# A status travels in HTTP/2 trailers, and a gRPC client refuses more than 8 KiB of them
# unless told otherwise. The message travels twice: percent-encoded, and once more
# within the details, which are in base64. These bounds together stay below 7 KiB.
MAX_MESSAGE_BYTES = 1800
MAX_DETAIL_BYTES = 1900

_INVALID = grpc.StatusCode.INVALID_ARGUMENT
_NOT_FOUND = grpc.StatusCode.NOT_FOUND

STATUSES: dict[type[errors.ProfileServiceError], tuple[grpc.StatusCode, str]] = {
    errors.InvalidNameError: (_INVALID, "INVALID_NAME"),
    errors.InvalidContainerError: (_INVALID, "INVALID_CONTAINER"),
    errors.InvalidUpdateMaskError: (_INVALID, "INVALID_UPDATE_MASK"),
    errors.InvalidPageSizeError: (_INVALID, "INVALID_PAGE_SIZE"),
    errors.InvalidPageTokenError: (_INVALID, "INVALID_PAGE_TOKEN"),
    errors.InvalidVersionError: (_INVALID, "INVALID_VERSION"),
    errors.InvalidDigestError: (_INVALID, "INVALID_DIGEST"),
    errors.InvalidFilterError: (_INVALID, "INVALID_FILTER"),
    errors.InvalidNoteError: (_INVALID, "INVALID_NOTE"),
    errors.InvalidFileEventError: (_INVALID, "INVALID_FILE_EVENT"),
    errors.ProfileInvalidError: (_INVALID, "PROFILE_INVALID"),
    errors.ContainerNotFoundError: (_NOT_FOUND, "CONTAINER_NOT_FOUND"),
    errors.ParentNotFoundError: (_NOT_FOUND, "PARENT_NOT_FOUND"),
    errors.TargetNotFoundError: (_NOT_FOUND, "TARGET_NOT_FOUND"),
    errors.ProfileNotFoundError: (_NOT_FOUND, "PROFILE_NOT_FOUND"),
    errors.VersionNotFoundError: (_NOT_FOUND, "VERSION_NOT_FOUND"),
    errors.ContainerAlreadyExistsError: (
        grpc.StatusCode.ALREADY_EXISTS,
        "CONTAINER_ALREADY_EXISTS",
    ),
    errors.ContainerNotEmptyError: (
        grpc.StatusCode.FAILED_PRECONDITION,
        "CONTAINER_NOT_EMPTY",
    ),
    errors.InvalidCodeError: (_INVALID, "INVALID_CODE"),
    errors.InvalidTableError: (_INVALID, "INVALID_TABLE"),
    errors.TableInvalidError: (_INVALID, "TABLE_INVALID"),
    errors.TableNotFoundError: (_NOT_FOUND, "TABLE_NOT_FOUND"),
    errors.CodesExhaustedError: (grpc.StatusCode.FAILED_PRECONDITION, "CODES_EXHAUSTED"),
    errors.NoMasterKeyError: (grpc.StatusCode.FAILED_PRECONDITION, "NO_MASTER_KEY"),
    errors.InvalidChangeError: (_INVALID, "INVALID_CHANGE"),
    errors.ChangeNotFoundError: (_NOT_FOUND, "CHANGE_NOT_FOUND"),
    errors.ApprovalRequiredError: (
        grpc.StatusCode.FAILED_PRECONDITION,
        "APPROVAL_REQUIRED",
    ),
    errors.SamePersonError: (grpc.StatusCode.FAILED_PRECONDITION, "SAME_PERSON"),
    errors.ChangeDecidedError: (grpc.StatusCode.FAILED_PRECONDITION, "CHANGE_DECIDED"),
    errors.TooManyChangesError: (grpc.StatusCode.FAILED_PRECONDITION, "TOO_MANY_CHANGES"),
    errors.EtagMismatchError: (grpc.StatusCode.ABORTED, "ETAG_MISMATCH"),
    errors.InvalidPrincipalError: (_INVALID, "INVALID_PRINCIPAL"),
    errors.InvalidRoleError: (_INVALID, "INVALID_ROLE"),
    errors.InvalidKeyError: (_INVALID, "INVALID_KEY"),
    errors.RoleNotFoundError: (_NOT_FOUND, "ROLE_NOT_FOUND"),
    errors.KeyNotFoundError: (_NOT_FOUND, "KEY_NOT_FOUND"),
    errors.BindingNotFoundError: (_NOT_FOUND, "BINDING_NOT_FOUND"),
    errors.UnauthenticatedError: (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED"),
    errors.PermissionDeniedError: (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED"),
    errors.ServiceRefusedError: (grpc.StatusCode.PERMISSION_DENIED, "SERVICE_REFUSED"),
    errors.LastAdminError: (grpc.StatusCode.FAILED_PRECONDITION, "LAST_ADMIN"),
    errors.RoleInUseError: (grpc.StatusCode.FAILED_PRECONDITION, "ROLE_IN_USE"),
    errors.CallIdleError: (grpc.StatusCode.RESOURCE_EXHAUSTED, "CALL_IDLE"),
    errors.TooManyCallsError: (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_CALLS"),
    errors.StoreUnavailableError: (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE"),
    errors.SchemaTooOldError: (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE"),
    errors.StoreBusyError: (grpc.StatusCode.UNAVAILABLE, "STORE_BUSY"),
    errors.StoreFaultError: (grpc.StatusCode.INTERNAL, "INTERNAL"),
    # What is not foreseen: its text says nothing but that.
    errors.ProfileServiceError: (grpc.StatusCode.INTERNAL, "INTERNAL"),
}

# What passes by itself, and after how many milliseconds it may be asked again at the earliest:
# time for a restart, or for others to end.
RETRY_AFTER: dict[type[errors.ProfileServiceError], int] = {
    errors.CallIdleError: 0,
    errors.TooManyCallsError: 1000,
    errors.StoreUnavailableError: 1000,
    errors.SchemaTooOldError: 1000,
    errors.StoreBusyError: 1000,
}

UNFORESEEN = errors.ProfileServiceError(
    "The service failed; its log says where, at the time of this call."
)


def code_and_reason(error: errors.ProfileServiceError) -> tuple[grpc.StatusCode, str]:
    """Returns the status code and the stable reason of an error."""
    return STATUSES[type(error)]


def to_status(error: errors.ProfileServiceError) -> grpc.Status:
    """Returns what a call is aborted with."""
    code, reason = code_and_reason(error)
    number: int = code.value[0]
    status = Status(code=number, message=error.message)
    status.details.add().Pack(ErrorInfo(reason=reason, domain=DOMAIN, metadata=error.names))
    if type(error) in RETRY_AFTER:
        retry = RetryInfo()
        retry.retry_delay.FromMilliseconds(RETRY_AFTER[type(error)])
        status.details.add().Pack(retry)
    if isinstance(error, errors.InvalidRequestError):
        field = BadRequest.FieldViolation(field=error.field, description=error.rule)
        status.details.add().Pack(BadRequest(field_violations=[field]))
    if isinstance(error, errors.ProfileInvalidError | errors.TableInvalidError):
        status.message = _list_violations(error)
        status.details.add().Pack(_violations_detail(error.violations))
    return rpc_status.to_status(status)


def _list_violations(error: errors.ProfileInvalidError | errors.TableInvalidError) -> str:
    """Every violation, for people, as far as the bound allows."""
    is_profile = isinstance(error, errors.ProfileInvalidError)
    with_all = "ValidateProfile answers" if is_profile else "SetTable with validate_only answers"
    total = len(error.violations)
    lines = [f"{error.message} {total} violation{'' if total == 1 else 's'}:"]
    # For the line that says what is left out.
    budget = MAX_MESSAGE_BYTES - _sent_bytes(lines[0]) - 150
    for shown, violation in enumerate(error.violations):
        text = _describe(violation)
        budget -= _sent_bytes(text)
        if budget < 0:
            lines.append(f"... and {total - shown} more; {with_all} with all of them.")
            break
        lines.append(text)
    return "\n".join(lines)


def _describe(violation: Violation) -> str:
    column = f", column {violation.column}" if violation.column else ""
    place = f"line {violation.line}{column}  " if violation.line else ""
    path = f"{violation.path}  " if violation.path else ""
    guess = f" Did you mean '{violation.suggestion}'?" if violation.suggestion else ""
    return f"{place}{path}{violation.code}\n  {violation.message}{guess}"


def _sent_bytes(text: str) -> int:
    """The larger of its two forms: percent-encoded as gRPC does it, with a line end."""
    return len(quote(text, safe=" !\"#$&'()*+,/:;<=>?@[\\]^`{|}")) + len("%0A")


def _violations_detail(violations: Iterable[Violation]) -> pb.ProfileViolations:
    """Every violation, for programs, as far as the bound allows."""
    detail = pb.ProfileViolations()
    budget = MAX_DETAIL_BYTES
    for violation in violations:
        message = messages.violation(violation)
        # With its tag and its length.
        budget -= message.ByteSize() + 4
        if budget < 0:
            break
        detail.violations.append(message)
    return detail
