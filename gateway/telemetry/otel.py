"""Traces by OpenTelemetry, sent as OTLP over HTTP: the extra `jobgate[otel]`. Nothing else imports its libraries.

Import this module in the process that serves, after its start: the thread that sends does not survive a fork. The
standard variables (`OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_SERVICE_NAME`, `OTEL_TRACES_SAMPLER` and others) apply.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit
from uuid import uuid4

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from gateway.domain.trace_context import trace_parent
from gateway.telemetry.tracing import Attributes, Fields, Span

_PROPAGATOR = TraceContextTextMapPropagator()


class RecordedSpan:
    """A span of OpenTelemetry. Of an error only its kind is recorded: its text may hold what nobody should see."""

    def __init__(self, span: trace.Span) -> None:
        """Begin it with the block."""
        self._span = span
        self._block = trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False)

    @property
    def trace_parent(self) -> str | None:
        """The `traceparent` of what belongs below it."""
        context = self._span.get_span_context()
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"

    def tell(self, attributes: Attributes, *, name: str | None = None, error: str | None = None) -> None:
        """Add attributes, a better name, or the kind of an error."""
        self._span.set_attributes(attributes)
        if name is not None:
            self._span.update_name(name)
        if error is not None:
            self._span.set_attribute("error.type", error)
            self._span.set_status(Status(StatusCode.ERROR))

    def __enter__(self) -> Self:
        """Make it the span of this task."""
        self._block.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it. An error has the code of its problem, or its class."""
        if error is not None:
            self.tell({}, error=str(getattr(error, "code", type(error).__name__)))
        self._block.__exit__(None, None, None)


class RecordedSpans:
    """Begins spans of OpenTelemetry."""

    def __init__(self, provider: TracerProvider) -> None:
        """Begin them with a tracer of this provider."""
        self._provider = provider
        self._tracer = provider.get_tracer("jobgate", version("jobgate"))

    def close(self) -> None:
        """Send what is left, and record no more."""
        self._provider.shutdown()

    def server(self, method: str, scheme: str, fields: Fields) -> Span:
        """The span of a request."""
        attributes = {"http.request.method": method, "url.scheme": scheme}
        received = trace_parent(b",".join(value for name, value in fields if name == b"traceparent"))
        parent = Context() if received is None else _context(received)
        return RecordedSpan(self._tracer.start_span(method, parent, SpanKind.SERVER, attributes))

    def action(self, action: str, connection: str, vendor: str) -> Span:
        """The span of a job action."""
        attributes = {"jobgate.action": action, "jobgate.connection": connection, "jobgate.vendor": vendor}
        return RecordedSpan(self._tracer.start_span("jobgate.action", attributes=attributes))

    def attempt(self, method: str, url: str, template: str, resends: int) -> Span:
        """The span of one attempt at a vendor."""
        parts = urlsplit(url)
        attributes: dict[str, str | int] = {"http.request.method": method, "server.address": parts.hostname or ""}
        if parts.port is not None:
            attributes["server.port"] = parts.port
        if template:
            attributes["url.template"] = template
        if resends:
            attributes["http.request.resend_count"] = resends
        title = f"{method} {template}".rstrip()
        return RecordedSpan(self._tracer.start_span(title, kind=SpanKind.CLIENT, attributes=attributes))

    def linked(self, name: str, trace_parents: Iterable[str]) -> Span:
        """The first span of a new trace, with links to these."""
        links = [Link(trace.get_current_span(_context(each)).get_span_context()) for each in trace_parents]
        return RecordedSpan(self._tracer.start_span(name, Context(), links=links))


def recorded_spans(endpoint: str | None) -> RecordedSpans:
    """Spans that are sent to a collector: at `endpoint`, or where the standard variables say."""
    # One instance for each worker: two with the same name would be mixed up (OTEL_SERVICE_NAME goes first).
    ours = {"service.name": "jobgate", "service.version": version("jobgate"), "service.instance.id": str(uuid4())}
    asked = OTELResourceDetector().detect()
    provider = TracerProvider(resource=Resource.create(ours).merge(asked), shutdown_on_exit=False)
    exporter = OTLPSpanExporter(endpoint=None if endpoint is None else f"{endpoint.rstrip('/')}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return RecordedSpans(provider)


def _context(trace_parent: str) -> Context:
    return _PROPAGATOR.extract({"traceparent": trace_parent}, Context())
