"""Reconciliation: the job is read until it shows the outcome, or until reconciliation gives up."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from gateway.domain.errors import LedgerUnavailable, VendorTimedOut, VendorUnreachable
from gateway.domain.model import Job, Outcome
from gateway.domain.record import JobActionRecord, JobActionStatus, Sent, SettledBy, problem_of
from gateway.engine.connections import Connection
from gateway.engine.evidence import Evidence
from gateway.engine.jobs import Jobs
from gateway.engine.reconciliation import Schedule, lease
from tests.support.clock import NOW
from tests.support.scripted_engine import MakeEngine, ScriptedEngine
from tests.support.transport import Line, reply
from tests.support.vendors import ASSIGNMENT, TARGETS, Target, assignment, azure_error, azure_job

CANCEL, CLOSE, VONAGE_CANCEL, RESTART, PAUSE = TARGETS
SILENCE = VendorTimedOut("The vendor did not answer in time.")
CONFIRMED_AFTER = [0.5, 2, 5, 15]


def before(target: Target) -> list[Line]:
    """The requests that precede the action."""
    return list(target.before())


async def unknown(made: ScriptedEngine, target: Target) -> JobActionRecord:
    """Perform an action whose reply is lost."""
    made.transport.script.extend([*before(target), SILENCE])
    record = (await made.actions.perform(made.ask(target))).record
    assert record.status is JobActionStatus.UNSETTLED
    return record


async def looked_at(made: ScriptedEngine, seconds: float, *script: Line) -> JobActionRecord | None:
    """Let time pass and the reconciler run. Return the record, or None if none was due."""
    made.clock.advance(seconds)
    made.transport.script.extend(script)
    looked_after = await made.reconciler.reconcile_due()
    assert not made.transport.script, "the vendor was asked less often than the test thinks"
    return looked_after[0] if looked_after else None


@pytest.mark.parametrize("target", [CANCEL, VONAGE_CANCEL, RESTART, PAUSE], ids=str)
async def test_a_job_that_shows_the_effect_settles_the_outcome(make_engine: MakeEngine, target: Target) -> None:
    """A job in the status that only the action leads to: applied, by a reading, and nothing is sent again."""
    made = make_engine()
    await unknown(made, target)
    record = await looked_at(made, 0.5, target.job(target.vendor_status))
    assert record is not None
    assert (record.outcome, record.status) == (Outcome.APPLIED, JobActionStatus.SUCCEEDED)
    assert record.conclusion is not None
    assert record.conclusion.settled_by is SettledBy.READING
    assert record.job is not None
    assert record.job.vendor_status == target.vendor_status
    assert [each.job and each.job.vendor_status for each in record.readings] == [target.vendor_status]
    assert len(made.actions_sent) == 1


@pytest.mark.parametrize("target", [CANCEL, VONAGE_CANCEL, PAUSE], ids=str)
async def test_a_job_that_stays_as_it_was_was_not_acted_on(make_engine: MakeEngine, target: Target) -> None:
    """Where the job is still in a status that allows the action at the last reading, it was not carried out."""
    made = make_engine()
    await unknown(made, target)
    record = None
    for passed, earlier in zip(CONFIRMED_AFTER, [0.0, *CONFIRMED_AFTER], strict=False):
        assert record is None or not record.is_settled
        assert await looked_at(made, (passed - earlier) / 2) is None
        record = await looked_at(made, (passed - earlier) / 2, target.job(target.allowed_in))
    assert record is not None
    assert (record.outcome, record.status) == (Outcome.REJECTED, JobActionStatus.FAILED)
    problem = problem_of(record)
    assert (problem.code, problem.may_be_retried) == ("not-carried-out", False)
    assert len(record.readings) == len(CONFIRMED_AFTER)
    assert len(made.actions_sent) == 1


async def test_a_job_that_allows_the_action_no_more_is_certain_at_once(make_engine: MakeEngine) -> None:
    """A job that has ended in another way was not cancelled, and will not be by a request that is late."""
    made = make_engine()
    await unknown(made, VONAGE_CANCEL)
    record = await looked_at(made, 0.5, VONAGE_CANCEL.job("Completed"))
    assert record is not None
    assert (record.outcome, record.is_settled) == (Outcome.REJECTED, True)


async def test_a_job_that_went_on_after_the_action_shows_it_too(make_engine: MakeEngine) -> None:
    """A restarted export that the vendor has begun is one that was restarted: the vendor's own moves count."""
    made = make_engine()
    await unknown(made, RESTART)
    record = await looked_at(made, 0.5, RESTART.job("Running"))
    assert record is not None
    assert record.outcome is Outcome.APPLIED


