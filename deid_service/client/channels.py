"""Channels to DeidService."""

from __future__ import annotations

import json

import grpc

from deid_service.contract.credentials import transport_channel, with_credential

# A name may stand for several replicas: each channel goes to one of them, by chance.
_REPLICAS = {"loadBalancingConfig": [{"pick_first": {"shuffleAddressList": True}}]}


def open_channel(
    address: str, *, key: str = "", tls: grpc.ChannelCredentials | None = None
) -> grpc.Channel:
    """Opens a channel with a connection of its own, to HOST:PORT.

    Each connection is served by one worker process of the service: several
    channels can make use of several workers.

    Args:
        address: HOST:PORT.
        key: the API key or the token of the caller, which each call shows.
        tls: whom it trusts, and the certificate that it shows if it has one; None for plain
            text.
    """
    options: list[tuple[str, str | int]] = [
        ("grpc.service_config", json.dumps(_REPLICAS)),
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.initial_reconnect_backoff_ms", 100),
        # How long an attempt to connect may take: a busy machine needs its time.
        ("grpc.min_reconnect_backoff_ms", 2_000),
        ("grpc.max_reconnect_backoff_ms", 2_000),
    ]
    return with_credential(transport_channel(address, options, tls), key)
