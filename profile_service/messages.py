"""Domain to protobuf: the answers of the service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deidcascade.v1 import profile_service_pb2 as pb
from google.protobuf.timestamp_pb2 import Timestamp

from profile_service.hierarchy import Outcome, Verdict

if TYPE_CHECKING:
    from datetime import datetime

    from profile_service.hierarchy import LevelVerdict, Resolution
    from profile_service.language import Violation
    from profile_service.model import Container, Decision, ProfileVersion

ENFORCEMENTS = {
    None: pb.ENFORCEMENT_UNSPECIFIED,
    True: pb.ENFORCEMENT_ENFORCED,
    False: pb.ENFORCEMENT_DISABLED,
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
}


def _timestamp(moment: datetime) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(moment)
    return message


def container(data: Container) -> pb.Container:
    """Returns a container as a message."""
    return pb.Container(
        name=data.name,
        display_name=data.display_name,
        enforcement=ENFORCEMENTS[data.enforced],
        create_time=_timestamp(data.create_time),
        update_time=_timestamp(data.update_time),
        etag=data.etag,
    )


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
    return pb.Profile(
        name=f"{data.container}/profile",
        version=data.version,
        sha256=data.sha256.hex(),
        validity=validity(data.decision),
        blank=data.decision.blank,
        validator_version=data.decision.validator_version,
        create_time=_timestamp(data.create_time),
        etag=data.etag,
    )


def profile(data: ProfileVersion) -> pb.Profile:
    """Returns a version as a message, with its text where it is there."""
    message = summary(data)
    if data.source is not None:
        message.source = data.source
    message.violations.extend(map(violation, data.decision.violations))
    message.warnings.extend(map(violation, data.decision.warnings))
    return message


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
    """Returns the answer of the cascade as a message."""
    return pb.ResolveProfileResponse(
        outcome=OUTCOMES[data.outcome],
        profile=None if data.profile is None else profile(data.profile),
        levels=map(level, data.levels),
    )


def level(data: LevelVerdict) -> pb.LevelVerdict:
    """Returns the verdict on a level as a message."""
    return pb.LevelVerdict(
        container=data.container,
        verdict=VERDICTS[data.verdict],
        violations=map(violation, data.violations),
        version=data.version,
    )
