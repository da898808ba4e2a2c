"""The key of a table: finds patients in it, and encrypts what it says of them.

Each table has a secret of its own, which is stored as the keys of sites are. Who has the key
that finds patients, as DeidService has for a stream, can read no row; who has a dump of the
database has neither.
"""

from __future__ import annotations

import hmac
import json
import os
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from profile_service.keys.derivation import derived
from profile_service.keys.errors import MasterKeyError

if TYPE_CHECKING:
    from collections.abc import Sequence

_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12

# Rows are as long as the next multiple, in bytes, so that their length says less.
_PADDED_TO: Final = 32


# Made once: a million rows are written by it.
_written: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class TableKey:
    """Finds, encrypts and decrypts the rows of a table."""

    __slots__ = ("_cipher", "_of_codes", "finding")

    def __init__(self, secret: bytes) -> None:
        """Takes the secret of a table; what is used is derived of it.

        Attributes:
            finding: the key of the digests that patients are found by, 32 bytes.
        """
        self.finding = derived(secret, "table digests", length=_KEY_BYTES)
        self._of_codes = derived(secret, "table codes", length=_KEY_BYTES)
        self._cipher = AESGCM(derived(secret, "table rows", length=_KEY_BYTES))

    def __repr__(self) -> str:
        return "TableKey()"

    def __reduce__(self) -> str:
        raise TypeError("keys are not written anywhere")

    def digest(self, patient: str) -> bytes:
        """Returns what a patient is found by: 32 bytes."""
        return hmac.digest(self.finding, patient.encode("utf-8", "surrogatepass"), "sha256")

    def code_digest(self, code: str) -> bytes:
        """Returns by what it is told that two patients have one code: 32 bytes."""
        return hmac.digest(self._of_codes, code.encode(), "sha256")

    def seal(self, digest: bytes, values: Sequence[str]) -> bytes:
        """Encrypts a row.

        Args:
            digest: what its patient is found by; to be said again when it is read.
            values: all of it.
        """
        text = _written(values).encode()
        text = text.ljust(-(-len(text) // _PADDED_TO) * _PADDED_TO)
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, text, digest)

    def open(self, digest: bytes, sealed: bytes) -> list[str]:
        """Decrypts a row.

        Raises:
            MasterKeyError: it was encrypted with another key, or for another patient, or has
                been changed since.
        """
        nonce, data = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            values: list[str] = json.loads(self._cipher.decrypt(nonce, data, digest))
        except InvalidTag:
            raise MasterKeyError from None
        return values
