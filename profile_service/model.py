"""What the store keeps and the service answers, as data.

Tuples: a resolution makes a dozen, and frozen data classes take three times as long.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime

    from profile_service.language.model import Violation


class FileAudit(Enum):
    """Whether the audit is told what becomes of files; the value is how it is stored."""

    RECORDED = None
    REQUIRED = "required"
    OFF = "off"


class Container(NamedTuple):
    """A site, group, project or device.

    Attributes:
        name: the resource name.
        display_name: a text for people, or the empty text.
        enforced: whether de-identification is on; None for what is not a site.
        create_time: when it was created.
        update_time: when it was last changed.
        etag: changes with every change of it.
        profile_locked: whether what is attached to it holds for all levels below.
        profile_etag: changes with every change of what is attached to it.
        file_audit: whether the audit is told what becomes of files; None for what is not
            a site.
    """

    name: str
    display_name: str
    enforced: bool | None
    create_time: datetime
    update_time: datetime
    etag: str
    profile_locked: bool
    profile_etag: str
    file_audit: FileAudit | None


class Decision(NamedTuple):
    """What one version of the validator says of a text on one kind of container.

    Attributes:
        validator_version: the version that decided.
        blank: data that the profile applies to is not de-identified.
        violations: in the order of the text; none makes the profile valid.
        warnings: in the order of the text.
    """

    validator_version: str
    blank: bool
    violations: tuple[Violation, ...]
    warnings: tuple[Violation, ...]

    @property
    def valid(self) -> bool:
        """Whether the cascade may select the profile."""
        return not self.violations


class ProfileVersion(NamedTuple):
    """One immutable version of the profile of a container.

    Attributes:
        container_id: the identity of the container, which outlives no deletion.
        container: its resource name.
        version: from 1, counted per container.
        sha256: of the text as UTF-8.
        decision: whether it may be applied, and why not.
        create_time: when it was set.
        etag: changes with every change of what is attached to the container.
        source: the text, or None where it was not asked for.
        author: who set it; empty where nobody knows, and in a resolution.
        note: why, in their words; empty in a resolution.
    """

    container_id: int
    container: str
    version: int
    sha256: bytes
    decision: Decision
    create_time: datetime
    etag: str
    source: str | None
    author: str = ""
    note: str = ""
