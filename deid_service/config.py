"""What the service can be told: command line, else environment, else default."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deid_service.engine import MAX_HELD_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


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
    """

    max_streams: int = 1000
    idle_seconds: float = 300.0
    max_file_bytes: int = 0
    max_held_bytes: int = MAX_HELD_BYTES


@dataclass(frozen=True, slots=True)
class Config:
    """How the service runs.

    Attributes:
        listen: HOST:PORT; port 0 takes one that is free.
        profile_service: HOST:PORT of ProfileService.
        workers: worker processes.
        drain_seconds: how long open files may take to finish after SIGTERM.
        limits: see there.
    """

    listen: str
    profile_service: str
    workers: int
    drain_seconds: float
    limits: Limits


def parse(arguments: Sequence[str], environment: Mapping[str, str]) -> Config:
    """Reads the command line, with defaults from the environment.

    Raises:
        SystemExit: something is wrong (2), or help was asked for (0).
    """
    parser = argparse.ArgumentParser(
        prog="python -m deid_service",
        description="Serves DeidService: DICOM in, de-identified DICOM out.",
        epilog="Each option has an environment variable: --idle-seconds is "
        "DEIDCASCADE_DEID_IDLE_SECONDS, and --profile-service is DEIDCASCADE_PROFILE_SERVICE.",
    )

    def option(name: str, kind: type[str] | _Number, default: str, text: str) -> None:
        variable = _variable(name)
        # A default in text goes through `type` like an argument, with its errors.
        parser.add_argument(
            name,
            type=kind,
            default=environment.get(variable, default),
            help=f"{text} (default: {default})",
        )

    defaults = Limits()
    option("--listen", str, "127.0.0.1:50052", "HOST:PORT; port 0 takes one that is free")
    option("--profile-service", str, "127.0.0.1:50051", "HOST:PORT of ProfileService")
    option("--workers", _Number(int, 1), str(os.cpu_count() or 1), "worker processes, one per core")
    option(
        "--drain-seconds",
        _Number(float, 0),
        "30",
        "how long open files may take to finish after SIGTERM",
    )
    option(
        "--max-streams",
        _Number(int, 1),
        str(defaults.max_streams),
        "streams open at once, per worker",
    )
    option(
        "--idle-seconds",
        _Number(float, 0.001),
        f"{defaults.idle_seconds:g}",
        "how long a stream may be open without a message",
    )
    option(
        "--max-file-bytes",
        _Number(int, 0),
        str(defaults.max_file_bytes),
        "bytes per file, 0 for no limit",
    )
    option(
        "--max-held-bytes",
        _Number(int, 1),
        str(defaults.max_held_bytes),
        "bytes of a file that may be held back, per stream",
    )
    parsed = parser.parse_args(arguments)
    return Config(
        listen=parsed.listen,
        profile_service=parsed.profile_service,
        workers=parsed.workers,
        drain_seconds=parsed.drain_seconds,
        limits=Limits(
            max_streams=parsed.max_streams,
            idle_seconds=parsed.idle_seconds,
            max_file_bytes=parsed.max_file_bytes,
            max_held_bytes=parsed.max_held_bytes,
        ),
    )


def _variable(option: str) -> str:
    name = option.removeprefix("--").replace("-", "_").upper()
    return f"DEIDCASCADE_{name}" if name == "PROFILE_SERVICE" else f"DEIDCASCADE_DEID_{name}"


class _Number:
    """Reads a number that must not be below a minimum."""

    def __init__(self, kind: type[int] | type[float], minimum: float) -> None:
        self._kind = kind
        self._minimum = minimum

    def __call__(self, text: str) -> float:
        try:
            number = self._kind(text)
        except ValueError:
            number = None
        # Not a number is not below the minimum either: compare for what is wanted.
        if number is None or not self._minimum <= number < float("inf"):
            raise argparse.ArgumentTypeError(f"must be a number of at least {self._minimum:g}")
        return number
