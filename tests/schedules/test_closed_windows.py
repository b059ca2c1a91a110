"""Windows at every surface: nothing goes around them, and what waits for them begins when they open."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.app import Catalogue
from gateway.domain.record import Selection
from gateway.ledger import audit
from tests.schedules.fixtures import DAY, Desk, body_of, window
from tests.support.asgi import call
from tests.support.problems import Problems
from tests.support.vendors import AZURE_JOB

HOUR = 3_600.0
JOB = f"/connections/contoso-prod/jobs/{AZURE_JOB}"
NIGHT = {"night": window("allow", "0 22 * * *", "PT8H", connections=["contoso-prod"])}


@pytest.fixture
async def desk(catalogue: Catalogue, tmp_path: Path) -> AsyncIterator[Desk]:
    """A gateway that lets one connection act at night only. It is ten in the morning."""
    made = Desk(catalogue, tmp_path, windows=NIGHT, batches={"max_share": 1.0})
    await made.ledger.start()
    yield made
    await made.ledger.close()


async def batch_of(desk: Desk, **more: Any) -> dict[str, Any]:
    """A confirmed batch."""
    jobs = [{"connection": "contoso-prod", "jobId": f"job-{number}"} for number in range(3)]
    body = {"action": "cancel", "reason": "r", "select": {"jobs": jobs}, "confirm": {"expectedCount": 3}, **more}
    answer = await desk.ask("POST", "/batches", body)
    assert answer.status == 202, answer.json
    await desk.go_on()
    return await state_of(desk, answer.json)


async def state_of(desk: Desk, batch: dict[str, Any]) -> dict[str, Any]:
    """A batch as it is now."""
    found: dict[str, Any] = (await desk.ask("GET", f"/batches/{batch['id']}", key="auditor")).json
    return found


@pytest.mark.parametrize("action", ["cancel", "close", "terminate"])
async def test_a_single_action_is_refused(desk: Desk, problems: Problems, action: str) -> None:
    """With the time at which it is allowed; nothing is sent, and the refusal is recorded."""
    answer = await desk.ask("POST", f"{JOB}/{action}")
    problem = problems.check(answer, answer.headers)
    assert (problem["status"], problem["code"], problem["outcome"]) == (409, "window-closed", "not_sent")
    assert "night" in problem["detail"]
    assert "2026-01-05T22:00:00Z" in problem["detail"]
    assert answer.headers["retry-after"] == "43200"
    assert desk.transport.requests == []
    (record,) = (await desk.ledger.page(Selection(), 10, None)).items
    assert (record.problem and record.problem.code, record.sent) == ("window-closed", ())
    assert audit.verify(desk.database).finding is None


async def test_it_is_done_once_the_window_is_open(desk: Desk) -> None:
    """The same request with the same key, which is done once: its answer is the same when the window has closed."""
    path = f"{JOB}/cancel"
    assert (await desk.ask("POST", path, idempotency_key="k")).status == 409
    desk.clock.advance(12 * HOUR)
    assert (await desk.ask("POST", path, idempotency_key="k")).status == 200
    desk.clock.advance(8 * HOUR)
    again = await desk.ask("POST", path, idempotency_key="k")
    assert (again.status, again.headers["idempotent-replayed"], desk.cancelled) == (200, "true", 1)


async def test_another_connection_is_not_held_back(desk: Desk) -> None:
    """A window that is not open says nothing about the others."""
    assert (await desk.ask("POST", "/connections/contoso-test/jobs/a/cancel")).status == 200


async def test_a_dry_run_is_allowed(desk: Desk) -> None:
    """It sends nothing."""
    assert (await desk.ask("POST", f"{JOB}/cancel?dryRun=true")).status == 200


async def test_azures_client_is_refused_in_azures_words(desk: Desk) -> None:
    """And is not told to retry: it would sleep until the evening."""
    path = f"/native/azure-job-router/contoso-prod/routing/jobs/{AZURE_JOB}:cancel?api-version=2023-11-01"
    answer = await call(desk.gateway.application, "POST", path, {}, key="alice")
    assert (answer.status, answer.json["error"]["code"]) == (409, "Conflict")
    assert "does not allow cancel" in answer.json["error"]["message"]
    assert "retry-after" not in answer.headers
    assert desk.transport.requests == []


async def test_a_batch_waits(desk: Desk) -> None:
    """It is ready, says for which window it waits, and begins when that opens."""
    batch = await batch_of(desk)
    assert (batch["state"], batch["why"]["code"]) == ("ready", "window-closed")
    assert "22:00" in batch["why"]["detail"]
    desk.clock.advance(12 * HOUR)
    await desk.go_on()
    done = await state_of(desk, batch)
    assert (done["state"], desk.cancelled, "why" in done) == ("completed", 3, False)
    assert audit.verify(desk.database).finding is None


async def test_a_batch_waits_until_its_deadline(desk: Desk) -> None:
    """And ends then, with nothing sent."""
    batch = await batch_of(desk, deadline="2026-01-05T21:00:00Z")
    desk.clock.advance(11 * HOUR)
    await desk.go_on()
    assert ((await state_of(desk, batch))["state"], desk.cancelled) == ("expired", 0)


async def test_a_batch_pauses_between_groups(catalogue: Catalogue, tmp_path: Path) -> None:
    """If the window closes while it runs, what is under way is finished, and the rest waits until it opens again."""
    desk = Desk(catalogue, tmp_path, windows=NIGHT)
    await desk.ledger.start()
    desk.clock.advance(12 * HOUR)
    jobs = [{"connection": "contoso-prod", "jobId": f"job-{number}"} for number in range(30)]
    body = {"action": "cancel", "reason": "r", "select": {"jobs": jobs}, "confirm": {"expectedCount": 30}}
    answer = await desk.ask("POST", "/batches", body)
    runner = desk.gateway.batch_runner
    assert runner is not None
    (lease,) = await runner.store.take(1)
    await runner.work(lease)

    async def close_the_window() -> None:
        desk.clock.advance(8 * HOUR)

    desk.transport.before_reply = close_the_window
    await desk.go_on()
    batch = await state_of(desk, answer.json)
    assert (batch["state"], batch["why"]["code"]) == ("ready", "window-closed")
    assert 0 < desk.cancelled < 30
    desk.clock.advance(16 * HOUR)
    await desk.go_on()
    batch = await state_of(desk, answer.json)
    assert (batch["state"], batch["progress"]["outcomes"], desk.cancelled) == ("completed", {"applied": 30}, 30)
    await desk.ledger.close()


async def test_a_batch_that_breaks_the_glass_does_not_wait(desk: Desk) -> None:
    """Its permission says so, and is recorded."""
    scopes = ("batches:*", "jobs:*", "connections:*", "schedules:*", "audit:read")
    desk.wired({"alice": scopes, "auditor": scopes}, windows=NIGHT)
    batch = await batch_of(desk, confirm={"expectedCount": 9})
    shown = {"manifestDigest": batch["manifest"]["digest"], "count": 3, "reason": "The hotline is down for everybody"}
    begun = await desk.ask("POST", f"/batches/{batch['id']}/break-glass", shown)
    assert begun.status == 200, begun.json
    await desk.go_on()
    assert ((await state_of(desk, batch))["state"], desk.cancelled) == ("completed", 3)


@pytest.mark.parametrize(("hour", "cancelled", "state"), [(2, 3, "completed"), (12, 0, "expired")])
async def test_a_schedule_goes_around_nothing(desk: Desk, hour: int, cancelled: int, state: str) -> None:
    """Its batch waits as every other one, but only for as long as it may be late."""
    answer = await desk.ask("POST", "/schedules", body_of(cron=f"0 {hour} * * *"))
    assert answer.status == 201
    desk.clock.advance(((hour - 10) % 24) * HOUR)
    await desk.go_on()
    desk.clock.advance(HOUR)
    await desk.go_on()
    (batch,) = await desk.batches()
    assert (batch["state"], desk.cancelled) == (state, cancelled)


async def test_windows_are_shown(desk: Desk) -> None:
    """As they are in the settings, whether they are open, and when that changes."""
    answer = await desk.ask("GET", "/windows", key="auditor")
    assert answer.json == {
        "items": [
            {
                "name": "night",
                "kind": "allow",
                "connections": ["contoso-prod"],
                "actions": ["*"],
                "cron": "0 22 * * *",
                "timeZone": "UTC",
                "duration": "PT8H",
                "open": False,
                "changesAt": "2026-01-05T22:00:00.000Z",
            }
        ],
        "nextCursor": None,
    }
    desk.clock.advance(DAY / 2)
    shown = (await desk.ask("GET", "/windows", key="auditor")).json["items"][0]
    assert (shown["open"], shown["changesAt"]) == (True, "2026-01-06T06:00:00.000Z")
