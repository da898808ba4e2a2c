"""A port that is held for this process's workers alone, while none of them lives, too."""

from __future__ import annotations

import socket
from contextlib import suppress


def reserve(listen: str) -> tuple[list[socket.socket], str]:
    """Takes an address for this process's workers alone.

    The sockets are bound and never listen. They must stay open: they hold the
    port while no worker lives.

    Args:
        listen: HOST:PORT; port 0 takes one that is free.

    Returns:
        The sockets, and HOST:PORT with the port that was taken.

    Raises:
        OSError: the address does not exist, or something else listens on it.
    """
    host, _, port_text = listen.rpartition(":")
    if not port_text.isdecimal() or int(port_text) > 65535:
        raise OSError(
            f"The address to listen on must be HOST:PORT with a port up to 65535, not {listen!r}."
        )
    port = int(port_text)
    held: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(
            host.strip("[]") or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        for family, kind, protocol, _, address in found:
            one = socket.socket(family, kind, protocol)
            held.append(one)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            # Lets connections that have ended and still linger be. Sharing the
            # port is allowed only after it is bound, so that a second service on
            # a port with workers fails instead of taking half of the connections.
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind((address[0], port, *address[2:]))
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            port = one.getsockname()[1]
            if address[0] == "0.0.0.0":  # noqa: S104 - what the caller asked for
                held += _kept_from_ipv6(port)
    except OSError as error:
        for one in held:
            one.close()
        raise OSError(f"Cannot listen on {listen}: {error.strerror or error}.") from None
    return held, f"{host}:{port}"


def _kept_from_ipv6(port: int) -> list[socket.socket]:
    """Takes a port of all IPv6 addresses for nobody.

    gRPC takes 0.0.0.0 for every address of either family, and is content with IPv4
    where it cannot have the port on IPv6.
    """
    held = []
    with suppress(OSError):  # There is no IPv6, or somebody else has the port there.
        one = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
        held.append(one)
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.bind(("::", port))
    return held
