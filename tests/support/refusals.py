"""What a call was refused with."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from grpc_status import rpc_status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.any_pb2 import Any


@dataclass
class Refusal:
    """A status as a client of the contract sees it; filled at the end of the block."""

    code: grpc.StatusCode = grpc.StatusCode.OK
    reason: str = ""
    names: dict[str, str] = field(default_factory=dict)
    fields: list[str] = field(default_factory=list)
    message: str = ""
    details: list[Any] = field(default_factory=list)


@contextmanager
def refused(code: str, reason: str) -> Iterator[Refusal]:
    """Expects the block to end in a status of this code with this stable reason."""
    refusal = Refusal()
    with pytest.raises(grpc.RpcError) as caught:
        yield refusal
    call = cast("grpc.Call", caught.value)
    status = rpc_status.from_call(call)
    assert status is not None, "the status has no details"
    refusal.code, refusal.message = call.code(), status.message
    refusal.details = list(status.details)
    for detail in status.details:
        info, bad = ErrorInfo(), BadRequest()
        if detail.Unpack(info):
            assert info.domain == "deidcascade"
            refusal.reason, refusal.names = info.reason, dict(info.metadata)
        elif detail.Unpack(bad):
            refusal.fields = [each.field for each in bad.field_violations]
    assert (refusal.code.name, refusal.reason) == (code, reason)
