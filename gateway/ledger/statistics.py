"""The size of a ledger: its rows and bytes, and the times of its oldest and newest events."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, func, select, text

from gateway.ledger.database import Database, version
from gateway.ledger.tables import idempotency_keys, job_actions, metadata, segments
from gateway.ledger.write_ahead_log import length


@dataclass(frozen=True)
class Statistics:
    """The size of a ledger. Times are None if it is empty, numbers of bytes if the database does not tell them.

    `bytes` includes the free ones. `log_bytes` is the length of SQLite's write-ahead log.
    """

    ledger: str
    version: str | None
    job_actions: int
    events: int
    segments: int
    deleted_segments: int
    idempotency_keys: int
    oldest: datetime | None
    newest: datetime | None
    bytes: int
    free_bytes: int | None
    log_bytes: int | None


def statistics(database: Database) -> Statistics:
    """The size of a ledger now. Events are counted by their segments. Raises LedgerUnavailable."""
    is_there = segments.c.deleted_at.is_(None)
    known = select(
        func.count().filter(is_there),
        func.count().filter(~is_there),
        func.coalesce(func.sum(segments.c.length).filter(is_there), 0),
        func.min(segments.c.opened_at).filter(is_there),
        func.max(segments.c.written_at).filter(is_there),
    )
    with database.snapshot() as connection:
        there, deleted, events, oldest, newest = connection.execute(known).one()
        rows, keys = (
            connection.execute(select(func.count()).select_from(each)).scalar_one()
            for each in (job_actions, idempotency_keys)
        )
        used, free = _sqlite_bytes(connection) if database.file else (_postgresql_bytes(connection), None)
        found = version(connection)
    log_bytes = None if database.file is None else length(database.file)
    return Statistics(
        database.name,
        found,
        rows,
        int(events),
        there,
        deleted,
        keys,
        _time(oldest),
        _time(newest),
        used,
        free,
        log_bytes,
    )


def _time(at: int | None) -> datetime | None:
    return None if at is None else datetime.fromtimestamp(at / 1_000, UTC)


def _sqlite_bytes(connection: Connection) -> tuple[int, int]:
    """The bytes of a SQLite file, and the free ones among them."""
    size, pages, free = (
        int(connection.execute(text(f"PRAGMA {name}")).scalar_one())
        for name in ("page_size", "page_count", "freelist_count")
    )
    return size * pages, size * free


def _postgresql_bytes(connection: Connection) -> int:
    """The bytes of the ledger's tables and their indexes."""
    each = text("SELECT pg_total_relation_size(to_regclass(:name))")
    return sum(int(connection.execute(each, {"name": name}).scalar() or 0) for name in metadata.tables)
