"""The life of a batch, by the API: prepared, confirmed, run, paused, resumed, aborted, tried again."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.app import Catalogue
from gateway.batches import sending
from gateway.batches.sending import PERMISSION_SECONDS
from gateway.domain.errors import LedgerUnavailable, VendorTimedOut
from gateway.domain.leases import Lease
from gateway.domain.model import HttpReply, HttpRequest
from gateway.ledger.audit import export, verify
from gateway.ledger.batch_store import BatchStore
from gateway.ledger.batches import DeleteOldBatches, ItemSelection
from gateway.ledger.database import Database
from gateway.ledger.ledger import SqlLedger
from gateway.ledger.stores import ProcessStore
from tests.batches.conftest import CONNECTION, House, database_of, house_at, queued, refs
from tests.ledger.writers import writing
from tests.support import vendors
from tests.support.clock import FakeClock
from tests.support.databases import Spy, sqlite_address
from tests.support.patience import eventually
from tests.support.transport import reply


async def test_every_job_gets_its_verdict_before_anything_is_sent(house: House) -> None:
    """A prepared batch shows what it will do with each job, and the vendor was asked for nothing."""
    house.vendor.jobs |= {"a": "queued", "b": "cancelled", "c": "closed"}
    batch = await house.go_on_until(await house.create("a", "b", "c", "a", "gone"), "awaiting_confirmation")
    verdicts = [(each["jobId"], each["verdict"], each["outcome"]) for each in await house.items(batch)]
    assert verdicts == [
        ("a", "will_act", "pending"),
        ("b", "already_so", "skipped"),
        ("c", "not_allowed", "skipped"),
        ("a", "duplicate", "skipped"),
        ("gone", "not_found", "skipped"),
    ]
    assert batch["manifest"]["count"] == 1
    assert not house.vendor.asked


async def test_what_cannot_be_read_is_left_alone(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a job, or the list that would show it, cannot be read, or its connection is gone, the item says why."""
    here, failing = queued(house, 2)
    answer = house.vendor.send

    async def send(request: HttpRequest, deadline: float) -> HttpReply:
        if request.url == vendors.TOKEN_URL:
            return vendors.token()
        if request.url.startswith(vendors.VONAGE) or f"/{failing}?" in request.url:
            return reply(503, {})
        return await answer(request, deadline)

    monkeypatch.setattr(house.vendor, "send", send)
    others = [{"connection": each, "jobId": vendors.VONAGE_JOB} for each in ("vonage-emea", "contoso-test")]
    new = await house.create(select={"jobs": [*refs([here, failing]), *others]})
    connections = house.gateway.directory.connections
    assert isinstance(connections, dict)
    monkeypatch.delitem(connections, "contoso-test")
    batch = await house.go_on_until(new, "awaiting_confirmation")
    assert [(each["verdict"], each.get("problem")) for each in await house.items(batch)] == [
        ("will_act", None),
        ("unreadable", "vendor-unavailable"),
        ("unreadable", "vendor-unavailable"),
        ("unreadable", "unknown-connection"),
    ]
    assert batch["manifest"]["verdicts"] == {"will_act": 1, "unreadable": 3}
    assert batch["progress"]["outcomes"] == {"pending": 1, "skipped": 3}


async def test_only_what_was_shown_can_be_confirmed(house: House) -> None:
    """Another digest or count is refused, and so is a confirmation that comes too late."""
    batch = await house.go_on_until(await house.create(*queued(house, 2)), "awaiting_confirmation")
    for wrong in ({"count": 3}, {"manifestDigest": "0" * 64}):
        assert (await house.confirm(batch, **wrong)).json["code"] == "manifest-differs"
    house.clock.advance(15 * 60)
    assert (await house.confirm(batch)).json["code"] == "wrong-batch-state"
    ended = await house.go_on_until(batch, "expired")
    assert ended["progress"]["outcomes"] == {"not_sent": 2}
    assert not house.vendor.asked


