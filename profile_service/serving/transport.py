"""How a server is reached, and whether it may be without TLS."""

from __future__ import annotations

import ipaddress
import logging
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import SimpleNamespace

    from profile_service.serving.logs import Log
    from profile_service.serving.options import Options


@dataclass(frozen=True, slots=True)
class Transport:
    """How a server is reached.

    Attributes:
        certificate: the file with its certificate and those between it and its authority,
            PEM; empty: plain text.
        key: the file with the key of that, PEM.
        client_ca: the file with the authorities whose certificates callers must have, PEM;
            empty: they need none.
        insecure_bind: whether it may listen beyond this machine in plain text.
    """

    certificate: str = ""
    key: str = ""
    client_ca: str = ""
    insecure_bind: bool = False


PLAIN = Transport()


def add_options(options: Options) -> None:
    """Adds what can be said of the transport."""
    options.add("--tls-cert", "the certificate of the server, and those above it, as PEM")
    options.add("--tls-key", "the key of the certificate, as PEM")
    options.add(
        "--tls-client-ca",
        "whose certificates callers must have, as PEM: mutual TLS; health checks, too",
    )
    options.add_flag(
        "--insecure-bind",
        "listens beyond this machine although there is no TLS: everybody on the network can "
        "read what is sent, credentials and files",
    )


def read_options(parsed: SimpleNamespace) -> Transport:
    """Returns what was said."""
    return Transport(parsed.tls_cert, parsed.tls_key, parsed.tls_client_ca, parsed.insecure_bind)


def require_safety(transport: Transport, listen: str, log: Log) -> None:
    """Makes sure that plain text stays on this machine, unless it was told otherwise.

    Args:
        transport: how the server is to be reached.
        listen: HOST:PORT.
        log: is told of what is unsafe, at each start.

    Raises:
        OSError: it would not stay, or a file is missing.
    """
    if bool(transport.certificate) != bool(transport.key):
        raise OSError("--tls-cert and --tls-key belong together.")
    if transport.certificate:
        return
    if transport.client_ca:
        raise OSError("--tls-client-ca needs --tls-cert and --tls-key.")
    if _is_loopback(listen.rpartition(":")[0].strip("[]")):
        return
    if not transport.insecure_bind:
        raise OSError(
            f"Listening on {listen} without TLS would let everybody on the network read files and "
            "credentials: give --tls-cert and --tls-key, or say --insecure-bind."
        )
    log.write("insecure_bind", level=logging.WARNING, address=listen)


def _is_loopback(host: str) -> bool:
    try:
        found = socket.getaddrinfo(
            host or None, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError:
        return False
    addresses = [ipaddress.ip_address(str(each[4][0]).partition("%")[0]) for each in found]
    return all(address.is_loopback for address in addresses)
