"""The commands of callers for schedules: create, pause, resume, delete; and see what one would do.

A schedule acts as its caller, with the scopes that the caller's keys have at that time. So a caller with a token, which
nobody can ask again, cannot have one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace

from gateway.batches.batches import Batches
from gateway.batches.preparing import connections_of
from gateway.domain.access import Caller
from gateway.domain.batches import LARGEST_BATCH, BatchPlan, Why, filter_of
from gateway.domain.errors import (
    Explanation,
    Forbidden,
    IdempotencyKeyReused,
    UnknownSchedule,
    WrongScheduleState,
)
from gateway.domain.model import Outcome
from gateway.domain.ports import Clock
from gateway.domain.record import HeldKey
from gateway.domain.schedules import Schedule, SchedulePlan, ScheduleState
from gateway.domain.vocabulary import TERMINATE
from gateway.engine.calls import CallContext
from gateway.engine.finding import Finder
from gateway.ledger.batches import SAVED
from gateway.ledger.events import StateChanged
from gateway.ledger.schedule_store import ScheduleStore

KIND = "schedule"
DESTRUCTIVE_START = timedelta(minutes=5)
"""Longest delay of an occurrence of a destructive action, unless the schedule says otherwise."""
HARMLESS_START = timedelta(hours=1)
"""The same for an action that ends nothing."""


@dataclass(frozen=True)
class Schedules:
    """The schedules of a gateway. `scopes` are what a caller needs to have one, `endings` the destructive actions."""

    store: ScheduleStore
    batches: Batches
    finder: Finder
    clock: Clock
    scopes: frozenset[str]
    endings: frozenset[str]

    async def create(
        self, plan: SchedulePlan, caller: Caller, key: str | None = None, fingerprint: bytes = b""
    ) -> tuple[Schedule, bool]:
        """Create a schedule, or return the one that the same request created before, and True.

        Raises Forbidden if the caller lacks a scope, or has only a token, and IdempotencyKeyReused.
        """
        await self._check(plan, caller)
        now = self.clock.now()
        schedule = Schedule(
            self.clock.new_id(now),
            caller.name,
            ScheduleState.ACTIVE,
            plan,
            now,
            now,
            caller.owner,
            next_at=next(plan.after(now), None),
        )
        held = None
        if key is not None:
            held = HeldKey(caller.name, f"schedule\t{key}", fingerprint, now + self.batches.key_time)
        holder = await self.store.create(schedule, event_of(schedule, caller.name), held)
        if holder is None:
            return schedule, False
        if holder[1] != fingerprint:
            raise IdempotencyKeyReused(
                "The key was used before, for another schedule.", Explanation(outcome=Outcome.NOT_SENT)
            )
        return await self.get(holder[0], caller.name), True

    async def get(self, schedule_id: str, caller: str | None) -> Schedule:
        """The schedule with this id, if `caller` created it. With None, whoever did. Raises UnknownSchedule."""
        schedule = await self.store.get(schedule_id)
        if schedule is None or caller not in {None, schedule.caller}:
            raise UnknownSchedule("No schedule of this id is recorded.")
        return schedule

    async def pause(self, schedule_id: str, caller: str, reason: str | None) -> Schedule:
        """Make no batches for the time being. Raises UnknownSchedule and WrongScheduleState."""
        why = Why(reason or "Somebody paused it.", by=caller)
        return await self._change(
            schedule_id, caller, ScheduleState.PAUSED, (ScheduleState.ACTIVE,), lambda each: replace(each, why=why)
        )

    async def resume(self, schedule_id: str, caller: str, reason: str | None) -> Schedule:
        """Make batches again, from the next occurrence on. Raises UnknownSchedule and WrongScheduleState."""
        why = None if reason is None else Why(reason, by=caller)

        def resumed(schedule: Schedule) -> Schedule:
            following = next(schedule.plan.after(self.clock.now()), None)
            state = ScheduleState.ENDED if following is None else schedule.state
            return replace(schedule, state=state, why=why, next_at=following, last_batches=())

        return await self._change(schedule_id, caller, ScheduleState.ACTIVE, (ScheduleState.PAUSED,), resumed)

    async def delete(self, schedule_id: str, caller: str) -> Schedule:
        """Make no more batches, for good. Those that were made stay. Raises UnknownSchedule."""
        states = (ScheduleState.ACTIVE, ScheduleState.PAUSED, ScheduleState.ENDED, ScheduleState.DELETED)
        return await self._change(schedule_id, caller, ScheduleState.DELETED, states, lambda each: each)

    async def obstacle(self, schedule: Schedule) -> str | None:
        """The reason for which a schedule cannot act as its caller now, None if it can. Raises LedgerUnavailable."""
        callers = await self.batches.permission.named(schedule.caller)
        ours = [each for each in callers or () if each.owner == schedule.owner]
        if not ours:
            return f"{schedule.caller} has no valid key any more."
        missing = self._missing(schedule.plan, ours)
        return None if missing is None else f"{schedule.caller} does not have the scope {missing} any more."

    async def found(self, plan: SchedulePlan, new_context: Callable[[], CallContext]) -> int | None:
        """The number of jobs that a batch would find now, None if some could not be read."""
        if plan.batch.filter is None:
            return len(plan.jobs)
        wanted, now, count = filter_of(plan.batch.filter), self.clock.now(), 0
        async for page in self.finder.found(wanted, new_context):
            if page.problem is not None:
                return None
            count += sum(bool(wanted.fits(job, now)) for job in page.jobs)
        return min(count, LARGEST_BATCH)

    def start_within(self, action: str) -> timedelta:
        """Longest delay of an occurrence, unless the schedule says otherwise."""
        return DESTRUCTIVE_START if action in {TERMINATE, *self.endings} else HARMLESS_START

    async def _check(self, plan: SchedulePlan, caller: Caller) -> None:
        """Check that a schedule of this caller could act. Raises Forbidden."""
        if await self.batches.permission.named(caller.name) is None:
            raise Forbidden("A schedule outlives a token: create it with an API key.")
        missing = self._missing(plan, [caller])
        if missing is not None:
            raise Forbidden(f"The schedule needs the scope {missing}, which the caller does not have.")

    def _missing(self, plan: SchedulePlan, callers: list[Caller]) -> str | None:
        """A scope that a schedule needs, and that none of its caller's keys has."""
        general = (each for each in sorted(self.scopes) if not any(caller.may(each) for caller in callers))
        special = self.batches.permission.missing_scopes(plan.batch, connections_in(plan), callers)
        return next(general, None) or next(special, None)

    async def _change(
        self,
        schedule_id: str,
        caller: str,
        state: ScheduleState,
        states: tuple[ScheduleState, ...],
        change: Callable[[Schedule], Schedule],
    ) -> Schedule:
        """Give a schedule another state, again if somebody else was faster. Raises WrongScheduleState."""
        while True:
            schedule = await self.get(schedule_id, caller)
            if schedule.state not in states:
                raise WrongScheduleState(f"The schedule is {schedule.state}; it has to be {' or '.join(states)}.")
            changed = change(replace(schedule, state=state, changed_at=self.clock.now()))
            if await self.store.save(changed, [event_of(changed, caller)]) == SAVED:
                return await self.get(schedule_id, caller)


def connections_in(plan: SchedulePlan) -> tuple[str, ...]:
    """The connections on which a schedule acts."""
    return connections_of(plan.jobs) if plan.batch.filter is None else tuple(plan.batch.filter["connections"])


def event_of(schedule: Schedule, by: str | None, what: str | None = None, **facts: Any) -> StateChanged:
    """The event that a schedule has got its state, or that something else has happened to it."""
    plan = schedule.plan
    known: Mapping[str, Any] = {"caller": schedule.caller, "name": plan.name, "action": plan.batch.action}
    if schedule.why is not None:
        facts["why"] = schedule.why.detail
    return StateChanged(schedule.changed_at, KIND, schedule.id, what or schedule.state, by, {**known, **facts})


def batch_plan(schedule: Schedule, expected: tuple[int, int], begin_by: datetime) -> BatchPlan:
    """The plan of the batch of an occurrence."""
    return replace(schedule.plan.batch, schedule=schedule.id, expected_between=expected, begin_by=begin_by)
