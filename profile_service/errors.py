"""What can go wrong, as the service itself knows it: no transport, no database.

    ProfileServiceError
        InvalidRequestError
            InvalidNameError, InvalidContainerError, InvalidUpdateMaskError,
            InvalidPageSizeError, InvalidPageTokenError, InvalidVersionError,
            InvalidDigestError, InvalidFilterError, InvalidNoteError,
            InvalidPrincipalError, InvalidRoleError, InvalidKeyError,
            InvalidFileEventError, InvalidChangeError, InvalidCodeError,
            InvalidTableError
        ProfileInvalidError
        TableInvalidError
        NotFoundError
            ContainerNotFoundError, ParentNotFoundError, TargetNotFoundError,
            ProfileNotFoundError, VersionNotFoundError, RoleNotFoundError,
            KeyNotFoundError, BindingNotFoundError, ChangeNotFoundError,
            TableNotFoundError
        ContainerAlreadyExistsError
        ContainerNotEmptyError
        ApprovalRequiredError, SamePersonError, ChangeDecidedError,
        TooManyChangesError
        EtagMismatchError
        UnauthenticatedError
        PermissionDeniedError
        ServiceRefusedError
        LastAdminError
        RoleInUseError
        CallIdleError
        TooManyCallsError
        StoreUnavailableError
            SchemaTooOldError
        StoreBusyError
        StoreFaultError
        SchemaTooNewError
        InvalidConninfoError
        KeyFileError
        TokenSettingsError

A message never repeats a profile text, nor what a caller sent in place of a name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from profile_service.language.model import Violation


class ProfileServiceError(Exception):
    """The request could not be carried out.

    Attributes:
        message: the reason in a sentence.
        names: the resource names that it is about, by what they are.
        cause: what only the log is told; no values.
    """

    cause = ""

    def __init__(self, message: str, **names: str) -> None:
        super().__init__(message)
        self.message = message
        self.names = names


class InvalidRequestError(ProfileServiceError):
    """A field of the request holds something that it cannot hold.

    Attributes:
        field: the path of the field in the request message.
        rule: what it can hold.
    """

    def __init__(self, field: str, rule: str) -> None:
        super().__init__(f"{field}: {rule}")
        self.field = field
        self.rule = rule


class InvalidNameError(InvalidRequestError):
    """A resource name is malformed, or names a kind of container that does not fit."""


class InvalidContainerError(InvalidRequestError):
    """A container has a display name or an enforcement switch that it cannot have."""


class InvalidUpdateMaskError(InvalidRequestError):
    """An update mask names a field that cannot be changed."""


class InvalidPageSizeError(InvalidRequestError):
    """A page size is out of range."""


class InvalidPageTokenError(InvalidRequestError):
    """A page token is not one that this list gave."""


class InvalidVersionError(InvalidRequestError):
    """A version is not a whole number from 1, nor 0 for the current one."""


class InvalidDigestError(InvalidRequestError):
    """The digests are too many, or one is not 64 hex digits."""


class InvalidFilterError(InvalidRequestError):
    """A filter of a list holds what nothing in the list can have."""


class InvalidNoteError(InvalidRequestError):
    """A note is too long, or holds what people cannot read."""


class InvalidPrincipalError(InvalidRequestError):
    """A principal is not written as one."""


class InvalidRoleError(InvalidRequestError):
    """A role or a permission is none that there is, or cannot be given there."""


class InvalidKeyError(InvalidRequestError):
    """An API key is to have a display name or an end that it cannot have."""


class InvalidFileEventError(InvalidRequestError):
    """What is told of files holds something that an event of the audit cannot hold."""


class ProfileInvalidError(ProfileServiceError):
    """The profile is invalid and was not stored.

    Attributes:
        violations: every one, in the order of the text.
    """

    def __init__(self, container: str, violations: Sequence[Violation]) -> None:
        super().__init__("The profile is invalid and was not stored.", container=container)
        self.violations = tuple(violations)


class TableInvalidError(ProfileServiceError):
    """The text of a table is not valid.

    Attributes:
        violations: all that is wrong, in the order of the text.
    """

    def __init__(self, table: str, violations: Sequence[Violation]) -> None:
        super().__init__("The table is not valid.", table=table)
        self.violations = tuple(violations)


class NotFoundError(ProfileServiceError):
    """Something that the request names does not exist."""


class ContainerNotFoundError(NotFoundError):
    """The container does not exist."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no container {name}.", container=name)


