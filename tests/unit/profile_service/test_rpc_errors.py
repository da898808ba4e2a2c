"""Domain errors as gRPC statuses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from deidcascade.v1 import profile_service_pb2 as pb
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from profile_service import errors
from profile_service.language import Violation
from profile_service.rpc_errors import RETRY_AFTER, STATUSES, to_status

# gRPC's default bound on what a client accepts as metadata.
MAX_TRAILERS = 8192

PROTOS = [
    Path(__file__).parents[3] / f"protos/deidcascade/v1/{name}_service.proto"
    for name in ("profile", "access", "table")
]


def violations(count: int, message: str = "There is no such keyword.") -> list[Violation]:
    """Returns some violations."""
    return [
        Violation("UNKNOWN_KEYWORD", f"dicom.fields[{n}].name", n + 3, 13, message, "PatientName")
        for n in range(count)
    ]


def status_of(error: errors.ProfileServiceError) -> Status:
    """Returns the status that travels in the trailers."""
    ((key, value),) = to_status(error).trailing_metadata
    assert key == "grpc-status-details-bin"
    return Status.FromString(value)


def every_error(root: type[errors.ProfileServiceError]) -> set[type[errors.ProfileServiceError]]:
    """Returns the errors that are raised: the leaves of the tree."""
    below = root.__subclasses__()
    return set().union(*map(every_error, below)) if below else {root}


def test_every_error_has_a_status() -> None:
    """The table knows each error that a call can raise; a build problem is none."""
    assert every_error(errors.ProfileServiceError) - set(STATUSES) == {
        errors.InvalidConninfoError,
        errors.KeyFileError,
        errors.PasswordFileError,
        errors.SchemaTooNewError,
        errors.TokenSettingsError,
    }


def test_the_contract_names_every_reason() -> None:
    """Each stable reason stands in the comments of the contract."""
    words = set(re.findall(r"[A-Z_]+", "".join(proto.read_text() for proto in PROTOS)))
    assert {reason for _, reason in STATUSES.values()} - words == set()


def test_what_passes_says_when_to_try_again() -> None:
    """Those that the contract lists have a RetryInfo, and no others."""
    contract = next(proto for proto in PROTOS if proto.name == "profile_service.proto").read_text()
    table = contract.partition("These pass by themselves")[2].partition("A call that only")[0]
    listed = set(re.findall(r"[A-Z]+(?:_[A-Z]+)+", table))
    assert {STATUSES[error][1] for error in RETRY_AFTER} == listed

    retry, other = RetryInfo(), RetryInfo()
    assert status_of(errors.StoreBusyError("x")).details[1].Unpack(retry)
    assert retry.retry_delay.ToMilliseconds() == 1000
    details = status_of(errors.ContainerNotFoundError("sites/a")).details
    assert [detail.Unpack(other) for detail in details] == [False]


def test_an_invalid_profile_lists_its_violations_for_people() -> None:
    """Each with place, code, sentence and suggestion, in the message itself."""
    status = to_status(errors.ProfileInvalidError("sites/a", violations(2)))
    assert status.details == (
        "The profile is invalid and was not stored. 2 violations:\n"
        "line 3, column 13  dicom.fields[0].name  UNKNOWN_KEYWORD\n"
        "  There is no such keyword. Did you mean 'PatientName'?\n"
        "line 4, column 13  dicom.fields[1].name  UNKNOWN_KEYWORD\n"
        "  There is no such keyword. Did you mean 'PatientName'?"
    )


def test_an_invalid_profile_lists_its_violations_for_programs() -> None:
    """The same, as a message in the details."""
    detail = pb.ProfileViolations()
    status = status_of(errors.ProfileInvalidError("sites/a", violations(2)))
    assert status.details[1].Unpack(detail)
    assert [each.line for each in detail.violations] == [3, 4]
    assert detail.violations[0].suggestion == "PatientName"


@pytest.mark.parametrize("message", ["There is no such keyword.", "\u5f20" * 200, "%" * 200])
def test_a_status_stays_within_what_clients_accept(message: str) -> None:
    """However many violations there are, and in whatever script, the trailers fit."""
    error = errors.ProfileInvalidError("sites/a", violations(1000, message))
    status = to_status(error)
    escaped = sum(
        1 if " " <= char <= "~" and char != "%" else 3 * len(char.encode())
        for char in status.details
    )
    details = 4 * (len(status.trailing_metadata[0][1]) + 2) // 3
    assert escaped + details < MAX_TRAILERS - 500
    shown = status.details.count("UNKNOWN_KEYWORD")
    assert status.details.endswith(
        f"... and {1000 - shown} more; ValidateProfile answers with all of them."
    )
