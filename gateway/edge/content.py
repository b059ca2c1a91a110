"""The content of a request: read within limits, its media type checked, its JSON parsed."""

from __future__ import annotations

import re
from functools import lru_cache

from gateway.domain.errors import Explanation, FieldError, MalformedRequest, RequestTooLarge, UnsupportedMediaType
from gateway.domain.fields import unquoted
from gateway.domain.model import Json
from gateway.edge.canonical import Fields, malformed
from gateway.edge.exchange import Receive
from gateway.edge.limits import Limits
from gateway.edge.strict_json import StrictJson, StrictJsonError

_WORD = r"[!#$%&'*+.^_`|~0-9a-z-]+"
_PARAMETER = rf'{_WORD}=(?:{_WORD}|"(?:[^"\\]|\\.)*")'
_MEDIA_TYPE = re.compile(rf"[ \t]*(?P<kind>{_WORD}/{_WORD})(?P<parameters>(?:[ \t]*;(?:[ \t]*{_PARAMETER})?)*)[ \t]*")
"""A media type with its parameters, in lower case (RFC 9110, 8.3.1)."""
_PARAMETERS = re.compile(rf'({_WORD})=({_WORD}|"(?:[^"\\]|\\.)*")')

_MOST_DIGITS = 19
"""A Content-Length of more digits is too large, and too long to be read as a number."""


class ClientGone(Exception):
    """The client closed the connection before its request was complete."""


async def read_body(receive: Receive, fields: Fields, limits: Limits) -> bytes:
    """The whole body, or as much as came until the server gave up.

    Raises RequestTooLarge, MalformedRequest for a transfer encoding other than `chunked`, and ClientGone.
    """
    if fields.get(b"transfer-encoding", b"chunked").lower() != b"chunked":
        raise malformed("/header/transfer-encoding", "is not `chunked`, which is the only one that is understood")
    announced = fields.get(b"content-length", b"0")
    if announced.isdigit() and (len(announced) > _MOST_DIGITS or int(announced) > limits.body_bytes):
        raise RequestTooLarge(f"The body has more than {limits.body_bytes} bytes.")
    content, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        content += message.get("body", b"")
        more = message.get("more_body", False)
        if len(content) > limits.body_bytes:
            raise RequestTooLarge(f"The body has more than {limits.body_bytes} bytes.")
    return content


def media_type(fields: Fields) -> str:
    """The media type of a body, in lower case. Raises UnsupportedMediaType."""
    if fields.get(b"content-encoding", b"").lower() not in {b"", b"identity"}:
        raise UnsupportedMediaType("The body has a content encoding. Send it without.")
    return declared_type(fields.get(b"content-type", b""))


@lru_cache(maxsize=128)
def declared_type(content_type: bytes) -> str:
    """The media type that a Content-Type declares, in lower case. Raises UnsupportedMediaType."""
    if not content_type:
        raise UnsupportedMediaType("The body has no Content-Type.")
    declared = _MEDIA_TYPE.fullmatch(content_type.decode("latin-1").lower())
    if declared is None:
        raise UnsupportedMediaType("The Content-Type of the body is no media type.")
    named = _PARAMETERS.findall(declared["parameters"])
    if any(name == "charset" and unquoted(value) != "utf-8" for name, value in named):
        raise UnsupportedMediaType("The body is in another charset than UTF-8.")
    return declared["kind"]


def is_json(kind: str) -> bool:
    """True for JSON, and for formats on top of it (RFC 6839)."""
    return kind == "application/json" or kind.endswith("+json")


def is_json_lines(kind: str) -> bool:
    """True for JSON Lines: a JSON value in each line."""
    return kind == "application/x-ndjson"


def parse_lines(content: bytes, strict_json: StrictJson) -> Json:
    """The JSON values in the lines of a body, empty ones aside, as an array. Raises MalformedRequest."""
    return [parse_body(line, strict_json) for line in content.split(b"\n") if line.strip()]


def parse_body(content: bytes, strict_json: StrictJson) -> Json:
    """The body's JSON value. Raises MalformedRequest."""
    try:
        return strict_json.parse(content)
    except StrictJsonError as error:
        raise MalformedRequest(
            f"The body of the request {error}.", Explanation(errors=(FieldError("/body", str(error)),))
        ) from None
