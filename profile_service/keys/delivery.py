"""Keys on their way: from ProfileService to the DeidService that has asked for them.

Both know the API key of DeidService. A DeidService sends a nonce of its own, with a proof
that it has the key; the answer is encrypted under a key of that nonce, so that nobody who
asks, or sends once more what others have sent, can read it. That nobody may listen is a
matter of the transport, on which the API key itself travels.

    DeidService    --- nonce, HMAC(API key, nonce, target) --->    ProfileService
                   <-- AES-256-GCM(key of the nonce; keys) ----------
"""

from __future__ import annotations

import hmac
import json
import os
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from profile_service.keys.derivation import StreamKeys, derived
from profile_service.keys.errors import DeliveryError

if TYPE_CHECKING:
    from profile_service.language.model import KeyPurpose

_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 16

# Each answer has a key of its own, under which nothing else is ever encrypted.
_ONCE: Final = bytes(12)

_TABLES: Final = "tables"
_PURPOSES: Final[tuple[KeyPurpose, ...]] = ("hash", "uid", "shift", "table")


class ServiceKey:
    """What tells a DeidService, and ProfileService, from everybody else."""

    __slots__ = ("_secret",)

    def __init__(self, text: str) -> None:
        """Takes the API key of DeidService: 256 random bits, and what is around them."""
        self._secret = text.encode()

    def __repr__(self) -> str:
        return "ServiceKey()"

    def __reduce__(self) -> str:
        raise TypeError("keys are not written anywhere")

    def request(self, target: str) -> bytes:
        """Returns a request for the keys of a target, which no other is like."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._proof(nonce, target)

    def is_mine(self, request: bytes, target: str) -> bool:
        """Whether a request comes from who has the same key."""
        nonce, proof = request[:_NONCE_BYTES], request[_NONCE_BYTES:]
        return hmac.compare_digest(proof, self._proof(nonce, target))

    def seal(self, keys: StreamKeys, request: bytes, target: str) -> bytes:
        """Encrypts keys for who has sent a request, which is to be used once."""
        said: dict[str, str | dict[str, str]] = {"id": keys.id}
        said.update((purpose, key.hex()) for purpose, key in keys.keys.items())
        if keys.tables:
            said[_TABLES] = {name: key.hex() for name, key in keys.tables.items()}
        return self._cipher(request).encrypt(_ONCE, json.dumps(said).encode(), target.encode())

    def open(self, sealed: bytes, request: bytes, target: str) -> StreamKeys:
        """Decrypts the keys that answer a request.

        Raises:
            DeliveryError: they do not answer it, or come from who has another service key.
        """
        try:
            said = json.loads(self._cipher(request).decrypt(_ONCE, sealed, target.encode()))
        except InvalidTag:
            raise DeliveryError from None
        keys = {each: bytes.fromhex(said[each]) for each in _PURPOSES if each in said}
        tables = {name: bytes.fromhex(key) for name, key in said.get(_TABLES, {}).items()}
        return StreamKeys(said["id"], keys, tables)

    def _proof(self, nonce: bytes, target: str) -> bytes:
        key = derived(self._secret, "request", length=_KEY_BYTES)
        return hmac.digest(key, nonce + target.encode(), "sha256")

    def _cipher(self, request: bytes) -> AESGCM:
        nonce = request[:_NONCE_BYTES].hex()
        return AESGCM(derived(self._secret, "delivery", nonce, length=_KEY_BYTES))