async def test_a_confirmed_batch_acts_once_on_each_job(house: House) -> None:
    """Each job is acted on once, by a job action under the item's key, and the reports are those in the chain."""
    jobs = queued(house, 40)[::-1]
    batch = await house.go_on_until(await house.create(*jobs), "awaiting_confirmation")
    assert (await house.confirm(batch)).status == 200
    ended = await house.go_on_until(batch, "completed")
    assert ended["outcome"] == "all_applied"
    assert set(house.vendor.asked.values()) == {1}
    assert len(house.vendor.asked) == 40
    item = (await house.items(batch))[6]
    record = (await house.ask("GET", f"/job-actions/{item['jobAction']}")).json
    assert (record["jobId"], record["idempotencyKey"]) == (item["jobId"], f"batch:{batch['id']}:7")
    report = await house.ask("GET", f"/batches/{batch['id']}/report")
    assert hashlib.sha256(report.body).hexdigest() == ended["report"]["sha256"]
    assert [json.loads(each)["position"] for each in report.body.splitlines()] == list(range(1, 41))
    table = await house.ask("GET", f"/batches/{batch['id']}/report?format=csv")
    assert table.headers["content-type"] == "text/csv"
    rows = [*csv.DictReader(io.StringIO(table.body.decode(), newline=""))]
    assert [(int(each["position"]), each["jobId"]) for each in rows] == [*enumerate(jobs, 1)]
    database = database_of(house)
    said = [json.loads(line) for line in export(database)]
    states = [each["told"]["state"] for each in said if each["kind"] == "state"]
    assert states == ["preparing", "awaiting_confirmation", "ready", "running", "completed"]
    noted = said[-1]["told"]["facts"]
    assert noted["reportSha256"] == ended["report"]["sha256"]
    assert noted["reportCsvSha256"] == hashlib.sha256(table.body).hexdigest()
    assert verify(database).finding is None


async def test_no_change_touches_the_id_of_a_row(house: House) -> None:
    """A database that distributes rows by it would refuse that, even if it stays as it is."""
    with Spy(database_of(house)) as statements:
        batch = await house.create(*queued(house, 3), confirm={"expectedCount": 3})
        await house.go_on_until(batch, "completed")
    changes = [each for each, _ in statements if each.startswith("UPDATE batches")]
    assert changes
    assert not [each for each in changes if "SET id=" in each or ", id=" in each]


async def test_the_expected_count_is_a_confirmation(house: House) -> None:
    """A batch that acts on exactly as many jobs as expected needs no person; any other number waits for one."""
    jobs = queued(house, 3)
    await house.go_on_until(await house.create(*jobs[:2], confirm={"expectedCount": 2}), "completed")
    await house.go_on_until(await house.create(jobs[2], confirm={"expectedCount": 2}), "awaiting_confirmation")


async def test_nothing_is_sent_after_a_pause(house: House) -> None:
    """What is under way at a pause is finished, nothing more is sent, and a resumed batch does the rest."""
    batch = await house.go_on_until(await house.create(*queued(house, 50)), "awaiting_confirmation")
    await house.confirm(batch)
    house.vendor.may_answer.clear()
    running = asyncio.create_task(house.go_on())
    await house.vendor.is_asked.wait()
    paused = await house.ask("POST", f"/batches/{batch['id']}/pause", {"reason": "the vendor asked us to"})
    assert paused.json["state"] == "pausing"
    house.vendor.may_answer.set()
    await running
    seen = await house.go_on_until(batch, "paused")
    before = sum(house.vendor.asked.values())
    assert 0 < before < 50
    assert seen["progress"]["outcomes"] == {"applied": before, "pending": 50 - before}
    assert seen["why"] == {"detail": "the vendor asked us to", "by": "default"}
    await house.go_on()
    assert sum(house.vendor.asked.values()) == before
    assert (await house.ask("POST", f"/batches/{batch['id']}/resume")).json["state"] == "ready"
    await house.go_on_until(batch, "completed")
    assert set(house.vendor.asked.values()) == {1}
    assert len(house.vendor.asked) == 50


async def test_nothing_is_sent_after_the_deadline(house: House) -> None:
    """An item whose turn comes after the deadline is not sent, although its group began before."""
    deadline = house.clock.now() + timedelta(seconds=300)
    written = deadline.isoformat().replace("+00:00", "Z")
    batch = await house.create(*queued(house, 30), deadline=written, limits={"ratePerSecond": 1})
    batch = await house.go_on_until(batch, "awaiting_confirmation")
    house.clock.advance((deadline - house.clock.now()).total_seconds() - 10)
    assert (await house.confirm(batch)).status == 200
    ended = await house.go_on_until(batch, "expired")
    sent = sum(house.vendor.asked.values())
    assert 0 < sent < 20  # the first group has 20 items, and a place for one of them in each second
    assert ended["progress"]["outcomes"] == {"applied": sent, "not_sent": 30 - sent}


