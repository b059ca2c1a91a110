"""Requests that can be read in one way only: checks on the target and the header fields, before any routing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from urllib.parse import unquote_to_bytes

from gateway.domain.errors import Explanation, FieldError, MalformedRequest, RequestTooLarge
from gateway.edge.limits import Limits

Headers = list[tuple[bytes, bytes]]

SINGLE = frozenset(
    {b"authorization", b"content-type", b"content-length", b"content-encoding", b"host", b"idempotency-key"}
)
"""Header fields that come at most once: with two, which one counts would be a guess."""

_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_FORBIDDEN_IN_SEGMENT = re.compile(rb"[\x00-\x1f\x7f/\\]")


def check_path(raw_path: bytes) -> None:
    """Refuse a path that two readers could take differently. Raises MalformedRequest.

    `raw_path` is the path as it came, percent-encoding and all, without the query.
    """
    if not raw_path.startswith(b"/"):
        raise _malformed("/path", "does not start with a slash")
    if raw_path == b"/":
        return
    for segment in raw_path[1:].split(b"/"):
        _check_segment(segment)


def check_query(raw_query: bytes) -> None:
    """Refuse a query that is not percent-encoded UTF-8. Raises MalformedRequest."""
    _check_encoding("/query", raw_query)


def check_headers(headers: Headers, limits: Limits) -> None:
    """Refuse too many, too large, or repeated header fields. Raises MalformedRequest or RequestTooLarge."""
    if len(headers) > limits.header_count:
        raise RequestTooLarge(f"The request has more than {limits.header_count} header fields.")
    if sum(len(name) + len(value) for name, value in headers) > limits.header_bytes:
        raise RequestTooLarge(f"The header fields of the request have more than {limits.header_bytes} bytes.")
    for name in sorted(_repeated(name for name, _ in headers)):
        raise _malformed(f"/header/{name.decode('latin-1')}", "is sent more than once")


def check_target(raw_path: bytes, raw_query: bytes, limits: Limits) -> None:
    """Refuse a target that is too long. Raises RequestTooLarge."""
    if len(raw_path) + len(raw_query) > limits.target_bytes:
        raise RequestTooLarge(f"Path and query of the request have more than {limits.target_bytes} bytes.")


def _check_segment(segment: bytes) -> None:
    if not segment:
        raise _malformed("/path", "has an empty segment or a slash at the end")
    decoded = _check_encoding("/path", segment)
    if decoded in {b".", b".."}:
        raise _malformed("/path", "has a segment that is `.` or `..`")
    if _FORBIDDEN_IN_SEGMENT.search(decoded):
        raise _malformed("/path", "has an encoded slash, a backslash or a control character")


def _check_encoding(where: str, raw: bytes) -> bytes:
    if not raw.isascii():
        raise _malformed(where, "has a byte that is not percent-encoded")
    if _PERCENT.search(raw):
        raise _malformed(where, "has a percent sign that is not followed by two hexadecimal digits")
    decoded = unquote_to_bytes(raw)
    try:
        decoded.decode("utf-8")
    except UnicodeDecodeError:
        raise _malformed(where, "is not percent-encoded UTF-8") from None
    if _CONTROL.search(decoded):
        raise _malformed(where, "has a control character")
    return decoded


def _repeated(names: Iterable[bytes]) -> list[bytes]:
    times = Counter(name for name in names if name in SINGLE)
    return [name for name, number in times.items() if number > 1]


def _malformed(place: str, detail: str) -> MalformedRequest:
    location = place.split("/")[1]
    return MalformedRequest(
        f"The {location} of the request {detail}.", Explanation(errors=(FieldError(place, detail),))
    )
