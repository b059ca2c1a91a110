"""Owners of API keys, and approvals."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gateway.ledger.tables import CALLER, NAME, Id

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the column and the table."""
    comment = "The person behind the caller, if it is not the caller itself."
    op.add_column("api_keys", sa.Column("owner", sa.String(255), comment=comment))
    op.create_table(
        "approvals",
        sa.Column("id", Id, primary_key=True),
        sa.Column("batch", Id, nullable=False, index=True),
        sa.Column("state", NAME, nullable=False),
        sa.Column("caller", CALLER, nullable=False),
        sa.Column("owner", sa.String(259), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("content", sa.Text, nullable=False, comment="JSON."),
    )
    op.create_index("approvals_state", "approvals", ["state", "id"])
