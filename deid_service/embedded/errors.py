"""What can go wrong in the embedded mode, in words for the person who started it."""

from __future__ import annotations


class EmbeddedPostgresError(Exception):
    """The embedded PostgreSQL cannot be run; says why."""


class StandaloneError(Exception):
    """The embedded mode could not start, or one of its processes ended; says why."""
