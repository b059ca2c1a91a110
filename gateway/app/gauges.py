"""The gauges of a gateway: what its connections are like now, and what its ledger says."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version

from gateway.app.databases import database_of
from gateway.domain.clock import SystemClock
from gateway.domain.errors import LedgerUnavailable
from gateway.domain.model import Outcome
from gateway.engine.connections import Connection
from gateway.resilience.breaker import BreakerState
from gateway.settings.settings import Settings
from gateway.telemetry.metrics import (
    BREAKERS,
    INFO,
    LEDGER_READABLE,
    QUOTA,
    QUOTA_LEFT,
    UNDER_WAY,
    UNKNOWN,
    UNKNOWN_SECONDS,
    WAITING,
    Measured,
    Source,
)

log = logging.getLogger(__name__)


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
        from gateway.ledger.database import storage_failures
        from gateway.ledger.queries import unknown_outcomes

        now = SystemClock().now()
        try:
            with storage_failures(Outcome.UNKNOWN), database.reading.connect() as connection:
                found = unknown_outcomes(connection, now)
        except LedgerUnavailable as error:
            log.warning("the ledger could not be read for the metrics: %s", error.__cause__)
            return [(LEDGER_READABLE, (), 0.0)]
        return [(LEDGER_READABLE, (), 1.0), *_unknown(settings.connections, found)]

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
