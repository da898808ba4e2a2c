"""Batches of files when a worker dies, nobody reads the answers, or a part is not what it says."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import grpc
import pytest
from deidcascade.v1 import deid_service_pb2 as pb

from deid_service.client import Progress, Source, Upload
from tests.integration.faults.files import (
    assert_all_or_nothing,
    assert_nothing_identified,
    identified_file,
)
from tests.integration.faults.test_services import assert_works, workers_with_connections
from tests.support import callers
from tests.support.deid_service import TARGET, Caller, opened, status_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.faults.system import System

METHOD = "/deidcascade.v1.DeidService/Deidentify"
PATIENCE_SECONDS = 30.0
FILES = 400


def part(data: bytes, file_id: str, size: int | None = None) -> pb.RequestPart:
    """Returns a part that is a file, and says how long it is."""
    return pb.RequestPart(
        file=pb.FileStart(file_id=file_id, size=len(data) if size is None else size),
        chunk=data,
        file_end=pb.FileEnd(),
    )


def batch(*parts: pb.RequestPart) -> pb.DeidentifyRequest:
    """Returns a message with parts."""
    return pb.DeidentifyRequest(batch=pb.RequestBatch(parts=parts))


def test_a_worker_that_is_killed_in_mid_batch(system: System, tmp_path: Path) -> None:
    """What it had taken and not answered is sent again: every file comes out, once and whole."""
    service = system.deid_service
    started = len(service.workers(times=2))
    stopped, sent_more = threading.Event(), threading.Event()
    sent = [0]

    def sources() -> Iterator[Source]:
        for number in range(FILES):
            if number == FILES // 4:
                assert stopped.wait(PATIENCE_SECONDS)
            yield Source.of_bytes(f"{number}", identified_file(number))

    def moved(progress: Progress) -> None:
        if stopped.is_set() and progress.bytes_sent > sent[0]:
            sent_more.set()
        elif not stopped.is_set():
            sent[0] = progress.bytes_sent

    channel = callers.open_channel(service.address)
    with Upload([channel], TARGET, sources(), tmp_path / "out", progress=moved) as upload:
        results = [next(upload)]
        (carrier,) = workers_with_connections(service)
        os.kill(carrier, signal.SIGSTOP)
        stopped.set()
        assert sent_more.wait(PATIENCE_SECONDS)
        # Its supervisor may have been faster: a worker that hangs is killed.
        with suppress(ProcessLookupError):
            os.kill(carrier, signal.SIGKILL)
        results += upload
    channel.close()

    by_name = assert_all_or_nothing(results, tmp_path / "out", [str(n) for n in range(FILES)])
    assert all(result.complete for result in by_name.values())
    service.workers(times=started + 1)
    assert_works(system, tmp_path / "again")


def test_answers_to_batches_that_nobody_reads(system: System, tmp_path: Path) -> None:
    """The stream is taken no further than its room, and ended; its place is free once it is told.

    Nothing identified is in what had been answered.
    """
    impatient = system.start_deid_service("--idle-seconds", "1", "--max-streams", "1")
    files = [part(identified_file(number), str(number)) for number in range(50)]
    with callers.channel(impatient.address) as channel:
        caller = Caller(channel, opened(), *[batch(*files)] * 100)
        impatient.wait_for("reason=STREAM_IDLE")
        refused = status_of(Caller(channel, opened()).receive_all)
        answers: list[bytes] = []

        def read() -> None:
            answers.extend(answer.SerializeToString() for answer in caller.call)

        ended = status_of(read)
        sources = [Source.of_bytes("next", identified_file(1))]
        with Upload([channel], TARGET, sources, tmp_path / "out") as upload:
            (result,) = upload

    assert refused == ("RESOURCE_EXHAUSTED", "TOO_MANY_STREAMS")
    assert ended == ("RESOURCE_EXHAUSTED", "STREAM_IDLE")
    assert 0 < len(answers) < 100
    assert_nothing_identified(b"".join(answers))
    assert result.complete


@pytest.mark.parametrize("place", range(3))
@pytest.mark.parametrize("bad", ["noise", "cut", "shorter than it says", "longer than it says"])
def test_a_part_that_is_not_what_it_says(system: System, place: int, bad: str) -> None:
    """It is one rejection, wherever it stands in its batch; the others come out."""
    whole = identified_file(1)
    data = {"noise": bytes(range(256)) * 20, "cut": whole[:-7]}.get(bad, whole)
    size = len(data) + {"shorter than it says": 2, "longer than it says": -2}.get(bad, 0)
    parts = [part(whole, str(number)) for number in range(3)]
    parts[place] = part(data, str(place), size)
    with callers.channel(system.deid_service.address) as channel:
        caller = Caller(channel, opened(), batch(*parts))
        caller.half_close()
        answers = [one for answer in caller.receive_all() for one in answer.batch.parts]

    assert [one.result.file_id for one in answers if one.HasField("result")] == ["0", "1", "2"]
    assert [one.result.WhichOneof("result") for one in answers if one.HasField("result")] == [
        "rejection" if number == place else "receipt" for number in range(3)
    ]
    for one in answers:
        assert_nothing_identified(one.SerializeToString())


def test_garbage_behind_a_part(system: System) -> None:
    """A batch that cannot be read ends the stream, whole parts before it or not."""
    good = batch(part(identified_file(1), "good")).SerializeToString()
    with callers.channel(system.deid_service.address) as channel:
        call: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(METHOD)
        answers: list[bytes] = []

        def read() -> None:
            requests = [opened().SerializeToString(), good, good + b"\xff\xff\xff"]
            answers.extend(call(iter(requests)))

        assert status_of(read) == ("INVALID_ARGUMENT", "PROTOCOL_ERROR")

    assert_nothing_identified(b"".join(answers))
