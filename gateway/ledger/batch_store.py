"""The batches of a ledger, for the code that works on them. Every method raises LedgerUnavailable."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.domain.batches import Batch, Item, JobReference, Progress
from gateway.domain.leases import LEASE_TIME, Lease, TaskKind
from gateway.domain.model import Page
from gateway.ledger import batches
from gateway.ledger.batches import BatchSelection, ItemSelection
from gateway.ledger.events import StateChanged
from gateway.ledger.task_store import TaskStore

ITEMS_AT_ONCE = 500
"""Most items that are read or written at once."""


@dataclass(frozen=True)
class BatchStore(TaskStore):
    """Stores batches and their items, and hands out leases of them."""

    kind: TaskKind = TaskKind.BATCH

    async def create(self, creation: batches.CreateBatch) -> tuple[str, bytes] | None:
        """Store a new batch. Returns the id and the fingerprint of the batch that holds its key, if one does."""
        held = await self.ledger.write(creation)
        self.note(creation.due)
        return None if held is None else (held[0], held[1])

    async def save(  # noqa: PLR0913 - the parts of one change
        self,
        batch: Batch,
        event: StateChanged | None,
        due: datetime | None,
        lease: Lease | None = None,
        *,
        takes: bool = False,
        frees: bool = False,
    ) -> str:
        """Store a change of a batch's head, as `SaveBatch` says. Raises LeaseLost."""
        soon = None if due is None else min(due, self.clock.now() + LEASE_TIME)
        saved: str = await self.ledger.write(batches.SaveBatch(batch, event, soon, lease, takes, frees))
        if soon is not None:
            self.note(soon)
        return saved

    async def add(self, batch: str, items: Sequence[Item], most: int) -> str:
        """Add a page of items to a batch that collects them, as `AddItems` says."""
        added: str = await self.ledger.write(batches.AddItems(batch, list(items), most))
        return added

    async def renumber(self, batch: str, lease: Lease) -> None:
        """Give the items of a batch the positions from 1 on, in their order. Raises LeaseLost."""
        after, first = 0, 1
        while True:
            step = batches.RenumberItems(batch, lease, self.clock.now(), after, first, ITEMS_AT_ONCE)
            moved = await self.ledger.write(step)
            if moved is None:
                return
            after, first = moved[0], first + moved[1]

    async def put(
        self, batch: str, lease: Lease, items: Sequence[Item], progress: Progress, *, clears: bool = False
    ) -> None:
        """Store items as they were read, and the counters of their batch. Raises LeaseLost."""
        await self.ledger.write(batches.PutItems(batch, lease, self.clock.now(), list(items), progress, clears))

    async def settle(
        self, batch: str, items: Sequence[Item], seconds: float = 0.0, *, is_patient: bool = False
    ) -> Mapping[str, int]:
        """Store what has become of items. Returns the number of the batch's items by outcome.

        If it is patient, it shares the commit of what is sent next.
        """
        settled = batches.SettleItems(batch, list(items), seconds, self.clock.now())
        outcomes: Mapping[str, int] = await self.ledger.write(settled, is_patient=is_patient)
        return outcomes

    async def close_items(self, batch: str) -> None:
        """Give the items that were not acted on the outcome `not_sent`."""
        await self.ledger.write(batches.CloseItems(batch))

    async def get(self, batch: str) -> Batch | None:
        """The batch with this id."""
        return await self.ledger.read(lambda connection: batches.head(connection, batch))

    async def page(self, selection: BatchSelection, limit: int, before: str | None) -> Page[Batch]:
        """Selected batches, newest first."""
        return await self.ledger.read(lambda connection: batches.page(connection, selection, limit, before))

    async def items(self, selection: ItemSelection, after: int = 0, limit: int = ITEMS_AT_ONCE) -> list[Item]:
        """At most `limit` selected items with positions after `after`."""
        return await self.ledger.read(lambda connection: batches.items(connection, selection, after, limit))

    async def pages(self, selection: ItemSelection, after: int = 0) -> AsyncIterator[list[Item]]:
        """All selected items, in pages."""
        while found := await self.items(selection, after):
            yield found
            after = found[-1].position

    async def first_places(self, batch: str, jobs: Sequence[JobReference]) -> Mapping[JobReference, int]:
        """The first position of each of these jobs in a batch."""
        return await self.ledger.read(lambda connection: batches.first_places(connection, batch, jobs))

    async def held(self, batch: str, jobs: Sequence[JobReference]) -> set[JobReference]:
        """Those of these jobs on which another batch will act."""
        return await self.ledger.read(lambda connection: batches.held_jobs(connection, batch, jobs))

    async def verdicts(self, batch: str) -> Mapping[str, int]:
        """The number of a batch's items with each verdict."""
        return await self.ledger.read(lambda connection: batches.verdicts(connection, batch))

    async def acting(self, batch: str) -> Mapping[str, int]:
        """The number of jobs that a batch will act on, by connection."""
        return await self.ledger.read(lambda connection: batches.acting(connection, batch))

    async def key_holders(self, caller: str, keys: Sequence[str]) -> Mapping[str, str]:
        """The ids of the job actions that hold these keys of a caller."""
        return await self.ledger.read(lambda connection: batches.key_holders(connection, caller, keys))

    async def postpone(self, lease: Lease, until: datetime) -> bool:
        """Look after a batch again at a time, at most a lease from now. False if the lease is lost."""
        return await super().postpone(lease, min(until, self.clock.now() + LEASE_TIME))

    def _beyond(self, now: datetime) -> datetime:
        """Twice the time of a lease: batches are put at most one away."""
        return now + 2 * LEASE_TIME
