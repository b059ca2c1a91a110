"""Values in words for people: times, durations, numbers, and the texts of states."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import convert

MINUTE, HOUR, DAY = 60, 3_600, 86_400
JUST_NOW = 10
"""Seconds for which something happened just now."""

TONES: Mapping[str, str] = {
    **dict.fromkeys(("applied", "succeeded", "completed", "closed", "approved", "executed", "valid"), "good"),
    **dict.fromkeys(("rejected", "failed", "aborted", "expired", "cancelled", "not_sent", "partial", "revoked"), "off"),
    **dict.fromkeys(("unknown", "unsettled", "stopped", "overdue", "open"), "bad"),
    **dict.fromkeys(
        ("awaiting_confirmation", "awaiting_approval", "paused", "pending_approval", "half-open", "review_due"), "wait"
    ),
    **dict.fromkeys(("running", "finishing", "preparing", "ready", "in_progress", "pausing", "aborting"), "going"),
}
"""The tones in which states are shown. Each has a sign of its own, since colour alone says nothing to many."""


def counted(number: int, one: str, many: str) -> str:
    """A number with its noun."""
    return f"{number:,} {one if number == 1 else many}"


def parsed(text: str) -> datetime:
    """A time of the API."""
    return datetime.fromisoformat(text)


def when(text: str | None) -> str:
    """A time of the API for people, in UTC; empty if it is missing."""
    return f"{parsed(text).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if text else ""


def exactly(text: str) -> str:
    """A time of the API to the millisecond, in UTC."""
    at = parsed(text).astimezone(UTC)
    return f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1_000:03d} UTC"


def ago(text: str | None) -> str:
    """The time since, in the largest unit that fits."""
    if not text:
        return ""
    seconds = (datetime.now(UTC) - parsed(text)).total_seconds()
    if seconds < MINUTE:
        return "just now" if seconds < JUST_NOW else "less than a minute ago"
    return f"{duration(seconds)} ago"


def duration(seconds: float) -> str:
    """A duration in the largest units that say enough."""
    whole = round(seconds)
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{whole // MINUTE} min"
    if whole < DAY:
        return _both(whole // HOUR, "h", whole % HOUR // MINUTE, "min")
    return _both(whole // DAY, "d", whole % DAY // HOUR, "h")


def lasting(text: str) -> str:
    """A duration of ISO 8601 in words."""
    return duration(convert(text, timedelta).total_seconds())


def _both(large: int, unit: str, small: int, smaller_unit: str) -> str:
    return f"{large} {unit} {small} {smaller_unit}" if small else f"{large} {unit}"


def spoken(word: str) -> str:
    """A word of the API for people."""
    return word.replace("_", " ").replace("-", " ")


def patterns(several: Sequence[str]) -> str:
    """Patterns of names in words. Without one, and with `*`, they are all."""
    return "all" if "*" in several or not several else ", ".join(several)


def tone(word: str) -> str:
    """The tone of a state."""
    return TONES.get(word, "plain")


def share(value: float) -> str:
    """A share as a percentage."""
    return f"{value:.1%}" if value < 0.1 else f"{value:.0%}"  # noqa: PLR2004 - a tenth


def pretty(value: Any) -> str:
    """A JSON value, or the text of one, over several lines."""
    try:
        return json.dumps(json.loads(value) if isinstance(value, str) else value, indent=2, ensure_ascii=False)
    except ValueError:
        return str(value)


def number(value: float) -> str:
    """A number with separators."""
    return f"{value:,}"


FILTERS: Mapping[str, Callable[..., str]] = {
    each.__name__: each
    for each in (ago, counted, duration, exactly, lasting, number, patterns, pretty, share, spoken, tone, when)
}
"""The filters of the templates."""
