"""The metrics and the span of each attempt at a vendor."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import urlsplit

from gateway.domain.errors import JobgateError
from gateway.domain.model import HttpReply, HttpRequest
from gateway.resilience.policy import attempt_result
from gateway.telemetry.current import CURRENT
from gateway.telemetry.metrics import HTTP_CLIENT_SECONDS
from gateway.telemetry.tracing import NO_SPAN, Span

LEAST_ERROR = 400
"""The lowest status that is an error for a client."""


@lru_cache(maxsize=1_024)
def host_name(authority: str) -> str:
    """The host in the authority of a URL, without its port."""
    return urlsplit(f"//{authority}").hostname or ""


def count_attempt(
    connection: str, request: HttpRequest, result: HttpReply | JobgateError, seconds: float, span: Span
) -> None:
    """Count an attempt that took `seconds`, and tell its span what came of it."""
    if isinstance(result, HttpReply):
        status = result.status
        answered = str(status)
        failed = answered if status >= LEAST_ERROR else ""
    else:
        status, answered, failed = 0, "", str(attempt_result(result))
    host = host_name(request.url.partition("://")[2].partition("/")[0])
    HTTP_CLIENT_SECONDS.observe(seconds, (connection, request.method, host, answered, failed))
    current = CURRENT.get()
    if current is not None:
        current.vendor_seconds += seconds
    if span is not NO_SPAN:
        span.tell({"http.response.status_code": status} if status else {}, error=failed or None)
