"""Who does something, as it is told to those who ask later: never a secret."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Credential(Enum):
    """By what an actor was known; the value is how it is stored and told."""

    NONE = "none"
    API_KEY = "api-key"
    TOKEN = "token"  # noqa: S105 -- the name of a kind
    CERTIFICATE = "certificate"
    # Whoever may run a command of this machine: it asks the database, and no service.
    COMMAND = "command"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who makes a call, or a change beside the service.

    Attributes:
        subject: their name; empty for who has shown no credential.
        credential: by what they were known.
        key_id: which API key it was; empty for other credentials.
        peer: the address that the call came from, as gRPC writes it (`ipv4:10.0.0.7:5123`);
            empty where nobody called.
        request_id: ties the call to its line in the log; empty where nobody called.
    """

    subject: str
    credential: Credential
    key_id: str = ""
    peer: str = ""
    request_id: str = ""

    @property
    def identity(self) -> str:
        """What tells one who calls from another; display names can be alike."""
        return f"{self.credential.value}:{self.key_id or self.subject}"

    @property
    def principal(self) -> str:
        """Who it is, as bindings name callers; others by how they were known."""
        if self.credential is Credential.API_KEY:
            return f"key:{self.key_id}"
        if self.credential is Credential.TOKEN:
            return f"user:{self.subject}"
        return f"{self.credential.value}:{self.subject}"
