"""DeidService in this process, a ProfileService that says what it is told, and callers."""

from __future__ import annotations

import asyncio
import hashlib
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import grpc
import pytest
from deidcascade.v1 import deid_service_pb2 as pb
from deidcascade.v1 import profile_service_pb2 as profile_pb
from deidcascade.v1.deid_service_pb2_grpc import DeidServiceStub
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status
from pydicom.data import get_testdata_file

from deid_service.contract.rpc_errors import read_details
from deid_service.serving.config import Config
from deid_service.serving.limits import Limits
from deid_service.serving.server import serve
from profile_service.serving.calls import Arrivals
from profile_service.serving.health import Health
from profile_service.serving.transport import PLAIN, Transport
from tests.support.environment import SERVICE_KEY_FILE

TARGET = "sites/s/groups/g/projects/p"
PROFILE = """\
dicom:
  fields:
    - name: PatientName
      replace-with: ANON
    - name: PatientID
      hash: true
    - name: SOPInstanceUID
      hashuid: true
"""
BLANK = "dicom: {fields: []}"


def ct() -> bytes:
    """Returns a CT image of 39 KB."""
    path = get_testdata_file("CT_small.dcm", download=False)
    assert isinstance(path, str)
    with open(path, "rb") as file:  # noqa: PTH123 - pydicom gives text
        return file.read()


# --- ProfileService, scripted -----------------------------------------------------------

Answer = Callable[
    [profile_pb.ResolveProfileRequest, grpc.ServicerContext], profile_pb.ResolveProfileResponse
]


def selected(source: str = PROFILE, *, version: int = 1) -> profile_pb.ResolveProfileResponse:
    """Returns the answer that a valid profile of the project applies."""
    profile = profile_pb.Profile(
        name=f"{TARGET}/profile",
        version=version,
        sha256=hashlib.sha256(source.encode()).hexdigest(),
        source=source,
        validity=profile_pb.VALIDITY_VALID,
        blank=source == BLANK,
    )
    return profile_pb.ResolveProfileResponse(outcome=profile_pb.OUTCOME_PROFILE, profile=profile)


class ScriptedProfileService:
    """Answers ResolveProfile as a test wants it, over a real server.

    Attributes:
        answer: what it answers; may be replaced at any time.
        requests: what it was asked.
        record: what it does when it is told of files.
        told: the batches of files that it took.
    """

    def __init__(self) -> None:
        self.answer: Answer = lambda _request, _context: selected()
        self.requests: list[profile_pb.ResolveProfileRequest] = []
        self.record: Callable[[grpc.ServicerContext], None] = lambda _context: None
        self.told: queue.Queue[profile_pb.FileBatch] = queue.Queue()

    def resolve(
        self, request: profile_pb.ResolveProfileRequest, context: grpc.ServicerContext
    ) -> profile_pb.ResolveProfileResponse:
        """Answers as told."""
        self.requests.append(request)
        return self.answer(request, context)

    def record_files(
        self, request: profile_pb.RecordFilesRequest, context: grpc.ServicerContext
    ) -> profile_pb.RecordFilesResponse:
        """Takes what it is told of files, unless `record` refuses."""
        self.record(context)
        for batch in request.batches:
            self.told.put(batch)
        return profile_pb.RecordFilesResponse()


@contextmanager
def serving(
    scripted: ScriptedProfileService,
    address: str = "127.0.0.1:0",
    healthiness: Health | None = None,
) -> Iterator[str]:
    """Serves it, and gives the address; healthy, where nothing else is said."""
    with ThreadPoolExecutor(8) as threads:
        server = grpc.server(threads, options=[("grpc.so_reuseport", 0)])
        resolve = grpc.unary_unary_rpc_method_handler(
            scripted.resolve,
            profile_pb.ResolveProfileRequest.FromString,
            profile_pb.ResolveProfileResponse.SerializeToString,
        )
        record = grpc.unary_unary_rpc_method_handler(
            scripted.record_files,
            profile_pb.RecordFilesRequest.FromString,
            profile_pb.RecordFilesResponse.SerializeToString,
        )
        service = profile_pb.DESCRIPTOR.services_by_name["ProfileService"].full_name
        methods: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            "ResolveProfile": resolve,
            "RecordFiles": record,
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, methods),))
        if healthiness is None:
            healthiness = Health(service)
            healthiness.set(serving=True)
        arrivals = Arrivals(seconds=10, waiting=8)
        server.add_generic_rpc_handlers((healthiness.handler(arrivals),))
        port = server.add_insecure_port(address)
        server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            server.stop(0).wait()
            arrivals.close()


# --- DeidService ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Running:
    """A DeidService in this process.

    Attributes:
        address: HOST:PORT.
        stop: begins the drain.
        counts: the number of open streams, whenever it changed.
    """

    address: str
    stop: Callable[[], object]
    counts: queue.Queue[int]

    def wait_for_count(self, count: int) -> None:
        """Waits until so many streams are open."""
        while self.counts.get(timeout=10) != count:
            pass


