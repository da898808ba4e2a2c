"""What the store keeps and the service answers, as data.

Tuples: a resolution makes a dozen, and frozen data classes take three times as long.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, get_args

from profile_service.language.model import Column, KeyPurpose, KeyScope

if TYPE_CHECKING:
    from datetime import datetime

    from profile_service.keys.sealing import Sealed
    from profile_service.language.model import Violation

_SCOPES: dict[str, KeyScope] = {each: each for each in get_args(KeyScope)}
_PURPOSES: dict[str, KeyPurpose] = {each: each for each in get_args(KeyPurpose)}


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
        approval_required: whether what is changed in a site must be approved by a second
            person.
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
    approval_required: bool


class Change(NamedTuple):
    """A change that was proposed.

    Attributes:
        container: the resource name of what it is about.
        number: tells it from others.
        method: the call that would make it.
        request: its request, as the contract writes it.
        note: why, in the words of who proposed it.
        author: who did.
        author_identity: the same, so that it is told whether another one approves.
        create_time: when.
        approved: what was decided; None while nobody has.
        decided_by: who decided.
        decide_time: when.
    """

    container: str
    number: int
    method: str
    request: bytes
    note: str
    author: str
    author_identity: str
    create_time: datetime
    approved: bool | None
    decided_by: str
    decide_time: datetime | None


class KeyUse(NamedTuple):
    """What a profile needs keys for.

    Attributes:
        scope: where the same patient has the same pseudonym.
        generation: of the key of the site; 0 for the one in use.
        purposes: each has a key of its own.
        columns: what it looks up in tables, which have keys of their own.
    """

    scope: KeyScope
    generation: int
    purposes: tuple[KeyPurpose, ...]
    columns: tuple[Column, ...] = ()

    @property
    def text(self) -> str:
        """It as it is stored."""
        written = f"{self.scope}/{self.generation}/{','.join(self.purposes)}"
        columns = ",".join(f"{each.table}:{each.name}" for each in self.columns)
        return f"{written}/{columns}" if columns else written

    @classmethod
    def read(cls, text: str) -> KeyUse:
        """Reads what `text` has written."""
        scope, generation, purposes, *columns = text.split("/")
        named = tuple(_PURPOSES[each] for each in purposes.split(",") if each)
        looked_up = (each.split(":") for each in "".join(columns).split(",") if each)
        return cls(
            _SCOPES[scope], int(generation), named, tuple(Column(*each) for each in looked_up)
        )


class Decision(NamedTuple):
    """What one version of the validator says of a text on one kind of container.

    Attributes:
        validator_version: the version that decided.
        blank: data that the profile applies to is not de-identified.
        violations: in the order of the text; none makes the profile valid.
        warnings: in the order of the text.
        key_use: what it needs keys for; None where it is invalid, or needs none.
    """

    validator_version: str
    blank: bool
    violations: tuple[Violation, ...]
    warnings: tuple[Violation, ...]
    key_use: KeyUse | None = None

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


class SiteKey(NamedTuple):
    """A generation of the key of a site, as it is stored.

    Attributes:
        generation: from 1.
        sealed: it, encrypted.
        create_time: when it was made.
    """

    generation: int
    sealed: Sealed
    create_time: datetime


class KeyProblem(Enum):
    """Why a stream is not given the keys that its profile needs."""

    NO_MASTER_KEY = "the service has no master key, or not the one that the key is encrypted with"
    NO_SUCH_GENERATION = "the site never had a key of that generation"
    NO_SERVICE_KEY = "the caller has not shown the service key of this service"


class Delivery(NamedTuple):
    """What a stream is given.

    Attributes:
        sealed: the keys, for who has asked alone; empty where there are none.
        problem: why there are none; None where there are.
    """

    sealed: bytes
    problem: KeyProblem | None = None


class StoredTable(NamedTuple):
    """A version of a table of patients, as it is stored.

    Attributes:
        container: the name of the container that it is attached to.
        container_id: its identity.
        name: its name there.
        table_id: tells it from one that is made later under the same name.
        sealed: its secret, encrypted.
        version: from 1.
        base: the version since which its rows are in it.
        originals: how many columns say who a patient is.
        columns: the names of the others.
        rows: how many there are.
        added: how many of them came with this version.
        create_time: when it was made.
        author: who made it.
        note: why, in their words.
    """

    container: str
    container_id: int
    name: str
    table_id: int
    sealed: Sealed
    version: int
    base: int
    originals: int
    columns: tuple[str, ...]
    rows: int
    added: int
    create_time: datetime
    author: str
    note: str


class ResolvedTable(NamedTuple):
    """A table that a profile looks patients up in.

    Attributes:
        name: as the profile has it.
        stored: it as it is now; None where there is none of that name.
        missing_column: a column that the profile looks up and that it has not; empty where
            it has all.
    """

    name: str
    stored: StoredTable | None
    missing_column: str = ""


class Subject(NamedTuple):
    """A patient, as one is stored.

    Attributes:
        digest: what the patient is found by: 32 bytes.
        sealed: what tells the patient from all others, encrypted.
    """

    digest: bytes
    sealed: Sealed


class StoredSubject(NamedTuple):
    """A patient who was given a code.

    Attributes:
        code: the code.
        subject: the patient.
        create_time: when the code was given.
        scope_id: of the container within which it was.
    """

    code: str
    subject: Subject
    create_time: datetime
    scope_id: int


class KnownSubject(NamedTuple):
    """A patient who was given a code.

    Attributes:
        code: the code.
        original: the identifier, and what else tells the patient from all others, each after
            a NUL.
        create_time: when the code was given.
    """

    code: str
    original: str
    create_time: datetime
