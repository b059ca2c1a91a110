"""The request that this task works on: for the log, the metrics and the traces. It is no part of any decision."""

from __future__ import annotations

from contextvars import ContextVar
from time import perf_counter

from msgspec import Struct, field

from gateway.domain.trace_context import trace_id


class CurrentRequest(Struct):
    """Facts known so far of a request. `vendor_seconds` is the time that its attempts at vendors have taken.

    `trace_parent` is the client's, or with traces that of the request's own span.
    """

    id: str = ""
    begun: float = field(default_factory=perf_counter)
    trace_parent: str | None = None
    caller: str | None = None
    connection: str | None = None
    action: str | None = None
    outcome: str | None = None
    vendor_seconds: float = 0.0

    @property
    def seconds(self) -> float:
        """Seconds since it began."""
        return perf_counter() - self.begun

    @property
    def trace_id(self) -> str | None:
        """The id of its trace, if it has one."""
        return None if self.trace_parent is None else trace_id(self.trace_parent)


CURRENT: ContextVar[CurrentRequest | None] = ContextVar("request", default=None)
"""The request of this task; None in background tasks."""
