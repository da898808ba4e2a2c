"""Server reflection that also finds methods, for tools such as grpcurl."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from google.protobuf import descriptor_pool
from grpc_reflection.v1alpha import reflection

if TYPE_CHECKING:
    import grpc
    from google.protobuf.descriptor import FileDescriptor


class _PoolThatFindsMethods:
    """The descriptors of this process.

    The reflection protocol asks for the file of a message, a service or a method;
    protobuf's own pool knows the files of the first two only.
    """

    def __init__(self) -> None:
        self._pool = descriptor_pool.Default()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    def FindFileContainingSymbol(self, symbol: str) -> FileDescriptor:  # noqa: N802 -- protobuf's
        """Returns the file that defines a symbol; raises KeyError when none does."""
        try:
            return self._pool.FindFileContainingSymbol(symbol)
        except KeyError:
            return self._pool.FindMethodByName(symbol).containing_service.file


def enable_reflection(server: grpc.Server | grpc.aio.Server, *services: str) -> None:
    """Lets a server describe its services, and reflection itself.

    Args:
        server: one that has not been started.
        services: their full names.
    """
    reflection.enable_server_reflection(
        (*services, reflection.SERVICE_NAME),
        server,
        cast("descriptor_pool.DescriptorPool", _PoolThatFindsMethods()),
    )
