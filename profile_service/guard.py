"""The door of the service: nothing is carried out before this has let it pass.

What a call needs stands in `access/rules.py`, and the decision in `access/judging.py`. A
resolution alone reads what its credentials are worth with what it is about, in one query,
and judges them then.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from profile_service.access.actor import Actor, Credential
from profile_service.access.credentials import (
    NOBODY,
    Claims,
    bearer,
    claims_of_certificate,
    claims_of_key,
    read_key,
)
from profile_service.access.judging import judge, judge_given
from profile_service.access.permissions import Permission
from profile_service.access.places import ALL_SITES
from profile_service.access.rules import FOR_CALLERS, GIVEN_TO_CALLERS, RESOLVING, RULES
from profile_service.audit import Action, Entry
from profile_service.bulkheads import Bulkhead
from profile_service.errors import (
    InvalidRequestError,
    ProfileServiceError,
    UnauthenticatedError,
)
from profile_service.logs import LOG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from profile_service.access.places import Place
    from profile_service.store.access import AccessStore

# The metadata of a call. Those after the first are DeidService's, for what its caller shows.
AUTHORIZATION = "authorization"
CALLER_AUTHORIZATION = "caller-authorization"
# Or for the name in the certificate that its caller has shown.
CALLER_CERTIFICATE = "caller-certificate"

# Denied calls that are told one after the other; of more than wait, the log tells alone.
MAX_DENIALS_WAITING = 8
DENIAL_SECONDS = 1.0

_NOTHING: frozenset[Permission] = frozenset()


class Shown(NamedTuple):
    """What a caller has shown.

    Attributes:
        claims: of the caller.
        for_caller: of the one in whose name it calls; None where it is in its own.
    """

    claims: Claims
    for_caller: Claims | None


class Call(NamedTuple):
    """What a method of the service is told of a call beside its request.

    Attributes:
        granted: what the caller may do where the call asks for something.
        shown: their credentials.
        key_name: the display name of the API key that they have shown; else empty.
        request_id: ties the call to its line in the log.
        peer: tells the address that the call came from.
        is_wanted: tells whether the caller still waits.
        more: the requests behind the first, as they come; where they end because one did not
            come, or the caller is gone, nobody waits any more.
        proposed_by: who proposed what the caller approves; None where nobody did.
    """

    granted: frozenset[Permission]
    shown: Shown
    key_name: str
    request_id: str
    peer: Callable[[], str]
    is_wanted: Callable[[], bool]
    more: Iterable[Any] = ()
    proposed_by: str | None = None

    @property
    def actor(self) -> Actor:
        """Who calls; handed down to whatever changes something."""
        return actor_of(self.shown, self.key_name, self.peer(), self.request_id)


class Guard:
    """Lets calls pass, or does not."""

    def __init__(
        self,
        store: AccessStore,
        record: Callable[[Entry], None] = lambda _: None,
        read_token: Callable[[str], Claims] | None = None,
    ) -> None:
        """Takes what it asks and tells.

        Args:
            store: knows what credentials are worth.
            record: adds an event to the audit.
            read_token: says what a token of an identity provider claims, or raises
                UnauthenticatedError; None where no such tokens count.
        """
        self._read_token = read_token
        self._store = store
        self._record = record
        self._recording = Bulkhead(places=1, waiting=MAX_DENIALS_WAITING, seconds=DENIAL_SECONDS)

    def read(
        self,
        metadata: Iterable[tuple[str, str | bytes]],
        certificate: Callable[[], str] = lambda: "",
    ) -> Shown:
        """Reads what a call shows.

        Args:
            metadata: that of the call.
            certificate: tells whom the certificate of the connection names, if there is one;
                asked where the call shows nothing else.

        Raises:
            UnauthenticatedError: it is none that is understood.
        """
        own, of_caller, certificates = [], [], []
        for name, value in metadata:
            if name == AUTHORIZATION:
                own.append(str(value))
            elif name == CALLER_AUTHORIZATION:
                of_caller.append(str(value))
            elif name == CALLER_CERTIFICATE:
                certificates.append(str(value))
        if len(of_caller) + len(certificates) > 1:
            raise UnauthenticatedError
        for_caller = self._claims(bearer(of_caller)) if of_caller else None
        if certificates:
            for_caller = claims_of_certificate(certificates[0])
        claims = self._claims(bearer(own))
        if claims is NOBODY and (named := certificate()):
            claims = claims_of_certificate(named)
        if for_caller is not None:
            _tell_apart(claims, for_caller)
        return Shown(claims, for_caller)

    def admit(self, method: str, request: Any, shown: Shown) -> tuple[str, frozenset[Permission]]:
        """Lets a call pass, or does not.

        Args:
            method: the name of the call.
            request: its request.
            shown: what it shows.

        Returns:
            The display name of the API key that it shows, and what may be done where it
            asks for something: both empty for a resolution, which is judged later, and for
            what is asked for in the name of a caller.

        Raises:
            UnauthenticatedError: see `judge`.
            PermissionDeniedError: see `judge`.
            ServiceRefusedError: see `judge_resolution`.
            InvalidRequestError: the request does not say where it asks for something; who
                is not known is not told.
        """
        claims = shown.claims
        if shown.for_caller is not None and method not in FOR_CALLERS:
            # Nobody else calls in the name of another, nor is taken for one.
            raise UnauthenticatedError
        if claims is NOBODY and shown.for_caller is None:
            raise UnauthenticatedError
        try:
            asked = RULES[method](request)
        except InvalidRequestError:
            judge(claims, self._store.standing(claims, ALL_SITES), _NOTHING)
            raise
        if method == RESOLVING:
            # Judged by what it reads.
            return "", _NOTHING
        if method in GIVEN_TO_CALLERS:
            self._judge_given(shown, asked.place)
            return "", _NOTHING
        standing = self._store.standing(claims, asked.place)
        judge(claims, standing, asked.permissions)
        return standing.key_name or "", standing.granted

    def _judge_given(self, shown: Shown, place: Place) -> None:
        claims, for_caller = shown
        standing, theirs = self._store.standing_of_both(claims, for_caller or NOBODY, place)
        judge_given((claims, standing), None if for_caller is None else (for_caller, theirs))

    def tell_denied(self, method: str, resource: str, actor: Actor, reason: str) -> None:
        """Tells the audit of a call that its caller may not make.

        The call is refused in any case. Who makes many such calls keeps nobody from
        changes: what comes too fast for the audit is told in the log alone.

        Args:
            method: the name of the call.
            resource: what it is about; empty for all sites.
            actor: who makes it.
            reason: the stable reason.
        """
        entry = Entry(Action.CALL, resource, actor, after={"method": method}, denied=reason)
        try:
            with self._recording.place():
                self._record(entry)
        except ProfileServiceError as error:
            LOG.write(
                "denial_not_recorded",
                level=logging.ERROR,
                request=actor.request_id,
                cause=error.cause or type(error).__name__,
            )

    def _claims(self, token: str) -> Claims:
        if not token:
            return NOBODY
        # Header, payload and signature; an API key has no points.
        if self._read_token is not None and token.count(".") == 2:
            return self._read_token(token)
        return _claims_of(token)


# What a text claims never changes.
@lru_cache(maxsize=1024)
def _claims_of(token: str) -> Claims:
    key = read_key(token)
    if key is None:
        raise UnauthenticatedError
    return claims_of_key(key)


def _tell_apart(one: Claims, other: Claims) -> None:
    """A resolution could not tell which of two keys with one id is the right one."""
    if one.key_id == other.key_id and one.key_hash != other.key_hash:
        raise UnauthenticatedError


def actor_of(shown: Shown, key_name: str, peer: str, request_id: str) -> Actor:
    """Returns who makes a call."""
    claims = shown.for_caller or shown.claims
    name = key_name if claims.credential is Credential.API_KEY else ""
    return claims.actor(name, peer, request_id)
