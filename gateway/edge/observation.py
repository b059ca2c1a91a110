"""The metrics and the span of each request: one place for all of them."""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter

from gateway.edge.exchange import RequestContext, Scope
from gateway.telemetry.current import CURRENT
from gateway.telemetry.metrics import HTTP_SERVER_SECONDS, OVERHEAD_SECONDS
from gateway.telemetry.tracing import NO_SPAN, Span, spans

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
    span = spans().server(known(scope["method"]), scope["scheme"], scope["headers"])
    span.__enter__()
    current = context.current
    current.id, current.trace_parent = context.id, span.trace_parent
    CURRENT.set(current)
    return span


def end(context: RequestContext, scope: Scope, templates: Templates, span: Span) -> None:
    """Count a request that is over, and end its span. `templates` has the templates of the APIs."""
    current, routed = context.current, context.routed
    seconds = perf_counter() - current.begun
    method, scheme = known(scope["method"]), scope["scheme"]
    route = templates[routed["api_base_path"], routed["operation_id"]] if routed else ""
    status = 0 if context.wire is None else context.wire.status
    answered = str(status) if status else ""
    failed = NO_ANSWER if not status else answered if status >= SERVER_ERROR else ""
    HTTP_SERVER_SECONDS.observe(seconds, (method, scheme, route, answered, failed))
    if route:
        OVERHEAD_SECONDS.observe(max(0.0, seconds - current.vendor_seconds))
    if span is NO_SPAN:
        return
    attributes: dict[str, str | int] = {"http.route": route} if route else {}
    if status:
        attributes["http.response.status_code"] = status
    span.tell(attributes, name=f"{method} {route}".rstrip(), error=failed or None)
    span.__exit__(None, None, None)


def known(method: str) -> str:
    """A method, or one word for all that HTTP does not know."""
    return method if method in METHODS else OTHER_METHOD
