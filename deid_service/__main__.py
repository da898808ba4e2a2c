"""Serves DeidService: `python -m deid_service --help`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import TYPE_CHECKING

from deid_service.serving import config
from deid_service.serving.logs import LOG
from profile_service.serving import processes
from profile_service.serving.worker import BEAT_SECONDS

if TYPE_CHECKING:
    from profile_service.serving.metrics import Family
    from profile_service.serving.worker import Worker


def main(arguments: list[str]) -> int:
    """Serves until SIGTERM or SIGINT, and returns the exit code."""
    settings = config.parse(arguments, os.environ)
    return processes.run(
        "deid_service",
        arguments,
        listen=settings.listen,
        transport=settings.transport,
        workers=settings.workers,
        drain_seconds=settings.drain_seconds,
        log=LOG,
        work=lambda worker: asyncio.run(_work(settings, worker)),
        telling=settings.telling,
        families=_families,
        about=_about,
    )


def _families() -> tuple[Family, ...]:
    # Not above: what is counted is named after parts of the contract.
    from deid_service.serving.metrics import families

    return families()


def _about() -> dict[str, str]:
    from deid_service.engine.version import ENGINE_VERSION

    return {"engine": ENGINE_VERSION}


async def _work(settings: config.Config, worker: Worker) -> int:
    # Not above: the supervisor needs no gRPC and starts the workers sooner without.
    from deid_service.serving.server import serve

    if not worker.wait_for_turn():
        return 0
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)

    def told() -> None:
        loop.remove_reader(worker.fileno())
        stop.set()

    loop.add_reader(worker.fileno(), told)
    beating = asyncio.create_task(_beat(worker))
    await serve(
        settings,
        worker.address,
        listening=lambda _: worker.serving(),
        stop=stop,
        on_count=worker.report_load,
    )
    beating.cancel()
    return 0


async def _beat(worker: Worker) -> None:
    """Shows that the event loop, which serves everything, goes round."""
    while True:
        worker.beat()
        await asyncio.sleep(BEAT_SECONDS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
