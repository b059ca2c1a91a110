"""The log as JSON: one object a line, with the request that the line belongs to."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

from msgspec.json import Encoder

from gateway.telemetry.current import CURRENT, CurrentRequest

ACCESS_LOG = "uvicorn.access"
"""The logger of the access log."""
ACCESS_FIELDS = ("client", "method", "target", "http_version", "status")
"""The names of the arguments of its lines."""

_ENCODER = Encoder(enc_hook=str)


class JsonLines(logging.Formatter):
    """Formats records as JSON. docs/logs.md describes the members."""

    def format(self, record: logging.LogRecord) -> str:
        """One record as one line."""
        members: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        current = CURRENT.get()
        is_access = record.name == ACCESS_LOG and isinstance(record.args, tuple)
        if is_access:
            members |= zip(ACCESS_FIELDS, record.args or (), strict=False)
        if current is not None:
            members |= of_request(current)
        if current is not None and is_access:
            members |= durations(current)
        if record.exc_info:
            members["exception"] = self.formatException(record.exc_info)
        return _ENCODER.encode(members).decode()


def of_request(current: CurrentRequest) -> dict[str, str]:
    """The facts known of a request so far."""
    known = {
        "request_id": current.id,
        "trace_id": current.trace_id,
        "caller": current.caller,
        "connection": current.connection,
        "action": current.action,
        "outcome": current.outcome,
    }
    return {name: value for name, value in known.items() if value}


def durations(current: CurrentRequest) -> dict[str, float]:
    """The seconds of a request until now: those of calls to vendors, and the rest."""
    vendor = current.vendor_seconds
    return {
        "gateway_seconds": round(max(0.0, current.seconds - vendor), 6),
        "vendor_seconds": round(vendor, 6),
    }
