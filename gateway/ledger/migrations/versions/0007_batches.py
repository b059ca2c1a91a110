"""Tasks of durable work, batches, and their items."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gateway.ledger.tables import CALLER, Id

revision = "0007"
down_revision = "0006"

NAME = sa.String(64)


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "tasks",
        sa.Column("kind", sa.String(16), primary_key=True),
        sa.Column("key", NAME, primary_key=True),
        sa.Column(
            "due_at", sa.BigInteger(), nullable=False, comment="When somebody should look after it, in milliseconds."
        ),
        sa.Column(
            "fence", sa.BigInteger(), nullable=False, comment="Rises whenever somebody takes it, or takes it away."
        ),
        sqlite_with_rowid=False,
    )
    op.create_index("tasks_due", "tasks", ["kind", "due_at"])
    op.create_table(
        "batches",
        sa.Column("id", Id(), primary_key=True),
        sa.Column("caller", CALLER, nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False, comment="The batch without its progress, as JSON."),
        sa.Column("progress", sa.Text(), nullable=False, comment="Its counters, as JSON."),
        sa.Column("ended_at", sa.BigInteger()),
    )
    op.create_index("batches_caller", "batches", ["caller", "id"])
    op.create_index("batches_state", "batches", ["state", "id"])
    op.create_table(
        "batch_terms",
        sa.Column("term", sa.String(384), primary_key=True, comment="connection:<name>, or label:<name>=<value>."),
        sa.Column("batch", Id(), primary_key=True),
        sqlite_with_rowid=False,
    )
    op.create_index("batch_terms_batch", "batch_terms", ["batch"])
    op.create_table(
        "batch_items",
        sa.Column("batch", Id(), primary_key=True),
        sa.Column("position", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("connection", NAME, nullable=False),
        sa.Column("job_id", sa.String(1_024), nullable=False),
        sa.Column("verdict", sa.String(32)),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("job_action_id", Id()),
        sa.Column("content", sa.Text(), nullable=False, comment="The other members of the item, as JSON."),
        sqlite_with_rowid=False,
    )
    op.create_index("batch_items_job", "batch_items", ["connection", "job_id", "batch"])
    op.create_table(
        "running_batches",
        sa.Column("connection", NAME, primary_key=True),
        sa.Column("batch", Id(), nullable=False),
        sqlite_with_rowid=False,
    )
