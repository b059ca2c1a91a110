"""Batches that an earlier version of Jobgate has stored."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import select, update

from gateway.ledger.tables import batches
from tests.batches.conftest import House, database_of, queued

FIRST = {
    "id",
    "caller",
    "state",
    "plan",
    "created_at",
    "changed_at",
    "version",
    "confirm_until",
    "manifest",
    "prepared_at",
    "connections",
}
"""The members of a batch that every version has stored. Whatever came later has a default, and may be missing."""
PLAN = {"action", "reason", "parameters"}
"""The same for its plan."""
FORMER = {"schema": 1}
"""A member that an earlier version has stored, and no later one reads."""


async def test_a_new_version_goes_on_with_an_old_batch(house: House) -> None:
    """A batch whose row lacks what came later, and has what is no more, is confirmed and completed.

    A member that is added without a default, or a row that is read with all it may hold, would end every batch at an
    update.
    """
    batch = await house.go_on_until(await house.create(*queued(house, 3)), "awaiting_confirmation")
    its = batches.c.id == batch["id"]
    with database_of(house).writing.begin() as connection:
        stored: dict[str, Any] = json.loads(connection.execute(select(batches.c.content).where(its)).scalar_one())
        plan = {name: value for name, value in stored["plan"].items() if name in PLAN}
        old = {name: value for name, value in stored.items() if name in FIRST} | {"plan": plan | FORMER} | FORMER
        assert old.keys() >= FIRST, "the row has what every version stores"
        assert plan.keys() == PLAN
        connection.execute(update(batches).where(its).values(content=json.dumps(old)))
    assert (await house.ask("GET", f"/batches/{batch['id']}")).json == batch
    assert (await house.confirm(batch)).status == 200
    ended = await house.go_on_until(batch, "completed")
    assert (ended["outcome"], set(house.vendor.asked.values())) == ("all_applied", {1})
