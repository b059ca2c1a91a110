"""The metrics and the span of each attempt at a vendor."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import urlsplit

from gateway.domain.errors import JobgateError
from gateway.domain.model import HttpReply, HttpRequest
from gateway.resilience.policy import attempt_result
from gateway.telemetry.current import CURRENT
from gateway.telemetry.metrics import HTTP_CLIENT_SECONDS, Labels
from gateway.telemetry.tracing import Span

LEAST_ERROR = 400
"""The lowest status that is an error for a client."""


@lru_cache(maxsize=1_024)
def labels_of(connection: str, method: str, authority: str, ended: int | str) -> Labels:
    """The labels of an attempt, from a cache. It ended with a status, or with an error of this name."""
    failed = str(ended) if isinstance(ended, str) or ended >= LEAST_ERROR else ""
    answered = "" if isinstance(ended, str) else str(ended)
    return connection, method, urlsplit(f"//{authority}").hostname or "", answered, failed


def count_attempt(connection: str, request: HttpRequest, result: HttpReply | JobgateError, seconds: float) -> None:
    """Count an attempt that took `seconds`."""
    ended = result.status if isinstance(result, HttpReply) else attempt_result(result)
    authority = request.url.partition("://")[2].partition("/")[0]
    HTTP_CLIENT_SECONDS.observe(seconds, labels_of(connection, request.method, authority, ended))
    current = CURRENT.get()
    if current is not None:
        current.vendor_seconds += seconds


def tell_result(span: Span, result: HttpReply | JobgateError) -> None:
    """Tell the span of an attempt what came of it."""
    if isinstance(result, HttpReply):
        failed = str(result.status) if result.status >= LEAST_ERROR else None
        span.tell({"http.response.status_code": result.status}, error=failed)
    else:
        span.tell({}, error=str(attempt_result(result)))
