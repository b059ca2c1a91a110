"""Running batches: the task of a batch is taken, and the batch goes on from its state.

Only the holder of the lease sends (`sending.py`). Each group of items is sent under it: the commit that records that
they are about to be sent renews the lease, and fails if somebody has taken it over or revoked it. Whoever takes over
first finds out what became of the items that may have been sent (`outcomes.py`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from msgspec.structs import replace

from gateway.batches.changes import Changes
from gateway.batches.outcomes import Outcomes
from gateway.batches.permission import Permission
from gateway.batches.preparing import Preparation
from gateway.batches.sending import Pause, Run, Sending
from gateway.domain.approvals import ApprovalState
from gateway.domain.background import repeat
from gateway.domain.batches import COLLECTING_TIME, Batch, BatchState, ItemOutcome, Why
from gateway.domain.errors import JobgateError, LedgerUnavailable
from gateway.domain.leases import LEASE_TIME, Lease, LeaseLost
from gateway.domain.windows import Closing
from gateway.engine.actions import window_closed
from gateway.ledger.batch_store import BatchStore
from gateway.ledger.batches import BUSY, SAVED, BatchSelection
from gateway.telemetry.metrics import BATCH_LEASES_LOST

log = logging.getLogger(__name__)

AT_ONCE = timedelta()
SOON = timedelta(seconds=1)
"""The time after which a batch that has to wait is looked after again."""
RENEW_SECONDS = LEASE_TIME.total_seconds() / 3
"""Seconds between two renewals of a lease under which nothing is written."""
MOST_BATCHES = 16
"""Most batches that a process works on at the same time."""


@dataclass(frozen=True)
class Runner:
    """Works on batches until the gateway stops."""

    store: BatchStore
    changes: Changes
    preparation: Preparation
    outcomes: Outcomes
    sending: Sending
    permission: Permission
    under_way: set[asyncio.Task[None]] = field(default_factory=set, repr=False)

    async def run(self) -> None:
        """Look after batches, until cancelled."""
        await repeat("batches", self.look, self.store.wait_until_due)

    async def look(self) -> None:
        """Take the batches that are due, and begin to work on them."""
        room = MOST_BATCHES - len(self.under_way)
        if room <= 0 or self.sending.stopping.is_set():
            return
        for lease in await self.store.take(room):
            task = asyncio.create_task(self.work(lease))
            self.under_way.add(task)
            task.add_done_callback(self.under_way.discard)

    async def finish(self, seconds: float) -> None:
        """Wait until what is under way is finished, at most so long, and then end it."""
        left = tuple(self.under_way)
        if left:
            await asyncio.wait(left, timeout=seconds)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def work(self, lease: Lease) -> None:
        """Let a batch go on from its state."""
        steps: Mapping[BatchState, Callable[[Batch, Lease], Awaitable[None]]] = {
            BatchState.COLLECTING: self._wait,
            BatchState.PREPARING: self.preparation.prepare,
            BatchState.AWAITING_CONFIRMATION: self._wait,
            BatchState.AWAITING_APPROVAL: self._await_approval,
            BatchState.READY: self._begin,
            BatchState.RUNNING: self._run,
            BatchState.PAUSING: self._come_to_rest,
            BatchState.PAUSED: self._wait,
            BatchState.STOPPED: self._wait,
            BatchState.ABORTING: self._come_to_rest,
            BatchState.FINISHING: self._finish,
        }
        try:
            batch = await self.store.get(lease.key)
            if batch is None or batch.is_ended:
                return
            async with self._kept(lease):
                await steps[batch.state](batch, lease)
        except LeaseLost:
            BATCH_LEASES_LOST.add()
            log.debug("batch %s is looked after by somebody else", lease.key)
        except JobgateError as error:
            log.warning("batch %s has to wait: %s", lease.key, error.code)
            with suppress(LedgerUnavailable):
                await self.store.postpone(lease, self.changes.clock.now() + SOON)
        except Exception:
            log.exception("batch %s has to wait", lease.key)

    @asynccontextmanager
    async def _kept(self, lease: Lease) -> AsyncIterator[None]:
        """Renew the lease while the block lasts, so that one under which nothing is written does not end.

        If it is lost, what waits for its turn is not sent: `Sending.lost`.
        """

        async def keep() -> None:
            is_held = True
            while is_held:
                await asyncio.sleep(RENEW_SECONDS)
                with suppress(LedgerUnavailable):  # there is time for the next renewal
                    is_held = await self.store.postpone(lease, self.changes.clock.now() + LEASE_TIME)
            self.sending.lost.add(lease)

        renewing = asyncio.create_task(keep())
        try:
            yield
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
            self.sending.lost.discard(lease)

    async def _wait(self, batch: Batch, lease: Lease) -> None:
        """Let a batch wait for somebody, or end it if nobody came in time."""
        now = self.changes.clock.now()
        waits_until = {
            BatchState.COLLECTING: batch.created_at + COLLECTING_TIME,
            BatchState.AWAITING_CONFIRMATION: batch.confirm_until,
        }
        limits = (waits_until.get(batch.state), batch.plan.deadline)
        until = min((each for each in limits if each is not None), default=None)
        if until is not None and until <= now:
            await self.changes.end(batch, lease, BatchState.EXPIRED, Why("Nobody came in time."))
            return
        await self.outcomes.refresh(batch)
        await self.store.postpone(lease, until or now + LEASE_TIME)

    async def _await_approval(self, batch: Batch, lease: Lease) -> None:
        """Let a batch wait for its approval, go on once it is approved, or end if it is refused or too late."""
        if await self._ended_in_vain(batch, lease):
            return
        approval = await self.permission.approval_of(batch)
        if approval is not None and approval.state is ApprovalState.APPROVED:
            await self.changes.go_on(batch, lease, BatchState.READY, after=AT_ONCE)
            return
        ends = (None if approval is None else approval.ends_at, batch.plan.deadline)
        until = min((each for each in ends if each is not None), default=self.changes.clock.now())
        if until <= self.changes.clock.now():
            await self.changes.end(batch, lease, BatchState.EXPIRED, Why("Nobody approved it in time."))
        else:
            await self.store.postpone(lease, until)

    async def _ended_in_vain(self, batch: Batch, lease: Lease) -> bool:
        """End a batch whose approval was refused or has expired."""
        why = await self.permission.end_in_vain(batch)
        if why is not None:
            await self.changes.end(batch, lease, BatchState.EXPIRED, why)
        return why is not None

    async def _begin(self, batch: Batch, lease: Lease) -> None:
        """Begin to run, or go on, once it is time and no other batch runs on the connections."""
        plan, now = batch.plan, self.changes.clock.now()
        if await self._ended_in_vain(batch, lease):
            return
        if plan.deadline is not None and plan.deadline <= now:
            await self.changes.end(batch, lease, BatchState.EXPIRED, Why("Its deadline came before it could begin."))
        elif is_too_late(batch, now):
            why = Why("It could not begin in time, and nobody has asked for it since.", "startWithin")
            await self.changes.end(batch, lease, BatchState.EXPIRED, why)
        elif plan.not_before is not None and plan.not_before > now:
            await self.store.postpone(lease, plan.not_before)
        elif (closed := self.sending.window_closed(batch)) is not None:
            await self._await_window(batch, lease, closed)
        elif await self._comes_later(batch) or not await self._has_begun(batch, lease):
            await self.store.postpone(lease, now + SOON)
        else:
            await self._run(await self.store.get(batch.id) or batch, lease)

    async def _await_window(self, batch: Batch, lease: Lease, closed: Closing) -> None:
        """Let a batch that is ready wait until its action is allowed, at most until its deadline."""
        now = self.changes.clock.now()
        limits = (closed.opens_at, batch.plan.deadline, begin_by(batch))
        until = min(filter(None, limits), default=now + LEASE_TIME)
        why = reason_to_wait(closed, batch.plan.action, now)
        if batch.why == why or await self.store.save(replace(batch, why=why), None, until, lease) == SAVED:
            await self.store.postpone(lease, until)

    async def _has_begun(self, batch: Batch, lease: Lease) -> bool:
        """Begin, unless another batch runs on one of the connections."""
        return await self.changes.go_on(batch, lease, BatchState.RUNNING, takes=True) != BUSY

    async def _comes_later(self, batch: Batch) -> bool:
        """True if a batch of higher priority waits for one of the same connections."""
        now = self.changes.clock.now()
        ready = await self.store.page(BatchSelection(states=(BatchState.READY,)), 100, None)
        return any(
            each.plan.priority > batch.plan.priority
            and not set(each.connections).isdisjoint(batch.connections)
            and (each.plan.not_before is None or each.plan.not_before <= now)
            for each in ready.items
        )

    async def _come_to_rest(self, batch: Batch, lease: Lease) -> None:
        """Pause or abort, once what is under way is finished."""
        if not await self.outcomes.recovered(batch):
            await self.store.postpone(lease, self.changes.clock.now() + SOON)
        elif batch.state is BatchState.ABORTING:
            await self.changes.end(batch, lease, BatchState.ABORTED)
        else:
            await self.changes.go_on(batch, lease, BatchState.PAUSED, batch.why, frees=True)

    async def _finish(self, batch: Batch, lease: Lease) -> None:
        """Complete the batch once no outcome is being found out any more."""
        if await self.outcomes.refresh(batch):
            await self.store.postpone(lease, self.changes.clock.now() + SOON)
        else:
            await self.changes.end(batch, lease, BatchState.COMPLETED)

    async def _run(self, batch: Batch, lease: Lease) -> None:
        """Send the items that are left, group by group, within the guard rails."""
        if not await self.outcomes.recovered(batch):
            await self.store.postpone(lease, self.changes.clock.now() + SOON)
            return
        refusal = await self.permission.begin(batch)
        if refusal is not None:
            await self.changes.go_on(batch, lease, BatchState.STOPPED, refusal, frees=True)
            return
        batch = await self.store.get(batch.id) or batch
        run = Run(self.sending, batch, lease)
        why = await run.send()
        if isinstance(why, Why):
            await self.changes.go_on(batch, lease, BatchState.STOPPED, why, frees=True)
        elif why is Pause.GATEWAY_STOPS:
            await self.store.postpone(lease, self.changes.clock.now())
        elif isinstance(why, Closing):
            waits = reason_to_wait(why, batch.plan.action, self.changes.clock.now())
            await self.changes.go_on(batch, lease, BatchState.READY, waits, after=AT_ONCE, frees=True)
        elif why is Pause.DEADLINE:
            await self.changes.end(batch, lease, BatchState.EXPIRED, Why("Its deadline came before it was done."))
        elif run.progress.count(ItemOutcome.UNKNOWN):
            await self.changes.go_on(batch, lease, BatchState.FINISHING, after=SOON, frees=True)
        else:
            await self.changes.end(batch, lease, BatchState.COMPLETED)


def begin_by(batch: Batch) -> datetime | None:
    """The time until which a batch has to begin; None if it has begun, or if a person wants it however late."""
    is_wanted = batch.confirm_until is not None or batch.approval is not None
    has_begun = batch.progress.items > batch.progress.count(ItemOutcome.PENDING, ItemOutcome.SKIPPED)
    return None if is_wanted or has_begun else batch.plan.begin_by


def is_too_late(batch: Batch, now: datetime) -> bool:
    """True if the time to begin is over."""
    until = begin_by(batch)
    return until is not None and until < now


def reason_to_wait(closed: Closing, action: str, now: datetime) -> Why:
    """The reason for which a batch waits for a window."""
    problem = window_closed(closed, action, now)
    return Why(problem.detail, problem.code)
