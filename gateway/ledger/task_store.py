"""The tasks of a kind, for the code that works on them. Every method raises LedgerUnavailable."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gateway.domain.leases import Lease, TaskKind
from gateway.domain.ports import Clock
from gateway.ledger.ledger import SqlLedger
from gateway.ledger.tasks import EndTask, PostponeTask, TakeTasks, is_any_due


@dataclass(frozen=True)
class TaskStore:
    """Hands out leases of the tasks of a kind."""

    ledger: SqlLedger
    clock: Clock
    kind: TaskKind

    async def wait_until_due(self) -> None:
        """Wait until a task is due, at most some seconds."""
        await self.ledger.agenda.wait(self.kind)

    async def take(self, limit: int) -> list[Lease]:
        """Take at most `limit` tasks that are due."""
        now = self.clock.now()
        beyond = self._beyond(now)
        if not await self.ledger.read(lambda connection: is_any_due(connection, self.kind, now, beyond)):
            return []
        taken = await self.ledger.write(TakeTasks(self.kind, now, limit, beyond))
        return [Lease(self.kind, key, fence) for key, fence in taken]

    async def postpone(self, lease: Lease, until: datetime) -> bool:
        """Look after a task again at a time. False if the lease is lost."""
        kept: bool = await self.ledger.write(PostponeTask(lease, until))
        self.note(until)
        return kept

    async def end(self, lease: Lease) -> None:
        """Look after a task no more."""
        await self.ledger.write(EndTask(lease))

    def note(self, due: datetime | None) -> None:
        """Note when this process has written that a task is due, if it is one."""
        if due is not None:
            self.ledger.agenda.note(self.kind, due)

    def _beyond(self, now: datetime) -> datetime | None:  # noqa: ARG002 - for the kinds that have one
        """The time after which no clock that is right puts a task of this kind; None if there is none."""
        return None
