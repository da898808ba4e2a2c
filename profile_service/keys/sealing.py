"""Secrets as they are stored: encrypted with a master key that is not in the database.

secret ----------- AES-256-GCM under a key of the master key -----------> sealed
site, generation -- said beside it, so that none stands for another ----/
"""

from __future__ import annotations

import os
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from profile_service.keys.derivation import derived
from profile_service.keys.errors import MasterKeyError

_KEY_BYTES: Final = 32
_ID_BYTES: Final = 8
_NONCE_BYTES: Final = 12


class Sealed(NamedTuple):
    """A secret, encrypted.

    Attributes:
        master_key: names the master key: 8 bytes.
        data: the nonce, the secret, and the tag.
    """

    master_key: bytes
    data: bytes


class MasterKey:
    """Encrypts and decrypts what is stored."""

    __slots__ = ("_cipher", "id")

    def __init__(self, secret: bytes) -> None:
        """Takes the secret; what encrypts is derived of it."""
        self.id = derived(secret, "master id", length=_ID_BYTES)
        self._cipher = AESGCM(derived(secret, "master", length=_KEY_BYTES))

    def __repr__(self) -> str:
        return f"MasterKey({self.id.hex()!r})"

    def __reduce__(self) -> str:
        raise TypeError("keys are not written anywhere")

    def seal(self, secret: bytes, what: str) -> Sealed:
        """Encrypts a secret.

        Args:
            secret: what nobody may read.
            what: it is of; to be said again when it is read.
        """
        nonce = os.urandom(_NONCE_BYTES)
        return Sealed(self.id, nonce + self._cipher.encrypt(nonce, secret, what.encode()))

    def open(self, sealed: Sealed, what: str) -> bytes:
        """Decrypts a secret.

        Raises:
            MasterKeyError: it was encrypted with another key, or as something else, or has
                been changed since.
        """
        nonce, data = sealed.data[:_NONCE_BYTES], sealed.data[_NONCE_BYTES:]
        if sealed.master_key != self.id:
            raise MasterKeyError
        try:
            return self._cipher.decrypt(nonce, data, what.encode())
        except InvalidTag:
            raise MasterKeyError from None
