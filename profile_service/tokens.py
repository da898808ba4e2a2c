"""Tokens of an identity provider (RFC 7519), and the keys that they are verified with.

A token counts when its issuer, its audience, its times and its algorithm are those that
were configured, and one of the provider's keys has signed it. Only algorithms with two
keys are accepted: with those, whoever can verify a token cannot make one.

Keys come from a file or from a URL (RFC 7517). They are read again when the file has
changed, every few minutes, and when a token names one that is not known; a key that the
provider has withdrawn counts no more from then on.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
import urllib.error
import urllib.request
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

import jwt
from jwt.exceptions import PyJWTError

from profile_service.access.actor import Credential
from profile_service.access.credentials import Claims
from profile_service.errors import TokenSettingsError, UnauthenticatedError
from profile_service.logs import LOG

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    from profile_service.provider import Provider

    Verifying = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey | Ed448PublicKey

# How old keys from a URL may become before they are asked for again, and before nothing
# counts any more that they would verify.
REFRESH_SECONDS = 300.0
MAX_AGE_SECONDS = 86_400.0

# Who names keys that there are not makes nobody ask more often than this.
UNKNOWN_KEY_SECONDS = 10.0

# How long the provider may take to answer, and how much.
FETCH_SECONDS = 5.0
MAX_KEYS_BYTES = 1 << 20

# NIST SP 800-131A: shorter ones are not secure any more.
MIN_RSA_BITS = 2048

# Groups of a token beyond this are not looked at: a token has 8 KiB.
MAX_GROUPS = 200

# Tokens whose signature is known to be right.
MAX_VERIFIED = 1024

# What a subject or a group may be: the same as bindings can name.
MAX_NAME = 255

_KINDS = {"RSA", "EC", "OKP"}
_REQUIRED = ["exp", "iss", "aud", "sub"]


class Key(NamedTuple):
    """A key of the provider.

    Attributes:
        kind: its `kty`.
        algorithm: the only one that it is for; empty: any of its kind.
        key: what verifies.
    """

    kind: str
    algorithm: str
    key: Verifying


@dataclass(frozen=True, slots=True)
class KeySet:
    """The keys of the provider at one time.

    Attributes:
        keys: by their ids; those without one stand under the empty text.
        time: when they were read, by the monotonic clock.
    """

    keys: Mapping[str, Sequence[Key]]
    time: float


class Verified(NamedTuple):
    """A token that was verified.

    Attributes:
        claims: what it says.
        ends: when it expires, in seconds since 1970, with the leeway.
        keys: those that there were then.
    """

    claims: Claims
    ends: float
    keys: KeySet


class Tokens:
    """Verifies tokens. Safe to use from many threads."""

    def __init__(self, provider: Provider) -> None:
        """Reads the keys, if they are in a file.

        Args:
            provider: whose tokens count.

        Raises:
            TokenSettingsError: the file cannot be read, or holds no keys.
        """
        self._provider = provider
        self._file = None if provider.keys.startswith("https://") else Path(provider.keys)
        self._stamp: tuple[int, int] = (0, 0)
        self._keys = KeySet({}, float("-inf"))
        self._asked = float("-inf")
        self._refreshing = threading.Lock()
        self._lock = threading.Lock()
        self._verified: OrderedDict[bytes, Verified] = OrderedDict()
        if self._file is not None:
            try:
                self._read_file(self._file)
            except (OSError, ValueError) as error:
                cause = getattr(error, "strerror", None) or str(error)
                raise TokenSettingsError(f"{self._file} cannot be used: {cause}") from None

    def claims(self, token: str) -> Claims:
        """Returns what a token says.

        Raises:
            UnauthenticatedError: it does not count.
        """
        keys = self._current()
        digest = hashlib.sha256(token.encode()).digest()
        with self._lock:
            known = self._verified.get(digest)
            if known is not None:
                self._verified.move_to_end(digest)
        # The time alone can change: what it says and who has signed it cannot.
        if known is not None and known.keys is keys and time.time() < known.ends:
            return known.claims
        verified = self._verify(token, keys)
        with self._lock:
            self._verified[digest] = verified
            if len(self._verified) > MAX_VERIFIED:
                self._verified.popitem(last=False)
        return verified.claims

    def _verify(self, token: str, keys: KeySet) -> Verified:
        try:
            header = jwt.get_unverified_header(token)
            algorithm, name = str(header.get("alg")), str(header.get("kid", ""))
            if algorithm not in self._provider.algorithms:
                raise UnauthenticatedError
            if not self._candidates(keys, name, algorithm):
                keys = self._refresh(UNKNOWN_KEY_SECONDS)
            for key in self._candidates(keys, name, algorithm):
                try:
                    said = self._decode(token, algorithm, key)
                except jwt.InvalidSignatureError:
                    # Another one may have the same id.
                    continue
                ends = float(str(said["exp"])) + self._provider.leeway_seconds
                return Verified(self._read(said), ends, keys)
        except (PyJWTError, ValueError, TypeError):
            pass
        raise UnauthenticatedError

    def _decode(self, token: str, algorithm: str, key: Key) -> Mapping[str, object]:
        said: Mapping[str, object] = jwt.decode(
            token,
            key.key,
            algorithms=[algorithm],
            audience=self._provider.audience,
            issuer=self._provider.issuer,
            leeway=self._provider.leeway_seconds,
            options={"require": _REQUIRED, "enforce_minimum_key_length": True},
        )
        return said

    def _read(self, said: Mapping[str, object]) -> Claims:
        subject = said["sub"]
        if not isinstance(subject, str) or not _is_name(subject):
            raise UnauthenticatedError
        listed = said.get(self._provider.groups_claim, ())
        groups = listed if isinstance(listed, list) else [listed]
        # One that no binding can name gives nothing.
        named = [each for each in groups if isinstance(each, str) and _is_name(each)]
        principals = (f"user:{subject}", *(f"group:{each}" for each in named[:MAX_GROUPS]))
        return Claims(Credential.TOKEN, subject, principals)

    @staticmethod
    def _candidates(keys: KeySet, name: str, algorithm: str) -> list[Key]:
        """Returns the keys that a token can mean: without an id the only one that there is."""
        every = keys.keys.get(name, ())
        if not name:
            all_keys = [key for some in keys.keys.values() for key in some]
            every = all_keys if len(all_keys) == 1 else ()
        kind = {"R": "RSA", "P": "RSA", "E": "EC"}[algorithm[0]]
        if algorithm == "EdDSA":
            kind = "OKP"
        return [key for key in every if key.kind == kind and key.algorithm in {"", algorithm}]

    # --- Keys ---------------------------------------------------------------------------

    def _current(self) -> KeySet:
        """Returns the keys; asks for them where they are old."""
        if self._file is not None:
            try:
                self._read_file(self._file)
            except (OSError, ValueError):
                # It is being replaced, or gone: those that were read count.
                return self._keys
            return self._keys
        age = time.monotonic() - self._keys.time
        if age > MAX_AGE_SECONDS:
            return self._refresh(UNKNOWN_KEY_SECONDS)
        if age > REFRESH_SECONDS and not self._refreshing.locked():
            # Those that there are go on meanwhile.
            threading.Thread(
                target=self._refresh, args=(REFRESH_SECONDS,), name="keys", daemon=True
            ).start()
        return self._keys

    def _read_file(self, file: Path) -> None:
        status = file.stat()
        stamp = status.st_mtime_ns, status.st_ino
        if stamp != self._stamp:
            self._keys = KeySet(_keys_in(file.read_bytes()), time.monotonic())
            self._stamp = stamp

    def _refresh(self, seconds: float) -> KeySet:
        """Asks for the keys, unless that was done within some seconds; returns those there are."""
        if self._file is not None or not self._refreshing.acquire(timeout=FETCH_SECONDS):
            return self._usable()
        try:
            if time.monotonic() - self._asked < seconds:
                return self._usable()
            self._asked = time.monotonic()
            self._keys = KeySet(_keys_in(_fetch(self._provider.keys)), time.monotonic())
        except (OSError, ValueError) as error:
            LOG.write("token_keys", level=logging.ERROR, cause=type(error).__name__)
        finally:
            self._refreshing.release()
        return self._usable()

    def _usable(self) -> KeySet:
        if self._file is None and time.monotonic() - self._keys.time > MAX_AGE_SECONDS:
            return KeySet({}, self._keys.time)
        return self._keys


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Keys come from where it was said, over TLS."""

    def redirect_request(self, *_: object) -> None:
        """Follows nothing."""


