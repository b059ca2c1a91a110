"""The gauges of a gateway: what its connections are like now, and what its ledger says."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from importlib.metadata import version

from gateway.app.databases import database_of
from gateway.approvals.approvals import MOST_LOOKED_AT, UNDECIDED, counted
from gateway.domain.batches import Batch, BatchState
from gateway.domain.clock import SystemClock
from gateway.domain.errors import ConnectionSuspended, LedgerUnavailable
from gateway.domain.model import Outcome
from gateway.engine.connections import Connection
from gateway.resilience.breaker import BreakerState
from gateway.settings.settings import Settings
from gateway.telemetry.metrics import (
    APPROVALS_PENDING,
    BATCHES,
    BREAKERS,
    INFO,
    LEDGER_READABLE,
    QUOTA,
    QUOTA_LEFT,
    REVIEWS_DUE,
    REVIEWS_OVERDUE,
    RUNNING_BATCH_SECONDS,
    STOPPED_BATCHES,
    UNDER_WAY,
    UNKNOWN,
    UNKNOWN_SECONDS,
    WAITING,
    Measured,
    Source,
)

log = logging.getLogger(__name__)

STOPS = ("maxErrors", "maxUnknown", ConnectionSuspended.code, "configuration-changed")
"""The reasons for which batches stop."""


def connection_gauges(connections: Mapping[str, Connection]) -> Measured:
    """The gauges of this process's connections."""
    for name, connection in connections.items():
        pipeline = connection.pipeline
        present = pipeline.breaker.state
        for state in BreakerState:
            yield BREAKERS, (name, state), float(state is present)
        yield UNDER_WAY, (name,), float(pipeline.slots.in_use)
        yield WAITING, (name,), float(pipeline.slots.waiting)
        left = pipeline.quota_left
        if connection.quota is not None and left is not None:
            yield QUOTA, (name,), float(connection.quota.burst)
            yield QUOTA_LEFT, (name,), float(left)


@contextmanager
def ledger_gauges(settings: Settings) -> Iterator[Source]:
    """A source of the gauges of the ledger, which many gateways may share. Raises ConfigurationError."""
    database = database_of(settings)

    def read() -> Measured:
        from gateway.ledger import approvals, batches
        from gateway.ledger.database import storage_failures
        from gateway.ledger.queries import unknown_outcomes

        now = SystemClock().now()
        try:
            with storage_failures(Outcome.UNKNOWN), database.reading.connect() as connection:
                found = unknown_outcomes(connection, now)
                open_batches = batches.numbers(connection)
                chosen = batches.BatchSelection(states=(BatchState.STOPPED, BatchState.RUNNING))
                seen = batches.page(connection, chosen, MOST_LOOKED_AT, None).items
                waiting = approvals.selected(connection, UNDECIDED, None, MOST_LOOKED_AT)
        except LedgerUnavailable as error:
            log.warning("the ledger could not be read for the metrics: %s", error.__cause__)
            return [(LEDGER_READABLE, (), 0.0)]
        return [
            (LEDGER_READABLE, (), 1.0),
            *_unknown(settings.connections, found),
            *_batches(open_batches, seen, now),
            *_approvals(counted(waiting, now)),
        ]

    try:
        yield lambda: [(INFO, (version("jobgate"),), 1.0), *read()]
    finally:
        database.dispose()


def _unknown(configured: Collection[str], found: Mapping[str, tuple[int, float]]) -> Measured:
    """The gauges of unknown outcomes, 0 for a connection without one, so that an alert sees its end."""
    for name in sorted({*configured, *found}):
        number, seconds = found.get(name, (0, 0.0))
        yield UNKNOWN, (name,), float(number)
        yield UNKNOWN_SECONDS, (name,), seconds


def _batches(open_batches: Mapping[str, int], seen: Iterable[Batch], now: datetime) -> Measured:
    """The gauges of batches that have not ended; 0 for a reason to stop without one, so that an alert sees its end."""
    for state, number in open_batches.items():
        yield BATCHES, (state,), float(number)
    stopped = Counter(dict.fromkeys(STOPS, 0))
    stopped.update(
        each.why.code or "other" for each in seen if each.state is BatchState.STOPPED and each.why is not None
    )
    for why, number in stopped.items():
        yield STOPPED_BATCHES, (why,), float(number)
    running = [each.confirmed_at or each.created_at for each in seen if each.state is BatchState.RUNNING]
    yield RUNNING_BATCH_SECONDS, (), (now - min(running, default=now)).total_seconds()


def _approvals(counts: Mapping[str, int]) -> Measured:
    """The gauges of approvals."""
    yield APPROVALS_PENDING, (), float(counts["pending"])
    yield REVIEWS_DUE, (), float(counts["review_due"])
    yield REVIEWS_OVERDUE, (), float(counts["overdue"])