async def test_a_running_batch_shows_its_rate(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it runs, a batch shows how many jobs it acts on in a second, and the time that the others will take."""
    monkeypatch.setattr(sending, "GROUP", 5)
    batch = await house.create(*queued(house, 60), limits={"ratePerSecond": 2})
    batch = await house.go_on_until(batch, "awaiting_confirmation")
    seen, answer = [], house.vendor.send

    async def send(request: HttpRequest, deadline: float) -> HttpReply:
        if request.method == "POST":
            seen.append((await house.ask("GET", f"/batches/{batch['id']}")).json["progress"])
        return await answer(request, deadline)

    monkeypatch.setattr(house.vendor, "send", send)
    await house.confirm(batch)
    ended = await house.go_on_until(batch, "completed")
    assert "ratePerSecond" not in seen[0]
    last = seen[-1]
    assert 1.5 < last["ratePerSecond"] <= 2  # the last group that has ended is not counted yet
    assert last["etaSeconds"] == pytest.approx(last["outcomes"]["pending"] / last["ratePerSecond"], abs=0.1)
    assert "etaSeconds" not in ended["progress"]


async def test_a_slow_batch_is_prepared_at_once(house: House) -> None:
    """The rate of a batch is that of its actions; nobody waits for it to see the manifest."""
    began = house.clock.now()
    batch = await house.create(*queued(house, 5), limits={"ratePerSecond": 0.01})
    await house.go_on_until(batch, "awaiting_confirmation")
    assert house.clock.now() - began < timedelta(seconds=100)


async def test_a_slow_batch_ends_its_run_soon_after_a_pause(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Items that wait for their turn give it up, so that the batch keeps no other one from running."""
    batch = await house.create(*queued(house, 5), limits={"ratePerSecond": 0.01})
    batch = await house.go_on_until(batch, "awaiting_confirmation")
    await house.confirm(batch)
    with monkeypatch.context() as slow:
        slow.setattr(house.clock, "sleep", lambda _: asyncio.sleep(0.01))  # the next turn never comes
        slow.setattr("gateway.batches.running.RENEW_SECONDS", 0.05)
        going = asyncio.create_task(house.go_on())
        await house.vendor.is_asked.wait()
        assert (await house.ask("POST", f"/batches/{batch['id']}/pause")).json["state"] == "pausing"
        await asyncio.wait_for(going, 20)
    seen = await house.go_on_until(batch, "paused")
    assert seen["progress"]["outcomes"] == {"applied": 1, "pending": 4}


async def test_a_ledger_that_fails_once_ends_no_renewals(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a renewal that the ledger could not store, the lease is renewed at the next time."""
    batch = await house.create(*queued(house, 5), limits={"ratePerSecond": 0.01})
    batch = await house.go_on_until(batch, "awaiting_confirmation")
    await house.confirm(batch)
    asked: list[Lease] = []
    postpone = BatchStore.postpone

    async def failing_once(store: BatchStore, lease: Lease, until: datetime) -> bool:
        asked.append(lease)
        if len(asked) == 1:
            raise LedgerUnavailable("The disk is full.")
        return await postpone(store, lease, until)

    async def is_renewed() -> bool:
        return len(asked) > 1

    with monkeypatch.context() as slow:
        slow.setattr(house.clock, "sleep", lambda _: asyncio.sleep(0.01))  # the next turn never comes
        slow.setattr("gateway.batches.running.RENEW_SECONDS", 0.05)
        slow.setattr(BatchStore, "postpone", failing_once)
        going = asyncio.create_task(house.go_on())
        await house.vendor.is_asked.wait()
        await eventually(is_renewed)
        assert (await house.ask("POST", f"/batches/{batch['id']}/pause")).json["state"] == "pausing"
        await asyncio.wait_for(going, 20)


async def test_an_aborted_batch_leaves_the_rest_alone_and_can_be_tried_again(house: House) -> None:
    """What was not sent when a batch was aborted is the whole of the batch that tries again."""
    batch = await house.go_on_until(await house.create(*queued(house, 5)), "awaiting_confirmation")
    await house.ask("POST", f"/batches/{batch['id']}/abort", {"reason": "wrong jobs"})
    ended = await house.go_on_until(batch, "aborted")
    assert (ended["outcome"], ended["progress"]["outcomes"]) == ("none_applied", {"not_sent": 5})
    again = (await house.ask("POST", f"/batches/{batch['id']}/redrive")).json
    assert again["redriveOf"] == batch["id"]
    assert (await house.go_on_until(again, "awaiting_confirmation"))["manifest"]["count"] == 5


async def test_too_many_refusals_stop_a_batch(house: House) -> None:
    """A batch whose items fail stops after the first of them, and a person can let it go on."""
    jobs = queued(house, 50)
    house.vendor.trouble = dict.fromkeys(jobs[:30], reply(400, {"error": {"code": "BadRequest", "message": "No."}}))
    batch = await house.go_on_until(await house.create(*jobs), "awaiting_confirmation")
    await house.confirm(batch)
    stopped = await house.go_on_until(batch, "stopped")
    assert stopped["why"]["code"] == "maxErrors"
    assert stopped["progress"]["outcomes"] == {"rejected": 20, "pending": 30}
    await house.ask("POST", f"/batches/{batch['id']}/resume")
    assert (await house.go_on_until(batch, "stopped", "completed"))["progress"]["outcomes"]["rejected"] == 30


async def test_doubt_stops_a_batch_before_errors_do(house: House) -> None:
    """More unknown outcomes than allowed stop a batch."""
    jobs = queued(house, 40)
    house.vendor.trouble = dict.fromkeys(jobs[:4], VendorTimedOut("No answer."))
    batch = await house.go_on_until(await house.create(*jobs), "awaiting_confirmation")
    await house.confirm(batch)
    stopped = await house.go_on_until(batch, "stopped")
    assert stopped["why"]["code"] == "maxUnknown"
    assert stopped["progress"]["outcomes"] == {"unknown": 4, "applied": 16, "pending": 20}


async def test_a_suspended_connection_stops_a_batch_before_it_sends(house: House) -> None:
    """A batch stops, with nothing sent and nothing failed, while its connection is suspended; then it can go on."""
    batch = await house.go_on_until(await house.create(*queued(house, 30)), "awaiting_confirmation")
    breaker = house.gateway.directory.connection(CONNECTION).pipeline.breaker
    for _ in range(vendors.ONE_ATTEMPT.breaker_failures):
        breaker.failed(is_trial=False)
    await house.confirm(batch)
    stopped = await house.go_on_until(batch, "stopped")
    assert stopped["why"]["code"] == "connection-suspended"
    assert stopped["progress"]["outcomes"] == {"pending": 30}
    assert not house.vendor.asked
    breaker.succeeded(is_trial=True)
    await house.ask("POST", f"/batches/{batch['id']}/resume")
    ended = await house.go_on_until(batch, "completed")
    assert ended["progress"]["outcomes"] == {"applied": 30}
    assert set(house.vendor.asked.values()) == {1}


@pytest.mark.parametrize(("age", "acts"), [(30, True), (90, False)])
async def test_an_old_plan_is_looked_at_again_before_what_must_not_be_repeated(
    house: House, age: float, acts: bool
) -> None:
    """If the plan is older than a minute, each job is read again, and skipped if it does not allow the action now."""
    jobs = queued(house, 3)
    batch = await house.go_on_until(await house.create(*jobs), "awaiting_confirmation")
    house.vendor.jobs[jobs[1]] = "closed"
    house.clock.advance(age)
    await house.confirm(batch)
    await house.go_on_until(batch, "completed")
    items = await house.items(batch)
    assert [each["outcome"] for each in items] == ["applied", "applied" if acts else "skipped", "applied"]
    assert (house.vendor.asked[jobs[1]] == 1) is acts


async def test_a_batch_finishes_when_its_doubts_are_settled(house: House) -> None:
    """An unknown outcome keeps a batch finishing until reconciliation has found it out."""
    jobs = queued(house, 5)
    house.vendor.trouble = {jobs[0]: VendorTimedOut("No answer.")}
    batch = await house.go_on_until(await house.create(*jobs), "awaiting_confirmation")
    await house.confirm(batch)
    await house.go_on_until(batch, "finishing")
    ended = await house.go_on_until(batch, "completed")
    assert ended["progress"]["outcomes"] == {"applied": 4, "rejected": 1}
    assert (await house.items(batch))[0]["problem"] == "not-carried-out"


async def test_one_batch_at_a_time_runs_on_a_connection(house: House) -> None:
    """A second batch of a connection waits, and one with a higher priority goes first."""
    first, second, third = queued(house, 3)
    low = await house.go_on_until(await house.create(first), "awaiting_confirmation")
    high = await house.go_on_until(await house.create(second, priority=90), "awaiting_confirmation")
    house.vendor.may_answer.clear()
    running = await house.go_on_until(await house.create(third), "awaiting_confirmation")
    await house.confirm(running)
    going = asyncio.create_task(house.go_on())
    await house.vendor.is_asked.wait()
    await house.confirm(low)
    await house.confirm(high)
    runner = house.gateway.batch_runner
    assert runner is not None
    await runner.look()
    for _ in range(50):
        await asyncio.sleep(0.005)
    assert not house.vendor.asked
    house.vendor.may_answer.set()
    await going
    await house.go_on_until(low, "completed")
    assert [*house.vendor.asked] == [third, second, first]


async def test_a_job_that_another_batch_holds_is_left_to_it(house: House) -> None:
    """A job that a confirmed batch will act on is not acted on by another one."""
    (job,) = queued(house, 1)
    batch = await house.go_on_until(await house.create(job, notBefore="2027-01-01T00:00:00Z"), "awaiting_confirmation")
    await house.confirm(batch)
    other = await house.go_on_until(await house.create(job), "completed")
    assert other["manifest"]["verdicts"] == {"held_by_other_batch": 1}


async def test_a_filter_is_frozen_when_it_is_prepared(house: House) -> None:
    """A job that comes later is not in the batch, and a large share of the jobs has to be confirmed as such."""
    queued(house, 3)
    house.vendor.jobs["done"] = "closed"
    select = {"filter": {"connections": [CONNECTION], "statuses": ["queued"]}}
    batch = await house.go_on_until(await house.create(select=select), "awaiting_confirmation")
    assert batch["manifest"]["share"] == 1.0
    queued(house, 1, first=9)
    assert (await house.confirm(batch)).json["code"] == "manifest-differs"
    assert (await house.confirm(batch, share=1.0)).status == 200
    await house.go_on_until(batch, "completed")
    assert sorted(house.vendor.asked) == ["job-0", "job-1", "job-2"]


async def test_a_filter_by_queue_and_type(house: House) -> None:
    """Only the jobs of that queue and that type are acted on; the share counts the others, too."""
    jobs = queued(house, 4)
    kinds = [(queue, channel) for queue in ("sales", "support") for channel in ("chat", "voice")]
    house.vendor.members = {
        job: {"queueId": queue, "channelId": channel} for job, (queue, channel) in zip(jobs, kinds, strict=True)
    }
    wanted = {"connections": [CONNECTION], "statuses": ["queued"], "queue": "support", "type": "chat"}
    batch = await house.go_on_until(await house.create(select={"filter": wanted}), "awaiting_confirmation")
    assert [each["jobId"] for each in await house.items(batch)] == [jobs[2]]
    assert (batch["manifest"]["count"], batch["manifest"]["share"]) == (1, 0.25)
    await house.confirm(batch, share=0.25)
    await house.go_on_until(batch, "completed")
    assert house.vendor.asked == {jobs[2]: 1}


async def test_a_job_that_hides_its_age_is_counted_and_left_alone(house: House) -> None:
    """A filter by age leaves a job alone that does not show its age, and the manifest says how many there are."""
    queued(house, 3)
    select = {"filter": {"connections": [CONNECTION], "olderThan": "PT1H"}}
    batch = await house.go_on_until(await house.create(select=select), "completed")
    assert (batch["manifest"]["count"], batch["manifest"]["leftOut"], batch["manifest"]["verdicts"]) == (0, 3, {})


async def test_jobs_come_in_pages_in_any_order(house: House) -> None:
    """Pages count once, whatever their order, and as JSON Lines too; the items have the order of the pages."""
    jobs = queued(house, 4)
    batch = await house.create(select={"pages": True})
    at = f"/batches/{batch['id']}/items?page="
    lines = b"\n".join(json.dumps({"connection": CONNECTION, "jobId": each}).encode() for each in jobs[2:])
    for _ in range(2):
        added = await house.ask("POST", f"{at}2", lines, content_type="application/x-ndjson")
        assert added.status == 200, added.body
    assert (await house.ask("POST", f"{at}1", refs(jobs[:2]))).json["progress"]["items"] == 4
    await house.ask("POST", f"/batches/{batch['id']}/prepare")
    shown = await house.go_on_until(batch, "awaiting_confirmation")
    assert [(each["position"], each["jobId"]) for each in await house.items(shown)] == [*enumerate(jobs, 1)]
    assert (await house.ask("POST", f"{at}3", refs(jobs[:1]))).json["code"] == "wrong-batch-state"


async def test_a_large_batch_is_aborted_before_it_begins(house: House) -> None:
    """A batch that would act on more jobs than the settings allow ends, with the reason."""
    batch = await house.go_on_until(await house.create(*queued(house, 61)), "aborted")
    assert batch["why"]["code"] == "maxItems"


async def test_the_same_request_makes_one_batch(house: House) -> None:
    """A repeated request with its key gets the batch that it made; another request with the key is refused."""
    (job,) = queued(house, 1)
    body = {"action": "cancel", "reason": "a test", "select": {"jobs": refs([job])}}
    first = await house.ask("POST", "/batches", body, Idempotency_Key="key-1")
    again = await house.ask("POST", "/batches", body, Idempotency_Key="key-1")
    assert (again.json["id"], again.headers["idempotent-replayed"]) == (first.json["id"], "true")
    other = await house.ask("POST", "/batches", {**body, "reason": "another"}, Idempotency_Key="key-1")
    assert other.json["code"] == "idempotency-key-reused"
    assert verify(database_of(house)).finding is None


async def test_what_no_vendor_could_do_is_refused_at_once(house: House) -> None:
    """An action, a parameter or a connection that does not exist is refused before there is a batch."""
    (job,) = queued(house, 1)
    body: dict[str, Any] = {"action": "cancel", "reason": "a test", "select": {"jobs": refs([job])}}
    wrong = {
        "action-not-supported": {**body, "action": "pause"},
        "parameter-not-supported": {**body, "parameters": {"colour": "red"}},
        "unknown-connection": {**body, "select": {"jobs": [{"connection": "nowhere", "jobId": job}]}},
    }
    for code, each in wrong.items():
        assert (await house.ask("POST", "/batches", each)).json["code"] == code
    assert (await house.ask("GET", "/batches")).json["items"] == []


async def test_another_process_can_write_batches(catalogue: Catalogue, tmp_path: Path) -> None:
    """Everything that a batch writes can be written by the process that writes for all workers."""
    clock, address = FakeClock(), sqlite_address(tmp_path)
    with writing(address, clock) as writer:
        house = house_at(catalogue, Database.at(address), clock, store=ProcessStore(writer.path))
        await house.gateway.ledger.start()
        jobs = queued(house, 40)
        batch = await house.create(select={"pages": True}, labels={"incident": "INC-43"}, limits={"maxErrors": 3})
        await house.ask("POST", f"/batches/{batch['id']}/items?page=7", refs(jobs))
        await house.ask("POST", f"/batches/{batch['id']}/prepare")
        await house.confirm(await house.go_on_until(batch, "awaiting_confirmation"))
        await house.go_on_until(batch, "completed")
        assert (len(house.vendor.asked), set(house.vendor.asked.values())) == (40, {1})
        found = await house.ask("GET", "/batches?label=incident=INC-43&connection=contoso-prod&state=completed")
        assert [each["id"] for each in found.json["items"]] == [batch["id"]]
        assert len((await house.ask("GET", "/job-actions?label=incident=INC-43")).json["items"]) == 40
        await house.gateway.close()


async def test_old_batches_are_deleted(house: House) -> None:
    """A batch that ended before the retention time is deleted; one that has not ended stays."""
    first, second = queued(house, 2)
    old = await house.go_on_until(await house.create(first, confirm={"expectedCount": 1}), "completed")
    new = await house.go_on_until(await house.create(second, notBefore="2027-01-01T00:00:00Z"), "awaiting_confirmation")
    await house.confirm(new)
    house.clock.advance(8 * 24 * 3_600)
    await house.gateway.ledger.tidy(house.clock.now())
    assert (await house.ask("GET", f"/batches/{old['id']}")).json["code"] == "unknown-batch"
    assert (await house.ask("GET", f"/batches/{new['id']}")).json["state"] == "ready"
    assert verify(database_of(house)).finding is None


async def test_a_large_batch_is_deleted_in_parts(house: House) -> None:
    """An old batch goes a number of items at a time, so that nobody waits for one long commit."""
    batch = await house.create(*queued(house, 5))
    await house.ask("POST", f"/batches/{batch['id']}/abort")
    await house.go_on_until(batch, "aborted")
    ledger, places = house.gateway.ledger, []
    assert isinstance(ledger, SqlLedger)
    now = house.clock.now()
    while await ledger.write(DeleteOldBatches(now + timedelta(seconds=1), now, limit=2)):
        chosen = ItemSelection(batch["id"], prepared=None)
        places.append([each.position for each in await BatchStore(ledger, house.clock).items(chosen)])
    assert places == [[3, 4, 5], [5], []]
    assert (await house.ask("GET", f"/batches/{batch['id']}")).json["code"] == "unknown-batch"


async def test_a_gateway_that_stops_finishes_its_group(house: House) -> None:
    """A stopping gateway sends no further group, and the next one goes on at once."""
    batch = await house.go_on_until(await house.create(*queued(house, 50)), "awaiting_confirmation")
    await house.confirm(batch)
    house.vendor.may_answer.clear()
    going = asyncio.create_task(house.go_on())
    await house.vendor.is_asked.wait()
    house.gateway.stopping.set()
    house.vendor.may_answer.set()
    await going
    assert sum(house.vendor.asked.values()) == 20
    house.gateway.stopping.clear()
    await house.go_on()
    assert (await house.ask("GET", f"/batches/{batch['id']}")).json["state"] == "completed"


async def test_a_node_that_ends_in_the_middle_is_followed_by_another(house: House) -> None:
    """What a node has sent when it ends is found out by the next one, which sends only the rest."""
    batch = await house.go_on_until(await house.create(*queued(house, 50)), "awaiting_confirmation")
    await house.confirm(batch)
    house.vendor.acts_first = True
    house.vendor.may_answer.clear()
    going = asyncio.create_task(house.go_on())
    await house.vendor.is_asked.wait()
    runner = house.gateway.batch_runner
    assert runner is not None
    for task in (going, *runner.under_way):
        task.cancel()
    await asyncio.gather(going, *runner.under_way, return_exceptions=True)
    assert 0 < sum(house.vendor.asked.values()) < 50
    house.vendor.may_answer.set()
    house.clock.advance(31)
    ended = await house.go_on_until(batch, "completed")
    # What was recorded as sent, and had not left when the node ended, was not carried out.
    outcomes = ended["progress"]["outcomes"]
    assert outcomes["applied"] + outcomes.get("rejected", 0) == 50
    assert (len(house.vendor.asked), set(house.vendor.asked.values())) == (outcomes["applied"], {1})


async def test_jobs_have_to_be_added_within_a_day(house: House) -> None:
    """A batch whose jobs are never all there expires after a day, and its report names those that were added."""
    batch = await house.create(select={"pages": True})
    await house.ask("POST", f"/batches/{batch['id']}/items?page=2", refs(queued(house, 2)))
    await house.go_on()
    house.clock.advance(24 * 3_600 - 60)
    await house.go_on()
    assert (await house.ask("GET", f"/batches/{batch['id']}")).json["state"] == "collecting"
    house.clock.advance(60)
    ended = await house.go_on_until(batch, "expired")
    assert (ended["progress"]["outcomes"], ended["report"]["items"]) == ({"not_sent": 2}, 2)


async def test_the_report_names_jobs_that_were_never_read(house: House) -> None:
    """A batch that is aborted before it is prepared reports each job as not sent, and can be tried again."""
    batch = await house.create(*queued(house, 2))
    await house.ask("POST", f"/batches/{batch['id']}/abort")
    ended = await house.go_on_until(batch, "aborted")
    report = await house.ask("GET", f"/batches/{batch['id']}/report")
    lines = [json.loads(each) for each in report.body.splitlines()]
    assert [(each["jobId"], each["outcome"]) for each in lines] == [("job-0", "not_sent"), ("job-1", "not_sent")]
    assert ended["report"] == {"sha256": hashlib.sha256(report.body).hexdigest(), "items": 2}
    again = (await house.ask("POST", f"/batches/{batch['id']}/redrive")).json
    assert (await house.go_on_until(again, "awaiting_confirmation"))["manifest"]["count"] == 2


async def test_a_job_is_read_again_when_its_plan_is_old(house: House) -> None:
    """Once a plan is older than a minute, a job that does not allow the action any more is skipped, with its statuses.

    That holds in the middle of a run, too.
    """
    jobs = queued(house, 50)
    batch = await house.go_on_until(await house.create(*jobs), "awaiting_confirmation")
    going = await begun(house, batch)
    house.clock.advance(61)
    house.vendor.jobs[jobs[49]] = "closed"
    house.vendor.may_answer.set()
    await going
    ended = await house.go_on_until(batch, "completed")
    assert ended["progress"]["outcomes"] == {"applied": 49, "skipped": 1}
    last = (await house.items(batch))[49]
    assert (last["outcome"], last["detail"]) == ("skipped", "The job was queued, and is closed now.")
    assert jobs[49] not in house.vendor.asked


async def test_a_revoked_key_stops_its_running_batch(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within seconds after the last key of its caller is revoked, a running batch stops, with what is under way."""
    batch = await house.go_on_until(await house.create(*queued(house, 50)), "awaiting_confirmation")
    going = await begun(house, batch)
    house.clock.advance(6)
    with monkeypatch.context() as revoked:
        revoked.setattr(house.gateway.keyring, "named", lambda *_: ())
        house.vendor.may_answer.set()
        await going
    stopped = await house.go_on_until(batch, "stopped")
    assert (stopped["why"]["code"], stopped["progress"]["outcomes"]) == (
        "configuration-changed",
        {"applied": 20, "pending": 30},
    )


async def test_a_revoked_key_stops_what_waits_for_its_turn(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow a batch is, an item of the group under way is not sent seconds after the permission has ended."""

    async def sleep(seconds: float) -> None:
        until = house.clock.monotonic() + seconds
        while house.clock.monotonic() < until:  # noqa: ASYNC110 - the test moves the clock
            await asyncio.sleep(0)

    monkeypatch.setattr(house.clock, "sleep", sleep)
    batch = await house.create(*queued(house, 20), limits={"ratePerSecond": 1})
    batch = await house.go_on_until(batch, "awaiting_confirmation")
    await house.confirm(batch)
    going = asyncio.create_task(house.go_on())
    await house.vendor.is_asked.wait()
    with monkeypatch.context() as revoked:
        revoked.setattr(house.gateway.keyring, "named", lambda *_: ())
        while not going.done():
            house.clock.advance(1)
            await asyncio.wait({going}, timeout=0.05)
    stopped = await house.go_on_until(batch, "stopped")
    assert stopped["why"]["code"] == "configuration-changed"
    assert sum(house.vendor.asked.values()) <= PERMISSION_SECONDS + 2  # the first, and one in each second


async def test_a_deadline_holds_while_a_job_is_read_again(house: House) -> None:
    """An item whose job is read again, since the plan is old, is not sent if the deadline passes meanwhile."""
    deadline = (house.clock.now() + timedelta(minutes=10)).isoformat().replace("+00:00", "Z")
    batch = await house.create(*queued(house, 1), deadline=deadline)
    batch = await house.go_on_until(batch, "awaiting_confirmation")
    house.clock.advance(61)
    await house.confirm(batch)
    house.vendor.before_read = lambda: house.clock.advance(600)
    ended = await house.go_on_until(batch, "expired")
    assert ended["progress"]["outcomes"] == {"not_sent": 1}
    assert not house.vendor.asked


async def begun(house: House, batch: Mapping[str, Any]) -> asyncio.Task[None]:
    """Confirm a batch, and let it run until the vendor holds its first answers back."""
    await house.confirm(batch)
    house.vendor.may_answer.clear()
    going = asyncio.create_task(house.go_on())
    await house.vendor.is_asked.wait()
    return going
