"""The agenda of a process: it wakes the background work when something in the ledger is due.

One query looks for all kinds of work. What this process writes itself wakes the work at its time, without a look; what
another process has written is found by the next look.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TypeVar

from sqlalchemy import ColumnElement, Connection, Select, func, literal, select, union_all

from gateway.domain.leases import TaskKind
from gateway.domain.ports import Clock
from gateway.ledger.tables import job_actions, tasks

RECORD = "record"
"""The kind of work on records that are due to be read again."""
KINDS = (RECORD, *TaskKind)
LOOK_SECONDS = 0.5
"""Seconds between two looks at the ledger: in that time, a process finds what another one has written."""
EARLY_SECONDS = 0.01
"""Seconds by which a timer may be early: a busy event loop counts from the time at which its turn began."""
LONGEST_REST = 10.0
"""Most seconds for which a kind of work rests, so that what a wrong clock has put into the future is found, too."""

Result = TypeVar("Result")
Read = Callable[[Callable[[Connection], Result]], Awaitable[Result]]
"""Runs a query. Raises LedgerUnavailable."""


def _next(kind: str, due: ColumnElement[int], *chosen: ColumnElement[bool]) -> Select[str, int | None]:
    """The kind, with the time at which the first of it is due, by an index."""
    return select(literal(kind), func.min(due)).where(*chosen)


_NEXT = union_all(
    _next(RECORD, job_actions.c.due_at, job_actions.c.due_at.is_not(None)),
    *(_next(kind, tasks.c.due_at, tasks.c.kind == kind.value) for kind in TaskKind),
)
"""Built once."""


def next_due(connection: Connection) -> list[tuple[str, datetime]]:
    """Each kind of work for which there is something, with the time at which the first of it is due."""
    rows = connection.execute(_NEXT)
    return [(kind, datetime.fromtimestamp(due / 1_000, UTC)) for kind, due in rows if due is not None]


class Agenda:
    """Tells each kind of work when some of it is due."""

    def __init__(self, read: Read[Sequence[tuple[str, datetime]]], clock: Clock) -> None:
        """Look at the ledger by `read`, and tell the time by `clock`."""
        self._read = read
        self._clock = clock
        self._due = {kind: asyncio.Event() for kind in KINDS}
        self._looked_at = float("-inf")

    def note(self, kind: str, at: datetime) -> None:
        """Note that some work is due at a time. If that is after the next look, the look finds it."""
        seconds = (at - self._clock.now()).total_seconds()
        if seconds <= 0:
            self._due[kind].set()
        elif seconds < LOOK_SECONDS:
            asyncio.get_running_loop().call_later(seconds + EARLY_SECONDS, self._due[kind].set)

    async def wait(self, kind: str) -> None:
        """Wait until some work of a kind is due, or for the longest rest. Raises LedgerUnavailable."""
        due, end = self._due[kind], time.monotonic() + LONGEST_REST
        while not due.is_set() and (now := time.monotonic()) < end:
            next_look = self._looked_at + LOOK_SECONDS
            if next_look <= now:
                await self._look(now)
                continue
            with suppress(TimeoutError):
                await asyncio.wait_for(due.wait(), next_look - now)
        due.clear()

    async def _look(self, now: float) -> None:
        """Look, for all who wait."""
        self._looked_at = now
        for kind, at in await self._read(next_due):
            self.note(kind, at)
