"""`deidcascade health`: asks a service whether it is ready, as container images need it."""

from __future__ import annotations

import click
import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from deid_service.cli.connection import connection_options, tls_credentials
from deid_service.cli.console import Failure, enum_name
from deid_service.contract.credentials import transport_channel

TIMEOUT_SECONDS = 5.0


@click.command("health")
@click.argument("address", metavar="HOST:PORT")
@connection_options
def health(address: str) -> None:
    """Asks the service at HOST:PORT whether it is ready.

    Exit code 0: it serves. 1: it does not, or nothing answers.
    """
    try:
        with transport_channel(address, None, tls_credentials()) as channel:
            check = channel.unary_unary(
                "/grpc.health.v1.Health/Check",
                request_serializer=HealthCheckRequest.SerializeToString,
                response_deserializer=HealthCheckResponse.FromString,
            )
            answer = check(HealthCheckRequest(), timeout=TIMEOUT_SECONDS)
    except grpc.RpcError as error:
        raise Failure(f"nothing at {address} answers health checks.") from error
    status = enum_name(HealthCheckResponse.ServingStatus, answer.status)
    if answer.status != HealthCheckResponse.SERVING:
        raise Failure(f"{address} is {status}.")
    click.echo(f"{address} is {status}.")
