"""A program that another team could have written: gRPC and the generated stubs, no more.

Usage: python stub_client.py ADDRESS TARGET OUT FILE...

Sends the files on one stream, without waiting for anything, and prints a line of
JSON for each answer. The output of the file that was sent as number N is OUT/N.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
from deidcascade.v1 import deid_service_pb2 as pb
from deidcascade.v1.deid_service_pb2_grpc import DeidServiceStub

if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK = 8 * 1024


def requests(target: str, files: list[str]) -> Iterator[pb.DeidentifyRequest]:
    """Gives what is sent: the target, and then file after file."""
    yield pb.DeidentifyRequest(open=pb.OpenStream(target=target))
    for number, name in enumerate(files):
        data = Path(name).read_bytes()
        start = pb.FileStart(file_id=str(number), filename=Path(name).name, size=len(data))
        yield pb.DeidentifyRequest(file=start)
        for offset in range(0, len(data), CHUNK):
            yield pb.DeidentifyRequest(chunk=data[offset : offset + CHUNK])
        yield pb.DeidentifyRequest(file_end=pb.FileEnd())


def main(address: str, key: str, target: str, out: str, files: list[str]) -> None:
    """Sends, receives and writes."""
    received: list[bytes] = []
    with grpc.insecure_channel(address) as channel:
        for answer in DeidServiceStub(channel).Deidentify(
            requests(target, files), metadata=(("authorization", f"Bearer {key}"),)
        ):
            kind = answer.WhichOneof("message")
            if kind == "opened":
                print(json.dumps({"opened": answer.opened.profile_name}))
            elif kind == "file":
                received = []
            elif kind == "chunk":
                received.append(answer.chunk)
            elif answer.result.HasField("receipt"):
                receipt = answer.result.receipt
                Path(out, answer.result.file_id).write_bytes(b"".join(received))
                print(json.dumps({"file": answer.result.file_id, "sha256": receipt.sha256}))
            else:
                reason = pb.RejectionReason.Name(answer.result.rejection.reason)
                print(json.dumps({"file": answer.result.file_id, "rejected": reason}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4], sys.argv[5:])
