"""Checks of the target and the header fields before routing, so that a request is unambiguous."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from gateway.domain.errors import Explanation, FieldError, HeaderFieldsTooLarge, MalformedRequest, TargetTooLong
from gateway.edge.limits import Limits

Headers = list[tuple[bytes, bytes]]
Fields = Mapping[bytes, bytes]
"""Values of header fields by their names in lower case."""

SINGLE = frozenset(
    {
        *(b"authorization", b"content-type", b"content-length", b"content-encoding", b"host"),
        *(b"idempotency-key", b"if-match", b"request-timeout"),
    }
)
"""Header fields that are allowed once at most, since two would be ambiguous."""

_ENCODED = re.compile(r"%[0-9A-Fa-f]{2}")
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]")
_PLAIN_PATH = re.compile(rb"(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~!$&'()*+,;=:@-]+)+|/")
_PLAIN_QUERY = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=:@/?-]*")
_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_FORBIDDEN_IN_SEGMENT = re.compile(rb"[\x00-\x1f\x7f/\\]")


def check_path(raw_path: bytes) -> None:
    """Raise MalformedRequest for an ambiguous path.

    `raw_path` is the path as it was sent, with its percent-encoding, without the query.
    """
    if _PLAIN_PATH.fullmatch(raw_path):
        return
    if not raw_path.startswith(b"/"):
        raise malformed("/path", "does not start with a slash")
    for segment in raw_path[1:].split(b"/"):
        _check_segment(segment)


def template_path(scope: Mapping[str, Any]) -> str:
    """The path of a request for matching path templates: decoded except for reserved characters.

    An encoded colon in an id is therefore not the colon before a verb, while `%61` is the letter `a` (RFC 3986, 2.2 and
    6.2.2.2).
    """
    raw: bytes | None = scope.get("raw_path")
    if raw is None or b"%" not in raw:
        path: str = scope["path"]
        return path
    return _ENCODED.sub(_decoded_if_unreserved, raw.decode("latin-1"))


def _decoded_if_unreserved(match: re.Match[str]) -> str:
    character = chr(int(match[0][1:], 16))
    return character if _UNRESERVED.fullmatch(character) else match[0]


def check_query(raw_query: bytes) -> None:
    """Raise MalformedRequest if a query is not percent-encoded UTF-8."""
    if not _PLAIN_QUERY.fullmatch(raw_query):
        _check_encoding("/query", raw_query)


def read_fields(headers: Headers, limits: Limits) -> Fields:
    """Return the header fields by name. Repeated fields are joined to a list (RFC 9110, 5.3).

    Raises HeaderFieldsTooLarge, and MalformedRequest if a field is repeated that is allowed only once.
    """
    if len(headers) > limits.header_count:
        raise HeaderFieldsTooLarge(f"The request has more than {limits.header_count} header fields.")
    fields: dict[bytes, bytes] = {}
    size = 0
    for name, written in headers:
        size += len(name) + len(written)
        value = written.strip(b" \t")  # whitespace around a value is not part of it (RFC 9110, 5.5)
        if name not in fields:
            fields[name] = value
        elif name in SINGLE:
            raise malformed(f"/header/{name.decode('latin-1')}", "is sent more than once")
        else:
            fields[name] += b", " + value
    if size > limits.header_bytes:
        raise HeaderFieldsTooLarge(f"The header fields of the request have more than {limits.header_bytes} bytes.")
    return fields


def check_target(raw_path: bytes, raw_query: bytes, limits: Limits) -> None:
    """Raise TargetTooLong if path and query are too long."""
    if len(raw_path) + len(raw_query) > limits.target_bytes:
        raise TargetTooLong(f"Path and query of the request have more than {limits.target_bytes} bytes.")


def malformed(place: str, detail: str) -> MalformedRequest:
    """The problem for one invalid place of a request, given as a JSON Pointer."""
    location = place.split("/")[1]
    return MalformedRequest(
        f"The {location} of the request {detail}.", Explanation(errors=(FieldError(place, detail),))
    )


def _check_segment(segment: bytes) -> None:
    if not segment:
        raise malformed("/path", "has an empty segment or a slash at the end")
    decoded = _check_encoding("/path", segment)
    if decoded in {b".", b".."}:
        raise malformed("/path", "has a segment that is `.` or `..`")
    if _FORBIDDEN_IN_SEGMENT.search(decoded):
        raise malformed("/path", "has an encoded slash, a backslash or a control character")


def _check_encoding(where: str, raw: bytes) -> bytes:
    if not raw.isascii():
        raise malformed(where, "has a byte that is not percent-encoded")
    if _PERCENT.search(raw):
        raise malformed(where, "has a percent sign that is not followed by two hexadecimal digits")
    decoded = unquote_to_bytes(raw)
    try:
        decoded.decode("utf-8")
    except UnicodeDecodeError:
        raise malformed(where, "is not percent-encoded UTF-8") from None
    if _CONTROL.search(decoded):
        raise malformed(where, "has a control character")
    return decoded