class TableNotFoundError(NotFoundError):
    """There is no such table, or not that version of it."""

    def __init__(self, container: str, table: str) -> None:
        super().__init__(
            f"{container} has no table {table}, or not that version of it.",
            container=container,
            table=table,
        )


class ParentNotFoundError(NotFoundError):
    """The container cannot be created because its parent does not exist."""

    def __init__(self, name: str, parent: str) -> None:
        super().__init__(
            f"{name} cannot be created: there is no {parent}.", container=name, parent=parent
        )


class TargetNotFoundError(NotFoundError):
    """The project or device does not exist."""

    def __init__(self, target: str) -> None:
        super().__init__(f"There is no {target}.", target=target)


class ProfileNotFoundError(NotFoundError):
    """No profile is attached to the container."""

    def __init__(self, container: str) -> None:
        super().__init__(f"No profile is attached to {container}.", container=container)


class VersionNotFoundError(NotFoundError):
    """The container has no profile of that version."""

    def __init__(self, container: str, version: str) -> None:
        super().__init__(f"{container} has no version {version} of a profile.", container=container)


class RoleNotFoundError(NotFoundError):
    """The site has no such role."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no role {name}.", role=name)


class KeyNotFoundError(NotFoundError):
    """There is no such API key."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no API key {name}.", key=name)


class BindingNotFoundError(NotFoundError):
    """The principal does not have the role on the container itself."""

    def __init__(self, container: str) -> None:
        super().__init__(
            f"{_place(container)} has no such binding of its own.", container=container
        )


class ContainerAlreadyExistsError(ProfileServiceError):
    """The container exists already."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} exists already.", container=name)


class ContainerNotEmptyError(ProfileServiceError):
    """The container still has children and was not deleted."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} still has children: delete those first, if they are to go.", container=name
        )


class CodesExhaustedError(ProfileServiceError):
    """All codes of a pattern were given."""

    def __init__(self, target: str) -> None:
        super().__init__(
            "All codes of the pattern were given: write it with more zeros.", target=target
        )


class InvalidTableError(InvalidRequestError):
    """What was said of a table has not its form, or does not fit the table."""


class InvalidCodeError(InvalidRequestError):
    """A pattern of codes, or a digest of a patient, is none."""


class NoMasterKeyError(ProfileServiceError):
    """The service has no master key to encrypt a key with."""

    def __init__(self, site: str) -> None:
        super().__init__(
            "The service has no master key, so it can keep no keys: see --master-key-file.",
            site=site,
        )


class ChangeNotFoundError(NotFoundError):
    """No change of that number was proposed."""

    def __init__(self, container: str, number: int) -> None:
        super().__init__(f"{container} has no change {number}.", container=container)


class ApprovalRequiredError(ProfileServiceError):
    """The site lets nobody make this change alone."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} cannot be changed by one person: propose the change, and another one who "
            "may make it approves it.",
            container=name,
        )


class SamePersonError(ProfileServiceError):
    """Who proposed a change cannot approve it."""

    def __init__(self, name: str) -> None:
        super().__init__("Who proposed a change cannot approve it.", container=name)


class ChangeDecidedError(ProfileServiceError):
    """The change was approved or rejected before."""

    def __init__(self, name: str, number: int) -> None:
        super().__init__(f"Change {number} of {name} was decided before.", container=name)


class TooManyChangesError(ProfileServiceError):
    """As many changes wait for a decision as may."""

    def __init__(self, name: str, most: int) -> None:
        super().__init__(
            f"{most} changes of {name} wait for a decision: approve or reject some of them first.",
            container=name,
        )


class InvalidChangeError(InvalidRequestError):
    """A change is none that can be proposed."""


class EtagMismatchError(ProfileServiceError):
    """What was to be changed has changed since the etag was read."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} has changed since the etag was read: read it again, and decide again.",
            container=name,
        )


