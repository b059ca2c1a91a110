"""The progress of a batch during a run: the outcomes that are stored, and those that are not stored yet."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping

from msgspec.structs import replace

from gateway.batches.outcomes import Outcomes
from gateway.domain.batches import Batch, Item, ItemOutcome, Progress
from gateway.telemetry.metrics import BATCH_ITEMS


class RunProgress:
    """Counts each item as soon as it is finished, and stores them while others are sent.

    One write is under way at a time, under a lock, so that no counters that are older replace newer ones.
    """

    def __init__(self, outcomes: Outcomes, batch: Batch) -> None:
        """Go on from the counters of a batch."""
        self._outcomes = outcomes
        self._batch = batch
        self._stored = batch.progress
        self._finished: list[Item] = []
        self._being_stored: list[Item] = []
        self._write: asyncio.Task[Mapping[str, int]] | None = None
        self._storing = asyncio.Lock()
        self._begun = 0.0

    @property
    def now(self) -> Progress:
        """The counters as far as outcomes are known, stored or not."""
        known = self._being_stored + self._finished
        outcomes = Counter(self._stored.outcomes)
        outcomes.update(each.outcome for each in known)
        outcomes[ItemOutcome.PENDING] -= len(known)
        return replace(self._stored, outcomes=dict(outcomes))

    def begin(self) -> None:
        """Count the seconds in which the batch runs from here on."""
        self._begun = self._outcomes.clock.monotonic()

    def finished(self, item: Item) -> None:
        """Count an item that has its outcome."""
        self._finished.append(item)
        BATCH_ITEMS.add(item.connection, item.outcome)

    async def store(self) -> None:
        """Begin to store what is finished, once what was finished before is stored. Raises LedgerUnavailable."""
        async with self._storing:
            await self._begin_to_store()

    async def stored(self) -> None:
        """Wait until what has begun to be stored is stored. Raises LedgerUnavailable."""
        async with self._storing:
            await self._written()

    async def refresh(self) -> None:
        """Count anew, with the unknown outcomes that have been found out by now. Raises LedgerUnavailable."""
        async with self._storing:
            await self._begin_to_store()
            await self._written()
            await self._outcomes.refresh(self._batch)
            found = await self._outcomes.store.get(self._batch.id)
            if found is not None:
                self._stored = found.progress

    async def _begin_to_store(self) -> None:
        await self._written()
        if self._finished:
            now = self._outcomes.clock.monotonic()
            seconds, self._begun = now - self._begun, now
            self._being_stored, self._finished = self._finished, []
            write = self._outcomes.store.settle(self._batch.id, self._being_stored, seconds, is_patient=True)
            self._write = asyncio.create_task(write)

    async def _written(self) -> None:
        write, self._write = self._write, None
        if write is not None:
            outcomes = await write
            self._stored, self._being_stored = replace(self._stored, outcomes=outcomes), []