def _fetch(url: str) -> bytes:
    opener = urllib.request.build_opener(_NoRedirects)
    try:
        with opener.open(url, timeout=FETCH_SECONDS) as answer:
            data: bytes = answer.read(MAX_KEYS_BYTES + 1)
    except urllib.error.URLError as error:
        raise OSError(str(type(error.reason).__name__)) from None
    if len(data) > MAX_KEYS_BYTES:
        raise ValueError("it is too long")
    return data


def _keys_in(data: bytes) -> Mapping[str, Sequence[Key]]:
    """Reads a JWK set; raises ValueError where it is none, or has no key that can be used."""
    said = json.loads(data)
    found: dict[str, list[Key]] = {}
    listed = said.get("keys") if isinstance(said, dict) else None
    for each in listed if isinstance(listed, list) else ():
        if not isinstance(each, dict) or each.get("use", "sig") != "sig":
            continue
        kind = str(each.get("kty"))
        if kind not in _KINDS:
            continue
        try:
            # One that signs, and one of a kind with a single key, is none of these.
            key = cast("Verifying", jwt.PyJWK(each).key)
        except (PyJWTError, ValueError, KeyError):
            continue
        if "d" in each or (kind == "RSA" and getattr(key, "key_size", 0) < MIN_RSA_BITS):
            continue
        found.setdefault(str(each.get("kid", "")), []).append(
            Key(kind, str(each.get("alg", "")), key)
        )
    if not found:
        raise ValueError("it holds no key that can be used")
    return found


def _is_name(text: str) -> bool:
    return (
        0 < len(text) <= MAX_NAME and text.isascii() and text.isprintable() and text == text.strip()
    )
