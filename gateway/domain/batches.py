"""Batches: one action on many jobs. Their states, the verdicts and outcomes of their items, and their records.

A batch is a frozen plan, a manifest of items, and a state. `TRANSITIONS` is the table of states.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from msgspec import Struct, convert

from gateway.domain.finding import JobFilter
from gateway.domain.model import Outcome, StatusPair

LARGEST_BATCH = 100_000
"""The most items that a batch can have, whatever the settings say."""
CONFIRMATION_TIME = timedelta(minutes=15)
"""The time in which a prepared batch has to be confirmed."""
SCHEDULED_CONFIRMATION_TIME = timedelta(hours=24)
"""The same for a batch that a schedule has made, and that is not as large as expected."""
COLLECTING_TIME = timedelta(hours=24)
"""The time in which the jobs of a batch have to be added."""


class BatchState(StrEnum):
    """The state of a batch."""

    COLLECTING = "collecting"
    PREPARING = "preparing"
    AWAITING_CONFIRMATION = "awaiting_confirmation"
    AWAITING_APPROVAL = "awaiting_approval"
    READY = "ready"
    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    ABORTING = "aborting"
    FINISHING = "finishing"
    COMPLETED = "completed"
    STOPPED = "stopped"
    ABORTED = "aborted"
    EXPIRED = "expired"


_S = BatchState
TRANSITIONS: Mapping[BatchState, tuple[BatchState, ...]] = {
    _S.COLLECTING: (_S.PREPARING, _S.ABORTING, _S.EXPIRED),
    _S.PREPARING: (_S.AWAITING_CONFIRMATION, _S.AWAITING_APPROVAL, _S.READY, _S.COMPLETED, _S.ABORTING, _S.EXPIRED),
    _S.AWAITING_CONFIRMATION: (_S.AWAITING_APPROVAL, _S.READY, _S.ABORTING, _S.EXPIRED),
    _S.AWAITING_APPROVAL: (_S.READY, _S.ABORTING, _S.EXPIRED),
    _S.READY: (_S.RUNNING, _S.PAUSED, _S.STOPPED, _S.ABORTING, _S.EXPIRED),
    _S.RUNNING: (_S.READY, _S.PAUSING, _S.STOPPED, _S.ABORTING, _S.FINISHING, _S.COMPLETED, _S.EXPIRED),
    _S.PAUSING: (_S.PAUSED, _S.ABORTING),
    _S.PAUSED: (_S.READY, _S.ABORTING, _S.EXPIRED),
    _S.STOPPED: (_S.READY, _S.ABORTING, _S.EXPIRED),
    _S.ABORTING: (_S.ABORTED,),
    _S.FINISHING: (_S.COMPLETED,),
    _S.COMPLETED: (),
    _S.ABORTED: (),
    _S.EXPIRED: (),
}
"""The states that can follow each state."""
BEFORE: Mapping[BatchState, tuple[BatchState, ...]] = {
    state: tuple(each for each, following in TRANSITIONS.items() if state in following) for state in BatchState
}
"""The states that each state can follow."""
ENDED = frozenset(state for state, following in TRANSITIONS.items() if not following)
"""The states that no other one follows."""
HOLDING = frozenset({_S.AWAITING_APPROVAL, _S.READY, _S.RUNNING, _S.PAUSING, _S.PAUSED, _S.STOPPED})
"""The states in which no other batch can act on the jobs that a batch has still to act on."""
PROMPT = frozenset({_S.PREPARING, _S.READY, _S.RUNNING, _S.PAUSING, _S.ABORTING, _S.FINISHING})
"""The states in which a batch goes on by itself."""


class Verdict(StrEnum):
    """The verdict about a job, read before anything is sent."""

    WILL_ACT = "will_act"
    ALREADY_SO = "already_so"
    NOT_ALLOWED = "not_allowed"
    NOT_FOUND = "not_found"
    DUPLICATE = "duplicate"
    HELD_BY_OTHER_BATCH = "held_by_other_batch"
    UNREADABLE = "unreadable"


class ItemOutcome(StrEnum):
    """The outcome of an item. `pending`: nothing yet. `skipped`: it is not to be acted on, or was not any more."""

    PENDING = "pending"
    APPLIED = Outcome.APPLIED.value
    PARTIAL = Outcome.PARTIAL.value
    REJECTED = Outcome.REJECTED.value
    NOT_SENT = Outcome.NOT_SENT.value
    UNKNOWN = Outcome.UNKNOWN.value
    SKIPPED = "skipped"


OPEN = (ItemOutcome.PENDING, ItemOutcome.UNKNOWN)
"""The outcomes that can still change."""
FAILED = (ItemOutcome.REJECTED, ItemOutcome.PARTIAL, ItemOutcome.NOT_SENT)
"""The outcomes that count as errors."""


class JobReference(Struct, frozen=True, array_like=True):
    """A job of a connection."""

    connection: str
    job_id: str


class Limits(Struct, frozen=True, omit_defaults=True):
    """The guard rails that a caller asks for; None: those of the settings."""

    max_items: int | None = None
    max_share: float | None = None
    max_errors: float | None = None
    max_unknown: int | None = None
    rate_per_second: float | None = None


class BatchPlan(Struct, frozen=True, omit_defaults=True):
    """The frozen part of a batch: what is to be done, on which jobs, why, and within which limits.

    `filter` is a JobFilter of the API, None for jobs that are named. `expected_count`: the batch needs no confirmation
    if it will act on exactly so many jobs; `expected_between`: on at least and at most so many. One that has needed
    nobody begins at `begin_by` or not at all. A later version reads it too: each new member has a default.
    """

    action: str
    reason: str
    parameters: Mapping[str, Any] = {}
    labels: Mapping[str, str] = {}
    filter: Mapping[str, Any] | None = None
    is_paged: bool = False
    limits: Limits = Limits()
    priority: int = 50
    not_before: datetime | None = None
    deadline: datetime | None = None
    expected_count: int | None = None
    redrive_of: str | None = None
    schedule: str | None = None
    expected_between: tuple[int, int] | None = None
    begin_by: datetime | None = None

    def expects(self, count: int) -> bool:
        """True if a batch that acts on so many jobs needs no confirmation."""
        if self.expected_between is None:
            return self.expected_count == count
        least, most = self.expected_between
        return least <= count <= most

    @property
    def confirmation_time(self) -> timedelta:
        """The time in which the prepared batch has to be confirmed. Nobody waits for that of a schedule."""
        return CONFIRMATION_TIME if self.schedule is None else SCHEDULED_CONFIRMATION_TIME


class Manifest(Struct, frozen=True, omit_defaults=True):
    """The frozen list of jobs: its digest, the number of jobs to act on, and the number of items by verdict.

    `share` is the part of the connections' jobs in the filter's statuses that will be acted on. `left_out` is the
    number of jobs that may be wanted, but whose status or age a list does not show.
    """

    digest: str
    count: int
    verdicts: Mapping[str, int]
    share: float | None = None
    left_out: int = 0


class Why(Struct, frozen=True, omit_defaults=True):
    """The reason for a state: a sentence, the code of the guard rail or problem, and the caller whose doing it was."""

    detail: str
    code: str | None = None
    by: str | None = None
    connection: str | None = None


class Report(Struct, frozen=True):
    """The SHA-256 of a report in each of its formats, in hexadecimal digits, and its number of items."""

    ndjson: str
    csv: str
    items: int


class Progress(Struct, frozen=True, omit_defaults=True):
    """The counters of a batch: its items by outcome, the seconds in which it ran, and points for its rate.

    `recent` holds pairs of a time in seconds since 1970 and the number of items with an outcome then.
    """

    outcomes: Mapping[str, int] = {}
    active_seconds: float = 0.0
    recent: tuple[tuple[float, int], ...] = ()

    @property
    def items(self) -> int:
        """The number of items."""
        return sum(self.outcomes.values())

    @property
    def rate(self) -> float | None:
        """The number of items that got an outcome each second of late; None if that is not known."""
        if not self.recent:
            return None
        (begun, before), (ended, done) = self.recent[0], self.recent[-1]
        return max(0, done - before) / (ended - begun) if ended > begun else None

    def count(self, *outcomes: ItemOutcome) -> int:
        """The number of items with one of these outcomes."""
        return sum(self.outcomes.get(each, 0) for each in outcomes)


class Batch(Struct, frozen=True):
    """A batch as it is stored. `version` rises with each change except those of `progress`.

    `forgiven` are the outcomes that there were when somebody resumed it: the guard rails count from there. `owner` is
    the person behind the caller. `approval` is the id of its approval; of an emergency, which began by break-glass, it
    is that of its review. `trace_parent` is the trace of the request that created it, in W3C's form.
    """

    id: str
    caller: str
    state: BatchState
    plan: BatchPlan
    created_at: datetime
    changed_at: datetime
    version: int = 0
    confirm_until: datetime | None = None
    manifest: Manifest | None = None
    prepared_at: datetime | None = None
    confirmed_by: str | None = None
    confirmed_at: datetime | None = None
    approval: str | None = None
    is_emergency: bool = False
    owner: str = ""
    why: Why | None = None
    report: Report | None = None
    connections: tuple[str, ...] = ()
    forgiven: Mapping[str, int] = {}
    progress: Progress = Progress()
    trace_parent: str | None = None

    @property
    def is_ended(self) -> bool:
        """True if nothing more will happen to it."""
        return self.state in ENDED

    def may_become(self, state: BatchState) -> bool:
        """True if the table of states has this transition."""
        return state in TRANSITIONS[self.state]


class Item(Struct, frozen=True, omit_defaults=True):
    """An item of a batch. `verdict` is None until the job is read."""

    position: int
    connection: str
    job_id: str
    verdict: Verdict | None = None
    outcome: ItemOutcome = ItemOutcome.PENDING
    job_action: str | None = None
    status_seen: StatusPair | None = None
    problem: str | None = None
    detail: str | None = None


def key_of(batch: str, position: int) -> str:
    """The idempotency key of an item's job action."""
    return f"batch:{batch}:{position}"


def filter_of(members: Mapping[str, Any]) -> JobFilter:
    """The filter that the API's members describe. Raises ValueError if an age is too long for Python."""
    age = members.get("olderThan")
    return JobFilter(
        connections=tuple(members["connections"]),
        statuses=tuple(members.get("statuses", ())),
        vendor_statuses=tuple(members.get("vendorStatuses", ())),
        older_than=None if age is None else convert(age, timedelta),
        queue=members.get("queue"),
        type=members.get("type"),
    )


def end_of(progress: Progress) -> str:
    """The outcome of a batch that has ended: whether the jobs to be acted on are as they should be."""
    applied = progress.count(ItemOutcome.APPLIED)
    if applied == progress.items - progress.count(ItemOutcome.SKIPPED):
        return "all_applied"
    return "some_applied" if applied else "none_applied"
