"""The identity provider whose tokens count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from profile_service.serving.options import Number
from profile_service.serving.safeguards import complain

if TYPE_CHECKING:
    from types import SimpleNamespace

    from profile_service.serving.options import Options

# With two keys each: who can verify a token cannot make one.
ALGORITHMS = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA"),
)


@dataclass(frozen=True, slots=True)
class Provider:
    """An identity provider whose tokens count.

    Attributes:
        issuer: who it is, as its tokens say.
        audience: whom its tokens must be for.
        keys: where its keys are: a URL that begins with https://, or a file.
        algorithms: those that it signs with.
        groups_claim: where its tokens say which groups somebody is in.
        leeway_seconds: how far its clock may be off.
    """

    issuer: str
    audience: str
    keys: str
    algorithms: tuple[str, ...] = ("RS256",)
    groups_claim: str = "groups"
    leeway_seconds: float = 30.0


def add_options(options: Options) -> None:
    """Adds what can be said of it."""
    options.add("--token-issuer", "whose tokens (JWT) count, as their `iss` says")
    options.add("--token-audience", "whom these tokens must be for: their `aud`")
    options.add("--token-keys", "the keys of the issuer (JWKS): https://..., or a file")
    options.add(
        "--token-algorithms", f"those it signs with, of {', '.join(ALGORITHMS)}", default="RS256"
    )
    options.add("--token-groups-claim", "the claim that names groups", default="groups")
    options.add(
        "--token-leeway-seconds",
        "how far its clock may be off",
        number=Number(float, 0, 300),
        default="30",
    )


def read_options(parsed: SimpleNamespace) -> Provider | None:
    """Returns whose tokens count.

    Raises:
        SystemExit: something is missing, or cannot be (2).
    """
    said = (parsed.token_issuer, parsed.token_audience, parsed.token_keys)
    if not any(said):
        return None
    algorithms = tuple(parsed.token_algorithms.replace(" ", "").split(","))
    if not all(said):
        wrong = "--token-issuer, --token-audience and --token-keys belong together"
    elif not set(algorithms) <= set(ALGORITHMS):
        wrong = f"--token-algorithms must be of {', '.join(ALGORITHMS)}"
    elif parsed.token_keys.startswith("http://"):
        wrong = "--token-keys must begin with https://, or be a file"
    else:
        return Provider(*said, algorithms, parsed.token_groups_claim, parsed.token_leeway_seconds)
    complain(f"profile_service: {wrong}.")
    raise SystemExit(2)
