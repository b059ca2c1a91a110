"""The tables. A change here needs a migration: `migrations/versions`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy.dialects import postgresql, sqlite

StoredId: TypeAlias = Callable[[str], bytearray | str]
"""Converts a UUID from text to the form that a kind of database stores."""


def _as_bytes(value: str) -> bytearray:
    # Python's sqlite3 looks for an adapter for each `bytes`, and takes a `bytearray` as it is, in half the time.
    return bytearray.fromhex(value.replace("-", ""))


def stored_by(dialect: Dialect) -> StoredId:
    """The conversion for a database. SQLite has no type for UUIDs and stores 16 bytes."""
    return str if dialect.name == "postgresql" else _as_bytes


class Id(TypeDecorator[str]):
    """A UUID that is text in Python and has the form of `stored_by` in the database."""

    impl = LargeBinary(16)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        """The column's type."""
        native = dialect.name == "postgresql"
        return dialect.type_descriptor(Uuid(as_uuid=False) if native else LargeBinary(16))

    def process_bind_param(self, value: str | None, dialect: Dialect) -> Any:
        """The stored form of a value."""
        return None if value is None else stored_by(dialect)(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        """The value as text."""
        return value if value is None or dialect.name == "postgresql" else str(UUID(bytes=value))


NAME = String(64)
CALLER = String(259).with_variant(String(64), "sqlite")
"""Long enough for `jwt:` and the longest subject.

SQLite ignores lengths, so its tables keep the older length rather than being copied.
"""
metadata = MetaData()

job_actions = Table(
    "job_actions",
    metadata,
    Column("id", Id, primary_key=True),
    Column("caller", CALLER, nullable=False),
    Column("connection", NAME, nullable=False),
    Column("job_id", String(1_024), nullable=False),
    Column("action", NAME, nullable=False),
    Column("status", NAME, nullable=False),
    Column("outcome", NAME),
    Column("due_at", BigInteger, comment="When somebody should look after it, in milliseconds."),
    # The rows are small and every index ends with the id, so they are stored in the primary key's tree.
    sqlite_with_rowid=False,
)
SEARCHED = ("job_id", "outcome", "status", "action", "connection", "caller")
"""The columns by which records are searched, the most selective one first."""
for name in SEARCHED:
    Index(f"job_actions_{name}", job_actions.c[name], job_actions.c.id)
Index(
    "job_actions_due",
    job_actions.c.due_at,
    sqlite_where=job_actions.c.due_at.is_not(None),
    postgresql_where=job_actions.c.due_at.is_not(None),
)

events = Table(
    "events",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("segment", Integer, nullable=False, index=True),
    Column("job_action_id", Id, nullable=False),
    Column("sequence", SmallInteger, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("content", Text, nullable=False, comment="JSON, exactly as it was hashed."),
    Column("hash", LargeBinary(32), nullable=False),
    UniqueConstraint("job_action_id", "sequence"),
    # Without it SQLite would reuse the id of a deleted last row.
    sqlite_autoincrement=True,
)

labels = Table(
    "labels",
    metadata,
    Column("name", NAME, primary_key=True),
    Column("value", String(256), primary_key=True),
    Column("job_action_id", Id, primary_key=True, index=True),
    # Searched in the order of its primary key, which is all that it holds.
    sqlite_with_rowid=False,
)

segments = Table(
    "segments",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("opened_at", BigInteger, nullable=False),
    Column("written_at", BigInteger, nullable=False),
    Column("length", Integer, nullable=False),
    Column("head", LargeBinary(32), nullable=False),
    Column("deleted_at", BigInteger),
    Column("deletion", Text, comment="What the gateway said, and signed, before retention deleted it."),
)

probes = Table(
    "probes",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False, comment="When it was last tried whether anything can be written."),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("caller", CALLER, primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("fingerprint", LargeBinary(32), nullable=False),
    Column("job_action_id", Id, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    sqlite_with_rowid=False,
)

approvals = Table(
    "approvals",
    metadata,
    Column("id", Id, primary_key=True),
    Column("batch", Id, nullable=False, index=True),
    Column("state", NAME, nullable=False),
    Column("caller", CALLER, nullable=False),
    Column("owner", String(259), nullable=False),
    Column("version", Integer, nullable=False),
    Column("content", Text, nullable=False, comment="JSON."),
)
Index("approvals_state", approvals.c.state, approvals.c.id)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(12), primary_key=True),
    Column("caller", CALLER, nullable=False),
    Column("scopes", Text, nullable=False, comment="Separated by spaces."),
    Column("digest", LargeBinary(32), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
    Column("last_used_at", BigInteger),
    Column("access_secret", String(128), comment="Base64. It signs, so it cannot be kept by its hash."),
    Column("owner", String(255), comment="The person behind the caller, if it is not the caller itself."),
)

tasks = Table(
    "tasks",
    metadata,
    Column("kind", String(16), primary_key=True),
    Column("key", NAME, primary_key=True),
    Column("due_at", BigInteger, nullable=False, comment="When somebody should look after it, in milliseconds."),
    Column("fence", BigInteger, nullable=False, comment="Rises whenever somebody takes it, or takes it away."),
    Index("tasks_due", "kind", "due_at"),
    sqlite_with_rowid=False,
)

batches = Table(
    "batches",
    metadata,
    Column("id", Id, primary_key=True),
    Column("caller", CALLER, nullable=False),
    Column("state", String(32), nullable=False),
    Column("version", Integer, nullable=False),
    Column("content", Text, nullable=False, comment="The batch without its progress, as JSON."),
    Column("progress", Text, nullable=False, comment="Its counters, as JSON."),
    Column("ended_at", BigInteger),
    Index("batches_caller", "caller", "id"),
    Index("batches_state", "state", "id"),
)

batch_terms = Table(
    "batch_terms",
    metadata,
    Column("term", String(384), primary_key=True, comment="connection:<name>, or label:<name>=<value>."),
    Column("batch", Id, primary_key=True),
    Index("batch_terms_batch", "batch"),
    sqlite_with_rowid=False,
)

batch_items = Table(
    "batch_items",
    metadata,
    Column("batch", Id, primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("connection", NAME, nullable=False),
    Column("job_id", String(1_024), nullable=False),
    Column("verdict", String(32)),
    Column("outcome", String(16), nullable=False),
    Column("job_action_id", Id),
    Column("content", Text, nullable=False, comment="The other members of the item, as JSON."),
    Index("batch_items_job", "connection", "job_id", "batch"),
    sqlite_with_rowid=False,
)

running_batches = Table(
    "running_batches",
    metadata,
    Column("connection", NAME, primary_key=True),
    Column("batch", Id, nullable=False),
    sqlite_with_rowid=False,
)

schedules = Table(
    "schedules",
    metadata,
    Column("id", Id, primary_key=True),
    Column("caller", CALLER, nullable=False),
    Column("state", String(16), nullable=False),
    Column("version", Integer, nullable=False),
    Column("content", Text, nullable=False, comment="The schedule, as JSON."),
    Index("schedules_caller", "caller", "id"),
)

occurrences = Table(
    "occurrences",
    metadata,
    Column("schedule", Id, primary_key=True),
    Column("at", BigInteger, primary_key=True, autoincrement=False, comment="When it was to run, in milliseconds."),
    Column("batch", Id),
    Column("skipped", Text, comment="Why it made no batch."),
    sqlite_with_rowid=False,
)


def changeable(row: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a row that can change: not its id, by which a database may distribute rows."""
    return {name: value for name, value in row.items() if name != "id"}


def insert_of(connection: Connection, table: Table) -> Any:
    """An INSERT that supports ON CONFLICT, which in SQLAlchemy is specific to the kind of database."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)
