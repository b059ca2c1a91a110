"""A batch goes on at once in the process that was asked, without waiting for the next look at the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any

import pytest

from gateway.ledger import agenda
from tests.batches.conftest import House
from tests.support.patience import FOR_EVER, eventually


@pytest.fixture
async def running(house: House, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    """A gateway that looks at its ledger once, and then never again."""
    monkeypatch.setattr(agenda, "LOOK_SECONDS", FOR_EVER)
    monkeypatch.setattr(agenda, "LONGEST_REST", FOR_EVER)
    runner = house.gateway.batch_runner
    assert runner is not None
    task = asyncio.create_task(runner.run())
    yield house
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def in_state(house: House, batch: Mapping[str, Any], state: str) -> Mapping[str, Any]:
    """The batch, once it is in a state."""

    async def found() -> bool:
        house.clock.advance(0.005)  # as much as passes until it is asked again
        return bool((await house.ask("GET", f"/batches/{batch['id']}")).json["state"] == state)

    await eventually(found)
    answer: Mapping[str, Any] = (await house.ask("GET", f"/batches/{batch['id']}")).json
    return answer


async def test_a_batch_runs_through_without_a_look(running: House) -> None:
    """It is prepared as soon as it is created, and sent as soon as it is confirmed."""
    running.vendor.jobs = {"a": "queued", "b": "queued"}
    batch = await in_state(running, await running.create("a", "b"), "awaiting_confirmation")
    assert (await running.confirm(batch)).status == 200
    done = await in_state(running, batch, "completed")
    assert done["outcome"] == "all_applied"


async def test_a_paused_batch_goes_on_without_a_look(running: House) -> None:
    """Somebody who resumes a batch does not wait for it either."""
    running.vendor.jobs = {"a": "queued", "b": "queued"}
    running.vendor.may_answer.clear()
    batch = await in_state(running, await running.create("a", "b"), "awaiting_confirmation")
    await running.confirm(batch)
    await running.vendor.is_asked.wait()
    assert (await running.ask("POST", f"/batches/{batch['id']}/pause", {"reason": "a test"})).status < 300
    running.vendor.may_answer.set()
    await in_state(running, batch, "paused")
    assert (await running.ask("POST", f"/batches/{batch['id']}/resume", {"reason": "a test"})).status < 300
    await in_state(running, batch, "completed")
