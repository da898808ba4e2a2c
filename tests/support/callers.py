"""Channels that show a credential: by default that of an administrator of all sites."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc

from deid_service.client import open_channel as client_channel
from deid_service.contract.credentials import transport_channel, with_credential
from profile_service.access.actor import Actor, Credential
from profile_service.access.credentials import claims_of_key, read_key
from profile_service.guard import Shown
from tests.support.environment import ADMIN_KEY

if TYPE_CHECKING:
    from collections.abc import Sequence

_KEY = read_key(ADMIN_KEY)
assert _KEY is not None
# The same, as the guard reads it.
SHOWN = Shown(claims_of_key(_KEY), None)

# Who changes the store in a test, beside every service.
THIS_MACHINE = Actor("this-machine", Credential.COMMAND)


def channel(
    address: str,
    options: Sequence[tuple[str, str | int]] | None = None,
    *,
    key: str = ADMIN_KEY,
    tls: grpc.ChannelCredentials | None = None,
) -> grpc.Channel:
    """Opens a channel as any client does."""
    return with_credential(transport_channel(address, options, tls), key)


def open_channel(address: str, *, key: str = ADMIN_KEY) -> grpc.Channel:
    """Opens a channel as the upload client does."""
    return client_channel(address, key=key)
