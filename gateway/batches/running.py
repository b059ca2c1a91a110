"""Running batches: the task of a batch is taken, and the batch goes on from its state.

Only the holder of the lease sends. Each group of items is sent under it: the commit that records that they are about
to be sent renews the lease, and fails if somebody has taken it over or revoked it. Whoever takes over first finds out
what became of the items that may have been sent, by their keys.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from msgspec.structs import replace

from gateway.batches.changes import Changes
from gateway.batches.guard_rails import FIRST_JUDGED, GuardRails, tripped
from gateway.batches.permission import Permission
from gateway.batches.preparing import Preparation
from gateway.domain.approvals import ApprovalState
from gateway.domain.batches import (
    COLLECTING_TIME,
    Batch,
    BatchState,
    Item,
    ItemOutcome,
    Verdict,
    Why,
    key_of,
)
from gateway.domain.errors import (
    ConnectionSuspended,
    JobgateError,
    LedgerUnavailable,
    UnknownConnection,
    WindowClosed,
)
from gateway.domain.leases import LEASE_TIME, Lease, LeaseLost
from gateway.domain.model import Effect, JobAction
from gateway.domain.record import JobActionRecord
from gateway.domain.vocabulary import MODE, TERMINATE
from gateway.domain.windows import Closing
from gateway.engine.action import ActionRequest
from gateway.engine.actions import Actions, window_closed
from gateway.engine.connections import Connection, Directory
from gateway.engine.termination import Terminations
from gateway.ledger.batch_store import BatchStore
from gateway.ledger.batches import BUSY, SAVED, BatchSelection, ItemSelection
from gateway.resilience.pacing import Pace
from gateway.telemetry.metrics import BATCH_ITEMS, BATCH_LEASES_LOST
from gateway.telemetry.tracing import spans

log = logging.getLogger(__name__)

GROUP = 16
"""Items that are sent together. Two groups can be under way: so many items can be in doubt after a crash."""
GROUP_SPAN = "jobgate.batch.group"
"""The name of the span of a group. It begins a trace, which is linked to the request that created the batch."""
LOOK_SECONDS = 0.25
"""Seconds between two looks for batches that somebody should look after."""
AT_ONCE = timedelta()
SOON = timedelta(seconds=1)
"""The time after which a batch that has to wait is looked after again."""
RENEW_SECONDS = LEASE_TIME.total_seconds() / 3
"""Seconds between two renewals of a lease under which nothing is written."""
RECOVERY_SECONDS = 2.0
"""Extra seconds to wait when the ledger cannot be used."""
MOST_BATCHES = 16
"""Most batches that a process works on at the same time."""
IN_DOUBT = 4 * GROUP
"""Items at the front of a batch that may have been sent by its former holder."""
DOUBT_TIME = timedelta(seconds=60)
"""The time for which reconciliation is awaited before an outcome counts as unknown, when a batch is taken over."""
PERMISSION_SECONDS = 5.0
"""Seconds after which a running batch checks again that its caller still has the scopes."""
STALE = timedelta(seconds=60)
"""The age of a plan from which a job is read again before an action that must not be repeated."""


@dataclass(frozen=True)
class Runner:
    """Works on batches until the gateway stops."""

    store: BatchStore
    changes: Changes
    preparation: Preparation
    actions: Actions
    terminations: Terminations
    directory: Directory
    rails: GuardRails
    stopping: asyncio.Event
    permission: Permission
    under_way: set[asyncio.Task[None]] = field(default_factory=set, repr=False)

    async def run(self) -> None:
        """Look after batches, until cancelled."""
        while True:
            pause = LOOK_SECONDS
            try:
                await self.look()
            except LedgerUnavailable as error:
                log.warning("batches could not be looked after: %s", error.code)
                pause = RECOVERY_SECONDS
            except Exception:
                log.exception("batches could not be looked after")
                pause = RECOVERY_SECONDS
            await asyncio.sleep(pause)

    async def look(self) -> None:
        """Take the batches that are due, and begin to work on them."""
        room = MOST_BATCHES - len(self.under_way)
        if room <= 0 or self.stopping.is_set():
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
        """Renew the lease while the block lasts, so that one under which nothing is written does not end."""

        async def keep() -> None:
            is_held = True
            while is_held:
                await asyncio.sleep(RENEW_SECONDS)
                is_held = await self.store.postpone(lease, self.changes.clock.now() + LEASE_TIME)

        renewing = asyncio.create_task(keep())
        try:
            yield
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)

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
        await self.refresh(batch)
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
        elif (closed := self.window_closed(batch)) is not None:
            await self._await_window(batch, lease, closed)
        elif await self._comes_later(batch) or not await self._has_begun(batch, lease):
            await self.store.postpone(lease, now + SOON)
        else:
            await self._run(await self.store.get(batch.id) or batch, lease)

    def window_closed(self, batch: Batch) -> Closing | None:
        """The window that holds a batch back now; None if there is none, or if it breaks the glass."""
        if batch.is_emergency:
            return None
        plan = batch.plan
        now = self.changes.clock.now()
        return self.actions.windows.closing(plan.action, plan.parameters.get(MODE), batch.connections, now)

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
        if not await self._recovered(batch):
            await self.store.postpone(lease, self.changes.clock.now() + SOON)
        elif batch.state is BatchState.ABORTING:
            await self.changes.end(batch, lease, BatchState.ABORTED)
        else:
            await self.changes.go_on(batch, lease, BatchState.PAUSED, batch.why, frees=True)

    async def _finish(self, batch: Batch, lease: Lease) -> None:
        """Complete the batch once no outcome is being found out any more."""
        if await self.refresh(batch):
            await self.store.postpone(lease, self.changes.clock.now() + SOON)
        else:
            await self.changes.end(batch, lease, BatchState.COMPLETED)

    async def _run(self, batch: Batch, lease: Lease) -> None:
        """Send the items that are left, group by group, within the guard rails."""
        if not await self._recovered(batch):
            await self.store.postpone(lease, self.changes.clock.now() + SOON)
            return
        refusal = await self.permission.begin(batch)
        if refusal is not None:
            await self.changes.go_on(batch, lease, BatchState.STOPPED, refusal, frees=True)
            return
        batch = await self.store.get(batch.id) or batch
        run = Run(self, batch, lease)
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

    async def _recovered(self, batch: Batch) -> bool:
        """Find out what became of the items that a former holder may have sent. False if that is still being found out.

        They are at the front of those that are left, and their job actions hold their keys.
        """
        left = ItemSelection(batch.id, Verdict.WILL_ACT, (ItemOutcome.PENDING,))
        items = {key_of(batch.id, each.position): each for each in await self.store.items(left, limit=IN_DOUBT)}
        holders = await self.store.key_holders(batch.caller, list(items))
        records = await self._records(holders.values())
        oldest = self.changes.clock.now() - DOUBT_TIME
        known = {each.id: each for each in records if not is_in_doubt(each) or each.requested.at < oldest}
        settled = [settled_by(items[key], known[holder]) for key, holder in holders.items() if holder in known]
        if settled:
            await self.store.settle(batch.id, settled)
        return len(known) == len(records)

    async def refresh(self, batch: Batch) -> bool:
        """Store the outcomes that have been found out. True if others still may be."""
        left = False
        async for items in self.store.pages(ItemSelection(batch.id, outcomes=(ItemOutcome.UNKNOWN,))):
            its = {each.job_action: each for each in items if each.job_action is not None}
            records = await self._records(its)
            settled = [settled_by(its[each.id], each) for each in records if each.is_settled]
            if settled:
                await self.store.settle(batch.id, settled)
            left = left or any(not each.is_settled for each in records)
        return left

    async def _records(self, ids: Iterable[str]) -> list[JobActionRecord]:
        found = [await self.actions.ledger.get(each, None) for each in ids]
        return [each for each in found if each is not None]


class Pause(StrEnum):
    """The reasons for which a run ends without a guard rail."""

    DONE = "done"
    DEADLINE = "deadline"
    GATEWAY_STOPS = "gateway-stops"


class Run:
    """One run of a batch under one lease."""

    def __init__(self, runner: Runner, batch: Batch, lease: Lease) -> None:
        """Go on with a batch."""
        self.progress = batch.progress
        self._runner = runner
        self._batch = batch
        self._lease = lease
        self._clock = runner.changes.clock
        self._paces: dict[str, Pace] = {}
        self._trouble: JobgateError | None = None
        self._begun = self._permitted = 0.0
        self._settling: asyncio.Task[Mapping[str, int]] | None = None
        self._storing = asyncio.Lock()
        self._is_any_left = False

    async def send(self) -> Why | Pause | Closing:
        """Send the items that are left, until a guard rail, a window or somebody stops it. Raises LeaseLost."""
        self._permitted = self._clock.monotonic()
        while True:
            self._is_any_left = False
            why = await self._send_all()
            if why is not Pause.DONE or not self._is_any_left:
                return why

    async def _send_all(self) -> Why | Pause | Closing:
        self._begun = self._clock.monotonic()
        under_way: asyncio.Task[Why | None] | None = None
        is_first = True
        try:
            async for group in self._groups():
                ending = self._ending()
                if ending is not None:
                    return ending
                before, under_way = under_way, asyncio.create_task(self._group(group))
                if is_first:  # it is judged alone; later ones are sent while the one before is finished
                    is_first, before, under_way = False, under_way, None
                why = None if before is None else await before
                if why is not None:
                    return why
            why = None if under_way is None else await under_way
        except asyncio.CancelledError:
            if under_way is not None:
                under_way.cancel()
            raise
        else:
            return why or Pause.DONE
        finally:
            if under_way is not None:
                await asyncio.gather(under_way, return_exceptions=True)
            await self._settled()

    async def _group(self, group: list[Item]) -> Why | None:
        """Send a group. Returns the guard rail that it has hit. Raises LeaseLost, and LedgerUnavailable."""
        parent = self._batch.trace_parent
        with spans().linked(GROUP_SPAN, () if parent is None else (parent,)) as span:
            span.tell({"jobgate.action": self._batch.plan.action, "jobgate.batch.items": len(group)})
            results = await asyncio.gather(*map(self._item, group), return_exceptions=True)
        await self._settle([each for each in results if isinstance(each, Item)])
        for error in results:
            if isinstance(error, BaseException):
                raise error
        return await self._hit()

    async def _settle(self, done: list[Item]) -> None:
        """Store what has become of a group while the next one is sent, and count it at once for the guard rails."""
        async with self._storing:
            await self._store(done)

    async def _store(self, done: list[Item]) -> None:
        """Begin to store them, once those before are stored."""
        await self._settled()
        now = self._clock.monotonic()
        outcomes = Counter(self.progress.outcomes)
        outcomes.update(each.outcome for each in done)
        outcomes[ItemOutcome.PENDING] -= len(done)
        self.progress = replace(self.progress, outcomes=dict(outcomes))
        for item in done:
            BATCH_ITEMS.add(item.connection, item.outcome)
        if done:
            storing = self._runner.store.settle(self._batch.id, done, now - self._begun)
            self._settling = asyncio.create_task(storing)
        self._begun = now

    async def _settled(self) -> None:
        """Wait until the last group is stored. Raises LedgerUnavailable."""
        settling, self._settling = self._settling, None
        if settling is not None:
            self.progress = replace(self.progress, outcomes=await settling)

    def _ending(self) -> Pause | Closing | None:
        """The reason to send no more, None to go on."""
        deadline = self._batch.plan.deadline
        if deadline is not None and deadline <= self._clock.now():
            return Pause.DEADLINE
        if self._runner.stopping.is_set():
            return Pause.GATEWAY_STOPS
        return self._runner.window_closed(self._batch)

    async def _hit(self) -> Why | None:
        """The guard rail that the batch has hit, or the connection that is suspended; None if it can go on."""
        runner, batch = self._runner, self._batch
        if self._trouble is not None:
            return Why(self._trouble.detail, self._trouble.code)
        missing = await self._missing()
        if missing is not None:
            return missing
        why = tripped(runner.rails, batch.plan.limits, self.progress, batch.forgiven)
        if why is None or why.code != "maxUnknown":
            return why
        # Outcomes may have been found out in the meantime.
        await self._settled()
        await runner.refresh(batch)
        found = await runner.store.get(batch.id)
        if found is not None:
            self.progress = found.progress
        return tripped(runner.rails, batch.plan.limits, self.progress, batch.forgiven)

    async def _missing(self) -> Why | None:
        """The scope that the caller has lost since the batch began. It is looked for now and then."""
        now = self._clock.monotonic()
        if now - self._permitted < PERMISSION_SECONDS:
            return None
        self._permitted = now
        return await self._runner.permission.missing(self._batch)

    async def _groups(self) -> AsyncIterator[list[Item]]:
        """The items that are left, in groups."""
        left = ItemSelection(self._batch.id, Verdict.WILL_ACT, (ItemOutcome.PENDING,))
        size = FIRST_JUDGED
        async for items in self._runner.store.pages(left):
            while items:
                group, items = items[:size], items[size:]  # noqa: PLW2901 - the rest of the page
                yield group
                size = GROUP

    async def _item(self, item: Item) -> Item | None:
        """Act on one item. None if it is left for later.

        Raises LeaseLost, and LedgerUnavailable, after which its key shows what became of it.
        """
        try:
            connection = self._runner.directory.connection(item.connection)
        except UnknownConnection as error:
            return not_sent(item, error)
        if self._trouble is not None:
            return None
        async with self._pace(connection).turn():
            try:
                changed = await self._changed(connection, item) if self._is_stale() else None
                if changed is not None:
                    return changed
                return await self._act(connection, item)
            except LedgerUnavailable:
                raise
            except JobgateError as error:
                return not_sent(item, error)

    def _is_stale(self) -> bool:
        prepared_at = self._batch.prepared_at
        return prepared_at is not None and self._clock.now() - prepared_at > STALE

    async def _act(self, connection: Connection, item: Item) -> Item | None:
        batch, runner = self._batch, self._runner
        request = ActionRequest(
            connection,
            JobAction(batch.plan.action, item.job_id, batch.plan.parameters),
            batch.caller,
            key=key_of(batch.id, item.position),
            lease=self._lease,
            labels=batch.plan.labels,
            is_approved=True,
            is_emergency=batch.is_emergency,
        )
        perform = runner.terminations.perform if batch.plan.action == TERMINATE else runner.actions.perform
        record = (await perform(request)).record
        code = None if record.problem is None else record.problem.code
        if code == WindowClosed.code and not record.sent:
            # It closed a moment ago. The item is left for later.
            self._is_any_left = True
            return None
        if record.problem is not None and code == ConnectionSuspended.code and not record.sent:
            self._trouble = ConnectionSuspended(f"{connection.name}: {record.problem.detail}")
            return None
        return settled_by(item, record)

    async def _changed(self, connection: Connection, item: Item) -> Item | None:
        """The item, skipped, if its job has changed since the plan was made so that the action is not allowed."""
        mapping = connection.specification.actions.get(self._batch.plan.action)
        if mapping is None or mapping.effect is not Effect.ONCE:
            return None
        actions = self._runner.actions
        job = await actions.jobs.get(connection, item.job_id, actions.calls.context(caller=self._batch.caller))
        if job.status.vendor_status in mapping.from_statuses:
            return None
        seen = item.status_seen.vendor_status if item.status_seen else "not read"
        detail = f"The job was {seen}, and is {job.status.vendor_status} now."
        return replace(item, outcome=ItemOutcome.SKIPPED, detail=detail)

    def _pace(self, connection: Connection) -> Pace:
        if connection.name not in self._paces:
            rate = self._batch.plan.limits.rate_per_second
            pace = Pace(self._clock, connection.pipeline.slots, connection.quota, rate)
            self._paces[connection.name] = pace
        return self._paces[connection.name]


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


def is_in_doubt(record: JobActionRecord) -> bool:
    """True if it is still being found out what became of an action."""
    return not record.is_settled


def settled_by(item: Item, record: JobActionRecord) -> Item:
    """The item with the outcome of its job action. One that is still under way counts as unknown."""
    problem = record.problem
    return replace(
        item,
        outcome=ItemOutcome.UNKNOWN if record.outcome is None else ItemOutcome(record.outcome),
        job_action=record.id,
        problem=None if problem is None else problem.code,
        detail=None if problem is None else problem.detail,
    )


def not_sent(item: Item, error: JobgateError) -> Item:
    """The item for which there is no job action."""
    return replace(item, outcome=ItemOutcome.NOT_SENT, problem=error.code, detail=error.detail)
