"""A gRPC service that does nothing: what gRPC itself costs with the same messages.

Usage: python -m tests.benchmarks._echo [--digest] ANSWER

It is written as gRPC's documentation has it: generated stubs, `grpc.aio`, default
settings. Deidentify answers a chunk with the same chunk, and the other messages
with what belongs there; with --digest it also takes the SHA-256 of each chunk,
which every receipt has. ResolveProfile answers each request with ANSWER, a
ResolveProfileResponse in hex. Prints its address, and serves until it is ended.
"""

from __future__ import annotations

import asyncio
import hashlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
from deidcascade.v1 import deid_service_pb2 as pb
from deidcascade.v1 import deid_service_pb2_grpc as rpc
from deidcascade.v1 import profile_service_pb2 as profile_pb

PROFILE_SERVICE = profile_pb.DESCRIPTOR.services_by_name["ProfileService"].full_name


class Echo(rpc.DeidServiceServicer):
    """DeidService without what it is for."""

    def __init__(self, *, digest: bool) -> None:
        """Takes whether chunks are hashed."""
        self._digest = digest

    async def PreviewProfile(  # noqa: N802 - the name of the method
        self,
        request_iterator: AsyncIterator[pb.PreviewProfileRequest],
        context: grpc.aio.ServicerContext[pb.PreviewProfileRequest, pb.PreviewProfileResponse],
    ) -> pb.PreviewProfileResponse:
        """Nobody asks."""
        raise NotImplementedError

    async def Deidentify(  # noqa: N802 - the name of the method
        self,
        request_iterator: AsyncIterator[pb.DeidentifyRequest],
        context: grpc.aio.ServicerContext[pb.DeidentifyRequest, pb.DeidentifyResponse],
    ) -> AsyncIterator[pb.DeidentifyResponse]:
        """Sends back what comes."""
        del context
        file_id = ""
        digest = hashlib.sha256()
        async for request in request_iterator:
            kind = request.WhichOneof("message")
            if kind == "chunk":
                if self._digest:
                    digest.update(request.chunk)
                yield pb.DeidentifyResponse(chunk=request.chunk)
            elif kind == "file":
                file_id = request.file.file_id
                digest = hashlib.sha256()
                yield pb.DeidentifyResponse(file=pb.FileOutput(file_id=file_id))
            elif kind == "file_end":
                receipt = pb.Receipt(sha256=digest.hexdigest())
                result = pb.FileResult(file_id=file_id, receipt=receipt)
                yield pb.DeidentifyResponse(result=result)
            elif kind == "batch":
                yield pb.DeidentifyResponse(batch=self._batch(request.batch))
            else:
                yield pb.DeidentifyResponse(opened=pb.StreamOpened())

    def _batch(self, batch: pb.RequestBatch) -> pb.ResponseBatch:
        """Returns the answer to whole files."""
        parts = []
        for part in batch.parts:
            file_id = part.file.file_id
            sha256 = hashlib.sha256(part.chunk).hexdigest() if self._digest else ""
            result = pb.FileResult(file_id=file_id, receipt=pb.Receipt(sha256=sha256))
            output = pb.FileOutput(file_id=file_id)
            parts.append(pb.ResponsePart(file=output, chunk=part.chunk, result=result))
        return pb.ResponseBatch(parts=parts)


def resolving(answer: profile_pb.ResolveProfileResponse) -> grpc.GenericRpcHandler:
    """Returns ProfileService without what it is for, and with nothing but ResolveProfile."""

    async def resolve(
        request: profile_pb.ResolveProfileRequest,
        context: grpc.aio.ServicerContext[
            profile_pb.ResolveProfileRequest, profile_pb.ResolveProfileResponse
        ],
    ) -> profile_pb.ResolveProfileResponse:
        del request, context
        return answer

    # What the generated code does too; its class would want every method.
    method: grpc.RpcMethodHandler[
        profile_pb.ResolveProfileRequest, profile_pb.ResolveProfileResponse
    ] = grpc.unary_unary_rpc_method_handler(
        resolve,
        profile_pb.ResolveProfileRequest.FromString,
        profile_pb.ResolveProfileResponse.SerializeToString,
    )
    return grpc.method_handlers_generic_handler(PROFILE_SERVICE, {"ResolveProfile": method})


async def main(arguments: list[str]) -> None:
    """Serves."""
    answer = profile_pb.ResolveProfileResponse.FromString(bytes.fromhex(arguments[-1]))
    server = grpc.aio.server()
    rpc.add_DeidServiceServicer_to_server(Echo(digest="--digest" in arguments), server)
    server.add_generic_rpc_handlers((resolving(answer),))
    if "--tls" in arguments:
        at = arguments.index("--tls")
        chain, key = (Path(name).read_bytes() for name in arguments[at + 1 : at + 3])
        credentials = grpc.ssl_server_credentials([(key, chain)])
        port = server.add_secure_port("127.0.0.1:0", credentials)
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"listening on 127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
