"""Domain to protobuf: the answers of the service."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from deidcascade.v1 import profile_service_pb2 as pb

from profile_service.access.rules import PROPOSABLE
from profile_service.hierarchy import Outcome, Verdict
from profile_service.model import FileAudit, KeyProblem

if TYPE_CHECKING:
    from datetime import datetime

    from google.protobuf.timestamp_pb2 import Timestamp

    from profile_service.audit import Event, Head
    from profile_service.hierarchy import Resolution
    from profile_service.language import Violation
    from profile_service.language.difference import Difference
    from profile_service.model import (
        Change,
        Container,
        Decision,
        Delivery,
        KnownSubject,
        ProfileVersion,
        ResolvedTable,
        SiteKey,
    )

# Of elements that are treated differently in one way, so many are named.
MAX_ELEMENTS = 100

ENFORCEMENTS = {
    None: pb.ENFORCEMENT_UNSPECIFIED,
    True: pb.ENFORCEMENT_ENFORCED,
    False: pb.ENFORCEMENT_DISABLED,
}

FILE_AUDITS = {
    None: pb.FILE_AUDIT_UNSPECIFIED,
    FileAudit.RECORDED: pb.FILE_AUDIT_RECORDED,
    FileAudit.REQUIRED: pb.FILE_AUDIT_REQUIRED,
    FileAudit.OFF: pb.FILE_AUDIT_OFF,
}

OUTCOMES = {
    Outcome.PROFILE: pb.OUTCOME_PROFILE,
    Outcome.DISABLED: pb.OUTCOME_DISABLED,
    Outcome.NO_VALID_PROFILE: pb.OUTCOME_NO_VALID_PROFILE,
}

VERDICTS = {
    Verdict.SELECTED: pb.VERDICT_SELECTED,
    Verdict.ABSENT: pb.VERDICT_ABSENT,
    Verdict.INVALID: pb.VERDICT_INVALID,
    Verdict.NOT_CONSULTED: pb.VERDICT_NOT_CONSULTED,
    Verdict.OVERRIDDEN_BY_LOCK: pb.VERDICT_OVERRIDDEN_BY_LOCK,
}


KEY_PROBLEMS = {
    KeyProblem.NO_MASTER_KEY: pb.KEY_PROBLEM_NO_MASTER_KEY,
    KeyProblem.NO_SUCH_GENERATION: pb.KEY_PROBLEM_NO_SUCH_GENERATION,
    KeyProblem.NO_SERVICE_KEY: pb.KEY_PROBLEM_NO_SERVICE_KEY,
}


def set_time(message: Timestamp, moment: datetime) -> None:
    """Writes a moment into a message, with its zone."""
    # As `FromDatetime` does, in half of the time.
    message.seconds = int(moment.timestamp())
    message.nanos = moment.microsecond * 1000


def container(data: Container) -> pb.Container:
    """Returns a container as a message."""
    message = pb.Container(
        name=data.name,
        display_name=data.display_name,
        enforcement=ENFORCEMENTS[data.enforced],
        etag=data.etag,
        profile_locked=data.profile_locked,
        profile_etag=data.profile_etag,
        file_audit=FILE_AUDITS[data.file_audit],
        approval_required=data.approval_required,
    )
    set_time(message.create_time, data.create_time)
    set_time(message.update_time, data.update_time)
    return message


def violation(data: Violation) -> pb.Violation:
    """Returns a violation or a warning as a message."""
    return pb.Violation(
        code=data.code,
        path=data.path,
        line=data.line,
        column=data.column,
        message=data.message,
        suggestion=data.suggestion,
    )


def validity(decision: Decision) -> pb.Validity.ValueType:
    """Returns whether a profile may be applied."""
    return pb.VALIDITY_VALID if decision.valid else pb.VALIDITY_INVALID


def summary(data: ProfileVersion) -> pb.Profile:
    """Returns a version as a message, without its text and what the validator says of it."""
    message = pb.Profile()
    _fill_summary(message, data)
    return message


def profile(data: ProfileVersion) -> pb.Profile:
    """Returns a version as a message, with its text where it is there."""
    message = pb.Profile()
    _fill_profile(message, data)
    return message


def _fill_summary(message: pb.Profile, data: ProfileVersion) -> None:
    message.name = f"{data.container}/profile"
    message.version = data.version
    message.sha256 = data.sha256.hex()
    message.validity = validity(data.decision)
    if data.decision.blank:
        message.blank = True
    message.validator_version = data.decision.validator_version
    set_time(message.create_time, data.create_time)
    message.etag = data.etag
    if data.author:
        message.author = data.author
    if data.note:
        message.note = data.note


def _fill_profile(message: pb.Profile, data: ProfileVersion) -> None:
    _fill_summary(message, data)
    if data.source is not None:
        message.source = data.source
    message.violations.extend(map(violation, data.decision.violations))
    message.warnings.extend(map(violation, data.decision.warnings))


def validation(decision: Decision) -> pb.ValidateProfileResponse:
    """Returns a decision as the answer of ValidateProfile."""
    return pb.ValidateProfileResponse(
        validity=validity(decision),
        violations=map(violation, decision.violations),
        warnings=map(violation, decision.warnings),
        blank=decision.blank,
        validator_version=decision.validator_version,
    )


def resolution(data: Resolution) -> pb.ResolveProfileResponse:
    """Returns the answer of the cascade as a message.

    Its parts are filled where they are: protobuf copies a message that is put into
    another one by writing it out and reading it back.
    """
    message = pb.ResolveProfileResponse(
        outcome=OUTCOMES[data.outcome],
        file_audit=FILE_AUDITS[data.file_audit],
    )
    if data.profile is not None:
        _fill_profile(message.profile, data.profile)
    for level in data.levels:
        part = message.levels.add()
        part.container = level.container
        part.verdict = VERDICTS[level.verdict]
        if level.version:
            part.version = level.version
        if level.violations:
            part.violations.extend(map(violation, level.violations))
    return message


def audit_event(data: Event) -> pb.AuditEvent:
    """Returns an event of the audit as a message."""
    event = json.loads(data.text)
    actor = event["actor"]
    message = pb.AuditEvent(
        site=data.site,
        number=data.number,
        action=event["action"],
        resource=event["resource"],
        denied_reason=event.get("reason", ""),
        subject=actor["subject"],
        credential=actor["credential"],
        key_id=actor.get("key", ""),
        peer=actor.get("peer", ""),
        request_id=actor.get("request", ""),
        event=data.text,
        hash=data.hash.hex(),
    )
    set_time(message.time, data.time)
    return message


def audit_head(data: Head) -> pb.AuditHead:
    """Returns the end of a chain as a message."""
    return pb.AuditHead(
        site=data.site,
        number=data.number,
        hash=data.hash.hex(),
        expired_number=data.expired_number,
        expired_hash=data.expired_hash.hex(),
    )


# The fields of a proposal, by the calls that can be proposed.
PROPOSALS = {call: field for field, call in PROPOSABLE.items()}

CHANGE_STATES = {
    None: pb.CHANGE_STATE_PROPOSED,
    True: pb.CHANGE_STATE_APPROVED,
    False: pb.CHANGE_STATE_REJECTED,
}


def change(data: Change, *, with_source: bool = True) -> pb.Change:
    """Returns a change that was proposed as a message, with or without the profile's text."""
    message = pb.Change(
        container=data.container,
        number=data.number,
        author=data.author,
        state=CHANGE_STATES[data.approved],
        decided_by=data.decided_by,
    )
    message.proposal.note = data.note
    getattr(message.proposal, PROPOSALS[data.method]).MergeFromString(data.request)
    if not with_source and data.method == "SetProfile":
        message.proposal.set_profile.source = ""
    set_time(message.create_time, data.create_time)
    if data.decide_time is not None:
        set_time(message.decide_time, data.decide_time)
    return message


