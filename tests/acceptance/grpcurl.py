"""Does what grpcurl does for the commands of the documentation, which need not be there.

Usage: grpcurl.py -plaintext [-H HEADER] [-d JSON] HOST:PORT WHAT

WHAT is list, describe SYMBOL, or SERVICE/METHOD.

JSON is one request, or several one after the other for a method that takes a stream of them;
with @, what comes on standard input. Like grpcurl it knows no protos, and asks the server for
them by reflection. One answer only. Errors end it with 64 and the number of the status.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import grpc
from google.protobuf import json_format
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)


def main(arguments: list[str]) -> int:
    """Runs one command, and returns the exit code."""
    parser = argparse.ArgumentParser("grpcurl")
    parser.add_argument("-plaintext", action="store_true", required=True)
    parser.add_argument("-H", dest="header", action="append", default=[])
    parser.add_argument("-d", dest="data", default="{}")
    parser.add_argument("address")
    parser.add_argument("what")
    parser.add_argument("symbol", nargs="?", default="")
    given = parser.parse_args(arguments)
    split = [header.partition(": ") for header in given.header]
    metadata = tuple((name, value) for name, _, value in split)
    with grpc.insecure_channel(given.address) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        pool = DescriptorPool(database)
        if given.what == "list":
            print("\n".join(database.get_services()))
        elif given.what == "describe":
            print(described(pool, given.symbol))
        else:
            service, _, method = given.what.partition("/")
            found = pool.FindServiceByName(service).methods_by_name[method]
            try:
                answer = call(channel, found, given.data, metadata)
            except grpc.RpcError as error:
                code = error.code()
                print(f"ERROR:\n  Code: {code.name}\n  Message: {error}", file=sys.stderr)
                return 64 + int(code.value[0])
            print(json_format.MessageToJson(answer))
    return 0


def described(pool: DescriptorPool, symbol: str) -> str:
    """Returns the names in a message or a service, or that of a method."""
    with suppress(KeyError):
        return "\n".join(field.name for field in pool.FindMessageTypeByName(symbol).fields)
    with suppress(KeyError):
        return "\n".join(method.name for method in pool.FindServiceByName(symbol).methods)
    service, _, method = symbol.rpartition(".")
    found: MethodDescriptor = pool.FindServiceByName(service).methods_by_name[method]
    return found.name


def call(
    channel: grpc.Channel,
    method: MethodDescriptor,
    data: str,
    metadata: tuple[tuple[str, str], ...],
) -> Message:
    """Calls a method with a request in JSON, and returns the answer."""
    kind = GetMessageClass(method.input_type)
    text = sys.stdin.read() if data == "@" else data
    requests = [json_format.ParseDict(one, kind()) for one in values_in(text)]
    if not method.client_streaming and len(requests) != 1:
        raise SystemExit("grpcurl: the method takes one request.")
    # One request is a stream of one.
    ask = channel.stream_unary(
        f"/{method.containing_service.full_name}/{method.name}",
        request_serializer=kind.SerializeToString,
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )
    answer: Message = ask(iter(requests), metadata=metadata)
    return answer


def values_in(text: str) -> Iterator[dict[str, Any]]:
    """Gives the values of JSON that follow each other in a text."""
    decoder = json.JSONDecoder()
    while text := text.lstrip():
        value, end = decoder.raw_decode(text)
        yield value
        text = text[end:]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
