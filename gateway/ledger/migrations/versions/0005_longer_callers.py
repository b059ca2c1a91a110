"""Room for the longest subject of an OpenID Connect token, 255 characters, in the names of callers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Widen the columns, except in SQLite, which ignores the length of columns."""
    if op.get_bind().dialect.name != "sqlite":
        for table in ("job_actions", "idempotency_keys", "api_keys"):
            op.alter_column(table, "caller", type_=sa.String(259))
