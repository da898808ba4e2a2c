"""What a service tells of itself: the form of its log, metrics, and traces."""

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
        tracing: whether calls are traced for OpenTelemetry.
    """

    metrics: str = ""
    json_log: bool = False
    tracing: bool = False


SILENT = Telling()


def add_options(options: Options) -> None:
    """Adds what can be said of it."""
    options.add(
        "--metrics",
        "HOST:PORT where Prometheus may ask what is counted; port 0 takes one that is free",
    )
    options.add_choice(
        "--log-format",
        ("text", "json"),
        "text: lines for people; json: each line an object, for what collects logs",
    )
    options.add_switch(
        "--tracing",
        "1: traces calls for OpenTelemetry, where its variables (OTEL_EXPORTER_OTLP_ENDPOINT, ...) "
        "say; needs the extra 'tracing'",
        on=False,
    )


def read_options(parsed: SimpleNamespace) -> Telling:
    """Returns what was said."""
    return Telling(parsed.metrics, parsed.log_format == "json", parsed.tracing)
