"""The spans of a request: SERVER, then `jobgate.action`, then a CLIENT span for each attempt at a vendor.

The code asks `spans()` for them at these places. As long as nobody records traces, it gets a span that does nothing;
the path of every request asks `is_recording()` first, and does without one.
`otel.py` records them by OpenTelemetry. No span has an id in its name, an address with ids in it, or a body.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Protocol, Self

Fields = Iterable[tuple[bytes, bytes]]
"""Header fields."""
Attributes = Mapping[str, str | int]
"""Attributes of a span, by OpenTelemetry's names."""


class Span(Protocol):
    """A span, from the start of a `with` block to its end. An error that leaves the block is its `error.type`."""

    @property
    def trace_parent(self) -> str | None:
        """The `traceparent` of what belongs below this span; None if it is not recorded."""

    def tell(self, attributes: Attributes, *, name: str | None = None, error: str | None = None) -> None:
        """Add attributes. `name` replaces the span's name; with `error`, its kind, the span counts as failed."""

    def __enter__(self) -> Self:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""


class Spans(Protocol):
    """Begins spans. Each is below the one that is under way in the same task, unless it says otherwise."""

    def server(self, method: str, scheme: str, fields: Fields) -> Span:
        """The span of a request with these header fields, in the trace of the client, if it has one."""

    def action(self, action: str, connection: str, vendor: str) -> Span:
        """The span of a job action."""

    def attempt(self, method: str, url: str, template: str, resends: int) -> Span:
        """The span of one attempt at a vendor: only the host of `url` is told. `resends` counts those before it."""

    def linked(self, name: str, trace_parents: Iterable[str]) -> Span:
        """The first span of a new trace, with links to these: for work that is done later, or for many requests."""


class NoSpan:
    """A span that nobody records."""

    trace_parent: str | None = None

    def tell(self, attributes: Attributes, *, name: str | None = None, error: str | None = None) -> None:
        """Do nothing."""

    def __enter__(self) -> Self:
        """Do nothing."""
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing."""


NO_SPAN = NoSpan()


class NoSpans:
    """Begins spans that nobody records."""

    def server(self, *_: object, **__: object) -> Span:
        """Return a span that nobody records."""
        return NO_SPAN

    action = attempt = linked = server


class _Recording:
    """The recorder of spans of this process."""

    spans: Spans = NoSpans()


def spans() -> Spans:
    """The tracer of this process."""
    return _Recording.spans


def is_recording() -> bool:
    """True if somebody records the spans of this process."""
    return not isinstance(_Recording.spans, NoSpans)


def record_with(recording: Spans) -> None:
    """Let these begin all spans of this process from now on."""
    _Recording.spans = recording
