"""What DeidService tells of files becomes events of the audit, and nothing else can.

What an event says stays for years and cannot be taken back, so each field is let in by its
form: names, digests, counts, words of the contract. No value of a file has that form.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from deidcascade.v1 import profile_service_pb2 as pb

from profile_service.audit import MAX_NAME, Action, Entry
from profile_service.errors import InvalidFileEventError
from profile_service.hierarchy import TARGETS, is_name, parse_name
from profile_service.serving.request_ids import REQUEST_ID

if TYPE_CHECKING:
    from profile_service.access.actor import Actor
    from profile_service.audit import Facts, Value
    from profile_service.hierarchy import ContainerName

MAX_BATCHES = 100
# With the longest reason and tag each, an event of 70 kB.
MAX_FILES = 500

_ID = re.compile("[0-9a-f]{32}")
_STREAM = re.compile("[0-9a-f]{0,32}")
_DIGEST = re.compile("(?:[0-9a-f]{64})?")
_REASON = re.compile("[A-Z][A-Z_]{0,63}|")
_TAG = re.compile(r"(?:\([0-9A-Fa-f]{4},[0-9A-Fa-f]{4}\))?")
_ACTION = re.compile("[a-z][a-z-]{0,39}")
_ENGINE = re.compile("[0-9A-Za-z.+-]{0,80}")
_MAX_ACTIONS = 64


def entries(request: pb.RecordFilesRequest, actor: Actor) -> list[Entry]:
    """Returns the events that a request asks to be written.

    Raises:
        InvalidNameError: the target is no project or device.
        InvalidFileEventError: another field has not the form that it must have.
    """
    if len(request.batches) > MAX_BATCHES:
        raise InvalidFileEventError("batches", f"must be at most {MAX_BATCHES}.")
    target = parse_name(request.target, field="target", kinds=TARGETS)
    return [
        _entry(target, batch, f"batches[{number}]", actor)
        for number, batch in enumerate(request.batches)
    ]


def _entry(target: ContainerName, batch: pb.FileBatch, field: str, actor: Actor) -> Entry:
    _check(field, "id", batch.id, _ID)
    _check(field, "stream", batch.stream, _STREAM)
    if batch.request_id:
        _check(field, "request_id", batch.request_id, REQUEST_ID)
        # They are told of when they have ended: what ties them to their caller is the stream.
        actor = replace(actor, request_id=batch.request_id)
    _check(field, "profile_sha256", batch.profile_sha256, _DIGEST)
    _check(field, "engine_version", batch.engine_version, _ENGINE)
    container = batch.profile_name.removesuffix("/profile")
    if batch.profile_name and not (container != batch.profile_name and is_name(container)):
        raise InvalidFileEventError(f"{field}.profile_name", "must be the name of a profile.")
    if len(batch.caller) > MAX_NAME or not batch.caller.isprintable():
        raise InvalidFileEventError(f"{field}.caller", "must be a name on one line.")
    if len(batch.files) > MAX_FILES or len(batch.actions) > _MAX_ACTIONS:
        raise InvalidFileEventError(
            field, f"must have at most {MAX_FILES} files and {_MAX_ACTIONS} actions."
        )
    for action in batch.actions:
        _check(field, "actions", action, _ACTION)
    files = [_file(file, f"{field}.files[{number}]") for number, file in enumerate(batch.files)]
    facts: dict[str, Value] = {
        "caller": batch.caller,
        "outcome": pb.Outcome.Name(batch.outcome) if batch.outcome in pb.Outcome.values() else "",
        "profile": batch.profile_name,
        "version": batch.profile_version,
        "sha256": batch.profile_sha256,
        "engine": batch.engine_version,
        "stream": batch.stream,
        "actions": dict(batch.actions),
        "files": files,
        "unrecorded": batch.unrecorded,
    }
    after = {name: value for name, value in facts.items() if value}
    return Entry(Action.DEIDENTIFY_FILES, target.text, actor, after=after, batch=batch.id)


def _file(file: pb.FileEvent, field: str) -> Facts:
    _check(field, "sha256", file.sha256, _DIGEST)
    _check(field, "reason", file.reason, _REASON)
    _check(field, "tag", file.tag, _TAG)
    facts: dict[str, Value] = {
        "in": file.bytes_in,
        "out": file.bytes_out,
        "sha256": file.sha256,
        "rejected": file.reason,
        "tag": file.tag,
    }
    return {name: value for name, value in facts.items() if value or name in {"in", "out"}}


def _check(field: str, name: str, value: str, form: re.Pattern[str]) -> None:
    if form.fullmatch(value) is None:
        raise InvalidFileEventError(f"{field}.{name}", "has not the form that it must have.")
