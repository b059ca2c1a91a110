"""Reconciliation: reads the job of an action with an unknown outcome until it shows the outcome, or until a time limit.

It also handles actions that a gateway was working on when it stopped: `Ledger.take_due` gives each of them to one
process, which can be another than the one that began.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache, partial

from gateway.domain.background import repeat
from gateway.domain.errors import (
    AdapterFailed,
    Explanation,
    GatewayError,
    Interrupted,
    JobgateError,
    LedgerUnavailable,
    NotCarriedOut,
    NotConfirmed,
    NotEnded,
    UnknownConnection,
    UnknownJob,
)
from gateway.domain.model import Job, Outcome, Result
from gateway.domain.ports import Clock, Ledger
from gateway.domain.record import (
    Concluded,
    Event,
    JobActionRecord,
    Overtaken,
    ProblemNote,
    Read,
    Selection,
    Sent,
    SettledBy,
    Step,
)
from gateway.engine.connections import Connection, Directory
from gateway.engine.evidence import Evidence
from gateway.engine.jobs import Jobs, job_state
from gateway.engine.observation import reconciled
from gateway.engine.steps import ended_or_present, outcome_of, steps_of
from gateway.specs.vendor import ActionMapping
from gateway.telemetry.metrics import LEASES_LOST

log = logging.getLogger(__name__)

AT_ONCE = 1_000
"""Most records that are reconciled at the same time."""
AT_ONCE_EACH = 8
"""Most of those records that belong to one connection."""
LOOK_SECONDS = 0.25
"""Seconds between two looks at the ledger for a record that is waited for."""
TIDY_SECONDS = 3_600.0
"""Seconds between two clean-ups of the ledger."""
MOST_OTHERS = 50
"""Most other actions on the same job that are considered: the newest."""
HARMLESS = (Outcome.REJECTED, Outcome.NOT_SENT)
"""Outcomes of actions that left their job unchanged."""
LEASE_SECONDS = 5.0
"""Lease margin: seconds after the last possible vendor call before another process may take over the record."""


@dataclass(frozen=True)
class Schedule:
    """The times at which the job is read, in seconds after the outcome became doubtful.

    If the job still shows no change at the last of `confirm_seconds` after the action was sent, the action counts as
    not carried out. If the job does not tell, it is read every `repeat_seconds`, until `give_up_seconds`.
    """

    confirm_seconds: tuple[float, ...] = (0.5, 2.0, 5.0, 15.0)
    repeat_seconds: float = 60.0
    give_up_seconds: float = 3_600.0

    def after(self, doubted_at: datetime, now: datetime) -> datetime | None:
        """The time of the next read; None if it is time to give up."""
        passed = (now - doubted_at).total_seconds()
        following = next((each for each in self.confirm_seconds if each > passed), passed + self.repeat_seconds)
        if following > self.give_up_seconds:
            return None
        # If the clock was set back, the next read does not wait until it has caught up.
        return now + timedelta(seconds=min(following - passed, self.repeat_seconds))

    def has_had_time(self, sent_at: datetime, now: datetime) -> bool:
        """True if the vendor has had enough time to carry out an action."""
        return (now - sent_at).total_seconds() >= self.confirm_seconds[-1]


def _gates() -> dict[str, asyncio.Semaphore]:
    return defaultdict(lambda: asyncio.Semaphore(AT_ONCE_EACH))


@dataclass(frozen=True)
class Reconciler:
    """Finds out what became of job actions. `gates` limits each connection, so that none holds up the others."""

    ledger: Ledger
    jobs: Jobs
    directory: Directory
    clock: Clock
    schedule: Schedule
    gates: Mapping[str, asyncio.Semaphore] = field(default_factory=_gates, repr=False)
    stopping: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    async def run(self) -> None:
        """Reconcile every record that is due, and tidy the ledger, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(repeat("the ledger", self._tidy, partial(asyncio.sleep, TIDY_SECONDS)))
            under_way: set[asyncio.Task[JobActionRecord]] = set()

            async def look() -> None:
                for record in await self._take_due(AT_ONCE - len(under_way)):
                    task = tasks.create_task(self._reconciled(record))
                    under_way.add(task)
                    task.add_done_callback(under_way.discard)

            await repeat("job actions", look, self.ledger.wait_until_due)

    async def reconcile_due(self) -> tuple[JobActionRecord, ...]:
        """Reconcile every record that is due once; return the records as they are then."""
        return tuple(await asyncio.gather(*map(self._reconciled, await self._take_due(AT_ONCE))))

    async def wait(self, record: JobActionRecord, seconds: float) -> JobActionRecord:
        """Return the record once it is settled, or as it is known after `seconds`, or when the gateway stops.

        While the ledger cannot be read, the last known record counts.
        """
        end = self.clock.monotonic() + seconds
        while not record.is_settled and not self.stopping.is_set() and (left := end - self.clock.monotonic()) > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self.stopping.wait(), min(LOOK_SECONDS, left))
            with suppress(LedgerUnavailable):
                record = await self.ledger.get(record.id, record.requested.caller) or record
        return record

    async def _tidy(self) -> None:
        await self.ledger.tidy(self.clock.now())

    async def _take_due(self, most: int) -> tuple[JobActionRecord, ...]:
        if most <= 0:
            return ()
        now, own = self.clock.now(), lease(self.jobs.calls.seconds)
        # No clock that is right puts a record further away, so its own was ahead and has been set back.
        beyond = now + 2 * max(own, timedelta(seconds=self.schedule.repeat_seconds))
        return await self.ledger.take_due(now, now + own, most, beyond)

    @reconciled
    async def _reconciled(self, record: JobActionRecord) -> JobActionRecord:
        try:
            async with self.gates[record.requested.connection]:
                is_termination = record.requested.is_termination
                settled = await (self._reconcile_termination if is_termination else self._reconcile)(record)
                await self._reconcile_parent(settled)
                return settled
        except Overtaken as overtaken:
            LEASES_LOST.add()
            return overtaken.record
        except JobgateError as error:
            log.warning("job action %s could not be reconciled: %s", record.id, error.code)
            return record

    async def _reconcile(self, record: JobActionRecord) -> JobActionRecord:
        if record.is_settled:  # by another process, after it was found to be due
            return record
        if not record.sent:
            return await self._conclude(record, interrupted(Outcome.NOT_SENT, self.clock.now()))
        if record.conclusion is None:
            soon = self.clock.now() + lease(self.jobs.calls.seconds)
            record = await self.ledger.append(record, interrupted(Outcome.UNKNOWN, self.clock.now()), soon)
        try:
            connection, mapping = self._target(record)
            read = connection.specification.reads[mapping.confirm]
            context = self.jobs.calls.context(record.requested.origin, caller=record.requested.caller)
            job = await self.jobs.get_by(connection, read, record.job_action.job_id, context)
        except UnknownJob as error:
            return await self._judge_gone(record, error)
        except JobgateError as error:
            return await self._go_on(record, Read(self.clock.now(), problem=error.code))
        except Exception:
            log.exception("the job of job action %s could not be read", record.id)
            return await self._go_on(record, Read(self.clock.now(), problem=GatewayError.code))
        return await self._judge(record, connection, mapping, job)

    async def _reconcile_parent(self, step: JobActionRecord) -> None:
        """Conclude the termination that waits for this step, if it is settled."""
        if step.requested.parent is None or not step.is_settled:
            return
        parent = await self.ledger.get(step.requested.parent, None)
        if parent is not None and parent.conclusion is not None and not parent.is_settled:
            with suppress(Overtaken):
                await self._reconcile_termination(parent)

    async def _reconcile_termination(self, record: JobActionRecord) -> JobActionRecord:
        """Conclude a termination from its job and the steps that were taken. No further step is begun."""
        if record.is_settled:
            return record
        if record.conclusion is None:
            soon = self.clock.now() + lease(self.jobs.calls.seconds)
            record = await self.ledger.append(record, interrupted(Outcome.UNKNOWN, self.clock.now()), soon)
        taken = await steps_of(self.ledger, record)
        if not all(each.is_settled for each in taken):  # the last of them will come back to this record
            return record
        steps = tuple(each.step for each in taken)
        try:
            connection = self.directory.connection(record.requested.connection)
            context = self.jobs.calls.context(record.requested.origin, caller=record.requested.caller)
            job = await ended_or_present(self.jobs, self.ledger, connection, record.job_action.job_id, context)
        except JobgateError as error:
            return await self._go_on(record, Read(self.clock.now(), problem=error.code), steps)
        except Exception:
            log.exception("the job of job action %s could not be read", record.id)
            return await self._go_on(record, Read(self.clock.now(), problem=GatewayError.code), steps)
        status, now = None if job is None else job.status, self.clock.now()
        if job is None or job.final:
            return await self._conclude(record, Concluded(now, Outcome.APPLIED, SettledBy.READING, status, steps=steps))
        return await self._conclude(record, stopped(record, job, steps, now))

    def _target(self, record: JobActionRecord) -> tuple[Connection, ActionMapping]:
        """The connection of a record, and the mapping of its action there. Raises UnknownConnection."""
        connection = self.directory.connection(record.requested.connection)
        mapping = connection.specification.actions.get(record.job_action.action)
        if mapping is None or connection.vendor.name != record.requested.vendor:
            raise UnknownConnection("The connection is not the one that the action was sent through.")
        return connection, mapping

    async def _judge(
        self, record: JobActionRecord, connection: Connection, mapping: ActionMapping, job: Job
    ) -> JobActionRecord:
        """Conclude the action if the job shows its outcome; otherwise schedule another read."""
        now = self.clock.now()
        earlier, later = await self._others(record)
        seen = Evidence(connection, mapping, record.job_action, earlier, job, now, was_accepted(record))
        try:
            carried_out = None if later else seen.was_carried_out
        except AdapterFailed as failed:
            return await self._go_on(record, Read(now, job.status, failed.code))
        # What a vendor has only accepted may take it any time, and come after other changes of the job.
        is_slow = mapping.result is Result.ACCEPTED and not job.final
        is_new = seen.may_still_be_carried_out and not self.schedule.has_had_time(sent_by(record, now), now)
        is_early = is_slow or is_new
        if carried_out is None or (not carried_out and is_early):
            return await self._go_on(record, Read(now, job.status))
        record = await self.ledger.append(record, Read(now, job.status), now)
        return await self._conclude(record, applied(job, now) if carried_out else not_carried_out(job, now))

    async def _judge_gone(self, record: JobActionRecord, unknown: UnknownJob) -> JobActionRecord:
        """Conclude the action if the vendor has deleted the job: by the action, or some time after the job's end.

        Nothing is concluded if another action can have ended the job.
        """
        shown = Read(self.clock.now(), problem=unknown.code)
        connection, mapping = self._target(record)
        vendor = connection.specification
        earlier, later = await self._others(record)
        others = [vendor.actions[name] for name in earlier if name in vendor.actions]
        is_only_way = vendor.ends_jobs(mapping) and not later and not any(map(vendor.ends_jobs, others))
        if not (vendor.deletes_ended_jobs and is_only_way and was_seen(record)):
            return await self._go_on(record, shown)
        record = await self.ledger.append(record, shown, shown.at)
        pair = vendor.status(mapping.to_status).pair
        return await self._conclude(record, Concluded(shown.at, Outcome.APPLIED, SettledBy.READING, pair))

    async def _others(self, record: JobActionRecord) -> tuple[list[str], bool]:
        """The earlier actions that may explain the state of the job, and whether there is a later action."""
        same_job = Selection(connection=record.requested.connection, job_id=record.requested.job_action.job_id)
        page = await self.ledger.page(same_job, MOST_OTHERS, None)
        sent = [each for each in page.items if each.sent and each.outcome not in HARMLESS]
        before = [each for each in sent if each.id < record.id]
        last = next((at for at, each in enumerate(before) if each.outcome is Outcome.APPLIED), len(before))
        return [each.job_action.action for each in before[: last + 1]], any(each.id > record.id for each in sent)

    async def _go_on(self, record: JobActionRecord, shown: Read, steps: tuple[Step, ...] = ()) -> JobActionRecord:
        """Record what was read, and schedule the next read or give up."""
        following = self.schedule.after(doubted_at(record), shown.at)
        record = await self.ledger.append(record, shown, following or shown.at)
        return record if following else await self._conclude(record, given_up(record, shown.at, steps))

    async def _conclude(self, record: JobActionRecord, conclusion: Concluded) -> JobActionRecord:
        return await self.ledger.append(record, conclusion, None)


