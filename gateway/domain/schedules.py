"""Schedules: batches that begin at a time, once or again and again. Pure: which occurrence is to run is a table.

it is not the last that is due            skipped
it is at most `start_within` ago          run
it is longer ago, catch-up is `once`      run
it is longer ago, catch-up is `skip`      skipped
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import islice
from statistics import fmean
from typing import NamedTuple

from msgspec import Struct

from gateway.domain.batches import BatchPlan, JobReference, Why
from gateway.domain.recurrence import Recurrence

SHOWN = 5
"""Number of coming occurrences that are shown."""
MOST_AT_ONCE = 100
"""Most occurrences that are looked at together."""
LARGEST_JUMP = 2.0
"""The factor by which the size of a batch may differ from the mean of the last ones."""


class ScheduleState(StrEnum):
    """The state of a schedule. `ended`: it has no more occurrences."""

    ACTIVE = "active"
    PAUSED = "paused"
    ENDED = "ended"
    DELETED = "deleted"


class CatchUp(StrEnum):
    """The treatment of occurrences that were missed. `once`: one batch for the last of them."""

    SKIP = "skip"
    ONCE = "once"


class SchedulePlan(Struct, frozen=True, omit_defaults=True):
    """The frozen part of a schedule: the batch that it makes, and when.

    It has either `run_at` or a `recurrence`. `jobs` are those that the batch names, if it has no filter. An occurrence
    begins within `start_within` or not at all, unless it is to be caught up with. `schema` is the version of this form.
    """

    name: str
    batch: BatchPlan
    start_within: timedelta
    jobs: tuple[JobReference, ...] = ()
    run_at: datetime | None = None
    recurrence: Recurrence | None = None
    catch_up: CatchUp = CatchUp.SKIP
    expect_at_most: int = 1_000
    schema: int = 1

    def after(self, at: datetime) -> Iterator[datetime]:
        """The occurrences after a time, in their order."""
        if self.recurrence is not None:
            yield from self.recurrence.after(at)
        elif self.run_at is not None and self.run_at > at:
            yield self.run_at


class SkipReason(StrEnum):
    """The kind of reason for which an occurrence makes no batch."""

    MISSED = "missed"
    OVERLAPPING = "overlapping"


class Skipped(Struct, frozen=True, omit_defaults=True):
    """An occurrence that made no batch, and why."""

    at: datetime
    reason: str
    kind: SkipReason = SkipReason.MISSED


class Schedule(Struct, frozen=True, omit_defaults=True):
    """A schedule as it is stored. `version` rises with each change. `owner` is the person behind the caller.

    `next_at` is the occurrence that is looked at next. `last_batches` are the newest batches, the newest one first.
    """

    id: str
    caller: str
    state: ScheduleState
    plan: SchedulePlan
    created_at: datetime
    changed_at: datetime
    owner: str = ""
    version: int = 0
    next_at: datetime | None = None
    last_batches: tuple[str, ...] = ()
    skipped: int = 0
    last_skipped: Skipped | None = None
    why: Why | None = None

    def coming(self, now: datetime) -> list[datetime]:
        """The next occurrences; none of a schedule that is not active."""
        if self.state is not ScheduleState.ACTIVE or self.next_at is None:
            return []
        begin = max(now, self.next_at - timedelta(microseconds=1))
        return list(islice(self.plan.after(begin), SHOWN))


class Due(NamedTuple):
    """The occurrences that are due: the one to run, those that are skipped, and the one to be looked at next."""

    run: datetime | None
    skipped: tuple[Skipped, ...]
    following: datetime | None


def due(plan: SchedulePlan, first: datetime, now: datetime) -> Due:
    """The occurrences from `first` on that are due."""
    times = iter([first, *islice(plan.after(first), MOST_AT_ONCE)])
    run: datetime | None = None
    skipped: list[Skipped] = []
    at = next(times, None)
    while at is not None and at <= now and run is None:
        following = next(times, None)
        if following is not None and following <= now:
            skipped.append(Skipped(at, f"A later occurrence was due, at {following:%Y-%m-%dT%H:%M:%SZ}."))
        elif now - at <= plan.start_within or plan.catch_up is CatchUp.ONCE:
            run = at
        else:
            late = int((now - at).total_seconds())
            most = int(plan.start_within.total_seconds())
            skipped.append(Skipped(at, f"It could begin {late} s late; at most {most} s are allowed (`startWithin`)."))
        at = following
    return Due(run, tuple(skipped), at)


def expected_size(plan: SchedulePlan, last: Sequence[int]) -> tuple[int, int]:
    """The fewest and the most jobs with which a batch needs no person, given the sizes of the last ones."""
    sizes = [each for each in last if each]
    if plan.batch.filter is None or not sizes:
        return 0, plan.expect_at_most
    mean = fmean(sizes)
    return int(-(-mean // LARGEST_JUMP)), min(plan.expect_at_most, int(mean * LARGEST_JUMP))
