"""Sending the items of a batch: one run of it, group by group, under one lease.

Several lanes send groups and do not wait for each other. What became of a lane's group is stored with the commit that
sends the next one of either, and counts for the guard rails of all at once (`run_progress.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from msgspec.structs import replace

from gateway.batches.guard_rails import FIRST_JUDGED, GuardRails, tripped
from gateway.batches.outcomes import GROUP, Outcomes, not_sent, settled_by
from gateway.batches.permission import Permission
from gateway.batches.run_progress import RunProgress
from gateway.domain.batches import Batch, Item, ItemOutcome, Progress, Verdict, Why, key_of
from gateway.domain.errors import (
    ConnectionSuspended,
    JobgateError,
    LedgerUnavailable,
    UnknownConnection,
    WindowClosed,
)
from gateway.domain.leases import Lease, LeaseLost
from gateway.domain.model import Effect, JobAction
from gateway.domain.ports import Clock
from gateway.domain.vocabulary import MODE, TERMINATE
from gateway.domain.windows import Closing
from gateway.engine.action import ActionRequest
from gateway.engine.actions import Actions
from gateway.engine.connections import Connection, Directory
from gateway.engine.termination import Terminations
from gateway.ledger.batch_store import BatchStore
from gateway.ledger.batches import ItemSelection
from gateway.resilience.pacing import Pace
from gateway.telemetry.tracing import spans

GROUP_SPAN = "jobgate.batch.group"
"""The name of the span of a group. It begins a trace, which is linked to the request that created the batch."""
PERMISSION_SECONDS = 5.0
"""Seconds after which a running batch checks again that its caller still has the scopes."""
STALE = timedelta(seconds=60)
"""The age of a plan from which a job is read again before an action that must not be repeated."""
LANES = 2
"""Groups that are under way at the same time, so that a slow item holds up its own group only."""


class Pause(StrEnum):
    """The reasons for which a run ends without a guard rail."""

    DONE = "done"
    DEADLINE = "deadline"
    GATEWAY_STOPS = "gateway-stops"


@dataclass(frozen=True)
class Sending:
    """The services that every run needs. `lost` has the leases that have turned out to be lost during their run."""

    store: BatchStore
    clock: Clock
    outcomes: Outcomes
    actions: Actions
    terminations: Terminations
    directory: Directory
    rails: GuardRails
    stopping: asyncio.Event
    permission: Permission
    lost: set[Lease] = field(default_factory=set)

    def window_closed(self, batch: Batch) -> Closing | None:
        """The window that holds a batch back now; None if there is none, or if it breaks the glass."""
        if batch.is_emergency:
            return None
        plan = batch.plan
        now = self.clock.now()
        return self.actions.windows.closing(plan.action, plan.parameters.get(MODE), batch.connections, now)


class RemainingItems:
    """The items that are left, for several lanes, until there is a reason (`why`) to send no more."""

    def __init__(self, pages: AsyncIterator[list[Item]]) -> None:
        """Read them from these pages."""
        self._pages = pages
        self._read: list[Item] = []
        self._reading = asyncio.Lock()
        self.why: Why | Pause | Closing | None = None

    def end(self, why: Why | Pause | Closing | None) -> None:
        """Send no more for this reason, unless there was one before, or it is None."""
        self.why = self.why or why

    async def take(self, size: int) -> list[Item]:
        """The next items, at most so many; none if no more are to be sent."""
        async with self._reading:
            while len(self._read) < size and (page := await anext(self._pages, None)):
                self._read += page
        if self.why is not None:
            return []
        taken, self._read = self._read[:size], self._read[size:]
        return taken


class Run:
    """One run of a batch under one lease."""

    def __init__(self, sending: Sending, batch: Batch, lease: Lease) -> None:
        """Go on with a batch."""
        self._progress = RunProgress(sending.outcomes, batch)
        self._sending = sending
        self._batch = batch
        self._lease = lease
        self._clock = sending.clock
        self._paces: dict[str, Pace] = {}
        self._trouble: JobgateError | None = None
        self._permitted = 0.0
        self._missing: Why | None = None
        self._asking = asyncio.Lock()
        self._is_any_left = False

    @property
    def progress(self) -> Progress:
        """The counters of the batch by what is known now."""
        return self._progress.now

    async def send(self) -> Why | Pause | Closing:
        """Send the items that are left, until a guard rail, a window or somebody stops it. Raises LeaseLost."""
        self._permitted = self._clock.monotonic()
        while True:
            self._is_any_left = False
            why = await self._send_all()
            if why is not Pause.DONE or not self._is_any_left:
                return why

    async def _send_all(self) -> Why | Pause | Closing:
        """Send group after group: the first one alone, so that it is judged, and the others in lanes."""
        self._progress.begin()
        pending = ItemSelection(self._batch.id, Verdict.WILL_ACT, (ItemOutcome.PENDING,))
        left = RemainingItems(self._sending.store.pages(pending))
        lanes: list[asyncio.Task[None]] = []
        try:
            if first := await left.take(FIRST_JUDGED):
                await self._send_next(left, first)
            lanes = [asyncio.create_task(self._lane(left)) for _ in range(LANES)]
            await asyncio.gather(*lanes)
        finally:
            left.end(Pause.DONE)  # if one lane has failed, the other ends with its group
            await asyncio.gather(*lanes, return_exceptions=True)
            await self._progress.stored()
        return left.why or Pause.DONE

    async def _lane(self, left: RemainingItems) -> None:
        """Send group after group. Raises LeaseLost, and LedgerUnavailable."""
        while group := await left.take(GROUP):
            await self._send_next(left, group)

    async def _send_next(self, left: RemainingItems, group: list[Item]) -> None:
        """Send a group, unless there is a reason to send no more. Raises LeaseLost, and LedgerUnavailable."""
        left.end(self._ending())
        if left.why is None:
            left.end(await self._group(group))

    async def _group(self, group: list[Item]) -> Why | None:
        """Send a group. Returns the guard rail that it has hit. Raises LeaseLost, and LedgerUnavailable."""
        parent = self._batch.trace_parent
        with spans().linked(GROUP_SPAN, () if parent is None else (parent,)) as span:
            span.tell({"jobgate.action": self._batch.plan.action, "jobgate.batch.items": len(group)})
            results = await asyncio.gather(*map(self._finish, group), return_exceptions=True)
        await self._progress.store()
        for error in results:
            if isinstance(error, BaseException):
                raise error
        return await self._hit()

    def _ending(self) -> Pause | Closing | None:
        """The reason to send no more, None to go on. Raises LeaseLost."""
        if self._lease in self._sending.lost:
            raise LeaseLost
        if self._is_late():
            return Pause.DEADLINE
        if self._sending.stopping.is_set():
            return Pause.GATEWAY_STOPS
        return self._sending.window_closed(self._batch)

    def _is_late(self) -> bool:
        """True if the deadline is over."""
        deadline = self._batch.plan.deadline
        return deadline is not None and deadline <= self._clock.now()

    def _goes_on(self) -> bool:
        """True while items are sent: before the deadline, with its permission, until somebody else has the batch."""
        return self._missing is None and not self._is_late() and self._lease not in self._sending.lost

    async def _hit(self) -> Why | None:
        """The guard rail that the batch has hit, or the connection that is suspended; None if it can go on."""
        sending, batch = self._sending, self._batch
        if self._trouble is not None:
            return Why(self._trouble.detail, self._trouble.code)
        await self._check_permission()
        if self._missing is not None:
            return self._missing
        why = tripped(sending.rails, batch.plan.limits, self.progress, batch.forgiven)
        if why is None or why.code != "maxUnknown":
            return why
        # Outcomes may have been found out in the meantime.
        await self._progress.refresh()
        return tripped(sending.rails, batch.plan.limits, self.progress, batch.forgiven)

    async def _check_permission(self) -> None:
        """See now and then whether the caller has lost a scope since the batch began."""
        async with self._asking:  # the other items whose turn has come wait for the answer
            if not self._is_permission_fresh():
                self._missing = await self._sending.permission.missing(self._batch)
                self._permitted = self._clock.monotonic()

    def _is_permission_fresh(self) -> bool:
        return self._clock.monotonic() - self._permitted < PERMISSION_SECONDS

    async def _finish(self, item: Item) -> None:
        """Act on one item, and count it at once for the guard rails. Raises LeaseLost, and LedgerUnavailable."""
        done = await self._item(item)
        if done is not None:
            self._progress.finished(done)

    async def _item(self, item: Item) -> Item | None:
        """Act on one item. None if it is left for later.

        Raises LeaseLost, and LedgerUnavailable, after which its key shows what became of it.
        """
        try:
            connection = self._sending.directory.connection(item.connection)
        except UnknownConnection as error:
            return not_sent(item, error)
        if self._trouble is not None:
            return None
        async with self._pace(connection).turn(self._goes_on):
            if not self._is_permission_fresh():
                await self._check_permission()
            try:
                # What is too late needs no look at its job, and a look may be what makes it too late.
                changed = await self._changed(connection, item) if self._is_stale() and self._goes_on() else None
                if changed is not None:
                    return changed
                if not self._goes_on():
                    self._is_any_left = True
                    return None
                return await self._act(connection, item)
            except LedgerUnavailable:
                raise
            except JobgateError as error:
                return not_sent(item, error)

    def _is_stale(self) -> bool:
        prepared_at = self._batch.prepared_at
        return prepared_at is not None and self._clock.now() - prepared_at > STALE

    async def _act(self, connection: Connection, item: Item) -> Item | None:
        batch, sending = self._batch, self._sending
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
        perform = sending.terminations.perform if batch.plan.action == TERMINATE else sending.actions.perform
        record = (await perform(request)).record
        problem = record.problem
        if problem is not None and not record.sent:
            if problem.code == WindowClosed.code:
                # It closed a moment ago. The item is left for later.
                self._is_any_left = True
                return None
            if problem.code == ConnectionSuspended.code:
                self._trouble = ConnectionSuspended(f"{connection.name}: {problem.detail}")
                return None
        return settled_by(item, record)

    async def _changed(self, connection: Connection, item: Item) -> Item | None:
        """The item, skipped, if its job has changed since the plan was made so that the action is not allowed."""
        mapping = connection.specification.actions.get(self._batch.plan.action)
        if mapping is None or mapping.effect is not Effect.ONCE:
            return None
        actions = self._sending.actions
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
