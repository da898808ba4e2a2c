"""How to connect: what the operator says, and what keeps waits for the server bounded."""

from __future__ import annotations

from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from profile_service.errors import InvalidConninfoError, PasswordFileError

# How long making a connection may take: libpq's smallest value is 2.
CONNECT_SECONDS = 2

# What the operator's string may say otherwise. A firewall forgets connections on which
# nothing happens, mostly after minutes, and then swallows what is sent: the system asks
# the other end often enough that it does not forget, and gives up soon where it has.
_KEEPING_ALIVE = {
    "keepalives_idle": 20,  # seconds
    "keepalives_interval": 5,  # seconds
    "keepalives_count": 2,
    "tcp_user_timeout": 10_000,  # milliseconds
}


def with_password(conninfo: str, file: str) -> str:
    """Returns a connection string with the password that stands in a file.

    libpq has files of its own for that, and takes none that a group may read, as those are
    that an orchestrator hands out.

    Args:
        conninfo: a URI or key=value pairs, or the empty text.
        file: the file, whose last line may have an end; empty for none.

    Raises:
        InvalidConninfoError: it is neither.
        PasswordFileError: the file cannot be read, or is empty.
    """
    if not file:
        return conninfo
    try:
        password = Path(file).read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        cause = getattr(error, "strerror", None) or "it is no text"
        raise PasswordFileError(file, cause) from None
    if not password:
        raise PasswordFileError(file, "it is empty")
    try:
        return make_conninfo(conninfo, password=password)
    except psycopg.Error:
        raise InvalidConninfoError from None


def complete(conninfo: str) -> str:
    """Returns a connection string with what keeps waits bounded.

    Args:
        conninfo: a URI or key=value pairs, or the empty text.

    Raises:
        InvalidConninfoError: it is neither. What libpq says of it is not repeated: where
            a character is missing, that holds the password.
    """
    try:
        given = conninfo_to_dict(conninfo)
    except psycopg.Error:
        raise InvalidConninfoError from None
    kept = {name: value for name, value in _KEEPING_ALIVE.items() if name not in given}
    return make_conninfo(
        conninfo, **kept, connect_timeout=CONNECT_SECONDS, application_name="profile_service"
    )
