"""The profile language."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# A machine under load is slow; that is nothing about the code under test.
UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
