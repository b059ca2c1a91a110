"""The metrics of batches: those that have not ended, and what became of items."""

from __future__ import annotations

import asyncio
from pathlib import Path

from gateway.app.gauges import ledger_gauges
from gateway.domain.errors import VendorTimedOut
from gateway.telemetry.metrics import (
    BATCH_ITEMS,
    BATCH_LEASES_LOST,
    BATCHES,
    RUNNING_BATCH_SECONDS,
    STOPPED_BATCHES,
    Snapshot,
    measured,
)
from tests.batches.conftest import CONNECTION, House, queued
from tests.support.vendors import settings
from tests.telemetry.fixtures import counting


def gauges(folder: Path) -> Snapshot:
    """What the metrics say of the ledger in a folder."""
    with ledger_gauges(settings(state_folder=folder)) as source:
        return measured(source())


async def test_a_stopped_batch_counts_by_the_guard_rail_that_it_hit(house: House, tmp_path: Path) -> None:
    """A batch that stopped in doubt is counted with its reason, and its items by connection and outcome."""
    jobs = queued(house, 40)
    house.vendor.trouble = dict.fromkeys(jobs[:4], VendorTimedOut("No answer."))
    batch = await house.go_on_until(await house.create(*jobs), "awaiting_confirmation")
    assert (("maxUnknown",), [0.0]) in gauges(tmp_path)[STOPPED_BATCHES.name]
    with counting() as counted:
        await house.confirm(batch)
        await house.go_on_until(batch, "stopped")
        assert counted.of(BATCH_ITEMS) == {(CONNECTION, "applied"): 16, (CONNECTION, "unknown"): 4}
    found = gauges(tmp_path)
    assert {labels: value for labels, value in found[BATCHES.name] if value != [0.0]} == {("stopped",): [1.0]}
    assert (("maxUnknown",), [1.0]) in found[STOPPED_BATCHES.name]
    assert found[RUNNING_BATCH_SECONDS.name] == [((), [0.0])]
    await house.ask("POST", f"/batches/{batch['id']}/abort")
    await house.go_on_until(batch, "aborted")
    assert {tuple(value) for _, value in gauges(tmp_path)[BATCHES.name]} == {(0.0,)}


async def test_a_running_batch_has_an_age_and_can_be_lost(house: House, tmp_path: Path) -> None:
    """The batch that has run longest shows for how long; one that a caller takes away counts as a lost lease."""
    batch = await house.go_on_until(await house.create(*queued(house, 50)), "awaiting_confirmation")
    await house.confirm(batch)
    house.vendor.may_answer.clear()
    with counting() as counted:
        going = asyncio.create_task(house.go_on())
        await house.vendor.is_asked.wait()
        ((_, (seconds,)),) = gauges(tmp_path)[RUNNING_BATCH_SECONDS.name]
        assert seconds > 3_600  # the clock of the test stands in the past
        await house.ask("POST", f"/batches/{batch['id']}/pause")
        house.vendor.may_answer.set()
        await going
        assert counted.of(BATCH_LEASES_LOST) == {(): 1.0}
