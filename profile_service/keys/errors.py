"""How a key can be unusable."""

from __future__ import annotations


class KeyFileError(Exception):
    """A file of a key cannot be used. The message says why, without any part of the key."""
