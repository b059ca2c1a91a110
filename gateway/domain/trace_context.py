"""W3C Trace Context: the header `traceparent`."""

from __future__ import annotations

import re

_TRACE_PARENT = re.compile(
    rb"((?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2})(?:-[!-~]{1,64})?"
)


def trace_parent(field: bytes) -> str | None:
    """A valid `traceparent`, without members that later versions may append; None if it is invalid (3.2)."""
    found = _TRACE_PARENT.fullmatch(field)
    return found[1].decode() if found else None


def trace_id(parent: str) -> str:
    """The trace id in a valid `traceparent`."""
    return parent.split("-")[1]
