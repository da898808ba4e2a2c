"""Authorities, and the certificates that they give."""

from __future__ import annotations

import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from profile_service.serving.transport import Transport

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

LONG_AGO = datetime.now(UTC) - timedelta(days=400)


class Authority:
    """An authority with files for what it gives.

    Attributes:
        ca: the file with its own certificate.
    """

    def __init__(self) -> None:
        self._ca = trustme.CA()
        self._folder = Path(tempfile.mkdtemp(prefix="tls-"))
        self._count = 0
        self.ca = str(self._folder / "ca.pem")
        self._ca.cert_pem.write_to_path(self.ca)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        shutil.rmtree(self._folder)

    def certificate(
        self,
        *names: str,
        expired: bool = False,
        ending: bool = False,
        common_name: str | None = None,
    ) -> tuple[str, str]:
        """Gives a certificate for names; returns the files of it and of its key.

        Args:
            names: those of this machine where none is given.
            expired: whether its time is over.
            ending: whether its time will be over within a day.
            common_name: the one of its subject.
        """
        self._count += 1
        since = LONG_AGO if expired or ending else None
        until = LONG_AGO + timedelta(days=1) if expired else None
        if ending:
            until = datetime.now(UTC) + timedelta(hours=20)
        given = self._ca.issue_cert(
            *(names or ("localhost", "127.0.0.1")),
            not_before=since,
            not_after=until,
            common_name=common_name,
        )
        chain, key = (self._folder / f"{self._count}.{kind}" for kind in ("pem", "key"))
        chain.write_bytes(b"".join(each.bytes() for each in given.cert_chain_pems))
        given.private_key_pem.write_to_path(str(key))
        return str(chain), str(key)

    def workload(self, *ids: str) -> tuple[str, str]:
        """Gives a certificate with SPIFFE IDs; returns the files of it and of its key."""
        self._count += 1
        key = ec.generate_private_key(ec.SECP256R1())
        signing = load_pem_private_key(self._ca.private_key_pem.bytes(), None)
        assert isinstance(signing, ec.EllipticCurvePrivateKey)
        issuer = x509.load_pem_x509_certificate(self._ca.cert_pem.bytes())
        now = datetime.now(UTC)
        uris = [x509.UniformResourceIdentifier(each) for each in ids]
        given = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(issuer.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.SubjectAlternativeName(uris), critical=True)
            .sign(signing, hashes.SHA256())
        )
        chain, file = (self._folder / f"{self._count}.{kind}" for kind in ("pem", "key"))
        chain.write_bytes(given.public_bytes(Encoding.PEM))
        file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return str(chain), str(file)

    def server(self, *, mutual: bool = False, expired: bool = False) -> Transport:
        """Gives the transport of a server with a certificate for this machine."""
        chain, key = self.certificate(expired=expired)
        return Transport(chain, key, self.ca if mutual else "")

    def trusted(self, *shown: str) -> grpc.ChannelCredentials:
        """Returns what a client has that trusts it, with a certificate and its key if given."""
        certificate, key = (Path(each).read_bytes() for each in shown) if shown else (None, None)
        return grpc.ssl_channel_credentials(Path(self.ca).read_bytes(), key, certificate)
