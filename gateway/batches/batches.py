"""The commands of callers for batches: create, confirm, pause, resume, abort, try again.

A change by a caller takes the batch from whoever works on it, in the commit that stores the change: nothing is sent
under the former lease from then on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from msgspec.structs import replace

from gateway.batches.changes import Changes, event_of
from gateway.batches.guard_rails import GuardRails
from gateway.batches.permission import Permission, requester_of
from gateway.batches.preparing import connections_of, is_large
from gateway.domain.access import Caller
from gateway.domain.approvals import Person
from gateway.domain.batches import (
    BEFORE,
    ENDED,
    LARGEST_BATCH,
    Batch,
    BatchPlan,
    BatchState,
    Item,
    ItemOutcome,
    JobReference,
    Progress,
    Why,
)
from gateway.domain.errors import (
    BatchTooLarge,
    BreakGlassRefused,
    Explanation,
    Forbidden,
    IdempotencyKeyReused,
    ManifestDiffers,
    UnknownBatch,
    WrongBatchState,
    catalogue,
)
from gateway.domain.model import Outcome
from gateway.domain.ports import Clock
from gateway.domain.record import HeldKey
from gateway.engine.connections import Directory
from gateway.ledger.batch_store import BatchStore
from gateway.ledger.batches import CHANGED, SAVED, TOO_MANY, CreateBatch, ItemSelection
from gateway.telemetry.current import CURRENT

LARGEST_PAGE = 10_000
"""Most jobs in one page of a batch that collects them."""
RETRYABLE = frozenset(kind.code for kind in catalogue() if kind.retryable)
"""Codes of the problems after which the same action can succeed later."""


@dataclass(frozen=True, slots=True)
class Shown:
    """The manifest that somebody was shown: its digest, and its number of jobs to be acted on."""

    digest: str
    count: int


@dataclass(frozen=True)
class Batches:
    """The batches of a gateway. `permission` decides whether a confirmed batch needs an approval."""

    store: BatchStore
    changes: Changes
    directory: Directory
    rails: GuardRails
    clock: Clock
    key_time: timedelta
    permission: Permission

    async def create(  # noqa: PLR0913, PLR0917 - the parts of a request
        self,
        plan: BatchPlan,
        jobs: Sequence[JobReference],
        caller: str,
        key: str | None = None,
        fingerprint: bytes = b"",
        owner: str = "",
    ) -> tuple[Batch, bool]:
        """Create a batch, or return the one that the same request created before, and True.

        `owner` is the person behind the caller, if it is not the caller itself.

        Raises UnknownConnection, BatchTooLarge and IdempotencyKeyReused.
        """
        now = self.clock.now()
        held = None if key is None else HeldKey(caller, f"batch\t{key}", fingerprint, now + self.key_time)
        creation = self.creation(plan, jobs, Person(caller, owner), held)
        batch = creation.batch
        holder = await self.store.create(creation)
        if holder is None:
            return batch, False
        if holder[1] != fingerprint:
            raise IdempotencyKeyReused(
                "The key was used before, for another batch.", Explanation(outcome=Outcome.NOT_SENT)
            )
        return await self.get(holder[0], caller), True

    def creation(
        self, plan: BatchPlan, jobs: Sequence[JobReference], requester: Person, key: HeldKey | None = None
    ) -> CreateBatch:
        """The write that creates a batch. Raises UnknownConnection and BatchTooLarge."""
        names = connections_of(jobs) if plan.filter is None else tuple(plan.filter["connections"])
        named = {name: self.directory.connection(name).specification for name in names}
        if len(jobs) > LARGEST_BATCH:
            raise too_large()
        items = [
            Item(position, each.connection, named[each.connection].job_id(each.job_id))
            for position, each in enumerate(jobs, 1)
        ]
        now, current = self.clock.now(), CURRENT.get()
        state = BatchState.COLLECTING if plan.is_paged else BatchState.PREPARING
        outcomes = {str(ItemOutcome.PENDING): len(items)} if items else {}
        batch = Batch(
            self.clock.new_id(now),
            requester.caller,
            state,
            plan,
            now,
            now,
            connections=names,
            progress=Progress(outcomes),
            owner=requester.owner,
            trace_parent=None if current is None else current.trace_parent,
        )
        return CreateBatch(batch, items, event_of(batch, requester.caller), now, now, key)

    async def get(self, batch_id: str, caller: str | None) -> Batch:
        """The batch with this id, if `caller` created it. With `caller` None, whoever did. Raises UnknownBatch."""
        batch = await self.store.get(batch_id)
        if batch is None or caller not in {None, batch.caller}:
            raise unknown_batch()
        return batch

    async def add(self, batch_id: str, caller: str, page: int, jobs: Sequence[JobReference]) -> Batch:
        """Add a page of jobs to a batch that collects them. Raises UnknownBatch, WrongBatchState, BatchTooLarge."""
        batch = await self.get(batch_id, caller)
        named = {name: self.directory.connection(name).specification for name in connections_of(jobs)}
        first = (page - 1) * LARGEST_PAGE + 1
        items = [
            Item(position, each.connection, named[each.connection].job_id(each.job_id))
            for position, each in enumerate(jobs, first)
        ]
        added = await self.store.add(batch.id, items, LARGEST_BATCH)
        if added == CHANGED:
            raise wrong_state(await self.get(batch_id, caller), "add jobs to", [BatchState.COLLECTING])
        if added == TOO_MANY:
            raise too_large()
        return await self.get(batch_id, caller)

    async def prepare(self, batch_id: str, caller: str) -> Batch:
        """Prepare a batch whose jobs are all added. Raises UnknownBatch and WrongBatchState."""

        async def prepared(batch: Batch) -> Batch:
            return allowed(batch, "prepare", [BatchState.COLLECTING], BatchState.PREPARING)

        return await self._change(batch_id, caller, prepared)

    async def confirm(  # noqa: PLR0913, PLR0917 - who confirms, and what was shown
        self, batch_id: str, caller: str, digest: str, count: int, share: float | None = None, owner: str = ""
    ) -> Batch:
        """Confirm a batch as it was shown. It is then ready, or awaits an approval.

        Raises UnknownBatch, Forbidden if another owner created it, WrongBatchState and ManifestDiffers.
        """

        async def confirmed(batch: Batch) -> Batch:
            now = self.clock.now()
            ready = allowed(batch, "confirm", [BatchState.AWAITING_CONFIRMATION], BatchState.READY)
            self._check(batch, owner or caller, Shown(digest, count))
            acting = 0.0 if batch.manifest is None else batch.manifest.share or 0.0
            if is_large(self.rails, batch) and (share is None or share < acting):
                raise ManifestDiffers(
                    f"The batch acts on {acting:.1%} of the connections' jobs, more than "
                    f"{self.rails.share(batch.plan.limits):.1%}. Confirm its share too if that is intended."
                )
            return await self.permission.gate(replace(ready, confirmed_by=caller, confirmed_at=now))

        return await self._change(batch_id, caller, confirmed)

    async def break_glass(
        self, batch_id: str, caller: Caller, shown: Shown, reason: str, ticket: str | None = None
    ) -> Batch:
        """Begin a small batch in an emergency: without approval, and whatever the windows say. It is to be reviewed.

        Raises UnknownBatch, Forbidden, WrongBatchState, ManifestDiffers and BreakGlassRefused.
        """
        approvals, review = self.permission.approvals, None
        waiting = [BatchState.AWAITING_CONFIRMATION, BatchState.AWAITING_APPROVAL]

        async def begun(batch: Batch) -> Batch:
            nonlocal review
            ready = allowed(batch, "break glass for", waiting, BatchState.READY)
            self._check(batch, caller.owner, shown)
            if is_large(self.rails, batch):
                raise BreakGlassRefused("The batch acts on a larger share of the jobs than the guard rails allow.")
            now = self.clock.now()
            deadline = min(filter(None, (batch.plan.deadline, now + approvals.emergencies.lasts)))
            ready = replace(ready, plan=replace(batch.plan, not_before=None, deadline=deadline), is_emergency=True)
            plan = await self.permission.plan_of(ready)
            if review is None or review.plan != plan:
                review = await approvals.break_glass(batch.id, plan, caller, reason, ticket)
            return replace(ready, confirmed_by=caller.name, confirmed_at=now, approval=review.id)

        before = await self.get(batch_id, caller.name)
        batch = await self._change(batch_id, caller.name, begun)
        if before.approval is not None:
            await approvals.withdraw(before.approval, requester_of(batch))
        return batch

    def _check(self, batch: Batch, owner: str, shown: Shown) -> None:
        """Check that an owner may confirm a batch, in time, and was shown its manifest.

        A batch that awaits an approval was confirmed in time. Raises Forbidden, WrongBatchState and ManifestDiffers.
        """
        check_owner(batch, owner)
        until = batch.confirm_until
        if batch.state is BatchState.AWAITING_CONFIRMATION and (until is None or until <= self.clock.now()):
            raise WrongBatchState("The time to confirm the batch is over. Create it anew.")
        manifest = batch.manifest
        if manifest is None or (manifest.digest, manifest.count) != (shown.digest, shown.count):
            raise ManifestDiffers("The manifest has another digest or count. Read the batch again.")

    async def pause(self, batch_id: str, caller: str, reason: str | None, *, is_others: bool = False) -> Batch:
        """Send nothing more for the time being. `is_others`: also in a batch that somebody else created.

        Raises UnknownBatch and WrongBatchState.
        """
        why = Why(reason or "Somebody paused it.", by=caller)

        async def paused(batch: Batch) -> Batch:
            following = BatchState.PAUSED if batch.state is BatchState.READY else BatchState.PAUSING
            return replace(allowed(batch, "pause", [BatchState.READY, BatchState.RUNNING], following), why=why)

        return await self._change(batch_id, caller, paused, is_others=is_others)

    async def resume(self, batch_id: str, caller: str, reason: str | None) -> Batch:
        """Let a paused or stopped batch go on. Raises UnknownBatch and WrongBatchState."""
        why = None if reason is None else Why(reason, by=caller)

        async def resumed(batch: Batch) -> Batch:
            ready = allowed(batch, "resume", [BatchState.PAUSED, BatchState.STOPPED], BatchState.READY)
            return replace(ready, why=why, forgiven=batch.progress.outcomes)

        return await self._change(batch_id, caller, resumed)

    async def abort(
        self, batch_id: str, caller: str, reason: str | None, owner: str = "", *, is_others: bool = False
    ) -> Batch:
        """Send nothing more, for good. Its approval is withdrawn. `is_others`: also if somebody else created the batch.

        `owner` is the person behind the caller, if it is not the caller itself. Raises UnknownBatch and
        WrongBatchState.
        """
        why = Why(reason or "Somebody aborted it.", by=caller)

        async def aborted(batch: Batch) -> Batch:
            return replace(allowed(batch, "abort", BEFORE[BatchState.ABORTING], BatchState.ABORTING), why=why)

        batch = await self._change(batch_id, caller, aborted, is_others=is_others)
        if batch.approval is not None:
            await self.permission.approvals.withdraw(batch.approval, Person(caller, owner or caller))
        return batch

    async def redrive(
        self, batch_id: str, caller: str, reason: str | None, key: str | None, fingerprint: bytes
    ) -> tuple[Batch, bool]:
        """Make a new batch of the items that were not sent, or refused in a way that may pass.

        Raises UnknownBatch, WrongBatchState, and what `create` raises.
        """
        batch = await self.get(batch_id, caller)
        if not batch.is_ended:
            raise wrong_state(batch, "try again", ENDED)
        again = (ItemOutcome.NOT_SENT, ItemOutcome.REJECTED)
        jobs: list[JobReference] = []
        async for items in self.store.pages(ItemSelection(batch.id, outcomes=again, prepared=None)):
            jobs += [JobReference(each.connection, each.job_id) for each in items if can_be_repeated(each)]
        plan = replace(
            batch.plan,
            reason=reason or batch.plan.reason,
            filter=None,
            is_paged=False,
            redrive_of=batch.id,
            not_before=None,
            deadline=None,
            expected_count=None,
        )
        if not jobs:
            raise WrongBatchState("The batch has no item that can be tried again.")
        return await self.create(plan, jobs, caller, key, fingerprint, batch.owner)

    async def _change(
        self, batch_id: str, caller: str, change: Callable[[Batch], Awaitable[Batch]], *, is_others: bool = False
    ) -> Batch:
        """Make a change of a batch, again if somebody else was faster. Raises what `change` raises.

        `is_others`: somebody else than the caller may have created it.
        """
        creator = None if is_others else caller
        while True:
            batch = await self.get(batch_id, creator)
            now = self.clock.now()
            changed = replace(await change(batch), changed_at=now)
            if await self.store.save(changed, event_of(changed, caller), now) == SAVED:
                return await self.get(batch_id, creator)


def check_owner(batch: Batch, owner: str) -> None:
    """Raise Forbidden if a batch was created with a key of another owner: it would have two requesters."""
    if requester_of(batch).owner != owner:
        raise Forbidden("Only the owner who created the batch can confirm it, although the caller has the same name.")


def allowed(batch: Batch, verb: str, states: Sequence[BatchState], following: BatchState) -> Batch:
    """The batch in its next state, without a reason. Raises WrongBatchState unless it is in one of these states."""
    if batch.state not in states:
        raise wrong_state(batch, verb, states)
    return replace(batch, state=following, why=None)


def wrong_state(batch: Batch, verb: str, states: Iterable[BatchState]) -> WrongBatchState:
    """The problem for a batch that is in none of the states that are needed."""
    needed = " or ".join(sorted(states))
    return WrongBatchState(f"To {verb} a batch, it has to be {needed}; it is {batch.state}.")


def too_large() -> BatchTooLarge:
    """The problem for a batch with too many jobs."""
    return BatchTooLarge(f"A batch has at most {LARGEST_BATCH} jobs.")


def can_be_repeated(item: Item) -> bool:
    """True if nothing was done, and the same action may succeed later."""
    return item.outcome is ItemOutcome.NOT_SENT or item.problem in RETRYABLE


def unknown_batch() -> UnknownBatch:
    """The problem for a batch that is not there, and for one that the caller may not see: the two look the same."""
    return UnknownBatch("No batch of this id is recorded.")