@contextmanager
def running_deid_service(
    profile_service: str,
    limits: Limits | None = None,
    *,
    drain_seconds: float = 5.0,
    recheck_seconds: float = 30.0,
    address: str = "127.0.0.1:0",
    transport: Transport = PLAIN,
    profile_tls: tuple[str, str, str] = ("", "", ""),
    key: str = str(SERVICE_KEY_FILE),
) -> Iterator[Running]:
    """Gives a DeidService, on a port that the system chose or on that of an earlier one."""
    started: Future[Running] = Future()

    async def run() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        counts: queue.Queue[int] = queue.Queue()

        def listening(port: int) -> None:
            started.set_result(
                Running(f"127.0.0.1:{port}", partial(loop.call_soon_threadsafe, stop.set), counts)
            )

        settings = Config(
            address,
            profile_service,
            1,
            drain_seconds,
            limits or Limits(),
            key=key,
            recheck_seconds=recheck_seconds,
            transport=transport,
            profile_tls=profile_tls,
        )
        await serve(settings, settings.listen, listening=listening, stop=stop, on_count=counts.put)

    thread = threading.Thread(target=asyncio.run, args=(run(),), name="deid-service")
    thread.start()
    running = started.result(timeout=10)
    try:
        yield running
    finally:
        if thread.is_alive():
            running.stop()
        thread.join()


@contextmanager
def answering_always(
    answers: list[pb.DeidentifyResponse], refusals: Iterable[Status] = ()
) -> Iterator[str]:
    """Gives the address of a service that gives the same answers to everyone.

    Args:
        answers: what it answers.
        refusals: what it refuses the first streams with, one each.
    """
    first = iter(refusals)

    def answer(
        requests: Iterator[pb.DeidentifyRequest], context: grpc.ServicerContext
    ) -> Iterator[pb.DeidentifyResponse]:
        if (refusal := next(first, None)) is not None:
            context.abort_with_status(rpc_status.to_status(refusal))
        # What is said of a file comes when it has been sent, as from a service.
        yield from answers[:1]
        for request in requests:
            if request.HasField("file_end"):
                break
        yield from answers[1:]

    with ThreadPoolExecutor(4) as threads:
        server = grpc.server(threads)
        handler = grpc.stream_stream_rpc_method_handler(
            answer,
            pb.DeidentifyRequest.FromString,
            pb.DeidentifyResponse.SerializeToString,
        )
        name = "deidcascade.v1.DeidService"
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(name, {"Deidentify": handler}),)
        )
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            server.stop(0).wait()


# --- Callers --------------------------------------------------------------------------------


def opened(target: str = TARGET) -> pb.DeidentifyRequest:
    """Returns the message that opens a stream."""
    return pb.DeidentifyRequest(open=pb.OpenStream(target=target))


def start(file_id: str = "f", *, size: int = 0, filename: str = "") -> pb.DeidentifyRequest:
    """Returns the message that begins a file."""
    return pb.DeidentifyRequest(file=pb.FileStart(file_id=file_id, size=size, filename=filename))


def chunk(data: bytes) -> pb.DeidentifyRequest:
    """Returns a message with bytes of a file."""
    return pb.DeidentifyRequest(chunk=data)


def end() -> pb.DeidentifyRequest:
    """Returns the message that ends a file."""
    return pb.DeidentifyRequest(file_end=pb.FileEnd())


def whole_file(
    data: bytes, file_id: str = "f", *, cut: int = 1 << 20
) -> list[pb.DeidentifyRequest]:
    """Returns the messages of a file."""
    cuts = range(0, len(data), cut)
    return [start(file_id, size=len(data)), *(chunk(data[at : at + cut]) for at in cuts), end()]


class Caller:
    """A stream that a test speaks on message by message."""

    def __init__(self, channel: grpc.Channel, *messages: pb.DeidentifyRequest) -> None:
        self._requests: queue.Queue[pb.DeidentifyRequest | None] = queue.Queue()
        self.call = DeidServiceStub(channel).Deidentify(iter(self._requests.get, None))
        self.send(*messages)

    def send(self, *messages: pb.DeidentifyRequest) -> None:
        """Sends messages."""
        for message in messages:
            self._requests.put(message)

    def cancel(self) -> None:
        """Ends the stream at once."""
        self.call.cancel()

    def half_close(self) -> None:
        """Ends the sending side."""
        self._requests.put(None)

    def receive(self) -> pb.DeidentifyResponse:
        """Returns the next answer."""
        return next(self.call)

    def receive_result(self) -> tuple[bytes, pb.FileResult]:
        """Returns the output and the result of the next file."""
        output = b""
        for answer in self.call:
            if answer.WhichOneof("message") == "chunk":
                output += answer.chunk
            elif answer.WhichOneof("message") == "result":
                return output, answer.result
        raise AssertionError("The stream ended without a result.")

    def receive_all(self) -> list[pb.DeidentifyResponse]:
        """Returns all answers to the end of the stream."""
        return list(self.call)


def failure_of(call: Callable[[], object]) -> grpc.Call:
    """Returns the status that a call fails with: what a call raises is the call itself."""
    with pytest.raises(grpc.RpcError) as failed:
        call()
    return cast("grpc.Call", failed.value)


def status_of(call: Callable[[], object]) -> tuple[str, str]:
    """Returns the status code and the stable reason that a call ends with."""
    try:
        call()
    except grpc.RpcError as error:
        # What a call raises is the call itself, with its status.
        return cast("grpc.Call", error).code().name, read_details(error).reason
    return "OK", ""
