"""JSON as Jobgate writes it, and what lists hand out to be continued."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode

from msgspec.json import Encoder

from gateway.domain.errors import Explanation, FieldError, UnknownCursor
from gateway.domain.model import Json

_ENCODER = Encoder()


def dump(body: Json) -> bytes:
    """A JSON value as it goes out: UTF-8, compact. Its numbers are finite, since no reader of ours takes others."""
    try:
        return _ENCODER.encode(body)
    except OverflowError:  # msgspec has no integers beyond 64 bits (0.22.0)
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def dump_line(body: Json) -> bytes:
    """A JSON value as a line of text, for replies: terminals show their prompt below it."""
    return _ENCODER.encode(body) + b"\n"


def encode_cursor(content: bytes) -> str:
    """A cursor that stands for `content`, in letters that need no encoding in a URL."""
    return urlsafe_b64encode(content).decode("ascii").rstrip("=")


def decode_cursor(cursor: str) -> bytes:
    """What a cursor stands for. Raises UnknownCursor where it is none."""
    try:
        return urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except ValueError:
        raise unknown_cursor() from None


def unknown_cursor() -> UnknownCursor:
    """The problem that a cursor is which no list of ours gave."""
    error = FieldError("/query/cursor", "is not a cursor that this list gave")
    return UnknownCursor("The cursor is not one that this list gave.", Explanation(errors=(error,)))
