"""Running schedules: the task of a schedule is taken when an occurrence is due, by one process at a time.

obstacle       its caller has lost a key or a scope: it is paused
stopped        its last two batches were stopped by guard rails: it is paused
due            which of the occurrences that are due is run, and which are skipped
overlaps       its last batch has not ended: skipped
save           the batch is created, and the schedule moves on, in one transaction
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace

from gateway.domain.approvals import Person
from gateway.domain.background import RECOVERY_SECONDS, repeat
from gateway.domain.batches import Batch, BatchState, Why
from gateway.domain.errors import JobgateError, UnknownConnection
from gateway.domain.leases import Lease, LeaseLost
from gateway.domain.record import HeldKey
from gateway.domain.schedules import Due, Schedule, ScheduleState, Skipped, SkipReason, due, expected_size
from gateway.domain.times import milliseconds
from gateway.ledger.batches import CreateBatch
from gateway.ledger.schedules import Occurrence
from gateway.schedules.schedules import Schedules, batch_plan, event_of
from gateway.telemetry.metrics import SCHEDULES_SKIPPED

log = logging.getLogger(__name__)

MOST_AT_ONCE = 16
"""Most schedules that are taken at the same time."""
REMEMBERED = 5
"""Number of the last batches from whose sizes the size of the next one is expected."""
MOST_STOPPED = 2
"""Number of batches in a row that guard rails have stopped, after which a schedule is paused."""


@dataclass(frozen=True)
class ScheduleRunner:
    """Makes the batches of schedules until the gateway stops."""

    schedules: Schedules

    async def run(self) -> None:
        """Look after schedules, until cancelled."""
        for reason in SkipReason:
            SCHEDULES_SKIPPED.begin(reason)
        await repeat("schedules", self.look, self.schedules.store.wait_until_due)

    async def look(self) -> int:
        """Look after the schedules that are due. Returns their number."""
        leases = await self.schedules.store.take(MOST_AT_ONCE)
        for lease in leases:
            try:
                await self.work(lease)
            except LeaseLost:
                log.debug("schedule %s is looked after by somebody else", lease.key)
            except JobgateError as error:
                log.warning("schedule %s has to wait: %s", lease.key, error.code)
                await self.schedules.store.postpone(lease, self._now + timedelta(seconds=RECOVERY_SECONDS))
        return len(leases)

    async def work(self, lease: Lease) -> None:
        """Look after a schedule under a lease. Raises LeaseLost, and LedgerUnavailable."""
        schedule = await self.schedules.store.get(lease.key)
        if schedule is None or schedule.state is not ScheduleState.ACTIVE or schedule.next_at is None:
            await self.schedules.store.end(lease)
        elif schedule.next_at > self._now:
            await self.schedules.store.postpone(lease, schedule.next_at)
        else:
            await self._occur(replace(schedule, changed_at=self._now), schedule.next_at, lease)

    @property
    def _now(self) -> datetime:
        return self.schedules.clock.now()

    async def _occur(self, schedule: Schedule, first: datetime, lease: Lease) -> None:
        """Run or skip the occurrences that are due, or pause the schedule."""
        last = await self._last_batches(schedule)
        reason = await self.schedules.obstacle(schedule) or stopped(last)
        found = due(schedule.plan, first, schedule.changed_at)
        if found.run is not None and overlaps(last):
            skipped = Skipped(found.run, f"The batch before, {last[0].id}, has not ended.", SkipReason.OVERLAPPING)
            found = Due(None, (*found.skipped, skipped), found.following)
        creation = None
        if reason is None and found.run is not None:
            try:
                creation = self._creation(schedule, found.run, last)
            except UnknownConnection as error:
                reason = error.detail
        if reason is None:
            await self._move_on(schedule, found, creation, lease)
        else:
            await self._pause(schedule, reason, lease)

    async def _last_batches(self, schedule: Schedule) -> list[Batch]:
        """The newest batches of a schedule that are still known, the newest one first."""
        found = [await self.schedules.batches.store.get(each) for each in schedule.last_batches]
        return [each for each in found if each is not None]

    def _creation(self, schedule: Schedule, at: datetime, last: Sequence[Batch]) -> CreateBatch:
        """The write that creates the batch of an occurrence. Raises UnknownConnection."""
        plan = schedule.plan
        expected = expected_size(plan, [each.manifest.count for each in last if each.manifest is not None])
        now = schedule.changed_at
        begin_by = (at if now - at <= plan.start_within else now) + plan.start_within
        key = HeldKey(
            schedule.caller,
            f"occurrence\t{schedule.id}:{milliseconds(at)}",
            b"",
            now + self.schedules.batches.key_time,
        )
        requester = Person(schedule.caller, schedule.owner)
        return self.schedules.batches.creation(batch_plan(schedule, expected, begin_by), plan.jobs, requester, key)

    async def _move_on(self, schedule: Schedule, found: Due, creation: CreateBatch | None, lease: Lease) -> None:
        """Store what came of the occurrences that are due, and go on to the next one."""
        made = () if creation is None else (creation.batch.id,)
        changed = replace(
            schedule,
            state=ScheduleState.ACTIVE if found.following is not None else ScheduleState.ENDED,
            next_at=found.following,
            last_batches=(*made, *schedule.last_batches)[:REMEMBERED],
            skipped=schedule.skipped + len(found.skipped),
            last_skipped=found.skipped[-1] if found.skipped else schedule.last_skipped,
        )
        events = [event_of(changed, None, "skipped", **facts_of(each)) for each in found.skipped]
        lines = [Occurrence(each.at, skipped=each.reason) for each in found.skipped]
        if creation is not None and found.run is not None:
            events.append(event_of(changed, None, "run", at=found.run.isoformat(), batch=creation.batch.id))
            lines.append(Occurrence(found.run, creation.batch.id))
        if changed.state is ScheduleState.ENDED:
            events.append(event_of(changed, None))
        for each in found.skipped:
            log.warning("schedule %s skipped %s: %s", schedule.id, each.at.isoformat(), each.reason)
        await self.schedules.store.save(changed, events, lease, lines, creation)
        for each in found.skipped:
            SCHEDULES_SKIPPED.add(each.kind)

    async def _pause(self, schedule: Schedule, reason: str, lease: Lease) -> None:
        """Pause a schedule that cannot go on by itself."""
        paused = replace(schedule, state=ScheduleState.PAUSED, next_at=None, why=Why(reason))
        log.warning("schedule %s is paused: %s", schedule.id, reason)
        await self.schedules.store.save(paused, [event_of(paused, None)], lease)


def facts_of(skipped: Skipped) -> dict[str, Any]:
    """The facts of an event about a skipped occurrence."""
    return {"at": skipped.at.isoformat(), "reason": skipped.reason}


def stopped(last: Sequence[Batch]) -> str | None:
    """The reason to pause a schedule whose last batches were stopped by guard rails."""
    newest = last[:MOST_STOPPED]
    if len(newest) < MOST_STOPPED or any(each.state is not BatchState.STOPPED for each in newest):
        return None
    why = newest[0].why
    return f"Its last {MOST_STOPPED} batches were stopped. The last one: {'' if why is None else why.detail}"


def overlaps(last: Sequence[Batch]) -> bool:
    """True if the last batch goes on, or waits for somebody. One that a guard rail has stopped does neither."""
    return bool(last) and not last[0].is_ended and last[0].state is not BatchState.STOPPED
