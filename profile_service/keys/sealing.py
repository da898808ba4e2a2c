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
    """Encrypts and decrypts what is stored.

    Attributes:
        id: names what it encrypts with: 8 bytes.
    """

    __slots__ = ("_cipher", "_ciphers", "id")

    def __init__(self, secret: bytes, previous: bytes | None = None) -> None:
        """Takes a secret; what encrypts is derived of it.

        Args:
            secret: 32 bytes.
            previous: that of the master key before: what was encrypted with it is decrypted,
                and nothing is encrypted with it any more.
        """
        secrets = [secret] if previous is None else [previous, secret]
        self._ciphers: dict[bytes, AESGCM] = {}
        for one in secrets:
            self.id = derived(one, "master id", length=_ID_BYTES)
            self._cipher = AESGCM(derived(one, "master", length=_KEY_BYTES))
            self._ciphers[self.id] = self._cipher

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
        cipher = self._ciphers.get(sealed.master_key)
        if cipher is None:
            raise MasterKeyError
        try:
            return cipher.decrypt(nonce, data, what.encode())
        except InvalidTag:
            raise MasterKeyError from None


# What a secret is of, so that none stands for another.


def of_site(site_id: int, generation: int) -> str:
    """Returns what a generation of the key of a site is encrypted as."""
    return f"site {site_id} generation {generation}"


def of_subject(scope_id: int, digest: bytes) -> str:
    """Returns what a patient who has a code is encrypted as."""
    return f"subject {scope_id} {digest.hex()}"


def of_table(container_id: int, name: str) -> str:
    """Returns what the secret of a table is encrypted as."""
    return f"table {container_id} {name}"
