"""The JSON that Jobgate writes, and the cursors of its lists."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode

from msgspec.json import Encoder

from gateway.domain.errors import Explanation, FieldError, UnknownCursor
from gateway.domain.model import Json

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