async def test_a_status_that_fits_both_settles_nothing(make_engine: MakeEngine) -> None:
    """A failed export may be an old or a new failure, so it is read until reconciliation gives up."""
    made = make_engine()
    await unknown(made, RESTART)
    record = None
    for seconds in (0.5, 1.5, 3, 10, *[60] * 59):
        assert record is None or not record.is_settled
        record = await looked_at(made, seconds, RESTART.job("Failed"))
    assert record is not None
    assert (record.outcome, record.status) == (Outcome.UNKNOWN, JobActionStatus.UNSETTLED)
    assert record.conclusion is not None
    assert record.conclusion.settled_by is SettledBy.GAVE_UP
    assert record.problem is not None
    assert record.problem.code == "vendor-timed-out"
    assert record.completed_at is not None
    assert await looked_at(made, 3_600) is None


async def test_an_assignment_that_is_closed_is_evidence(make_engine: MakeEngine) -> None:
    """Of several assignments one can be closed while the job stays completed: the assignment tells."""
    times = {"completedAt": "2026-01-05T09:40:00.1111111+00:00"}
    closed = assignment(**times, closedAt="2026-01-05T09:41:00.1111111+00:00")
    made = make_engine()
    await unknown(made, CLOSE)
    job = azure_job("completed", assignments={ASSIGNMENT: closed, "another": assignment(**times)})
    record = await looked_at(made, 0.5, reply(200, job))
    assert record is not None
    assert (record.outcome, record.job and record.job.vendor_status) == (Outcome.APPLIED, "completed")


async def test_an_assignment_that_is_not_closed_was_not(make_engine: MakeEngine) -> None:
    """An assignment that is still open at the last reading counts as not closed."""
    made = make_engine()
    await unknown(made, CLOSE)
    done = assignment(completedAt="2026-01-05T09:40:00.1111111+00:00")
    answer = reply(200, azure_job("completed", assignments={ASSIGNMENT: done}))
    records = [await looked_at(made, seconds, answer) for seconds in (0.5, 1.5, 3, 10)]
    assert [record and record.outcome for record in records] == [Outcome.UNKNOWN] * 3 + [Outcome.REJECTED]


async def test_a_job_without_the_assignment_tells_nothing(make_engine: MakeEngine) -> None:
    """An assignment that the job does not have is no evidence in either direction."""
    made = make_engine()
    await unknown(made, CLOSE)
    records = [await looked_at(made, seconds, reply(200, azure_job("completed"))) for seconds in (0.5, 1.5, 3, 10)]
    assert [record and record.outcome for record in records] == [Outcome.UNKNOWN] * 4


