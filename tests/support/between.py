"""What can stand between a service and its database: a firewall, and a pooler.

And between a caller and a service: a line that can be cut.
"""

from __future__ import annotations

import itertools
import os
import select
import socket
import ssl
import struct
import threading
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def _listening(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """Serves each connection on a thread of its own; gives the port."""
    threads: list[threading.Thread] = []

    def handle(connection: socket.socket) -> None:
        with connection, suppress(OSError, EOFError):
            serve(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    threads.append(threading.Thread(target=handle, args=(connection,)))
                    threads[-1].start()

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for thread in threads:
                thread.join()


def _connect(conninfo: str) -> socket.socket:
    """Connects to where a server of PostgreSQL listens with a socket file."""
    given = conninfo_to_dict(conninfo)
    server = socket.socket(socket.AF_UNIX)
    server.connect(f"{given['host']}/.s.PGSQL.{given.get('port', 5432)}")
    return server


class Firewall:
    """Passes connections on, and can forget those that there are.

    Attributes:
        conninfo: the database behind it.
    """

    def __init__(self, port: int, conninfo: str) -> None:
        self.conninfo = make_conninfo(conninfo, host="127.0.0.1", port=port, sslmode="disable")
        self._known: set[object] = set()

    def forget(self) -> None:
        """Swallows from now on what is sent on the connections that there are."""
        self._known.clear()

    def serve(self, client: socket.socket, server: socket.socket) -> None:
        """Passes on what one connection brings."""
        this = object()
        self._known.add(this)

        def pump(source: socket.socket, sink: socket.socket) -> None:
            with suppress(OSError):
                while data := source.recv(65536):
                    if this in self._known:
                        sink.sendall(data)
            if this in self._known:
                with suppress(OSError):
                    sink.shutdown(socket.SHUT_RDWR)

        with server:
            back = threading.Thread(target=pump, args=(server, client))
            back.start()
            pump(client, server)
            with suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            back.join()


@contextmanager
def firewall(conninfo: str) -> Iterator[Firewall]:
    """Gives a firewall in front of a database."""
    made: list[Firewall] = []
    with _listening(lambda client: made[0].serve(client, _connect(conninfo))) as port:
        made.append(Firewall(port, conninfo))
        yield made[0]


class Line:
    """Passes connections on to a service, wherever that is at the moment.

    Attributes:
        address: where callers connect.
        target: where the service listens.
    """

    def __init__(self, port: int, target: str) -> None:
        self.address = f"127.0.0.1:{port}"
        self.target = target
        self._open: set[socket.socket] = set()
        # How many bytes of answers may still pass; None: all.
        self._left: int | None = None
        self._changed = threading.Condition()

    def hold_after(self, size: int) -> None:
        """Lets so many bytes of answers pass from now on, and then no more."""
        with self._changed:
            self._left = size
            self._changed.notify_all()

    def is_holding(self, seconds: float) -> bool:
        """Tells whether answers wait, once it is so or after some time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._left == 0, seconds)

    def release(self) -> None:
        """Lets everything pass."""
        with self._changed:
            self._left = None
            self._changed.notify_all()

    def cut(self) -> None:
        """Ends every connection that there is."""
        for each in list(self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self.release()

    def serve(self, client: socket.socket) -> None:
        """Passes on what one connection brings."""
        host, _, port = self.target.rpartition(":")
        with socket.create_connection((host, int(port))) as server:
            self._open |= {client, server}
            back = threading.Thread(target=self._pump, args=(server, client, self._take))
            back.start()
            self._pump(client, server, len)
            back.join()
            self._open -= {client, server}

    def _take(self, data: bytes) -> None:
        """Waits until there is room for an answer."""
        with self._changed:
            self._changed.wait_for(lambda: self._left is None or self._left > 0)
            if self._left is not None:
                self._left = max(0, self._left - len(data))
                self._changed.notify_all()

    def _pump(
        self, source: socket.socket, sink: socket.socket, before: Callable[[bytes], object]
    ) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                before(data)
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)


@contextmanager
def line(target: str) -> Iterator[Line]:
    """Gives a line to the address of a service."""
    made: list[Line] = []
    with _listening(lambda client: made[0].serve(client)) as port:
        made.append(Line(port, target))
        try:
            yield made[0]
        finally:
            made[0].cut()


@contextmanager
def tls_in_front(conninfo: str, certificate: str, key: str) -> Iterator[str]:
    """Gives the conninfo of a database behind TLS, which the embedded server itself has not."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)

    def serve(client: socket.socket) -> None:
        size, asked = struct.unpack("!II", _exactly(client, 8))
        assert (size, asked) == (8, _SSL_REQUEST)
        client.sendall(b"S")
        with context.wrap_socket(client, server_side=True) as wrapped, _connect(conninfo) as server:
            _carry(wrapped, server)

    with _listening(serve) as port:
        given = conninfo_to_dict(conninfo)
        yield (f"host=localhost port={port} user={given['user']} dbname={given['dbname']}")


def _carry(one: ssl.SSLSocket, other: socket.socket) -> None:
    """Passes on what either end says, until one of them ends."""
    one.setblocking(False)
    while True:
        readable: list[socket.socket] = []
        if not one.pending():
            readable, _, _ = select.select([one, other], [], [])
        if one.pending() or one in readable:
            with suppress(ssl.SSLWantReadError):
                data = one.recv(65536)
                if not data:
                    return
                other.sendall(data)
        if other in readable:
            data = other.recv(65536)
            if not data:
                return
            one.setblocking(True)
            one.sendall(data)
            one.setblocking(False)


# --- A pooler in transaction mode -----------------------------------------------------------

_READY = ord("Z")
_TERMINATE = ord("X")
# PostgreSQL protocol 3.0: Query, Sync and FunctionCall are answered with ReadyForQuery.
_ASKING = b"QSF"
_SSL_REQUEST = 80877103


@contextmanager
def pooler(conninfo: str) -> Iterator[str]:
    """Gives the conninfo of a pooler that gives each transaction the other of two connections.

    As poolers in transaction mode do at times, this one does always. It knows nothing of
    prepared statements.
    """

    def serve(client: socket.socket) -> None:
        with ExitStack() as held:
            _Pooled(client, conninfo, held).serve()

    with _listening(serve) as port:
        yield make_conninfo(conninfo, host="127.0.0.1", port=port, sslmode="disable")


class _Pooled:
    """One client of the pooler, with two connections that it does not know of."""

    def __init__(self, client: socket.socket, conninfo: str, held: ExitStack) -> None:
        self._client = client
        # The driver does what a connection begins with; then its socket is ours.
        connections = [psycopg.connect(conninfo) for _ in range(2)]
        self._info = connections[0].info
        for one in connections:
            held.callback(one.close)
        self._servers = itertools.cycle(
            held.enter_context(socket.socket(fileno=os.dup(one.fileno()))) for one in connections
        )

    def serve(self) -> None:
        self._greet()
        while True:
            # A transaction goes to one server whole.
            server = next(self._servers)
            server.setblocking(True)
            state = b""
            while state != b"I":
                kind, body = _message(self._client)
                if kind == _TERMINATE:
                    return
                server.sendall(_framed(kind, body))
                if kind in _ASKING:
                    state = self._answer(server)

    def _answer(self, server: socket.socket) -> bytes:
        while True:
            kind, body = _message(server)
            self._client.sendall(_framed(kind, body))
            if kind == _READY:
                return body

    def _greet(self) -> None:
        while True:
            (size,) = struct.unpack("!I", _exactly(self._client, 4))
            body = _exactly(self._client, size - 4)
            if struct.unpack("!I", body[:4]) != (_SSL_REQUEST,):
                break
            self._client.sendall(b"N")
        said = [(b"R", struct.pack("!I", 0))]
        for name in ("server_version", "client_encoding", "integer_datetimes", "TimeZone"):
            value = self._info.parameter_status(name) or ""
            said.append((b"S", f"{name}\0{value}\0".encode()))
        said += [(b"K", struct.pack("!II", 0, 0)), (b"Z", b"I")]
        self._client.sendall(b"".join(_framed(kind[0], body) for kind, body in said))


def _message(source: socket.socket) -> tuple[int, bytes]:
    kind = _exactly(source, 1)[0]
    (size,) = struct.unpack("!I", _exactly(source, 4))
    return kind, _exactly(source, size - 4)


def _framed(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + struct.pack("!I", len(body) + 4) + body


def _exactly(source: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = source.recv(size - len(data))
        if not part:
            raise EOFError
        data += part
    return data
