"""Small files by the batch, over a real channel."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from deidcascade.v1 import deid_service_pb2 as pb

from deid_service.client import Source, Upload
from deid_service.serving.limits import Limits
from tests.support.callers import open_channel
from tests.support.deid_service import (
    TARGET,
    Caller,
    ScriptedProfileService,
    ct,
    opened,
    running_deid_service,
    serving,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def opening(**fields: object) -> pb.DeidentifyRequest:
    """Returns an `open` with what a caller asks for."""
    message = opened()
    for name, value in fields.items():
        setattr(message.open, name, value)
    return message


def test_who_asks_is_told_what_the_service_takes() -> None:
    """Limits and digest are in `opened` for a caller that gave its own, and for no other."""
    with (
        serving(ScriptedProfileService()) as profile_service,
        running_deid_service(profile_service) as service,
        open_channel(service.address) as channel,
    ):
        said = [
            Caller(channel, message).receive().opened
            for message in (
                opening(max_response_bytes=1 << 20, digest=pb.DIGEST_NONE),
                opened(),
            )
        ]

    assert [(one.max_request_bytes, one.digest) for one in said] == [
        (4 << 20, pb.DIGEST_NONE),
        (0, pb.DIGEST_UNSPECIFIED),
    ]


def test_a_service_that_needs_the_digest_takes_it() -> None:
    """What the service is told wins over what the caller asks for."""
    with (
        serving(ScriptedProfileService()) as profile_service,
        running_deid_service(profile_service, Limits(require_digest=True)) as service,
        open_channel(service.address) as channel,
    ):
        caller = Caller(channel, opening(digest=pb.DIGEST_NONE))
        assert caller.receive().opened.digest == pb.DIGEST_SHA256
        data = ct()
        part = pb.RequestPart(file=pb.FileStart(), chunk=data, file_end=pb.FileEnd())
        caller.send(pb.DeidentifyRequest(batch=pb.RequestBatch(parts=[part])))
        (answer,) = caller.receive().batch.parts

    assert len(answer.result.receipt.sha256) == 64


def test_a_slow_source_is_not_kept_waiting(tmp_path: Path) -> None:
    """A file is sent and answered although the next one does not come."""
    answered = threading.Event()

    def sources() -> Iterator[Source]:
        yield Source.of_bytes("first", ct())
        assert answered.wait(20)
        yield Source.of_bytes("second", ct())

    with (
        serving(ScriptedProfileService()) as profile_service,
        running_deid_service(profile_service) as service,
        open_channel(service.address) as channel,
        Upload([channel], TARGET, sources(), tmp_path) as upload,
    ):
        first = next(upload)
        answered.set()
        (second,) = upload

    assert [first.name, second.name] == ["first", "second"]
    assert first.complete
    assert second.complete


def test_many_small_files_take_few_messages(tmp_path: Path) -> None:
    """The client puts what is there into batches, and each file comes out whole."""
    data = ct()
    with (
        serving(ScriptedProfileService()) as profile_service,
        running_deid_service(profile_service) as service,
        open_channel(service.address) as channel,
        Upload(
            [channel], TARGET, (Source.of_bytes(f"{n}", data) for n in range(300)), tmp_path
        ) as upload,
    ):
        results = list(upload)

    assert sum(result.complete for result in results) == 300
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1
