"""Schedules and their occurrences."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gateway.ledger.tables import CALLER, Id

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "schedules",
        sa.Column("id", Id(), primary_key=True),
        sa.Column("caller", CALLER, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False, comment="The schedule, as JSON."),
    )
    op.create_index("schedules_caller", "schedules", ["caller", "id"])
    op.create_table(
        "occurrences",
        sa.Column("schedule", Id(), primary_key=True),
        sa.Column(
            "at", sa.BigInteger(), primary_key=True, autoincrement=False, comment="When it was to run, in milliseconds."
        ),
        sa.Column("batch", Id()),
        sa.Column("skipped", sa.Text(), comment="Why it made no batch."),
        sqlite_with_rowid=False,
    )
