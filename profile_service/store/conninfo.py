"""How to connect: what the operator says, and what keeps waits for the server bounded."""

from __future__ import annotations

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from profile_service.errors import InvalidConninfoError

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
