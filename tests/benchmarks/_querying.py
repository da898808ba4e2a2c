"""A gRPC service that asks PostgreSQL for nothing before it answers: what no resolution is below.

Usage: python -m tests.benchmarks._querying DATABASE ANSWER

A profile is resolved by one statement, so that what was changed counts at once. This is the least
that it can cost: threads, as ProfileService has them, a connection that is there, and `SELECT 1`,
prepared. ResolveProfile answers each request with ANSWER, a ResolveProfileResponse in hex. Prints
its address, and serves until it is ended.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import grpc
from deidcascade.v1 import profile_service_pb2 as pb
from psycopg_pool import ConnectionPool

from tests.benchmarks._echo import PROFILE_SERVICE

THREADS = 16


def main(database: str, hexed: str) -> None:
    """Serves."""
    answer = pb.ResolveProfileResponse.FromString(bytes.fromhex(hexed))
    pool = ConnectionPool(database, min_size=4, max_size=4, kwargs={"autocommit": True}, open=True)

    def resolve(
        request: pb.ResolveProfileRequest, context: grpc.ServicerContext
    ) -> pb.ResolveProfileResponse:
        del request, context
        with pool.connection() as connection:
            connection.execute("SELECT 1", prepare=True).fetchone()
        return answer

    method = grpc.unary_unary_rpc_method_handler(
        resolve, pb.ResolveProfileRequest.FromString, pb.ResolveProfileResponse.SerializeToString
    )
    server = grpc.server(ThreadPoolExecutor(THREADS))
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(PROFILE_SERVICE, {"ResolveProfile": method}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"listening on 127.0.0.1:{port}", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main(*sys.argv[1:])