@lru_cache(maxsize=16)
def lease(seconds: float) -> timedelta:
    """The time for which a record belongs to the process that works on it; calls to a vendor may take `seconds`."""
    return timedelta(seconds=seconds + LEASE_SECONDS)


def sent_at(record: JobActionRecord) -> datetime:
    """The time at which the action was last sent."""
    return record.sent[-1].at


def sent_by(record: JobActionRecord, now: datetime) -> datetime:
    """A time by which the action had been sent: that of its sending, or of what came first after it.

    A clock that was ahead has sent it in what is the future of `now`, and so has said nothing about the time since. One
    that is ahead takes over what others are still sending, so that the time counts from what it wrote itself.
    """
    last = max(place for place, event in enumerate(record.later) if isinstance(event, Sent))
    since = record.later[last:]
    taken_over = next((place for place, event in enumerate(since) if is_interruption(event)), 0)
    return next((event.at for event in since[taken_over:] if event.at <= now), now)


def is_interruption(event: Event) -> bool:
    """True if a process has found the action unfinished, and taken it over from another."""
    return isinstance(event, Concluded) and event.problem is not None and event.problem.code == Interrupted.code


def doubted_at(record: JobActionRecord) -> datetime:
    """The time from which the outcome is unknown."""
    concluded = (event.at for event in record.later if isinstance(event, Concluded))
    return next(concluded, None) or sent_at(record)


