"""TLS of a server, and of a client that goes on for long.

The certificate of a server is looked at with each new connection: files that have changed
count from then on, and connections that there are go on. TLS 1.2 is the oldest version
that gRPC speaks.
"""

from __future__ import annotations

import logging
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import grpc

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from profile_service.serving.logs import Log
    from profile_service.serving.transport import Transport


# As long as what bindings can name.
MAX_NAME = 255


class ServerCertificates:
    """The files of a server, and what stands in them now."""

    def __init__(self, transport: Transport, log: Log) -> None:
        """Reads them.

        Args:
            transport: which they are.
            log: is told when they have changed.

        Raises:
            OSError: one cannot be read, or they do not fit together.
        """
        self._files = [
            Path(name)
            for name in (transport.certificate, transport.key, transport.client_ca)
            if name
        ]
        self._log = log
        self._stamp = self._look()
        self._current = self._read()
        self._failed: tuple[object, ...] = ()

    def credentials(self) -> grpc.ServerCredentials:
        """Returns what a port is opened with."""
        return grpc.dynamic_ssl_server_credentials(
            self._current,
            # None stands for no change, which the types do not know.
            self._changed,  # type: ignore[arg-type]
            require_client_authentication=len(self._files) == 3,
        )

    def _changed(self) -> grpc.ServerCertificateConfiguration | None:
        """Returns what is new; None where nothing is, or what is new cannot be used."""
        try:
            stamp = self._look()
            if stamp == self._stamp or stamp == self._failed:
                return None
            self._current = self._read()
        except OSError as error:
            # Files are replaced one after the other: until all fit, the old ones go on.
            self._failed = stamp
            self._log.write("certificate", level=logging.ERROR, cause=str(error))
            return None
        self._stamp, self._failed = stamp, ()
        self._log.write("certificate", changed="true")
        return self._current

    def _look(self) -> tuple[object, ...]:
        return _stamp_of(self._files)

    def _read(self) -> grpc.ServerCertificateConfiguration:
        certificate, key, *client_ca = self._files
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(certificate, key, password=_no_password)
            for each in client_ca:
                context.load_verify_locations(each)
        except ssl.SSLError as error:
            raise OSError(
                f"{certificate} and its key cannot be used: {error.reason or 'not PEM'}."
            ) from None
        except OSError as error:
            raise OSError(
                f"Of {certificate} and its key one cannot be read: {error.strerror}."
            ) from None
        return grpc.ssl_server_certificate_configuration(
            [(key.read_bytes(), certificate.read_bytes())],
            client_ca[0].read_bytes() if client_ca else None,
        )


def certificate_name(properties: Mapping[str, Iterable[bytes]]) -> str:
    """Returns whom the certificate of a caller names; empty where it names nobody, or is none.

    Its SPIFFE ID where it has one, and its subject otherwise, if that is printable ASCII.

    Args:
        properties: those of the connection, as gRPC has them.
    """
    alternatives = properties.get("x509_subject_alternative_name", ())
    ids = [each for each in alternatives if each.startswith(b"spiffe://")]
    named = ids or list(properties.get("x509_subject", ()))
    # A SPIFFE certificate has exactly one such name (SPIFFE X509-SVID, 2).
    if len(named) != 1:
        return ""
    text = named[0].decode("latin-1")
    return text if text.isascii() and text.isprintable() and len(text) <= MAX_NAME else ""


def _stamp_of(files: list[Path]) -> tuple[object, ...]:
    """Returns what changes when the files do; raises OSError in a sentence."""
    stamps = []
    for file in files:
        try:
            found = file.stat()
        except OSError as error:
            raise OSError(f"{file} cannot be read: {error.strerror}.") from None
        stamps.append((found.st_mtime_ns, found.st_ino, found.st_size))
    return tuple(stamps)


def _no_password() -> str:
    """Keeps OpenSSL from asking a person."""
    return ""


class ClientFiles:
    """What a client shows and trusts, and whether that has changed."""

    def __init__(self, ca: str, certificate: str = "", key: str = "") -> None:
        """Reads nothing yet.

        Args:
            ca: the file with the authorities that it trusts, PEM; empty: plain text.
            certificate: the file with its own certificate, PEM; empty: it has none.
            key: the file with the key of that, PEM.
        """
        self._ca, self._key, self._certificate = (
            Path(name) if name else None for name in (ca, key, certificate)
        )
        self._stamp: tuple[object, ...] = ()

    def credentials(self) -> grpc.ChannelCredentials | None:
        """Returns what a channel is opened with; None for plain text.

        Raises:
            OSError: a file cannot be read.
        """
        if self._ca is None:
            return None
        self._stamp = self._look()
        return grpc.ssl_channel_credentials(
            self._ca.read_bytes(),
            None if self._key is None else self._key.read_bytes(),
            None if self._certificate is None else self._certificate.read_bytes(),
        )

    def have_changed(self) -> bool:
        """Tells whether they are not those of the last channel; False where one is missing."""
        if self._ca is None:
            return False
        try:
            return self._look() != self._stamp
        except OSError:
            return False

    def _look(self) -> tuple[object, ...]:
        files = (self._ca, self._key, self._certificate)
        return _stamp_of([each for each in files if each is not None])
