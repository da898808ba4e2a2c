"""Resource names and the cascade: pure functions, no I/O.

    sites/{site}
    |-- groups/{group}
    |   `-- projects/{project}      project, else group, else site
    `-- devices/{device}            the device alone

The nearest level with a valid profile applies whole; levels are not merged.
"""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from profile_service.errors import InvalidNameError
from profile_service.model import FileAudit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from profile_service.language.model import Violation
    from profile_service.model import ProfileVersion

# --- Names ------------------------------------------------------------------------------

_ID = "[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?"
_NAME = re.compile(
    f"sites/{_ID}(?:/(?:(?P<device>devices/{_ID})"
    f"|(?P<group>groups/{_ID})(?:/(?P<project>projects/{_ID}))?))?"
)

_ID_RULE = (
    "an id has 1 to 63 of the characters a-z 0-9 . _ - and begins and ends with a letter or a digit"
)


class Kind(Enum):
    """The kinds of containers; the value is how their names are written."""

    SITE = "sites/{site}"
    GROUP = "sites/{site}/groups/{group}"
    PROJECT = "sites/{site}/groups/{group}/projects/{project}"
    DEVICE = "sites/{site}/devices/{device}"


# By the group of the pattern that matched last.
_KINDS = {None: Kind.SITE, "group": Kind.GROUP, "project": Kind.PROJECT, "device": Kind.DEVICE}

SITES = frozenset({Kind.SITE})
PARENTS = frozenset({Kind.SITE, Kind.GROUP})
TARGETS = frozenset({Kind.PROJECT, Kind.DEVICE})


class ContainerName(NamedTuple):
    """A resource name that is well-formed; whether the container exists is another matter.

    Attributes:
        text: the name.
        kind: what it names.
    """

    text: str
    kind: Kind

    def __str__(self) -> str:
        return self.text

    @property
    def parent(self) -> str | None:
        """The name of the container that it is in; None for a site."""
        if self.kind is Kind.SITE:
            return None
        return self.text.rsplit("/", 2)[0]

    @property
    def site(self) -> str:
        """The name of its site; of a site, its own."""
        return "/".join(self.text.split("/", 2)[:2])

    @property
    def upwards(self) -> tuple[str, ...]:
        """Its own name, and those of the containers that it is in, nearest first."""
        parent = self.parent
        names = (self.text,) if parent is None else (self.text, parent, self.site)
        return tuple(dict.fromkeys(names))


def is_name(text: str) -> bool:
    """Tells whether a text is a resource name."""
    return _NAME.fullmatch(text) is not None


# The same few are asked for very often; a name is short, and what is none is not kept.
@lru_cache(maxsize=4096)
def parse_name(text: str, *, field: str, kinds: frozenset[Kind] = frozenset(Kind)) -> ContainerName:
    """Reads a resource name.

    Args:
        text: the name.
        field: the field of the request that it stands in.
        kinds: the kinds that it may name there.

    Raises:
        InvalidNameError: it is no name of these kinds.
    """
    match = _NAME.fullmatch(text)
    if match is not None:
        kind = _KINDS[match.lastgroup]
        if kind in kinds:
            return ContainerName(text, kind)
    forms = " or ".join(kind.value for kind in Kind if kind in kinds)
    raise InvalidNameError(field, f"must be {forms}; {_ID_RULE}.")


# --- The cascade ------------------------------------------------------------------------


class Outcome(Enum):
    """What an upload is to be done with."""

    PROFILE = "the selected profile applies"
    DISABLED = "de-identification is off for the site: bytes go through unchanged"
    NO_VALID_PROFILE = "no level has a valid profile: the upload is rejected"


class Verdict(Enum):
    """What the cascade made of one level."""

    SELECTED = "its profile applies"
    ABSENT = "it has no profile: skipped"
    INVALID = "its profile is invalid: skipped"
    NOT_CONSULTED = "a nearer level was selected, or enforcement is off"
    OVERRIDDEN_BY_LOCK = "a level above is locked: skipped, whatever is attached to it"


class Level(NamedTuple):
    """One level as it is stored.

    Attributes:
        container: the name of the container.
        profile: what is attached to it, or None.
        locked: whether the levels below cannot override it.
        file_audit: whether its site wants the audit told what becomes of files.
    """

    container: str
    profile: ProfileVersion | None
    locked: bool = False
    file_audit: FileAudit = FileAudit.RECORDED


class LevelVerdict(NamedTuple):
    """The verdict on one level.

    Attributes:
        container: the name of the container.
        verdict: what the cascade made of it.
        version: the profile version that the verdict is about; 0 when there is none
            or it was not looked at.
        violations: why the profile is invalid.
    """

    container: str
    verdict: Verdict
    version: int = 0
    violations: tuple[Violation, ...] = ()


class Resolution(NamedTuple):
    """The answer of the cascade.

    Attributes:
        outcome: what is to be done.
        profile: the profile that applies; None unless the outcome is PROFILE.
        levels: the verdict on each level, nearest first.
        file_audit: whether the site wants the audit told what becomes of files.
    """

    outcome: Outcome
    profile: ProfileVersion | None
    levels: tuple[LevelVerdict, ...]
    file_audit: FileAudit = FileAudit.RECORDED


def containers_of_tables(target: ContainerName, resolution: Resolution) -> tuple[str, ...]:
    """Returns the containers whose tables a profile finds, nearest first: none below a lock."""
    overridden = {
        level.container
        for level in resolution.levels
        if level.verdict is Verdict.OVERRIDDEN_BY_LOCK
    }
    return tuple(name for name in target.upwards if name not in overridden)


def cascade(levels: Sequence[Level], *, enforced: bool) -> Resolution:
    """Selects the profile that applies to an upload.

    Args:
        levels: nearest first: project, group and site, or the device alone. Those below
            the topmost one that is locked count as if they had no profile, also where that
            one has none itself, or an invalid one.
        enforced: the switch of the site, which holds for its devices too.
    """
    selected: ProfileVersion | None = None
    verdicts = []
    locked = 0
    for place, level in enumerate(levels):
        if level.locked and enforced:
            locked = place
    for place, level in enumerate(levels):
        profile = level.profile
        if place < locked:
            verdict = LevelVerdict(level.container, Verdict.OVERRIDDEN_BY_LOCK)
        elif not enforced or selected is not None:
            verdict = LevelVerdict(level.container, Verdict.NOT_CONSULTED)
        elif profile is None:
            verdict = LevelVerdict(level.container, Verdict.ABSENT)
        elif not profile.decision.valid:
            verdict = LevelVerdict(
                level.container, Verdict.INVALID, profile.version, profile.decision.violations
            )
        else:
            selected = profile
            verdict = LevelVerdict(level.container, Verdict.SELECTED, profile.version)
        verdicts.append(verdict)
    if not enforced:
        outcome = Outcome.DISABLED
    elif selected is None:
        outcome = Outcome.NO_VALID_PROFILE
    else:
        outcome = Outcome.PROFILE
    return Resolution(outcome, selected, tuple(verdicts), levels[0].file_audit)
