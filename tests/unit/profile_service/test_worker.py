"""How a worker finds the sockets that it listens on."""

from __future__ import annotations

import socket
import threading

from profile_service.serving.worker import _listening_sockets


def test_descriptors_that_come_and_go() -> None:
    """What other threads close meanwhile, as gRPC does a connection, is passed over."""
    over = threading.Event()

    def connect() -> None:
        while not over.is_set():
            for each in [end for _ in range(20) for end in socket.socketpair()]:
                each.close()

    threads = [threading.Thread(target=connect) for _ in range(4)]
    with socket.create_server(("127.0.0.1", 0)) as server:
        try:
            for thread in threads:
                thread.start()
            for _ in range(200):
                (found,) = _listening_sockets(server.getsockname()[1])
                with found:
                    assert found.getsockname() == server.getsockname()
        finally:
            over.set()
            for thread in threads:
                thread.join()
