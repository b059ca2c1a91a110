"""Approvals: what a second person has agreed to, and the policies that ask for it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

from msgspec import Struct
from msgspec.json import Encoder

_CANONICAL = Encoder(order="sorted")


class ApprovalState(StrEnum):
    """The state of an approval. `review_due` and `reviewed` are those of an emergency."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    EXECUTED = "executed"
    REVIEW_DUE = "review_due"
    REVIEWED = "reviewed"


UNDECIDED = (ApprovalState.PENDING, ApprovalState.REVIEW_DUE)
"""The states in which somebody has to decide."""


class Verb(StrEnum):
    """A decision of an owner."""

    APPROVE = "approve"
    REJECT = "reject"
    REVIEW = "review"


class Plan(Struct, frozen=True):
    """The plan of a batch. An approval is for exactly this plan, and for no other.

    `items` is the number of jobs to be acted on, by connection; `manifest` the digest of their list, with its verdicts.
    """

    action: str
    parameters: Mapping[str, Any]
    reason: str
    manifest: str
    items: Mapping[str, int]
    limits: Mapping[str, Any] = {}
    not_before: datetime | None = None
    deadline: datetime | None = None
    schedule: str | None = None

    @property
    def digest(self) -> str:
        """SHA-256 of the plan, in hexadecimal digits. Equal plans have equal digests."""
        return hashlib.sha256(_CANONICAL.encode(self)).hexdigest()


class Person(Struct, frozen=True):
    """A caller, and the owner behind it."""

    caller: str
    owner: str


class ApprovalPolicy(Struct, frozen=True):
    """A rule: the plans that need approval, the approvers, and for how long it counts.

    `actions`, `connections`, `callers` and `approvers` are patterns in which `*` stands for any characters. The plans
    are those of `callers` that act on at least `items` jobs of the connections. They need `approvals` by different
    owners, within `decide_within`; the batch then has to begin within `execute_within`.
    """

    name: str
    actions: tuple[str, ...]
    connections: tuple[str, ...]
    callers: tuple[str, ...]
    items: int
    approvals: int
    approvers: tuple[str, ...]
    decide_within: timedelta
    execute_within: timedelta

    def applies_to(self, caller: str, actions: frozenset[str], items: Mapping[str, int]) -> bool:
        """True if a plan of `caller` needs approval: one of its `actions` on `items`, a number for each connection."""
        affected = sum(number for name, number in items.items() if matches(self.connections, name))
        return (
            affected >= self.items
            and matches(self.callers, caller)
            and any(matches(self.actions, each) for each in actions)
        )

    def names(self, approver: Person) -> bool:
        """True if the policy lets this person decide."""
        return matches(self.approvers, approver.owner) or matches(self.approvers, approver.caller)


class NoticeEvent(StrEnum):
    """The events of an emergency of which the webhook is told."""

    BREAK_GLASS = "break-glass"
    REVIEW_OVERDUE = "review-overdue"


class NoticeState(StrEnum):
    """The state of a notice. An `undelivered` one was given up."""

    PENDING = "pending"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"


class Notice(Struct, frozen=True):
    """A notice to the webhook. `at`: when it is due; once it is not pending any more, when that became so."""

    event: NoticeEvent
    at: datetime
    state: NoticeState = NoticeState.PENDING

    @property
    def is_pending(self) -> bool:
        """True if it is still to be delivered."""
        return self.state is NoticeState.PENDING


class Decision(Struct, frozen=True, omit_defaults=True):
    """A person's decision about a plan."""

    by: Person
    verb: Verb
    at: datetime
    comment: str | None = None


class Emergency(Struct, frozen=True, omit_defaults=True):
    """Why a batch began without approval, and until when somebody else has to review that."""

    reason: str
    review_until: datetime
    ticket: str | None = None


class Approval(Struct, frozen=True, omit_defaults=True):
    """A request for approval, and what became of it. `version` counts its changes.

    `execute_until`: when the batch has to have begun, once the plan is approved.
    """

    id: str
    batch: str
    plan: Plan
    requester: Person
    requested_at: datetime
    decide_until: datetime
    policies: tuple[ApprovalPolicy, ...] = ()
    state: ApprovalState = ApprovalState.PENDING
    decisions: tuple[Decision, ...] = ()
    execute_until: datetime | None = None
    emergency: Emergency | None = None
    version: int = 0
    notices: tuple[Notice, ...] = ()

    @property
    def ends_at(self) -> datetime | None:
        """When time alone changes its state; None if it does not."""
        return {
            ApprovalState.PENDING: self.decide_until,
            ApprovalState.APPROVED: self.execute_until,
            ApprovalState.REVIEW_DUE: None if self.emergency is None else self.emergency.review_until,
        }.get(self.state)

    def is_overdue(self, now: datetime) -> bool:
        """True if an emergency has not been reviewed in time."""
        return self.state is ApprovalState.REVIEW_DUE and self.ends_at is not None and now >= self.ends_at

    def pending(self, event: str) -> Notice | None:
        """The notice of an event that is still to be delivered."""
        return next((each for each in self.notices if each.event == event and each.is_pending), None)


class ApprovalChange(Struct, frozen=True, omit_defaults=True):
    """An event of an approval: `requested`, `approve`, `expired` and so on, when, and by whom, if anybody."""

    what: str
    at: datetime
    by: Person | None = None
    comment: str | None = None


class ApprovalQuery(Struct, frozen=True):
    """The conditions that wanted approvals meet; None: any value."""

    states: tuple[ApprovalState, ...] | None = None
    batch: str | None = None
    owner: str | None = None


def matches(patterns: tuple[str, ...], text: str) -> bool:
    """True if one of the patterns matches the text."""
    return any(fnmatchcase(text, each) for each in patterns)
