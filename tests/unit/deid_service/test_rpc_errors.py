"""Every error has its status, and the contract names each."""

from __future__ import annotations

import re
from pathlib import Path

import deidcascade.v1
import pytest

from deid_service.contract import errors
from deid_service.contract.rpc_errors import STATUSES, code_and_reason


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
        ("one of these reasons:\n", "  rpc Deidentify("),
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


def test_reasons_are_stable() -> None:
    """An error says the same to everyone."""
    code, reason = code_and_reason(errors.StreamIdleError())

    assert (code.name, reason) == ("RESOURCE_EXHAUSTED", "STREAM_IDLE")
