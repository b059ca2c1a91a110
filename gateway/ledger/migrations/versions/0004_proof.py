"""Proof of deletions by retention and of API keys, and a table for test writes."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

from gateway.domain.clock import SystemClock
from gateway.ledger.tables import Id

revision = "0004"
down_revision = "0003"

SEGMENTS = sa.table("segments", *map(sa.column, ("number", "opened_at", "written_at", "length", "head")))
EVENTS = sa.table(
    "events",
    sa.column("segment"),
    sa.column("job_action_id", Id()),
    *map(sa.column, ("sequence", "kind", "content", "hash")),
)


def upgrade() -> None:
    """Add column and table, and record the state of existing segments and keys."""
    comment = "What the gateway said, and signed, before retention deleted it."
    op.add_column("segments", sa.Column("deletion", sa.Text(), comment=comment))
    op.create_table(
        "probes",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column(
            "at", sa.BigInteger(), nullable=False, comment="When it was last tried whether anything can be written."
        ),
    )
    op.execute("UPDATE segments SET deletion = 'before version 0004\n' WHERE deleted_at IS NOT NULL")
    columns = "id, caller, scopes, digest, created_at, expires_at, revoked_at, access_secret"
    keys = op.get_bind().execute(sa.text(f"SELECT {columns} FROM api_keys ORDER BY id")).all()  # noqa: S608 - all ours
    if keys:
        add_to_chain(keys)


def add_to_chain(keys: Any) -> None:
    """Add a segment with an event for each key, like `jobgate keys create`."""
    clock, connection = SystemClock(), op.get_bind()
    now = datetime.now(UTC)
    at = int(now.timestamp() * 1_000)
    number = connection.execute(sa.text("SELECT coalesce(max(number), 0) + 1 FROM segments")).scalar_one()
    head, rows = hashlib.sha256(b"jobgate segment %d" % number).digest(), []
    for key in keys:
        event_id, content = clock.new_id(now), content_of(key, now)
        head = hashlib.sha256(head + f"{event_id} 0 api-key {content}".encode()).digest()
        rows.append((number, event_id, 0, "api-key", content, head))
    names = [column.name for column in EVENTS.c]
    connection.execute(sa.insert(EVENTS), [dict(zip(names, row, strict=True)) for row in rows])
    segment = {"number": number, "opened_at": at, "written_at": at, "length": len(rows), "head": head}
    connection.execute(sa.insert(SEGMENTS), segment)


def content_of(key: Any, now: datetime) -> str:
    """The state of a key, as JSON."""
    proof = hashlib.sha256(bytes(key.digest) + (key.access_secret or "").encode()).hexdigest()
    said = {"at": now.isoformat(), "id": key.id, "caller": key.caller, "scopes": key.scopes, "proof": proof}
    times = {name: getattr(key, name) for name in ("created_at", "expires_at", "revoked_at")}
    return json.dumps({**said, **{name: time for name, time in times.items() if time is not None}})
