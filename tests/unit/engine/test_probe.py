"""Whose file it is, before anything is done to it; and the code that the patient was given."""

from __future__ import annotations

import pytest

from deid_service.engine import (
    Given,
    PatientProbe,
    code_digest,
    knowing,
    known_of,
    seeking,
    table_digests,
)
from tests.support.engine.build import dicom, el, sq
from tests.support.engine.every_way import deidentified, plan_of, rejected, values_of

ASSIGN = "name: PatientID, assign: 'LUNG-{0000}'"
DATA = {
    "plain": dicom(
        el("StudyDate", "20200601"),
        sq("ReferencedImageSequence", [el("PatientID", "8")], undefined=True),
        el("PatientID", "7 "),
        el("IssuerOfPatientID", "HERE"),
        el("Rows", (512,)),
    ),
    "deflated": dicom(el("PatientID", "7"), el("IssuerOfPatientID", "HERE"), deflated=True),
    "described": dicom(
        el("StudyDescription", "of a patient"),
        el("PatientName", "A^B"),
        el("PatientID", "7"),
        el("IssuerOfPatientID", "HERE"),
        el("Rows", (512,)),
    ),
    "short": dicom(el("PatientID", "7"), el("IssuerOfPatientID", "HERE")),
}


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
@pytest.mark.parametrize("data", DATA.values(), ids=DATA)
@pytest.mark.parametrize("more", [(), ("name: StudyDescription, clean: true",)])
def test_patient(data: bytes, size: int, more: tuple[str, ...]) -> None:
    """The patient is told as the engine tells it, however the file is cut, once and again."""
    plan = seeking(plan_of(ASSIGN, *more))
    told = []

    for _ in range(2):
        probe = PatientProbe(plan)
        pieces = (data[start : start + size] for start in range(0, len(data), size))
        if not any(probe.receive(piece) for piece in pieces):
            probe.finish()
        told.append(probe.known_by)

    assert told == ["7\0HERE", "7\0HERE"]


@pytest.mark.parametrize(
    "data", [dicom(el("Rows", (512,))), b"", b"no DICOM" * 40, DATA["plain"][:230]]
)
def test_nobody(data: bytes) -> None:
    """Where the file says nobody, or is none, nobody is told; the engine says what is wrong."""
    plan = plan_of(ASSIGN)
    probe = PatientProbe(seeking(plan))

    if not probe.receive(data):
        probe.finish()

    assert probe.known_by is None
    rejected(data, plan)


def test_code() -> None:
    """The value becomes the code that the patient has; without one the file is rejected."""
    plan = plan_of(ASSIGN, "name: PatientName, assign: 'LUNG-{0000}'")

    error = rejected(DATA["plain"], plan)
    known_of(plan)["7\0HERE"] = Given("LUNG-0042")
    output = deidentified(DATA["plain"], plan)

    assert error[0] == "VALUE_NOT_TRANSFORMABLE"
    assert values_of(output)[0x00100010] == values_of(output)[0x00100020] == b"LUNG-0042 "


def test_digests() -> None:
    """Two patients have two digests, and the same is the same again."""
    plan = plan_of(ASSIGN)

    found = [code_digest(plan, patient) for patient in ("7", "8", "7")]

    assert found[0] == found[2] != found[1]
    assert len(found[0]) == 32


def test_at_hand() -> None:
    """Where what patients were given is at hand, nobody has to be asked before."""
    plan = knowing(plan_of(ASSIGN), lambda known_by: Given(f"OF-{known_by[0]}"))

    assert values_of(deidentified(DATA["plain"], plan))[0x00100020] == b"OF-7"


def test_digests_of_tables() -> None:
    """The same patient is found by another digest in each table, in any letter case."""
    rule = "name: PatientID, lookup: {table: trial, column: code}"
    exact, folded = plan_of(rule), plan_of(rule, pseudonyms="{ignore-case: true}")

    found = [table_digests(exact, table, id_) for table in ("trial", "others") for id_ in "aA"]

    assert found[0][0] == found[0][1] == found[1][0] != found[1][1]
    assert found[0][0] != found[2][0] == found[3][0]
    assert table_digests(folded, "trial", "a") == (found[0][0], b"")
