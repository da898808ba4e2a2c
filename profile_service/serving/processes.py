"""The start of a service: one supervisor, and workers that are the same command."""

from __future__ import annotations

import sys
from dataclasses import dataclass
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
from profile_service.serving.transport import require_safety
from profile_service.serving.workers import Supervisor, Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from profile_service.serving.logs import Log
    from profile_service.serving.metrics import Family
    from profile_service.serving.transport import Transport


@dataclass(frozen=True)
class Metrics:
    """What a service counts, and where it can be asked for.

    Attributes:
        listen: HOST:PORT; empty for nowhere.
        families: what is counted; a function, as the supervisor of a service without
            metrics needs nothing that names it.
        about: what else the service says of its build.
    """

    listen: str
    families: Callable[[], Sequence[Family]]
    about: Callable[[], Mapping[str, str]] = dict


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
    metrics: Metrics,
    json_log: bool,
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
        metrics: what is counted, and where it can be asked for.
        json_log: whether lines of the log are objects of JSON.

    Returns:
        The exit code.
    """
    open_standard_streams()
    forbid_core_dumps()
    log.set_up(as_json=json_log)
    worker = Worker.from_environment()
    try:
        if worker is not None:
            if metrics.listen:
                meter = Meter(metrics.families())
                meter.attach(worker.cells)
                log.observe(meter.note)
            return work(worker)
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
        if not metrics.listen:
            return supervise().run()
        return _measured(module, supervise, metrics, log).run()
    except OSError as error:
        complain(f"{module}: {error}")
        return 1


def _measured(
    module: str, supervise: Callable[..., Supervisor], metrics: Metrics, log: Log
) -> Supervisor:
    """Returns a supervisor that serves metrics.

    Raises:
        OSError: the address cannot be had.
    """
    # Not above: most of what is imported here is an HTTP server.
    from profile_service.serving.exposition import SUPERVISION, Exposition

    meter, own = Meter(metrics.families()), Meter(SUPERVISION)
    supervisor = supervise(cells=meter.size)
    host, _, port = metrics.listen.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        raise OSError(
            f"--metrics must be HOST:PORT with a port up to 65535, not {metrics.listen!r}."
        )
    about = {"service": module, "version": version("deid-cascade"), **metrics.about()}
    taken = Exposition(supervisor, meter, own, about).serve(host, int(port))
    log.observe(own.note)
    log.write("metrics", address=f"{host}:{taken}")
    return supervisor
