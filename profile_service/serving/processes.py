"""The start of a service: one supervisor, and workers that are the same command."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from profile_service.serving.safeguards import (
    announce,
    complain,
    forbid_core_dumps,
    open_standard_streams,
)
from profile_service.serving.transport import require_safety
from profile_service.serving.workers import Supervisor, Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from profile_service.serving.logs import Log
    from profile_service.serving.transport import Transport


def run(
    module: str,
    arguments: Sequence[str],
    *,
    listen: str,
    workers: int,
    drain_seconds: float,
    log: Log,
    work: Callable[[Worker], int],
    transport: Transport,
) -> int:
    """Runs the supervisor, or one worker where the supervisor started this process.

    Args:
        module: what `python -m` runs.
        arguments: its command line.
        listen: HOST:PORT; port 0 takes one that is free.
        workers: how many.
        drain_seconds: how long the workers may take to finish what is open.
        log: is set up, and gets the starts and deaths of workers.
        work: what a worker does; returns its exit code.
        transport: how it is reached.

    Returns:
        The exit code.
    """
    open_standard_streams()
    forbid_core_dumps()
    log.set_up()
    worker = Worker.from_environment()
    try:
        if worker is not None:
            return work(worker)
        require_safety(transport, listen, log)
        return Supervisor(
            [sys.executable, "-m", module, *arguments],
            listen=listen,
            count=workers,
            drain_seconds=drain_seconds,
            # For a parent process, which reads it.
            announce=lambda address: announce(f"listening on {address}"),
            log=log.write,
        ).run()
    except OSError as error:
        complain(f"{module}: {error}")
        return 1
