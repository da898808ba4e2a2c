"""Whether a service can be reached, and what stands in the way where it cannot.

gRPC says of all of that only that the service is unavailable.
"""

from __future__ import annotations

import socket
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

TIMEOUT_SECONDS: Final = 5.0

# A certificate that ends sooner should have been renewed: after three quarters of the time
# that it is for, and two weeks before its end where that is long.
SOON_SECONDS: Final = 14 * 86_400
LAST_PART: Final = 1 / 4

# What a client of HTTP/2 begins with (RFC 9113, 3.4): its preface, and empty settings.
_HELLO: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"

# X509_verify_cert_error_string(3).
_NOT_YET: Final = 9
_EXPIRED: Final = 10
_OTHER_NAME: Final = (62, 64)

_TLS_AT_THE_SERVICE: Final = "it speaks TLS, and was asked in plain text"
_PLAIN_AT_THE_SERVICE: Final = "it speaks plain text, and was asked over TLS"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What stands in the way.

    Attributes:
        found: what was found, in a sentence.
        advice: what to do.
    """

    found: str
    advice: str


def obstacle(address: str, ca: Path | None, shown: tuple[Path, Path] | None) -> Obstacle | None:
    """Returns what stands in the way to a service, or will soon; None where nothing does.

    Args:
        address: HOST:PORT. What else gRPC can look up is not looked at.
        ca: whose certificates the service may have; None for plain text.
        shown: the certificate that it is shown, and its key.
    """
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    if not host or "/" in host or not port.isdecimal():
        return None
    try:
        with socket.create_connection((host, int(port)), TIMEOUT_SECONDS) as connection:
            if ca is None:
                return _in_plain_text(connection)
            return _over_tls(connection, host, ca, shown)
    except socket.gaierror:
        return Obstacle(f"the name {host} is not known", "correct it, or have it made known")
    except TimeoutError:
        return Obstacle(
            f"nothing answers within {TIMEOUT_SECONDS:g} s", "look at firewalls on the way"
        )
    except OSError as error:
        return Obstacle(f"nobody listens there ({error.strerror or error})", "")


def _in_plain_text(connection: socket.socket) -> Obstacle | None:
    connection.sendall(_HELLO)
    try:
        answer = connection.recv(5)
    except ConnectionResetError:
        answer = b""
    # A server of HTTP/2 answers with settings; one of TLS with an alert (RFC 8446, 6), or an end.
    if answer[3:4] == b"\4":
        return None
    return Obstacle(_TLS_AT_THE_SERVICE, "say whom to trust with --tls-ca")


def _over_tls(
    connection: socket.socket, host: str, ca: Path, shown: tuple[Path, Path] | None
) -> Obstacle | None:
    context = ssl.create_default_context(cafile=ca)
    context.set_alpn_protocols(["h2"])
    if shown is not None:
        context.load_cert_chain(*shown)
    try:
        with context.wrap_socket(connection, server_hostname=host) as tls:
            certificate = tls.getpeercert() or {}
            # With TLS 1.3 the service says only now what it thinks of ours.
            tls.sendall(_HELLO)
            refused = not tls.recv(1)
    except ssl.SSLCertVerificationError as error:
        return _not_trusted(error, host)
    except ssl.SSLError as error:
        return _no_tls(error.reason or "", shown=shown is not None)
    except ConnectionResetError:
        return _no_tls("", shown=shown is not None)
    if refused:
        return _not_accepted(shown=shown is not None)
    since, until = (
        ssl.cert_time_to_seconds(str(certificate[name])) for name in ("notBefore", "notAfter")
    )
    left = until - time.time()
    if left < min(SOON_SECONDS, LAST_PART * (until - since)):
        return Obstacle(
            f"its certificate ends on {certificate['notAfter']}",
            "renew it: new files are read without a restart",
        )
    return None


def _not_trusted(error: ssl.SSLCertVerificationError, host: str) -> Obstacle:
    if error.verify_code == _EXPIRED:
        return Obstacle(
            "its certificate has expired",
            "renew it, and look whether the clock of this machine is right",
        )
    if error.verify_code == _NOT_YET:
        return Obstacle("its certificate is not valid yet", "look at the clocks of both machines")
    if error.verify_code in _OTHER_NAME:
        return Obstacle(
            f"its certificate is not for {host}",
            "use a name that it is for, or have one made for this name",
        )
    return Obstacle(
        f"its certificate is not of an authority that --tls-ca names ({error.verify_message})",
        "give the certificate of its authority, or look whether something stands between",
    )


def _no_tls(reason: str, *, shown: bool) -> Obstacle:
    if "ALERT" in reason:
        return _not_accepted(shown=shown)
    return Obstacle(_PLAIN_AT_THE_SERVICE, "leave --tls-ca out, or give the service a certificate")


def _not_accepted(*, shown: bool) -> Obstacle:
    if shown:
        return Obstacle(
            "it does not accept the certificate that it was shown",
            "give one of an authority that its --tls-client-ca names, which has not expired",
        )
    return Obstacle("it asks for a certificate", "give one with --tls-cert and --tls-key")
