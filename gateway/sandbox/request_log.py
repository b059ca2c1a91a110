"""A request during its handling by a simulated vendor, and the log of all requests."""

from __future__ import annotations

import re
import threading
import uuid
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.domain.model import JobAction
from gateway.edge.exchange import Scope
from gateway.specs.operations import Operation

EXTENSION = "jobgate.sandbox"
"""Key of the exchange in the extensions of an ASGI scope."""

LONGEST_LOG = 100_000
"""Largest number of entries in a log; the oldest are dropped first."""

_TRACE_PARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass
class Exchange:
    """A request and what its handling has found out so far.

    `url` is the full URL that the client called, which signatures cover, and `endpoint` the part of it with which a
    client is configured. `path` is the path without the sandbox's prefix, `raw_path` the same before percent-decoding.
    `operation` is None for the token endpoint and for requests that the document does not describe.
    """

    method: str
    url: str
    endpoint: str
    raw_path: str
    path: str
    query: str
    trace: str
    operation_id: str | None = None
    operation: Operation | None = None
    job_action: JobAction | None = None
    before: str | None = None
    after: str | None = None
    fault: str | None = None


@dataclass(frozen=True)
class LogEntry:
    """A request that reached a vendor. It never holds credentials.

    `before` and `after` are the job's vendor statuses before and after a job action. `status` is the HTTP status of the
    answer, None if the connection was closed instead.
    """

    sequence: int
    at: datetime
    vendor: str
    method: str
    path: str
    query: str
    operation_id: str | None
    job_action: JobAction | None
    before: str | None
    after: str | None
    status: int | None
    fault: str | None


class Log:
    """The requests of one vendor, in the order in which they were answered."""

    def __init__(self, vendor: str) -> None:
        """Start empty."""
        self._vendor = vendor
        self._lock = threading.Lock()
        self._sequence = 0
        self._entries: deque[LogEntry] = deque(maxlen=LONGEST_LOG)

    def add(self, exchange: Exchange, at: datetime, status: int | None) -> None:
        """Add a request with the status of its answer."""
        with self._lock:
            self._sequence += 1
            self._entries.append(
                LogEntry(
                    sequence=self._sequence,
                    at=at,
                    vendor=self._vendor,
                    method=exchange.method,
                    path=exchange.path,
                    query=exchange.query,
                    operation_id=exchange.operation_id,
                    job_action=exchange.job_action,
                    before=exchange.before,
                    after=exchange.after,
                    status=status,
                    fault=exchange.fault,
                )
            )

    def after(self, sequence: int = 0) -> tuple[LogEntry, ...]:
        """The entries with a sequence number above `sequence`."""
        with self._lock:
            return tuple(each for each in self._entries if each.sequence > sequence)

    def clear(self) -> None:
        """Remove the entries. Their sequence numbers are not used again."""
        with self._lock:
            self._entries.clear()


def exchange_of(scope: Mapping[str, Any]) -> Exchange:
    """The exchange of an ASGI request."""
    exchange: Exchange = scope["extensions"][EXTENSION]
    return exchange


def below(scope: Scope, name: str, endpoint: str) -> Scope:
    """The scope for the vendor: its path without the prefix `/{name}`, with a new exchange. `endpoint` is a path."""
    path = scope["path"].removeprefix(f"/{name}") or "/"
    raw_path = _raw_path(scope).removeprefix(f"/{name}") or "/"
    exchange = Exchange(
        method=scope["method"],
        url=_url(scope),
        endpoint=f"{_root(scope)}{endpoint}",
        raw_path=raw_path,
        path=path,
        query=scope["query_string"].decode("latin-1"),
        trace=_trace(scope),
    )
    return {
        **scope,
        "path": path,
        "raw_path": raw_path.encode("latin-1"),
        "extensions": {**scope.get("extensions", {}), EXTENSION: exchange},
    }


def _root(scope: Scope) -> str:
    host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
    return f"{scope['scheme']}://{host}"


def _url(scope: Scope) -> str:
    query = scope["query_string"].decode("latin-1")
    return f"{_root(scope)}{_raw_path(scope)}{'?' if query else ''}{query}"


def _raw_path(scope: Scope) -> str:
    raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
    return raw_path.decode("latin-1")


def _trace(scope: Scope) -> str:
    """The id of the request: the client's trace id (W3C Trace Context), or a new one."""
    sent = dict(scope["headers"]).get(b"traceparent", b"")
    found = _TRACE_PARENT.fullmatch(sent.decode("latin-1"))
    return str(uuid.UUID(found[1]) if found else uuid.uuid4())
