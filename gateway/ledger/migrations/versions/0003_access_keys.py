"""Access keys, in addition to API keys."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column."""
    comment = "Base64. It signs, so it cannot be kept by its hash."
    op.add_column("api_keys", sa.Column("access_secret", sa.String(128), comment=comment))
