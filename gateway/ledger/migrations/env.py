"""How Alembic reaches the database: by the connection that `gateway.ledger.database` hands it."""

from __future__ import annotations

from alembic import context

from gateway.ledger.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
