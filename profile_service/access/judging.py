"""The decision: what a credential is worth against what a call needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from profile_service.access.actor import Credential
from profile_service.access.permissions import Permission
from profile_service.errors import (
    PermissionDeniedError,
    ServiceRefusedError,
    UnauthenticatedError,
)

if TYPE_CHECKING:
    from profile_service.access.credentials import Claims
    from profile_service.access.model import Standing

# What somebody needs who asks which profile applies.
OF_VIEWER = frozenset({Permission.PROFILES_VIEW})

# What a caller needs in whose name DeidService asks: who uploads, or sees what would come of
# that. And what DeidService needs for it.
OF_CALLER = frozenset({Permission.UPLOADS_CREATE})
OF_PREVIEW = OF_VIEWER
FOR_CALLER = frozenset({Permission.UPLOADS_RESOLVE})
# For a caller whose certificate DeidService has seen, and nobody else can.
FOR_CERTIFICATE = FOR_CALLER | {Permission.UPLOADS_VOUCH}


def judge(claims: Claims, standing: Standing, needed: frozenset[Permission]) -> None:
    """Lets a caller pass, or does not.

    Args:
        claims: what its credential says.
        standing: what that is worth where something is asked for.
        needed: what is needed there.

    Raises:
        UnauthenticatedError: the credential is none that is accepted.
        PermissionDeniedError: something that is needed is missing.
    """
    if not _is_known(claims, standing):
        raise UnauthenticatedError
    if not needed <= standing.granted:
        raise PermissionDeniedError


def judge_resolution(
    asking: tuple[Claims, Standing],
    caller: tuple[Claims, Standing] | None,
    of_caller: frozenset[Permission] = OF_CALLER,
) -> None:
    """Lets somebody know which profile applies, or DeidService in the name of a caller.

    Nothing that DeidService says of a caller counts: the caller's own credential does. Only
    where a caller has shown a certificate there is its word alone, for which it needs a
    permission of its own. And by itself it may not ask at all.

    Args:
        asking: who asks.
        caller: in whose name, or None.
        of_caller: what that one needs.

    Raises:
        ServiceRefusedError: who asks may not do so in the name of a caller.
        UnauthenticatedError: see `judge`.
        PermissionDeniedError: see `judge`.
    """
    if caller is None:
        return judge(*asking, OF_VIEWER)
    try:
        vouching = caller[0].credential is Credential.CERTIFICATE
        judge(*asking, FOR_CERTIFICATE if vouching else FOR_CALLER)
    except (UnauthenticatedError, PermissionDeniedError) as error:
        raise ServiceRefusedError(known=isinstance(error, PermissionDeniedError)) from None
    judge(*caller, of_caller)
    return None


def judge_given(asking: tuple[Claims, Standing], caller: tuple[Claims, Standing] | None) -> None:
    """Lets DeidService ask for what the patients of a caller are given; see `judge_resolution`.

    By itself it may not, nor may anybody.
    """
    if caller is None:
        judge(*asking, frozenset())
        raise PermissionDeniedError
    judge_resolution(asking, caller)


def _is_known(claims: Claims, standing: Standing) -> bool:
    if claims.credential is Credential.API_KEY:
        return standing.key_name is not None
    return claims.credential is not Credential.NONE
