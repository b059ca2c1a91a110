"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gateway.ledger.tables import Id

revision = "0001"
down_revision = None

NAME = sa.String(64)


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "job_actions",
        sa.Column("id", Id(), primary_key=True),
        sa.Column("caller", NAME, nullable=False),
        sa.Column("connection", NAME, nullable=False),
        sa.Column("job_id", sa.String(1_024), nullable=False),
        sa.Column("action", NAME, nullable=False),
        sa.Column("status", NAME, nullable=False),
        sa.Column("outcome", NAME),
        sa.Column("due_at", sa.BigInteger(), comment="When somebody should look after it, in milliseconds."),
        sqlite_with_rowid=False,
    )
    for name in ("job_id", "outcome", "status", "action", "connection", "caller"):
        op.create_index(f"job_actions_{name}", "job_actions", [name, "id"])
    due = sa.text("due_at IS NOT NULL")
    op.create_index("job_actions_due", "job_actions", ["due_at"], sqlite_where=due, postgresql_where=due)
    op.create_table(
        "events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("segment", sa.Integer(), nullable=False, index=True),
        sa.Column("job_action_id", Id(), nullable=False),
        sa.Column("sequence", sa.SmallInteger(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("content", sa.Text(), nullable=False, comment="JSON, exactly as it was hashed."),
        sa.Column("hash", sa.LargeBinary(32), nullable=False),
        sa.UniqueConstraint("job_action_id", "sequence"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "segments",
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("written_at", sa.BigInteger(), nullable=False),
        sa.Column("length", sa.Integer(), nullable=False),
        sa.Column("head", sa.LargeBinary(32), nullable=False),
        sa.Column("deleted_at", sa.BigInteger()),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("caller", NAME, primary_key=True),
        sa.Column("key", sa.String(255), primary_key=True),
        sa.Column("fingerprint", sa.LargeBinary(32), nullable=False),
        sa.Column("job_action_id", Id(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False, index=True),
        sqlite_with_rowid=False,
    )
