"""Schedules, from their creation to their batches."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.app import Catalogue
from gateway.domain.leases import LeaseLost
from gateway.ledger import audit
from gateway.ledger.ledger import SqlLedger
from gateway.ledger.schedules import Occurrence, lines
from gateway.schedules.running import ScheduleRunner
from gateway.telemetry.metrics import SCHEDULES_SKIPPED
from tests.schedules.fixtures import CALLERS, DAY, Desk, body_of
from tests.support.clock import NOW
from tests.support.problems import Problems
from tests.telemetry.fixtures import counting

TO_TWO = 16 * 3_600.0
"""Seconds from ten in the morning to two at night."""
MINUTE, HOUR = 60.0, 3_600.0


async def nights(desk: Desk, number: int, jobs: int | None = None) -> None:
    """So many nights, each with its occurrence."""
    for _ in range(number):
        desk.jobs = desk.jobs if jobs is None else jobs
        desk.clock.advance(DAY)
        await desk.go_on()


async def test_a_recurring_schedule_makes_a_batch_each_time(desk: Desk) -> None:
    """The filter is resolved anew; each batch has the schedule's caller, and confirms itself."""
    schedule = await desk.scheduled()
    assert schedule["nextOccurrences"][:2] == ["2026-01-06T02:00:00.000Z", "2026-01-07T02:00:00.000Z"]
    desk.clock.advance(TO_TWO - 1)
    await desk.go_on()
    assert (await desk.batches(), desk.cancelled) == ([], 0)
    desk.clock.advance(1)
    await desk.go_on()
    await nights(desk, 1, jobs=4)
    batches = await desk.batches()
    assert [(each["state"], each["manifest"]["count"], each["caller"]) for each in batches] == [
        ("completed", 4, "alice"),
        ("completed", 3, "alice"),
    ]
    assert {each["schedule"] for each in batches} == {schedule["id"]}
    now = await desk.schedule(schedule["id"])
    assert (now["lastBatch"], now["skipped"], now["state"]) == (batches[0]["id"], 0, "active")
    assert desk.events == ["active", "run", "run"]
    assert audit.verify(desk.database).finding is None


async def test_a_schedule_runs_once(desk: Desk) -> None:
    """And has ended then."""
    schedule = await desk.scheduled(runAt="2026-01-05T11:00:00Z")
    desk.clock.advance(HOUR)
    await desk.go_on()
    assert (await desk.schedule(schedule["id"]))["state"] == "ended"
    await nights(desk, 2)
    assert desk.cancelled == 3
    assert desk.events == ["active", "run", "ended"]


@pytest.mark.parametrize(
    ("late", "more", "runs", "skipped"),
    [
        pytest.param(5 * MINUTE, {}, 1, 0, id="in time"),
        pytest.param(5 * MINUTE + 1, {}, 0, 1, id="too late"),
        pytest.param(2 * HOUR, {"startWithin": "PT2H"}, 1, 0, id="a longer time"),
        pytest.param(2 * DAY + HOUR, {}, 0, 3, id="three missed"),
        pytest.param(2 * DAY + HOUR, {"catchUp": "once"}, 1, 2, id="one for all"),
        pytest.param(6 * MINUTE, {"cron": "0,5 2 * * *"}, 1, 1, id="the last of two"),
    ],
)
async def test_late_is_worse_than_never(desk: Desk, late: float, more: dict[str, Any], runs: int, skipped: int) -> None:
    """What cannot begin in time is skipped, each with an event and a line; only `once` catches up, with one batch."""
    schedule = await desk.scheduled(**more)
    desk.clock.advance(TO_TWO + late)
    with counting() as counted:
        await desk.go_on()
    assert counted.of(SCHEDULES_SKIPPED) == ({("missed",): skipped} if skipped else {})
    now = await desk.schedule(schedule["id"])
    assert (len(await desk.batches()), now["skipped"]) == (runs, skipped)
    assert desk.events == ["active", *["skipped"] * skipped, *["run"] * runs]
    assert ("lastSkipped" in now) == bool(skipped)
    assert now["state"] == "active"


async def test_a_batch_begins_in_time_or_not_at_all(desk: Desk) -> None:
    """If it was made in time, and could not begin then, it ends."""
    await desk.scheduled()
    desk.clock.advance(TO_TWO)
    schedules = desk.gateway.schedules
    assert schedules is not None
    await ScheduleRunner(schedules).look()
    desk.clock.advance(5 * MINUTE + 1)
    await desk.go_on()
    (batch,) = await desk.batches()
    assert (batch["state"], batch["why"]["code"], desk.cancelled) == ("expired", "startWithin", 0)


