"""The JSON and the forms that Jobgate writes, and the cursors of its lists."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from urllib.parse import urlencode

from msgspec.json import Encoder

from gateway.domain.errors import Explanation, FieldError, UnknownCursor
from gateway.domain.model import Json

FORM = "application/x-www-form-urlencoded"
"""The media type of a form."""

_ENCODER = Encoder()


def dump(body: Json) -> bytes:
    """Encode a JSON value compactly, in UTF-8. Its numbers are finite: Jobgate's readers accept no others."""
    try:
        return _ENCODER.encode(body)
    except OverflowError:  # msgspec has no integers beyond 64 bits (0.22.0)
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def dump_line(body: Json) -> bytes:
    """Encode a JSON value with a line break at its end, for replies: a terminal then shows its prompt on a new line."""
    return _ENCODER.encode(body) + b"\n"


def dump_form(fields: Mapping[str, Json]) -> bytes:
    """The fields of a form as they go out; an array repeats its name. Raises TypeError for a value with members."""
    return urlencode([(name, written) for name, value in fields.items() for written in _written(value)]).encode()


def _written(value: Json) -> list[str]:
    """A field's value as texts: one, or those of an array."""
    if isinstance(value, list):
        return [text for each in value for text in _written(each)]
    if isinstance(value, Mapping):
        raise TypeError("A form has no place for a value with members.")
    return [value if isinstance(value, str) else json.dumps(value)]


def encode_cursor(content: bytes) -> str:
    """Encode `content` as a cursor, in characters that need no encoding in a URL."""
    return urlsafe_b64encode(content).decode("ascii").rstrip("=")


def decode_cursor(cursor: str) -> bytes:
    """The content of a cursor. Raises UnknownCursor if the text is not one."""
    try:
        return urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except ValueError:
        raise unknown_cursor() from None


def unknown_cursor() -> UnknownCursor:
    """The problem for a cursor that does not come from one of Jobgate's lists."""
    error = FieldError("/query/cursor", "is not a cursor that this list gave")
    return UnknownCursor("The cursor is not one that this list gave.", Explanation(errors=(error,)))
