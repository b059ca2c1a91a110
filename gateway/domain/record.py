"""The record of a job action: a list of events, to which more are added and none is ever changed.

Everything that can be said of a job action (its status, its outcome, its attempts) is read from the events.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeAlias

from msgspec import Struct

from gateway.domain.errors import Explanation, JobgateError, catalogue
from gateway.domain.model import ActionWarning, JobAction, Outcome, StatusPair, VendorResponse


class JobActionStatus(StrEnum):
    """Where a job action stands. `unsettled`: its outcome is unknown."""

    IN_PROGRESS = "in_progress"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNSETTLED = "unsettled"


STATUSES: Mapping[Outcome | None, JobActionStatus] = {
    None: JobActionStatus.IN_PROGRESS,
    Outcome.APPLIED: JobActionStatus.SUCCEEDED,
    Outcome.REJECTED: JobActionStatus.FAILED,
    Outcome.NOT_SENT: JobActionStatus.FAILED,
    Outcome.UNKNOWN: JobActionStatus.UNSETTLED,
}
"""The status that each outcome is."""


class SettledBy(StrEnum):
    """How an outcome became certain; `gave-up`: it did not, and nobody looks any more."""

    VENDOR_REPLY = "vendor-reply"
    NOTHING_SENT = "nothing-sent"
    READING = "reading"
    GAVE_UP = "gave-up"


class Origin(Struct, frozen=True, omit_defaults=True):
    """Where a request came from: the client's address, Jobgate's id of the request, and the client's `traceparent`.

    That is the header of W3C Trace Context, as it came.
    """

    address: str | None = None
    request_id: str | None = None
    trace_parent: str | None = None

    @property
    def trace_id(self) -> str | None:
        """The client's trace id, 32 hexadecimal digits."""
        return None if self.trace_parent is None else self.trace_parent.split("-")[1]


NOBODY = Origin()
"""The origin of what nobody asked for."""


class ProblemNote(Struct, frozen=True, omit_defaults=True):
    """Why a job action failed, with all that its caller was told."""

    code: str
    detail: str
    explanation: Explanation = Explanation()


class Requested(Struct, frozen=True, omit_defaults=True):
    """Somebody asked for a job action, and nothing was in the way.

    `keeps_refusals`: its key stands for its answer even where it was refused. `signature` is the name that the request
    has by its signature; that one always stands for its answer.
    """

    at: datetime
    caller: str
    connection: str
    vendor: str
    job_action: JobAction
    warnings: tuple[ActionWarning, ...] = ()
    origin: Origin = NOBODY
    idempotency_key: str | None = None
    keeps_refusals: bool = True
    signature: str | None = None

    @property
    def is_named(self) -> bool:
        """Whether the same request, sent again, waits for the conclusion of this one."""
        return self.idempotency_key is not None or self.signature is not None


class Sent(Struct, frozen=True, omit_defaults=True):
    """From now on the vendor may have been asked. `found` holds the parameters that were left out, and found."""

    at: datetime
    found: Mapping[str, Any] = {}


class Read(Struct, frozen=True, omit_defaults=True):
    """The job was read to learn what came of the action: its status, or the code of the problem that there was."""

    at: datetime
    job: StatusPair | None = None
    problem: str | None = None


class Concluded(Struct, frozen=True, omit_defaults=True):
    """What is now known of the outcome. A later conclusion takes the place of an earlier one.

    `settled_by` is None as long as the outcome is unknown and somebody will look again. `job` is the job's status
    afterwards, `vendor_response` what the vendor answered to the action; where it failed, the problem holds both.
    """

    at: datetime
    outcome: Outcome
    settled_by: SettledBy | None = None
    job: StatusPair | None = None
    vendor_response: VendorResponse | None = None
    problem: ProblemNote | None = None


Event: TypeAlias = Requested | Sent | Read | Concluded


