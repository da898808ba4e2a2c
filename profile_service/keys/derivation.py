"""What is derived from a secret: a key for each purpose and scope (HKDF, RFC 5869).

Who has one of them can tell neither the secret, nor another key.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from profile_service.language.model import KeyPurpose

_KEY_BYTES: Final = 32
_ID_BYTES: Final = 8

# Tells what is derived here from what others derive of the same secret.
_WHAT: Final = b"deidcascade keys 1"


class StreamKeys(NamedTuple):
    """What one stream needs.

    Attributes:
        id: names the keys, 16 hex digits; says nothing about them, and differs by scope.
        keys: by purpose, 32 bytes each.
        tables: those by which patients are found in tables, by the names of these. They are
            derived of the secrets of the tables.
    """

    id: str
    keys: dict[KeyPurpose, bytes]
    tables: Mapping[str, bytes] = MappingProxyType({})

    def __repr__(self) -> str:
        return f"StreamKeys({self.id!r})"


def stream_keys(secret: bytes, scope: str, purposes: Iterable[KeyPurpose]) -> StreamKeys:
    """Derives the keys that pseudonyms are made with.

    Args:
        secret: 32 bytes.
        scope: within which the same patient has the same pseudonym; no two are alike.
        purposes: that keys are needed for.
    """
    key_id = derived(secret, "id", scope, length=_ID_BYTES).hex()
    keys = {each: derived(secret, each, scope, length=_KEY_BYTES) for each in purposes}
    return StreamKeys(key_id, keys)


def derived(secret: bytes, purpose: str, scope: str = "", *, length: int) -> bytes:
    """Returns so many bytes of a secret, other ones for each purpose and scope."""
    info = b"\0".join((_WHAT, purpose.encode(), scope.encode()))
    return HKDF(SHA256(), length, salt=None, info=info).derive(secret)
