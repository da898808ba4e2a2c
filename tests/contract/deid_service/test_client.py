"""The upload client against real servers."""

from __future__ import annotations

import asyncio
import errno
import io
import itertools
import os
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pydicom
import pytest
from deidcascade.v1 import deid_service_pb2 as pb
from deidcascade.v1 import profile_service_pb2 as profile_pb

from deid_service.client import (
    PARTIAL_SUFFIX,
    FileResult,
    Outcome,
    Progress,
    Source,
    StreamRefusedError,
    UnexpectedAnswerError,
    Upload,
    find_sources,
    locks,
    outputs,
)
from deid_service.client import stream as stream_module
from deid_service.client.job import Job
from deid_service.contract.errors import StreamIdleError
from deid_service.serving.conversation import Conversation
from deid_service.serving.limits import Limits
from tests.support.callers import open_channel
from tests.support.deid_service import (
    BLANK,
    TARGET,
    Caller,
    Running,
    ScriptedProfileService,
    answering_always,
    ct,
    opened,
    running_deid_service,
    selected,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def files_in(folder: Path) -> set[str]:
    """Returns the files below a folder."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def run(
    channel: grpc.Channel, sources: list[Source], folder: Path, *, keep_names: bool = False
) -> list[FileResult]:
    """Uploads and returns all results."""
    with Upload([channel], TARGET, sources, folder, keep_names=keep_names) as upload:
        return list(upload)


def test_files_arrive_under_their_suggested_names(channel: grpc.Channel, tmp_path: Path) -> None:
    """Each good file is there, complete and named after itself, and a bad one is not."""
    sources = [Source.of_bytes("Jane.dcm", ct()), Source.of_bytes("bad", b"no")]

    good, bad = run(channel, sources, tmp_path)

    assert good.path is not None
    assert good.receipt is not None
    dataset = pydicom.dcmread(good.path)
    assert good.path.name == f"{dataset.SOPInstanceUID}.CT.dcm"
    assert good.path.stat().st_size == good.receipt.bytes_out
    assert bad.rejection is not None
    assert bad.rejection.reason == pb.REJECTION_REASON_NOT_DICOM
    assert files_in(tmp_path) == {good.path.name}


def test_a_name_that_is_taken_gets_a_number(channel: grpc.Channel, tmp_path: Path) -> None:
    """Nothing is overwritten, neither within an upload nor by a second one."""
    sources = [Source.of_bytes(str(number), ct()) for number in range(2)]

    results = run(channel, sources, tmp_path) + run(channel, sources, tmp_path)

    names = [result.path.name for result in results if result.path]
    stem = names[0].removesuffix(".dcm")
    assert names == [f"{stem}.dcm", f"{stem}-2.dcm", f"{stem}-3.dcm", f"{stem}-4.dcm"]
    assert files_in(tmp_path) == set(names)


def test_original_names_can_be_kept(channel: grpc.Channel, tmp_path: Path) -> None:
    """Relative paths are kept where that is asked for, and one that is taken is a problem."""
    sources = [Source.of_bytes("a/b/c.dcm", ct())]

    first = run(channel, sources, tmp_path, keep_names=True)
    second = run(channel, sources, tmp_path, keep_names=True)

    assert [result.path for result in first] == [tmp_path / "a/b/c.dcm"]
    assert second[0].problem == f"{tmp_path / 'a/b/c.dcm'} exists already."
    assert files_in(tmp_path) == {"a/b/c.dcm"}


@pytest.mark.parametrize("name", ["../up.dcm", "/abs.dcm", "a/../../b.dcm", ""])
def test_a_name_never_leaves_the_folder(channel: grpc.Channel, tmp_path: Path, name: str) -> None:
    """A name that is no relative path is a problem, and nothing is written."""
    results = run(channel, [Source.of_bytes(name, ct())], tmp_path / "out", keep_names=True)

    assert results[0].problem == "The name is not a relative path."
    assert files_in(tmp_path) == set()


def test_unchanged_files_keep_their_names(
    channel: grpc.Channel, scripted: ScriptedProfileService, tmp_path: Path
) -> None:
    """Where bytes go through unchanged there is no better name than the original."""
    scripted.answer = lambda _request, _context: selected(BLANK)

    run(channel, [Source.of_bytes("x/scan.bin", b"any bytes")], tmp_path)

    assert (tmp_path / "x/scan.bin").read_bytes() == b"any bytes"


def test_folders_are_walked(channel: grpc.Channel, tmp_path: Path) -> None:
    """A folder gives everything below it, named by the path from it on."""
    scans = tmp_path / "scans"
    (scans / "deep/er").mkdir(parents=True)
    for name in ("one", "deep/two", "deep/er/three"):
        (scans / name).write_bytes(ct())

    results = run(channel, list(find_sources([scans])), tmp_path / "out", keep_names=True)

    assert {result.name for result in results} == {"one", "deep/two", "deep/er/three"}
    assert files_in(tmp_path / "out") == {"one", "deep/two", "deep/er/three"}


def test_many_files_over_several_streams(service: Running, tmp_path: Path) -> None:
    """Every file has exactly one result, whichever stream carried it."""
    channels = [open_channel(service.address) for _ in range(3)]
    sources = [Source.of_bytes(str(number), ct()) for number in range(100)]
    seen: list[Progress] = []
    with Upload(channels, TARGET, sources, tmp_path, progress=seen.append) as upload:
        results = list(upload)
    for channel in channels:
        channel.close()

    assert sorted(int(result.name) for result in results) == list(range(100))
    assert all(result.complete for result in results)
    assert len(files_in(tmp_path)) == 100
    assert seen[-1] == Progress(files=100, bytes_sent=100 * len(ct()))


def test_the_same_object_serves_async(channel: grpc.Channel, tmp_path: Path) -> None:
    """Results come by `async for` too, and the event loop is not blocked meanwhile."""

    async def collect() -> list[FileResult]:
        sources = [Source.of_bytes(str(number), ct()) for number in range(5)]
        async with Upload([channel], TARGET, sources, tmp_path) as upload:
            return [result async for result in upload]

    assert len(asyncio.run(collect())) == 5


def test_async_cancellation_stops_the_upload(channel: grpc.Channel, tmp_path: Path) -> None:
    """A task that is cancelled while it waits for a result ends, and leaves no file."""
    read = threading.Event()

    async def wait_for_ever() -> None:
        async with Upload([channel], TARGET, [never_ending(read)], tmp_path) as upload:
            async for _ in upload:
                pass

    async def cancel() -> None:
        task = asyncio.create_task(wait_for_ever())
        await asyncio.to_thread(read.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())

    assert files_in(tmp_path) == set()


class NeverEnding(io.RawIOBase):
    """A stream without end, in which a file is begun."""

    def __init__(self, read: threading.Event) -> None:
        self._parts = iter([ct()])
        self._read = read

    def read(self, size: int = -1) -> bytes:
        """Returns the file, and zeros after it."""
        part = next(self._parts, None)
        if part is None:
            self._read.set()
            return bytes(min(size, 10_000))
        return part


def never_ending(read: threading.Event) -> Source:
    """Returns a source that sets the event when a part of it has been sent."""
    return Source("endless", lambda: NeverEnding(read))  # type: ignore[return-value, arg-type]


def test_leaving_early_leaves_no_partial_file(channel: grpc.Channel, tmp_path: Path) -> None:
    """An upload that is left in the middle of a file is over, and the file is not there."""
    read = threading.Event()
    with Upload([channel], TARGET, [never_ending(read)], tmp_path):
        assert read.wait(10)

    assert files_in(tmp_path) == set()
    for thread in threading.enumerate():
        if thread.name == "deidcascade-read":
            thread.join(10)
            assert not thread.is_alive()


def test_what_a_killed_upload_left_is_removed(channel: grpc.Channel, tmp_path: Path) -> None:
    """A partial file that nobody writes goes at the next start; one in use stays."""
    (tmp_path / f".dead{PARTIAL_SUFFIX}").write_bytes(b"half")
    (tmp_path / f".dead-7{PARTIAL_SUFFIX}").write_bytes(b"half")
    (tmp_path / f".gone-1{PARTIAL_SUFFIX}").write_bytes(b"half")
    alive = outputs.Destination(tmp_path).begin()

    run(channel, [], tmp_path)

    assert len(files_in(tmp_path)) == 1
    alive.discard()
    assert files_in(tmp_path) == set()


def test_an_output_that_is_too_large_is_a_problem_of_the_file(
    channel: grpc.Channel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that cannot be written is reported, nothing of it stays, and the next goes on."""
    write = outputs.PartialFile.write
    writes = iter([OSError(errno.EFBIG, "File too large")])

    def write_to_disk(partial: outputs.PartialFile, data: bytes) -> None:
        to_disk = os.write

        def refused(file: int, data: bytes) -> int:
            if file == partial._file and (error := next(writes, None)) is not None:
                raise error
            return to_disk(file, data)

        with pytest.MonkeyPatch.context() as disk:
            disk.setattr(os, "write", refused)
            write(partial, data)

    monkeypatch.setattr(outputs.PartialFile, "write", write_to_disk)
    sources = [Source.of_bytes(name, ct()) for name in ("first", "second")]

    first, second = run(channel, sources, tmp_path)

    assert first.problem == "The output cannot be written: File too large."
    assert first.reason == "NOT_WRITTEN"
    assert second.complete
    assert len(files_in(tmp_path)) == 1


def test_a_source_that_breaks_is_a_problem_of_the_file(
    channel: grpc.Channel, scripted: ScriptedProfileService, tmp_path: Path
) -> None:
    """A file that cannot be read to its end is not kept, even where any bytes would pass."""
    scripted.answer = lambda _request, _context: selected(BLANK)

    class Broken(io.BytesIO):
        """Fails at its end."""

        def read(self, size: int | None = -1) -> bytes:
            """Returns what there is, and then fails."""
            data = super().read(size)
            if not data:
                raise OSError(errno.EIO, "Input/output error")
            return data

    sources = [Source("broken", lambda: Broken(b"part")), Source.of_bytes("good", b"whole")]

    broken, good = run(channel, sources, tmp_path)

    assert broken.problem == "It cannot be read: Input/output error."
    assert broken.reason == "NOT_READ"
    assert good.complete
    assert files_in(tmp_path) == {"good"}


def test_a_refusal_has_reason_and_verdicts(
    channel: grpc.Channel, scripted: ScriptedProfileService, tmp_path: Path
) -> None:
    """A stream that is refused for good raises, and every file taken up has a result."""
    level = profile_pb.LevelVerdict(container=TARGET, verdict=profile_pb.VERDICT_ABSENT)
    scripted.answer = lambda _request, _context: profile_pb.ResolveProfileResponse(
        outcome=profile_pb.OUTCOME_NO_VALID_PROFILE, levels=[level]
    )
    results: list[FileResult] = []

    with (
        Upload([channel], TARGET, [Source.of_bytes("x", ct())], tmp_path) as upload,
        pytest.raises(StreamRefusedError) as refused,
    ):
        results.extend(upload)

    assert refused.value.reason == "NO_VALID_PROFILE"
    assert [str(verdict) for verdict in refused.value.verdicts] == [f"{TARGET}: ABSENT"]
    assert [(result.name, result.complete) for result in results] == [("x", False)]
    assert files_in(tmp_path) == set()


def test_a_service_that_comes_back_is_waited_for(
    scripted: ScriptedProfileService, scripted_address: str, tmp_path: Path
) -> None:
    """Files that a drain left unfinished are sent again, and every one arrives once."""
    taken, restarted = threading.Event(), threading.Event()

    def sources() -> Iterator[Source]:
        for number in range(20):
            if number == 10:
                taken.set()
                restarted.wait(10)
            yield Source.of_bytes(str(number), ct())

    del scripted
    channel: grpc.Channel | None = None
    with running_deid_service(scripted_address) as first:
        channel = open_channel(first.address)
        upload = Upload([channel], TARGET, sources(), tmp_path)
        assert taken.wait(10)
    with running_deid_service(scripted_address, address=first.address):
        restarted.set()
        with upload:
            results = list(upload)
        channel.close()

    assert sorted(int(result.name) for result in results) == list(range(20))
    assert all(result.complete for result in results)
    assert len(files_in(tmp_path)) == 20


def test_a_service_that_stays_away_is_given_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Retries are bounded: the upload ends with the reason, and each file has a result."""
    monkeypatch.setattr(stream_module, "FIRST_PATIENCE_SECONDS", 0.5)
    results: list[FileResult] = []
    with (
        open_channel("127.0.0.1:1") as channel,
        Upload([channel], TARGET, [Source.of_bytes("x", ct())], tmp_path) as upload,
        pytest.raises(StreamRefusedError) as refused,
    ):
        results.extend(upload)

    assert refused.value.code is grpc.StatusCode.UNAVAILABLE
    assert [result.name for result in results] == ["x"]


Answers = list[pb.DeidentifyResponse]


def lying(receipt: pb.Receipt) -> Answers:
    """Returns the answers of a service whose receipt does not fit its output."""
    return [
        pb.DeidentifyResponse(opened=pb.StreamOpened()),
        pb.DeidentifyResponse(file=pb.FileOutput(file_id="0", suggested_filename="out.dcm")),
        pb.DeidentifyResponse(chunk=b"output"),
        pb.DeidentifyResponse(result=pb.FileResult(file_id="0", receipt=receipt)),
    ]


@pytest.fixture
def answering() -> Iterator[Callable[[Answers], grpc.Channel]]:
    """Makes channels to a service that gives the same answers to everyone."""
    with ExitStack() as running:
        yield lambda answers: running.enter_context(
            open_channel(running.enter_context(answering_always(answers)))
        )


@pytest.mark.parametrize(
    "receipt",
    [pb.Receipt(bytes_out=6, sha256="0" * 64), pb.Receipt(bytes_out=5), pb.Receipt()],
    ids=["digest", "size", "empty"],
)
def test_an_output_that_is_not_what_the_receipt_says_is_not_kept(
    answering: Callable[[Answers], grpc.Channel], tmp_path: Path, receipt: pb.Receipt
) -> None:
    """Size and digest of the receipt are checked before a file gets its name."""
    results = run(answering(lying(receipt)), [Source.of_bytes("x", b"x")], tmp_path)

    assert results[0].problem == "The output does not match its receipt."
    assert results[0].reason == "NOT_DONE"
    assert files_in(tmp_path) == set()


OUT_OF_TURN = {
    "another file": [pb.DeidentifyResponse(file=pb.FileOutput(file_id="7"))],
    "a chunk of no file": [pb.DeidentifyResponse(chunk=b"x")],
    "nothing": [pb.DeidentifyResponse()],
    "no result": [],
}


@pytest.mark.parametrize("answers", OUT_OF_TURN.values(), ids=OUT_OF_TURN)
def test_answers_that_make_no_sense_end_the_upload(
    answering: Callable[[Answers], grpc.Channel], tmp_path: Path, answers: Answers
) -> None:
    """A service that does not keep to the contract is not believed anything."""
    opened = [pb.DeidentifyResponse(opened=pb.StreamOpened())]
    channel = answering(opened + answers)

    with pytest.raises(UnexpectedAnswerError):
        run(channel, [Source.of_bytes("x", b"x")], tmp_path)

    assert files_in(tmp_path) == set()


@pytest.mark.parametrize("name", ["", "..", "a/b.dcm", "/etc/x", "a\0b"])
def test_a_suggested_name_that_is_no_name_is_not_used(tmp_path: Path, name: str) -> None:
    """What the service suggests stays within the folder."""
    destination = outputs.Destination(tmp_path)
    partial = destination.begin()

    with pytest.raises(outputs.OutputError):
        destination.keep_suggested(partial, name)

    partial.discard()

    assert files_in(tmp_path) == set()


def test_a_file_system_without_links_works_too(
    channel: grpc.Channel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there are no hard links a file gets its name by another way, never over another."""

    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("os.link", no_links)
    sources = [Source.of_bytes(str(number), ct()) for number in range(2)]

    results = run(channel, sources, tmp_path)

    assert [result.complete for result in results] == [True, True]
    assert len(files_in(tmp_path)) == 2


def test_what_the_callers_iterable_raises_is_raised(channel: grpc.Channel, tmp_path: Path) -> None:
    """An error of the sources ends the upload as itself; what was sent before arrives."""

    def sources() -> Iterator[Source]:
        yield Source.of_bytes("one", ct())
        yield Source.of_bytes("two", ct())
        raise PermissionError(errno.EACCES, "Permission denied")

    results: list[FileResult] = []
    with (
        Upload([channel], TARGET, sources(), tmp_path) as upload,
        pytest.raises(PermissionError),
    ):
        results.extend(upload)

    assert [result.complete for result in results] == [True, True]


def test_a_stream_is_read_once(channel: grpc.Channel, tmp_path: Path) -> None:
    """A one-time stream is uploaded; asked for again it is a problem, not half a file."""
    source = Source.of_stream("s", io.BytesIO(ct()))

    first = run(channel, [source], tmp_path)
    second = run(channel, [source], tmp_path)

    assert first[0].complete
    assert second[0].problem == "It cannot be read: a stream is read only once."


def test_an_upload_without_a_channel_is_misuse(tmp_path: Path) -> None:
    """What could never end is refused at once."""
    with pytest.raises(ValueError, match=r"^An upload needs at least one channel\.$"):
        Upload([], TARGET, [], tmp_path)


def test_a_file_at_which_connections_break_is_given_up(
    scripted_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that ends its stream every time fails alone; those behind it arrive."""
    monkeypatch.setattr(stream_module, "FIRST_WAIT_SECONDS", 0.01)
    poison = ct().replace(b"CompressedSamples", b"PoisonousSamples!")
    sources = [
        Source.of_bytes("before", ct()),
        Source.of_bytes("poison", poison),
        Source.of_bytes("after", ct()),
    ]

    def receive(talk: Conversation, message: bytes) -> list[bytes]:
        if b"PoisonousSamples!" in message:
            raise StreamIdleError
        return take(talk, message)

    take = Conversation.receive
    monkeypatch.setattr(Conversation, "receive", receive)
    with (
        running_deid_service(scripted_address) as running,
        open_channel(running.address) as channel,
    ):
        results = {result.name: result for result in run(channel, sources, tmp_path)}

    assert results["poison"].problem == "The connection broke 3 times at this file."
    assert results["before"].complete
    assert results["after"].complete
    assert len(files_in(tmp_path)) == 2


def test_a_service_that_is_away_for_a_while_is_waited_for(
    scripted_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often a service that was there cannot be reached, the upload goes on in the end."""
    monkeypatch.setattr(stream_module, "FIRST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(stream_module, "LONGEST_WAIT_SECONDS", 0.02)
    stopped, back = threading.Event(), threading.Event()
    waits = itertools.count(1)
    wait = Job.wait

    def counted(job: Job, seconds: float) -> None:
        if stopped.is_set() and next(waits) == 20:
            back.set()
        wait(job, seconds)

    monkeypatch.setattr(Job, "wait", counted)

    def sources() -> Iterator[Source]:
        yield Source.of_bytes("first", ct())
        assert stopped.wait(30)
        yield from (Source.of_bytes(str(number), ct()) for number in range(5))

    with running_deid_service(scripted_address) as first:
        channel = open_channel(first.address)
        upload = Upload([channel], TARGET, sources(), tmp_path)
        # It was there: its first file is done.
        results = [next(upload)]
    stopped.set()
    assert back.wait(30)
    with running_deid_service(scripted_address, address=first.address), upload:
        results += upload
    channel.close()

    assert [result.complete for result in results] == [True] * 6


def test_a_service_without_room_is_waited_for(scripted_address: str, tmp_path: Path) -> None:
    """A stream that is refused for want of room is opened again until there is some."""
    with (
        running_deid_service(scripted_address, Limits(max_streams=1)) as running,
        open_channel(running.address) as channel,
    ):
        caller = Caller(channel, opened())
        assert caller.receive().WhichOneof("message") == "opened"
        waited = threading.Event()
        with Upload([channel], TARGET, [Source.of_bytes("x", ct())], tmp_path) as upload:
            wait = upload._job.wait
            upload._job.wait = lambda seconds: waited.set() or wait(seconds)  # type: ignore[method-assign, func-returns-value]
            assert waited.wait(10)
            caller.half_close()
            assert caller.receive_all() == []
            results = list(upload)

    assert [result.complete for result in results] == [True]


def test_a_rejected_file_is_not_sent_to_its_end(channel: grpc.Channel, tmp_path: Path) -> None:
    """When the rejection is there, the rest of the file is not read: this one has no end."""

    class Noise(io.RawIOBase):
        """What is no DICOM, without end."""

        def read(self, size: int = -1) -> bytes:
            return b"noise " * (size // 6)

    endless = Source("noise", Noise)  # type: ignore[arg-type]

    rejected, good = run(channel, [endless, Source.of_bytes("good", ct())], tmp_path)

    assert rejected.outcome is Outcome.REJECTED
    assert good.complete


def test_every_source_has_a_result_when_the_upload_fails(
    channel: grpc.Channel, scripted: ScriptedProfileService, tmp_path: Path
) -> None:
    """An upload that is refused reports also the files that were never begun."""
    scripted.answer = lambda _request, _context: selected("no profile")
    sources = [Source.of_bytes(str(number), ct()) for number in range(50)]
    results: list[FileResult] = []

    with (
        Upload([channel], TARGET, sources, tmp_path) as upload,
        pytest.raises(StreamRefusedError),
    ):
        results.extend(upload)

    assert sorted(int(result.name) for result in results) == list(range(50))
    assert {result.outcome for result in results} == {Outcome.UNSENT}


def test_a_partial_file_is_not_taken_for_one_that_was_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that starts between the making and the locking of one removes no file."""
    lock = locks.lock
    starting = iter([True])

    def lock_late(file: int) -> None:
        if next(starting, False):
            outputs.Destination(tmp_path)
        lock(file)

    destination = outputs.Destination(tmp_path)
    monkeypatch.setattr(outputs, "lock", lock_late)
    partial = destination.begin()
    partial.write(b"whole")

    assert Path(destination.keep_suggested(partial, "name")).read_bytes() == b"whole"


def test_a_rename_that_fails_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there are no hard links and a rename fails, there is no file under the final name."""

    def fail(code: int) -> Callable[..., None]:
        def failing(*_: object) -> None:
            raise OSError(code, os.strerror(code))

        return failing

    monkeypatch.setattr("os.link", fail(errno.EPERM))
    monkeypatch.setattr("pathlib.Path.replace", fail(errno.EIO))
    destination = outputs.Destination(tmp_path)
    partial = destination.begin()

    with pytest.raises(outputs.OutputError, match="Input/output error"):
        destination.keep_suggested(partial, "name")

    partial.discard()
    assert files_in(tmp_path) == set()
