"""A table of labels, by which job actions are found."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gateway.ledger.tables import Id

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Create the table. Job actions of earlier versions have no labels."""
    op.create_table(
        "labels",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("value", sa.String(256), primary_key=True),
        sa.Column("job_action_id", Id(), primary_key=True),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_labels_job_action_id", "labels", ["job_action_id"])
