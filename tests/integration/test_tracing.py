"""Traces of both services, as a collector of OpenTelemetry receives them."""

from __future__ import annotations

import queue
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING

import grpc
import pytest
from deidcascade.v1 import profile_service_pb2 as pb
from deidcascade.v1.deid_service_pb2_grpc import DeidServiceStub
from deidcascade.v1.profile_service_pb2_grpc import ProfileServiceStub
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as otlp
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as otlp_rpc
from pydicom import dcmread

from profile_service.serving.tracing import MAX_FILES
from tests.support import callers
from tests.support.deid_service import PROFILE, TARGET, ct, opened, whole_file
from tests.support.environment import ADMIN_KEY
from tests.support.processes import service_process

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from tests.support.databases import Databases

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER_SPAN = "00f067aa0ba902b7"
TRACED = (("traceparent", f"00-{TRACE}-{CALLER_SPAN}-01"),)
NOT_SAMPLED = (("traceparent", f"00-{'a' * 32}-{CALLER_SPAN}-00"),)
DEIDENTIFY = "deidcascade.v1.DeidService/Deidentify"
ADMIN_KEY_ID = ADMIN_KEY.split("_")[1]
RESOLVE = "deidcascade.v1.ProfileService/ResolveProfile"


class Collector(otlp_rpc.TraceServiceServicer):
    """Takes spans, as a collector does.

    Attributes:
        all: what came, as text.
    """

    def __init__(self) -> None:
        self.all = ""
        self._came: queue.Queue[tuple[str, Span]] = queue.Queue()
        self._spans: list[tuple[str, Span]] = []

    def Export(  # noqa: N802 -- the contract's
        self, request: otlp.ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> otlp.ExportTraceServiceResponse:
        """Takes some."""
        del context
        self.all += str(request)
        for resource in request.resource_spans:
            named = {one.key: one.value.string_value for one in resource.resource.attributes}
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self._came.put((named["service.name"], span))
        return otlp.ExportTraceServiceResponse()

    def trace(self, trace: str, until: int) -> list[tuple[str, Span]]:
        """Returns the spans of a trace, with the names of their services, once so many came."""
        while True:
            found = [one for one in self._spans if one[1].trace_id.hex() == trace]
            if len(found) >= until:
                return found
            self._spans.append(self._came.get(timeout=20))

    def trace_of_service(self, name: str) -> list[Span]:
        """Returns all spans that have come of a service."""
        while not self._came.empty():
            self._spans.append(self._came.get())
        return [span for service, span in self._spans if service == name]


@contextmanager
def collecting() -> Iterator[tuple[Collector, dict[str, str]]]:
    """Serves a collector, and gives what tells a service of it."""
    collector = Collector()
    with ThreadPoolExecutor(4) as threads:
        server = grpc.server(threads)
        otlp_rpc.add_TraceServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        environment = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "no_grpc_proxy": "127.0.0.1",
        }
        try:
            yield collector, environment
        finally:
            server.stop(0).wait()


@pytest.fixture(scope="module")
def traced(databases: Databases) -> Iterator[tuple[Collector, grpc.Channel, grpc.Channel]]:
    """A collector, and channels to both services, which trace, with a profile in force."""
    with (
        databases.clone() as database,
        collecting() as (collector, environment),
        service_process(
            *("--database", database, "--workers", "1", "--tracing", "1"),
            module="profile_service",
            environment=environment,
        ) as profiles,
        service_process(
            *("--profile-service", profiles.address, "--workers", "1", "--tracing", "1"),
            environment=environment | {"OTEL_SERVICE_NAME": "gateway"},
        ) as deid,
        callers.channel(profiles.address) as to_profiles,
        callers.channel(deid.address) as to_deid,
    ):
        stub = ProfileServiceStub(to_profiles)
        for name in ("sites/s", "sites/s/groups/g", TARGET):
            container = pb.Container(name=name)
            stub.CreateContainer(pb.CreateContainerRequest(container=container))
        stub.SetProfile(pb.SetProfileRequest(container=TARGET, source=PROFILE))
        deid.wait_for("event=health status=SERVING")
        yield collector, to_profiles, to_deid


def attributes(span: Span) -> dict[str, str | int]:
    """Returns what a span says."""
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}


