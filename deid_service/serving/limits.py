"""What callers of DeidService may use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from deid_service.engine import MAX_HELD_BYTES
from profile_service.serving.options import Number

if TYPE_CHECKING:
    from types import SimpleNamespace

    from profile_service.serving.options import Options


@dataclass(frozen=True, slots=True)
class Limits:
    """What callers may use. Each limit is per worker process.

    Attributes:
        max_streams: streams open at once; further ones are refused with
            TOO_MANY_STREAMS. A stream that carries data costs up to a few MiB.
        idle_seconds: how long a stream may be open without a message in either
            direction before it is ended with STREAM_IDLE. A caller that went away
            without a word is noticed by keepalive long before.
        max_file_bytes: the size of a file; larger ones are rejected with
            LIMIT_EXCEEDED. 0: no limit; memory does not depend on it.
        max_held_bytes: what the engine may hold back of the file that a stream is
            sending; more rejects the file with LIMIT_EXCEEDED.
        require_digest: whether every receipt has the SHA-256 of the output, for an
            audit trail that needs it, whatever the caller says.
    """

    max_streams: int = 1000
    idle_seconds: float = 300.0
    max_file_bytes: int = 0
    max_held_bytes: int = MAX_HELD_BYTES
    require_digest: bool = False


def add_options(options: Options) -> None:
    """Adds what can be said of it."""
    defaults = Limits()
    options.add(
        "--max-streams",
        "streams open at once, per worker",
        number=Number(int, 1),
        default=str(defaults.max_streams),
    )
    options.add(
        "--idle-seconds",
        "how long a stream may be open without a message",
        number=Number(float, 0.001),
        default=f"{defaults.idle_seconds:g}",
    )
    options.add(
        "--max-file-bytes",
        "bytes per file, 0 for no limit",
        number=Number(int, 0),
        default=str(defaults.max_file_bytes),
    )
    options.add(
        "--max-held-bytes",
        "bytes of a file that may be held back, per stream",
        number=Number(int, 1),
        default=str(defaults.max_held_bytes),
    )
    options.add_switch(
        "--require-digest",
        "1: every receipt has the SHA-256 of the output, whatever the caller says",
        on=defaults.require_digest,
    )


def read_options(parsed: SimpleNamespace) -> Limits:
    """Returns what was said."""
    return Limits(
        max_streams=parsed.max_streams,
        idle_seconds=parsed.idle_seconds,
        max_file_bytes=parsed.max_file_bytes,
        max_held_bytes=parsed.max_held_bytes,
        require_digest=parsed.require_digest,
    )