class UnauthenticatedError(ProfileServiceError):
    """The caller has shown no credential, or none that is accepted.

    Which of the two, and why, is not told.
    """

    def __init__(self) -> None:
        super().__init__(
            "The call needs a credential that is accepted: `authorization: Bearer ...`."
        )


class PermissionDeniedError(ProfileServiceError):
    """The caller may not do this."""

    def __init__(self) -> None:
        super().__init__("The caller may not do this here, whether or not it exists.")


class ServiceRefusedError(ProfileServiceError):
    """Who asks in the name of a caller may not do that.

    Attributes:
        known: whether it has shown a credential that is accepted.
    """

    def __init__(self, *, known: bool = False) -> None:
        self.known = known
        super().__init__(
            "Who asks in the name of a caller needs a credential of its own with the role "
            "'service'."
        )


class LastAdminError(ProfileServiceError):
    """Nobody would be left who may manage access for all sites."""

    def __init__(self) -> None:
        super().__init__("Nobody would be left who may manage access for all sites.")


class RoleInUseError(ProfileServiceError):
    """Somebody has the role, so it is not deleted."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is in use: revoke it first.", role=name)


class CallIdleError(ProfileServiceError):
    """The request of a call did not come."""

    def __init__(self) -> None:
        super().__init__("The request of the call did not come; the call was ended.")


class TooManyCallsError(ProfileServiceError):
    """More calls wait than are let wait."""

    def __init__(self) -> None:
        super().__init__("Too many calls wait already; try again later.")


class StoreUnavailableError(ProfileServiceError):
    """The database does not answer."""

    def __init__(self, cause: str) -> None:
        super().__init__("The database does not answer; try again later.")
        self.cause = cause


class SchemaTooOldError(StoreUnavailableError):
    """The database has the schema of an older build than this one."""

    def __init__(self, found: int, needed: int) -> None:
        super().__init__(f"the database is at migration {found}, this build needs {needed}")
        self.found = found


class StoreBusyError(ProfileServiceError):
    """Another change holds what this one needs, and nothing was changed."""

    def __init__(self, cause: str) -> None:
        super().__init__("Other changes are under way; nothing was changed. Try again later.")
        self.cause = cause


class StoreFaultError(ProfileServiceError):
    """A statement failed in a way that this build does not foresee."""

    def __init__(self, cause: str) -> None:
        super().__init__("The database refused a statement; the log of the service says why.")
        self.cause = cause


class SchemaTooNewError(ProfileServiceError):
    """The database was migrated by a newer build than this one."""

    def __init__(self, found: int, known: int) -> None:
        super().__init__(
            f"The database is at migration {found}, and this build knows {known}: a newer "
            "build has used it. Run that build, or a newer one."
        )


class InvalidConninfoError(ProfileServiceError):
    """The connection string of the database is malformed."""

    def __init__(self) -> None:
        super().__init__(
            "The database's connection string is neither a URI (postgresql://...) nor "
            "key=value pairs. What is special in a URI is written as %XX, what is special "
            "in a pair stands in single quotes."
        )


class PasswordFileError(ProfileServiceError):
    """A file with the password of a role of the database cannot be used."""

    def __init__(self, path: str, cause: str) -> None:
        super().__init__(f"The password file {path} cannot be used: {cause}.")


class KeyFileError(ProfileServiceError):
    """A file with an API key cannot be used."""

    def __init__(self, path: str, cause: str) -> None:
        super().__init__(f"The key file {path} cannot be used: {cause}.")


class TokenSettingsError(ProfileServiceError):
    """Tokens cannot be verified as it was said."""

    def __init__(self, cause: str) -> None:
        super().__init__(f"Tokens cannot be verified: {cause}.")


def _place(container: str) -> str:
    return container or "The list for all sites"
