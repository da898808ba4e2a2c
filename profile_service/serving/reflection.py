"""Server reflection that also finds methods, for tools such as grpcurl."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha import reflection, reflection_pb2
from grpc_reflection.v1alpha.reflection_pb2 import (
    ServerReflectionRequest,
    ServerReflectionResponse,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.descriptor import FileDescriptor

    from profile_service.serving.calls import Arrivals


# What the two versions of the protocol are called: but for the name they are the same, and
# tools begin to ask for the newer one alone. grpcio-reflection has the older one.
_OLD_NAME = reflection.SERVICE_NAME
_NAME = _OLD_NAME.replace(".v1alpha.", ".v1.")
_METHOD = "ServerReflectionInfo"


class _PoolThatFindsMethods:
    """The descriptors of this process.

    The reflection protocol asks for the file of a message, a service or a method;
    protobuf's own pool knows the files of the first two only.
    """

    def __init__(self) -> None:
        self._pool = descriptor_pool.Default()
        self._pool.AddSerializedFile(_described_as_v1())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    def FindFileContainingSymbol(self, symbol: str) -> FileDescriptor:  # noqa: N802 -- protobuf's
        """Returns the file that defines a symbol; raises KeyError when none does."""
        try:
            return self._pool.FindFileContainingSymbol(symbol)
        except KeyError:
            return self._pool.FindMethodByName(symbol).containing_service.file


def _described_as_v1() -> bytes:
    """Returns the description of the protocol under its newer name."""
    described = FileDescriptorProto()
    reflection_pb2.DESCRIPTOR.CopyToProto(described)
    old, new = described.package, described.package.replace(".v1alpha", ".v1")
    described.name = described.name.replace("v1alpha", "v1")
    described.package = new
    for method in described.service[0].method:
        method.input_type = method.input_type.replace(old, new)
        method.output_type = method.output_type.replace(old, new)
    for field in (field for message in described.message_type for field in message.field):
        if field.type_name:
            field.type_name = field.type_name.replace(old, new)
    return described.SerializeToString()


def _handlers(behavior: Any) -> tuple[grpc.GenericRpcHandler, ...]:
    """Returns what answers under both names."""
    method = grpc.stream_stream_rpc_method_handler(
        behavior, ServerReflectionRequest.FromString, ServerReflectionResponse.SerializeToString
    )
    return tuple(
        grpc.method_handlers_generic_handler(name, {_METHOD: method}) for name in (_NAME, _OLD_NAME)
    )


def enable_reflection(server: grpc.aio.Server, *services: str) -> None:
    """Lets a server on an event loop describe its services, and reflection itself.

    Args:
        server: one that has not been started.
        services: their full names.
    """
    described = reflection.aio.ReflectionServicer(
        (*services, _NAME, _OLD_NAME),
        cast("descriptor_pool.DescriptorPool", _PoolThatFindsMethods()),
    )
    server.add_generic_rpc_handlers(_handlers(described.ServerReflectionInfo))


def reflection_handlers(arrivals: Arrivals, *services: str) -> tuple[grpc.GenericRpcHandler, ...]:
    """Returns what describes services, and reflection itself, on threads.

    Args:
        arrivals: the streams on which a question is waited for. Each holds a thread.
        services: their full names.
    """
    described = reflection.ReflectionServicer(
        (*services, _NAME, _OLD_NAME),
        cast("descriptor_pool.DescriptorPool", _PoolThatFindsMethods()),
    )

    def questions(
        requests: Iterator[ServerReflectionRequest], context: grpc.ServicerContext
    ) -> Iterator[ServerReflectionRequest]:
        # An answer that nobody reads counts as well: the time is that to the next question.
        arrivals.expect(context)
        try:
            for request in requests:
                arrivals.expect(context)
                yield request
        finally:
            arrivals.came(context)

    def answer(
        requests: Iterator[ServerReflectionRequest], context: grpc.ServicerContext
    ) -> Iterator[ServerReflectionResponse]:
        return cast(
            "Iterator[ServerReflectionResponse]",
            described.ServerReflectionInfo(questions(requests, context), context),
        )

    return _handlers(answer)
