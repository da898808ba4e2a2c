"""Traces of calls through both services, for OpenTelemetry; off unless it is asked for.

What is exported, where to, and how much of it, the standard variables of OpenTelemetry say
(OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_TRACES_SAMPLER, ...). A span says what the line in the log says
of the same thing, without who called: names, versions, counts and stable reasons. No text of an
exception gets into one, and nothing of a file.
"""

from __future__ import annotations

import logging
import time
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, SpanKind, Tracer

    from profile_service.serving.logs import Field, Log

MISSING = "tracing needs a package that is not installed: pip install 'deid-cascade[tracing]'"

# Of a stream so many files have a span of their own, the first ones: a file can take less time
# than its span, and a stream can have a million.
MAX_FILES = 100

# What is known of a call in the log alone: who made it, and what went wrong in other words
# than those of the contract.
_NOT_TOLD = {"caller", "cause", "code", "seconds"}

# What is the fault of a service, not of who calls it.
# https://opentelemetry.io/docs/specs/semconv/rpc/grpc/
_FAULTS = {
    *("UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"),
}

# Of what the exporter says of a collector that does not answer, so much is told.
_MAX_CAUSE = 200


def is_available() -> bool:
    """Tells whether what tracing needs is installed."""
    try:
        return find_spec("opentelemetry.exporter.otlp.proto.grpc") is not None
    except ModuleNotFoundError:
        return False


class Traced:
    """What goes on, as far as it is traced."""

    def __init__(self, span: Span | None = None) -> None:
        self._span = span

    def tell(self, fields: Mapping[str, Field], code: str = "") -> None:
        """Says what the line in the log says.

        Args:
            fields: of that line; what is empty, and who called, is left out.
            code: the status of a call that has ended.
        """
        span = self._span
        if span is None or not span.is_recording():
            return
        span.set_attributes(
            {
                f"deidcascade.{name}": value
                for name, value in fields.items()
                if value != "" and name not in _NOT_TOLD
            }
        )
        if code:
            from opentelemetry.trace import StatusCode

            span.set_attribute("rpc.response.status_code", code)
            if code in _FAULTS:
                span.set_status(StatusCode.ERROR)


_UNTRACED = nullcontext(Traced())


class Tracing:
    """Begins spans; while it is not set up, that does nothing."""

    def __init__(self) -> None:
        self._tracer: Tracer | None = None
        self._provider: TracerProvider | None = None

    def set_up(self, service: str, log: Log) -> None:
        """Exports spans from now on.

        Args:
            service: what it is called where OTEL_SERVICE_NAME says nothing.
            log: is told when the collector does not take them.
        """
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        library = logging.getLogger("opentelemetry")
        library.propagate = False
        library.addHandler(_Told(log))
        named = Resource.create({SERVICE_NAME: service}).merge(OTELResourceDetector().detect())
        self._provider = TracerProvider(resource=named, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("deid-cascade")

    def close(self) -> None:
        """Exports what is left."""
        if self._provider is not None:
            self._tracer = None
            self._provider.shutdown()

    def answering(
        self, service: str, method: str, metadata: Iterable[tuple[str, str | bytes]]
    ) -> AbstractContextManager[Traced]:
        """Traces a call that is answered here, as a part of what its caller traces.

        Args:
            service: the full name.
            method: its name.
            metadata: what the call came with.
        """
        if self._tracer is None:
            return _UNTRACED
        from opentelemetry.trace import SpanKind

        return self._begun(
            f"{service}/{method}", SpanKind.SERVER, _rpc(f"{service}/{method}"), metadata
        )

    def asking(self, method: str) -> AbstractContextManager[Traced]:
        """Traces a call of another service, by the full name of the method."""
        if self._tracer is None:
            return _UNTRACED
        from opentelemetry.trace import SpanKind

        return self._begun(method, SpanKind.CLIENT, _rpc(method))

    def querying(self, statement: str) -> AbstractContextManager[Traced]:
        """Traces what the database does, by the name of a statement."""
        if self._tracer is None:
            return _UNTRACED
        from opentelemetry.trace import SpanKind

        database = {"db.system.name": "postgresql", "db.query.summary": statement}
        return self._begun(statement, SpanKind.CLIENT, database)

    def note_past(self, name: str, seconds: float, fields: Mapping[str, Field]) -> None:
        """Traces what has just ended, as a part of what goes on."""
        if self._tracer is None:
            return
        from opentelemetry.trace import get_current_span

        if get_current_span().is_recording():
            ended = time.time_ns()
            span = self._tracer.start_span(name, start_time=ended - int(seconds * 1e9))
            Traced(span).tell(fields)
            span.end(ended)

    def onward(self) -> tuple[tuple[str, str], ...]:
        """Returns the metadata by which a service that is called goes on with the trace."""
        if self._tracer is None:
            return ()
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        carrier: dict[str, str] = {}
        TraceContextTextMapPropagator().inject(carrier)
        return tuple(carrier.items())

    @contextmanager
    def _begun(
        self,
        name: str,
        kind: SpanKind,
        attributes: Mapping[str, str],
        metadata: Iterable[tuple[str, str | bytes]] = (),
    ) -> Iterator[Traced]:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        tracer = self._tracer
        if tracer is None:
            yield Traced()
            return
        carrier = {name: value for name, value in metadata if isinstance(value, str)}
        context = TraceContextTextMapPropagator().extract(carrier) if carrier else None
        with tracer.start_as_current_span(
            name,
            context,
            kind,
            attributes,
            # Both would tell its text.
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            yield Traced(span)


# What this process traces.
TRACING = Tracing()


def _rpc(method: str) -> dict[str, str]:
    return {"rpc.system.name": "grpc", "rpc.method": method}


class _Told(logging.Handler):
    """Hands what the library says on to the log of the service."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Tells where it was said, and, of the way to the collector alone, what."""
        of_exporter = record.name.startswith("opentelemetry.exporter")
        self._log.write_soon(
            "tracing",
            level=record.levelno,
            origin=f"{record.module}:{record.lineno}",
            cause=record.getMessage()[:_MAX_CAUSE] if of_exporter else "",
        )
