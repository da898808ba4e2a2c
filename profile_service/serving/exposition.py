"""The port at which Prometheus asks a service: what its workers have counted, and how they are."""

from __future__ import annotations

import resource
import threading
import time
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector, CollectorRegistry

from profile_service.serving.metrics import BUCKETS, Count, Family, Gauge, Meter

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from profile_service.serving.supervisor import Supervisor

# How long one who asks may take over the question, in seconds.
_PATIENCE_SECONDS: Final = 10

_PREFIX: Final = "deidcascade"

# What the supervisor counts itself.
SUPERVISION: Final = (
    Count(f"{_PREFIX}_worker_starts", "Workers that were started.", "worker_started"),
    Count(f"{_PREFIX}_worker_deaths", "Workers that ended unasked.", "worker_died"),
    Count(f"{_PREFIX}_worker_hangs", "Workers that were killed, as they hung.", "worker_hung"),
    Count(
        f"{_PREFIX}_worker_start_failures",
        "Attempts to start a worker that failed.",
        "worker_not_started",
    ),
    Count(
        f"{_PREFIX}_log_lines_dropped",
        "Lines that nobody took from standard error.",
        "log_dropped",
        of="lines",
    ),
)


# What it says of the workers besides.
OF_WORKERS: Final = (
    f"{_PREFIX}_workers",
    f"{_PREFIX}_worker_up",
    f"{_PREFIX}_worker_load",
    f"{_PREFIX}_worker_memory_bytes",
)


class _Quiet(WSGIRequestHandler):
    """Answers, writes nothing to standard error, and waits for nobody for ever."""

    timeout = _PATIENCE_SECONDS

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Logs nothing."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Exposition(Collector):
    """Serves what a service has counted."""

    def __init__(
        self,
        supervisor: Supervisor,
        meter: Meter,
        own: Meter,
        about: Mapping[str, str],
    ) -> None:
        """Takes who knows it.

        Args:
            supervisor: has the numbers of the workers.
            meter: of the workers: says what the numbers are.
            own: of this process.
            about: what `deidcascade_build_info` says.
        """
        self._supervisor = supervisor
        self._meter = meter
        self._own = own
        self._about = dict(about)
        self._began = time.time()

    def serve(self, host: str, port: int) -> int:
        """Serves from a thread until the process ends, and returns the port.

        Raises:
            OSError: the address cannot be had.
        """
        registry = CollectorRegistry()
        registry.register(self)
        app = make_wsgi_app(registry)
        try:
            server = make_server(host, port, app, server_class=_Server, handler_class=_Quiet)
        except OSError as error:
            where = f"{host}:{port}"
            raise OSError(f"Cannot serve metrics on {where}: {error.strerror}.") from None
        threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
        return server.server_port

    def collect(self) -> Iterator[Metric]:
        """Yields what there is to say now."""
        cells = self._supervisor.cells()
        for family in self._meter.families:
            yield _metric(self._meter, family, cells)
        for family in self._own.families:
            yield _metric(self._own, family, [self._own.shared])
        yield from self._of_workers()
        info = GaugeMetricFamily(
            f"{_PREFIX}_build_info", "What runs; always 1.", labels=list(self._about)
        )
        info.add_metric(list(self._about.values()), 1)
        yield info
        yield GaugeMetricFamily(
            "process_start_time_seconds", "When the service started.", value=self._began
        )

    def _of_workers(self) -> Iterator[Metric]:
        processes = self._supervisor.processes()
        workers, up, load, memory = OF_WORKERS
        yield GaugeMetricFamily(workers, "Workers that there are to be.", value=len(processes))
        yield _by_worker(
            up,
            "Whether the worker's process runs.",
            [int(process is not None) for process in processes],
        )
        yield _by_worker(
            load,
            "What the worker has to do: open streams.",
            self._supervisor.load(),
        )
        yield _by_worker(
            memory,
            "What is resident of the worker's memory; 0 where the system does not say.",
            [_resident(process) for process in processes],
        )


def _by_worker(name: str, text: str, values: Sequence[int]) -> Metric:
    metric = GaugeMetricFamily(name, text, labels=["worker"])
    for number, value in enumerate(values):
        metric.add_metric([str(number)], value)
    return metric


def _metric(meter: Meter, family: Family, cells: Sequence[Sequence[int]]) -> Metric:
    labels = list(family.labels)
    if isinstance(family, Gauge):
        ((_, place),) = meter.places(family)
        return _by_worker(family.name, family.help, [each[place] for each in cells])
    metric: CounterMetricFamily | HistogramMetricFamily
    if isinstance(family, Count):
        metric = CounterMetricFamily(family.name, family.help, labels=labels)
    else:
        metric = HistogramMetricFamily(family.name, family.help, labels=labels)
    for values, place in meter.places(family):
        sums = [sum(each[place + at] for each in cells) for at in range(family.cells)]
        if labels and not any(sums):
            continue  # There are too many sets of labels of which nothing ever comes.
        if isinstance(metric, CounterMetricFamily):
            metric.add_metric(list(values), sums[0])
        else:
            *counts, microseconds = sums
            metric.add_metric(list(values), _buckets(counts), microseconds / 1e6)
    return metric


def _buckets(counts: Sequence[int]) -> list[tuple[str, float]]:
    """Returns bounds and how many are below, as Prometheus has it."""
    below = 0
    buckets = []
    for bound, count in zip((*map(str, BUCKETS), "+Inf"), counts, strict=True):
        below += count
        buckets.append((bound, float(below)))
    return buckets


def _resident(process: int | None) -> int:
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0
    return pages * resource.getpagesize()
