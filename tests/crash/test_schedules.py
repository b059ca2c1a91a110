"""Schedules on two nodes that are killed around their occurrences: each one makes one batch, and none is lost."""

from __future__ import annotations

import asyncio
import time
import uuid
from datetime import timedelta
from itertools import pairwise

import pytest

from gateway.app import Gateway
from gateway.domain.access import EVERYTHING, Caller
from gateway.domain.batches import BatchPlan, JobReference
from gateway.domain.recurrence import Recurrence
from gateway.domain.schedules import Schedule, SchedulePlan
from gateway.ledger.audit import verify
from gateway.ledger.batches import BatchSelection
from gateway.ledger.database import Database
from tests.crash.batch_node import CONNECTION, FileVendor
from tests.crash.storm import ROUNDS
from tests.crash.test_batches import CALLER, NODES, Storm, client, patiently, storm  # noqa: F401 - fixtures
from tests.support.patience import PATIENCE

MINUTES = 8
"""Occurrences in a short run."""
MINUTE = 60.0


async def created(gateway: Gateway) -> Schedule:
    """A schedule that cancels one job each minute."""
    assert gateway.schedules is not None
    batch = BatchPlan(action="cancel", reason="the storm")
    plan = SchedulePlan(
        "each-minute",
        batch,
        timedelta(hours=1),
        (JobReference(CONNECTION, str(uuid.uuid4())),),
        recurrence=Recurrence("* * * * *", "UTC"),
    )
    schedule, _ = await gateway.schedules.create(plan, Caller(CALLER, EVERYTHING))
    return schedule


async def minutes(storm: Storm, number: int) -> None:  # noqa: F811 - the fixture's value
    """Let so many minutes pass on both nodes, one of which is killed at some moment of each."""
    async with client(storm) as gateway:
        schedules, batches = gateway.schedules, gateway.batch_store
        assert schedules is not None
        assert batches is not None
        schedule = await created(gateway)
        for minute in range(1, number + 1):
            for offset in storm.offsets:
                offset.value = minute * MINUTE
            await asyncio.sleep(storm.chance.uniform(0, 0.25))
            at = storm.chance.randrange(NODES)
            storm.nodes[at].kill()
            storm.nodes[at].join()
            storm.nodes[at] = storm._started(at)
            end = time.monotonic() + PATIENCE
            while len(lines := await patiently(lambda: schedules.store.lines(schedule.id, 1_000))) < minute:
                assert time.monotonic() < end, f"only {len(lines)} of {minute} occurrences"
                await asyncio.sleep(0.05)
        storm.end()
        lines = await patiently(lambda: schedules.store.lines(schedule.id, 1_000))
        found = await patiently(lambda: batches.page(BatchSelection(caller=CALLER), 1_000, None))
        made = [each.id for each in found.items if each.plan.schedule == schedule.id]
        assert all(later - earlier == MINUTE * 1_000 for earlier, later in pairwise(sorted(each[0] for each in lines)))
        assert sorted(made) == sorted(each[1] for each in lines if each[1] is not None)
        assert len(FileVendor(storm.memory).asked()) <= len(made)


@pytest.mark.timeout(7_200 if ROUNDS else 600)
def test_each_occurrence_makes_one_batch(storm: Storm) -> None:  # noqa: F811 - the fixture's value
    """Whichever node is killed at whatever moment."""
    asyncio.run(minutes(storm, ROUNDS or MINUTES))
    database = Database.at(storm.address)
    try:
        assert verify(database).finding is None
    finally:
        database.dispose()
