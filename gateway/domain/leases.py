"""Tasks that any process can take, and the leases by which one process at a time works on them.

A task has a time at which somebody should look after it. Who takes it gets a lease: the task, its fence, and a time
until which nobody else takes it. Each taking raises the fence, and so does whoever revokes the lease, so a write that
names an older fence comes from somebody who does not hold the task any more, and is refused.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from msgspec import Struct

LEASE_TIME = timedelta(seconds=30)
"""The time for which a task is taken. It is renewed by every write under the lease."""


class TaskKind(StrEnum):
    """The kinds of durable work."""

    BATCH = "batch"
    SCHEDULE = "schedule"
    NOTICE = "notice"


class Lease(Struct, frozen=True, array_like=True):
    """The right to work on the task `key` of a kind, as long as nobody has raised its fence."""

    kind: str
    key: str
    fence: int


class Due(Struct, frozen=True, array_like=True):
    """A task of a kind, and the time at which somebody should look after it."""

    kind: str
    key: str
    at: datetime


class LeaseLost(Exception):
    """Somebody else has taken the task, or has revoked the lease. Nothing was written."""