@pytest.mark.parametrize(
    ("before", "jobs", "state"),
    [
        pytest.param(10, 20, "completed", id="twice as many"),
        pytest.param(10, 21, "awaiting_confirmation", id="more"),
        pytest.param(10, 5, "completed", id="half as many"),
        pytest.param(10, 4, "awaiting_confirmation", id="fewer"),
        pytest.param(10, 0, "completed", id="none"),
        pytest.param(None, 31, "awaiting_confirmation", id="more than expected"),
        pytest.param(None, 30, "completed", id="as many as expected"),
    ],
)
async def test_a_size_that_jumps_waits_for_a_person(desk: Desk, before: int | None, jobs: int, state: str) -> None:
    """Against the mean of the last ones, and against `expectAtMost`; a person can confirm it for a day."""
    await desk.scheduled(expectAtMost=30)
    desk.clock.advance(TO_TWO - DAY)
    if before is not None:
        await nights(desk, 2, jobs=before)
    sent = desk.cancelled
    await nights(desk, 1, jobs=jobs)
    batch = (await desk.batches())[0]
    assert batch["state"] == state
    assert desk.cancelled - sent == (jobs if state == "completed" else 0)
    if state == "awaiting_confirmation":
        assert batch["why"]["code"] == "unexpected-size"
        desk.clock.advance(23 * HOUR)
        shown = {"manifestDigest": batch["manifest"]["digest"], "count": batch["manifest"]["count"]}
        assert (await desk.ask("POST", f"/batches/{batch['id']}/confirm", shown)).status == 200
        await desk.go_on()
        assert desk.cancelled - sent == jobs


async def test_a_large_share_waits_for_a_person(desk: Desk) -> None:
    """An expected number of jobs that is a larger share than the guard rail allows waits, and says so."""
    await desk.scheduled(expectAtMost=30, batch={"limits": {"maxShare": 0.9}})
    desk.clock.advance(TO_TWO - DAY)
    await nights(desk, 1, jobs=10)
    (batch,) = await desk.batches()
    assert (batch["state"], batch["why"]["code"]) == ("awaiting_confirmation", "maxShare")
    assert desk.cancelled == 0


async def test_an_occurrence_does_not_overlap_the_one_before(desk: Desk) -> None:
    """While the last batch waits for a person, the next one is skipped."""
    schedule = await desk.scheduled(expectAtMost=2, cron="0 * * * *")
    desk.clock.advance(HOUR)
    await desk.go_on()
    desk.clock.advance(HOUR)
    with counting() as counted:
        await desk.go_on()
    assert counted.of(SCHEDULES_SKIPPED) == {("overlapping",): 1}
    now = await desk.schedule(schedule["id"])
    assert (len(await desk.batches()), now["skipped"]) == (1, 1)
    assert "has not ended" in now["lastSkipped"]["reason"]


async def test_old_schedules_are_deleted(desk: Desk) -> None:
    """Past the retention time, a deleted schedule goes with its occurrences, and old occurrences of one that stays."""
    going, deleted = [await desk.scheduled(name=name, catchUp="once") for name in ("going", "deleted")]
    desk.clock.advance(TO_TWO)
    await desk.go_on()
    await desk.ask("DELETE", f"/schedules/{deleted['id']}")
    keeps = SqlLedger(desk.database, desk.clock, timedelta(days=7))
    await keeps.start()
    await keeps.tidy(desk.clock.now())
    assert occurrences(desk, going["id"]) == occurrences(desk, deleted["id"]) == 1
    desk.clock.advance(8 * DAY)
    await keeps.tidy(desk.clock.now())
    await keeps.close()
    assert occurrences(desk, going["id"]) == occurrences(desk, deleted["id"]) == 0
    assert (await desk.ask("GET", f"/schedules/{deleted['id']}", key="auditor")).status == 404
    assert (await desk.schedule(going["id"]))["state"] == "active"
    await desk.go_on()
    assert occurrences(desk, going["id"]) > 0
    assert audit.verify(desk.database).finding is None


def occurrences(desk: Desk, schedule: str) -> int:
    """The number of stored occurrences of a schedule."""
    with desk.database.reading.connect() as connection:
        return len(lines(connection, schedule, 100))


