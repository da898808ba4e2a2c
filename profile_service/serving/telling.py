"""What a service tells of itself: the form of its log, and where it can be asked for metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import SimpleNamespace

    from profile_service.serving.options import Options


@dataclass(frozen=True, slots=True)
class Telling:
    """What a service tells, and how.

    Attributes:
        metrics: HOST:PORT where Prometheus may ask; empty for nowhere.
        json_log: whether lines of the log are objects of JSON.
    """

    metrics: str = ""
    json_log: bool = False


SILENT = Telling()


def add_options(options: Options) -> None:
    """Adds what can be said of it."""
    options.add(
        "--metrics",
        str,
        "",
        "HOST:PORT where Prometheus may ask what is counted; port 0 takes one that is free",
    )
    options.add_choice(
        "--log-format",
        ("text", "json"),
        "text: lines for people; json: each line an object, for what collects logs",
    )


def read_options(parsed: SimpleNamespace) -> Telling:
    """Returns what was said."""
    return Telling(parsed.metrics, parsed.log_format == "json")
