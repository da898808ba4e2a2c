"""Who was built against the contract of version 0.1 goes on working."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from grpc_tools import protoc

from tests.support.deid_service import ScriptedProfileService, ct, running_deid_service, serving
from tests.support.environment import ADMIN_KEY

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).parents[3]
FROZEN = ROOT / "tests" / "golden" / "contract"

# A client as it was: it knows nothing of what came to the contract since.
CLIENT = """
import json, sys
import grpc
from deidcascade.v1 import deid_service_pb2 as pb
from deidcascade.v1.deid_service_pb2_grpc import DeidServiceStub

assert not hasattr(pb, "RequestBatch")
address, path, key = sys.argv[1:]
data = open(path, "rb").read()

def requests():
    yield pb.DeidentifyRequest(open=pb.OpenStream(target="sites/s/groups/g/projects/p"))
    for number in range(3):
        yield pb.DeidentifyRequest(file=pb.FileStart(file_id=str(number), size=len(data)))
        for start in range(0, len(data), 10_000):
            yield pb.DeidentifyRequest(chunk=data[start : start + 10_000])
        yield pb.DeidentifyRequest(file_end=pb.FileEnd())
    yield pb.DeidentifyRequest(file=pb.FileStart(file_id="noise"))
    yield pb.DeidentifyRequest(chunk=b"noise" * 100)
    yield pb.DeidentifyRequest(file_end=pb.FileEnd())

said, size, unknown = [], 0, 0
with grpc.insecure_channel(address) as channel:
    for answer in DeidServiceStub(channel).Deidentify(
        requests(), metadata=[("authorization", f"Bearer {key}")]
    ):
        kind = answer.WhichOneof("message")
        if kind == "chunk":
            size += len(answer.chunk)
        elif kind == "result":
            said.append([answer.result.file_id, answer.result.WhichOneof("result")])
        elif kind is None:
            unknown += 1
print(json.dumps([said, size, unknown]))
"""


def test_a_client_of_then_is_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets every file and the rejection, and no message that it does not know."""
    sources = sorted(str(path) for path in (FROZEN / "deidcascade" / "v1").glob("*.proto"))
    well_known = files("grpc_tools") / "_proto"
    assert not protoc.main(
        [
            *("protoc", f"--proto_path={FROZEN}", f"--proto_path={well_known}"),
            *(f"--python_out={tmp_path}", f"--grpc_python_out={tmp_path}", *sources),
        ]
    )
    file = tmp_path / "ct.dcm"
    file.write_bytes(ct())
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    with (
        serving(ScriptedProfileService()) as profile_service,
        running_deid_service(profile_service) as service,
    ):
        finished = subprocess.run(
            [sys.executable, "-c", CLIENT, service.address, str(file), ADMIN_KEY],
            capture_output=True,
            text=True,
            check=True,
        )

    said, size, unknown = json.loads(finished.stdout)
    assert said == [["0", "receipt"], ["1", "receipt"], ["2", "receipt"], ["noise", "rejection"]]
    assert size > 3 * 38_000
    assert unknown == 0
