"""Problems as responses, in the format of RFC 9457: `application/problem+json`."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from gateway.domain.encoding import dump_line
from gateway.domain.errors import Explanation, JobgateError
from gateway.domain.model import VendorResponse
from gateway.edge.exchange import RawReply, RequestContext
from gateway.specs.security import BEARER

MEDIA_TYPE = "application/problem+json"
LATER = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
"""The statuses that have a `Retry-After`."""
LATER_SECONDS = 1
"""The default of `Retry-After`, in seconds."""
LONGEST_TEXT = 1_024
"""Longest text in a problem, in characters, so that a request with many errors gets a short response."""


def render(error: JobgateError, context: RequestContext) -> RawReply:
    """Render a problem as a response."""
    headers = {"content-type": MEDIA_TYPE, **problem_headers(error)}
    return RawReply(error.status, headers, dump_line(problem(error, context.id, context.address.root)))


def problem(error: JobgateError, request_id: str, root: str = "") -> dict[str, Any]:
    """The members of a problem, without those that have no value. `root` is the URL of this gateway for its client."""
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
    """A text, cut to the length that the OpenAPI document allows."""
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"


def problem_headers(error: JobgateError, challenge: str = BEARER) -> dict[str, str]:
    """The header fields of a problem. `challenge` names the credentials that are wanted (RFC 9110, 11.6.1)."""
    headers = {}
    if error.explanation.allow:
        headers["allow"] = ", ".join(error.explanation.allow)
    # Clients retry whatever has Retry-After, so it must not be on an action that was possibly applied.
    seconds = error.explanation.retry_after
    if seconds is None and error.status in LATER:
        seconds = LATER_SECONDS
    if seconds is not None and error.may_be_retried:
        headers["retry-after"] = str(seconds)
    if error.explanation.replayed:
        headers["idempotent-replayed"] = "true"
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = challenge
    return headers


def vendor(response: VendorResponse | None) -> Mapping[str, Any] | None:
    """The vendor's response, in the API's names."""
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
    """The state of the job that explains a problem."""
    if explanation.job is None:
        return None
    pair = explanation.job.status
    return {
        "status": pair.status,
        "vendorStatus": pair.vendor_status,
        "allowedActions": list(explanation.job.allowed_actions),
    }
