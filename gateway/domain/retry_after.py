"""How long a vendor asks to be left alone: Retry-After, in both forms (RFC 9110, 10.2.3)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from gateway.domain.model import HttpReply

LONGEST_RETRY_AFTER = 86_400
"""Seconds. A vendor that asks for more is not believed."""

_SECONDS = re.compile(r"[0-9]+")
_MOST_DIGITS = 9


def retry_after(reply: HttpReply, now: datetime) -> int | None:
    """Seconds to wait, from 0 to a day; None where the reply says nothing sensible."""
    text = reply.headers.get("retry-after", "").strip()
    if not text:
        return None
    seconds = _number(text) if _SECONDS.fullmatch(text) else _seconds_until(text, now)
    return None if seconds is None else max(0, min(seconds, LONGEST_RETRY_AFTER))


def _number(text: str) -> int:
    return int(text) if len(text) <= _MOST_DIGITS else LONGEST_RETRY_AFTER


def _seconds_until(text: str, now: datetime) -> int | None:
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    return int((at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds())