async def test_two_stopped_batches_pause_a_schedule(desk: Desk) -> None:
    """Until somebody resumes it."""
    schedule = await desk.scheduled(batch={"limits": {"maxShare": 1, "maxErrors": 1, "maxUnknown": 0}})
    desk.clock.advance(TO_TWO - DAY)
    desk.refuses = True
    await nights(desk, 2)
    assert [each["state"] for each in await desk.batches()] == ["stopped", "stopped"]
    await nights(desk, 1)
    now = await desk.schedule(schedule["id"])
    assert (now["state"], now["nextOccurrences"]) == ("paused", [])
    assert "were stopped" in now["why"]["detail"]
    assert len(await desk.batches()) == 2
    resumed = await desk.ask("POST", f"/schedules/{schedule['id']}/resume", {"reason": "Mended"})
    assert (resumed.json["state"], resumed.json["why"]) == ("active", {"detail": "Mended", "by": "alice"})


@pytest.mark.parametrize(
    ("left", "said"),
    [
        ({}, "alice has no valid key any more"),
        ({"alice": ("batches:*", "schedules:*", "connections:*")}, "scope jobs:cancel"),
        ({"alice": ("batches:*", "schedules:*", "jobs:*", "connections:other")}, "scope connections:contoso-prod"),
        ({"alice": ("batches:*", "jobs:*", "connections:*")}, "scope schedules:write"),
    ],
)
async def test_a_schedule_dies_with_its_key_and_scopes(desk: Desk, left: dict[str, tuple[str, ...]], said: str) -> None:
    """Its caller's scopes count as they are when it runs; without one, it is paused, and says which."""
    schedule = await desk.scheduled()
    desk.wired({**left, "auditor": CALLERS["auditor"]})
    desk.clock.advance(TO_TWO)
    await desk.go_on()
    now = await desk.schedule(schedule["id"])
    assert (now["state"], desk.cancelled) == ("paused", 0)
    assert said in now["why"]["detail"]


async def test_a_key_of_another_owner_does_not_count(desk: Desk) -> None:
    """Although its caller has the same name."""
    schedule = await desk.scheduled()
    desk.wired(owner="somebody-else")
    desk.clock.advance(TO_TWO)
    await desk.go_on()
    assert ((await desk.schedule(schedule["id"]))["state"], desk.cancelled) == ("paused", 0)


async def test_a_connection_that_is_gone_pauses_a_schedule(desk: Desk) -> None:
    """Nothing is skipped silently."""
    jobs = [{"connection": "contoso-test", "jobId": "a"}]
    schedule = await desk.scheduled(batch={"select": {"jobs": jobs}})
    del desk.gateway.directory.connections["contoso-test"]  # type: ignore[attr-defined]
    desk.clock.advance(TO_TWO)
    await desk.go_on()
    assert (await desk.schedule(schedule["id"]))["state"] == "paused"


async def test_pause_resume_and_delete(desk: Desk, problems: Problems) -> None:
    """With a note; what was missed in a pause is not caught up with; only its caller can do it."""
    schedule = await desk.scheduled(catchUp="once")
    path = f"/schedules/{schedule['id']}"
    for key, status in (("bob", 404), ("auditor", 403)):
        answer = await desk.ask("POST", f"{path}/pause", key=key)
        assert problems.check(answer, answer.headers)["status"] == status
    paused = await desk.ask("POST", f"{path}/pause", {"reason": "Holidays"})
    assert (paused.json["state"], paused.json["why"]) == ("paused", {"detail": "Holidays", "by": "alice"})
    again = await desk.ask("POST", f"{path}/pause")
    assert problems.check(again, again.headers)["code"] == "wrong-schedule-state"
    await nights(desk, 2)
    resumed = await desk.ask("POST", f"{path}/resume")
    assert resumed.json["nextOccurrences"][0] == "2026-01-08T02:00:00.000Z"
    await desk.go_on()
    assert desk.cancelled == 0
    assert (await desk.ask("DELETE", path)).json["state"] == "deleted"
    await nights(desk, 2)
    assert desk.cancelled == 0
    assert (await desk.ask("GET", "/schedules")).json["items"] == []
    assert desk.events == ["active", "paused", "active", "deleted"]


async def test_a_dry_run_shows_what_would_be(desk: Desk) -> None:
    """The next five occurrences, over the change of clocks, and the jobs that the filter finds now. Nothing is made."""
    desk.clock.jump(timedelta(days=80))
    body = body_of(cron="30 2 * * *", timeZone="Europe/Amsterdam")
    answer = await desk.ask("POST", "/schedules?dryRun=true", body)
    assert (answer.status, answer.json["found"], answer.json["startWithin"]) == (200, 3, "PT5M")
    assert answer.json["nextOccurrences"][2:] == [
        "2026-03-29T01:00:00.000Z",
        "2026-03-30T00:30:00.000Z",
        "2026-03-31T00:30:00.000Z",
    ]
    assert (await desk.ask("GET", "/schedules")).json["items"] == []
    assert desk.events == []


