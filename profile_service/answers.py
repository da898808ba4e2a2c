"""What a resolution is answered with, as bytes.

Of a target that nobody has asked for before, protobuf takes as long for the answer as all else
that makes it. So the answer is written by its fields, and the text of the profile goes into it
behind the others, when it is told.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from deidcascade.v1 import profile_service_pb2 as pb

from profile_service import messages
from profile_service.serving.fields import bytes_field, bytes_key, number_key, varint

if TYPE_CHECKING:
    from datetime import datetime

    from profile_service.hierarchy import LevelVerdict, Resolution
    from profile_service.model import Decision, ProfileVersion

_OUTCOME = number_key(pb.ResolveProfileResponse.OUTCOME_FIELD_NUMBER)
_FILE_AUDIT = number_key(pb.ResolveProfileResponse.FILE_AUDIT_FIELD_NUMBER)
_LEVELS = bytes_key(pb.ResolveProfileResponse.LEVELS_FIELD_NUMBER)
_PROFILE = bytes_key(pb.ResolveProfileResponse.PROFILE_FIELD_NUMBER)
_CALLER = bytes_key(pb.ResolveProfileResponse.CALLER_FIELD_NUMBER)

_CONTAINER = bytes_key(pb.LevelVerdict.CONTAINER_FIELD_NUMBER)
_VERDICT = number_key(pb.LevelVerdict.VERDICT_FIELD_NUMBER)
_VERDICT_VERSION = number_key(pb.LevelVerdict.VERSION_FIELD_NUMBER)

_NAME = bytes_key(pb.Profile.NAME_FIELD_NUMBER)
_VERSION = number_key(pb.Profile.VERSION_FIELD_NUMBER)
_SHA256 = bytes_key(pb.Profile.SHA256_FIELD_NUMBER)
_SOURCE = bytes_key(pb.Profile.SOURCE_FIELD_NUMBER)
_CREATE_TIME = bytes_key(pb.Profile.CREATE_TIME_FIELD_NUMBER)
_ETAG = bytes_key(pb.Profile.ETAG_FIELD_NUMBER)

_TIMESTAMP = type(pb.Profile().create_time)
_SECONDS = number_key(_TIMESTAMP.SECONDS_FIELD_NUMBER)
_NANOS = number_key(_TIMESTAMP.NANOS_FIELD_NUMBER)

# What few words are said with, once.
_OUTCOMES = {each: _OUTCOME + varint(number) for each, number in messages.OUTCOMES.items()}
_FILE_AUDITS = {each: _FILE_AUDIT + varint(said) for each, said in messages.FILE_AUDITS.items()}
_VERDICTS = {each: _VERDICT + varint(number) for each, number in messages.VERDICTS.items()}


class Written(NamedTuple):
    """The answer of the cascade.

    Attributes:
        rest: all but the profile.
        profile: this without its text, a Profile; empty where none applies.
    """

    rest: bytes
    profile: bytes


def write(data: Resolution) -> Written:
    """Writes the answer of the cascade."""
    levels = b"".join(map(_level, data.levels))
    rest = _OUTCOMES[data.outcome] + _FILE_AUDITS[data.file_audit] + levels
    return Written(rest, b"" if data.profile is None else _profile(data.profile))


def answer(written: Written, text: str | None, caller: str) -> bytes:
    """Returns a ResolveProfileResponse, to which keys and tables can be added.

    Args:
        written: what it comes to.
        text: that of its profile, where it is told.
        caller: who uploads; empty where nobody does.
    """
    rest, profile = written
    if text is not None:
        profile += bytes_field(_SOURCE, text.encode())
    if profile:
        rest += bytes_field(_PROFILE, profile)
    if caller:
        rest += bytes_field(_CALLER, caller.encode())
    return rest


def _level(data: LevelVerdict) -> bytes:
    """Returns a verdict as a field of the answer."""
    said = bytes_field(_CONTAINER, data.container.encode()) + _VERDICTS[data.verdict]
    if data.version:
        said += _VERDICT_VERSION + varint(data.version)
    if data.violations:
        why = pb.LevelVerdict(violations=map(messages.violation, data.violations))
        said += why.SerializeToString()
    return bytes_field(_LEVELS, said)


def _profile(data: ProfileVersion) -> bytes:
    """Returns a version without its text, a Profile."""
    said = (
        bytes_field(_NAME, data.container.encode() + b"/profile"),
        _VERSION + varint(data.version),
        bytes_field(_SHA256, data.sha256.hex().encode()),
        bytes_field(_CREATE_TIME, _time(data.create_time)),
        bytes_field(_ETAG, data.etag.encode()),
        _decision(data.decision),
    )
    return b"".join(said)


# Of nearly all profiles the same is said.
@lru_cache(maxsize=64)
def _decision(data: Decision) -> bytes:
    """Returns what the validator says of a version, as fields of a Profile."""
    return pb.Profile(
        validity=messages.validity(data),
        blank=data.blank,
        validator_version=data.validator_version,
        violations=map(messages.violation, data.violations),
        warnings=map(messages.violation, data.warnings),
    ).SerializeToString()


def _time(moment: datetime) -> bytes:
    """Returns a moment as a Timestamp."""
    seconds, nanos = int(moment.timestamp()), moment.microsecond * 1000
    return _SECONDS + varint(seconds) + _NANOS + varint(nanos)
