"""Serves ProfileService: `python -m profile_service --help`."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

from profile_service import config
from profile_service.logs import LOG
from profile_service.serving import processes
from profile_service.serving.safeguards import complain

if TYPE_CHECKING:
    from profile_service.serving.metrics import Family
    from profile_service.serving.worker import Worker


def main(arguments: list[str]) -> int:
    """Serves until SIGTERM or SIGINT, and returns the exit code."""
    settings = config.parse(arguments, os.environ)
    # That the database does not answer is told once, by the monitor. The driver would
    # tell it in libpq's words, which can hold parts of the connection string.
    logging.getLogger("psycopg").setLevel(logging.CRITICAL + 1)
    if settings.owner_database:
        return _set_up(settings)
    return processes.run(
        "profile_service",
        arguments,
        listen=settings.listen,
        transport=settings.transport,
        workers=settings.workers,
        drain_seconds=config.DRAIN_SECONDS,
        log=LOG,
        work=lambda worker: _work(settings, worker),
        telling=settings.telling,
        families=_families,
    )


def _families() -> tuple[Family, ...]:
    # Not above: what is counted is named after parts of the contract.
    from profile_service.metrics import families
    from profile_service.servicers import ACCESS_SERVICE, PROFILE_SERVICE, TABLE_SERVICE

    services = (PROFILE_SERVICE, TABLE_SERVICE, ACCESS_SERVICE)
    return families([method.name for service in services for method in service.methods])


def _set_up(settings: config.Config) -> int:
    from profile_service.errors import ProfileServiceError
    from profile_service.keys.errors import SecretFileError
    from profile_service.store.conninfo import with_password
    from profile_service.store.roles import set_up

    try:
        owner = with_password(settings.owner_database, settings.owner_password_file)
        set_up(owner, with_password(settings.database, settings.password_file))
        if settings.previous_master_key_file:
            count = _seal_again(settings, owner)
            print(f"{count} secrets are encrypted with the new master key", flush=True)
    except (ProfileServiceError, SecretFileError) as error:
        cause = error.cause if isinstance(error, ProfileServiceError) else ""
        complain(f"profile_service: {error} {cause}".rstrip())
        return 1
    print("the database is set up", flush=True)
    return 0


def _seal_again(settings: config.Config, owner: str) -> int:
    from profile_service.keys.errors import SecretFileError
    from profile_service.server import master_key
    from profile_service.store.resealing import seal_again

    sealing = master_key(settings)
    if sealing is None:
        raise SecretFileError("--previous-master-key-file needs --master-key-file, the new one")
    return seal_again(owner, sealing)


def _work(settings: config.Config, worker: Worker) -> int:
    # Not above: the supervisor needs neither gRPC nor a database.
    from profile_service.errors import ProfileServiceError
    from profile_service.keys.errors import SecretFileError
    from profile_service.server import serve

    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())

    def may_listen() -> bool:
        if not worker.wait_for_turn():
            return False
        worker.beat_for_ever()
        threading.Thread(target=follow, name="supervisor", daemon=True).start()
        return True

    def follow() -> None:
        worker.wait_for_end()
        stop.set()

    try:
        serve(
            settings,
            worker.address,
            may_listen=may_listen,
            listening=lambda _: worker.serving(),
            stop=stop,
        )
    except ProfileServiceError as error:
        complain(f"profile_service: {error} {error.cause}".rstrip())
        return 1
    except SecretFileError as error:
        complain(f"profile_service: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