def difference(data: Difference) -> pb.ProfileDifference:
    """Returns what is treated differently as a message, with the first of its elements."""
    return pb.ProfileDifference(
        before=data.before,
        after=data.after,
        where=data.where,
        elements=data.elements[:MAX_ELEMENTS],
        element_count=len(data.elements),
    )


def fill_keys(message: pb.StreamKeys, delivery: Delivery) -> None:
    """Fills in what a stream is given."""
    message.sealed = delivery.sealed
    if delivery.problem is not None:
        message.problem = KEY_PROBLEMS[delivery.problem]


def resolved_table(data: ResolvedTable) -> pb.ResolvedTable:
    """Returns a table that a profile looks patients up in as a message."""
    message = pb.ResolvedTable(name=data.name, missing_column=data.missing_column)
    if data.stored is not None:
        message.container = data.stored.container
        message.id = data.stored.table_id
        message.version = data.stored.version
    return message


def table_warning(data: ResolvedTable) -> pb.Violation | None:
    """Returns what is to be said of a table that a profile needs; None where all is well."""
    if data.stored is None:
        lacks = f"There is no table {data.name} at or above the container: no stream is opened"
        message = f"{lacks} before there is one, or one in what is below."
    elif data.missing_column:
        message = (
            f"The table {data.name} of {data.stored.container} has no column "
            f"{data.missing_column}: no stream is opened before it has."
        )
    else:
        return None
    return pb.Violation(code="TABLE_MISSING", path="dicom", message=message)


def site_key(data: SiteKey) -> pb.SiteKey:
    """Returns a generation of the key of a site as a message, without the key."""
    message = pb.SiteKey(generation=data.generation)
    set_time(message.create_time, data.create_time)
    return message


def subject(data: KnownSubject) -> pb.Subject:
    """Returns who was given a code as a message."""
    original, _, issuer = data.original.partition("\0")
    message = pb.Subject(code=data.code, original=original, issuer=issuer.replace("\0", " "))
    set_time(message.create_time, data.create_time)
    return message
