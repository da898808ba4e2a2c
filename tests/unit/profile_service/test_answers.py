"""What a resolution is answered with is what protobuf would write, field by field."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import product

import pytest
from deidcascade.v1 import profile_service_pb2 as pb

from profile_service import answers, messages
from profile_service.hierarchy import LevelVerdict, Outcome, Resolution, Verdict
from profile_service.language.model import Violation
from profile_service.model import Decision, FileAudit, ProfileVersion
from profile_service.serving.fields import length, varint

LONGEST = "/".join(f"{kind}/{'x' * 63}" for kind in ("sites", "groups", "projects"))
NAMES = ["sites/s/devices/d", LONGEST]
MOMENTS = [
    datetime(1970, 1, 1, tzinfo=UTC),
    datetime(2026, 11, 29, 1, 2, 3, 999_999, tzinfo=UTC),
    datetime(2026, 7, 1, 12, 30, 0, 1, tzinfo=timezone(timedelta(hours=-5, minutes=30))),
    datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
]
FOUND = (
    Violation("CODE", "dicom.fields[0]", 3, 4, "Größer als erlaubt", "kleiner"),
    Violation("OTHER", "", 0, 0, "x" * 300, ""),
)


def version(name: str, number: int, moment: datetime, *, blank: bool) -> ProfileVersion:
    """Returns a version with warnings where it is blank."""
    decision = Decision("1.20.3", blank, (), FOUND if blank else ())
    sha256 = bytes(range(200, 232))
    return ProfileVersion(7, name, number, sha256, decision, moment, f"{number:x}-2", None)


def expected(data: ProfileVersion, text: str | None) -> pb.Profile:
    """Returns the message of a version."""
    message = pb.Profile(
        name=f"{data.container}/profile",
        version=data.version,
        sha256=data.sha256.hex(),
        source=text or "",
        validity=pb.VALIDITY_VALID,
        warnings=map(messages.violation, data.decision.warnings),
        blank=data.decision.blank,
        validator_version="1.20.3",
        etag=data.etag,
    )
    message.create_time.FromDatetime(data.create_time)
    return message


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text", [None, "", "dicom: {}", "ä撮😀" * 1000, "x" * (1 << 20)])
@pytest.mark.parametrize("caller", ["", "key:abc", "user:Zoë"])
def test_a_profile_that_applies(name: str, text: str | None, caller: str) -> None:
    """With its text and without, for whomever; however long its numbers are."""
    for number, moment, blank in product([1, 127, 128, 1023, 1024, 1 << 40], MOMENTS, [0, 1]):
        data = version(name, number, moment, blank=bool(blank))
        levels = (LevelVerdict(name, Verdict.SELECTED, number),)
        resolution = Resolution(Outcome.PROFILE, data, levels, FileAudit.REQUIRED)

        written = answers.answer(answers.write(resolution), text, caller)

        assert pb.ResolveProfileResponse.FromString(written) == pb.ResolveProfileResponse(
            outcome=pb.OUTCOME_PROFILE,
            profile=expected(data, text),
            levels=[pb.LevelVerdict(container=name, verdict=pb.VERDICT_SELECTED, version=number)],
            file_audit=pb.FILE_AUDIT_REQUIRED,
            caller=caller,
        )


@pytest.mark.parametrize("outcome", [Outcome.DISABLED, Outcome.NO_VALID_PROFILE])
@pytest.mark.parametrize("audit", FileAudit)
def test_nothing_that_applies(outcome: Outcome, audit: FileAudit) -> None:
    """Each verdict on a level, in their order, and why a profile is invalid."""
    levels = tuple(
        LevelVerdict(name, verdict, number, why)
        for name, verdict, number, why in product(NAMES, Verdict, [0, 300], [(), FOUND])
    )

    written = answers.answer(answers.write(Resolution(outcome, None, levels, audit)), None, "")

    found = pb.ResolveProfileResponse.FromString(written)
    assert found == pb.ResolveProfileResponse(
        outcome=messages.OUTCOMES[outcome],
        levels=[
            pb.LevelVerdict(
                container=level.container,
                verdict=messages.VERDICTS[level.verdict],
                version=level.version,
                violations=map(messages.violation, level.violations),
            )
            for level in levels
        ],
        file_audit=messages.FILE_AUDITS[audit],
    )
    assert not found.HasField("profile")


@pytest.mark.parametrize(
    ("number", "written"),
    [(0, "00"), (1, "01"), (127, "7f"), (128, "8001"), (1023, "ff07"), (1024, "8008"),
     (16_383, "ff7f"), (16_384, "808001"), ((1 << 63) - 1, "ff" * 8 + "7f")],
)  # fmt: skip
def test_numbers(number: int, written: str) -> None:
    """As the encoding has them, whether they are looked up or not."""
    assert varint(number).hex() == written
    if number < 1 << 20:
        assert length(bytes(number)) == varint(number)
