"""Uploads DICOM files for de-identification: gRPC and the generated stubs, no more.

Usage: python upload.py HOST:PORT TARGET OUT FILE...

DEIDCASCADE_KEY_FILE names the file with the API key and, for TLS, DEIDCASCADE_TLS_CA that with
the authorities to trust. Prints a line of JSON for each file. Exit code 1: a file was rejected,
or the upload was refused.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, cast

import grpc
from deidcascade.v1 import deid_service_pb2 as pb
from deidcascade.v1.deid_service_pb2_grpc import DeidServiceStub

if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK = 256 * 1024

# What passes by itself: a service that restarts, or has no room. Sending again is safe.
PASSING = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}
PATIENCE_SECONDS = 60.0
FIRST_WAIT_SECONDS = 0.2
LONGEST_WAIT_SECONDS = 5.0


def requests(target: str, paths: list[Path]) -> Iterator[pb.DeidentifyRequest]:
    """Gives what is sent: the target, and then file after file, without waiting for answers."""
    yield pb.DeidentifyRequest(open=pb.OpenStream(target=target))
    for number, path in enumerate(paths):
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            start = pb.FileStart(file_id=str(number), filename=path.name, size=size)
            yield pb.DeidentifyRequest(file=start)
            while chunk := file.read(CHUNK):
                yield pb.DeidentifyRequest(chunk=chunk)
        yield pb.DeidentifyRequest(file_end=pb.FileEnd())


def receive(answers: Iterator[pb.DeidentifyResponse], out: Path) -> Iterator[dict[str, str]]:
    """Writes outputs, and gives what became of each file, in the order they were sent."""
    part = out / f".{os.getpid()}.part"
    try:
        with ExitStack() as opened:
            for answer in answers:
                match answer.WhichOneof("message"):
                    case "file":
                        name, digest = answer.file.suggested_filename, hashlib.sha256()
                        output = opened.enter_context(part.open("wb"))
                    case "chunk":
                        digest.update(answer.chunk)
                        output.write(answer.chunk)
                    case "result" if answer.result.HasField("receipt"):
                        opened.close()
                        if digest.hexdigest() != answer.result.receipt.sha256:
                            raise OSError("What arrived is not what was sent.")
                        # Complete: only now it gets its name.
                        path = free(out, name or f"{answer.result.file_id}.dcm")
                        part.rename(path)
                        yield {"output": path.name, "sha256": digest.hexdigest()}
                    case "result":
                        opened.close()
                        rejection = answer.result.rejection
                        reason = pb.RejectionReason.Name(rejection.reason)
                        yield {"rejected": reason, "message": rejection.message}
    finally:
        part.unlink(missing_ok=True)


def free(out: Path, name: str) -> Path:
    """Returns a path that is not taken."""
    path, number = out / name, 1
    while path.exists():
        number += 1
        path = out / f"{Path(name).stem}-{number}{Path(name).suffix}"
    return path


def upload(stub: DeidServiceStub, key: str, target: str, out: Path, paths: list[Path]) -> bool:
    """Sends files until each has a result; tells whether none was rejected."""
    well, done = True, 0
    wait, until = FIRST_WAIT_SECONDS, time.monotonic() + PATIENCE_SECONDS
    while done < len(paths):
        answers = stub.Deidentify(
            requests(target, paths[done:]), metadata=(("authorization", f"Bearer {key}"),)
        )
        try:
            for result in receive(answers, out):
                print(json.dumps({"file": str(paths[done])} | result), flush=True)
                well &= "rejected" not in result
                done += 1
                wait, until = FIRST_WAIT_SECONDS, time.monotonic() + PATIENCE_SECONDS
        except grpc.RpcError as error:
            # The error of a call is the call itself.
            if cast("grpc.Call", error).code() not in PASSING or time.monotonic() > until:
                raise
            # Spread, so that all callers of a service do not come back at once.
            time.sleep(wait * random.uniform(0.5, 1.0))
            wait = min(2 * wait, LONGEST_WAIT_SECONDS)
    return well


def main(address: str, target: str, out: str, *paths: str) -> int:
    """Uploads, and returns the exit code."""
    key = Path(os.environ["DEIDCASCADE_KEY_FILE"]).read_text("ascii").strip()
    Path(out).mkdir(parents=True, exist_ok=True)
    authorities = os.environ.get("DEIDCASCADE_TLS_CA")
    if authorities:
        credentials = grpc.ssl_channel_credentials(Path(authorities).read_bytes())
        channel = grpc.secure_channel(address, credentials)
    else:
        channel = grpc.insecure_channel(address)
    try:
        with channel:
            stub = DeidServiceStub(channel)
            return 0 if upload(stub, key, target, Path(out), [*map(Path, paths)]) else 1
    except grpc.RpcError as error:
        call = cast("grpc.Call", error)
        print(f"{call.code().name}: {call.details()}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
