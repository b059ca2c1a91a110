"""Groups of a batch that are sent beside each other, and what they count together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway.app import Catalogue
from gateway.batches import sending
from gateway.batches.run_progress import RunProgress
from gateway.domain.batches import ItemOutcome
from gateway.domain.model import HttpReply, HttpRequest
from gateway.ledger.batches import ItemSelection
from gateway.ledger.database import Database
from tests.batches.conftest import House, Vendor, house_at, queued
from tests.support.clock import FakeClock
from tests.support.databases import sqlite_address
from tests.support.patience import eventually
from tests.support.transport import reply

REFUSAL = reply(400, {"error": {"code": "BadRequest", "message": "No."}})


@dataclass
class SlowVendor(Vendor):
    """A vendor that acts on some jobs only once their event is set."""

    slow: dict[str, asyncio.Event] = field(default_factory=dict)

    async def send(self, request: HttpRequest, deadline: float) -> HttpReply:
        """Answer, but not at once."""
        job = request.url.partition("/routing/jobs/")[2].partition(":")[0]
        if request.method == "POST" and job in self.slow:
            await self.slow[job].wait()
        return await super().send(request, deadline)


@pytest.fixture
def vendor() -> SlowVendor:
    """A vendor that is slow for the first job of the first group that is not alone."""
    return SlowVendor(slow={"job-20": asyncio.Event()})


@pytest.fixture
async def house(catalogue: Catalogue, tmp_path: Path, vendor: SlowVendor) -> AsyncIterator[House]:
    """A gateway with that vendor."""
    made = house_at(catalogue, Database.at(sqlite_address(tmp_path)), FakeClock(), vendor)
    await made.gateway.ledger.start()
    yield made
    await made.gateway.close()


async def test_a_slow_job_holds_up_its_own_group_only(
    house: House, vendor: SlowVendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the vendor takes long for one job, the groups after it go on, and only its own waits for it."""
    monkeypatch.setattr(sending, "GROUP", 5)
    batch = await house.go_on_until(await house.create(*queued(house, 60)), "awaiting_confirmation")
    await house.confirm(batch)
    running = asyncio.create_task(house.go_on())

    async def is_all_but_one_asked() -> bool:
        return len(vendor.asked) == 59

    await eventually(is_all_but_one_asked)
    assert "job-20" not in vendor.asked
    vendor.slow["job-20"].set()
    await running
    await house.go_on_until(batch, "completed")
    assert set(vendor.asked.values()) == {1}


async def test_failures_beside_a_slow_job_stop_the_groups_after_it(
    house: House, vendor: SlowVendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failures count once they are known, although a slow job of their group is not: no group begins after them."""
    monkeypatch.setattr(sending, "GROUP", 10)
    jobs = queued(house, 60)
    refused = jobs[21:30]
    vendor.trouble = dict.fromkeys(refused, REFUSAL)
    vendor.slow["job-30"] = asyncio.Event()
    batch = await house.go_on_until(await house.create(*jobs), "awaiting_confirmation")
    await house.confirm(batch)
    running = asyncio.create_task(house.go_on())

    async def are_refusals_recorded() -> bool:
        found = (await house.ask("GET", "/job-actions?outcome=rejected&limit=100")).json["items"]
        return len(found) == len(refused)

    async def is_next_group_stored() -> bool:
        found = (await house.ask("GET", f"/batches/{batch['id']}")).json
        return bool(found["progress"]["outcomes"].get("applied", 0) >= 30)

    await eventually(are_refusals_recorded)
    vendor.slow["job-30"].set()
    await eventually(is_next_group_stored)
    vendor.slow["job-20"].set()
    await running
    stopped = await house.go_on_until(batch, "stopped")
    assert stopped["why"]["code"] == "maxErrors"
    assert stopped["progress"]["outcomes"] == {"applied": 31, "rejected": 9, "pending": 20}
    assert set(vendor.asked) == set(jobs[:40])


async def test_no_outcome_is_lost_while_others_are_stored(house: House) -> None:
    """Items that finish while others are stored, or are found out, stay counted, and each of them once."""
    batch = await house.go_on_until(await house.create(*queued(house, 4)), "awaiting_confirmation")
    runner = house.gateway.batch_runner
    assert runner is not None
    head = await runner.store.get(batch["id"])
    assert head is not None
    items = [replace(each, outcome=ItemOutcome.APPLIED) for each in await runner.store.items(ItemSelection(head.id))]
    progress = RunProgress(runner.outcomes, head)
    progress.finished(items[0])
    await progress.store()
    progress.finished(items[1])
    assert progress.now.outcomes == {"applied": 2, "pending": 2}
    await progress.stored()
    assert progress.now.outcomes == {"applied": 2, "pending": 2}
    finding_out = asyncio.create_task(progress.refresh())
    await asyncio.sleep(0)
    progress.finished(items[2])
    await finding_out
    assert progress.now.outcomes == {"applied": 3, "pending": 1}
    await progress.store()
    await progress.stored()
    stored = await runner.store.get(head.id)
    assert stored is not None
    assert progress.now.outcomes == stored.progress.outcomes == {"applied": 3, "pending": 1}
