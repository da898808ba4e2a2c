"""How a key can be unusable."""

from __future__ import annotations


class SecretFileError(Exception):
    """A file of a key cannot be used. The message says why, without any part of the key."""


class MasterKeyError(Exception):
    """What is stored was not encrypted with this master key."""


class DeliveryError(Exception):
    """Keys that came were not sent for who reads them."""
