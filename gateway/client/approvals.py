"""Approvals: plans that wait for the decision of other people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .exchange import Exchange, path_of
from .values import members_of


@dataclass(frozen=True)
class ApprovalPolicy:
    """A policy that applies: the number of owners who have to approve, of those who have, and patterns of who can."""

    name: str
    required: int
    given: int
    approvers: tuple[str, ...]


@dataclass(frozen=True)
class ApprovalDecision:
    """The decision of an owner: `approve`, `reject` or `review`."""

    owner: str
    caller: str
    decision: str
    at: datetime
    comment: str | None = None


@dataclass(frozen=True)
class ApprovalPlan:
    """The plan of a batch, as its approvers see it. `jobs` is the number of jobs by connection."""

    action: str
    parameters: Mapping[str, Any]
    reason: str
    manifest_digest: str
    jobs: Mapping[str, int]
    limits: Mapping[str, Any]
    not_before: datetime | None = None
    deadline: datetime | None = None
    schedule: str | None = None


@dataclass(frozen=True)
class Notice:
    """A notice to the webhook about an emergency: `pending`, `delivered` or `undelivered`.

    `at` is when it is due; once it is not pending any more, when that became so.
    """

    event: str
    state: str
    at: datetime


@dataclass(frozen=True)
class BreakGlass:
    """Why a batch began without approval, and until when another owner has to review that."""

    reason: str
    review_until: datetime
    overdue: bool
    ticket: str | None = None
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True)
class Approval:
    """A request for approval of a batch: its plan, what was decided, and until when.

    `state` is `pending`, `approved`, `rejected`, `expired`, `withdrawn` or `executed`; after an emergency, `review_due`
    or `reviewed`. A decision repeats the `digest`, which is that of the plan.
    """

    id: str
    state: str
    batch: str
    digest: str
    plan: ApprovalPlan
    requested_by: str
    requested_by_owner: str
    policies: tuple[ApprovalPolicy, ...]
    decisions: tuple[ApprovalDecision, ...]
    requested_at: datetime
    decide_until: datetime
    execute_until: datetime | None = None
    break_glass: BreakGlass | None = None


class Approvals(Exchange):
    """The calls about approvals."""

    def approvals(self, *states: str, limit: int | None = None) -> Iterator[Approval]:
        """The approvals that this key can see, newest first; with `states`, those in one of them; at most `limit`."""
        return self._list(Approval, path_of("approvals"), limit, state=list(states) or None)

    def approval(self, approval_id: str) -> Approval:
        """One approval."""
        return self._get(Approval, path_of("approvals", approval_id))

    def approve(self, approval: Approval, comment: str | None = None) -> Approval:
        """Approve the plan of an approval, as it was read."""
        return self._decide("approve", approval, comment)

    def reject(self, approval: Approval, comment: str | None = None) -> Approval:
        """Reject the plan of an approval."""
        return self._decide("reject", approval, comment)

    def review(self, approval: Approval, comment: str | None = None) -> Approval:
        """Note that an emergency was reviewed."""
        return self._decide("review", approval, comment)

    def _decide(self, decision: str, approval: Approval, comment: str | None) -> Approval:
        said = members_of({"digest": approval.digest, "comment": comment})
        return self._command(Approval, "approvals", approval.id, decision, body=said)