def was_accepted(record: JobActionRecord) -> bool:
    """True if the vendor has answered that it will carry out the action."""
    problems = (event.problem for event in record.later if isinstance(event, Concluded))
    return any(each is not None and each.code == NotConfirmed.code for each in problems)


def was_seen(record: JobActionRecord) -> bool:
    """True if the job was read since the action was requested: to find a parameter, or to find out what happened."""
    return any(event.found for event in record.sent) or any(event.job for event in record.readings)


def interrupted(outcome: Outcome, now: datetime) -> Concluded:
    """The conclusion for an action that its gateway did not finish."""
    known = "nothing was sent" if outcome is Outcome.NOT_SENT else "its outcome is not known"
    note = ProblemNote(Interrupted.code, f"The gateway did not finish its work on this action; {known}.")
    return Concluded(now, outcome, SettledBy.NOTHING_SENT if outcome is Outcome.NOT_SENT else None, problem=note)


def applied(job: Job, now: datetime) -> Concluded:
    """The conclusion if the job shows that the action was carried out."""
    return Concluded(now, Outcome.APPLIED, SettledBy.READING, job.status)


def not_carried_out(job: Job, now: datetime) -> Concluded:
    """The conclusion if the job shows that the action was not carried out."""
    detail = f"{job.vendor} did not say what became of the action; the job is {job.status.vendor_status}."
    note = ProblemNote(NotCarriedOut.code, detail, Explanation(job=job_state(job)))
    return Concluded(now, Outcome.REJECTED, SettledBy.READING, problem=note)


def stopped(record: JobActionRecord, job: Job, steps: tuple[Step, ...], now: datetime) -> Concluded:
    """The conclusion of a termination that did not end its job: its last step was doubtful, or its gateway stopped."""
    outcome = outcome_of(steps)
    if outcome is Outcome.UNKNOWN:
        return given_up(record, now, steps)
    taken = ", ".join(f"{each.action} ({each.outcome})" for each in steps) or "none"
    detail = f"The job is {job.status.vendor_status}. Steps that were taken: {taken}; no further one was begun."
    note = ProblemNote(NotEnded.code, detail, Explanation(job=job_state(job)))
    return Concluded(now, outcome, SettledBy.READING, job.status, problem=note, steps=steps)


def given_up(record: JobActionRecord, now: datetime, steps: tuple[Step, ...] = ()) -> Concluded:
    """The conclusion if the outcome could not be found out. The first problem is kept."""
    return Concluded(now, Outcome.UNKNOWN, SettledBy.GAVE_UP, problem=record.problem, steps=steps)
