"""What callers show: API keys of our own, and what a credential claims.

An API key is `deidcascade_{id}_{secret}`. The first part lets scanners find keys that
were left somewhere; the id is no secret and says which key it is; the secret has more
than 250 random bits, so that a plain hash of the key cannot be turned back.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
from typing import TYPE_CHECKING, NamedTuple

from profile_service.access.actor import Actor, Credential
from profile_service.errors import UnauthenticatedError

if TYPE_CHECKING:
    from collections.abc import Sequence

# 60 and 256 random bits.
_ID_CHARACTERS = string.digits + string.ascii_lowercase
_ID_LENGTH = 12
_SECRET_CHARACTERS = string.digits + string.ascii_letters
_SECRET_LENGTH = 43

KEY_ID = f"[0-9a-z]{{{_ID_LENGTH}}}"
_KEY = re.compile(f"deidcascade_({KEY_ID})_[0-9A-Za-z]{{{_SECRET_LENGTH}}}", re.ASCII)

# Longer ones are not looked at; what gRPC lets through is 16 KiB for all metadata.
MAX_CREDENTIAL_BYTES = 8192

_SCHEME = "bearer "


class ApiKey(NamedTuple):
    """An API key as it is made or shown.

    Attributes:
        id: which one it is.
        text: the whole of it; a secret.
    """

    id: str
    text: str

    @property
    def hash(self) -> bytes:
        """What is stored of it."""
        return hashlib.sha256(self.text.encode()).digest()

    def __repr__(self) -> str:
        return f"ApiKey({self.id})"


def new_key() -> ApiKey:
    """Makes an API key."""
    key_id = "".join(secrets.choice(_ID_CHARACTERS) for _ in range(_ID_LENGTH))
    secret = "".join(secrets.choice(_SECRET_CHARACTERS) for _ in range(_SECRET_LENGTH))
    return ApiKey(key_id, f"deidcascade_{key_id}_{secret}")


def read_key(text: str) -> ApiKey | None:
    """Returns the API key that a text is; None where it is none."""
    match = _KEY.fullmatch(text)
    return None if match is None else ApiKey(match[1], text)


def principal_of_key(key_id: str) -> str:
    """Returns how bindings name an API key."""
    return f"key:{key_id}"


class Claims(NamedTuple):
    """What a credential says; of an API key the database knows whether it is one.

    Attributes:
        credential: of which kind it is.
        subject: whom it names; of an API key, the database knows.
        principals: who it is, as bindings name them; the first one is the caller itself.
        key_id: which API key it is; empty for others.
        key_hash: the hash of the key; empty for others.
    """

    credential: Credential
    subject: str
    principals: tuple[str, ...]
    key_id: str = ""
    key_hash: bytes = b""

    @property
    def name(self) -> str:
        """The caller itself, as bindings name it; empty for nobody."""
        return self.principals[0] if self.principals else ""

    def actor(self, subject: str, peer: str, request_id: str) -> Actor:
        """Returns who this is, once that is known."""
        return Actor(subject or self.subject, self.credential, self.key_id, peer, request_id)


NOBODY = Claims(Credential.NONE, "", ())


def bearer(values: Sequence[str]) -> str:
    """Returns the token of the `authorization` metadata of a call; empty where there is none.

    Args:
        values: every value that the call has under that name.

    Raises:
        UnauthenticatedError: there are several, or it is none that is understood.
    """
    if not values:
        return ""
    value = values[0]
    if (
        len(values) > 1
        or len(value) > MAX_CREDENTIAL_BYTES
        or value[: len(_SCHEME)].lower() != _SCHEME
    ):
        raise UnauthenticatedError
    return value[len(_SCHEME) :]


def claims_of_certificate(name: str) -> Claims:
    """Returns what a client certificate claims that was verified."""
    return Claims(Credential.CERTIFICATE, name, (f"certificate:{name}",))


def claims_of_key(key: ApiKey) -> Claims:
    """Returns what an API key claims."""
    return Claims(Credential.API_KEY, "", (principal_of_key(key.id),), key.id, key.hash)
