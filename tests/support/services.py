"""ProfileService, running in this process on a port that the system chose."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING

from profile_service.config import Config
from profile_service.provider import Provider
from profile_service.server import serve
from profile_service.serving.transport import PLAIN, Transport
from tests.support.environment import ADMIN_KEY_FILE, SERVICE_KEY_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def running_profile_service(
    database: str,
    transport: Transport = PLAIN,
    provider: Provider | None = None,
    *,
    master_key_file: str = "",
    previous_master_key_file: str = "",
    service_key: str = str(SERVICE_KEY_FILE),
    listed_versions: int = 0,
) -> Iterator[str]:
    """Gives the address of a ProfileService on a database; raises what `serve` raises."""
    address: Future[str] = Future()
    stop = threading.Event()

    def run() -> None:
        try:
            serve(
                Config(
                    "127.0.0.1:0",
                    database,
                    workers=1,
                    admin_key=str(ADMIN_KEY_FILE),
                    service_key=service_key,
                    transport=transport,
                    provider=provider,
                    master_key_file=master_key_file,
                    previous_master_key_file=previous_master_key_file,
                    listed_versions=listed_versions,
                ),
                "127.0.0.1:0",
                listening=lambda port: address.set_result(f"127.0.0.1:{port}"),
                stop=stop,
            )
        except BaseException as error:
            if address.done():
                raise
            address.set_exception(error)

    thread = threading.Thread(target=run, name="profile-service")
    thread.start()
    try:
        yield address.result()
    finally:
        stop.set()
        thread.join()
