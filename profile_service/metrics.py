"""What ProfileService counts of its calls and its database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from profile_service.rpc_errors import STATUSES
from profile_service.serving.metrics import Count, Family, Gauge, Timing

if TYPE_CHECKING:
    from collections.abc import Sequence


def families(methods: Sequence[str]) -> tuple[Family, ...]:
    """Returns what is counted.

    Args:
        methods: that can be called.
    """
    codes = tuple(dict.fromkeys(("OK", *(code.name for code, _ in STATUSES.values()))))
    reasons = tuple(dict.fromkeys(("", *(reason for _, reason in STATUSES.values()))))
    return (
        Count(
            "deidcascade_calls",
            "Calls that have ended, by method and status.",
            "call",
            {"method": methods, "code": codes},
        ),
        Count(
            "deidcascade_call_failures",
            "Calls that have failed, by the reason that callers are given.",
            "call",
            {"reason": reasons},
        ),
        Timing(
            "deidcascade_call_seconds",
            "How long calls took.",
            "call",
            {"method": methods},
        ),
        Gauge(
            "deidcascade_serving",
            "Whether the worker has a database that it can serve with.",
            "database",
            of="answers",
            when="true",
        ),
        *(
            Gauge(f"deidcascade_database_{kind}_{what}", text, "connections", f"{kind}_{what}")
            for kind, does in (("readers", "resolve and read"), ("writers", "change"))
            for what, text in (
                ("busy", f"Connections of the worker that {does} now."),
                ("most", f"Connections of the worker that may {does} at once."),
            )
        ),
    )
