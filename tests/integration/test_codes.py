"""Codes that are given to patients: one each, never twice, whatever happens meanwhile."""

from __future__ import annotations

import random
from contextlib import ExitStack
from io import BytesIO
from typing import TYPE_CHECKING

import pydicom
import pytest
from deidcascade.v1 import deid_service_pb2 as deid_pb
from deidcascade.v1 import profile_service_pb2 as pb

from profile_service.keys.files import write_secret
from tests.integration.test_keys import of_patient, pair, project
from tests.support import callers
from tests.support.attacker import dumped
from tests.support.deid_service import Caller, opened, whole_file
from tests.support.engine.build import dicom, el
from tests.support.refusals import refused
from tests.support.storm import Storm, Victim, check

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.test_keys import Pair


def profile(pattern: str, scope: str = "project", more: str = "") -> str:
    """Returns a profile that gives codes."""
    return (
        f"dicom:\n  pseudonyms: {{scope: {scope}}}\n  fields:\n"
        f"    - {{name: PatientID, assign: '{pattern}'{more}}}\n"
        f"    - {{name: PatientName, assign: '{pattern}'{more}}}\n"
    )


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A folder with a master key."""
    write_secret(tmp_path / "master.key")
    return tmp_path


def codes(address: str, target: str, patients: list[str]) -> list[str]:
    """De-identifies a file of each patient on one stream; returns the codes, or reasons."""
    with callers.channel(address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        caller = Caller(channel, opened(target))
        for patient in patients:
            caller.send(*whole_file(of_patient(patient)))
        caller.half_close()
        found = []
        for _ in patients:
            output, result = caller.receive_result()
            if result.HasField("rejection"):
                found.append(pb_reason(result.rejection.reason))
                continue
            made = pydicom.dcmread(BytesIO(output))
            assert made.PatientName == made.PatientID
            found.append(str(made.PatientID))
    return found


def batch(address: str, patients: list[str]) -> list[str]:
    """De-identifies a file of each patient, in one message; returns the codes, or reasons."""
    files = [of_patient(patient) for patient in patients]
    parts = [
        deid_pb.RequestPart(file=deid_pb.FileStart(), chunk=data, file_end=deid_pb.FileEnd())
        for data in files
    ]
    with callers.channel(address) as channel:
        caller = Caller(channel, opened(project()))
        caller.receive()
        caller.send(deid_pb.DeidentifyRequest(batch=deid_pb.RequestBatch(parts=parts)))
        caller.half_close()
        answers = [part for each in caller.receive_all() for part in each.batch.parts]
    found, output = [], b""
    for part in answers:
        output += part.chunk
        if part.HasField("result"):
            if part.result.HasField("rejection"):
                found.append(pb_reason(part.result.rejection.reason))
            else:
                found.append(str(pydicom.dcmread(BytesIO(output)).PatientID))
            output = b""
    return found


def pb_reason(number: int) -> str:
    """Returns the name of a reason."""
    return deid_pb.RejectionReason.Name(number)  # type: ignore[arg-type]


def subjects(services: Pair, container: str, code: str = "") -> dict[str, str]:
    """Returns who has which code, as the service tells it."""
    request = pb.ListSubjectsRequest(container=container, code=code)
    found = services.service.ListSubjects(request).subjects
    return {each.original: each.code for each in found}


def test_one_code_for_each_patient(database: str, keys: Path) -> None:
    """Patients are given the next codes, keep them, and are told to who may know."""
    with pair(database, keys) as services:
        services.make_containers()
        services.set("sites/a", profile("LUNG-{0000}"))
        address = services.deid_address

        first = codes(address, project(), ["p", "q", "p ", "r", "q"])
        again = codes(address, project(), ["r", "s"])
        elsewhere = codes(address, project(name="2"), ["s", "p"])
        told = subjects(services, project())
        one = subjects(services, project(), "LUNG-0002")
        reads = pb.ListAuditEventsRequest(parent="sites/a", action="subjects.read")
        events = services.service.ListAuditEvents(reads)

    assert first == ["LUNG-0001", "LUNG-0002", "LUNG-0001", "LUNG-0003", "LUNG-0002"]
    assert again == ["LUNG-0003", "LUNG-0004"]
    assert elsewhere == ["LUNG-0001", "LUNG-0002"]
    assert told == {"p": "LUNG-0001", "q": "LUNG-0002", "r": "LUNG-0003", "s": "LUNG-0004"}
    assert one == {"q": "LUNG-0002"}
    assert [event.resource for event in events.events] == [project()] * 2


@pytest.mark.parametrize("scope", ["group", "site"])
def test_scope_and_issuer(database: str, keys: Path, scope: str) -> None:
    """Within the scope no code is given twice; the same number of two issuers is two patients."""
    with pair(database, keys) as services:
        services.make_containers()
        services.set("sites/a", profile("C{000}", scope))
        codes(services.deid_address, project(), ["p"])
        second = codes(services.deid_address, project(name="2"), ["q", "p"])
        with callers.channel(services.deid_address) as channel:
            caller = Caller(channel, opened(project()))
            parts = [el("PatientID", "p"), el("IssuerOfPatientID", "THERE")]
            caller.send(*whole_file(dicom(el("SOPInstanceUID", "1.2"), *parts)))
            output, _ = caller.receive_result()
            caller.half_close()
        container = "sites/a/groups/g" if scope == "group" else "sites/a"
        request = pb.ListSubjectsRequest(container=container)
        told = services.service.ListSubjects(request).subjects

    assert second == ["C002", "C001"]
    assert str(pydicom.dcmread(BytesIO(output)).PatientID) == "C003"
    assert [(each.original, each.issuer) for each in told] == [
        ("p", ""),
        ("q", ""),
        ("p", "THERE"),
    ]


@pytest.mark.parametrize("more", ["", ", random-order: true"])
def test_a_pattern_that_runs_out(database: str, keys: Path, more: str) -> None:
    """Who comes when all codes are given is rejected, and has one when the pattern is widened."""
    with pair(database, keys) as services:
        services.make_containers()
        services.set("sites/a", profile("{0}", more=more))
        first = codes(services.deid_address, project(), [f"p{number}" for number in range(10)])
        services.set("sites/a", profile("{00}", more=more))
        second = codes(services.deid_address, project(), ["p9", "p0"])

    assert sorted(first[:9]) == [str(number) for number in range(1, 10)]
    assert (first[:9] == sorted(first[:9])) is (not more)
    assert first[9] == "REJECTION_REASON_LIMIT_EXCEEDED"
    assert len(second[0]) == 2
    assert second[1] == first[0]


@pytest.mark.parametrize("more", ["", ", random-order: true"])
def test_a_batch(database: str, keys: Path, more: str) -> None:
    """Files in one message have the codes they would have alone, while there are any."""
    with pair(database, keys) as services:
        services.make_containers()
        services.set("sites/a", profile("{0}", more=more))
        first = batch(services.deid_address, ["p", "q", " ", "p", "r"])
        second = batch(services.deid_address, ["s", "q", "t", "u", "v", "w"])
        third = batch(services.deid_address, ["x", "r", "y", "p"])
        told = subjects(services, project())

    assert first[2] == "REJECTION_REASON_VALUE_NOT_TRANSFORMABLE"
    assert third[2] == "REJECTION_REASON_LIMIT_EXCEEDED"
    assert [first[3], second[1], third[1], third[3]] == [first[0], first[1], first[4], first[0]]
    given = [*first[:2], first[4], second[0], *second[2:], third[0]]
    assert sorted(given) == list("123456789")
    assert (given == sorted(given)) is (not more)
    assert told == dict(zip("pqrstuvwx", given, strict=True))


def test_files_that_say_no_patient(database: str, keys: Path) -> None:
    """They are rejected, and those around them are not."""
    with pair(database, keys) as services:
        services.make_containers()
        services.set("sites/a", profile("LUNG-{0000}"))

        found = codes(services.deid_address, project(), ["p", " ", "q"])

    assert found == ["LUNG-0001", "REJECTION_REASON_VALUE_NOT_TRANSFORMABLE", "LUNG-0002"]


def test_without_a_master_key_nobody_is_told(database: str, keys: Path) -> None:
    """The dump holds no patient, and a service with another master key tells none."""
    write_secret(keys / "other.key")
    with pair(database, keys) as services:
        services.make_containers()
        services.set("sites/a", profile("LUNG-{0000}"))
        codes(services.deid_address, project(), ["4711007"])
    with pair(database, keys, master="other") as services:
        with refused("FAILED_PRECONDITION", "NO_MASTER_KEY"):
            subjects(services, project())
        assert services.refusal(project())[0] == "PROFILE_NOT_SUPPORTED"

    assert b"4711007" not in dumped(database)


def test_storm(tmp_path: Path) -> None:
    """Each of many new patients has one code, whoever is killed: PostgreSQL, or a worker."""
    patients = [f"patient {number}" for number in range(240)]
    with ExitStack() as running:
        storm = Storm(tmp_path, running, random.Random(1))  # noqa: S311 - no secret
        storm.prepare("assign: 'LUNG-{0000}'")

        found = storm.rage(patients, times=1)
        told = storm.told()

    check(patients, found, told)
    # None is left out: no number was given to nobody.
    assert sorted(found.values()) == [f"LUNG-{number:04}" for number in range(1, 241)]
    assert set(storm.killed) == set(Victim)
