"""Changes of a batch's state, each with its event in the audit chain."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from msgspec import to_builtins
from msgspec.structs import replace

from gateway.batches import report
from gateway.domain.batches import Batch, BatchState, Why, end_of
from gateway.domain.leases import LEASE_TIME, Lease, LeaseLost
from gateway.domain.ports import Clock
from gateway.ledger.batch_store import BatchStore
from gateway.ledger.batches import SAVED
from gateway.ledger.events import StateChanged

KIND = "batch"


def event_of(batch: Batch, by: str | None) -> StateChanged:
    """The event that a batch has got its state."""
    plan, manifest = batch.plan, batch.manifest
    facts: dict[str, Any] = {"caller": batch.caller, "action": plan.action, "reason": plan.reason}
    if plan.labels:
        facts["labels"] = dict(plan.labels)
    if manifest is not None:
        facts |= {"manifestDigest": manifest.digest, "count": manifest.count}
    if batch.why is not None:
        facts["why"] = {name: value for name, value in to_builtins(batch.why).items() if value is not None}
    if batch.report is not None:
        facts |= {"reportSha256": batch.report.ndjson, "reportCsvSha256": batch.report.csv}
        facts |= {"items": batch.report.items, "outcomes": dict(batch.progress.outcomes)}
    return StateChanged(batch.changed_at, KIND, batch.id, batch.state, by, facts)


@dataclass(frozen=True)
class Changes:
    """Makes the changes of batches under a lease."""

    store: BatchStore
    clock: Clock

    async def go_on(  # noqa: PLR0913 - the parts of a change
        self,
        batch: Batch,
        lease: Lease,
        state: BatchState,
        why: Why | None = None,
        *,
        after: timedelta | None = None,
        takes: bool = False,
        frees: bool = False,
        **changes: Any,
    ) -> str:
        """Give a batch its next state, and look after it again `after` a time, by default when the lease ends.

        Returns SAVED or BUSY. Raises LeaseLost if somebody else has changed it.
        """
        now = self.clock.now()
        changed = self.changed(batch, state, why, now, **changes)
        due = now + (LEASE_TIME if after is None else after)
        saved = await self.store.save(changed, event_of(changed, None), due, lease, takes=takes, frees=frees)
        if saved not in {SAVED, "busy"}:
            raise LeaseLost(batch.id)
        return saved

    async def end(self, batch: Batch, lease: Lease, state: BatchState, why: Why | None = None) -> None:
        """Give a batch its last state, with its report. Raises LeaseLost."""
        await self.store.close_items(batch.id)
        whole = await report.summary(self.store, batch.id)
        stored = await self.store.get(batch.id)
        batch = batch if stored is None else replace(batch, progress=stored.progress)
        now = self.clock.now()
        changed = self.changed(batch, state, why or batch.why, now, report=whole)
        if await self.store.save(changed, event_of(changed, None), None, lease, frees=True) != SAVED:
            raise LeaseLost(batch.id)

    def changed(self, batch: Batch, state: BatchState, why: Why | None, now: datetime, **changes: Any) -> Batch:
        """The batch in another state. Raises ValueError if the table of states has no such transition."""
        if not batch.may_become(state):
            raise ValueError(f"batch {batch.id} cannot become {state} while it is {batch.state}")
        return replace(batch, state=state, why=why, changed_at=now, **changes)


def outcome_of(batch: Batch) -> str | None:
    """The outcome of an ended batch, None for any other."""
    return end_of(batch.progress) if batch.is_ended else None
