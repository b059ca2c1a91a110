"""The metrics and the span of each request: one place for all of them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from time import perf_counter

from gateway.edge.exchange import RequestContext, Scope
from gateway.telemetry.current import CURRENT
from gateway.telemetry.metrics import HTTP_SERVER_SECONDS, OVERHEAD_SECONDS, Labels
from gateway.telemetry.tracing import NO_SPAN, Span, is_recording, spans

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})
OTHER_METHOD = "_OTHER"
"""OpenTelemetry's name for a method that is none of these."""
SERVER_ERROR = 500
NO_ANSWER = "no_answer"
"""The kind of error if the client is gone before it has an answer."""

Templates = Mapping[tuple[str, str], str]
"""The templates of paths by base path and operationId, as clients call them."""


def begin(context: RequestContext, scope: Scope) -> Span:
    """Begin to observe a request."""
    current = context.current
    current.id = context.id
    CURRENT.set(current)
    if not is_recording():
        return NO_SPAN
    span = spans().server(known(scope["method"]), scope["scheme"], scope["headers"])
    span.__enter__()
    current.trace_parent = span.trace_parent
    return span


def end(context: RequestContext, scope: Scope, templates: Templates, span: Span) -> None:
    """Count a request that is over, and end its span. `templates` has the templates of the APIs."""
    current, routed = context.current, context.routed
    seconds = perf_counter() - current.begun
    route = templates[routed["api_base_path"], routed["operation_id"]] if routed else ""
    status = 0 if context.wire is None else context.wire.status
    labels = labels_of(scope["method"], scope["scheme"], route, status)
    HTTP_SERVER_SECONDS.observe(seconds, labels)
    if route:
        OVERHEAD_SECONDS.observe(max(0.0, seconds - current.vendor_seconds))
    if span is NO_SPAN:
        return
    attributes: dict[str, str | int] = {"http.route": route} if route else {}
    if status:
        attributes["http.response.status_code"] = status
    method, *_, failed = labels
    span.tell(attributes, name=f"{method} {route}".rstrip(), error=failed or None)
    span.__exit__(None, None, None)


@lru_cache(maxsize=1_024)
def labels_of(method: str, scheme: str, route: str, status: int) -> Labels:
    """The labels of a request, from a cache. The status is 0 if the client is gone before it has an answer."""
    answered = str(status) if status else ""
    failed = NO_ANSWER if not status else answered if status >= SERVER_ERROR else ""
    return known(method), scheme, route, answered, failed


def known(method: str) -> str:
    """A method, or one word for all that HTTP does not know."""
    return method if method in METHODS else OTHER_METHOD
