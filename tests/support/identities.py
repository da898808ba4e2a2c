"""An identity provider: its keys, and the tokens that it gives."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from profile_service.provider import Provider

if TYPE_CHECKING:
    from pathlib import Path

ISSUER = "https://login.hospital.example/"
AUDIENCE = "deid-cascade"


class Identities:
    """Gives tokens, and writes the keys that they are verified with into a file.

    Attributes:
        keys: by their ids.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self.keys: dict[str, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey] = {}
        self.new_key("one")

    @property
    def provider(self) -> Provider:
        """What a service is told of it."""
        return Provider(ISSUER, AUDIENCE, str(self._file), ("RS256", "ES256"))

    def new_key(self, name: str, *, elliptic: bool = False) -> None:
        """Makes a key that counts from now on."""
        self.keys[name] = (
            ec.generate_private_key(ec.SECP256R1())
            if elliptic
            else rsa.generate_private_key(65537, 2048)
        )
        self.publish()

    def publish(self, *more: dict[str, object]) -> None:
        """Writes the keys that there are, and others."""
        listed: list[dict[str, object]] = [*more]
        for name, key in self.keys.items():
            if isinstance(key, rsa.RSAPrivateKey):
                listed.append(RSAAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": name})
            else:
                listed.append(ECAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": name})
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps({"keys": listed}))
        new.replace(self._file)

    def token(self, subject: str = "jo", *groups: str, key: str = "one", **changes: object) -> str:
        """Gives a token; a claim that is None is left out."""
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": subject,
            "exp": now + 300,
            "iat": now,
            "groups": list(groups),
        } | changes
        said = {name: value for name, value in claims.items() if value is not None}
        signing = self.keys[key]
        algorithm = "RS256" if isinstance(signing, rsa.RSAPrivateKey) else "ES256"
        return jwt.encode(said, signing, algorithm, headers={"kid": key})