@pytest.mark.parametrize(
    ("more", "status", "said"),
    [
        ({"cron": "61 2 * * *"}, 422, "/body/cron is not valid: bad minute"),
        ({"timeZone": "Mars/Olympus"}, 422, "/body/timeZone is no time zone"),
        ({"runAt": "2026-01-05T09:00:00Z"}, 422, "/body/runAt is not in the future"),
        ({"runAt": "2026-01-06T09:00:00Z", "cron": "0 2 * * *"}, 422, "beside runAt"),
        ({"startWithin": "P32D"}, 422, "longer than P31D"),
        ({"batch": {"action": "restart"}}, 422, "has no restart"),
        ({"batch": {"action": "close", "parameters": {"closeAt": "2100-01-01T00:00:00Z"}}}, 201, ""),
    ],
)
async def test_requests_that_are_refused(
    desk: Desk, problems: Problems, more: dict[str, Any], status: int, said: str
) -> None:
    """With the place, and what is wrong there."""
    answer = await desk.ask("POST", "/schedules", body_of(**more))
    assert answer.status == status, answer.json
    if status != 201:
        assert said in problems.check(answer, answer.headers)["detail"]


async def test_the_caller_needs_the_scope_of_the_action(desk: Desk) -> None:
    """When it creates a schedule, too."""
    assert (await desk.ask("POST", "/schedules", body_of(), key="weak")).status == 403


async def test_the_same_request_makes_one_schedule(desk: Desk) -> None:
    """Under the same key; another request under it is refused."""
    first = await desk.ask("POST", "/schedules", body_of(), idempotency_key="k")
    second = await desk.ask("POST", "/schedules", body_of(), idempotency_key="k")
    assert (second.json["id"], second.headers["idempotent-replayed"]) == (first.json["id"], "true")
    other = await desk.ask("POST", "/schedules", body_of(name="other"), idempotency_key="k")
    assert other.json["code"] == "idempotency-key-reused"
    assert audit.verify(desk.database).finding is None


async def test_an_occurrence_is_unique(desk: Desk) -> None:
    """A second batch for the same time is refused by the database, whoever asks for it."""
    schedule_id = (await desk.scheduled())["id"]
    schedules = desk.gateway.schedules
    assert schedules is not None
    stored = await schedules.get(schedule_id, None)
    line = Occurrence(NOW, skipped="once")
    assert await schedules.store.save(stored, [], occurrences=[line]) == "saved"
    assert await schedules.store.save(stored, [], occurrences=[line]) == "saved"  # the same write again
    later = await schedules.get(schedule_id, None)
    assert await schedules.store.save(later, [], occurrences=[line]) == "changed"
    assert len(await schedules.store.lines(schedule_id, 10)) == 1


async def test_two_nodes_make_one_batch(desk: Desk, catalogue: Catalogue, tmp_path: Path) -> None:
    """A node that stands still past its lease finds that another one was faster, and writes nothing."""
    other = Desk(catalogue, tmp_path, desk.clock)
    await other.ledger.start()
    schedule = await desk.scheduled()
    desk.clock.advance(TO_TWO)
    assert desk.gateway.schedules is not None
    assert other.gateway.schedules is not None
    slow, fast = ScheduleRunner(desk.gateway.schedules), ScheduleRunner(other.gateway.schedules)
    (lease,) = await slow.schedules.store.take(16)
    stale = await slow.schedules.get(schedule["id"], None)
    assert stale.next_at is not None
    assert await fast.look() == 0
    desk.clock.advance(31)
    assert await fast.look() == 1
    with pytest.raises(LeaseLost):
        await slow._occur(stale, stale.next_at, lease)
    assert await slow.look() == 0
    assert len(await desk.batches()) == 1
    assert len(await slow.schedules.store.lines(schedule["id"], 10)) == 1
    await other.ledger.close()


async def test_a_schedule_that_is_paused_while_it_runs_makes_no_batch(desk: Desk) -> None:
    """Whoever pauses it takes it from the node that works on it."""
    schedule = await desk.scheduled()
    desk.clock.advance(TO_TWO)
    assert desk.gateway.schedules is not None
    runner = ScheduleRunner(desk.gateway.schedules)
    (lease,) = await runner.schedules.store.take(16)
    stored = await runner.schedules.get(schedule["id"], None)
    await desk.ask("POST", f"/schedules/{schedule['id']}/pause")
    assert stored.next_at is not None
    with pytest.raises(LeaseLost):
        await runner._occur(stored, stored.next_at, lease)
    assert await desk.batches() == []
