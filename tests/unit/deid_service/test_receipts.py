"""What is said of files is what protobuf would say, field by field."""

import pytest
from deidcascade.v1 import deid_service_pb2 as pb
from deidcascade.v1 import profile_service_pb2 as profile_pb

from deid_service.engine import ENGINE_VERSION, Result, compile_plan
from deid_service.serving.digest import Digest, NoDigest
from deid_service.serving.receipts import (
    MAX_KNOWN_ACTIONS,
    Receipts,
    file_output,
    file_rejected,
)
from deid_service.serving.resolver import AppliedProfile
from profile_service.language import parse_profile

NAME = "sites/hospital/groups/radiology/projects/trial/profile"
APPLIED = AppliedProfile(
    plan=compile_plan(parse_profile(b"version: 1\ndicom: {fields: [{name: PatientName}]}\n")),
    treatment=pb.TREATMENT_DEIDENTIFIED,
    outcome=profile_pb.OUTCOME_PROFILE,
    name=NAME,
    version=3,
    sha256="0" * 64,
)
FILE_IDS = ["", "7", "Aufnahme 12 äöü 撮影", "x" * 1024]


@pytest.mark.parametrize("file_id", FILE_IDS)
@pytest.mark.parametrize("size", [0, 1, 127, 128, 32_768, 5_000_000_000])
@pytest.mark.parametrize("warnings", [(), ("one", "another, größer")])
@pytest.mark.parametrize("digested", [True, False])
def test_a_receipt_says_what_was_done(
    file_id: str, size: int, warnings: tuple[str, ...], *, digested: bool
) -> None:
    """Whatever of it is empty, and however long its numbers are."""
    receipts = Receipts(APPLIED, "key-1")
    digest = Digest() if digested else NoDigest()
    digest.take_now([b"some output"])
    done = Result([], {"remove": 2, "hash": 1}, warnings, "")

    result = receipts.result(file_id.encode(), done, size, size // 2, digest)

    assert pb.FileResult.FromString(result + digest.hexdigest().encode()) == pb.FileResult(
        file_id=file_id,
        receipt=pb.Receipt(
            treatment=APPLIED.treatment,
            profile_name=NAME,
            profile_version=3,
            profile_sha256=APPLIED.sha256,
            actions={"remove": 2, "hash": 1},
            bytes_in=size,
            bytes_out=size // 2,
            sha256=digest.hexdigest(),
            engine_version=ENGINE_VERSION,
            warnings=warnings,
            key_id="key-1",
        ),
    )


def test_receipts_of_many_kinds_of_files_are_those_of_each() -> None:
    """What is remembered of actions is bounded, and never another file's."""
    receipts = Receipts(APPLIED, "")
    for count in (*range(1, 3 * MAX_KNOWN_ACTIONS), 1):
        done = Result([], {"remove": count}, (), "")
        result = pb.FileResult.FromString(receipts.result(b"", done, 1, 1, NoDigest()))
        assert result.receipt.actions == {"remove": count}


@pytest.mark.parametrize("file_id", FILE_IDS)
@pytest.mark.parametrize("name", ["", "out.dcm", "größer.dcm"])
def test_an_output_says_what_it_is_called(file_id: str, name: str) -> None:
    """By the caller, and by the profile."""
    output = pb.FileOutput.FromString(file_output(file_id.encode(), name))
    assert output == pb.FileOutput(file_id=file_id, suggested_filename=name)


@pytest.mark.parametrize("file_id", FILE_IDS)
def test_a_rejection_says_of_which_file_it_is(file_id: str) -> None:
    """And why."""
    rejection = pb.Rejection(reason=pb.REJECTION_REASON_TRUNCATED, message="why", byte_offset=9)
    result = pb.FileResult.FromString(file_rejected(file_id.encode(), rejection))
    assert result == pb.FileResult(file_id=file_id, rejection=rejection)
