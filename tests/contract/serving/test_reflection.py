"""Reflection, as grpcurl and its like ask for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha.reflection_pb2 import (
    ServerReflectionRequest,
    ServerReflectionResponse,
)

from tests.support import callers
from tests.support.deid_service import running_deid_service
from tests.support.processes import service_process

if TYPE_CHECKING:
    from collections.abc import Iterator

PROFILE_SERVICE = "deidcascade.v1.ProfileService"
ACCESS_SERVICE = "deidcascade.v1.AccessService"
TABLE_SERVICE = "deidcascade.v1.TableService"
DEID_SERVICE = "deidcascade.v1.DeidService"


def ask(
    address: str, request: ServerReflectionRequest, version: str = "v1"
) -> ServerReflectionResponse:
    """Returns the answer of a server to one question."""
    with callers.channel(address) as channel:
        call = channel.stream_stream(
            f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
            request_serializer=ServerReflectionRequest.SerializeToString,
            response_deserializer=ServerReflectionResponse.FromString,
        )
        answer: ServerReflectionResponse
        (answer,) = call(iter([request]))
        return answer


def methods_of(address: str, symbol: str, service: str) -> set[str]:
    """Returns the methods of a service in the file that the server gives for a symbol."""
    answer = ask(address, ServerReflectionRequest(file_containing_symbol=symbol))
    files = map(
        FileDescriptorProto.FromString, answer.file_descriptor_response.file_descriptor_proto
    )
    return {
        method.name
        for file in files
        for described in file.service
        if f"{file.package}.{described.name}" == service
        for method in described.method
    }


@pytest.fixture
def deid_service_address() -> Iterator[str]:
    """The address of a DeidService; its ProfileService is nowhere."""
    with running_deid_service("127.0.0.1:1") as running:
        yield running.address


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_profile_service_names_its_services(profile_service_address: str, version: str) -> None:
    """Tools need no files: the server says what it has, in both versions of the protocol."""
    answer = ask(profile_service_address, ServerReflectionRequest(list_services=""), version)
    assert {service.name for service in answer.list_services_response.service} == {
        PROFILE_SERVICE,
        ACCESS_SERVICE,
        TABLE_SERVICE,
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    }


@pytest.mark.parametrize(
    "symbol",
    [
        PROFILE_SERVICE,
        f"{PROFILE_SERVICE}.SetProfile",
        "deidcascade.v1.SetProfileRequest",
        "deidcascade.v1.SetProfileRequest.source",
        "deidcascade.v1.Outcome",
    ],
)
def test_profile_service_describes_symbols(profile_service_address: str, symbol: str) -> None:
    """Services, methods, messages, fields and enums are all found."""
    assert "SetProfile" in methods_of(profile_service_address, symbol, PROFILE_SERVICE)


def test_deid_service_describes_its_method(deid_service_address: str) -> None:
    """The asynchronous server finds methods as well."""
    symbol = f"{DEID_SERVICE}.Deidentify"
    assert methods_of(deid_service_address, symbol, DEID_SERVICE) == {
        "Deidentify",
        "PreviewProfile",
    }


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_the_asynchronous_server_answers_both_versions(
    deid_service_address: str, version: str
) -> None:
    """DeidService, too, describes itself and reflection in both versions of the protocol."""
    answer = ask(deid_service_address, ServerReflectionRequest(list_services=""), version)
    name = f"grpc.reflection.{version}.ServerReflection"
    assert name in {service.name for service in answer.list_services_response.service}
    assert methods_of(deid_service_address, name, name) == {"ServerReflectionInfo"}


def test_methods_of_other_services_are_found(deid_service_address: str) -> None:
    """The methods of the health service too."""
    health = "grpc.health.v1.Health"
    assert "Watch" in methods_of(deid_service_address, f"{health}.Check", health)


@pytest.mark.parametrize(
    "symbol", ["", "deidcascade", f"{DEID_SERVICE}.Forget", f"{DEID_SERVICE}.", "\u00e4.b"]
)
def test_what_is_not_there_is_not_found(deid_service_address: str, symbol: str) -> None:
    """Any other symbol is answered with NOT_FOUND, and the server goes on."""
    answer = ask(deid_service_address, ServerReflectionRequest(file_containing_symbol=symbol))
    assert answer.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


def test_reflection_can_be_closed(database: str) -> None:
    """Where reflection is off nobody is told anything by it, with or without a credential."""
    closed = []
    for module, arguments in (
        ("profile_service", ["--database", database]),
        ("deid_service", ["--profile-service", "127.0.0.1:1"]),
    ):
        with service_process(
            *arguments, "--workers", "1", "--reflection", "0", module=module
        ) as service:
            for version in ("v1", "v1alpha"):
                request = ServerReflectionRequest(list_services="")
                with pytest.raises(grpc.RpcError) as refused:
                    ask(service.address, request, version)
                closed.append(refused.value.code().name)

    assert closed == 4 * ["UNIMPLEMENTED"]
