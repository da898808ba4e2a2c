"""Keys on their way: from ProfileService to the DeidService that has asked for them.

Both know the API key of DeidService. A DeidService sends a nonce of its own, with a proof
that it has the key; the answer is encrypted under a key of that nonce, so that nobody who
asks can read it. Who sends once more what others have sent is answered, too, perhaps with other
keys by then: each answer has a nonce of its own as well (NIST SP 800-38D, 8.2). So do pages of
lists, each with a request of its own. That nobody may listen is a
matter of the transport, on which the API key itself travels.

    DeidService    --- nonce, HMAC(API key, nonce, target) --------->    ProfileService
                   <-- nonce, AES-256-GCM(key of the first nonce; keys) -----
"""

from __future__ import annotations

import hmac
import json
import os
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from profile_service.keys.derivation import StreamKeys, derived
from profile_service.keys.errors import DeliveryError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from profile_service.language.model import KeyPurpose

_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 16

# Of an answer.
_ANSWER_NONCE_BYTES: Final = 12

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
        """Encrypts keys for who has sent a request."""
        said: dict[str, str | dict[str, str]] = {"id": keys.id}
        said.update((purpose, key.hex()) for purpose, key in keys.keys.items())
        if keys.tables:
            said[_TABLES] = {name: key.hex() for name, key in keys.tables.items()}
        return _sealed(self._cipher("delivery", request), said, target.encode())

    def open(self, sealed: bytes, request: bytes, target: str) -> StreamKeys:
        """Decrypts the keys that answer a request.

        Raises:
            DeliveryError: they do not answer it, or come from who has another service key.
        """
        said = _opened(self._cipher("delivery", request), sealed, target.encode())
        keys = {each: bytes.fromhex(said[each]) for each in _PURPOSES if each in said}
        tables = {name: bytes.fromhex(key) for name, key in said.get(_TABLES, {}).items()}
        return StreamKeys(said["id"], keys, tables)

    def seal_page(self, texts: Sequence[str], request: bytes, page: Page) -> bytes:
        """Encrypts a page of a list for who has sent a request.

        Args:
            texts: what is on it.
            request: see `request`.
            page: which one it is.
        """
        return _sealed(self._cipher("listed", request), texts, page.name)

    def open_page(self, sealed: bytes, request: bytes, page: Page) -> list[str]:
        """Decrypts a page of a list.

        Raises:
            DeliveryError: it does not answer the request, is another one, or comes from who has
                another service key.
        """
        texts: list[str] = _opened(self._cipher("listed", request), sealed, page.name)
        return texts

    def _proof(self, nonce: bytes, target: str) -> bytes:
        key = derived(self._secret, "request", length=_KEY_BYTES)
        return hmac.digest(key, nonce + target.encode(), "sha256")

    def _cipher(self, purpose: str, request: bytes) -> AESGCM:
        nonce = request[:_NONCE_BYTES].hex()
        return AESGCM(derived(self._secret, purpose, nonce, length=_KEY_BYTES))


def _sealed(cipher: AESGCM, said: object, about: bytes) -> bytes:
    nonce = os.urandom(_ANSWER_NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, json.dumps(said).encode(), about)


def _opened(cipher: AESGCM, sealed: bytes, about: bytes) -> Any:
    nonce, data = sealed[:_ANSWER_NONCE_BYTES], sealed[_ANSWER_NONCE_BYTES:]
    try:
        return json.loads(cipher.decrypt(nonce, data, about))
    except (InvalidTag, ValueError):
        raise DeliveryError from None


class Page(NamedTuple):
    """A page of a list.

    Attributes:
        target: what files go to, the project or the device.
        table_id: of the list.
        version: of it.
        column: which has the words or the names.
        after: behind which row it begins; empty for the first.
    """

    target: str
    table_id: int
    version: int
    column: str
    after: bytes

    @property
    def name(self) -> bytes:
        """What tells it from all others."""
        parts = (self.target, str(self.table_id), str(self.version), self.column, self.after.hex())
        return "\n".join(parts).encode()
