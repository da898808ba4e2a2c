"""How an action can fail."""

from __future__ import annotations


class NotTransformableError(Exception):
    """An action cannot transform the value that it was given.

    The message is a sentence without any part of the value.
    """
