"""The way to ProfileService: a channel at a time, and another one where it hangs."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING

import grpc
from deidcascade.v1 import profile_service_pb2
from deidcascade.v1.profile_service_pb2_grpc import ProfileServiceStub
from deidcascade.v1.table_service_pb2_grpc import TableServiceStub

if TYPE_CHECKING:
    from deidcascade.v1.profile_service_pb2_grpc import ProfileServiceAsyncStub
    from deidcascade.v1.table_service_pb2_grpc import TableServiceAsyncStub

    from profile_service.serving.tls import ClientFiles

# A name may stand for several replicas: calls go to each in turn, but for those that say that
# they do not serve, as one does that has lost its database.
_REPLICAS = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "healthCheckConfig": {
        "serviceName": profile_service_pb2.DESCRIPTOR.services_by_name["ProfileService"].full_name
    },
}

# Without the first three, a connection that failed is not tried again for up to two
# minutes, and a ProfileService that vanished without a word is noticed by deadlines alone.
_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    # How long an attempt to connect may take: a busy machine needs its time.
    ("grpc.min_reconnect_backoff_ms", 2_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # The two services talk to each other, whatever proxies the environment names.
    ("grpc.enable_http_proxy", 0),
    ("grpc.service_config", json.dumps(_REPLICAS)),
    # Where a replica went away, its name is looked up anew: it comes back under another
    # address. gRPC would not ask again for half a minute.
    ("grpc.dns_min_time_between_resolutions_ms", 2_000),
    # Each channel has connections of its own: a new one may meet another worker.
    ("grpc.use_local_subchannel_pool", 1),
)

# What gRPC says where whatever answers does not say by its health that it serves as ProfileService.
_UNHEALTHY = "backend unhealthy"

# Of what gRPC says about a failure, so much is told.
_MAX_CAUSE = 200


class ProfileConnection:
    """Gives the channel to ProfileService.

    Attributes:
        address: HOST:PORT, as configured.
        channel: the one to ask over.
        profiles: ProfileService over that.
        tables: TableService over that.
    """

    def __init__(self, address: str, files: ClientFiles, *, patience: float) -> None:
        """Opens a channel.

        Args:
            address: HOST:PORT, or what else gRPC can look up.
            files: for TLS.
            patience: for how many seconds calls over a channel that was given up may go on.

        Raises:
            OSError: a file for TLS cannot be read.
        """
        self.address = address
        self._files = files
        self._go_on()
        self._patience = patience
        self._closing: set[asyncio.Task[None]] = set()

    def give_up(self, channel: grpc.aio.Channel) -> None:
        """Goes on over another connection, where a call had no answer in time.

        One of several workers may hang, and its connections with it.

        Args:
            channel: the one that had no answer; nothing is done where it has been given
                up already.
        """
        if channel is not self.channel:
            return
        self._go_on()
        task = asyncio.create_task(channel.close(self._patience))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def renew(self) -> None:
        """Goes on over another connection, where the files for TLS have changed."""
        if self._files.have_changed():
            # They are replaced one after the other: the next time, if they cannot be read yet.
            with suppress(OSError):
                self.give_up(self.channel)

    async def close(self) -> None:
        """Closes all channels."""
        for task in list(self._closing):
            task.cancel()
        await self.channel.close()

    def cause_of(self, error: grpc.aio.AioRpcError) -> str:
        """Returns in words for the log why a call failed, with the address."""
        if error.code() == grpc.StatusCode.UNIMPLEMENTED:
            return f"what answers at {self.address} is not ProfileService"
        if (error.details() or "").endswith(_UNHEALTHY):
            return f"what answers at {self.address} is not ProfileService, or does not serve"
        details = (error.details() or "")[:_MAX_CAUSE]
        return f"{error.code().name} from {self.address}: {details}"

    def _go_on(self) -> None:
        """Opens a channel, with what is asked over it: that is made once, not for each call."""
        credentials = self._files.credentials()
        if credentials is None:
            self.channel = grpc.aio.insecure_channel(self.address, options=_OPTIONS)
        else:
            self.channel = grpc.aio.secure_channel(self.address, credentials, options=_OPTIONS)
        self.profiles: ProfileServiceAsyncStub = ProfileServiceStub(self.channel)
        self.tables: TableServiceAsyncStub = TableServiceStub(self.channel)
