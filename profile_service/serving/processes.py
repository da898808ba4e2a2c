"""The start of a service: one supervisor, and workers that are the same command."""

from __future__ import annotations

import sys
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING

from profile_service.serving.metrics import Meter
from profile_service.serving.safeguards import (
    announce,
    complain,
    forbid_core_dumps,
    open_standard_streams,
)
from profile_service.serving.supervisor import Supervisor
from profile_service.serving.tracing import MISSING, TRACING, is_available
from profile_service.serving.transport import require_safety
from profile_service.serving.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from profile_service.serving.logs import Log
    from profile_service.serving.metrics import Family
    from profile_service.serving.telling import Telling
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
    telling: Telling,
    families: Callable[[], Sequence[Family]],
    about: Callable[[], Mapping[str, str]] = dict,
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
        telling: what it tells of itself.
        families: what is counted; a function, as who tells no metrics needs nothing that
            names it.
        about: what else the service says of its build.

    Returns:
        The exit code.
    """
    open_standard_streams()
    forbid_core_dumps()
    log.set_up(as_json=telling.json_log)
    worker = Worker.from_environment()
    try:
        if worker is not None:
            if telling.metrics:
                meter = Meter(families())
                meter.attach(worker.cells)
                log.observe(meter.note)
            if telling.tracing:
                TRACING.set_up(module, log)
            try:
                return work(worker)
            finally:
                TRACING.close()
        if telling.tracing and not is_available():
            complain(f"{module}: {MISSING}")
            return 1
        require_safety(transport, listen, log)
        supervise = partial(
            Supervisor,
            [sys.executable, "-m", module, *arguments],
            listen=listen,
            count=workers,
            drain_seconds=drain_seconds,
            # For a parent process, which reads it.
            announce=lambda address: announce(f"listening on {address}"),
            log=log.write,
        )
        if not telling.metrics:
            return supervise().run()
        build = {"service": module, "version": version("deid-cascade"), **about()}
        return _measured(supervise, telling.metrics, Meter(families()), build, log).run()
    except OSError as error:
        complain(f"{module}: {error}")
        return 1


def _measured(
    supervise: Callable[..., Supervisor],
    listen: str,
    meter: Meter,
    about: Mapping[str, str],
    log: Log,
) -> Supervisor:
    """Returns a supervisor that serves metrics.

    Raises:
        OSError: the address cannot be had.
    """
    # Not above: most of what is imported here is an HTTP server.
    from profile_service.serving.exposition import SUPERVISION, Exposition

    own = Meter(SUPERVISION)
    supervisor = supervise(cells=meter.size)
    host, _, port = listen.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        raise OSError(f"--metrics must be HOST:PORT with a port up to 65535, not {listen!r}.")
    taken = Exposition(supervisor, meter, own, about).serve(host, int(port))
    log.observe(own.note)
    log.write("metrics", address=f"{host}:{taken}")
    return supervisor