async def test_a_close_for_later_is_not_missed_before_its_time(make_engine: MakeEngine) -> None:
    """An assignment that is to be closed in an hour, and is not closed yet, does not show that it will not be."""
    made = make_engine(SILENCE)
    later = (NOW + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    asked = made.request("contoso-prod", "close", CLOSE.job_id, {"assignmentId": ASSIGNMENT, "closeAt": later})
    await made.actions.perform(asked)
    done = assignment(completedAt="2026-01-05T09:40:00.1111111+00:00")
    answer = reply(200, azure_job("completed", assignments={ASSIGNMENT: done}))
    records = [await looked_at(made, seconds, answer) for seconds in (0.5, 1.5, 3, 10, 60)]
    assert [record and record.outcome for record in records] == [Outcome.UNKNOWN] * 5


async def test_another_action_on_the_job_since_makes_it_untellable(make_engine: MakeEngine) -> None:
    """If a later action may have changed the job, its status settles nothing about the earlier one."""
    made = make_engine()
    first = await unknown(made, PAUSE)
    made.clock.advance(0.1)
    made.transport.script.append(PAUSE.applied)
    second = (await made.actions.perform(made.ask(PAUSE))).record
    assert second.outcome is Outcome.APPLIED
    record = await looked_at(made, 0.4, PAUSE.job("Paused"))
    assert record is not None
    assert (record.id, record.outcome, record.is_settled) == (first.id, Outcome.UNKNOWN, False)


async def test_a_later_action_that_did_nothing_does_not_matter(make_engine: MakeEngine) -> None:
    """An action that the vendor refused, or that never reached it, left the job as it was."""
    made = make_engine()
    await unknown(made, PAUSE)
    made.clock.advance(0.1)
    made.transport.script.extend([PAUSE.refusal(409), PAUSE.job("Paused"), VendorUnreachable("refused")])
    for _ in range(2):
        assert (await made.actions.perform(made.ask(PAUSE))).record.status is JobActionStatus.FAILED
    record = await looked_at(made, 0.4, PAUSE.job("Paused"))
    assert record is not None
    assert record.outcome is Outcome.APPLIED


async def test_the_same_action_before_makes_its_effect_no_proof(make_engine: MakeEngine) -> None:
    """A job that was cancelled before is cancelled whatever became of a second cancel."""
    made = make_engine(CANCEL.applied)
    await made.actions.perform(made.ask(CANCEL))
    made.clock.advance(60)
    await unknown(made, CANCEL)
    record = await looked_at(made, 0.5, CANCEL.job("cancelled"))
    assert record is not None
    assert record.outcome is Outcome.UNKNOWN


async def test_an_earlier_action_that_the_job_has_left_behind_does_not_matter(make_engine: MakeEngine) -> None:
    """Paused, restarted, and paused again: the first pause does not explain what the second one shows."""
    made = make_engine(*before(PAUSE), PAUSE.applied, RESTART.applied, SILENCE)
    for target in (PAUSE, RESTART, PAUSE):
        await made.actions.perform(made.ask(target))
        made.clock.advance(60)
    record = await looked_at(made, 0.5, PAUSE.job("Paused"))
    assert record is not None
    assert record.outcome is Outcome.APPLIED


@pytest.mark.parametrize("failure", [SILENCE, VendorUnreachable("refused"), reply(500), azure_error(404, "NotFound")])
async def test_a_job_that_cannot_be_read_is_read_again(make_engine: MakeEngine, failure: Line) -> None:
    """A reading that fails is kept with its problem, and the next one may tell."""
    made = make_engine()
    await unknown(made, CANCEL)
    record = await looked_at(made, 0.5, failure)
    assert record is not None
    assert record.outcome is Outcome.UNKNOWN
    assert record.readings[0].problem is not None
    record = await looked_at(made, 1.5, CANCEL.job("cancelled"))
    assert record is not None
    assert record.outcome is Outcome.APPLIED


async def test_what_was_never_sent_is_known_not_to_be(make_engine: MakeEngine) -> None:
    """A gateway that stopped before it sent anything leaves a record that is settled without asking the vendor."""
    made = make_engine()
    record = made.actions._new_record(made.ask(CANCEL), made.translation(CANCEL).warnings)
    await made.ledger.claim(record, NOW + lease(10), None)
    assert await looked_at(made, 14.9) is None
    settled = await looked_at(made, 0.2)
    assert settled is not None
    assert (settled.outcome, settled.problem and settled.problem.code) == (Outcome.NOT_SENT, "interrupted")
    assert problem_of(settled).may_be_retried
    assert made.transport.requests == []


async def test_what_was_sent_when_a_gateway_stopped_is_read(make_engine: MakeEngine) -> None:
    """A gateway that stopped after it sent leaves a record that another one settles from the job."""
    made = make_engine()
    record = made.actions._new_record(made.ask(CANCEL), made.translation(CANCEL).warnings)
    await made.ledger.claim(record, NOW + lease(10), None)
    await made.ledger.sent(record, Sent(NOW))
    settled = await looked_at(made, 15.1, CANCEL.job("cancelled"))
    assert settled is not None
    assert (settled.outcome, settled.is_settled) == (Outcome.APPLIED, True)
    assert made.actions_sent == []


async def test_a_reply_that_comes_after_all_outweighs_a_reading(make_engine: MakeEngine) -> None:
    """A gateway that slept through its lease still has the vendor's word, which takes the place of what was read."""
    made = make_engine()

    async def sleep_and_be_looked_after() -> None:
        read = None
        for seconds in (15.1, *CONFIRMED_AFTER):
            made.clock.advance(seconds)
            assert read is None or not read.is_settled
            made.transport.script.insert(0, CANCEL.job("queued"))
            (read,) = await made.reconciler.reconcile_due()
        assert read is not None
        assert read.outcome is Outcome.REJECTED

    made.transport.script.append(CANCEL.applied)
    made.transport.before_reply = sleep_and_be_looked_after
    record = (await made.actions.perform(made.ask(CANCEL))).record
    assert record.outcome is Outcome.APPLIED
    assert record.conclusion is not None
    assert record.conclusion.settled_by is SettledBy.VENDOR_REPLY


async def test_a_connection_that_is_gone_is_said_and_given_up_in_time(make_engine: MakeEngine) -> None:
    """A record whose connection is no longer configured does not keep the reconciler from the others."""
    made = make_engine()
    await unknown(made, CANCEL)
    del made.gateway.directory.connections["contoso-prod"]  # type: ignore[attr-defined]
    record = await looked_at(made, 0.5)
    assert record is not None
    assert [each.problem for each in record.readings] == ["unknown-connection"]


def test_the_schedule_is_the_documented_one() -> None:
    """After 0.5, 2, 5 and 15 seconds, then every minute, and no more after an hour."""
    schedule, passed, times = Schedule(), 0.0, []
    while (following := schedule.after(NOW, NOW + timedelta(seconds=passed))) is not None:
        passed = (following - NOW).total_seconds()
        times.append(passed)
    assert times[:6] == [0.5, 2, 5, 15, 75, 135]
    assert 3_540 < times[-1] <= 3_600
    assert not schedule.has_had_time(NOW, NOW + timedelta(seconds=14.9))
    assert schedule.has_had_time(NOW, NOW + timedelta(seconds=15))


@pytest.mark.parametrize("target", [each for each in TARGETS if each is not CLOSE], ids=str)
async def test_every_status_of_every_vendor_is_judged_as_its_transitions_say(
    make_engine: MakeEngine, target: Target
) -> None:
    """A status reached only by the action proves it, one possible only without it disproves it; others say nothing."""
    made = make_engine(*before(target))
    connection = made.connection(target.connection)
    specification = connection.vendor.specification
    mapping = specification.actions[target.action]
    assert mapping.evidence is None
    for status in specification.statuses:
        made.transport.script.append(target.job(status))
        job = await made.jobs.get(connection, target.job_id, made.calls.context())
        seen = Evidence(connection, mapping, made.ask(target).job_action, [], job, NOW)
        after, without = specification.reachable([mapping.to_status]), specification.reachable(mapping.from_statuses)
        expected = {(True, False): True, (False, True): False}.get((status in after, status in without))
        assert seen.was_carried_out is expected, status
        assert seen.may_still_be_carried_out == (status in mapping.from_statuses)


async def test_a_schedule_begins_when_the_doubt_does() -> None:
    """An old action that comes into doubt only now, as after a crash, gets the whole schedule of readings."""
    doubted = NOW + timedelta(seconds=40)
    schedule = Schedule()
    assert schedule.after(doubted, doubted) == doubted + timedelta(seconds=0.5)
    assert schedule.after(doubted, doubted + timedelta(seconds=1)) == doubted + timedelta(seconds=2)


def test_a_clock_that_is_put_back_delays_a_reading_by_a_minute_at_most() -> None:
    """If the clock is put back, the next reading is at most a minute late."""
    assert Schedule().after(NOW, NOW - timedelta(hours=1)) == NOW - timedelta(hours=1) + timedelta(seconds=60)


async def test_a_clock_that_was_ahead_delays_nothing_once_it_is_set_back(make_engine: MakeEngine) -> None:
    """What a clock sent that was an hour ahead is read at once when it is set back, and settled as soon as usual."""
    made = make_engine()
    made.clock.advance(3_600)
    await unknown(made, CANCEL)
    made.clock.jump(timedelta(hours=-1))
    record = None
    for passed, earlier in zip(CONFIRMED_AFTER, [0.0, *CONFIRMED_AFTER], strict=False):
        assert record is None or not record.is_settled, passed
        record = await looked_at(made, passed - earlier if record is None else 60, CANCEL.job(CANCEL.allowed_in))
        if record is not None and record.is_settled:
            break
    assert record is not None
    assert record.outcome is Outcome.REJECTED
    assert len(record.readings) == 2


async def test_a_clock_that_is_ahead_denies_nothing_that_is_under_way(make_engine: MakeEngine) -> None:
    """A gateway whose clock is an hour ahead finds what another is sending, and gives the vendor its time."""
    made = make_engine()
    record = made.actions._new_record(made.ask(CANCEL), made.translation(CANCEL).warnings)
    await made.ledger.claim(record, NOW + lease(10), None)
    await made.ledger.sent(record, Sent(NOW))
    made.clock.jump(timedelta(hours=1))
    found = await looked_at(made, 0.0, CANCEL.job(CANCEL.allowed_in))
    assert found is not None
    assert found.outcome is Outcome.UNKNOWN
    settled = await looked_at(made, CONFIRMED_AFTER[-1], CANCEL.job(CANCEL.allowed_in))
    assert settled is not None
    assert settled.outcome is Outcome.REJECTED


async def test_a_vendor_that_hangs_does_not_hold_up_others(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many jobs of one connection wait for their vendor, another connection's are read at once."""
    made = make_engine()
    hanging = asyncio.Event()
    for _ in range(40):
        await unknown(made, CANCEL)
    made.clock.advance(0.4)
    other = await unknown(made, PAUSE)
    made.clock.advance(0.5)
    read = made.jobs.get_by

    async def get_by(_: object, connection: Connection, *rest: Any) -> Job:
        if connection.name == "contoso-prod":
            await hanging.wait()
        return await read(connection, *rest)

    monkeypatch.setattr(Jobs, "get_by", get_by)
    made.transport.otherwise = PAUSE.job("Paused")
    running = asyncio.create_task(made.reconciler.run())
    settled = await made.reconciler.wait(other, 5)
    for _ in range(100):
        settled = await made.ledger.get(other.id, other.requested.caller) or settled
        if settled.is_settled:
            break
        await asyncio.sleep(0.01)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert settled.outcome is Outcome.APPLIED


async def test_who_waits_keeps_what_is_known_while_the_ledger_cannot_be_read(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ledger that fails while a client waits changes nothing of what is known: it may have been applied."""
    made = make_engine()
    record = await unknown(made, CANCEL)

    async def fails(*_: object) -> None:
        made.clock.advance(1)
        raise LedgerUnavailable("the disk is full")

    monkeypatch.setattr(made.ledger, "get", fails)
    assert await made.reconciler.wait(record, 2) == record


async def test_a_bug_in_a_reading_is_a_reading_that_failed(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unexpected exception in a reading counts as a failed reading, and the record is given up in time."""
    made = make_engine()
    await unknown(made, CANCEL)

    async def broken(*_: object) -> Job:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Jobs, "get_by", broken)
    record = await looked_at(made, 0.5)
    assert record is not None
    assert [each.problem for each in record.readings] == ["gateway-error"]


async def test_what_is_settled_by_the_time_it_is_looked_at_stays_as_it_is(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record that was due and is settled meanwhile keeps the vendor's word; the job is not read."""
    made = make_engine(CANCEL.applied)
    record = await made.perform(CANCEL)

    async def taken(*_: object) -> tuple[JobActionRecord, ...]:
        return (record,)

    monkeypatch.setattr(made.ledger, "take_due", taken)
    assert await made.reconciler.reconcile_due() == (record,)
    assert len(made.sent) == 1
