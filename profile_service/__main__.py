"""Serves ProfileService: `python -m profile_service --help`."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

from profile_service import config
from profile_service.errors import ProfileServiceError
from profile_service.logs import LOG
from profile_service.server import serve

if TYPE_CHECKING:
    from types import FrameType


def main(arguments: list[str]) -> int:
    """Serves until SIGTERM or SIGINT, and returns the exit code."""
    settings = config.parse(arguments, os.environ)
    LOG.set_up()
    # That the database does not answer is told once, by the monitor.
    logging.getLogger("psycopg").setLevel(logging.ERROR)
    stop = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        del number, frame
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    host = settings.listen.rpartition(":")[0]
    try:
        serve(
            settings.database,
            settings.listen,
            # For a parent process, which reads it.
            listening=lambda port: print(f"listening on {host}:{port}", flush=True),
            stop=stop,
        )
    except OSError as error:
        print(f"profile_service: {error}", file=sys.stderr)
        return 1
    except ProfileServiceError as error:
        print(f"profile_service: {error} {error.cause}".rstrip(), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
