"""Durations as people write them: `30s`, `15m`, `24h`, `90d`."""

from __future__ import annotations

import re
from datetime import timedelta

import typer

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_DURATION = re.compile(r"([0-9]{1,6})([smhd])")


def duration(text: str | timedelta) -> timedelta:
    """Parse a duration such as `90d` or `24h`; a default is already one. Raises typer.BadParameter."""
    if isinstance(text, timedelta):
        return text
    match = _DURATION.fullmatch(text)
    if match is None:
        raise typer.BadParameter("write a duration such as 30s, 15m, 24h or 90d")
    return timedelta(seconds=int(match[1]) * _UNITS[match[2]])


def iso_duration(text: str) -> str:
    """A duration in ISO 8601: `PT3600S` for `1h`; one that is written so already stays. Raises typer.BadParameter."""
    return text if text.startswith("P") else f"PT{int(duration(text).total_seconds())}S"
