"""How long a vendor asks to be left alone: Retry-After, in both forms (RFC 9110, 10.2.3)."""

from __future__ import annotations

from datetime import datetime

from gateway.domain.model import HttpReply
from gateway.domain.numbers import up_to
from gateway.domain.times import http_date

LONGEST_RETRY_AFTER = 86_400
"""Seconds. A vendor that asks for more is not believed."""


def retry_after(reply: HttpReply, now: datetime) -> int | None:
    """Seconds to wait, from 0 to a day; None where the reply says nothing sensible."""
    text = reply.headers.get("retry-after", "").strip()
    seconds = up_to(LONGEST_RETRY_AFTER, text)
    if seconds is not None:
        return seconds
    at = http_date(text)
    return None if at is None else max(0, min(int((at - now).total_seconds()), LONGEST_RETRY_AFTER))
