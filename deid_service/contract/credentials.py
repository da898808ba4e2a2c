"""The credential of a caller, shown with each call on a channel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

import grpc

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def transport_channel(
    address: str,
    options: Sequence[tuple[str, str | int]] | None,
    tls: grpc.ChannelCredentials | None,
) -> grpc.Channel:
    """Opens a channel over TLS, or in plain text where there is none."""
    if tls is None:
        return grpc.insecure_channel(address, options)
    return grpc.secure_channel(address, tls, options)


def with_credential(channel: grpc.Channel, key: str) -> grpc.Channel:
    """Returns a channel whose calls show a credential; the same one where there is none."""
    return grpc.intercept_channel(channel, _Bearer(key)) if key else channel


class _Details(NamedTuple):
    method: str
    timeout: float | None
    metadata: Sequence[tuple[str, str | bytes]] | None
    credentials: grpc.CallCredentials | None
    wait_for_ready: bool | None
    compression: grpc.Compression | None


class _Bearer(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Adds the credential to each call.

    gRPC's own credentials for calls go over TLS only, and a service of this machine may
    be without.
    """

    def __init__(self, key: str) -> None:
        self._shown = ("authorization", f"Bearer {key}")

    def _continue(
        self,
        continuation: Callable[..., Any],
        client_call_details: grpc.ClientCallDetails,
        request: Any,
    ) -> Any:
        given = _Details(
            client_call_details.method,
            client_call_details.timeout,
            [*(client_call_details.metadata or ()), self._shown],
            client_call_details.credentials,
            getattr(client_call_details, "wait_for_ready", None),
            getattr(client_call_details, "compression", None),
        )
        return continuation(cast("grpc.ClientCallDetails", given), request)

    intercept_unary_unary = _continue
    intercept_unary_stream = _continue
    intercept_stream_unary = _continue  # type: ignore[assignment]
    intercept_stream_stream = _continue  # type: ignore[assignment]