def test_a_stream_is_one_trace(traced: tuple[Collector, grpc.Channel, grpc.Channel]) -> None:
    """The caller's trace goes on in DeidService, ProfileService and its statement."""
    collector, _, deid = traced
    requests = iter([opened(), *whole_file(ct()), *whole_file(b"no DICOM" * 40)])
    assert list(DeidServiceStub(deid).Deidentify(requests, metadata=TRACED))

    spans = collector.trace(TRACE, until=6)
    by_id = {span.span_id: span.name for _, span in spans}
    told = sorted(
        (service, span.name, by_id.get(span.parent_span_id, span.parent_span_id.hex()))
        for service, span in spans
    )
    assert told == [
        ("gateway", DEIDENTIFY, CALLER_SPAN),
        ("gateway", RESOLVE, DEIDENTIFY),
        ("gateway", "file", DEIDENTIFY),
        ("gateway", "file", DEIDENTIFY),
        ("profile_service", RESOLVE, RESOLVE),
        ("profile_service", "resolve", RESOLVE),
    ]
    (stream,) = (span for _, span in spans if span.name == DEIDENTIFY)
    said = attributes(stream)
    assert said["rpc.response.status_code"] == "OK"
    assert said["deidcascade.request"] == TRACE
    assert (said["deidcascade.files"], said["deidcascade.rejected"]) == (2, 1)
    (rejected,) = (
        each for _, span in spans if (each := attributes(span)).get("deidcascade.reason")
    )
    assert rejected["deidcascade.reason"] == "NOT_DICOM"


def test_a_series_has_spans_for_its_first_files(
    traced: tuple[Collector, grpc.Channel, grpc.Channel],
) -> None:
    """Of many files the first ones are told one by one, and all of them by their number."""
    collector, _, deid = traced
    other = TRACE[::-1]
    parent = (("traceparent", f"00-{other}-{CALLER_SPAN}-01"),)
    files = [message for _ in range(MAX_FILES + 3) for message in whole_file(b"no DICOM" * 40)]
    list(DeidServiceStub(deid).Deidentify(iter([opened(), *files]), metadata=parent))

    spans = collector.trace(other, until=MAX_FILES + 4)
    assert [span.name for _, span in spans].count("file") == MAX_FILES
    (stream,) = (span for _, span in spans if span.name == DEIDENTIFY)
    assert attributes(stream)["deidcascade.files"] == MAX_FILES + 3


def test_no_value_of_a_file_and_no_caller(
    traced: tuple[Collector, grpc.Channel, grpc.Channel],
) -> None:
    """What a file or a profile holds, how it is called, and who calls stands in no span."""
    collector, profiles, deid = traced
    other = "c" * 32
    parent = (("traceparent", f"00-{other}-{CALLER_SPAN}-01"),)
    messages = whole_file(ct(), "Jane Doe")
    messages[0].file.filename = "Jane.dcm"
    list(DeidServiceStub(deid).Deidentify(iter([opened(), *messages]), metadata=parent))
    wrong = pb.SetProfileRequest(container=TARGET, source="Jane: [")
    stub = ProfileServiceStub(profiles)
    with pytest.raises(grpc.RpcError):
        stub.SetProfile(wrong, metadata=parent)
    collector.trace(other, until=6)

    values = {
        str(each.value) for each in dcmread(BytesIO(ct())).iterall() if each.VR in {"PN", "UI"}
    }
    texts = {*values, "Jane", "ANON", ADMIN_KEY_ID} - {""}
    assert [text for text in texts if text in collector.all] == []


def test_what_is_not_sampled_is_not_told(
    traced: tuple[Collector, grpc.Channel, grpc.Channel],
) -> None:
    """A caller that does not sample its trace is followed in this, through both services."""
    collector, _, deid = traced
    stub = DeidServiceStub(deid)
    list(stub.Deidentify(iter([opened(), *whole_file(ct())]), metadata=NOT_SAMPLED))
    last = "d" * 32
    parent = (("traceparent", f"00-{last}-{CALLER_SPAN}-01"),)
    list(stub.Deidentify(iter([opened()]), metadata=parent))
    collector.trace(last, until=4)

    assert "a" * 32 not in {span.trace_id.hex() for span in collector.trace_of_service("gateway")}


def test_a_collector_that_is_away() -> None:
    """A service goes on, its log says so without its callers, and it ends as soon as it is told."""
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
        "OTEL_BSP_SCHEDULE_DELAY": "50",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
    }
    arguments = ("--profile-service", "127.0.0.1:1", "--workers", "1", "--tracing", "1")
    with service_process(*arguments, environment=environment) as service:
        with callers.channel(service.address) as channel, pytest.raises(grpc.RpcError):
            next(DeidServiceStub(channel).Deidentify(iter([opened("sites/s/devices/d")])))
        assert "UNAVAILABLE" in service.wait_for("event=tracing .*")[0][0]


def test_without_the_extra() -> None:
    """A service that is to trace and cannot does not start, and says what is missing."""
    program = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from deid_service.__main__ import main\n"
        "sys.exit(main(['--listen', '127.0.0.1:0', '--tracing', '1']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert "pip install 'deid-cascade[tracing]'" in done.stderr
