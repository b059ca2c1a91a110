"""Problems as RFC 9457 says: `application/problem+json`."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from gateway.domain.encoding import dump_line
from gateway.domain.errors import Explanation, JobgateError
from gateway.domain.model import VendorResponse
from gateway.edge.exchange import RawReply, RequestContext

MEDIA_TYPE = "application/problem+json"
LATER = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
"""The statuses that say when to come again."""
LATER_SECONDS = 1
"""When that is, where nobody knows better."""
LONGEST_TEXT = 1_024
"""Characters. A request with thousands of mistakes gets no answer of its own size."""


def render(error: JobgateError, context: RequestContext) -> RawReply:
    """A problem of the catalogue as a reply."""
    headers = {"content-type": MEDIA_TYPE, **problem_headers(error)}
    return RawReply(error.status, headers, dump_line(problem(error, context.id, context.address.root)))


def problem(error: JobgateError, request_id: str, root: str = "") -> dict[str, Any]:
    """The members of a problem. Those without a value are left out. `root` is this gateway, as its client called it."""
    explanation = error.explanation
    members = {
        "type": f"{root}/problems/{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": sentence(error.detail),
        "code": error.code,
        "outcome": explanation.outcome,
        "retryable": error.may_be_retried,
        "requestId": request_id,
        "errors": [{"pointer": each.pointer, "detail": sentence(each.detail)} for each in explanation.errors] or None,
        "vendor": vendor(explanation.vendor),
        "job": job(explanation),
        "supported": explanation.supported,
        "candidates": explanation.candidates,
        "jobAction": explanation.job_action,
    }
    return {name: value for name, value in members.items() if value is not None}


def sentence(text: str) -> str:
    """A sentence of the length that the document allows."""
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"


def problem_headers(error: JobgateError) -> dict[str, str]:
    """The header fields that a problem calls for."""
    headers = {}
    if error.explanation.allow:
        headers["allow"] = ", ".join(error.explanation.allow)
    # Clients send again whatever carries this header, so it must not stand beside an action that may have been applied.
    seconds = error.explanation.retry_after
    if seconds is None and error.status in LATER:
        seconds = LATER_SECONDS
    if seconds is not None and error.may_be_retried:
        headers["retry-after"] = str(seconds)
    if error.explanation.replayed:
        headers["idempotent-replayed"] = "true"
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = "Bearer"
    return headers


def vendor(response: VendorResponse | None) -> Mapping[str, Any] | None:
    """What the vendor answered, in the API's names."""
    if response is None:
        return None
    members = {
        "name": response.vendor,
        "status": response.status,
        "code": response.code,
        "message": response.message,
        "requestId": response.request_id,
    }
    return {name: value for name, value in members.items() if value is not None}


def job(explanation: Explanation) -> Mapping[str, Any] | None:
    """The job's state that explains a problem."""
    if explanation.job is None:
        return None
    pair = explanation.job.status
    return {
        "status": pair.status,
        "vendorStatus": pair.vendor_status,
        "allowedActions": list(explanation.job.allowed_actions),
    }
