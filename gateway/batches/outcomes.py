"""Finding out what became of the items of a batch that were sent, by their keys and job actions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from msgspec.structs import replace

from gateway.domain.batches import Batch, Item, ItemOutcome, Verdict, key_of
from gateway.domain.errors import JobgateError
from gateway.domain.ports import Clock
from gateway.domain.record import JobActionRecord
from gateway.engine.actions import Actions
from gateway.ledger.batch_store import BatchStore
from gateway.ledger.batches import ItemSelection

GROUP = 32
"""Items that are sent together. Two groups can be under way: so many items can be in doubt after a crash."""
IN_DOUBT = 4 * GROUP
"""Items at the front of a batch that are looked up when it is taken over.

Its former holder may have sent two groups, and a third whose outcomes are not stored yet. A fourth is to spare, as some
items of the others may have been left for later.
"""
DOUBT_TIME = timedelta(seconds=60)
"""The time for which reconciliation is awaited before an outcome counts as unknown, when a batch is taken over."""


@dataclass(frozen=True)
class Outcomes:
    """The outcomes of items, as the ledger knows them."""

    store: BatchStore
    actions: Actions
    clock: Clock

    async def recovered(self, batch: Batch) -> bool:
        """Find out what became of the items that a former holder may have sent. False if that is still being found out.

        They are at the front of those that are left, and their job actions hold their keys.
        """
        left = ItemSelection(batch.id, Verdict.WILL_ACT, (ItemOutcome.PENDING,))
        items = {key_of(batch.id, each.position): each for each in await self.store.items(left, limit=IN_DOUBT)}
        holders = await self.store.key_holders(batch.caller, list(items))
        records = await self._records(holders.values())
        oldest = self.clock.now() - DOUBT_TIME
        known = {each.id: each for each in records if each.is_settled or each.requested.at < oldest}
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
