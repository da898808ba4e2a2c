"""Every error has its status, and the contract names each."""

from __future__ import annotations

import re
from pathlib import Path

import deidcascade.v1
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from deid_service.contract import errors
from deid_service.contract.rpc_errors import STATUSES, code_and_reason, to_status

DETAILS = "grpc-status-details-bin"

# Those that are made of more than a sentence.
EXAMPLES: dict[type[errors.DeidServiceError], errors.DeidServiceError] = {
    errors.AuditUnavailableError: errors.AuditUnavailableError(),
    errors.NoValidProfileError: errors.NoValidProfileError(()),
    errors.ProfileInvalidError: errors.ProfileInvalidError(
        (errors.ProfileProblem("CODE", "dicom", 1, 1, "It is wrong.", ""),)
    ),
}


def every_error() -> list[type[errors.DeidServiceError]]:
    """Returns all errors of a stream."""
    return [errors.DeidServiceError, *errors.DeidServiceError.__subclasses__()]


@pytest.mark.parametrize("error", every_error())
def test_every_error_has_a_status(error: type[errors.DeidServiceError]) -> None:
    """No error of a stream is missing in the table."""
    assert error in STATUSES


def test_the_contract_names_every_reason() -> None:
    """What callers read lists each reason, on the line of its status code or below it."""
    contract = Path(deidcascade.v1.__path__[0], "deid_service.proto").read_text()
    named: dict[str, set[str]] = {}
    for begin, end in (
        ("one of these reasons:\n", "These pass by themselves"),
        ("The statuses are those of Deidentify, and\n", "  rpc PreviewProfile("),
    ):
        table = contract.partition(begin)[2].partition(end)[0]
        for code, reasons in re.findall(
            r"^  //   ([A-Z_]+)  (.*(?:\n  //    .*)*)", table, re.MULTILINE
        ):
            named.setdefault(code, set()).update(re.findall(r"[A-Z_]{6,}", reasons))

    expected: dict[str, set[str]] = {}
    for code, reason in STATUSES.values():
        expected.setdefault(code.name, set()).add(reason)
    assert expected == named


def test_what_passes_says_when_to_try_again() -> None:
    """Those that the contract lists have a RetryInfo, and no others."""
    contract = Path(deidcascade.v1.__path__[0], "deid_service.proto").read_text()
    table = contract.partition("These pass by themselves")[2].partition("All others come")[0]
    listed = set(re.findall(r"[A-Z]+(?:_[A-Z]+)+", table))

    told = {}
    for error in every_error():
        made = EXAMPLES.get(error) or error("why")
        status = Status.FromString(dict(to_status(made).trailing_metadata or ())[DETAILS])
        retry = RetryInfo()
        if any(detail.Unpack(retry) for detail in status.details):
            told[code_and_reason(made)[1]] = retry.retry_delay.ToMilliseconds()

    assert told.keys() == listed
    assert told["STREAM_IDLE"] == 0
    assert {delay for reason, delay in told.items() if reason != "STREAM_IDLE"} == {1000}


def test_reasons_are_stable() -> None:
    """An error says the same to everyone."""
    code, reason = code_and_reason(errors.StreamIdleError())

    assert (code.name, reason) == ("RESOURCE_EXHAUSTED", "STREAM_IDLE")
