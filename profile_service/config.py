"""What the service can be told: command line, else environment, else default."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Config:
    """How the service runs.

    Attributes:
        listen: HOST:PORT; port 0 takes one that is free.
        database: how libpq connects to PostgreSQL: a URI or key=value pairs. Empty:
            by libpq's own environment variables.
    """

    listen: str
    database: str


def parse(arguments: Sequence[str], environment: Mapping[str, str]) -> Config:
    """Reads the command line, with defaults from the environment.

    Raises:
        SystemExit: something is wrong (2), or help was asked for (0).
    """
    parser = argparse.ArgumentParser(
        prog="python -m profile_service",
        description="Serves ProfileService: the hierarchy, its profiles, and the cascade.",
    )
    parser.add_argument(
        "--listen",
        default=environment.get("DEIDCASCADE_PROFILE_LISTEN", "127.0.0.1:50051"),
        help="HOST:PORT; port 0 takes one that is free (default: 127.0.0.1:50051, or "
        "DEIDCASCADE_PROFILE_LISTEN)",
    )
    parser.add_argument(
        "--database",
        metavar="CONNINFO",
        default=environment.get("DEIDCASCADE_DATABASE", ""),
        help="how to connect to PostgreSQL, as a URI or as key=value pairs; what it leaves out "
        "comes from libpq's variables PGHOST, PGPASSWORD, ... (default: DEIDCASCADE_DATABASE)",
    )
    parsed = parser.parse_args(arguments)
    return Config(listen=parsed.listen, database=parsed.database)
