"""Parsing of Retry-After, in both of its forms (RFC 9110, 10.2.3)."""

from __future__ import annotations

from datetime import datetime

from gateway.domain.model import HttpReply
from gateway.domain.numbers import up_to
from gateway.domain.times import http_date

LONGEST_RETRY_AFTER = 86_400
"""Longest accepted Retry-After, in seconds; a longer one is cut to it."""


def retry_after(reply: HttpReply, now: datetime) -> int | None:
    """The seconds to wait, from 0 to a day. None if the reply has no valid Retry-After."""
    text = reply.headers.get("retry-after", "").strip()
    seconds = up_to(LONGEST_RETRY_AFTER, text)
    if seconds is not None:
        return seconds
    at = http_date(text)
    return None if at is None else max(0, min(int((at - now).total_seconds()), LONGEST_RETRY_AFTER))
