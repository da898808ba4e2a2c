"""That ProfileService does not do what it was asked for, and whoever asks is to know why."""

from __future__ import annotations

# Why there is no key for a profile that needs one, and nothing that is kept encrypted.
NO_MASTER_KEY = (
    "ProfileService has no master key, or another one than before: see its --master-key-file"
)


class CallRefusedError(Exception):
    """ProfileService does not do what it was asked for.

    Attributes:
        reason: stable.
    """

    def __init__(self, reason: str) -> None:
        """Takes the reason."""
        super().__init__(reason)
        self.reason = reason
