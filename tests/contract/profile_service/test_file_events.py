"""What DeidService tells of files: once, in its form, and nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from deidcascade.v1 import profile_service_pb2 as pb
from google.protobuf.field_mask_pb2 import FieldMask

from tests.contract.profile_service.conftest import DEVICE, GROUP, PROJECT, SITE
from tests.support.audit import told, troubles
from tests.support.refusals import refused

if TYPE_CHECKING:
    from deidcascade.v1.profile_service_pb2_grpc import ProfileServiceStub

ID = "0123456789abcdef" * 2
DIGEST = "ab" * 32


def batch(**fields: object) -> pb.FileBatch:
    """Returns a batch of two files, with some fields changed."""
    files = [
        pb.FileEvent(bytes_in=10, bytes_out=9, sha256=DIGEST),
        pb.FileEvent(bytes_in=5, reason="NOT_DICOM", tag="(0010,0020)"),
    ]
    made = pb.FileBatch(
        id=ID,
        stream="c0ffee",
        caller="key:k1",
        outcome=pb.OUTCOME_PROFILE,
        profile_name=f"{SITE}/profile",
        profile_version=3,
        profile_sha256=DIGEST,
        engine_version="0.1+abc",
        actions={"replace-with": 4},
        files=files,
    )
    for name, value in fields.items():
        made.ClearField(name)  # type: ignore[arg-type]
        made.MergeFrom(pb.FileBatch(**{name: value}))  # type: ignore[arg-type]
    return made


def record(service: ProfileServiceStub, *batches: pb.FileBatch, target: str = PROJECT) -> None:
    """Tells of batches."""
    service.RecordFiles(pb.RecordFilesRequest(target=target, batches=batches))


def test_a_batch_is_an_event(hierarchy: ProfileServiceStub) -> None:
    """It says what applied, who uploaded, and what became of each file, by digest or reason."""
    record(hierarchy, batch())
    (event,) = told(hierarchy, PROJECT, action="files.deidentify")
    assert event.resource == PROJECT
    said = json.loads(event.event)
    assert said["after"] == {
        "actions": {"replace-with": 4},
        "caller": "key:k1",
        "engine": "0.1+abc",
        "files": [
            {"in": 10, "out": 9, "sha256": DIGEST},
            {"in": 5, "out": 0, "rejected": "NOT_DICOM", "tag": "(0010,0020)"},
        ],
        "outcome": "OUTCOME_PROFILE",
        "profile": f"{SITE}/profile",
        "sha256": DIGEST,
        "stream": "c0ffee",
        "version": 3,
    }
    assert troubles(hierarchy) == {}


def test_a_batch_is_told_once(hierarchy: ProfileServiceStub) -> None:
    """Who does not know whether it was told tells it again, and the chain has it once."""
    other = batch(id="f" * 32, unrecorded=7)
    record(hierarchy, batch())
    record(hierarchy, batch(), other)
    record(hierarchy, other, batch())
    found = told(hierarchy, SITE, action="files.deidentify")
    assert len(found) == 2
    assert json.loads(found[1].event)["after"]["unrecorded"] == 7
    assert troubles(hierarchy) == {}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "x"),
        ("id", ""),
        ("stream", "Jane Doe"),
        ("caller", "two\nlines"),
        ("caller", "x" * 500),
        ("profile_name", "Jane"),
        ("profile_name", "sites/s"),
        ("profile_sha256", "Jane"),
        ("engine_version", "Jane Doe"),
        ("actions", {"Jane Doe": 1}),
        ("files", [pb.FileEvent(reason="Jane Doe")]),
        ("files", [pb.FileEvent(tag="Jane")]),
        ("files", [pb.FileEvent(sha256="Jane")]),
        ("files", [pb.FileEvent()] * 501),
    ],
)
def test_what_has_another_form_is_refused(
    hierarchy: ProfileServiceStub, field: str, value: object
) -> None:
    """No field takes what could be a value of a file, and the refusal does not repeat it."""
    with refused("INVALID_ARGUMENT", "INVALID_FILE_EVENT") as refusal:
        record(hierarchy, batch(**{field: value}))
    assert "Jane" not in refusal.message
    assert told(hierarchy, SITE, action="files.deidentify") == []


@pytest.mark.parametrize("target", ["sites/s", GROUP, "Jane"])
def test_files_belong_to_targets(hierarchy: ProfileServiceStub, target: str) -> None:
    """What is no project or device has no files."""
    with refused("INVALID_ARGUMENT", "INVALID_NAME"):
        record(hierarchy, batch(), target=target)


def test_a_site_says_what_it_wants_told(hierarchy: ProfileServiceStub) -> None:
    """Each resolution in the site says so, of its devices too; by default it is recorded."""

    def wanted() -> set[int]:
        return {
            hierarchy.ResolveProfile(pb.ResolveProfileRequest(target=target)).file_audit
            for target in (PROJECT, DEVICE)
        }

    assert wanted() == {pb.FILE_AUDIT_RECORDED}
    for value in (pb.FILE_AUDIT_REQUIRED, pb.FILE_AUDIT_OFF, pb.FILE_AUDIT_RECORDED):
        changed = pb.Container(name=SITE, file_audit=value)
        update = pb.UpdateContainerRequest(container=changed)
        assert hierarchy.UpdateContainer(update).container.file_audit == value
        assert wanted() == {value}
    assert told(hierarchy, SITE)[-1].action == "container.update"
    mask = FieldMask(paths=["file_audit"])
    group = pb.Container(name=GROUP, file_audit=pb.FILE_AUDIT_OFF)
    for update in (
        pb.UpdateContainerRequest(container=group),
        pb.UpdateContainerRequest(container=group, update_mask=mask),
        pb.UpdateContainerRequest(container=pb.Container(name=SITE, file_audit=9)),  # type: ignore[arg-type]
    ):
        with refused("INVALID_ARGUMENT", "INVALID_CONTAINER") as refusal:
            hierarchy.UpdateContainer(update)
        assert refusal.fields == ["container.file_audit"]