class JobActionRecord(Struct, frozen=True):
    """A job action and all that happened to it so far, in order. The first event is its request."""

    id: str
    requested: Requested
    later: tuple[Event, ...] = ()

    def __len__(self) -> int:
        """How many events there are."""
        return 1 + len(self.later)

    def with_event(self, event: Event) -> JobActionRecord:
        """The record after one more event."""
        return JobActionRecord(self.id, self.requested, (*self.later, event))

    @property
    def sent(self) -> tuple[Sent, ...]:
        """The times it was sent, oldest first."""
        return tuple(event for event in self.later if isinstance(event, Sent))

    @property
    def readings(self) -> tuple[Read, ...]:
        """The readings of the job that were made to learn the outcome, oldest first."""
        return tuple(event for event in self.later if isinstance(event, Read))

    @property
    def conclusion(self) -> Concluded | None:
        """What is known of the outcome, None while it is under way."""
        for event in reversed(self.later):
            if isinstance(event, Concluded):
                return event
        return None

    @property
    def outcome(self) -> Outcome | None:
        """What is known to have happened at the vendor, None while it is under way."""
        conclusion = self.conclusion
        return conclusion.outcome if conclusion else None

    @property
    def status(self) -> JobActionStatus:
        """Where it stands."""
        return STATUSES[self.outcome]

    @property
    def is_settled(self) -> bool:
        """Whether nobody needs to look any more what came of it."""
        conclusion = self.conclusion
        return conclusion is not None and conclusion.settled_by is not None

    @property
    def completed_at(self) -> datetime | None:
        """When it was settled."""
        conclusion = self.conclusion
        return conclusion.at if conclusion and conclusion.settled_by else None

    @property
    def job_action(self) -> JobAction:
        """What was asked for, with the parameters that were found."""
        asked = self.requested.job_action
        found = {name: value for event in self.sent for name, value in event.found.items()}
        return JobAction(asked.action, asked.job_id, {**asked.parameters, **found}) if found else asked

    @property
    def problem(self) -> ProblemNote | None:
        """Why it failed."""
        conclusion = self.conclusion
        return conclusion.problem if conclusion else None

    @property
    def vendor_response(self) -> VendorResponse | None:
        """What the vendor answered to the action, where it answered."""
        conclusion = self.conclusion
        if conclusion is None:
            return None
        problem = conclusion.problem
        response = problem.explanation.vendor if problem else conclusion.vendor_response
        return response if response and response.status else None

    @property
    def job(self) -> StatusPair | None:
        """The job's status afterwards, as far as it is known."""
        conclusion = self.conclusion
        if conclusion is None:
            return None
        problem = conclusion.problem
        state = problem.explanation.job if problem else None
        return state.status if state else conclusion.job

    @property
    def lets_go_of_key(self) -> bool:
        """Whether the same request, sent again, is a new one: it failed, and sending it again can do no harm.

        That is so where it may mend the failure, and where it was plainly refused and the key is not for refusals.
        """
        conclusion = self.conclusion
        if conclusion is None or conclusion.settled_by is None or conclusion.problem is None:
            return False
        is_refused = conclusion.settled_by in {SettledBy.VENDOR_REPLY, SettledBy.NOTHING_SENT}
        return problem_of(self).may_be_retried or (is_refused and not self.requested.keeps_refusals)


class HeldKey(Struct, frozen=True):
    """An idempotency key of a caller, held for one job action until `expires_at`.

    `fingerprint` stands for what was asked: the same key with another one is a mistake.
    """

    caller: str
    key: str
    fingerprint: bytes
    expires_at: datetime


class SignedName(Struct, frozen=True):
    """The name that a request has by its signature, until it is taken no more. No client can choose such a key."""

    name: str
    expires_at: datetime


class Holder(Struct, frozen=True):
    """What holds a key already: a record, and the fingerprint of what it was asked for."""

    record: JobActionRecord
    fingerprint: bytes


class Selection(Struct, frozen=True):
    """Which records are wanted. None: it does not matter. `since` and `until` are included."""

    caller: str | None = None
    connection: str | None = None
    job_id: str | None = None
    action: str | None = None
    status: JobActionStatus | None = None
    outcome: Outcome | None = None
    since: datetime | None = None
    until: datetime | None = None


class Overtaken(Exception):
    """Somebody else has added an event first. `record` is the record as it is now."""

    def __init__(self, record: JobActionRecord) -> None:
        """Say what the record has become."""
        super().__init__(record.id)
        self.record = record


_KINDS = {kind.code: kind for kind in catalogue()}


def problem_of(record: JobActionRecord) -> JobgateError:
    """The problem that a failed job action's caller is told, now or later. Raises ValueError where there is none."""
    note = record.problem
    if note is None:
        raise ValueError(f"job action {record.id} did not fail")
    problem = _KINDS[note.code](note.detail, note.explanation)
    return problem.explain(outcome=record.outcome, job_action=record.id)
