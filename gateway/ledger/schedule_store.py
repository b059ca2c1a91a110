"""The schedules of a ledger, for the code that works on them. Every method raises LedgerUnavailable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.domain.leases import Lease, TaskKind
from gateway.domain.model import Page
from gateway.domain.record import HeldKey
from gateway.domain.schedules import Schedule
from gateway.ledger import schedules
from gateway.ledger.batches import CreateBatch
from gateway.ledger.events import StateChanged
from gateway.ledger.schedules import NewEvent, Occurrence, SaveSchedule
from gateway.ledger.task_store import TaskStore


@dataclass(frozen=True)
class ScheduleStore(TaskStore):
    """Stores schedules, and hands out leases of them."""

    kind: TaskKind = TaskKind.SCHEDULE

    async def create(
        self, schedule: Schedule, event: StateChanged, key: HeldKey | None = None
    ) -> tuple[str, bytes] | None:
        """Store a new schedule. Returns the id and the fingerprint of the one that holds its key, if one does."""
        creation = schedules.CreateSchedule(schedule, event, self.clock.now(), key)
        held = await self.ledger.write(creation)
        self.note(schedule.next_at)
        return None if held is None else (held[0], held[1])

    async def save(
        self,
        schedule: Schedule,
        events: Sequence[StateChanged],
        lease: Lease | None = None,
        occurrences: Sequence[Occurrence] = (),
        batch: CreateBatch | None = None,
    ) -> str:
        """Store a change of a schedule, as `SaveSchedule` says. Raises LeaseLost."""
        change = SaveSchedule(schedule, list(map(self._new, events)), lease, list(occurrences), batch)
        saved: str = await self.ledger.write(change)
        self.note(schedule.next_at)
        if batch is not None:
            self.ledger.agenda.note(TaskKind.BATCH, batch.due)
        return saved

    async def get(self, schedule: str) -> Schedule | None:
        """The schedule with this id."""
        return await self.ledger.read(lambda connection: schedules.head(connection, schedule))

    async def page(self, caller: str | None, limit: int, before: str | None) -> Page[Schedule]:
        """The schedules of a caller, newest first; with None, those of everybody."""
        return await self.ledger.read(lambda connection: schedules.page(connection, caller, limit, before))

    async def lines(self, schedule: str, limit: int) -> Sequence[tuple[int, str | None, str | None]]:
        """The newest occurrences of a schedule."""
        return await self.ledger.read(lambda connection: schedules.lines(connection, schedule, limit))

    def _new(self, event: StateChanged) -> NewEvent:
        return NewEvent(self.clock.new_id(event.at), event)
